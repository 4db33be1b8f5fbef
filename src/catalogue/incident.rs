//! Incidents as journal records.

use super::message_id::MessageId;
use super::phrases::{count, duration, time, whose};
use super::record::JournalRecord;
use crate::domain::board::{Incident, IncidentState, TunnelSnapshot};
use crate::domain::carrying::Traffic;
use crate::domain::fact::IncidentChange;
use crate::domain::names::{End, Kind, Role};
use crate::domain::time::Now;

pub(super) fn incident_changed(incident: &Incident, change: IncidentChange, at: Now) -> JournalRecord {
    let (id, text) = match change {
        IncidentChange::Opened => (MessageId::INCIDENT_OPENED, opened(incident, at)),
        IncidentChange::Adopted => (MessageId::INCIDENT_ADOPTED, adopted(incident, at)),
        IncidentChange::Confirmed => {
            let text = format!("this site sees it too: {}", stands(incident));
            (MessageId::INCIDENT_CONFIRMED, text)
        }
        IncidentChange::Updated => {
            let text = format!("its timeline has {}", count(incident.timeline.len(), "line"));
            (MessageId::INCIDENT_UPDATED, text)
        }
        IncidentChange::Worsened => {
            (MessageId::INCIDENT_WORSENED, "worse: another tunnel is down, or the same one again".to_owned())
        }
        IncidentChange::Clearing => {
            let text = format!("{}; it is resolved if that lasts", relief(incident.id.kind));
            (MessageId::INCIDENT_CLEARING, text)
        }
        IncidentChange::Reopened => {
            let text = format!("not over: {}", stands(incident));
            (MessageId::INCIDENT_REOPENED, text)
        }
        IncidentChange::Resolved => {
            let lasted = duration(at.wall.since(incident.began));
            (MessageId::INCIDENT_RESOLVED, format!("resolved, {lasted} after it began"))
        }
        IncidentChange::HandedOver => (
            MessageId::INCIDENT_HANDED_OVER,
            "handed over: its records stay open; the host that now holds the address adopts them".to_owned(),
        ),
        IncidentChange::Unwatched => (
            MessageId::INCIDENT_UNWATCHED,
            "its connection was removed from the configuration; its records stay open: close them by hand"
                .to_owned(),
        ),
    };
    let record = about_incident(incident, id, &text);
    match change {
        IncidentChange::Opened | IncidentChange::Adopted => record.with("TUNNELS", snapshots(incident)),
        // What both ends said when it opened is not what they say by then.
        IncidentChange::Confirmed
        | IncidentChange::Updated
        | IncidentChange::Worsened
        | IncidentChange::Clearing
        | IncidentChange::Reopened
        | IncidentChange::Resolved
        | IncidentChange::Unwatched
        | IncidentChange::HandedOver => record,
    }
}

/// What both ends said of each tunnel when the incident opened, or was adopted.
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

fn adopted(incident: &Incident, at: Now) -> String {
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
pub(super) fn about_incident(incident: &Incident, id: MessageId, text: &str) -> JournalRecord {
    let kind = incident.id.kind.as_str();
    id.record(format!("{}: {}: {kind} incident: {text}", incident.site, incident.vpn_name))
        .with("VPN_ID", incident.id.vpn.as_str())
        .with("KIND", kind)
        .with("SITE", &*incident.site)
        .with("INCIDENT", incident.id.to_string())
}
