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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

/// A planned time in which incidents are recorded and not sent, in `/status` and at the control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SilenceJson {
    /// Its number.
    pub id: u32,
    /// `site`, `group`, `uplink`, `connection` or `tunnel`.
    pub scope: String,
    /// What it silences: `site`, a parent's id, a connection's id, or that and a tunnel's outside address.
    pub of: String,
    /// The names of that.
    pub name: String,
    /// Whether the configuration in force has it.
    #[serde(default = "yes")]
    pub matches: bool,
    /// Whether it silences now.
    pub active: bool,
    /// Why it has no window now; `from` and `until` are the first one's then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_window: Option<String>,
    /// When its present or next window begins, or began, RFC 3339.
    pub from: String,
    /// When that ends, RFC 3339.
    pub until: String,
    /// The time zone in which it comes back every week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<String>,
    /// Why.
    pub reason: String,
    /// The numeric user id of who added it.
    pub by_uid: u32,
    /// When it was added, RFC 3339.
    pub added: String,
}

/// A daemon that did not say whether a silence matches anything may still run.
const fn yes() -> bool {
    true
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
        let name = name(&silence.of, status);
        Self::new(silence, name, now)
    }

    /// The silence at this moment. `name` is that of what it silences; `None` if the configuration in force does not have it.
    pub fn new(silence: &Silence, name: Option<String>, now: Stamp) -> Self {
        let Silence { id, of, from, until, weekly, reason, by, added, from_now: _ } = silence;
        Self {
            id: id.0,
            scope: of.word().to_owned(),
            of: of.to_string(),
            matches: name.is_some(),
            name: name.unwrap_or_else(|| of.to_string()),
            active: silence.is_active(now),
            no_window: None,
            from: rfc3339(*from),
            until: rfc3339(*until),
            weekly: weekly.as_deref().map(str::to_owned),
            reason: reason.to_string(),
            by_uid: *by,
            added: rfc3339(*added),
        }
    }
}

/// The names of what is silenced; `None` if it has left the configuration.
fn name(of: &SilenceScope, status: &Status) -> Option<String> {
    let vpn = |id: &VpnId| status.vpns.iter().find(|vpn| vpn.id == *id);
    match of {
        SilenceScope::Site => Some(status.site.to_string()),
        SilenceScope::Parent(id) => {
            let parent = status.parents.iter().find(|parent| parent.id == *id)?;
            Some(parent.id.name.to_string())
        }
        SilenceScope::Connection(id) => vpn(id).map(|vpn| vpn.name.to_string()),
        SilenceScope::Tunnel(id) => {
            let vpn = vpn(&id.vpn)?;
            let tunnel = vpn.tunnels.iter().find(|tunnel| tunnel.id == *id)?;
            Some(format!("{}, {}", vpn.name, tunnel.name))
        }
    }
}
