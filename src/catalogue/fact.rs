//! Facts of the core, incidents among them, as journal records.
//!
//! A record reports one transition; single echoes have none. WARNING: someone should look today. ERROR: the daemon cannot do
//! its job.

use std::fmt::Write as _;
use std::net::IpAddr;

use log::Level;

use crate::catalogue::cause;
use crate::catalogue::message_id::MessageId;
use crate::catalogue::phrases::{Names, count, degradation, duration, time, view, whose};
use crate::catalogue::record::JournalRecord;
use crate::clock::rfc3339;
use crate::domain::board::{Incident, IncidentState, TunnelSnapshot};
use crate::domain::carrying::Traffic;
use crate::domain::cause::{Cause, Diagnosis};
use crate::domain::event::SeenUp;
use crate::domain::fact::{Fact, IncidentChange};
use crate::domain::maintenance::{Maintenance, MaintenanceNews, MaintenanceState};
use crate::domain::names::{CheckKind, End, Kind, Role, SourceId, TunnelId};
use crate::domain::quality::Quality;
use crate::domain::scope::Scope;
use crate::domain::side::Side;
use crate::domain::stopped::not_passing_since;
use crate::domain::time::Now;
use crate::domain::verdict::{Assessment, Fault, Verdict, View, Why};

/// A busy host skips a few ticks now and then; this many in a row are worth a record.
pub(super) const TICKS_WORTH_A_RECORD: u64 = 50;

/// The record of a fact, if it is worth one.
pub fn record(fact: &Fact, names: &Names) -> Option<JournalRecord> {
    match fact {
        Fact::EchoEnded { .. } | Fact::RollupReady(_) | Fact::CouldVote { .. } => None,
        Fact::TicksSkipped { check, count } => (*count >= TICKS_WORTH_A_RECORD).then(|| {
            let text = format!("{count} probes were skipped: the host slept, or was too busy");
            about_tunnel(names, &check.tunnel, MessageId::TICKS_SKIPPED, &text)
                .with("CHECK", check.kind.to_string())
        }),
        Fact::Suspicion { check, suspect, at: _ } => {
            let text = match suspect {
                true => format!("check {} is suspect: a reply is overdue", check.kind),
                false => format!("check {} is no longer suspect", check.kind),
            };
            let record = about_tunnel(names, &check.tunnel, MessageId::SUSPICION, &text);
            Some(record.with("CHECK", check.kind.to_string()))
        }
        Fact::ViewChanged { tunnel, end, from, view, at } => {
            Some(view_changed(names, tunnel, *end, *from, view, *at))
        }
        Fact::AssessmentChanged { tunnel, from: _, to, local, aws, side, at } => {
            Some(assessment_changed(names, tunnel, *to, local, aws, *side, *at))
        }
        Fact::CauseChanged { tunnel, from: _, to, at: _ } => cause_changed(names, tunnel, to.as_ref()),
        Fact::QualityChanged { tunnel, from, to, at: _ } => quality_changed(names, tunnel, *from, *to),
        Fact::SeenUp(SeenUp::Local(check, route)) => Some(
            about_tunnel(
                names,
                &check.tunnel,
                MessageId::FIRST_SEEN_UP,
                &match check.kind {
                    CheckKind::Inside => {
                        format!("{} answered for the first time: our end has a vote", route.inside_ip)
                    }
                    CheckKind::Through(host) => {
                        format!("{host} behind the tunnel answered for the first time")
                    }
                },
            )
            .with("END", End::Local.as_str()),
        ),
        Fact::SeenUp(SeenUp::Aws(tunnel)) => Some(
            about_tunnel(names, tunnel, MessageId::FIRST_SEEN_UP, "AWS has seen it up for the first time")
                .with("END", End::Aws.as_str()),
        ),
        Fact::IncidentPending { scope, kind, opens_in, at: _ } => Some(about_scope(
            names,
            scope,
            *kind,
            MessageId::INCIDENT_PENDING,
            &format!("{}; an incident opens in {} if this goes on", meaning(*kind), duration(*opens_in)),
        )),
        Fact::IncidentAverted { scope, kind, at: _ } => Some(about_scope(
            names,
            scope,
            *kind,
            MessageId::INCIDENT_AVERTED,
            "over before an incident opened; nobody was paged",
        )),
        Fact::IncidentChanged { incident, change, at } => Some(incident_changed(incident, *change, *at)),
        Fact::IncidentSettled { incident, at: _ } => Some(about_incident(
            incident,
            MessageId::INCIDENT_SETTLED,
            "every sink has been informed that it is over",
        )),
        Fact::IncidentMissed { incident, at } => {
            Some(about_incident(incident, MessageId::INCIDENT_MISSED, &missed(incident, *at)))
        }
        Fact::EvidenceUnusable { source, tunnel, verdict } => {
            Some(evidence_unusable(names, source, tunnel, *verdict))
        }
        Fact::MaintenanceChanged { tunnel, from, to, at } => {
            maintenance_changed(names, tunnel, from, to, *at)
        }
        Fact::AddressHeld { address, held, at: _ } => Some(address_held(names, *address, *held)),
        Fact::Resumed { gap, at: _ } => Some(MessageId::RESUMED.record(format!(
            "{}: monitoring paused for {}: the host slept, or the process was stalled",
            names.site(),
            duration(*gap)
        ))),
    }
}

fn about_tunnel(names: &Names, tunnel: &TunnelId, kind: MessageId, text: &str) -> JournalRecord {
    kind.record(format!("{}: {text}", names.of_tunnel(tunnel)))
        .with("VPN_ID", tunnel.vpn.as_str())
        .with("TUNNEL_IP", tunnel.outside_ip.to_string())
}

fn about_scope(names: &Names, scope: &Scope, kind: Kind, id: MessageId, text: &str) -> JournalRecord {
    id.record(format!("{}: {}: {text}", names.of_scope(scope), kind.as_str()))
        .with_scope(scope)
        .with("KIND", kind.as_str())
}

fn view_changed(
    names: &Names,
    tunnel: &TunnelId,
    end: End,
    from: Verdict,
    to: &View,
    at: Now,
) -> JournalRecord {
    let (kind, level) = match (to.verdict, end) {
        (Verdict::Up | Verdict::Unknown(Why::Shared), End::Local | End::Aws) => {
            (MessageId::END_UP, Level::Info)
        }
        // The assessment of both ends, in the next record, shows how much it matters.
        (Verdict::Down, End::Local | End::Aws) => (MessageId::END_DOWN, Level::Info),
        (Verdict::Unknown(why), End::Local | End::Aws) => unknown(why),
    };
    let text = format!("{}; before: {}", view(to, names.inside_ip(tunnel), at), from.as_str());
    let record = about_tunnel(names, tunnel, kind, &text)
        .at(level)
        .with("END", end.as_str())
        .with("VERDICT", to.verdict.as_str());
    match to.verdict {
        Verdict::Up | Verdict::Down | Verdict::Unknown(Why::Shared) => record,
        Verdict::Unknown(why) => record.with("ERROR", why.to_string()),
    }
}

const fn unknown(why: Why) -> (MessageId, Level) {
    match why {
        Why::NeverAnswered => (MessageId::NEVER_ANSWERED, Level::Warn),
        // The host was suspended; the verdict returns by itself.
        Why::Fault(Fault::HeldUp) => (MessageId::PROBES_STALLED, Level::Info),
        // A fault of the link, not of this host.
        Why::Fault(Fault::QueueFull) | Why::Silent => (MessageId::PROBES_STALLED, Level::Warn),
        // Normal at boot until the interface is up; it clears by itself.
        Why::Fault(Fault::AddressMissing) => (MessageId::PROBE_ADDRESS_MISSING, Level::Warn),
        Why::Fault(Fault::NoPermission) => (MessageId::PROBE_NOT_PERMITTED, Level::Error),
        Why::Fault(Fault::NoMemory | Fault::TooManyFiles | Fault::Socket(_)) => {
            (MessageId::CANNOT_PROBE, Level::Error)
        }
        Why::NoData | Why::Stale | Why::Contradiction | Why::Gone => (MessageId::END_UNKNOWN, Level::Warn),
        // Normal before the first answer.
        Why::BgpUnknown => (MessageId::END_UNKNOWN, Level::Warn),
        Why::Starting | Why::Unused | Why::NotHere | Why::Shared | Why::NotAsked => {
            (MessageId::END_UNKNOWN, Level::Info)
        }
        // A minute in which the tunnel changed is not a fault.
        Why::Fraction => (MessageId::END_UNKNOWN, Level::Info),
        // EVIDENCE_UNUSABLE, or the problem of the source, reports it at WARNING.
        Why::Future | Why::Garbage => (MessageId::END_UNKNOWN, Level::Info),
    }
}

fn assessment_changed(
    names: &Names,
    tunnel: &TunnelId,
    to: Assessment,
    local: &View,
    aws: &View,
    side: Side,
    at: Now,
) -> JournalRecord {
    let (kind, text) = match to {
        Assessment::Down if local.verdict == Verdict::Up => {
            (MessageId::BOTH_ENDS_DOWN, "BGP is down, although IPsec works: AWS has no route over it")
        }
        Assessment::Healthy => (MessageId::HEALTHY, "healthy"),
        Assessment::Down => (MessageId::BOTH_ENDS_DOWN, "both ends agree that it is down"),
        Assessment::Disputed(_) => (MessageId::DISPUTED, "disputed"),
        Assessment::Unconfirmed(_) => (MessageId::UNCONFIRMED, "unconfirmed"),
        Assessment::Blind => (MessageId::BLIND, "blind"),
    };
    let level = match names.role(tunnel) {
        // A standby tunnel that is down alone does not matter.
        Some(Role::Standby | Role::Unused) => Level::Info,
        Some(Role::Active) | None => kind.levels[0],
    };
    let inside = names.inside_ip(tunnel);
    let stopped = match to {
        Assessment::Down | Assessment::Disputed(_) | Assessment::Unconfirmed(_) => {
            not_passing_since(local, aws, to)
        }
        Assessment::Healthy | Assessment::Blind => None,
    };
    let (local, aws) = (view(local, inside, at), view(aws, inside, at));
    let record = about_tunnel(names, tunnel, kind, &format!("{text}: {local}; {aws}"))
        .at(level)
        .with("ASSESSMENT", to.as_str())
        .with("LOCAL_VIEW", local)
        .with("AWS_VIEW", aws);
    let record = match to {
        Assessment::Disputed(_) | Assessment::Unconfirmed(_) => with_side(record, side),
        Assessment::Healthy | Assessment::Down | Assessment::Blind => record,
    };
    match stopped {
        Some(stopped) => record.with("NOT_PASSING_SINCE", rfc3339(stopped.wall)),
        None => record,
    }
}

fn with_side(record: JournalRecord, side: Side) -> JournalRecord {
    match side.as_str() {
        Some(side) => record.with("LIKELY_SIDE", side),
        None => record,
    }
}

/// The cause of a tunnel's trouble. One that is not known is in the record of the trouble itself: nothing to add.
fn cause_changed(names: &Names, tunnel: &TunnelId, to: Option<&Diagnosis>) -> Option<JournalRecord> {
    let Some(diagnosis) = to else {
        let text = "the cause is gone: nothing is wrong any more";
        return Some(about_tunnel(names, tunnel, MessageId::CAUSE_GONE, text));
    };
    let mut text = cause::sentence(diagnosis);
    if let Some(step) = cause::first_step(diagnosis, tunnel) {
        _ = write!(text, ". {step}");
    }
    let level = match (diagnosis.tells(), names.role(tunnel)) {
        (false, _) | (_, Some(Role::Standby | Role::Unused)) => Level::Info,
        (_, Some(Role::Active) | None) => Level::Warn,
    };
    let record = about_tunnel(names, tunnel, MessageId::CAUSE_NAMED, &text)
        .at(level)
        .with("CAUSE", diagnosis.cause.as_str())
        .with("CONFIDENCE", diagnosis.confidence.as_str());
    Some(with_side(record, diagnosis.side()))
}

fn maintenance_changed(
    names: &Names,
    tunnel: &TunnelId,
    from: &MaintenanceState,
    to: &MaintenanceState,
    at: Now,
) -> Option<JournalRecord> {
    let record = |id, text: &str| about_tunnel(names, tunnel, id, text);
    let maintenance = to.maintenance();
    Some(match to.news_after(from)? {
        MaintenanceNews::Announced => match maintenance.and_then(Maintenance::announced) {
            Some(after) => {
                let text = format!(
                    "AWS will replace its endpoint soon after {}, unless you apply the maintenance before; the tunnel goes down \
                     for some minutes: make sure that the other one works",
                    rfc3339(after)
                );
                record(MessageId::MAINTENANCE_ANNOUNCED, &text).with("MAINTENANCE_AFTER", rfc3339(after))
            }
            None => record(
                MessageId::MAINTENANCE_ANNOUNCED,
                "AWS will replace its endpoint, and gives no date; the tunnel goes down for some minutes: make sure that the \
                 other one works",
            ),
        },
        MaintenanceNews::Applied => match maintenance.and_then(|maintenance| maintenance.last_applied) {
            Some(when) => {
                let text = format!("AWS replaced its endpoint at {}", time(when, at.wall));
                record(MessageId::MAINTENANCE_OVER, &text).with("MAINTENANCE_APPLIED", rfc3339(when))
            }
            None => record(MessageId::MAINTENANCE_OVER, "AWS replaced its endpoint"),
        },
        MaintenanceNews::Withdrawn => record(
            MessageId::MAINTENANCE_OVER,
            "AWS no longer announces a replacement of its endpoint, and did not replace it",
        ),
        MaintenanceNews::Denied => record(
            MessageId::MAINTENANCE_UNKNOWN,
            "whether AWS will replace its endpoint is unknown: the permission ec2:GetVpnTunnelReplacementStatus is missing",
        ),
    })
}

/// That a tunnel is not Up any more has a record of its own, and the first word after a start is no news.
fn quality_changed(names: &Names, tunnel: &TunnelId, from: Quality, to: Quality) -> Option<JournalRecord> {
    let record = match (from, to) {
        (_, Quality::Degraded(what)) => {
            let text = format!("up, but degraded: {}", degradation(what));
            let record = about_tunnel(names, tunnel, MessageId::TUNNEL_DEGRADED, &text);
            let level = match names.role(tunnel) {
                Some(Role::Standby | Role::Unused) => Level::Info,
                Some(Role::Active) | None => Level::Warn,
            };
            record.at(level).with("REASON", what.reason())
        }
        (Quality::Degraded(_), Quality::Good) => {
            let text = "no longer degraded: loss, latency and jitter are as they should be";
            about_tunnel(names, tunnel, MessageId::TUNNEL_QUALITY_RESTORED, text)
        }
        (_, Quality::Unknown) | (Quality::Good | Quality::Unknown, Quality::Good) => return None,
    };
    Some(record.with("QUALITY", to.as_str()))
}

fn address_held(names: &Names, address: IpAddr, held: bool) -> JournalRecord {
    let (kind, text) = if held {
        (MessageId::ADDRESS_HELD, format!("this host holds {address}: it probes and votes"))
    } else {
        (MessageId::ADDRESS_NOT_HELD, format!("this host does not hold {address}: it does not probe or vote"))
    };
    kind.record(format!("{}: {text}", names.site())).with("ADDRESS", address.to_string())
}

fn evidence_unusable(names: &Names, source: &SourceId, tunnel: &TunnelId, verdict: Verdict) -> JournalRecord {
    let why = match verdict {
        Verdict::Unknown(why) => why.to_string(),
        Verdict::Up | Verdict::Down => verdict.to_string(),
    };
    let level = match verdict {
        // The problem of the source reports the bad answer at WARNING.
        Verdict::Unknown(Why::Garbage) => Level::Info,
        Verdict::Up | Verdict::Down | Verdict::Unknown(_) => Level::Warn,
    };
    let text = format!("the answer of {source} cannot be used: {why}; it counts as unknown");
    about_tunnel(names, tunnel, MessageId::EVIDENCE_UNUSABLE, &text)
        .at(level)
        .with("END", End::Aws.as_str())
        .with("VERDICT", verdict.as_str())
        .with("ERROR", why)
}

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
        IncidentChange::Released => (
            MessageId::INCIDENT_RELEASED,
            format!("sent from here on: what withheld it is over; {}", stands(incident)),
        ),
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
        IncidentChange::Opened | IncidentChange::Adopted => {
            let record = record.with("TUNNELS", snapshots(incident));
            let named = incident.tunnels.iter().filter_map(|tunnel| tunnel.diagnosis.as_ref());
            let mut named = named.map(|diagnosis| diagnosis.cause);
            match named.find(|cause| *cause != Cause::Unknown) {
                Some(cause) => record.with("CAUSE", cause.as_str()),
                None => record,
            }
        }
        // The ends' verdicts at the opening are out of date by now.
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

/// Each tunnel as both ends saw it when the incident opened, or was adopted.
fn snapshots(incident: &Incident) -> String {
    let tunnels: Vec<_> = incident.tunnels.iter().map(snapshot).collect();
    tunnels.join(", ")
}

fn opened(incident: &Incident, at: Now) -> String {
    let Incident {
        id: _,
        site: _,
        name: _,
        state: _,
        began,
        found_at: _,
        withheld: _,
        children: _,
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
pub(super) const fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Outage => "nothing gets through the connection",
        Kind::RedundancyLost => "both ends agree that an active tunnel is down",
        Kind::OneSided => "no tunnel is up at both ends, and the ends do not agree",
        Kind::Degraded => "a tunnel is up, but degraded by loss, latency or jitter",
    }
}

/// What an incident means now; whether the connection works depends on whether a tunnel carries traffic.
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
        (Kind::Degraded, Traffic::Flows | Traffic::CannotTell | Traffic::DoesNotFlow) => {
            meaning(Kind::Degraded)
        }
    }
}

const fn relief(kind: Kind) -> &'static str {
    match kind {
        Kind::Outage => "a tunnel carries traffic again",
        Kind::RedundancyLost => "every active tunnel carries traffic again",
        Kind::OneSided => "a tunnel carries traffic again, or both ends agree",
        Kind::Degraded => "no tunnel is degraded any more",
    }
}

/// An incident carries its own names: its connection may have left the configuration.
pub(super) fn about_incident(incident: &Incident, id: MessageId, text: &str) -> JournalRecord {
    let kind = incident.id.kind.as_str();
    id.record(format!("{}: {}: {kind} incident: {text}", incident.site, incident.name))
        .with_scope(&incident.id.scope)
        .with("KIND", kind)
        .with("SITE", &*incident.site)
        .with("INCIDENT", incident.id.to_string())
}
