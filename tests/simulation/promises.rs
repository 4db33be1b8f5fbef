//! What must hold at the end of every schedule.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bothends::domain::board::IncidentId;
use bothends::domain::fact::IncidentChange;
use bothends::domain::names::Kind;
use bothends::domain::time::Moment;
use bothends::incident::sink::RecordOrigin;
use bothends::publish::datum;

use super::manager::Closer;
use super::metrics::{Key, key};
use super::schedule::{KnownToken, Line, Op, Schedule};
use super::truth::{Reported, seconds};
use super::world::World;

/// Every broken promise, as text.
pub fn broken(schedule: &Schedule, world: &World) -> Vec<String> {
    let mut broken = world.truth.broken.clone();
    let mut say = |promise: &str, how: String| broken.push(format!("{:>10}  {promise}: {how}", "at the end"));
    for how in left_open(world) {
        say("no record is left open", how);
    }
    for how in opened_twice(world) {
        say("no incident is opened twice", how);
    }
    for how in past_and_paged(world) {
        say("a past outage is not paged", how);
    }
    for how in resolved_without_reason(world) {
        say("absence resolves nothing", how);
    }
    for how in closes_not_respected(world) {
        say("a record closed by a person stays closed until its incident worsens", how);
    }
    for how in not_updated(world) {
        say("an open record is brought up to date", how);
    }
    for how in minutes(schedule, world) {
        say("every minute is in CloudWatch exactly once", how);
    }
    for how in &world.metrics.complaints {
        say("nothing is sent that AWS would reject", how.clone());
    }
    broken
}

/// Whether two records for one incident can be ruled out: not where the sink creates a second one for a known token,
/// not where a record could not wait for a list that failed for minutes, not where the alarm created one of its own.
fn is_strict(world: &World) -> bool {
    let blind = world.gateways.iter().any(|gateway| gateway.daemon.as_ref().is_some_and(|it| it.blind));
    world.switches.known_token != KnownToken::NewRecord && !blind && !world.truth.blind && !has_alarm(world)
}

fn has_alarm(world: &World) -> bool {
    world.manager.records.iter().any(|stored| stored.origin == RecordOrigin::Alarm)
}

fn left_open(world: &World) -> Vec<String> {
    let open =
        world.manager.records.iter().filter(|stored| stored.is_open()).map(|stored| stored.id.to_string());
    let board = world.gateways.iter().filter_map(|gateway| gateway.daemon.as_ref()).flat_map(|daemon| {
        daemon.board().incidents.iter().map(|incident| format!("{} on a Board", incident.id))
    });
    open.chain(board).collect()
}

fn reported(world: &World, kind: Kind, change: IncidentChange) -> impl Iterator<Item = &Reported> {
    world
        .truth
        .reported
        .iter()
        .filter(move |reported| reported.change == change && reported.incident.id.kind == kind)
}

/// Records of one scope belong to different incidents, one after the other; or to the same one, after a close and a
/// worsening.
fn opened_twice(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    if !is_strict(world) {
        return wrong;
    }
    for kind in Kind::ALL {
        let records = world.manager.records.iter().zip(&world.truth.stories);
        let records: Vec<_> = records.filter(|(stored, _)| stored.scope.kind == kind).collect();
        for pair in records.windows(2) {
            let [(first, one), (second, other)] = pair else { continue };
            let Some((closed, by)) = first.closed.filter(|(closed, _)| *closed <= second.created) else {
                wrong.push(format!("{} and {} are open at the same time", first.id, second.id));
                continue;
            };
            let by_gateway = matches!(by, Closer::Gateway(_));
            // A gateway that started after the first record was created, and finds it closed, cannot know that it was
            // the same outage.
            let stranger = reported(world, kind, IncidentChange::Opened).any(|reported| {
                Some(&reported.incident.id) == other.as_ref() && reported.started > first.created
            });
            let (Some(one), Some(other)) = (lasted(world, one.as_ref()), lasted(world, other.as_ref()))
            else {
                wrong.push(format!("{} or {} belongs to no incident", first.id, second.id));
                continue;
            };
            let apart = one.1.is_some_and(|end| end <= other.0) || other.1.is_some_and(|end| end <= one.0);
            // A twin that sees the tunnels differently closes the record when its own incident is resolved; its next
            // incident is another one.
            let next = by_gateway && other.0 >= closed;
            if !apart && !next && !stranger && !worsened(world, kind, closed, second.created) {
                wrong.push(format!("{} and {} belong to the same incident", first.id, second.id));
            }
        }
    }
    wrong
}

/// When an incident was on a Board: from, until.
fn lasted(world: &World, id: Option<&IncidentId>) -> Option<(Moment, Option<Moment>)> {
    let of = || world.truth.reported.iter().filter(move |reported| Some(&reported.incident.id) == id);
    let began = of().map(|reported| reported.at).min()?;
    let over = |reported: &&Reported| {
        matches!(reported.change, IncidentChange::Resolved | IncidentChange::HandedOver)
    };
    let end = of().filter(over).map(|reported| reported.at).min();
    // Anything not on the disk when the daemon died is gone.
    let lost = of().filter(|reported| reported.change == IncidentChange::Opened && reported.lost).filter_map(
        |reported| world.truth.crashes[reported.gateway].iter().copied().find(|crash| *crash >= reported.at),
    );
    Some((began, end.or(lost.min())))
}

/// Whether an incident of the kind worsened between a close and then. A record is read when its incident worsens: where
/// the sink was unreachable at the close, the order cannot be known, and one page too many is right.
fn worsened(world: &World, kind: Kind, closed: Moment, until: Moment) -> bool {
    let hard = !world.truth.was_undisturbed(closed - LASTING, until);
    reported(world, kind, IncidentChange::Worsened)
        .any(|reported| (hard || reported.at + WHILE_READING >= closed) && reported.at <= until)
}

/// A record is read when its incident worsens, and a slow answer is abandoned.
const WHILE_READING: Duration = Duration::from_secs(120);

/// No record is created for what was over before AWS was reachable.
fn past_and_paged(world: &World) -> Vec<String> {
    let stories = world.manager.records.iter().zip(&world.truth.stories);
    let past = stories.filter(|(_, story)| story.as_ref().is_some_and(|id| world.truth.missed.contains(id)));
    past.map(|(stored, _)| stored.id.to_string()).collect()
}

/// A daemon closes a record only after it has resolved the incident, or when two incidents merge.
fn resolved_without_reason(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for (gateway, record, at) in &world.truth.resolves {
        let records = world.manager.records.iter().zip(&world.truth.stories);
        let Some((stored, story)) = records.into_iter().find(|(stored, _)| stored.id == *record) else {
            continue;
        };
        let mut said = world.truth.reported.iter().filter(|reported| {
            let died = world.truth.crashes[*gateway].iter().any(|crash| *crash >= reported.at && crash <= at);
            reported.gateway == *gateway
                && reported.incident.id.kind == stored.scope.kind
                && reported.at <= *at
                && !(reported.lost && died)
        });
        let its_own = lasted(world, story.as_ref()).and_then(|(_, end)| end).is_some_and(|end| end <= *at);
        let last =
            said.clone().next_back().is_some_and(|reported| reported.change == IncidentChange::Resolved);
        let over = last || (its_own && said.any(|reported| reported.change == IncidentChange::Resolved));
        let twice = world.manager.records.iter().any(|other| {
            other.id != stored.id
                && other.scope == stored.scope
                && other.created <= *at
                && other.closed.is_none_or(|(closed, _)| closed >= *at)
        });
        if !over && !twice {
            wrong.push(format!("{record} by gateway {gateway} at {:.1} s", seconds(*at)));
        }
    }
    wrong
}

fn closes_not_respected(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    if !is_strict(world) {
        return wrong;
    }
    for (at, kinds) in &world.truth.closes {
        for kind in kinds {
            let after = world.manager.records.iter().zip(&world.truth.stories).find(|(stored, _)| {
                stored.scope.kind == *kind && stored.created > *at && stored.origin == RecordOrigin::Daemon
            });
            if let Some((stored, _)) = after {
                let fresh = reported(world, *kind, IncidentChange::Opened)
                    .any(|reported| reported.at > *at && reported.at <= stored.created);
                // Where the order is unclear, one page too many is right.
                let hard = !world.truth.was_undisturbed(*at - LASTING, stored.created);
                if !fresh && !hard && !worsened(world, *kind, *at, stored.created) {
                    wrong.push(format!("{} after a close at {:.1} s", stored.id, seconds(*at)));
                }
            } else {
                let worse = reported(world, *kind, IncidentChange::Worsened).find(|reported| {
                    reported.at > *at + Duration::from_secs(90)
                        && !world.truth.silences.touched(reported.gateway, reported.at, reported.at + LASTING)
                        && lasts(world, reported, LASTING)
                        && world.truth.was_undisturbed(reported.at - LASTING, reported.at + LASTING)
                });
                if let Some(worse) = worse {
                    wrong
                        .push(format!("it worsened at {:.1} s and no record was created", seconds(worse.at)));
                }
            }
        }
    }
    wrong
}

/// What worsens is noted in its record, whatever would withhold a new one.
fn not_updated(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    let records = || world.manager.records.iter().zip(&world.truth.stories);
    for worse in world.truth.reported.iter().filter(|it| it.change == IncidentChange::Worsened && !it.lost) {
        let until = worse.at + LASTING;
        let open = records().filter(|(stored, story)| {
            story.as_ref() == Some(&worse.incident.id)
                && stored.created + LASTING < worse.at
                && stored.closed.is_none_or(|(closed, _)| closed > until)
        });
        let crashed =
            world.truth.crashes[worse.gateway].iter().any(|crash| worse.at <= *crash && *crash <= until);
        if crashed || !world.truth.was_undisturbed(worse.at - LASTING, until) {
            continue;
        }
        for (stored, _) in open {
            if !stored.notes.iter().any(|(at, _, _)| worse.at <= *at && *at <= until) {
                wrong.push(format!(
                    "{} of gateway {} at {:.1} s",
                    stored.id,
                    worse.gateway,
                    seconds(worse.at)
                ));
            }
        }
    }
    wrong
}

/// Whether an incident lasts at least that long after this.
fn lasts(world: &World, since: &Reported, long: Duration) -> bool {
    !world.truth.reported.iter().any(|reported| {
        reported.incident.id.kind == since.incident.id.kind
            && reported.change == IncidentChange::Resolved
            && reported.at >= since.at
            && reported.at < since.at + long
    })
}

/// Long enough for every earlier back-off, and for the delivery.
const LASTING: Duration = Duration::from_secs(900);

/// The last minutes may still be on their way.
const ON_THE_WAY: Duration = Duration::from_secs(300);

fn minutes(schedule: &Schedule, world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for (index, gateway) in world.gateways.iter().enumerate() {
        let counts = world.metrics.counts(index);
        let mut due: BTreeMap<Key, (usize, usize)> = BTreeMap::new();
        let mut missing_minutes = BTreeSet::new();
        let ready = &world.truth.ready[index];
        for ready in ready {
            for datum in datum::of_rollup(&ready.rollup) {
                let (due, excused) = due.entry(key(&datum)).or_default();
                *due += 1;
                let fresh = ready.at + ON_THE_WAY > world.at;
                *excused += usize::from(ready.died || fresh || world.metrics.is_always_rejected(&datum));
            }
        }
        for (key, count) in &counts {
            if key.0.starts_with("Heartbeat") {
                continue;
            }
            let Some((due, _)) = due.get(*key) else {
                wrong.push(format!("gateway {index} sent {key:?}, which no minute holds"));
                continue;
            };
            if count.taken > due + count.unknown {
                wrong.push(format!("gateway {index} sent {key:?} {} times", count.taken));
            }
        }
        for (key, (due, excused)) in &due {
            let taken = counts.get(key).map_or(0, |count| count.taken);
            // Equal parts of one minute are one to the store.
            let needed = usize::from(*due > *excused);
            if taken < needed {
                missing_minutes.insert((key.0.clone(), key.1));
            }
        }
        let dropped = gateway.dropped
            + world.truth.dropped_before[index]
            + gateway.daemon.as_ref().map_or(0, |daemon| daemon.engine.counts().rollups_dropped);
        let dropped = usize::try_from(dropped).unwrap_or(usize::MAX);
        // A gateway without minutes of its own to send looks at the backlog only at its next start or takeover.
        if missing_minutes.len() > dropped * 4 && gateway.votes {
            let first = missing_minutes.first();
            let missing = missing_minutes.len();
            wrong.push(format!("gateway {index}: {missing} data missing, {dropped} dropped; {first:?}"));
        }
        wrong.extend(unaccounted(schedule, world, index));
    }
    wrong
}

/// Unless the daemon itself is disturbed, each tunnel has a rollup for each minute, and each probe is counted in one.
fn unaccounted(schedule: &Schedule, world: &World, index: usize) -> Vec<String> {
    let undisturbed =
        !world.switches.vrrp && !world.truth.jumped[index] && world.truth.crashes[index].is_empty();
    // A send error is no probe, and an unused tunnel has no minutes.
    let changed = |op: &Op| match op {
        Op::Path { line: Line::Faulty | Line::Missing, .. } | Op::Reload { .. } => true,
        Op::Path { .. }
        | Op::Sees { .. }
        | Op::Bgp { .. }
        | Op::Says { .. }
        | Op::Trouble { .. }
        | Op::Reach { .. }
        | Op::Credentials { .. }
        | Op::Disk { .. }
        | Op::Crash { .. }
        | Op::CrashSoon { .. }
        | Op::Clock { .. }
        | Op::TakeOver { .. }
        | Op::PersonCloses
        | Op::Alarm
        | Op::Poison
        | Op::Silence { .. }
        | Op::EndSilences { .. } => false,
    };
    if !undisturbed || schedule.ops.iter().any(|timed| changed(&timed.op)) {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for tunnel in 0..world.switches.tunnels {
        let of: Vec<_> = world.truth.ready[index]
            .iter()
            .map(|ready| &ready.rollup)
            .filter(|rollup| rollup.tunnel == super::site::tunnel(tunnel))
            .collect();
        let minutes: BTreeSet<_> = of.iter().map(|rollup| rollup.minute).collect();
        let (Some(first), Some(last)) = (minutes.first(), minutes.last()) else {
            wrong.push(format!("gateway {index}, tunnel {tunnel}: no minute at all"));
            continue;
        };
        let expected = last.since(*first).as_secs() / 60 + 1;
        if minutes.len() != of.len() || u64::try_from(of.len()).ok() != Some(expected) {
            wrong.push(format!(
                "gateway {index}, tunnel {tunnel}: {} rollups of {expected} minutes",
                of.len()
            ));
        }
        let counted: u64 =
            of.iter().map(|it| u64::from(it.replies) + u64::from(it.late) + u64::from(it.lost)).sum();
        let sent = world.truth.echoes[index][tunnel].sent;
        // Probes sent in the last minute and a half are in no rollup yet.
        let open = 90 * 1000 / world.switches.probe.interval.as_millis().max(1);
        if counted > sent || u128::from(sent - counted) > open + 16 {
            wrong.push(format!("gateway {index}, tunnel {tunnel}: {sent} echoes sent, {counted} counted"));
        }
    }
    wrong
}
