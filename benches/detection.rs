//! How long a break takes to be detected, and to be reported, on the lab's real tunnels; needs root.
//!
//! 1. From a real break to the local Down, with the default `[probe]`. The clock starts before the command that breaks
//!    the tunnel is run, so the command's own time counts; it stops at the `since` of the local verdict in `/status`.
//!    The breaks are spread evenly over the second between two probes. Target: a median under 3 s.
//! 2. From the second end's evidence to `StartIncident` on the wire, with nothing to wait for (`open_after` is 0). The
//!    tunnel is locally Down and AWS is held at UP; then AWS reports DOWN. The clock starts when the query that gets
//!    this answer reaches AWS, and stops when `StartIncident` reaches it, both on AWS's clock, in milliseconds. Target:
//!    a median under 50 ms.
//!
//! Missing a target fails nothing: a busy machine is no defect. `make bench` measures an optimised build, whose
//! dependencies take minutes to compile the first time; `make bench BENCH_PROFILE=dev` measures the build that the
//! tests use.

#[path = "../tests/edges/lab/stage/mod.rs"]
#[expect(dead_code, reason = "used by the tests")]
mod stage;
#[path = "../tests/stand_in/mod.rs"]
#[expect(unused, reason = "its unit tests run with the tests")]
mod stand_in;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use bothends::clock;
use bothends::domain::time::Stamp;
use serde_json::{Value, json};
use stage::{Config, OUTSIDE, Stage};

const REPETITIONS: u32 = 12;
const INTERVAL: Duration = Duration::from_secs(1);

fn main() {
    let build = if cfg!(debug_assertions) { "unoptimised" } else { "optimised" };
    println!("bothends {}, {build}, {}", env!("CARGO_PKG_VERSION"), env!("CARGO_BIN_EXE_bothends"));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load at the start: {}", load.trim_end());
    println!("\nFrom a real break to the local Down (target: a median under 3 s)");
    for kind in ["path", "dead"] {
        until_local_down(kind);
    }
    println!("\nFrom the second end's evidence to StartIncident on the wire (target: a median under 50 ms)");
    until_incident_started();
}

fn until_local_down(kind: &str) {
    let stage = Stage::healthy(&Config { probe: "", incident: "", ..Config::default() });
    let (mut took, mut of_these) = (Vec::new(), Vec::new());
    for repetition in 0..REPETITIONS {
        stage.eventually("the tunnel is up, and nothing is in doubt", || {
            stage.tunnel(OUTSIDE[0]).is_some_and(|tunnel| {
                tunnel.assessment == "healthy" && tunnel.checks.iter().all(|check| !check.suspect)
            })
        });
        sleep_until_phase(INTERVAL * repetition / REPETITIONS);
        let began = clock::wall();
        stage.lab.breaks(kind, "1");
        of_these.push(clock::wall().since(began));
        let down = stage.wait_for("the local verdict is Down", || {
            stage.tunnel(OUTSIDE[0]).map(|tunnel| tunnel.local).filter(|local| local.verdict == "down")
        });
        took.push(stamp(&down.since).since(began));
        stage.lab.heal("1");
    }
    println!("{}; the command that breaks: {}", summary(kind, took), summary("", of_these).trim_start());
}

fn until_incident_started() {
    let incident = "open_after = { outage = '0s', redundancy_lost = '0s' }\nstart_grace = '0s'";
    let stage = Stage::healthy(&Config { incident, ..Config::default() });
    let took = (0..REPETITIONS).map(|_| {
        stage.aws.control(json!({ "reset": {} }));
        says(&stage, "UP", "1 BGP ROUTES");
        stage.daemon.is_killed_and_started_again(forget);
        stage.becomes_healthy();
        stage.lab.breaks("dead", "1");
        stage.eventually("only the local verdict is Down", || stage.assessment(OUTSIDE[0]) == "disputed");
        stage.eventually("records are looked up", || !stage.aws.received("ListIncidentRecords").is_empty());
        // Right after a query there is time until the next one.
        stage.stays_so_for_polls(1, || ());
        let asked_before = stage.aws.polls();
        says(&stage, "DOWN", "IPSEC IS UP");
        let started =
            stage.wait_for("StartIncident", || stage.aws.received("StartIncident").into_iter().next());
        let evidence = &stage.aws.received("DescribeVpnConnections")[asked_before];
        stage.lab.heal("1");
        Duration::from_secs_f64(at(&started) - at(evidence))
    });
    println!("{}", summary("dead", took.collect()));
}

/// Removes the store: with it, every further incident of the same kind would take twice as long to resolve.
fn forget(state: &Path) {
    for entry in fs::read_dir(state).expect("the state directory exists") {
        let entry = entry.expect("the state directory can be listed");
        if entry.file_name().to_string_lossy().starts_with("bothends.db") {
            fs::remove_file(entry.path()).expect("the store can be deleted");
        }
    }
}

/// What EC2 reports for tunnel 1. CloudWatch reports nothing: its datapoints come once a minute.
fn says(stage: &Stage, status: &str, message: &str) {
    let ec2 = json!({ "fixed": { "status": status, "message": message } });
    let view = json!({ "outside_ip": OUTSIDE[0], "cloudwatch": "silent", "ec2": ec2 });
    stage.aws.control(json!({ "set_view": view }));
}

/// Sleeps until the wall clock is this far past a whole interval.
fn sleep_until_phase(phase: Duration) {
    let interval = INTERVAL.as_millis() as i64;
    let wait = (phase.as_millis() as i64 - clock::wall().as_millis()).rem_euclid(interval);
    thread::sleep(Duration::from_millis(wait.unsigned_abs()));
}

fn stamp(rfc3339: &str) -> Stamp {
    let parsed: jiff::Timestamp = rfc3339.parse().expect("/status gives its times in RFC 3339");
    Stamp::from_millis(parsed.as_millisecond())
}

/// When a request reached AWS, in seconds since 1970.
fn at(request: &Value) -> f64 {
    request["at"].as_f64().expect("the stand-in stamps what it receives")
}

fn summary(what: &str, mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let (count, middle) = (took.len(), took.len() / 2);
    let median = if count % 2 == 0 { (took[middle - 1] + took[middle]) / 2 } else { took[middle] };
    let millis = |duration: Duration| format!("{:.0} ms", duration.as_secs_f64() * 1e3);
    let (min, median, max) = (millis(took[0]), millis(median), millis(took[count - 1]));
    format!("  {what:5} min {min}, median {median}, max {max} ({count} times)")
}
