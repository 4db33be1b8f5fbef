//! What the configuration in force says of who pages whom, and of who needs AWS for it: a problem of AWS's explains only what goes the
//! same way.

use std::sync::Arc;

use super::Component;
use crate::domain::names::{Kind, SourceId, VpnId};
use crate::domain::plan::SinkPlan;

/// What of the configuration tells which problem explains which, and which of them keeps people from being paged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configured {
    /// The sinks that incidents go to; none in mode `observe`.
    pub sinks: Vec<SinkUse>,
    /// How metrics go to CloudWatch, if they do.
    pub publisher: Option<Way>,
}

/// A sink, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkUse {
    /// What it takes.
    pub plan: SinkPlan,
    /// How it goes by AWS; `None` if it does not.
    pub way: Option<Way>,
}

/// How AWS is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// In which Region; `None` leaves it to the SDK's own chain.
    pub region: Option<Arc<str>>,
    /// With which role, if not with the daemon's own credentials.
    pub role_arn: Option<Arc<str>>,
}

impl Configured {
    pub(super) fn sink(&self, id: &str) -> Option<&SinkUse> {
        self.sinks.iter().find(|sink| sink.plan.id.as_str() == id)
    }

    /// The sinks that take this kind of incident of this connection.
    pub(super) fn taking<'a>(&'a self, vpn: &'a VpnId, kind: Kind) -> impl Iterator<Item = &'a SinkPlan> {
        self.sinks.iter().map(|sink| &sink.plan).filter(move |plan| plan.takes(vpn, kind))
    }
}

impl Way {
    /// What has the problems of the credentials it takes.
    pub(super) fn identity(&self) -> Component {
        Component::credentials(self.role_arn.as_deref())
    }
}

impl From<&SourceId> for Way {
    fn from(SourceId { kind: _, region, role_arn }: &SourceId) -> Self {
        Self { region: region.clone(), role_arn: role_arn.clone() }
    }
}
