//! The configuration in the daemon's own types: the core's [`Plan`], and what each edge needs besides.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::names::{Destination, Kind, SinkId, VpnId};
use crate::domain::plan::{ParentPlan, Plan, SinkPlan};
use crate::domain::scope::Scope;
use crate::outbound::KeyExchange;
use crate::settings::{
    Labels, SensorSettings, StoreSettings, WebhookBody, WebhookSettings, WebhookUrl, response_plan,
};

use super::problem::Warning;

/// The whole, valid configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What the core decides on; its `sinks` are empty in mode [`Mode::Observe`].
    pub plan: Arc<Plan>,
    /// Whether incidents are raised.
    pub mode: Mode,
    /// `[aws]`, apart from what the plan holds.
    pub aws: AwsDefaults,
    /// Settings of each connection that the plan does not hold.
    pub vpns: BTreeMap<VpnId, VpnDetails>,
    /// `[[incident.sink]]` in order, in mode [`Mode::Observe`] too.
    pub sinks: Vec<SinkSettings>,
    /// `[cloudwatch]`; `None` if it is disabled.
    pub cloudwatch: Option<CloudWatchSettings>,
    /// `[http]`.
    pub http: HttpSettings,
    /// `[store]`.
    pub store: StoreSettings,
    /// `[ipsec]`, `[bgp]` and `[[uplink]]`, by tunnel.
    pub sensors: SensorSettings,
}

/// A configuration as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What is allowed but deserves a look.
    pub warnings: Vec<Warning>,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
}

/// `incident.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Incidents go to the sinks.
    Raise,
    /// Everything is decided and recorded, nothing is sent.
    Observe,
}

/// `[aws]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsDefaults {
    /// The default Region; `None` leaves it to the SDK's own chain.
    pub region: Option<Arc<str>>,
    /// Whether EC2 `DescribeVpnConnections` is polled besides CloudWatch.
    pub ec2_telemetry: bool,
    /// The TLS key exchange with AWS and with webhooks.
    pub key_exchange: KeyExchange,
}

/// `[[vpn]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VpnDetails {
    /// The Region of the connection, if it is not that of `[aws]`.
    pub region: Option<Arc<str>>,
    /// The role for polling it.
    pub role_arn: Option<Arc<str>>,
    /// The runbook's address, for incidents.
    pub runbook_url: Option<Arc<str>>,
    /// Notes, for incidents.
    pub notes: Option<Arc<str>>,
    /// Its own labels, those of `[labels]` included.
    pub labels: Labels,
}

/// `[[incident.sink]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkSettings {
    /// Its name, or its type and, from the second of a type on, its position among them.
    pub id: SinkId,
    /// Its identity, whatever its name and position.
    pub destination: Destination,
    /// The service with its records.
    pub vendor: Vendor,
    /// Its Region, if it is not that of `[aws]`.
    pub region: Option<Arc<str>>,
    /// The role to assume.
    pub role_arn: Option<Arc<str>>,
    /// The kinds it takes.
    pub kinds: BTreeSet<Kind>,
    /// The connections it takes, and the parents of those; `None` takes all.
    pub scopes: Option<BTreeSet<Scope>>,
    /// The impact of each kind, 1 (critical) to 5 (none); every kind has one.
    pub impact: BTreeMap<Kind, u8>,
}

/// An incident as it can open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PossibleIncident {
    /// What it is about.
    pub of: Scope,
    /// The connection that `{vpn_id}` names: its own, or a parent's first.
    pub vpn: VpnId,
    /// Its kind.
    pub kind: Kind,
}

/// The service that keeps the records of a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vendor {
    /// AWS Systems Manager Incident Manager.
    IncidentManager {
        /// The ARN of the response plan, with the placeholders `{scope}`, `{vpn_id}` and `{kind}` where there are any.
        response_plan: Arc<str>,
    },
    /// AWS Systems Manager OpsCenter.
    OpsCenter,
    /// An AWS SNS topic.
    Sns {
        /// Its ARN, which names its Region.
        topic_arn: Arc<str>,
    },
    /// An HTTPS POST.
    Webhook(Box<WebhookSettings>),
}

/// `[cloudwatch]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudWatchSettings {
    /// The namespace of the metrics.
    pub namespace: Arc<str>,
    /// Between two deliveries of live data; 10 s to 5 min.
    pub interval: Duration,
    /// The Region, if it is not that of `[aws]`.
    pub region: Option<Arc<str>>,
    /// The role to assume.
    pub role_arn: Option<Arc<str>>,
}

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// The listener's address; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// Host names that requests may use, besides this host's own.
    pub hosts: Vec<Arc<str>>,
}

impl Mode {
    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Observe => "observe",
        }
    }
}

impl Vendor {
    /// The word used in the configuration and in the ids of sinks.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::IncidentManager { .. } => "incident_manager",
            Self::OpsCenter => "ops_center",
            Self::Sns { .. } => "sns",
            Self::Webhook(_) => "webhook",
        }
    }
}

impl Config {
    /// The incidents that a sink takes.
    pub fn taken_by(&self, sink: &SinkSettings) -> Vec<PossibleIncident> {
        sink.taken(self.plan.vpns.iter().map(|vpn| &vpn.id), &self.plan.parents)
    }
}

impl SinkSettings {
    /// Where incidents of this kind on this connection go, for display.
    pub fn target(&self, vpn: &VpnId, kind: Kind) -> String {
        self.target_of(&PossibleIncident { of: vpn.clone().into(), vpn: vpn.clone(), kind })
    }

    /// Where an incident goes, for display.
    pub fn target_of(&self, PossibleIncident { of, vpn, kind }: &PossibleIncident) -> String {
        match &self.vendor {
            Vendor::IncidentManager { response_plan: template } => {
                response_plan(template, of, vpn, kind.as_str())
            }
            Vendor::OpsCenter => format!("an OpsItem of severity {}", self.severity(*kind)),
            Vendor::Sns { topic_arn } => topic_arn.to_string(),
            Vendor::Webhook(webhook) => described(webhook),
        }
    }

    /// The incidents that it takes: those of each connection in turn, then those of each parent.
    pub fn taken<'c>(
        &self,
        vpns: impl Iterator<Item = &'c VpnId>,
        parents: &'c [Arc<ParentPlan>],
    ) -> Vec<PossibleIncident> {
        let plan = self.plan();
        let connections = vpns.map(|vpn| (Scope::Connection(vpn.clone()), vpn));
        let of_parent =
            |parent: &'c Arc<ParentPlan>| Some((Scope::Parent(parent.id.clone()), parent.vpns.first()?));
        let scopes = connections.chain(parents.iter().filter_map(of_parent));
        let incidents = scopes.flat_map(|(of, vpn)| {
            let kinds = Kind::ALL.into_iter().filter(|kind| match kind {
                Kind::Outage | Kind::RedundancyLost | Kind::OneSided => true,
                Kind::Degraded => of.vpn().is_some(),
            });
            let incident = |kind| PossibleIncident { of: of.clone(), vpn: vpn.clone(), kind };
            kinds.map(incident).collect::<Vec<_>>()
        });
        incidents.filter(|incident| plan.takes(&incident.of, incident.kind)).collect()
    }

    /// The severity of an OpsItem, 1 to 4: its impact, of which "none" is OpsCenter's lowest.
    pub fn severity(&self, kind: Kind) -> u8 {
        self.impact(kind).min(4)
    }

    /// The impact of incidents of this kind, 1 (critical) to 5 (none).
    pub fn impact(&self, kind: Kind) -> u8 {
        self.impact.get(&kind).copied().unwrap_or(kind.default_impact())
    }

    /// Its part of the core's plan.
    pub fn plan(&self) -> SinkPlan {
        SinkPlan {
            id: self.id.clone(),
            destination: self.destination.clone(),
            kinds: self.kinds.clone(),
            scopes: self.scopes.clone(),
        }
    }
}

/// Where and what a webhook posts, for display.
fn described(webhook: &WebhookSettings) -> String {
    let url = match &webhook.url {
        WebhookUrl::Plain(url) => shown(url),
        WebhookUrl::Secret(path) => format!("the address in {}", path.display()),
    };
    match &webhook.body {
        WebhookBody::Preset(preset) => format!("{} POST {url}", preset.as_str()),
        WebhookBody::Template { path, text: _ } => format!("{} POST {url}", path.display()),
    }
}

/// Scheme, host and port, as in the log: the rest may hold a secret.
fn shown(url: &str) -> String {
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
    fn of_an_address_only_the_host_is_shown() {
        assert_eq!(shown("https://example.com:8443/a/b?c"), "https://example.com:8443/…");
        assert_eq!(shown("https://example.com?c"), "https://example.com/…");
        assert_eq!(shown("https://example.com/"), "https://example.com/");
        assert_eq!(shown("https://example.com"), "https://example.com/");
    }
}
