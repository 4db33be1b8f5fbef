//! Texts of AWS, the SDK and other programs, made safe to show and keep: one line, bounded, without characters that a terminal or
//! a browser interprets, and error texts without credentials. Journal, `/status`, store and records get such texts only through
//! here.

use std::error::Error;

use crate::access::{is_drawn, is_within};

/// Longer than any documented StatusMessage of AWS (`IPSEC IS DOWN`, `2 BGP ROUTES`).
pub(super) const MESSAGE_MAX: usize = 200;
/// Longer than any error code of AWS's.
pub(super) const CODE_MAX: usize = 80;
/// Longer than any helpful message; AWS appends encoded policies of several kilobytes.
const LONGEST: usize = 300;
/// More than is ever shown, even of a text that is mostly blanks.
const LOOKED_AT: usize = 8 * LONGEST;
/// Marks a text that quotes a request: the answer to a wrong signature repeats all of it, session token included.
const MARKS: [&str; 2] = ["canonical", "security-token:"];
/// Parts of the names of secret values.
const SECRET_NAMES: [&str; 12] = [
    "secret",
    "passw",
    "passphrase",
    "pwd",
    "token",
    "psk",
    "pre_shared",
    "preshared",
    "private_key",
    "privatekey",
    "api_key",
    "apikey",
];
/// Endings of names whose value only says where a secret is.
const PLACES: [&str; 3] = ["file", "path", "url"];
/// AWS's own text before an encoded blob that only `sts:DecodeAuthorizationMessage` can read, and that differs each time.
const ENCODED: &str = "Encoded authorization failure message";

/// At most this many characters of a text, with a mark if it was cut.
pub(super) fn line(text: &str, longest: usize) -> String {
    // A text may have megabytes, but its beginning matters; joining blanks keeps more of it.
    let head = text.chars().take(longest.saturating_mul(8));
    let shown: String = head.filter(|c| !is_invisible(*c)).map(|c| if breaks(c) { ' ' } else { c }).collect();
    let joined = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let whole = text.chars().nth(longest.saturating_mul(8)).is_none();
    match joined.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &joined[..end]),
        None if whole => joined,
        None => format!("{joined}…"),
    }
}

/// Line breaks, Unicode's included, and control characters.
fn breaks(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Direction marks and other characters without width (Unicode's Bidi_Control, zero-width characters, the byte order mark).
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{061c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}

/// An error text of AWS, the SDK or another program, safe to show.
pub(super) fn safe_text(text: &str) -> String {
    let lower = text.to_lowercase();
    if MARKS.iter().any(|mark| lower.contains(mark)) {
        return "(withheld: the text quotes the request)".to_owned();
    }
    let text = text.split(ENCODED).next().unwrap_or_default();
    let text: String = text.chars().take(LOOKED_AT).collect();
    line(&without_drawn(&without_named(&text)), LONGEST)
}

/// The first line of another program's error output, safe to show: bounded, without control characters, without anything that
/// looks like a secret.
pub(super) fn first_line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let plain: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Some(safe_text(&plain.split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// The text without values whose name says they are secret: `password=…`, `"SecretAccessKey": "…"`.
fn without_named(text: &str) -> String {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(is_of_name) {
        let (before, from) = rest.split_at(start);
        let (name, after) = from.split_at(from.find(|c| !is_of_name(c)).unwrap_or(from.len()));
        shown.push_str(before);
        shown.push_str(name);
        rest = after;
        if let Some((between, value, after)) = value_of(name, after) {
            shown.push_str(between);
            shown.push_str(if value.is_empty() { "" } else { "***" });
            rest = after;
        }
    }
    shown.push_str(rest);
    shown
}

/// If the name is one of a secret: the separator after it, the value, and the rest.
fn value_of<'t>(name: &str, after: &'t str) -> Option<(&'t str, &'t str, &'t str)> {
    const QUOTES: [char; 4] = ['"', '\'', '`', '\\'];
    let name = name.to_ascii_lowercase();
    if PLACES.iter().any(|end| name.ends_with(end)) || !SECRET_NAMES.iter().any(|word| name.contains(word)) {
        return None;
    }
    let unquoted = after.trim_start_matches(QUOTES);
    let sign = unquoted.trim_start();
    let value = sign.strip_prefix(['=', ':'])?.trim_start().trim_start_matches(QUOTES);
    let between = &after[..after.len() - value.len()];
    let is_quoted = between.ends_with(QUOTES);
    let ends = |c: char| QUOTES.contains(&c) || (!is_quoted && (c.is_whitespace() || ",;&}".contains(c)));
    let (value, rest) = value.split_at(value.find(ends).unwrap_or(value.len()));
    // "cannot read the token: no such file"
    let is_prose = sign.starts_with(':')
        && unquoted.len() == after.len()
        && name.contains("token")
        && value.len() < 20
        && value.bytes().all(|b| b.is_ascii_alphabetic());
    (!is_prose).then_some((between, value, rest))
}

/// The text without what looks like a key or a token.
fn without_drawn(text: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(is_within) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !is_within(c)).unwrap_or(from.len()));
        shown.push_str(before);
        let plain = word.trim_end_matches('.');
        shown.push_str(if is_drawn(plain) || has_key_id(plain) { "***" } else { plain });
        shown.push_str(&word[plain.len()..]);
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Whether a word contains an access key id, even a truncated or slightly wrong one.
fn has_key_id(word: &str) -> bool {
    word.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|part| part.len() >= 16 && ["AKIA", "ASIA"].iter().any(|sort| part.starts_with(sort)))
}

/// An error and its causes, outermost first.
pub(super) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The last cause of a chain, usually the most specific text.
pub(super) fn deepest(error: &(dyn Error + 'static)) -> String {
    let last = chain(error).last().unwrap_or(error);
    safe_text(&last.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_stays_as_it_is() {
        assert_eq!(line("IPSEC IS DOWN", MESSAGE_MAX), "IPSEC IS DOWN");
        assert_eq!(line("", MESSAGE_MAX), "");
    }

    #[test]
    fn an_endless_text_is_cut_and_marked() {
        for endless in ["x", " x", "\u{202e}", "ß"] {
            let shown = line(&endless.repeat(1_000_000), 10);
            assert!(shown.chars().count() <= 11 && shown.ends_with('…'), "{shown}");
        }
    }

    #[test]
    fn characters_that_a_terminal_or_browser_interprets_are_removed() {
        assert_eq!(line("DOWN\r\n\u{1b}[31mUP\u{7}\u{85}\u{2028}end", MESSAGE_MAX), "DOWN [31mUP end");
        assert_eq!(line("a\u{202e}b\u{2066}c\u{200f}d\u{feff}e", MESSAGE_MAX), "abcde");
    }

    #[test]
    fn the_first_line_of_another_programs_output_is_shown_without_secrets() {
        assert_eq!(first_line("\n  \n"), None);
        let shown = |text: &str| first_line(text).unwrap();
        assert_eq!(
            shown("\n\u{1b}[31mno such\tfile: /etc/bothends/key.pem\nmore"),
            "[31mno such file: /etc/bothends/key.pem"
        );
        assert_eq!(shown("key AKIAIOSFODNN7EXAMPLE is disabled"), "key *** is disabled");
        assert_eq!(shown("got \"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\""), "got \"***\"");
        assert!(!shown(r#"bad: {"SecretAccessKey": "wJalr"}"#).contains("wJalr"));
        assert_eq!(shown(&"w ".repeat(1000)).chars().count(), LONGEST + 1);
        let arn = "arn:aws:rolesanywhere:eu-west-1:123456789012:profile/0b1cDEf2-aaaa-bbbb-cccc-0123456789ab";
        assert_eq!(shown(arn), arn);
    }

    #[test]
    fn secrets_are_masked_wherever_they_occur() {
        for (text, shown) in [
            ("hex=0123456789abcdef0123456789abcdef01234567", "hex=***"),
            ("password=hunter2", "password=***"),
            ("login failed, password: swordfish", "login failed, password: ***"),
            ("{\"DB_PASSWORD\" : \"a b\"}", "{\"DB_PASSWORD\" : \"***\"}"),
            ("id=AKIAABCDEFGHIJKLMNOP", "id=***"),
            ("got /K7MDENGwJa1rXUtnFEMIbPxRfiCY3XaMPl9KeYz", "got ***"),
            ("got wJalrXUtnFEMI/K7MDENG/bPxRfiCY3XAMPLEKEY.", "got ***."),
            (
                "{\"SecretAccessKey\": \"wJalr\", \"Version\": 1}",
                "{\"SecretAccessKey\": \"***\", \"Version\": 1}",
            ),
            ("aws_session_token = FwoGZX", "aws_session_token = ***"),
            ("--token=abc&x=1", "--token=***&x=1"),
            (
                "token: FwoGZXIvYXdzEJr//////////wEaDJ2kT0l5Qx9m8sVbRyKxAd3uW4nH7pLcF1eZg6XoJ0tYiUq5MkB8v==",
                "token: ***",
            ),
            ("eyJhbGciOiJIUzI1NiJ9.e30.x", "***"),
        ] {
            assert_eq!(safe_text(text), shown);
        }
    }

    #[test]
    fn text_without_secrets_stays_readable() {
        for text in [
            "\"SecretAccessKey\" is missing, or is no text",
            "the profile me has aws_access_key_id and no aws_secret_access_key",
            "credential_process: the key \"SessionToken\" must be written so",
            "The security token included in the request is invalid",
            "InvalidClientTokenId: The security token is expired",
            "cannot read the token: no such file",
            "web_identity_token_file=/var/run/secrets/token",
            "User: arn:aws:sts::123456789012:assumed-role/Bothends/i-0a1b2c3d4e5f6a7b8 is not authorized to perform: \
             ec2:DescribeVpnConnections",
            "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0a1b2c3d4e5f6a7b",
            "arn:aws:rolesanywhere:eu-west-1:123456789012:profile/0b1c2d3e-aaaa-bbbb-cccc-0123456789ab",
            "vpn-0123456789abcdef0 in eu-west-1",
            "https://ssm-incidents.eu-west-1.amazonaws.com/startIncident",
            "request 59807616-e1fa-4540-8cb2-a47b98421fab failed",
            "cannot open /opt/Company2/SecurityModule/HelperProgr",
        ] {
            assert_eq!(safe_text(text), text);
        }
        assert_eq!(first_line("has no aws_session_token").unwrap(), "has no aws_session_token");
    }
}
