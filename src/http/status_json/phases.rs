//! Where the kinds of incident of a connection or parent stand, in `/status`.

use serde::{Deserialize, Serialize};

use crate::domain::names::Kind;
use crate::domain::status::Phase;

/// Where each kind of incident stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PhasesJson {
    /// Both ends agree that an active tunnel is down, and no other carries traffic.
    pub outage: String,
    /// Both ends agree that an active tunnel is down, and another carries traffic, or may.
    pub redundancy_lost: String,
    /// The ends do not agree, and of each tunnel one or the other says that it is down.
    pub one_sided: String,
    /// A tunnel is up, but lossy, slow or uneven.
    #[serde(default = "clear")]
    pub degraded: String,
}

fn clear() -> String {
    Phase::Clear.as_str().to_owned()
}

/// A kind without a phase cannot open.
pub(super) fn phases_json(phases: &[(Kind, Phase)]) -> PhasesJson {
    let phase = |kind: Kind| {
        let phase = phases.iter().find(|(of, _)| *of == kind).map_or(Phase::Clear, |(_, phase)| *phase);
        phase.as_str().to_owned()
    };
    PhasesJson {
        outage: phase(Kind::Outage),
        redundancy_lost: phase(Kind::RedundancyLost),
        one_sided: phase(Kind::OneSided),
        degraded: phase(Kind::Degraded),
    }
}
