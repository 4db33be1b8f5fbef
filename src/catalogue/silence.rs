//! What happens to silences, as journal records.

use super::message_id::MessageId;
use super::phrases::{parent_words, time};
use super::record::JournalRecord;
use crate::clock;
use crate::domain::plan::Plan;
use crate::domain::silence::{Silence, SilenceScope};
use crate::silences::cover::Lost;

/// So many connections that are not silenced any more are named.
const NAMED: usize = 10;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilenceChange {
    /// Somebody added it.
    Added,
    /// Its window began, or the daemon has started within it.
    Began,
    /// Its window ended.
    Ended {
        /// Who ended the whole silence; `None` if its time had come.
        by: Option<u32>,
    },
}

/// Something that happened to a silence.
#[derive(Debug, Clone, Copy)]
pub struct SilenceNotice<'a> {
    /// The silence, in the window of which this speaks.
    pub silence: &'a Silence,
    /// What it silences, by [`silenced`].
    pub what: &'a str,
    /// What happened.
    pub change: SilenceChange,
}

impl SilenceNotice<'_> {
    /// The record, of this site.
    pub fn record(&self, site: &str) -> JournalRecord {
        let Self { silence, what, change } = *self;
        let Silence { id, of, from, until, weekly, reason, by, added: _, from_now: _ } = silence;
        let end = time(*until, *from);
        let again = weekly.as_ref().map_or_else(String::new, |zone| format!(", every week ({zone})"));
        let (kind, text) = match change {
            SilenceChange::Added => (
                MessageId::SILENCE_ADDED,
                format!(
                    "silence {id} of {what} added by user id {by}: {} to {end}{again}",
                    clock::rfc3339(*from)
                ),
            ),
            SilenceChange::Began => (
                MessageId::SILENCE_BEGAN,
                format!("silence {id} of {what} is in force until {end}{again}: incidents are not sent"),
            ),
            SilenceChange::Ended { by: None } => {
                (MessageId::SILENCE_ENDED, format!("silence {id} of {what} ended{again}"))
            }
            SilenceChange::Ended { by: Some(by) } => {
                (MessageId::SILENCE_ENDED, format!("silence {id} of {what} ended by user id {by}"))
            }
        };
        let record = kind
            .record(format!("{site}: {text}: {reason}"))
            .with("SILENCE", id.to_string())
            .with("SCOPE", of.to_string())
            .with("REASON", &**reason)
            .with("UNTIL", clock::rfc3339(*until));
        let record = match of {
            SilenceScope::Site | SilenceScope::Parent(_) => record,
            SilenceScope::Connection(vpn) => record.with("VPN_ID", vpn.as_str()),
            SilenceScope::Tunnel(tunnel) => {
                record.with("VPN_ID", tunnel.vpn.as_str()).with("TUNNEL_IP", tunnel.outside_ip.to_string())
            }
        };
        let by = match change {
            SilenceChange::Added | SilenceChange::Began => Some(*by),
            SilenceChange::Ended { by } => by,
        };
        match by {
            Some(by) => record.with("BY_UID", by.to_string()),
            None => record,
        }
    }
}

/// What a reload has taken out of a silence, and what to do. `before`: the plan in which it matched.
pub fn uncovered(silence: &Silence, lost: &Lost, before: &Plan) -> String {
    let Silence { id, of, .. } = silence;
    let what = silenced(of, before);
    match (lost, of) {
        (Lost::Everything, SilenceScope::Parent(_)) => format!(
            "silence {id} ({what}) matches nothing any more: its connections are not silenced. If the work goes on, silence \
             them by their new name"
        ),
        (Lost::Everything, SilenceScope::Site | SilenceScope::Connection(_) | SilenceScope::Tunnel(_)) => {
            format!(
                "silence {id} ({what}) matches nothing any more: what has taken its place is not silenced. If the work goes on, \
             silence that"
            )
        }
        (Lost::Connections(all), _) => {
            let names: Vec<&str> = all.iter().take(NAMED).map(|name| &**name).collect();
            let more = all.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(
                "silence {id} ({what}) no longer covers all that it did: not silenced any more: {}{more}",
                names.join(", ")
            )
        }
    }
}

/// What a silence silences: `the whole site`, `uplink wan1`, `Milan DC (vpn-…)`, `Milan DC: tunnel 1 (203.0.113.11)`; an id alone of
/// what is not in the plan.
pub fn silenced(of: &SilenceScope, plan: &Plan) -> String {
    match of {
        SilenceScope::Site => "the whole site".to_owned(),
        SilenceScope::Parent(parent) => parent_words(parent),
        SilenceScope::Connection(id) => match plan.vpn(id) {
            Some(vpn) if *vpn.name != *id.as_str() => format!("{} ({id})", vpn.name),
            Some(_) | None => id.to_string(),
        },
        SilenceScope::Tunnel(id) => {
            let vpn = plan.vpn(&id.vpn);
            let tunnel = vpn.and_then(|vpn| vpn.tunnels.iter().find(|tunnel| tunnel.id == *id));
            match (vpn, tunnel) {
                (Some(vpn), Some(tunnel)) => format!("{}: {} ({})", vpn.name, tunnel.name, id.outside_ip),
                (Some(_), None) | (None, _) => format!("tunnel {} of {}", id.outside_ip, id.vpn),
            }
        }
    }
}
