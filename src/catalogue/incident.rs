//! What happens to incidents, as journal records: of a connection, with its tunnels, and of a parent, with its connections.

use std::sync::Arc;

use log::Level;

use crate::catalogue::cause;
use crate::catalogue::message_id::MessageId;
use crate::catalogue::phrases::{
    count, degradation, duration, parent_words, time, whose, withheld_by, withheld_word,
};
use crate::catalogue::record::JournalRecord;
use crate::domain::board::{Child, Incident, IncidentState, Trouble, TunnelSnapshot};
use crate::domain::carrying::Traffic;
use crate::domain::cause::Cause;
use crate::domain::fact::IncidentChange;
use crate::domain::names::{End, Kind, Role};
use crate::domain::quality::Quality;
use crate::domain::scope::{ParentId, ParentKind, Scope};
use crate::domain::time::Now;

/// So many connections of a parent are named; `bothends status` has all.
const NAMED: usize = 8;

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
        IncidentChange::Worsened => (MessageId::INCIDENT_WORSENED, worse(&incident.id.scope).to_owned()),
        IncidentChange::Released => (
            MessageId::INCIDENT_RELEASED,
            format!(
                "sent from here on, with its true start {}: what withheld it is over; {}",
                time(incident.began, at.wall),
                stands(incident)
            ),
        ),
        IncidentChange::Clearing => {
            let text =
                format!("{}; it is resolved if that lasts", relief(&incident.id.scope, incident.id.kind));
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
        IncidentChange::Unwatched => {
            (MessageId::INCIDENT_UNWATCHED, unwatched(&incident.id.scope).to_owned())
        }
    };
    let record = about_incident(incident, id, &text);
    match change {
        IncidentChange::Opened | IncidentChange::Adopted => {
            let record = record.with("TUNNELS", parts(incident));
            match named_cause(incident) {
                Some(cause) => record.with("CAUSE", cause.as_str()),
                None => record,
            }
        }
        // What it was like at the opening is out of date by now.
        IncidentChange::Confirmed
        | IncidentChange::Updated
        | IncidentChange::Worsened
        | IncidentChange::Released
        | IncidentChange::Clearing
        | IncidentChange::Reopened
        | IncidentChange::Resolved
        | IncidentChange::Unwatched
        | IncidentChange::HandedOver => record,
    }
}

/// An incident carries its own names: what it is about may have left the configuration. One that is not sent is no news to
/// anybody who has the incident of its parent, or planned the silence.
pub(super) fn about_incident(incident: &Incident, id: MessageId, text: &str) -> JournalRecord {
    let kind = incident.id.kind.as_str();
    let name = match &incident.id.scope {
        Scope::Connection(_) => incident.name.to_string(),
        Scope::Parent(parent) => parent_words(parent),
    };
    let record = id
        .record(format!("{}: {name}: {kind} incident: {text}", incident.site))
        .with_scope(&incident.id.scope)
        .with("KIND", kind)
        .with("SITE", &*incident.site)
        .with("INCIDENT", incident.id.to_string());
    match &incident.withheld {
        None => record,
        Some(by) => {
            let level = record.level.max(Level::Info);
            record.at(level).with("WITHHELD", withheld_word(by))
        }
    }
}

/// The cause of the first part that has one.
fn named_cause(incident: &Incident) -> Option<Cause> {
    let of_tunnels = incident.tunnels.iter().filter_map(|tunnel| tunnel.diagnosis.as_ref());
    let of_tunnels = of_tunnels.map(|diagnosis| diagnosis.cause);
    let of_children = troubles(incident).filter_map(|(_, trouble)| trouble.cause);
    of_tunnels.chain(of_children).find(|cause| *cause != Cause::Unknown)
}

/// What it consists of: the tunnels of a connection, the connections of a parent.
fn parts(incident: &Incident) -> String {
    match &incident.id.scope {
        Scope::Connection(_) => snapshots(incident),
        Scope::Parent(_) => children(incident),
    }
}

fn opened(incident: &Incident, at: Now) -> String {
    let Incident {
        id,
        site: _,
        name: _,
        state: _,
        began,
        found_at: _,
        withheld,
        children: _,
        tunnels: _,
        timeline: _,
        related,
        worsened: _,
        revision: _,
    } = incident;
    let (stands, began) = (stands(incident), time(*began, at.wall));
    let mut text = match &id.scope {
        Scope::Connection(_) => format!("{stands} since {began}: {}", snapshots(incident)),
        Scope::Parent(_) => match children(incident) {
            named if named.is_empty() => format!("{stands} since {began}"),
            named => format!("{stands} since {began}: {named}"),
        },
    };
    if let Some(withheld) = withheld {
        text.push_str("; not sent: ");
        text.push_str(&withheld_by(withheld));
    }
    if let Some(related) = related {
        text.push_str("; follows the incident ");
        text.push_str(&related.to_string());
    }
    text
}

pub(super) fn missed(incident: &Incident, at: Now) -> String {
    let until = match incident.state {
        IncidentState::Resolved { at: ended } | IncidentState::Unwatched { at: ended } => {
            time(ended, at.wall)
        }
        IncidentState::Open => "now".to_owned(),
    };
    let what = match &incident.id.scope {
        Scope::Connection(_) => {
            let tunnels: Vec<_> = incident
                .tunnels
                .iter()
                .map(|tunnel| format!("{} ({})", tunnel.name, tunnel.id.outside_ip))
                .collect();
            format!("both ends had {} down", tunnels.join(", "))
        }
        Scope::Parent(parent) => failure(parent, incident.id.kind).to_owned(),
    };
    format!(
        "{what} from {} to {until}, while AWS could not be reached: nobody was paged",
        time(incident.began, at.wall)
    )
}

fn adopted(incident: &Incident, at: Now) -> String {
    let sink = incident.found_at.as_ref().map_or("a sink", |sink| sink.as_str());
    let created = time(incident.id.opened, at.wall);
    let text = format!("found open at {sink}, created {created}; adopted");
    match parts(incident) {
        parts if parts.is_empty() => text,
        parts => format!("{text}: {parts}"),
    }
}

//--- connections

/// Each tunnel as both ends saw it when the incident opened, or was adopted.
fn snapshots(incident: &Incident) -> String {
    let tunnels: Vec<_> = incident.tunnels.iter().map(snapshot).collect();
    tunnels.join(", ")
}

fn snapshot(tunnel: &TunnelSnapshot) -> String {
    let TunnelSnapshot {
        id,
        name,
        role,
        local,
        aws,
        assessment: _,
        carrying: _,
        diagnosis,
        quality,
        quality_since: _,
    } = tunnel;
    let degraded = match quality {
        Quality::Degraded(what) => format!(" (degraded: {})", degradation(*what)),
        Quality::Good | Quality::Unknown => String::new(),
    };
    let role = match role {
        Role::Active => String::new(),
        Role::Standby | Role::Unused => format!(", {}", role.as_str()),
    };
    let why = diagnosis.as_ref().filter(|diagnosis| diagnosis.cause != Cause::Unknown);
    let why = why.map(|diagnosis| format!(", because {}", cause::sentence(diagnosis))).unwrap_or_default();
    format!(
        "{name} ({}{role}) {} by {}{degraded}, {} by {}{why}",
        id.outside_ip,
        local.verdict.as_str(),
        whose(End::Local),
        aws.verdict.as_str(),
        whose(End::Aws)
    )
}

/// The condition of a kind, without the traffic.
const fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Outage => "nothing gets through the connection",
        Kind::RedundancyLost => "both ends agree that an active tunnel is down",
        Kind::OneSided => "no tunnel is up at both ends, and the ends do not agree",
        Kind::Degraded => "a tunnel is up, but degraded by loss, latency or jitter",
    }
}

//--- parents

/// The connections that its trouble shows in, in the order of their ids.
fn troubles(incident: &Incident) -> impl Iterator<Item = (&Child, &Trouble)> {
    incident.children.iter().filter_map(|child| Some((child, child.trouble.as_ref()?)))
}

/// `HQ, Paris, Rome and 55 more`.
fn children(incident: &Incident) -> String {
    let names: Vec<_> = troubles(incident).map(|(child, _)| Arc::clone(&child.name)).collect();
    let (named, more) = names.split_at(names.len().min(NAMED));
    let named = named.join(", ");
    if more.is_empty() { named } else { format!("{named} and {} more", more.len()) }
}

/// `58 of 60 connections do not carry traffic, 1 has lost redundancy`: the worst first.
fn affected(incident: &Incident) -> String {
    let of = |kind: Option<Kind>| troubles(incident).filter(|(_, trouble)| trouble.kind == kind).count();
    let kinds = Kind::ALL.into_iter().map(Some).chain([None]);
    let counts: Vec<_> = kinds.map(|kind| (of(kind), kind)).filter(|(count, _)| *count > 0).collect();
    let all = incident.children.len();
    match counts.as_slice() {
        [] => format!("none of {} is affected any more", count(all, "connection")),
        [(worst, kind), others @ ..] => {
            let mut text = format!("{worst} of {} {}", count(all, "connection"), said(*kind, *worst));
            for (number, kind) in others {
                let more = if kind.is_none() { " more" } else { "" };
                text.push_str(&format!(", {number}{more} {}", said(*kind, *number)));
            }
            text
        }
    }
}

const fn said(kind: Option<Kind>, number: usize) -> &'static str {
    match (kind, number) {
        (Some(Kind::Outage), 1) => "does not carry traffic",
        (Some(Kind::Outage), _) => "do not carry traffic",
        (Some(Kind::RedundancyLost), 1) => "has lost a tunnel",
        (Some(Kind::RedundancyLost), _) => "have lost a tunnel",
        (Some(Kind::OneSided), 1) => "is down by one end",
        (Some(Kind::OneSided), _) => "are down by one end",
        (Some(Kind::Degraded), 1) => "is degraded",
        (Some(Kind::Degraded), _) => "are degraded",
        (None, 1) => "is affected",
        (None, _) => "are affected",
    }
}

/// What a parent's incident says, without its connections.
const fn failure(parent: &ParentId, kind: Kind) -> &'static str {
    match (parent.kind, kind) {
        (ParentKind::Uplink, Kind::Outage | Kind::RedundancyLost | Kind::OneSided | Kind::Degraded) => {
            "nothing gets out over it: no tunnel over it is up, and nothing outside answers"
        }
        (ParentKind::Site, Kind::Outage | Kind::RedundancyLost | Kind::OneSided | Kind::Degraded) => {
            "none of its connections carries traffic"
        }
        (ParentKind::Group, Kind::Outage) => "none of its connections carries traffic",
        (ParentKind::Group, Kind::RedundancyLost | Kind::OneSided | Kind::Degraded) => {
            "some of its connections carry no traffic"
        }
    }
}

//--- both

/// The condition under which an incident opens.
pub(super) const fn condition(scope: &Scope, kind: Kind) -> &'static str {
    match scope {
        Scope::Connection(_) => meaning(kind),
        Scope::Parent(parent) => failure(parent, kind),
    }
}

/// What an incident means now; whether the connection works depends on whether a tunnel carries traffic.
fn stands(incident: &Incident) -> String {
    let text = match &incident.id.scope {
        Scope::Parent(_) if !incident.children.is_empty() => return affected(incident),
        Scope::Parent(parent) => failure(parent, incident.id.kind),
        Scope::Connection(_) => match (incident.id.kind, incident.traffic()) {
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
            (Kind::Degraded, Traffic::Flows | Traffic::CannotTell | Traffic::DoesNotFlow) => {
                meaning(Kind::Degraded)
            }
        },
    };
    text.to_owned()
}

const fn relief(scope: &Scope, kind: Kind) -> &'static str {
    match (scope, kind) {
        (Scope::Connection(_), Kind::Outage) => "a tunnel carries traffic again",
        (Scope::Connection(_), Kind::RedundancyLost) => "every active tunnel carries traffic again",
        (Scope::Connection(_), Kind::OneSided) => "a tunnel carries traffic again, or both ends agree",
        (Scope::Connection(_), Kind::Degraded) => "no tunnel is degraded any more",
        (
            Scope::Parent(ParentId { kind: ParentKind::Uplink, .. }),
            Kind::Outage | Kind::RedundancyLost | Kind::OneSided | Kind::Degraded,
        ) => "a tunnel over it is up, or something outside answers again",
        (
            Scope::Parent(ParentId { kind: ParentKind::Site, .. }),
            Kind::Outage | Kind::RedundancyLost | Kind::OneSided | Kind::Degraded,
        ) => "at least half of its connections carry traffic again",
        (Scope::Parent(ParentId { kind: ParentKind::Group, .. }), Kind::Outage) => {
            "one of its connections carries traffic again"
        }
        (
            Scope::Parent(ParentId { kind: ParentKind::Group, .. }),
            Kind::RedundancyLost | Kind::OneSided | Kind::Degraded,
        ) => "all of its connections carry traffic again",
    }
}

const fn worse(scope: &Scope) -> &'static str {
    match scope {
        Scope::Connection(_) => "worse: another tunnel is down, or the same one again",
        Scope::Parent(_) => "worse: it is down again, after it had recovered",
    }
}

const fn unwatched(scope: &Scope) -> &'static str {
    match scope {
        Scope::Connection(_) => {
            "its connection was removed from the configuration; its records stay open: close them by hand"
        }
        Scope::Parent(_) => {
            "it was removed from the configuration; its records stay open: close them by hand"
        }
    }
}
