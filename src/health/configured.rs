//! What the configuration in force says of who pages whom, and of who needs AWS for it: a problem of AWS's explains only what goes the
//! same way.

use crate::domain::names::{AwsPlace, Kind, VpnId};
use crate::domain::plan::SinkPlan;

/// What of the configuration tells which problem explains which, and which of them keeps people from being paged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configured {
    /// The sinks that incidents go to; none in mode `observe`.
    pub sinks: Vec<SinkUse>,
    /// How metrics go to CloudWatch, if they do.
    pub publisher: Option<AwsPlace>,
}

/// A sink, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkUse {
    /// What it takes.
    pub plan: SinkPlan,
    /// How it goes by AWS; `None` if it does not.
    pub way: Option<AwsPlace>,
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
