//! SIGKILL at any instant.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use bothends::backoff::Backoff;
use bothends::clock;
use serde_json::{Value, json};

use super::stage::{Config, OUTSIDE, Stage};
use crate::daemon::on_disk::Copy;

/// How often the daemon is killed.
const KILLS: usize = 50;
/// From a daemon's start in an outage to the agreement of both ends, and a little more.
const A_START: Duration = Duration::from_secs(4);
/// Less than an answer takes, so that a call is in flight.
const WITHIN_A_CALL: Duration = Duration::from_millis(1500);
/// Longer than a daemon takes to make a call for which it has a reason.
const PATIENCE: Duration = Duration::from_secs(5);
/// Enough for a second record, or a second resolution, if there was one.
const POLLS: usize = 4;

/// Kills the daemon again and again.
struct Killer<'s> {
    stage: &'s Stage,
    random: Backoff,
    kills: usize,
    /// Kills while, or just after, a call hit its fault, by operation.
    hits: BTreeMap<&'static str, usize>,
}

#[test]
fn a_daemon_killed_fifty_times_in_an_outage_has_one_record_of_each_kind() {
    let seed = seed();
    println!("BOTHENDS_CRASH_SEED={seed} repeats the same instants");
    let stage = Stage::healthy(&Config {
        incident: "open_after = { outage = '0s', redundancy_lost = '0s' }\nresolve_after = '3s'\nstart_grace = '0s'",
        ..Config::default()
    });
    // The first write comes a while after the start.
    let known = || Copy::of(&stage.daemon.store()).ok()?.count("seen_up").ok();
    stage.eventually("the disk knows that each end has seen each tunnel Up", || known() == Some(4));
    // As long as a list does not show a record, only its token prevents a second one.
    stage.aws.control(json!({ "set_switches": { "switches": { "list_lag": 30.0 } } }));
    let mut killer = Killer { stage: &stage, random: Backoff::new(seed), kills: 0, hits: BTreeMap::new() };

    killer.strikes_while_a_record_is_created("redundancy_lost", || stage.lab.breaks("dead", "1"));
    killer.strikes_while_a_record_is_created("outage", || stage.lab.breaks("dead", "2"));
    killer.strikes_while_records_are_closed(|| stage.lab.heal("all"));
    while killer.kills < KILLS {
        killer.strikes_at_random(A_START);
    }
    println!("hits: {:?}", killer.hits);
    for operation in ["StartIncident", "CreateTimelineEvent", "UpdateIncidentRecord"] {
        assert!(killer.hits.contains_key(operation), "{operation}");
    }

    stage.eventually("all is resolved", || all_resolved(&stage));
    let settled = stage.aws.control(json!({ "incidents": {} }));
    // For the minute in which the tunnels came back AWS has a fraction, which is no verdict, and opens nothing.
    stage.stays_so_for_polls(POLLS, || assert!(nothing_is_open(&stage)));
    assert_eq!(stage.aws.control(json!({ "incidents": {} })), settled, "resolved records stay unchanged");
    assert_eq!(stage.aws.pages(), 2, "{settled:#}");
    for kind in ["redundancy_lost", "outage"] {
        let record = stage.aws.incident(kind, "RESOLVED").expect(kind);
        assert_eq!(repeated_lines(&record), Vec::<String>::new(), "{kind}");
        assert_eq!(ends(&record), 1, "{kind}: {record:#}");
    }
}

impl Killer<'_> {
    fn strikes_while_a_record_is_created(&mut self, kind: &str, begins: impl FnOnce()) {
        set_fault(self.stage, "StartIncident", &hang());
        begins();
        for _ in 0..4 {
            self.strikes_at_random(A_START);
        }
        let lost = || json!("lost_reply");
        self.strikes_in_turn("StartIncident", &[hang(), hang(), slow(), lost(), slow(), lost()]);
        for operation in ["ListIncidentRecords", "GetIncidentRecord", "CreateTimelineEvent"] {
            let seen = last(self.stage, operation);
            set_fault(self.stage, operation, &slow());
            self.waits_a_little_for(operation, seen);
            self.strikes_at_random(WITHIN_A_CALL);
            clear_fault(self.stage, operation);
        }
        self.stage.wait_for("the record is created", || self.stage.aws.incident(kind, "OPEN"));
        for _ in 0..3 {
            self.strikes_at_random(A_START);
        }
    }

    fn strikes_while_records_are_closed(&mut self, begins: impl FnOnce()) {
        set_fault(self.stage, "CreateTimelineEvent", &hang());
        set_fault(self.stage, "UpdateIncidentRecord", &hang());
        begins();
        for _ in 0..4 {
            self.strikes_at_random(A_START);
        }
        self.strikes_in_turn("CreateTimelineEvent", &[hang(), slow()]);
        self.strikes_in_turn("UpdateIncidentRecord", &[hang(), hang(), slow(), json!("lost_reply")]);
    }

    fn strikes_at_random(&mut self, most: Duration) {
        thread::sleep(self.random.draw(most));
        self.strikes(|| ());
    }

    /// Strikes in one call of this operation after another; each hits the next fault. The first fault is set before
    /// there is a reason to call, so that no call escapes. A call that is not executed must be repeated: until a fault
    /// lets a call be executed there is one to strike in, after that there may be none.
    fn strikes_in_turn(&mut self, operation: &'static str, faults: &[Value]) {
        let mut seen = last(self.stage, operation);
        let mut executed = false;
        for (index, fault) in faults.iter().enumerate() {
            if executed {
                self.waits_a_little_for(operation, seen);
            } else {
                self.stage.eventually(operation, || last(self.stage, operation) > seen);
                *self.hits.entry(operation).or_default() += 1;
            }
            executed |= *fault != hang();
            thread::sleep(self.random.draw(WITHIN_A_CALL));
            let (stage, next) = (self.stage, faults.get(index + 1));
            // While the daemon is dead nobody calls.
            self.strikes(|| {
                clear_fault(stage, operation);
                seen = last(stage, operation);
                next.into_iter().for_each(|next| set_fault(stage, operation, next));
            });
        }
    }

    /// There may be no reason to call.
    fn waits_a_little_for(&mut self, operation: &'static str, seen: u64) {
        let began = clock::now().mono;
        while clock::now().mono.since(began) < PATIENCE {
            if last(self.stage, operation) > seen {
                *self.hits.entry(operation).or_default() += 1;
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn strikes(&mut self, meanwhile: impl FnOnce()) {
        assert_eq!(self.stage.daemon.ended(), None, "the daemon ended by itself");
        self.stage.daemon.is_killed_and_started_again(|_| meanwhile());
        self.kills += 1;
    }
}

/// From here on calls of this operation hit this fault.
fn set_fault(stage: &Stage, operation: &str, fault: &Value) {
    stage.aws.control(json!({ "add_fault": { "fault": { "operation": operation, "kind": fault } } }));
}

fn clear_fault(stage: &Stage, operation: &str) {
    stage.aws.control(json!({ "clear_faults": { "operation": operation } }));
}

/// The number of the last request of this operation, answered or not; 0 if there is none.
fn last(stage: &Stage, operation: &str) -> u64 {
    let received = stage.aws.control(json!({ "received": { "operation": operation } }));
    received.as_array().unwrap().last().map_or(0, |request| request["number"].as_u64().unwrap())
}

/// Executed, but answered only when nobody waits for it any more.
fn slow() -> Value {
    json!({ "slow": { "seconds": 2.0 * WITHIN_A_CALL.as_secs_f64() } })
}

/// Not executed, not answered.
fn hang() -> Value {
    json!({ "hang": { "seconds": 3600.0 } })
}

/// The seed in the environment, or a random one.
fn seed() -> u64 {
    let given = std::env::var("BOTHENDS_CRASH_SEED").ok();
    given.map_or_else(|| clock::wall().as_millis().unsigned_abs(), |seed| seed.parse().unwrap())
}

/// Both tunnels are up, and no incident is open or will open.
fn all_resolved(stage: &Stage) -> bool {
    nothing_is_open(stage) && OUTSIDE.iter().all(|outside| stage.assessment(outside) == "healthy")
}

fn nothing_is_open(stage: &Stage) -> bool {
    let Some(status) = stage.status() else { return false };
    let phases = &status.vpns[0].phases;
    status.incidents.is_empty()
        && [&phases.outage, &phases.redundancy_lost, &phases.one_sided].iter().all(|phase| *phase == "clear")
}

/// The lines that a record's timeline contains more than once. The line by which a site adopts a record may be
/// repeated, if a kill came before the store knew of the adoption.
fn repeated_lines(record: &Value) -> Vec<String> {
    let events = record["timeline"].as_array().unwrap().iter();
    let joins = |event: &&Value| event["eventData"].as_str().unwrap().contains("also seen by this site");
    let lines = events.filter(|event| event["eventType"] == "Custom Event" && !joins(event));
    let mut lines: Vec<String> =
        lines.map(|event| format!("{} {}", event["eventTime"], event["eventData"])).collect();
    lines.sort();
    lines.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone()).collect()
}

/// How often a record was resolved, by AWS's own entries in its timeline.
fn ends(record: &Value) -> usize {
    let events = record["timeline"].as_array().unwrap().iter();
    events
        .filter(|event| {
            event["eventType"] != "Custom Event" && event["eventData"].to_string().contains("RESOLVED")
        })
        .count()
}
