//! The formats of single texts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::names::{Kind, Role, Routing, VpnId};
use crate::domain::plan::Vantage;
use crate::domain::quality::MAX_LOSS_PERCENT;
use crate::outbound::KeyExchange;
use crate::settings::WebhookPreset;

use super::hints::{self, is_hidden};
use super::settings::Mode;

/// The valid texts of a key, and their meaning.
pub(super) struct Rule<T> {
    /// The most likely intention behind an invalid text.
    pub(super) hint: fn(&str) -> Option<String>,
    /// For messages.
    pub(super) allowed: &'static str,
    /// The meaning; `None` if the text is invalid.
    pub(super) parse: fn(&str) -> Option<T>,
}

impl<T> Rule<T> {
    /// For callers outside this room: the meaning of the text, or what is expected.
    fn obeyed_by(&self, text: &str) -> Result<T, &'static str> {
        (self.parse)(text).ok_or(self.allowed)
    }
}

/// `site.name`. It is a CloudWatch dimension's value: ASCII, no control characters, no colon in front
/// (API reference, `Dimension`); and as long as a Linux host name may be.
pub(super) const SITE_NAME: Rule<Arc<str>> = Rule {
    hint: hints::of_text,
    allowed: "1 to 64 printable ASCII characters, the first no blank and no colon",
    parse: |text| {
        let ascii = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        (ascii && length(text, 64) && !text.starts_with([' ', ':'])).then(|| text.into())
    },
};

/// The name of a connection or a tunnel: site, connection and tunnel share 200 characters of a title.
pub(super) const LABEL: Rule<Arc<str>> = Rule {
    hint: hints::of_text,
    allowed: "1 to 64 characters on one line, none of them invisible",
    parse: |text| (line(text) && length(text, 64)).then(|| text.into()),
};

/// The name of an own label (Prometheus, "Metric names and labels": those that begin with `__` are its own).
pub(super) const LABEL_NAME: Rule<Arc<str>> = Rule {
    hint: hints::of_text,
    allowed: "a Prometheus label's name: 1 to 64 letters, digits and _, the first no digit, and not beginning with __",
    parse: |text| {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let first = !text.starts_with("__") && !text.starts_with(|c: char| c.is_ascii_digit());
        (plain && first && length(text, 64)).then(|| text.into())
    },
};

/// The value of an own label. An empty one would be no label.
pub(super) const LABEL_VALUE: Rule<Arc<str>> = Rule {
    hint: hints::of_text,
    allowed: "1 to 128 characters on one line, none of them invisible",
    parse: |text| (line(text) && length(text, 128)).then(|| text.into()),
};

/// `quality.max_loss`, in percent.
pub(super) const LOSS: Rule<f64> = Rule {
    hint: |text| {
        let number: f64 = text.trim().trim_end_matches('%').trim_end().parse().ok()?;
        let [least, most] = MAX_LOSS_PERCENT;
        (!text.contains('%') && (least..=most).contains(&number)).then(|| format!("write \"{number}%\""))
    },
    allowed: "a percentage, \"0.5%\" to \"50%\"",
    parse: |text| {
        let number = text.strip_suffix('%')?.trim_end();
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let [least, most] = MAX_LOSS_PERCENT;
        number.parse().ok().filter(|percent| plain && (least..=most).contains(percent))
    },
};

/// `vpn.notes`.
pub(super) const NOTES: Rule<Arc<str>> = Rule {
    hint: hints::of_text,
    allowed: "1 to 1000 characters, none of them invisible",
    parse: |text| {
        // A file that was edited on Windows has CRLF inside multi-line texts too.
        let text = text.replace("\r\n", "\n");
        let plain = text.chars().all(|c| !is_hidden(c) || c == '\n' || c == '\t');
        (length(&text, 1000) && plain).then(|| text.into())
    },
};

/// `vpn.runbook_url`.
pub(super) const URL: Rule<Arc<str>> = Rule {
    hint: hints::of_text,
    allowed: "an address that begins with https:// or http://, at most 1000 characters",
    parse: |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        let plain = !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || is_hidden(c));
        (plain && length(text, 1000)).then(|| text.into())
    },
};

/// The id of a VPN connection: 8 digits in old accounts, 17 since 2018.
pub(super) const VPN_ID: Rule<VpnId> = Rule {
    hint: hints::of_text,
    allowed: "\"vpn-\" and 8 or 17 hexadecimal digits in lower case, as AWS shows it",
    parse: |text| {
        let digits = text.strip_prefix("vpn-")?;
        let hex = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (hex && matches!(digits.len(), 8 | 17)).then(|| VpnId::new(text))
    },
};

/// A connection of a `[[group]]`.
pub(super) const GROUPED: Rule<VpnId> = Rule {
    hint: |text| {
        let named = || {
            let what = "a group holds connections only, by their ids; no group or uplink can be in it, so there is no cycle";
            (!text.starts_with("vpn-")).then(|| what.to_owned())
        };
        hints::of_text(text).or_else(named)
    },
    allowed: VPN_ID.allowed,
    parse: VPN_ID.parse,
};

/// An address of one host that others can reach: no other host reaches a loopback address, and a link-local IPv6 address needs
/// its link.
pub(super) const HOST_IP: Rule<IpAddr> = Rule {
    hint: hints::of_address,
    allowed: "the IPv4 or IPv6 address of one host, without a prefix length; neither loopback nor fe80::/10",
    parse: |text| {
        let ip: IpAddr = text.parse().ok()?;
        let of_one_host = match ip {
            IpAddr::V4(ip) => !ip.is_broadcast() && ip.octets()[0] != 0,
            IpAddr::V6(ip) => !ip.is_unicast_link_local() && ip.to_ipv4_mapped().is_none(),
        };
        (of_one_host && !ip.is_unspecified() && !ip.is_multicast() && !ip.is_loopback()).then_some(ip)
    },
};

/// `vpn.tunnel.outside_ip`. 169.254.0.0/16 is for the ends inside the tunnels: AWS never uses it outside.
pub(super) const OUTSIDE_IP: Rule<IpAddr> = Rule {
    hint: |text| match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) if ip.is_link_local() => {
            Some("this is an address inside the tunnel: see inside_ip and source_ip".to_owned())
        }
        Ok(_) | Err(_) => hints::of_address(text),
    },
    allowed: "AWS's outside address of the tunnel, IPv4 or IPv6, without a prefix length; neither loopback nor of 169.254.0.0/16 \
              or fe80::/10",
    parse: |text| {
        (HOST_IP.parse)(text).filter(|ip| match ip {
            IpAddr::V4(ip) => !ip.is_link_local(),
            IpAddr::V6(_) => true,
        })
    },
};

/// `site.votes_if_address`. Every host has its own loopback and link-local addresses, so they do not identify the host.
pub(super) const MOVING_IP: Rule<IpAddr> = Rule {
    hint: hints::of_address,
    allowed: "the IPv4 or IPv6 address that moves between the hosts of the pair, without a prefix length; neither loopback \
              nor link-local",
    parse: |text| {
        let link_local = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        (HOST_IP.parse)(text).filter(|ip| !ip.is_loopback() && !link_local(ip))
    },
};

/// The name of a network interface, as Linux accepts it (`dev_valid_name` in net/core/dev.c), without "@": the kernel would
/// accept that, but no tool can name such an interface, and `ip link` writes it after a name.
pub(super) const INTERFACE: Rule<Arc<str>> = Rule {
    hint: hints::of_interface,
    allowed: "the name of a network interface: 1 to 15 characters, no blank, slash, colon or @",
    parse: |text| {
        let bytes = text.bytes().all(|b| b.is_ascii_graphic() && !b"/:@".contains(&b));
        (bytes && matches!(text.len(), 1..=15) && text != "." && text != "..").then(|| text.into())
    },
};

/// The role of a tunnel.
pub(super) const ROLE: Rule<Role> = Rule {
    hint: hints::of_text,
    allowed: "\"active\", \"standby\", \"unused\"",
    parse: |text| [Role::Active, Role::Standby, Role::Unused].into_iter().find(|role| role.as_str() == text),
};

/// `aws.tls_key_exchange`.
pub(super) const KEY_EXCHANGE: Rule<KeyExchange> =
    Rule { hint: hints::of_text, allowed: "\"auto\", \"hybrid\", \"classic\"", parse: KeyExchange::parse };

/// How a connection is routed.
pub(super) const ROUTING: Rule<Routing> = Rule {
    hint: hints::of_text,
    allowed: "\"bgp\", \"static\"",
    parse: |text| [Routing::Bgp, Routing::Static].into_iter().find(|routing| routing.as_str() == text),
};

/// `vpn.vantage`; whether others share the path is known once every tunnel is read.
pub(super) const VANTAGE: Rule<Vantage> = Rule {
    hint: hints::of_text,
    allowed: "\"gateway\", \"behind\"",
    parse: |text| match text {
        "gateway" => Some(Vantage::Gateway),
        "behind" => Some(Vantage::Behind { shared: false }),
        _ => None,
    },
};

/// `incident.mode`.
pub(super) const MODE: Rule<Mode> = Rule {
    hint: hints::of_text,
    allowed: "\"raise\", \"observe\"",
    parse: |text| [Mode::Raise, Mode::Observe].into_iter().find(|mode| mode.as_str() == text),
};

/// `incident.sink.name`, `uplink.name`: a label of metrics, and an argument on the command line.
pub(super) const PLAIN_NAME: Rule<Arc<str>> = Rule {
    hint: hints::of_text,
    allowed: "1 to 64 letters, digits and . _ -, the first a letter or digit",
    parse: |text| {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        (plain && length(text, 64) && !text.starts_with(['.', '_', '-'])).then(|| text.into())
    },
};

/// A kind of incident.
pub(super) const KIND: Rule<Kind> = Rule {
    hint: hints::of_text,
    allowed: "\"outage\", \"redundancy_lost\", \"one_sided\", \"degraded\"",
    parse: |text| Kind::ALL.into_iter().find(|kind| kind.as_str() == text),
};

/// An AWS Region's code: lower-case words and a number, such as `us-gov-west-1` or `eusc-de-east-1`.
pub(super) const REGION: Rule<Arc<str>> = Rule {
    hint: without_zone,
    allowed: "the code of an AWS Region, such as \"eu-west-1\"",
    parse: |text| {
        let mut parts = text.split('-').rev();
        let number = parts.next().is_some_and(|part| matches!(part.len(), 1 | 2) && digits(part));
        let words: Vec<_> = parts.collect();
        let lower = words.iter().all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()));
        (number && lower && words.len() >= 2 && length(text, 32)).then(|| text.into())
    },
};

/// The ARN of an IAM role (IAM User Guide, "IAM identifiers"; names are at most 64 characters, paths 512).
pub(super) const ROLE_ARN: Rule<Arc<str>> = Rule {
    hint: hints::of_text,
    allowed: "the ARN of an IAM role, such as \"arn:aws:iam::123456789012:role/NAME\"",
    parse: |text| {
        let [partition, service, region, account, resource] = arn(text)?;
        let path = resource.strip_prefix("role/")?;
        let name = path.rsplit('/').next()?;
        let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&b));
        let right = is_partition(partition) && service == "iam" && region.is_empty() && is_account(account);
        (right && plain && length(name, 64) && path.len() <= 64 + 512).then(|| text.into())
    },
};

/// The ARN of a response plan, placeholders included. The API takes the partitions aws, aws-cn and aws-us-gov, and
/// names of up to 200 letters, digits, hyphens and underscores (Incident Manager API reference, `CreateResponsePlan`).
pub(super) const RESPONSE_PLAN: Rule<Arc<str>> = Rule {
    hint: hints::of_text,
    allowed: "the ARN of a response plan, such as \"arn:aws:ssm-incidents::123456789012:response-plan/NAME\", \
              NAME of at most 200 letters, digits, hyphens and underscores, and optionally the placeholders {scope}, {vpn_id} and {kind}",
    parse: |text| {
        let longest = text
            .replace("{scope}", &format!("uplink-{}", "x".repeat(64)))
            .replace("{vpn_id}", "vpn-0123456789abcdef0")
            .replace("{kind}", Kind::RedundancyLost.as_str());
        let [partition, service, region, account, resource] = arn(&longest)?;
        let name = resource.strip_prefix("response-plan/")?;
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let right = matches!(partition, "aws" | "aws-cn" | "aws-us-gov") && service == "ssm-incidents";
        // A placeholder in the account would make an invalid one; there the text itself must be valid.
        let fixed = text.starts_with(&longest[..longest.len() - name.len()]);
        (right && fixed && region.is_empty() && is_account(account) && plain && length(name, 200))
            .then(|| text.into())
    },
};

/// The ARN of an SNS topic (SNS API reference, `CreateTopic`: up to 256 letters, digits, hyphens and underscores, and `.fifo` at
/// the end of a FIFO topic's).
pub(super) const TOPIC_ARN: Rule<Arc<str>> = Rule {
    hint: hints::of_text,
    allowed: "the ARN of an SNS topic, such as \"arn:aws:sns:eu-west-1:123456789012:NAME\"",
    parse: |text| {
        let [partition, service, region, account, name] = arn(text)?;
        let plain = name.strip_suffix(".fifo").unwrap_or(name);
        let plain =
            plain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') && !plain.is_empty();
        let right = is_partition(partition) && service == "sns" && is_account(account);
        (right && (REGION.parse)(region).is_some() && plain && length(name, 256)).then(|| text.into())
    },
};

/// A ready template of a webhook.
pub(super) const PRESET: Rule<WebhookPreset> = Rule {
    hint: hints::of_text,
    allowed: "\"pagerduty\", \"slack\", \"alertmanager\"",
    parse: |text| WebhookPreset::ALL.into_iter().find(|preset| preset.as_str() == text),
};

/// A header of a webhook (RFC 9110, sections 5.1 and 5.5).
pub(super) const HEADER: Rule<(String, String)> = Rule {
    hint: hints::of_text,
    allowed: "a header, such as \"X-Team: network\" or \"Authorization: Bearer {secret}\"",
    parse: |text| {
        let (name, value) = text.split_once(':')?;
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let value = value.trim();
        let right = !name.is_empty() && name.bytes().all(token) && !value.is_empty();
        let plain = value.bytes().all(|b| b == b' ' || b == b'\t' || b.is_ascii_graphic());
        (right && plain && length(text, 1000)).then(|| (name.to_owned(), value.to_owned()))
    },
};

/// The name of a systemd credential (systemd.exec(5), `LoadCredential=`: what may be a file's name).
pub(super) const CREDENTIAL: Rule<Arc<str>> = Rule {
    hint: hints::of_text,
    allowed: "the name of a systemd credential, as LoadCredential= gives it",
    parse: |text| {
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b':');
        (plain && length(text, 255) && text != "." && text != "..").then(|| text.into())
    },
};

/// The namespace of custom metrics (CloudWatch API reference, `PutMetricData`).
pub(super) const NAMESPACE: Rule<Arc<str>> = Rule {
    hint: hints::of_text,
    allowed: "1 to 255 letters, digits, blanks and . - _ / # : , the first neither a blank nor a colon, and not beginning with AWS/",
    parse: |text| {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_/#: ".contains(&b));
        (plain && length(text, 255) && !text.starts_with([':', ' ']) && !text.starts_with("AWS/"))
            .then(|| text.into())
    },
};

/// `http.listen`.
pub(super) const LISTEN: Rule<SocketAddr> = Rule {
    hint: hints::of_text,
    allowed: "an IP address and a port, such as \"127.0.0.1:9846\" or \"[::1]:9846\"",
    parse: |text| text.parse().ok(),
};

/// `http.hosts`.
pub(super) const HOST: Rule<Arc<str>> = Rule {
    hint: hints::of_text,
    allowed: "a DNS name without a port, such as \"gw1.example.com\"",
    parse: |text| {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        (plain && length(text, 253) && !text.starts_with('.')).then(|| text.into())
    },
};

/// `store.path`.
pub(super) const FILE_PATH: Rule<PathBuf> =
    Rule { hint: hints::of_text, allowed: "the absolute path of a file", parse: absolute };

/// A socket's path: its address has room for 108 bytes, the last of them zero (unix(7)).
pub(super) const SOCKET_PATH: Rule<PathBuf> = Rule {
    hint: hints::of_text,
    allowed: "the absolute path of a socket, at most 107 bytes",
    parse: |text| absolute(text).filter(|_| text.len() <= 107),
};

/// `ipsec.source`.
pub(super) const IPSEC_SOURCE: Rule<IpsecSource> = Rule {
    hint: hints::of_text,
    allowed: "\"vici\", \"kernel\"",
    parse: |text| match text {
        "vici" => Some(IpsecSource::Vici),
        "kernel" => Some(IpsecSource::Kernel),
        _ => None,
    },
};

/// Where the state of IPsec is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IpsecSource {
    Vici,
    Kernel,
}

/// `bgp.daemon`.
pub(super) const BGP_DAEMON: Rule<BgpDaemon> = Rule {
    hint: hints::of_text,
    allowed: "\"bird\", \"frr\"",
    parse: |text| match text {
        "bird" => Some(BgpDaemon::Bird),
        "frr" => Some(BgpDaemon::Frr),
        _ => None,
    },
};

/// The BGP daemon of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BgpDaemon {
    Bird,
    Frr,
}

/// A prefix in its one spelling, which is that of BIRD and FRR.
pub(super) const PREFIX: Rule<Arc<str>> = Rule {
    hint: |text| match cidr(text) {
        Some((address, length)) => Some(format!("write \"{}/{length}\"", network(address, length))),
        None => match text.parse::<IpAddr>() {
            Ok(address) => Some(format!("for one host write \"{address}/{}\"", width(address))),
            Err(_) => hints::of_text(text),
        },
    },
    allowed: "a network with its prefix length and no host bits, such as \"10.0.0.0/16\" or \"2001:db8::/32\"",
    parse: |text| {
        let (address, length) = cidr(text)?;
        (network(address, length) == address).then(|| format!("{address}/{length}").into())
    },
};

/// `vpn.id`.
///
/// # Errors
/// What is expected.
pub fn vpn_id(text: &str) -> Result<VpnId, &'static str> {
    VPN_ID.obeyed_by(text)
}

/// `vpn.name`, `vpn.tunnel.name`.
///
/// # Errors
/// What is expected.
pub fn label(text: &str) -> Result<Arc<str>, &'static str> {
    LABEL.obeyed_by(text)
}

/// `region`.
///
/// # Errors
/// What is expected.
pub fn region(text: &str) -> Result<Arc<str>, &'static str> {
    REGION.obeyed_by(text)
}

/// `role_arn`.
///
/// # Errors
/// What is expected.
pub fn role_arn(text: &str) -> Result<Arc<str>, &'static str> {
    ROLE_ARN.obeyed_by(text)
}

/// An absolute path that names something.
fn absolute(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let plain = !text.chars().any(is_hidden) && !text.ends_with('/');
    (plain && path.is_absolute() && path.file_name().is_some()).then(|| path.to_owned())
}

/// An address with its prefix length.
fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u8 = Some(length).filter(|length| digits(length))?.parse().ok()?;
    (length <= width(address)).then_some((address, length))
}

/// The longest prefix of the address's family.
const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address without its host bits.
fn network(address: IpAddr, length: u8) -> IpAddr {
    let host_bits = u32::from(width(address) - length);
    match address {
        IpAddr::V4(ip) => {
            Ipv4Addr::from_bits(ip.to_bits() & u32::MAX.checked_shl(host_bits).unwrap_or(0)).into()
        }
        IpAddr::V6(ip) => {
            Ipv6Addr::from_bits(ip.to_bits() & u128::MAX.checked_shl(host_bits).unwrap_or(0)).into()
        }
    }
}

/// A hint on a text that is not a Region.
fn without_zone(text: &str) -> Option<String> {
    // A Region's code ends in its number, an Availability Zone's in a letter after it.
    let region =
        text.strip_suffix(|c: char| c.is_ascii_lowercase()).filter(|text| (REGION.parse)(text).is_some());
    match region {
        Some(region) => Some(format!("{text:?} is an Availability Zone; write {region:?}")),
        None => hints::of_text(text),
    }
}

fn length(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.chars().count())
}

fn line(text: &str) -> bool {
    !text.chars().any(is_hidden) && !text.trim().is_empty()
}

fn digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// Partition, service, Region, account and resource of an ARN.
fn arn(text: &str) -> Option<[&str; 5]> {
    let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
    Some([parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?])
}

/// `aws`, `aws-cn`, `aws-us-gov`, `aws-iso-b`, and future ones.
fn is_partition(text: &str) -> bool {
    let mut words = text.split('-');
    words.next() == Some("aws")
        && words.all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && digits(text)
}

#[cfg(test)]
mod tests;
