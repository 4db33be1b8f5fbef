//! What must be true at the end of every schedule.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bothends::domain::board::IncidentId;
use bothends::domain::fact::IncidentChange;
use bothends::domain::names::Kind;
use bothends::domain::time::Moment;
use bothends::incident::sink::Origin;
use bothends::publish::datum;

use super::manager::Closer;
use super::metrics::{Key, key};
use super::schedule::{KnownToken, Line, Op, Schedule};
use super::truth::{Told, seconds};
use super::world::World;

/// Every promise that was broken, in words.
pub fn broken(schedule: &Schedule, world: &World) -> Vec<String> {
    let mut broken = world.truth.broken.clone();
    let mut say = |promise: &str, how: String| broken.push(format!("{:>10}  {promise}: {how}", "at the end"));
    for how in left_open(world) {
        say("none is left open", how);
    }
    for how in opened_twice(world) {
        say("none is opened twice", how);
    }
    for how in past_and_paged(world) {
        say("what is past is not paged", how);
    }
    for how in resolved_without_reason(world) {
        say("none is resolved by absence", how);
    }
    for how in closes_not_respected(world) {
        say("what a person closed stays closed, until it worsens", how);
    }
    for how in minutes(schedule, world) {
        say("every minute is in CloudWatch, once", how);
    }
    for how in &world.metrics.complaints {
        say("nothing is sent that AWS would reject", how.clone());
    }
    broken
}

/// Whether two records of one story can be ruled out: not where the sink makes a second one of a known token, not where a page
/// could not wait for a list that failed for minutes, not where the alarm started one of its own.
fn is_strict(world: &World) -> bool {
    let blind = world.gateways.iter().any(|gateway| gateway.daemon.as_ref().is_some_and(|it| it.blind));
    world.switches.known_token != KnownToken::NewRecord && !blind && !world.truth.blind && !has_alarm(world)
}

fn has_alarm(world: &World) -> bool {
    world.manager.records.iter().any(|kept| kept.origin == Origin::Alarm)
}

fn left_open(world: &World) -> Vec<String> {
    let open = world.manager.records.iter().filter(|kept| kept.is_open()).map(|kept| kept.id.to_string());
    let board = world.gateways.iter().filter_map(|gateway| gateway.daemon.as_ref()).flat_map(|daemon| {
        daemon.board().incidents.iter().map(|incident| format!("{} on a Board", incident.id))
    });
    open.chain(board).collect()
}

fn told(world: &World, kind: Kind, change: IncidentChange) -> impl Iterator<Item = &Told> {
    world.truth.told.iter().filter(move |told| told.change == change && told.incident.id.kind == kind)
}

/// Records of one scope tell different stories, one after the other; or the same, after a close and a worsening.
fn opened_twice(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    if !is_strict(world) {
        return wrong;
    }
    for kind in Kind::ALL {
        let records = world.manager.records.iter().zip(&world.truth.stories);
        let records: Vec<_> = records.filter(|(kept, _)| kept.scope.kind == kind).collect();
        for pair in records.windows(2) {
            let [(first, one), (second, other)] = pair else { continue };
            let Some((closed, by)) = first.closed.filter(|(closed, _)| *closed <= second.created) else {
                wrong.push(format!("{} and {} are open at a time", first.id, second.id));
                continue;
            };
            let by_gateway = matches!(by, Closer::Gateway(_));
            // Who was started after the first record was, and finds it closed, cannot know that it told of the same outage.
            let stranger = told(world, kind, IncidentChange::Opened)
                .any(|told| Some(&told.incident.id) == other.as_ref() && told.started > first.created);
            let (Some(one), Some(other)) = (lasted(world, one.as_ref()), lasted(world, other.as_ref()))
            else {
                wrong.push(format!("{} or {} tells of nothing", first.id, second.id));
                continue;
            };
            let apart = one.1.is_some_and(|end| end <= other.0) || other.1.is_some_and(|end| end <= one.0);
            // A twin that sees the tunnels otherwise closes the record when its own incident is over; its next one is another.
            let next = by_gateway && other.0 >= closed;
            if !apart && !next && !stranger && !worsened(world, kind, closed, second.created) {
                wrong.push(format!("{} and {} tell the same story", first.id, second.id));
            }
        }
    }
    wrong
}

/// From when to when an incident was on a Board.
fn lasted(world: &World, id: Option<&IncidentId>) -> Option<(Moment, Option<Moment>)> {
    let of = || world.truth.told.iter().filter(move |told| Some(&told.incident.id) == id);
    let begun = of().map(|told| told.at).min()?;
    let over = |told: &&Told| matches!(told.change, IncidentChange::Resolved | IncidentChange::HandedOver);
    let end = of().filter(over).map(|told| told.at).min();
    // What the disk did not have when the daemon died is no more.
    let lost = of()
        .filter(|told| told.change == IncidentChange::Opened && told.lost)
        .filter_map(|told| world.truth.crashes[told.gateway].iter().copied().find(|crash| *crash >= told.at));
    Some((begun, end.or(lost.min())))
}

/// Whether an incident of the kind worsened between a close and then. A record is read when its incident worsens: where the sink
/// was away at the close, it cannot be known which came first, and a page too many is right.
fn worsened(world: &World, kind: Kind, closed: Moment, until: Moment) -> bool {
    let hard = !world.truth.was_quiet(closed - LASTING, until);
    told(world, kind, IncidentChange::Worsened)
        .any(|told| (hard || told.at + WHILE_READING >= closed) && told.at <= until)
}

/// A record is read when its incident worsens, and a slow answer is given up.
const WHILE_READING: Duration = Duration::from_secs(120);

/// Nobody gets a record of what was over before AWS could be reached.
fn past_and_paged(world: &World) -> Vec<String> {
    let stories = world.manager.records.iter().zip(&world.truth.stories);
    let past = stories.filter(|(_, story)| story.as_ref().is_some_and(|id| world.truth.missed.contains(id)));
    past.map(|(kept, _)| kept.id.to_string()).collect()
}

/// A daemon closes a record only when it has said that the incident is over, or where two are one.
fn resolved_without_reason(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for (gateway, record, at) in &world.truth.resolves {
        let records = world.manager.records.iter().zip(&world.truth.stories);
        let Some((kept, story)) = records.into_iter().find(|(kept, _)| kept.id == *record) else { continue };
        let mut said = world.truth.told.iter().filter(|told| {
            let died = world.truth.crashes[*gateway].iter().any(|crash| *crash >= told.at && crash <= at);
            told.gateway == *gateway
                && told.incident.id.kind == kept.scope.kind
                && told.at <= *at
                && !(told.lost && died)
        });
        let its_own = lasted(world, story.as_ref()).and_then(|(_, end)| end).is_some_and(|end| end <= *at);
        let last = said.clone().next_back().is_some_and(|told| told.change == IncidentChange::Resolved);
        let over = last || (its_own && said.any(|told| told.change == IncidentChange::Resolved));
        let twice = world.manager.records.iter().any(|other| {
            other.id != kept.id
                && other.scope == kept.scope
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
            let after = world.manager.records.iter().zip(&world.truth.stories).find(|(kept, _)| {
                kept.scope.kind == *kind && kept.created > *at && kept.origin == Origin::Daemon
            });
            if let Some((kept, _)) = after {
                let fresh = told(world, *kind, IncidentChange::Opened)
                    .any(|told| told.at > *at && told.at <= kept.created);
                // Where it was hard to tell, a page too many is right.
                let hard = !world.truth.was_quiet(*at - LASTING, kept.created);
                if !fresh && !hard && !worsened(world, *kind, *at, kept.created) {
                    wrong.push(format!("{} after a close at {:.1} s", kept.id, seconds(*at)));
                }
            } else {
                let worse = told(world, *kind, IncidentChange::Worsened).find(|told| {
                    told.at > *at + Duration::from_secs(90)
                        && lasts(world, told, LASTING)
                        && world.truth.was_quiet(told.at - LASTING, told.at + LASTING)
                });
                if let Some(worse) = worse {
                    wrong.push(format!("it worsened at {:.1} s and nobody was told", seconds(worse.at)));
                }
            }
        }
    }
    wrong
}

/// Whether an incident lasts for so long after that.
fn lasts(world: &World, since: &Told, long: Duration) -> bool {
    !world.truth.told.iter().any(|told| {
        told.incident.id.kind == since.incident.id.kind
            && told.change == IncidentChange::Resolved
            && told.at >= since.at
            && told.at < since.at + long
    })
}

/// Long enough for every back-off of before, and for the telling.
const LASTING: Duration = Duration::from_secs(900);

/// The last minutes are still on their way.
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
                *excused += usize::from(ready.died || fresh || world.metrics.is_poison(&datum));
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
        // Who has no minutes of its own to send looks for what waits at its next start or take-over only.
        if missing_minutes.len() > dropped * 4 && gateway.votes {
            let first = missing_minutes.first();
            let missing = missing_minutes.len();
            wrong.push(format!("gateway {index}: {missing} data missing, {dropped} dropped; {first:?}"));
        }
        wrong.extend(unaccounted(schedule, world, index));
    }
    wrong
}

/// Where nothing disturbs the daemon itself, each tunnel has a rollup of each minute, and each echo is in one.
fn unaccounted(schedule: &Schedule, world: &World, index: usize) -> Vec<String> {
    let undisturbed =
        !world.switches.vrrp && !world.truth.jumped[index] && world.truth.crashes[index].is_empty();
    // What is a fault is no echo, and a tunnel that is not used has no minutes.
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
        | Op::Poison => false,
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
        // What was sent in the last minute and a half is in no rollup.
        let open = 90 * 1000 / world.switches.probe.interval.as_millis().max(1);
        if counted > sent || u128::from(sent - counted) > open + 16 {
            wrong.push(format!("gateway {index}, tunnel {tunnel}: {sent} echoes sent, {counted} counted"));
        }
    }
    wrong
}
