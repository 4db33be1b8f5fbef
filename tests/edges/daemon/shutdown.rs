//! Shutdown: in time whatever hangs, and without losing what is in flight.

use rustix::process::Signal;
use serde_json::json;

use super::site::{ONE, Site, TWO};
use super::wait::until;

#[test]
fn sigterm_ends_the_daemon_while_aws_calls_hang_and_the_next_run_sends_the_page() {
    ends_while_aws_calls_hang(Signal::TERM);
}

#[test]
fn sigint_ends_the_daemon_while_aws_calls_hang_and_the_next_run_sends_the_page() {
    ends_while_aws_calls_hang(Signal::INT);
}

fn ends_while_aws_calls_hang(signal: Signal) {
    let site = Site::new();
    let mut daemon = site.start_healthy();
    site.fault("StartIncident", json!({ "hang": { "seconds": 3600.0 } }));
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("a page is in flight", || !site.received("StartIncident").is_empty());
    site.fault("GetMetricData", json!({ "hang": { "seconds": 3600.0 } }));
    until("a poll hangs", || {
        site.received("GetMetricData").last().unwrap()["result"].as_str().unwrap().starts_with("fault")
    });

    daemon.signal(signal);
    assert_eq!(daemon.ended_in_time(), Some(0));
    drop(daemon);
    assert!(site.records("outage").is_empty());

    site.clear_faults();
    let _next = site.start();
    until("the record exists", || !site.records("outage").is_empty());
    let starts = site.received("StartIncident");
    assert!(starts.iter().all(|start| start["parameters"] == starts[0]["parameters"]), "{starts:#?}");
}

#[test]
fn an_idle_daemon_logs_its_stop_and_ends_cleanly() {
    let site = Site::new();
    let log = site.start_healthy().stop();
    assert!(log.contains("milan-1: stopping after "), "{log}");
    assert!(!log.contains("shutdown timed out"), "{log}");
}
