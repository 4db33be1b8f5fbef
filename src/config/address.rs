//! A webhook's address in the configuration, which many may read: it must not be a secret.

use crate::access::{self, Secret};

/// Hosts of which every address is a secret.
const SECRET_HOSTS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];

/// What is wrong with it.
pub(super) fn unfit(url: &str, allow_http: bool) -> Option<&'static str> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default().trim_end_matches('.');
    if authority.contains('@') {
        Some("holds a user or a password; put it into a file: secret_file and headers")
    } else if SECRET_HOSTS.iter().any(|secret| host.eq_ignore_ascii_case(secret))
        || access::secret_in(url, &[Secret::Webhook]).is_some()
    {
        Some("is a secret by itself; put it into a file and name that in url_file")
    } else if access::has_secret_query(url) {
        Some("holds a secret behind its question mark; put the address into a file and name that in url_file")
    } else if url.starts_with("http://") && !allow_http {
        Some("is plain HTTP, which anybody on the way can read; use https://, or set allow_http = true")
    } else {
        None
    }
}

/// Scheme, host and port, as in the log: what follows may tell more than its writer thought.
pub(super) fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let more =
        if rest.trim_start_matches(authority).trim_start_matches('/').is_empty() { "/" } else { "/…" };
    format!("{scheme}://{authority}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_a_secret_or_holds_one_is_unfit() {
        for (url, says) in [
            ("https://user@hook.example.com/", "user or a password"),
            ("https://hooks.slack.com/whatever/comes", "a secret by itself"),
            ("https://HOOKS.slack.com:443/services/T0/B0/x", "a secret by itself"),
            ("https://discord.com/api/webhooks/1/x", "a secret by itself"),
            ("https://example.com/x?token=abc", "behind its question mark"),
            ("http://example.com/x", "plain HTTP"),
        ] {
            assert!(
                unfit(url, false).is_some_and(|what| what.contains(says)),
                "{url}: {:?}",
                unfit(url, false)
            );
        }
        assert_eq!(unfit("https://alertmanager.example.com:9093/api/v2/alerts?team=net", false), None);
        assert_eq!(unfit("http://alertmanager.example.com/", true), None);
    }

    #[test]
    fn of_an_address_only_the_host_is_shown() {
        assert_eq!(shown("https://example.com:8443/a/b?c"), "https://example.com:8443/…");
        assert_eq!(shown("https://example.com?c"), "https://example.com/…");
        assert_eq!(shown("https://example.com/"), "https://example.com/");
        assert_eq!(shown("https://example.com"), "https://example.com/");
    }
}
