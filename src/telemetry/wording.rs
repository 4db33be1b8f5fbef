//! Facts, and what befalls the daemon itself, as journal records. Every text of the journal is here and in [`phrases`].
//!
//! A record says one transition; an echo is none. WARNING: someone should look today. ERROR: the daemon cannot do its job.

mod incident;
mod notice;
mod phrases;
mod record;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use log::Level;

use self::incident::{about_incident, incident_changed, meaning, missed};
use self::phrases::{duration, time, view};
use super::message_id::MessageId;
use super::names::Names;
use crate::clock::rfc3339;
use crate::domain::event::SeenUp;
use crate::domain::fact::Fact;
use crate::domain::names::{End, Kind, Role, SourceId, TunnelId, VpnId};
use crate::domain::stopped::not_passing_since;
use crate::domain::time::{Now, Stamp};
use crate::domain::verdict::{Assessment, Fault, Verdict, View, Why};

pub use self::notice::Notice;
pub use self::record::Record;

/// A few ticks are left out whenever the host is busy; a stretch of as many as this is worth a record.
const TICKS_WORTH_A_RECORD: u64 = 50;

/// The record of a fact, if it is worth one.
pub fn record(fact: &Fact, names: &Names) -> Option<Record> {
    match fact {
        Fact::EchoEnded { .. } | Fact::RollupReady(_) | Fact::CouldVote { .. } => None,
        Fact::TicksSkipped { check, count } => (*count >= TICKS_WORTH_A_RECORD).then(|| {
            let text = format!("{count} probes were skipped: the host slept, or was too busy");
            about_tunnel(names, &check.tunnel, Level::Info, MessageId::TICKS_SKIPPED, &text)
                .with("CHECK", check.kind.as_str())
        }),
        Fact::Suspicion { check, suspect, at: _ } => {
            let text = match suspect {
                true => format!("check {} is suspect: a reply is overdue", check.kind.as_str()),
                false => format!("check {} is no longer suspect", check.kind.as_str()),
            };
            let record = about_tunnel(names, &check.tunnel, Level::Debug, MessageId::SUSPICION, &text);
            Some(record.with("CHECK", check.kind.as_str()))
        }
        Fact::ViewChanged { tunnel, end, from, view, at } => {
            Some(view_changed(names, tunnel, *end, *from, view, *at))
        }
        Fact::AssessmentChanged { tunnel, from: _, to, local, aws, at } => {
            Some(assessment_changed(names, tunnel, *to, local, aws, *at))
        }
        Fact::SeenUp(SeenUp::Local(check, route)) => Some(
            about_tunnel(
                names,
                &check.tunnel,
                Level::Info,
                MessageId::FIRST_SEEN_UP,
                &format!("{} answered for the first time: our end has a vote", route.inside_ip),
            )
            .with("END", End::Local.as_str()),
        ),
        Fact::SeenUp(SeenUp::Aws(tunnel)) => Some(
            about_tunnel(
                names,
                tunnel,
                Level::Info,
                MessageId::FIRST_SEEN_UP,
                "AWS has seen it up for the first time",
            )
            .with("END", End::Aws.as_str()),
        ),
        Fact::IncidentPending { vpn, kind, opens_in, at: _ } => Some(about_vpn(
            names,
            vpn,
            *kind,
            Level::Info,
            MessageId::INCIDENT_PENDING,
            &format!("{}; an incident opens in {} if this goes on", meaning(*kind), duration(*opens_in)),
        )),
        Fact::IncidentAverted { vpn, kind, at: _ } => Some(about_vpn(
            names,
            vpn,
            *kind,
            Level::Info,
            MessageId::INCIDENT_AVERTED,
            "over before an incident opened; nobody was paged; nobody was paged",
        )),
        Fact::IncidentChanged { incident, change, at } => Some(incident_changed(incident, *change, *at)),
        Fact::IncidentSettled { incident, at: _ } => Some(about_incident(
            incident,
            Level::Info,
            MessageId::INCIDENT_SETTLED,
            "every sink has been informed that it is over",
        )),
        Fact::IncidentMissed { incident, at } => {
            Some(about_incident(incident, Level::Warn, MessageId::INCIDENT_MISSED, &missed(incident, *at)))
        }
        Fact::EvidenceUnusable { source, tunnel, verdict } => {
            Some(evidence_unusable(names, source, tunnel, *verdict))
        }
        Fact::AddressHeld { address, held, at: _ } => Some(address_held(names, *address, *held)),
        Fact::Resumed { gap, at: _ } => Some(Record {
            level: Level::Warn,
            kind: MessageId::RESUMED,
            message: format!(
                "{}: monitoring paused for {}: the host slept, or the process was stalled",
                names.site(),
                duration(*gap)
            ),
            fields: Vec::new(),
        }),
    }
}

fn about_tunnel(names: &Names, tunnel: &TunnelId, level: Level, kind: MessageId, text: &str) -> Record {
    Record {
        level,
        kind,
        message: format!("{}: {text}", names.of_tunnel(tunnel)),
        fields: vec![("VPN_ID", tunnel.vpn.to_string()), ("TUNNEL_IP", tunnel.outside_ip.to_string())],
    }
}

fn about_vpn(names: &Names, vpn: &VpnId, kind: Kind, level: Level, id: MessageId, text: &str) -> Record {
    Record {
        level,
        kind: id,
        message: format!("{}: {}: {text}", names.of_vpn(vpn), kind.as_str()),
        fields: vec![("VPN_ID", vpn.to_string()), ("KIND", kind.as_str().to_owned())],
    }
}

fn view_changed(names: &Names, tunnel: &TunnelId, end: End, from: Verdict, to: &View, at: Now) -> Record {
    let (level, kind) = match (to.verdict, end) {
        (Verdict::Up, End::Local | End::Aws) => (Level::Info, MessageId::END_UP),
        // The assessment of both ends, told in the next record, says how much it matters.
        (Verdict::Down, End::Local | End::Aws) => (Level::Info, MessageId::END_DOWN),
        (Verdict::Unknown(why), End::Local | End::Aws) => unknown(why),
    };
    let text = format!("{}; before: {}", view(to, names.inside_ip(tunnel), at), from.as_str());
    let record = about_tunnel(names, tunnel, level, kind, &text)
        .with("END", end.as_str())
        .with("VERDICT", to.verdict.as_str());
    match to.verdict {
        Verdict::Up | Verdict::Down => record,
        Verdict::Unknown(why) => record.with("ERROR", why.to_string()),
    }
}

const fn unknown(why: Why) -> (Level, MessageId) {
    match why {
        Why::NeverAnswered => (Level::Warn, MessageId::NEVER_ANSWERED),
        // The host was away; the verdict returns by itself.
        Why::Fault(Fault::HeldUp) => (Level::Info, MessageId::CANNOT_ASK),
        // It is so at boot until the interface is there, and heals by itself.
        Why::Fault(Fault::AddressMissing) => (Level::Warn, MessageId::CANNOT_ASK),
        // The link's fault, not this host's.
        Why::Fault(Fault::QueueFull) => (Level::Warn, MessageId::CANNOT_ASK),
        Why::Fault(Fault::NoPermission | Fault::NoMemory | Fault::TooManyFiles | Fault::Socket(_)) => {
            (Level::Error, MessageId::CANNOT_ASK)
        }
        Why::Silent => (Level::Warn, MessageId::CANNOT_ASK),
        Why::NoData | Why::Stale | Why::Contradiction | Why::Gone => (Level::Warn, MessageId::END_UNKNOWN),
        // Before the first answer it cannot be otherwise.
        Why::Starting | Why::Unused | Why::NotHere | Why::NotAsked => (Level::Info, MessageId::END_UNKNOWN),
        // A minute in which the tunnel changed is no fault of anything.
        Why::Fraction => (Level::Info, MessageId::END_UNKNOWN),
        // EVIDENCE_UNUSABLE says it at WARNING, or who asked AWS does.
        Why::Future | Why::Garbage => (Level::Info, MessageId::END_UNKNOWN),
    }
}

fn assessment_changed(
    names: &Names,
    tunnel: &TunnelId,
    to: Assessment,
    local: &View,
    aws: &View,
    at: Now,
) -> Record {
    let (level, kind, text) = match to {
        Assessment::Down if local.verdict == Verdict::Up => (
            Level::Warn,
            MessageId::BOTH_ENDS_DOWN,
            "BGP is down, although IPsec works: AWS has no route over it",
        ),
        Assessment::Healthy => (Level::Info, MessageId::HEALTHY, "healthy"),
        Assessment::Down => (Level::Warn, MessageId::BOTH_ENDS_DOWN, "both ends agree that it is down"),
        Assessment::Disputed(_) => (Level::Warn, MessageId::DISPUTED, "disputed"),
        Assessment::Unconfirmed(_) => (Level::Warn, MessageId::UNCONFIRMED, "unconfirmed"),
        Assessment::Blind => (Level::Info, MessageId::BLIND, "blind"),
    };
    let level = match names.role(tunnel) {
        // A standby tunnel that is down alone is nothing.
        Some(Role::Standby | Role::Unused) => Level::Info,
        Some(Role::Active) | None => level,
    };
    let inside = names.inside_ip(tunnel);
    let stopped = match to {
        Assessment::Down | Assessment::Disputed(_) | Assessment::Unconfirmed(_) => {
            not_passing_since(local, aws, to)
        }
        Assessment::Healthy | Assessment::Blind => None,
    };
    let (local, aws) = (view(local, inside, at), view(aws, inside, at));
    let record = about_tunnel(names, tunnel, level, kind, &format!("{text}: {local}; {aws}"))
        .with("ASSESSMENT", to.as_str())
        .with("LOCAL_VIEW", local)
        .with("AWS_VIEW", aws);
    match stopped {
        Some(stopped) => record.with("NOT_PASSING_SINCE", rfc3339(stopped.wall)),
        None => record,
    }
}

fn address_held(names: &Names, address: IpAddr, held: bool) -> Record {
    let (kind, text) = if held {
        (MessageId::ADDRESS_TAKEN, format!("this host holds {address}: it probes and votes"))
    } else {
        (MessageId::ADDRESS_LEFT, format!("this host does not hold {address}: it does not probe or vote"))
    };
    Record {
        level: Level::Info,
        kind,
        message: format!("{}: {text}", names.site()),
        fields: vec![("ADDRESS", address.to_string())],
    }
}

fn evidence_unusable(names: &Names, source: &SourceId, tunnel: &TunnelId, verdict: Verdict) -> Record {
    let why = match verdict {
        Verdict::Unknown(why) => why.to_string(),
        Verdict::Up | Verdict::Down => verdict.to_string(),
    };
    let level = match verdict {
        // Who asked AWS says at WARNING what is wrong with the answer.
        Verdict::Unknown(Why::Garbage) => Level::Info,
        Verdict::Up | Verdict::Down | Verdict::Unknown(_) => Level::Warn,
    };
    let text = format!("the answer of {source} cannot be used: {why}; it counts as unknown");
    about_tunnel(names, tunnel, level, MessageId::EVIDENCE_UNUSABLE, &text)
        .with("END", End::Aws.as_str())
        .with("VERDICT", verdict.as_str())
        .with("ERROR", why)
}

/// The records that a record stands for beside itself.
#[derive(Debug, Clone, Copy)]
pub(in crate::telemetry) struct Folded {
    /// How many.
    pub(in crate::telemetry) count: u64,
    /// When the first of them was made.
    pub(in crate::telemetry) since: Stamp,
    /// When the record itself was made: it may have been held.
    pub(in crate::telemetry) of: Stamp,
    /// The level of the worst of them, if it is worse than the record's own.
    pub(in crate::telemetry) worst: Option<Level>,
}

/// The message of a record that was held, or that stands for others; told at `now`.
pub(in crate::telemetry) fn folded(message: &str, folded: Folded, now: Stamp) -> String {
    let Folded { count, since, of, worst } = folded;
    let (of, since) = (time(of, now), time(since, now));
    let worst = worst.map_or("", |level| match level {
        Level::Error => ", the worst an ERROR",
        Level::Warn => ", the worst a WARNING",
        Level::Info | Level::Debug | Level::Trace => "",
    });
    match count {
        0 => format!("{message} (reported late: this happened at {of})"),
        1 => {
            format!("{message} (1 similar record since {since} suppressed{worst}; this one happened at {of})")
        }
        _ => format!(
            "{message} ({count} similar records since {since} suppressed{worst}; this one happened at {of})"
        ),
    }
}
