//! Settings that `config` reads and validates, and another room uses.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::names::{TunnelId, VpnId};
use crate::domain::scope::Scope;

/// The operator's own labels of a connection: names and values, both not empty.
pub type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// The labels of our metrics, and those that Prometheus gives to a target or a series of ours. No own label has one of these
/// names: it would stand twice in a series, or be renamed to `exported_…` at the scrape.
pub const LABELS_TAKEN: [&str; 32] = [
    "action",
    "assessment",
    "carrying",
    "cause",
    "check",
    "code",
    "component",
    "consumer",
    "end",
    "host",
    "instance",
    "job",
    "kind",
    "le",
    "mode",
    "name",
    "outcome",
    "quantile",
    "reason",
    "region",
    "result",
    "role",
    "scope",
    "sink",
    "site",
    "source",
    "state",
    "tunnel",
    "verdict",
    "version",
    "vpn",
    "why",
];

/// The settings of a sink of type `webhook`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// The address that it posts to.
    pub url: WebhookUrl,
    /// What it posts.
    pub body: WebhookBody,
    /// Headers besides our own; `{secret}` in a value is replaced by the secret.
    pub headers: Vec<(String, String)>,
    /// The file with the secret for the template and the headers.
    pub secret: Option<PathBuf>,
    /// The file with the key of the signature.
    pub signing_secret: Option<PathBuf>,
    /// The certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether plain HTTP is allowed.
    pub allow_http: bool,
    /// The limit for a whole call, from the first packet to the last of the answer.
    pub timeout: Duration,
    /// The interval at which open incidents are sent again.
    pub repeat_every: Option<Duration>,
}

/// The address of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookUrl {
    /// In the configuration.
    Plain(Arc<str>),
    /// In this file, as a secret: anybody who knows it can post.
    Secret(PathBuf),
}

/// What a webhook sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookBody {
    /// A ready template.
    Preset(WebhookPreset),
    /// The operator's own template.
    Template {
        /// Its file.
        path: PathBuf,
        /// Its text.
        text: Arc<str>,
    },
}

/// A ready template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WebhookPreset {
    /// PagerDuty Events API v2.
    PagerDuty,
    /// A Slack incoming webhook.
    Slack,
    /// Alertmanager API v2.
    Alertmanager,
}

impl WebhookPreset {
    /// Every preset.
    pub const ALL: [Self; 3] = [Self::PagerDuty, Self::Slack, Self::Alertmanager];

    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PagerDuty => "pagerduty",
            Self::Slack => "slack",
            Self::Alertmanager => "alertmanager",
        }
    }
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The database's file; absolute.
    pub path: PathBuf,
    /// The limit in bytes of the file and the files that belong to it.
    pub max_size: u64,
    /// History older than this is deleted.
    pub keep: Duration,
    /// Whether rollups are kept until they are sent; without a publisher nothing would ever send them.
    pub spool: bool,
}

/// `[ipsec]`: where the state of the IPsec connections is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IpsecSettings {
    /// At strongSwan's VICI socket.
    Vici {
        /// The socket; absolute.
        socket: PathBuf,
    },
    /// In the kernel's counters of the tunnels' interfaces, for another IKE daemon.
    Kernel,
}

/// `[bgp]`: where the state of the BGP sessions is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BgpSettings {
    /// At BIRD's control socket.
    Bird {
        /// The socket; absolute.
        socket: PathBuf,
    },
    /// From FRR by `vtysh`.
    Frr {
        /// The program; absolute.
        vtysh: PathBuf,
    },
}

/// The response plan of an incident: `{scope}` is the id of a connection, or a parent such as `uplink-wan1`; `{vpn_id}` the id of
/// `vpn`, the connection itself or the first of the parent's.
///
/// The name of a plan has letters, digits, hyphens and underscores only (Incident Manager API reference, `CreateResponsePlan`),
/// and the name of a site or a parent may have others: each becomes a hyphen.
pub fn response_plan(template: &str, of: &Scope, vpn: &VpnId, kind: &str) -> String {
    let scope = match of {
        Scope::Connection(vpn) => vpn.as_str().to_owned(),
        Scope::Parent(parent) => {
            let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
            format!("{}-{}", parent.kind.as_str(), parent.name.chars().map(plain).collect::<String>())
        }
    };
    template.replace("{vpn_id}", vpn.as_str()).replace("{scope}", &scope).replace("{kind}", kind)
}

/// `[[uplink]]`: a way to AWS's outside addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UplinkSettings {
    /// Its name; `None` where none is configured and the routing table decides.
    pub name: Option<Arc<str>>,
    /// The interface that echoes are bound to.
    pub interface: Option<Arc<str>>,
    /// The address that echoes are sent from.
    pub source: Option<IpAddr>,
    /// Hosts that answer as long as the uplink works.
    pub references: Vec<IpAddr>,
}

/// What sensors there are, and what they look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SensorSettings {
    /// `[ipsec]`.
    pub ipsec: Option<IpsecSettings>,
    /// `[bgp]`.
    pub bgp: Option<BgpSettings>,
    /// Every used tunnel, in the order of the configuration.
    pub subjects: Vec<Arc<Subject>>,
}

/// A tunnel, as far as a sensor must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its identity; `outside_ip` is the IKE peer.
    pub tunnel: TunnelId,
    /// AWS's end inside the tunnel, which is the BGP neighbour.
    pub inside_ip: IpAddr,
    /// Our end inside the tunnel.
    pub source_ip: IpAddr,
    /// The tunnel's interface.
    pub interface: Option<Arc<str>>,
    /// The IKE daemon's socket, where it is not that of `[ipsec]`.
    pub ipsec_socket: Option<Arc<Path>>,
    /// The way to AWS's outside address.
    pub uplink: Arc<UplinkSettings>,
    /// The prefixes that the neighbour must announce, as `10.0.0.0/16`.
    pub monitored_prefixes: Arc<[Arc<str>]>,
}
