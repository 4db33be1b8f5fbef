//! Whom a request may be addressed to. A page on the Internet can have a browser ask this listener under a name of its own that
//! leads to 127.0.0.1 (DNS rebinding), and would then read the answer; the `Host` header still holds that name.

use std::net::IpAddr;
use std::sync::Arc;

/// The names that this listener answers to, besides addresses, which nobody can rebind, and `localhost` (RFC 6761, 6.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<Arc<str>>);

impl Hosts {
    /// Those that are configured, and this host's own name.
    pub fn new(configured: &[Arc<str>], own: Option<&str>) -> Self {
        Self(configured.iter().cloned().chain(own.map(Arc::from)).collect())
    }

    /// Whether a request to `authority`, a host and perhaps a port (RFC 9110, 7.2), is for us.
    pub(super) fn know(&self, authority: &str) -> bool {
        let host = without_port(authority).trim_end_matches('.');
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if address.parse::<IpAddr>().is_ok() {
            return true;
        }
        let host = host.to_ascii_lowercase();
        host == "localhost"
            || host.ends_with(".localhost")
            || self.0.iter().any(|name| name.trim_end_matches('.').eq_ignore_ascii_case(&host))
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host,
        Some(_) | None => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_the_names_that_are_ours_are_answered_and_no_other() {
        let hosts = Hosts::new(&["gw1.example.com".into()], Some("gw1"));
        for ours in [
            "127.0.0.1",
            "127.0.0.1:9846",
            "192.0.2.7:9846",
            "[::1]:9846",
            "[2001:db8::1]",
            "localhost",
            "LocalHost:9846",
            "metrics.localhost",
            "gw1",
            "gw1:9846",
            "GW1.example.com.",
            "gw1.example.com:443",
        ] {
            assert!(hosts.know(ours), "{ours}");
        }
        for other in [
            "evil.example",
            "evil.example:9846",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "gw1.evil.example",
            "xlocalhost",
            "",
            ":9846",
            "[::1",
        ] {
            assert!(!hosts.know(other), "{other}");
        }
    }
}
