//! What several connections share, and what is silenced, in `/status`.

use serde::{Deserialize, Serialize};

use super::phases::{PhasesJson, phases_json};
use crate::clock::rfc3339;
use crate::domain::names::VpnId;
use crate::domain::silence::{Silence, SilenceScope};
use crate::domain::status::{ParentStatus, Status};
use crate::domain::time::Stamp;
use crate::health::silenced::Silenced;

/// Something that several connections share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentJson {
    /// `group/<site>/<name>`, `uplink/<site>/<name>` or `site/<site>`.
    pub id: String,
    /// `group`, `uplink` or `site`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `up`, `down` or `unknown`.
    pub state: String,
    /// Since when.
    pub since: String,
    /// The ids of its connections.
    pub vpns: Vec<String>,
    /// Where each kind of incident stands.
    pub phases: PhasesJson,
    /// The silence by which it is silenced now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced: Option<u32>,
}

/// A planned time in which incidents are recorded and not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceJson {
    /// Its number.
    pub id: u32,
    /// `site`, `group`, `uplink`, `connection` or `tunnel`.
    pub scope: String,
    /// What it silences: `site`, a parent's id, a connection's id, or that and a tunnel's outside address.
    pub of: String,
    /// The names of that.
    pub name: String,
    /// When it begins, or began.
    pub from: String,
    /// When it ends.
    pub until: String,
    /// The time zone in which it comes back every week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<String>,
    /// Why.
    pub reason: String,
    /// The numeric user id of who added it.
    pub by: u32,
    /// When it was added.
    pub added: String,
    /// Whether it silences now.
    pub active: bool,
}

impl ParentJson {
    pub(super) fn of(parent: &ParentStatus, silenced: &Silenced<'_>) -> Self {
        let ParentStatus { id, state, since, vpns, phases } = parent;
        Self {
            id: id.to_string(),
            kind: id.kind.as_str().to_owned(),
            name: id.name.to_string(),
            state: state.as_str().to_owned(),
            since: rfc3339(since.wall),
            vpns: vpns.iter().map(|(vpn, _)| vpn.to_string()).collect(),
            phases: phases_json(phases),
            silenced: silenced.parent(id).map(|silence| silence.0),
        }
    }
}

impl SilenceJson {
    pub(super) fn of(silence: &Silence, status: &Status, now: Stamp) -> Self {
        let Silence { id, of, from, until, weekly, reason, by, added, from_now: _ } = silence;
        Self {
            id: id.0,
            scope: of.word().to_owned(),
            of: of.to_string(),
            name: name(of, status),
            from: rfc3339(*from),
            until: rfc3339(*until),
            weekly: weekly.as_deref().map(str::to_owned),
            reason: reason.to_string(),
            by: *by,
            added: rfc3339(*added),
            active: silence.is_active(now),
        }
    }
}

/// The names of what is silenced; ids of what has left the configuration.
fn name(of: &SilenceScope, status: &Status) -> String {
    let vpn = |id: &VpnId| status.vpns.iter().find(|vpn| vpn.id == *id);
    match of {
        SilenceScope::Site => status.site.to_string(),
        SilenceScope::Parent(parent) => parent.name.to_string(),
        SilenceScope::Connection(id) => vpn(id).map_or_else(|| id.to_string(), |vpn| vpn.name.to_string()),
        SilenceScope::Tunnel(id) => {
            let of = vpn(&id.vpn).and_then(|vpn| {
                let tunnel = vpn.tunnels.iter().find(|tunnel| tunnel.id == *id)?;
                Some(format!("{}, {}", vpn.name, tunnel.name))
            });
            of.unwrap_or_else(|| id.to_string())
        }
    }
}
