//! Facts of the core as journal records; those on incidents are worded in [`incident`](super::incident).
//!
//! A record reports one transition; single echoes have none. WARNING: someone should look today. ERROR: the daemon cannot do
//! its job.

use std::fmt::Write as _;
use std::net::IpAddr;

use log::Level;

use crate::catalogue::cause;
use crate::catalogue::incident::{about_incident, condition, incident_changed, missed};
use crate::catalogue::message_id::MessageId;
use crate::catalogue::phrases::{Names, degradation, duration, time, view};
use crate::catalogue::record::JournalRecord;
use crate::clock::rfc3339;
use crate::domain::cause::Diagnosis;
use crate::domain::event::SeenUp;
use crate::domain::fact::Fact;
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
        // A silence's begin and end are records of their own, one for all the tunnels that it covers.
        Fact::SilencedChanged { .. } => None,
        // The reload that it comes from is a record of its own.
        Fact::TunnelLeft { .. } => None,
        // A parent's incident says what follows from it.
        Fact::ParentChanged { .. } => None,
        Fact::EchoEnded { .. } | Fact::Watched { .. } | Fact::RollupReady(_) | Fact::CouldVote { .. } => None,
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
        // The next record is that it has opened.
        Fact::IncidentPending { scope: _, kind: _, opens_in, at: _ } if opens_in.is_zero() => None,
        Fact::IncidentPending { scope, kind, opens_in, at: _ } => Some(about_scope(
            names,
            scope,
            *kind,
            MessageId::INCIDENT_PENDING,
            &format!(
                "{}; an incident opens in {} if this goes on",
                condition(scope, *kind),
                duration(*opens_in)
            ),
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
