//! The settings of a sink's reconciler.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::names::{Kind, SinkId, VpnId};
use crate::domain::plan::{Route, SinkPlan};
use crate::domain::scope::{ParentId, Scope};
use crate::settings::response_plan;

/// The source that marks a drill's record.
pub const DRILL_SOURCE: &str = "bothends.drill";

/// One sink's settings, for its reconciler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkRules {
    /// Its id, and which incidents it accepts.
    pub sink: SinkPlan,
    /// This gateway's name.
    pub site: Arc<str>,
    /// The response plan's ARN (or the vendor's counterpart), with the placeholders of [`response_plan`].
    pub plan: Arc<str>,
    /// The impact of each kind, 1 (critical) to 5 (none); a kind that is not listed has [`Kind::default_impact`].
    pub impact: BTreeMap<Kind, u8>,
    /// What is known of each connection beyond the core's plan.
    pub vpns: BTreeMap<VpnId, VpnSettings>,
    /// The parents, each with the connections that it explains.
    pub parents: BTreeMap<ParentId, BTreeSet<VpnId>>,
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

    /// Where the records of a scope and kind are; `None` if the scope is not (or no longer) configured.
    pub fn scope(&self, of: &Scope, kind: Kind) -> Option<RecordScope> {
        let vpn = match of {
            Scope::Connection(vpn) => vpn,
            Scope::Parent(parent) => self.parents.get(parent)?.first()?,
        };
        let plan = response_plan(&self.plan, of, vpn, kind.as_str());
        // arn:<partition>:<service>:<region>:<account>:<resource>
        let mut fields = plan.splitn(6, ':');
        let partition = fields.nth(1).unwrap_or("aws").to_owned();
        let account = fields.nth(2).unwrap_or_default().to_owned();
        let resource = match of {
            Scope::Connection(vpn) => {
                let region = &self.vpns.get(vpn)?.region;
                format!("arn:{partition}:ec2:{region}:{account}:vpn-connection/{vpn}")
            }
            // Incident Manager takes ARNs only.
            Scope::Parent(parent) => format!("arn:{partition}:bothends::{account}:{parent}"),
        };
        Some(RecordScope {
            of: of.clone(),
            kind,
            plan,
            source: format!("bothends.{}", kind.as_str()),
            resource,
        })
    }

    /// Every scope that the sink accepts.
    pub fn scopes(&self) -> Vec<RecordScope> {
        let vpns = self.vpns.keys().cloned().map(Scope::Connection);
        let scopes = vpns.chain(self.parents.keys().cloned().map(Scope::Parent));
        let of = |scope: Scope| {
            let kinds = Kind::ALL.into_iter().filter(|kind| self.sink.takes(&scope, *kind));
            kinds.filter_map(|kind| self.scope(&scope, kind)).collect::<Vec<_>>()
        };
        scopes.flat_map(of).collect()
    }

    /// Whether the scope is configured.
    pub fn knows(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Connection(vpn) => self.vpns.contains_key(vpn),
            Scope::Parent(parent) => self.parents.contains_key(parent),
        }
    }

    /// What is known of a connection, if the scope is one.
    pub fn vpn(&self, scope: &Scope) -> Option<&VpnSettings> {
        self.vpns.get(scope.vpn()?)
    }

    /// The impact of a kind, 1 (critical) to 5 (none).
    pub fn impact(&self, kind: Kind) -> u8 {
        self.impact.get(&kind).copied().unwrap_or_else(|| kind.default_impact())
    }
}

/// Where the records of one scope and kind are searched for and created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordScope {
    /// The scope.
    pub of: Scope,
    /// The kind.
    pub kind: Kind,
    /// The response plan (its ARN, placeholders filled in) or the vendor's counterpart.
    pub plan: String,
    /// The source that marks a record as ours: `bothends.<kind>`.
    pub source: String,
    /// The connection's ARN; of a parent, which AWS does not know, its identity in the form of one.
    pub resource: String,
}

impl RecordScope {
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
    use crate::domain::scope::ParentKind;

    #[test]
    fn a_scope_names_the_plan_the_source_and_the_connections_own_arn() {
        let vpn = VpnId::new("vpn-0123456789abcdef0");
        let settings = SinkRules {
            sink: SinkPlan {
                id: SinkId::new("incident_manager"),
                destination: Destination::new("0123"),
                kinds: BTreeSet::from(Kind::ALL),
                scopes: None,
            },
            site: "milan-1".into(),
            plan: "arn:aws-cn:ssm-incidents::123456789012:response-plan/bothends-{vpn_id}-{kind}".into(),
            impact: BTreeMap::new(),
            vpns: BTreeMap::from([(
                vpn.clone(),
                VpnSettings { region: "eu-south-1".into(), ..VpnSettings::default() },
            )]),
            parents: BTreeMap::new(),
        };
        let scope = settings.scope(&vpn.clone().into(), Kind::OneSided).unwrap();
        assert_eq!(
            scope.plan,
            "arn:aws-cn:ssm-incidents::123456789012:response-plan/bothends-vpn-0123456789abcdef0-one_sided"
        );
        assert_eq!(scope.source, "bothends.one_sided");
        assert_eq!(
            scope.resource,
            "arn:aws-cn:ec2:eu-south-1:123456789012:vpn-connection/vpn-0123456789abcdef0"
        );
        assert_eq!(settings.scope(&VpnId::new("vpn-0").into(), Kind::Outage), None);
    }

    #[test]
    fn a_parent_has_its_own_plan_or_that_of_its_first_connection_and_is_its_own_resource() {
        let vpns = [VpnId::new("vpn-0123abcd"), VpnId::new("vpn-4567cdef")];
        let parent = ParentId { kind: ParentKind::Uplink, site: "milan / 1".into(), name: "wan.1".into() };
        let with = |name: &str| SinkRules {
            sink: SinkPlan {
                id: SinkId::new("incident_manager"),
                destination: Destination::new("0123"),
                kinds: BTreeSet::from(Kind::ALL),
                scopes: None,
            },
            site: "milan / 1".into(),
            plan: format!("arn:aws:ssm-incidents::123456789012:response-plan/{name}").into(),
            impact: BTreeMap::new(),
            vpns: BTreeMap::new(),
            parents: BTreeMap::from([(parent.clone(), BTreeSet::from(vpns.clone()))]),
        };
        let of = Scope::Parent(parent.clone());
        let plan = |name: &str| {
            let scope = with(name).scope(&of, Kind::Outage).unwrap();
            assert_eq!(scope.resource, "arn:aws:bothends::123456789012:uplink/milan / 1/wan.1");
            scope.plan.rsplit('/').next().unwrap().to_owned()
        };
        assert_eq!(plan("be-{scope}-{kind}"), "be-uplink-wan-1-outage");
        assert_eq!(plan("be-{vpn_id}-{kind}"), "be-vpn-0123abcd-outage");
        let other = Scope::Parent(ParentId { name: "wan2".into(), ..parent.clone() });
        assert_eq!(with("be").scope(&other, Kind::Outage), None);
    }
}
