//! The settings of a sink's reconciler.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::names::{Kind, SinkId, VpnId};
use crate::domain::plan::{Route, SinkPlan};

/// The source that marks a drill's record.
pub const DRILL_SOURCE: &str = "bothends.drill";

/// One sink's settings, for its reconciler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkRules {
    /// Its id, and which incidents it accepts.
    pub sink: SinkPlan,
    /// This gateway's name.
    pub site: Arc<str>,
    /// The response plan's ARN (or the vendor's counterpart), with the placeholders `{vpn_id}` and `{kind}`.
    pub plan: Arc<str>,
    /// The impact of each kind, 1 (critical) to 5 (none); a kind that is not listed has [`Kind::default_impact`].
    pub impact: BTreeMap<Kind, u8>,
    /// What is known of each connection beyond the core's plan.
    pub vpns: BTreeMap<VpnId, VpnSettings>,
}

/// Settings of a sink that only accepts messages, for its dispatcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSettings {
    /// The settings that every sink has; `plan` is not used here.
    pub rules: SinkRules,
    /// How often an open incident is repeated, for a vendor that treats silence as its end.
    pub repeat_every: Option<Duration>,
}

/// One connection, for its records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VpnSettings {
    /// Its AWS Region, which is not always the sink's.
    pub region: Arc<str>,
    /// The runbook.
    pub runbook_url: Option<Arc<str>>,
    /// The operator's notes.
    pub notes: Option<Arc<str>>,
    /// Where this daemon publishes its metrics, if it does.
    pub metrics: Option<Metrics>,
    /// The route of each tunnel's probes, by its outside address, for the commands that a text suggests.
    pub routes: BTreeMap<IpAddr, Arc<Route>>,
}

/// Where metrics are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// CloudWatch's namespace.
    pub namespace: Arc<str>,
    /// The Region.
    pub region: Arc<str>,
}

impl SinkRules {
    /// The sink's id.
    pub const fn id(&self) -> &SinkId {
        &self.sink.id
    }

    /// The scope of a connection and kind; `None` if the connection is not (or no longer) configured.
    pub fn scope(&self, vpn: &VpnId, kind: Kind) -> Option<Scope> {
        let region = &self.vpns.get(vpn)?.region;
        let plan = self.plan.replace("{vpn_id}", vpn.as_str()).replace("{kind}", kind.as_str());
        // arn:<partition>:<service>:<region>:<account>:<resource>
        let mut fields = plan.splitn(6, ':');
        let partition = fields.nth(1).unwrap_or("aws").to_owned();
        let account = fields.nth(2).unwrap_or_default().to_owned();
        Some(Scope {
            vpn: vpn.clone(),
            kind,
            plan,
            source: format!("bothends.{}", kind.as_str()),
            resource: format!("arn:{partition}:ec2:{region}:{account}:vpn-connection/{vpn}"),
        })
    }

    /// Every scope that the sink accepts.
    pub fn scopes(&self) -> Vec<Scope> {
        let kinds = |vpn| Kind::ALL.into_iter().filter(move |kind| self.sink.takes(vpn, *kind));
        self.vpns.keys().flat_map(|vpn| kinds(vpn).filter_map(|kind| self.scope(vpn, kind))).collect()
    }

    /// The impact of a kind, 1 (critical) to 5 (none).
    pub fn impact(&self, kind: Kind) -> u8 {
        self.impact.get(&kind).copied().unwrap_or_else(|| kind.default_impact())
    }
}

/// Where the records of one connection and kind are searched for and created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// The connection.
    pub vpn: VpnId,
    /// The kind.
    pub kind: Kind,
    /// The response plan (its ARN, placeholders filled in) or the vendor's counterpart.
    pub plan: String,
    /// The source that marks a record as ours: `bothends.<kind>`.
    pub source: String,
    /// The connection's ARN.
    pub resource: String,
}

impl Scope {
    /// Whether it is a drill's, and so no incident's.
    pub fn is_drill(&self) -> bool {
        self.source == DRILL_SOURCE
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::names::Destination;

    #[test]
    fn a_scope_names_the_plan_the_source_and_the_connections_own_arn() {
        let vpn = VpnId::new("vpn-0123456789abcdef0");
        let settings = SinkRules {
            sink: SinkPlan {
                id: SinkId::new("incident_manager"),
                destination: Destination::new("0123"),
                kinds: BTreeSet::from(Kind::ALL),
                vpns: None,
            },
            site: "milan-1".into(),
            plan: "arn:aws-cn:ssm-incidents::123456789012:response-plan/bothends-{vpn_id}-{kind}".into(),
            impact: BTreeMap::new(),
            vpns: BTreeMap::from([(
                vpn.clone(),
                VpnSettings { region: "eu-south-1".into(), ..VpnSettings::default() },
            )]),
        };
        let scope = settings.scope(&vpn, Kind::OneSided).unwrap();
        assert_eq!(
            scope.plan,
            "arn:aws-cn:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef0-one_sided"
        );
        assert_eq!(scope.source, "bothends.one_sided");
        assert_eq!(
            scope.resource,
            "arn:aws-cn:ec2:eu-south-1:123456789012:vpn-connection/vpn-0123456789abcdef0"
        );
        assert_eq!(settings.scope(&VpnId::new("vpn-0"), Kind::Outage), None);
    }
}
