//! Secrets in text: by what surrounds them, and by looking machine-generated: keys, tokens, signatures.

/// Kinds of secrets. The secret itself is never kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secret {
    /// The id of an AWS access key; its secret is usually next to it.
    AwsAccessKey,
    /// The secret of an AWS access key.
    AwsSecretAccessKey,
    /// The token of temporary AWS credentials.
    AwsSessionToken,
    /// A URL with a password in it.
    UrlPassword,
    /// A URL that is a secret as a whole: everybody who knows it can post there.
    Webhook,
    /// A private key in PEM (RFC 7468), encrypted or not: a pass phrase can be guessed offline.
    PrivateKey,
}

impl Secret {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::AwsAccessKey,
        Self::AwsSecretAccessKey,
        Self::AwsSessionToken,
        Self::UrlPassword,
        Self::Webhook,
        Self::PrivateKey,
    ];

    /// The description in messages, with its article.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwsAccessKey => "an AWS access key",
            Self::AwsSecretAccessKey => "an aws_secret_access_key",
            Self::AwsSessionToken => "an aws_session_token",
            Self::UrlPassword => "a URL with a password in it",
            Self::Webhook => "a webhook's URL, which is a secret",
            Self::PrivateKey => "a private key",
        }
    }

    fn is_in(self, line: &str) -> bool {
        match self {
            Self::AwsAccessKey => has_access_key(line),
            Self::AwsSecretAccessKey => sets(line, "aws_secret_access_key"),
            Self::AwsSessionToken => sets(line, "aws_session_token"),
            Self::UrlPassword => has_url_password(line) || has_proxy_password(line),
            Self::Webhook => has_webhook(line),
            Self::PrivateKey => has_private_key(line),
        }
    }
}

/// The first secret of these kinds in a text, and its line number, from 1. Comments count too.
pub fn secret_in(text: &str, sorts: &[Secret]) -> Option<(usize, Secret)> {
    text.lines().enumerate().find_map(|(index, line)| {
        let secret = sorts.iter().find(|secret| secret.is_in(line))?;
        Some((index + 1, *secret))
    })
}

/// `AKIA` or `ASIA` and 16 capitals or digits, with none before or after.
fn has_access_key(line: &str) -> bool {
    line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        word.len() == 20
            && (word.starts_with("AKIA") || word.starts_with("ASIA"))
            && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
    })
}

/// `key = value`, quoted or not, with a value.
fn sets(line: &str, key: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.match_indices(key).any(|(at, _)| {
        let rest = line[at + key.len()..].trim_start_matches(['"', '\'']).trim_start();
        rest.strip_prefix(['=', ':']).is_some_and(|value| value.chars().any(|c| c.is_ascii_alphanumeric()))
    })
}

/// `scheme://user:password@host`.
fn has_url_password(line: &str) -> bool {
    line.split("://").skip(1).any(|rest| {
        let authority =
            rest.split(['/', '?', '#', '"', '\'', ' ', '\t', '<', '>']).next().unwrap_or_default();
        let user_info = authority.rsplit_once('@').map(|(user_info, _)| user_info);
        user_info.and_then(|user_info| user_info.split_once(':')).is_some_and(|(_, word)| !word.is_empty())
    })
}

/// `HTTPS_PROXY=user:password@host`: such a variable may omit the scheme.
fn has_proxy_password(line: &str) -> bool {
    line.split_once('=').is_some_and(|(name, value)| {
        name.trim_end().to_ascii_lowercase().ends_with("_proxy")
            && has_url_password(&format!("http://{}", value.trim_start().trim_start_matches(['"', '\''])))
    })
}

/// The header of a private key in PEM. A TPM's key (`TSS2 PRIVATE KEY`) is useless without that TPM.
fn has_private_key(line: &str) -> bool {
    line.split("-----BEGIN ").skip(1).any(|rest| {
        let label = rest.split("-----").next().unwrap_or_default();
        label.contains("PRIVATE KEY") && !label.starts_with("TSS2")
    })
}

/// Hosts (or the ends of hosts) of well-known services, and how the paths begin that accept messages from anybody who knows the
/// URL. Other paths on these hosts are no secrets.
const HOOKS: [(&str, &str); 14] = [
    ("hooks.slack.com", "services/"),
    ("hooks.slack.com", "workflows/"),
    ("hooks.slack.com", "triggers/"),
    ("hooks.slack-gov.com", "services/"),
    ("hooks.slack-gov.com", "workflows/"),
    ("hooks.slack-gov.com", "triggers/"),
    ("discord.com", "api/webhooks/"),
    ("discordapp.com", "api/webhooks/"),
    (".webhook.office.com", "webhookb2/"),
    ("outlook.office.com", "webhook/"),
    ("outlook.office365.com", "webhook/"),
    (".logic.azure.com", "workflows/"),
    ("chat.googleapis.com", "v1/spaces/"),
    ("events.pagerduty.com", "integration/"),
];

fn has_webhook(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    HOOKS.iter().any(|(host, path)| {
        line.split(host).skip(1).any(|rest| {
            // `https://host`, `https://host.:443` and `https://host//` are the same place.
            let rest = rest.trim_start_matches('.');
            let rest = rest
                .strip_prefix(':')
                .map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
            let secret =
                rest.strip_prefix('/').and_then(|rest| rest.trim_start_matches('/').strip_prefix(path));
            secret.is_some_and(|secret| secret.starts_with(|c: char| c.is_ascii_alphanumeric()))
        })
    })
}

/// Whether the name of some query parameter, with a value, says that it is a secret.
pub fn has_secret_query(url: &str) -> bool {
    const WHOLE: [&str; 6] = ["key", "sig", "code", "pass", "pwd", "auth"];
    const WITHIN: [&str; 8] =
        ["token", "secret", "passw", "apikey", "accesskey", "signature", "credential", "authorization"];
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    query.split(['&', ';']).filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
        let name: String =
            name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        !value.is_empty()
            && (WHOLE.contains(&&*name)
                || name.ends_with("key")
                || WITHIN.iter().any(|word| name.contains(word)))
    })
}

/// Prefixes of well-known services' keys and tokens.
const PREFIXES: [&str; 13] = [
    "xoxb-",
    "xoxp-",
    "xapp-",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "sk_live_",
    "hvs.",
    "AIza",
    "eyJ",
    "SG.",
];
/// AWS's ids look random and are no secrets.
const IDS: [&str; 5] = ["vpn-", "vgw-", "tgw-", "cgw-", "arn"];

/// Whether a character may occur in a machine-generated word.
pub fn is_within(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/_-.".contains(c)
}

/// Whether a word of [`is_within`]'s characters looks machine-generated. A UUID may be anything's name, and does not count.
pub fn is_drawn(word: &str) -> bool {
    if PREFIXES.iter().any(|prefix| word.starts_with(prefix)) && word.len() >= 16 {
        return true;
    }
    let starts_id = |id: &&str| word.get(..id.len()).is_some_and(|start| start.eq_ignore_ascii_case(id));
    if IDS.iter().any(starts_id) {
        return false;
    }
    let all = |of: fn(u8) -> bool| word.bytes().all(of);
    let any = |of: fn(&u8) -> bool| word.bytes().any(|b| of(&b));
    let mixed = any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase) && any(u8::is_ascii_digit);
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let random = mixed && changes(word) * 3 >= word.len();
    // The secret of an AWS access key has 40 characters of base64, an MD5 or a PagerDuty key 32 hexadecimal digits or letters. A
    // path may be as long as a secret, but consists of words.
    (word.len() == 40 && all(base64) && mixed && !word.starts_with('/'))
        || (word.len() >= 32 && all(|b| b.is_ascii_hexdigit()))
        || (word.len() >= 28 && all(base64) && random)
        || (word.len() >= 20
            && all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'_' | b'-'))
            && random)
}

/// A UUID (RFC 9562, section 4), as used for some services' API keys and AWS's request ids.
pub fn is_uuid(word: &str) -> bool {
    let groups: Vec<&str> = word.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// How often upper case, lower case and digits alternate; rarely, in words.
fn changes(word: &str) -> usize {
    let class = |b: u8| match b {
        b'A'..=b'Z' => Some(0),
        b'a'..=b'z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let classes: Vec<u8> = word.bytes().filter_map(class).collect();
    classes.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Option<Secret> {
        secret_in(line, &Secret::ALL).map(|(_, secret)| secret)
    }

    #[test]
    fn a_secret_is_found_wherever_it_occurs() {
        for (line, secret) in [
            ("notes = \"key AKIAIOSFODNN7EXAMPLE\"", Secret::AwsAccessKey),
            ("# ASIAIOSFODNN7EXAMPLE", Secret::AwsAccessKey),
            ("aws_secret_access_key = wJalrXUtnFEMI", Secret::AwsSecretAccessKey),
            ("\"AWS_SECRET_ACCESS_KEY\": \"wJalrXUtnFEMI\"", Secret::AwsSecretAccessKey),
            ("aws_session_token=IQoJb3", Secret::AwsSessionToken),
            ("runbook_url = \"https://wiki:hunter2@wiki.example.com/x\"", Secret::UrlPassword),
            ("notes = 'see ftp://a:b@c'", Secret::UrlPassword),
            ("url = \"https://hooks.slack.com/services/T0/B0/x\"", Secret::Webhook),
            ("https://events.pagerduty.com/integration/0123456789abcdef/enqueue", Secret::Webhook),
            ("https://Hooks.Slack.com:443/services/T0/B0/x", Secret::Webhook),
            ("https://hooks.slack.com.:443//services/T0/B0/x", Secret::Webhook),
            ("https://hooks.slack-gov.com/services/T0/B0/x", Secret::Webhook),
            ("https://discord.com/api/webhooks/1/x", Secret::Webhook),
            ("https://ptb.discordapp.com:8443/api/webhooks/1/x", Secret::Webhook),
            ("https://example.webhook.office.com/webhookb2/0a/IncomingWebhook/0b", Secret::Webhook),
            ("https://outlook.office.com/webhook/0a", Secret::Webhook),
            ("https://prod-01.westeurope.logic.azure.com:443/workflows/0a/triggers", Secret::Webhook),
            ("https://chat.googleapis.com/v1/spaces/AAAA/messages?key=x&token=y", Secret::Webhook),
            ("HTTPS_PROXY=http://noc:hunter2@proxy.example.com:3128", Secret::UrlPassword),
            ("export https_proxy=\"noc:hunter2@proxy.example.com:3128\"", Secret::UrlPassword),
            ("-----BEGIN PRIVATE KEY-----", Secret::PrivateKey),
            ("-----BEGIN EC PRIVATE KEY-----", Secret::PrivateKey),
            ("  -----BEGIN ENCRYPTED PRIVATE KEY-----", Secret::PrivateKey),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", Secret::PrivateKey),
        ] {
            assert_eq!(found(line), Some(secret), "{line}");
        }
    }

    #[test]
    fn a_text_that_only_resembles_a_secret_is_not_found() {
        for line in [
            "",
            "notes = \"AKIA is how access keys begin\"",
            "XAKIAIOSFODNN7EXAMPLE",
            "AKIAIOSFODNN7EXAMPLEX",
            "AKIAiosfodnn7example",
            "aws_secret_access_key =",
            "aws_secret_access_key = \"\"",
            "aws_secret_access_key belongs elsewhere",
            "runbook_url = \"https://wiki.example.com:8443/a@b:c\"",
            "runbook_url = \"https://user@wiki.example.com/\"",
            "url = \"https://user:@wiki.example.com/\"",
            "notes = \"mail noc@example.com: at night\"",
            "notes = \"https://hooks.slack.com/services/… is where it goes\"",
            "notes = \"https://example.pagerduty.com/services/PABCDEF\"",
            "notes = \"https://discord.com/channels/1/2\"",
            "notes = \"https://hooks.slack.com:443/\"",
            "HTTPS_PROXY=http://proxy.example.com:3128",
            "HTTPS_PROXY=proxy.example.com:3128",
            "NO_PROXY=localhost,127.0.0.1",
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN TSS2 PRIVATE KEY-----",
            "notes = \"the PRIVATE KEY lies elsewhere\"",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }

    #[test]
    fn a_value_whose_name_says_so_is_a_secret_of_a_url() {
        for url in [
            "https://example.com/x?token=abc",
            "https://example.com/x?team=net&Access_Token=abc",
            "https://example.com/x?api-key=abc#top",
            "https://example.com/x?sv=1&sig=abc",
            "https://example.com/x?client_secret=abc",
        ] {
            assert!(has_secret_query(url), "{url}");
        }
        for url in [
            "https://example.com/token=abc",
            "https://example.com/x?token=",
            "https://example.com/x?team=network&keyboard=us",
            "https://example.com/x#?y",
        ] {
            assert!(!has_secret_query(url), "{url}");
        }
    }

    #[test]
    fn a_secret_is_reported_by_line_and_only_of_the_requested_kinds() {
        let text = "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n";
        assert_eq!(secret_in(text, &Secret::ALL), Some((2, Secret::AwsAccessKey)));
        assert_eq!(
            secret_in(text, &[Secret::AwsSecretAccessKey, Secret::AwsSessionToken]),
            Some((3, Secret::AwsSecretAccessKey))
        );
    }
}
