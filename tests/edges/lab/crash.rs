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
/// From the start of a daemon in an outage to the agreement of both ends, and a little more.
const A_START: Duration = Duration::from_secs(4);
/// Less than an answer takes, so that a call is under way.
const WITHIN_A_CALL: Duration = Duration::from_millis(1500);
/// Longer than a daemon takes to come to a call that it has a reason to make.
const PATIENCE: Duration = Duration::from_secs(5);
/// Enough for a second record, or a second end, if there were to be one.
const POLLS: usize = 4;

/// Kills the daemon again and again.
struct Killer<'s> {
    stage: &'s Stage,
    random: Backoff,
    kills: usize,
    /// Kills while, or just after, a call met its fault, by operation.
    hits: BTreeMap<&'static str, usize>,
}

#[test]
fn a_daemon_that_is_killed_at_fifty_instants_of_an_outage_has_one_record_of_each_kind_to_its_end() {
    let seed = seed();
    println!("BOTHENDS_CRASH_SEED={seed} plays the same instants again");
    let stage = Stage::healthy(&Config {
        incident: "open_after = { outage = '0s', redundancy_lost = '0s' }\nresolve_after = '3s'\nstart_grace = '0s'",
        ..Config::default()
    });
    // The first write comes a while after the start.
    let known = || Copy::of(&stage.daemon.store()).ok()?.count("seen_up").ok();
    stage.eventually("the disk knows that each end has seen each tunnel Up", || known() == Some(4));
    // For as long as a list does not show a record, only its token keeps it from being started again.
    stage.aws.control(json!({ "set_switches": { "switches": { "list_lag": 30.0 } } }));
    let mut killer = Killer { stage: &stage, random: Backoff::new(seed), kills: 0, hits: BTreeMap::new() };

    killer.strikes_while_a_record_is_begun("redundancy_lost", || stage.lab.breaks("dead", "1"));
    killer.strikes_while_a_record_is_begun("outage", || stage.lab.breaks("dead", "2"));
    killer.strikes_while_records_are_closed(|| stage.lab.heal("all"));
    while killer.kills < KILLS {
        killer.strikes_at_random(A_START);
    }
    println!("hits: {:?}", killer.hits);
    for operation in ["StartIncident", "CreateTimelineEvent", "UpdateIncidentRecord"] {
        assert!(killer.hits.contains_key(operation), "{operation}");
    }

    stage.eventually("nothing is left", || nothing_is_left(&stage));
    let settled = stage.aws.control(json!({ "incidents": {} }));
    // Of the minute in which the tunnels came back AWS has a fraction, which is no verdict, and opens nothing.
    stage.stays_so_for_polls(POLLS, || assert!(nothing_is_open(&stage)));
    assert_eq!(stage.aws.control(json!({ "incidents": {} })), settled, "what is over stays as it is");
    assert_eq!(stage.aws.pages(), 2, "{settled:#}");
    for kind in ["redundancy_lost", "outage"] {
        let record = stage.aws.incident(kind, "RESOLVED").expect(kind);
        assert_eq!(told_twice(&record), Vec::<String>::new(), "{kind}");
        assert_eq!(ends(&record), 1, "{kind}: {record:#}");
    }
}

impl Killer<'_> {
    fn strikes_while_a_record_is_begun(&mut self, kind: &str, begins: impl FnOnce()) {
        lays(self.stage, "StartIncident", &hang());
        begins();
        for _ in 0..4 {
            self.strikes_at_random(A_START);
        }
        let lost = || json!("lost_reply");
        self.strikes_in_turn("StartIncident", &[hang(), hang(), slow(), lost(), slow(), lost()]);
        for operation in ["ListIncidentRecords", "GetIncidentRecord", "CreateTimelineEvent"] {
            let seen = last(self.stage, operation);
            lays(self.stage, operation, &slow());
            self.waits_a_little_for(operation, seen);
            self.strikes_at_random(WITHIN_A_CALL);
            clears(self.stage, operation);
        }
        self.stage.awaits("it is raised", || self.stage.aws.incident(kind, "OPEN"));
        for _ in 0..3 {
            self.strikes_at_random(A_START);
        }
    }

    fn strikes_while_records_are_closed(&mut self, begins: impl FnOnce()) {
        lays(self.stage, "CreateTimelineEvent", &hang());
        lays(self.stage, "UpdateIncidentRecord", &hang());
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

    /// Strikes in one call of this operation after another; each meets the next fault. The first one lies since before
    /// there was a reason to call, so that no call gets by. What is not executed must be called again: until a fault
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
                clears(stage, operation);
                seen = last(stage, operation);
                next.into_iter().for_each(|next| lays(stage, operation, next));
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
        assert_eq!(self.stage.daemon.ended(), None, "it ended by itself");
        self.stage.daemon.is_killed_and_started_again(|_| meanwhile());
        self.kills += 1;
    }
}

/// From here on calls of this operation meet this fault.
fn lays(stage: &Stage, operation: &str, fault: &Value) {
    stage.aws.control(json!({ "add_fault": { "fault": { "operation": operation, "kind": fault } } }));
}

fn clears(stage: &Stage, operation: &str) {
    stage.aws.control(json!({ "clear_faults": { "operation": operation } }));
}

/// The number of the last request of this operation, also of one that has no answer yet; 0 if there is none.
fn last(stage: &Stage, operation: &str) -> u64 {
    let received = stage.aws.control(json!({ "received": { "operation": operation } }));
    received.as_array().unwrap().last().map_or(0, |request| request["number"].as_u64().unwrap())
}

/// Executed, and the answer comes when nobody waits for it any more.
fn slow() -> Value {
    json!({ "slow": { "seconds": 2.0 * WITHIN_A_CALL.as_secs_f64() } })
}

/// Not executed, and no answer.
fn hang() -> Value {
    json!({ "hang": { "seconds": 3600.0 } })
}

/// The variable's, or any.
fn seed() -> u64 {
    let given = std::env::var("BOTHENDS_CRASH_SEED").ok();
    given.map_or_else(|| clock::wall().as_millis().unsigned_abs(), |seed| seed.parse().unwrap())
}

/// Both tunnels are well, and there is no incident, nor will there be.
fn nothing_is_left(stage: &Stage) -> bool {
    nothing_is_open(stage) && OUTSIDE.iter().all(|outside| stage.assessment(outside) == "healthy")
}

fn nothing_is_open(stage: &Stage) -> bool {
    let Some(status) = stage.status() else { return false };
    let phases = &status.vpns[0].phases;
    status.incidents.is_empty()
        && [&phases.outage, &phases.redundancy_lost, &phases.one_sided].iter().all(|phase| *phase == "clear")
}

/// The lines of a record's story that stand in it more than once. The one by which a site joins a record that it does not know to
/// have started, because it was killed before the answer was written down, may come again after another kill.
fn told_twice(record: &Value) -> Vec<String> {
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
