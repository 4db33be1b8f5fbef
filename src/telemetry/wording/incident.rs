//! Incidents, in the journal's words.

use log::Level;

use super::phrases::{count, duration, time, whose};
use super::record::Record;
use crate::domain::board::{Incident, IncidentState, TunnelSnapshot};
use crate::domain::carrying::Traffic;
use crate::domain::fact::IncidentChange;
use crate::domain::names::{End, Kind, Role};
use crate::domain::time::Now;
use crate::telemetry::message_id::MessageId;

pub(super) fn incident_changed(incident: &Incident, change: IncidentChange, at: Now) -> Record {
    let (level, id, text) = match change {
        IncidentChange::Opened => (Level::Warn, MessageId::INCIDENT_OPENED, opened(incident, at)),
        IncidentChange::TakenUp => (Level::Info, MessageId::INCIDENT_TAKEN_UP, taken_up(incident, at)),
        IncidentChange::Witnessed => {
            let told = format!("this site sees it too: {}", stands(incident));
            (Level::Warn, MessageId::INCIDENT_WITNESSED, told)
        }
        IncidentChange::Updated => {
            let told = format!("its timeline has {}", count(incident.timeline.len(), "line"));
            (Level::Debug, MessageId::INCIDENT_UPDATED, told)
        }
        IncidentChange::Worsened => (
            Level::Warn,
            MessageId::INCIDENT_WORSENED,
            "worse: another tunnel is down, or the same one again".to_owned(),
        ),
        IncidentChange::Clearing => {
            let told = format!("{}; it is resolved if that lasts", relief(incident.id.kind));
            (Level::Info, MessageId::INCIDENT_CLEARING, told)
        }
        IncidentChange::Reopened => {
            let told = format!("not over: {}", stands(incident));
            (Level::Warn, MessageId::INCIDENT_REOPENED, told)
        }
        IncidentChange::Resolved => {
            let lasted = duration(at.wall.since(incident.began));
            (Level::Info, MessageId::INCIDENT_RESOLVED, format!("resolved, {lasted} after it began"))
        }
        IncidentChange::HandedOver => (
            Level::Info,
            MessageId::INCIDENT_HANDED_OVER,
            "handed over: its records stay open; the host that now holds the address adopts them".to_owned(),
        ),
        IncidentChange::Unwatched => (
            Level::Warn,
            MessageId::INCIDENT_UNWATCHED,
            "its connection was removed from the configuration; its records stay open: close them by hand"
                .to_owned(),
        ),
    };
    let record = about_incident(incident, level, id, &text);
    match change {
        IncidentChange::Opened | IncidentChange::TakenUp => record.with("TUNNELS", snapshots(incident)),
        // What both ends said when it opened is not what they say by then.
        IncidentChange::Witnessed
        | IncidentChange::Updated
        | IncidentChange::Worsened
        | IncidentChange::Clearing
        | IncidentChange::Reopened
        | IncidentChange::Resolved
        | IncidentChange::Unwatched
        | IncidentChange::HandedOver => record,
    }
}

/// What both ends said of each tunnel when the incident opened, or was taken up.
fn snapshots(incident: &Incident) -> String {
    let tunnels: Vec<_> = incident.tunnels.iter().map(snapshot).collect();
    tunnels.join(", ")
}

fn opened(incident: &Incident, at: Now) -> String {
    let Incident {
        id: _,
        site: _,
        vpn_name: _,
        state: _,
        began,
        found_at: _,
        tunnels: _,
        timeline: _,
        related,
        worsened: _,
        revision: _,
    } = incident;
    let mut text = format!("{} since {}: {}", stands(incident), time(*began, at.wall), snapshots(incident));
    if let Some(related) = related {
        text.push_str("; follows the incident ");
        text.push_str(&related.to_string());
    }
    text
}

pub(super) fn missed(incident: &Incident, at: Now) -> String {
    let tunnels: Vec<_> =
        incident.tunnels.iter().map(|tunnel| format!("{} ({})", tunnel.name, tunnel.id.outside_ip)).collect();
    let until = match incident.state {
        IncidentState::Resolved { at: ended } | IncidentState::Unwatched { at: ended } => {
            time(ended, at.wall)
        }
        IncidentState::Open => "now".to_owned(),
    };
    format!(
        "both ends had {} down from {} to {until}, while AWS could not be reached: nobody was paged",
        tunnels.join(", "),
        time(incident.began, at.wall)
    )
}

fn taken_up(incident: &Incident, at: Now) -> String {
    let sink = incident.found_at.as_ref().map_or("a sink", |sink| sink.as_str());
    let created = time(incident.id.opened, at.wall);
    format!("found open at {sink}, created {created}; adopted: {}", snapshots(incident))
}

fn snapshot(tunnel: &TunnelSnapshot) -> String {
    let TunnelSnapshot { id, name, role, local, aws, assessment: _, carrying: _ } = tunnel;
    let role = match role {
        Role::Active => String::new(),
        Role::Standby | Role::Unused => format!(", {}", role.as_str()),
    };
    format!(
        "{name} ({}{role}) {} by {}, {} by {}",
        id.outside_ip,
        local.verdict.as_str(),
        whose(End::Local),
        aws.verdict.as_str(),
        whose(End::Aws)
    )
}

/// What the condition of a kind is, whatever becomes of the traffic.
pub(super) const fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Outage => "nothing gets through the connection",
        Kind::RedundancyLost => "both ends agree that an active tunnel is down",
        Kind::OneSided => "no tunnel is up at both ends, and the ends do not agree",
    }
}

/// What an incident means as it stands: whether the connection works is said by whether a tunnel carries traffic.
fn stands(incident: &Incident) -> &'static str {
    match (incident.id.kind, incident.traffic()) {
        (Kind::Outage, Traffic::DoesNotFlow) => meaning(Kind::Outage),
        (Kind::Outage, Traffic::CannotTell) => "a tunnel is down, and no other is known to work",
        (Kind::Outage, Traffic::Flows) => "one tunnel works again",
        (Kind::RedundancyLost, Traffic::Flows) => "the connection works, on fewer tunnels than it should",
        (Kind::RedundancyLost, Traffic::CannotTell) => {
            "an active tunnel is down, and whether another works cannot be told"
        }
        (Kind::RedundancyLost, Traffic::DoesNotFlow) => "an active tunnel is down, and no other works",
        (Kind::OneSided, Traffic::Flows) => "one tunnel works again",
        (Kind::OneSided, Traffic::CannotTell | Traffic::DoesNotFlow) => meaning(Kind::OneSided),
    }
}

const fn relief(kind: Kind) -> &'static str {
    match kind {
        Kind::Outage => "a tunnel carries traffic again",
        Kind::RedundancyLost => "every active tunnel carries traffic again",
        Kind::OneSided => "a tunnel carries traffic again, or both ends agree",
    }
}

/// An incident carries its own names: its connection may have left the configuration.
pub(super) fn about_incident(incident: &Incident, level: Level, id: MessageId, text: &str) -> Record {
    Record {
        level,
        kind: id,
        message: format!(
            "{}: {}: {} incident: {text}",
            incident.site,
            incident.vpn_name,
            incident.id.kind.as_str()
        ),
        fields: vec![
            ("VPN_ID", incident.id.vpn.to_string()),
            ("KIND", incident.id.kind.as_str().to_owned()),
            ("SITE", incident.site.to_string()),
            ("INCIDENT", incident.id.to_string()),
        ],
    }
}
