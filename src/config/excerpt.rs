//! What of a configured value a message may show: never a secret, and no more than is needed to recognise it.

use crate::access::{Secret, is_drawn, is_uuid, is_within, secret_in};

/// Characters of a value that are shown: enough to recognise it, too few to flood a terminal.
pub(super) const FOUND_MAX: usize = 80;

/// Keys whose values are secrets when somebody mistakes them for the place of the secret itself.
const BESIDE_SECRETS: [&str; 4] = ["url", "url_file", "url_credential", "headers"];
/// A key with one of these in its name, known here or not, has a secret for a value, or is taken for such a key.
const SECRET_NAMES: [&str; 11] = [
    "secret",
    "passw",
    "pwd",
    "token",
    "credential",
    "psk",
    "pre_shared",
    "preshared",
    "private",
    "api_key",
    "access_key",
];

/// `text` as a message shows it: quoted, control characters escaped, cut at [`FOUND_MAX`] characters. A secret is not
/// shown.
pub(super) fn quoted(text: &str) -> String {
    if let Some((_, secret)) = secret_in(text, &Secret::ALL) {
        return format!("(not shown: {})", secret.as_str());
    }
    if looks_like_secret(text) {
        return "(not shown: it looks like a key or token)".to_owned();
    }
    match text.char_indices().nth(FOUND_MAX) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// The value of the key at `path` as a message shows it, `shown` being how it would otherwise.
pub(super) fn of_key(path: &str, shown: String) -> String {
    if names_secret(path) { "(not shown: this key may hold a secret)".to_owned() } else { shown }
}

/// Whether the value of the key at `path` is better not shown, whatever it is.
fn names_secret(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let name = name.split('[').next().unwrap_or_default();
    BESIDE_SECRETS.contains(&name) || SECRET_NAMES.iter().any(|word| name.contains(word))
}

/// Whether a word of `text` looks as if a machine had drawn it: a key, a token, a signature.
pub(super) fn looks_like_secret(text: &str) -> bool {
    text.split(|c| !is_within(c)).any(|word| is_drawn(word) || is_uuid(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_drawn_by_a_machine_is_not_shown() {
        for text in [
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCY3XAMPLEKEY",
            "secret is wJalrXUtnFEMI/K7MDENG/bPxRfiCY3XAMPLEKEY",
            "0123456789abcdef0123456789abcdef",
            "R03ABCD2EFGHI4jklmn5OPQR6STUVwx7",
            "xoxb-123456789012-abcdefghij",
            "ghp_abcdefghijklmnopqrstuvwxyz",
            "eyJhbGciOiJIUzI1NiJ9.e30.x",
            "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f",
            "token=aB3dE5gH7jK9mN1pQ3sT",
            "R03ABCD2EFGHI4jklmn5OPQR6STUVwx7!",
            "AKIAIOSFODNN7EXAMPLE",
            "/K7MDENGwJa1rXUtnFEMIbPxRfiCY3XaMPl9KeYz",
            "FwoGZXIvYXdzEJr//////////wEaDJ2kT0l5Qx9m8sVbRyKxAd3uW4nH7pLcF1eZg6XoJ0tYiUq5MkB8vSaN2rDhGwTzPl9CfO3xEjK4",
        ] {
            assert!(quoted(text).starts_with("(not shown"), "{text}: {}", quoted(text));
        }
    }

    #[test]
    fn what_people_write_is_shown() {
        for text in [
            "",
            "actve",
            "vpn-0a1b2c3d4e5f60718",
            "VPN-0A1B2C3D4E5F60718",
            "Milan-Datacenter-Primary-1",
            "arn:aws:ssm-incidents::123456789012:response-plan/bothends-{vpn}",
            "/etc/bothends/keys/PagerDuty-2.key",
            "/opt/Company2/SecurityModule/HelperProgr",
            "https://wiki.example.com/runbooks/Milan/VPN/Outage2",
            "2001:db8:85a3::8a2e:370:7334",
            "keine Ahnung, was das ist",
        ] {
            assert_eq!(quoted(text), format!("{text:?}"));
        }
        assert_eq!(quoted(&"x".repeat(81)), format!("\"{}\"…", "x".repeat(80)));
    }

    #[test]
    fn a_key_that_names_a_secret_shows_no_value() {
        for path in [
            "incident.sink[0].secret_file",
            "incident.sink[3].signing_secret_credential",
            "incident.sink[0].headers[1]",
            "incident.sink[0].url_file",
            "aws.secret_access_key",
            "vpn[0].tunnel[0].pre_shared_key",
        ] {
            assert!(!of_key(path, "hunter2".to_owned()).contains("hunter2"), "{path}");
        }
        for path in ["vpn[0].runbook_url", "vpn[0].tunnel[1].role", "incident.sink[0].kinds[1]", "store.keep"]
        {
            assert_eq!(of_key(path, "x".to_owned()), "x", "{path}");
        }
    }
}
