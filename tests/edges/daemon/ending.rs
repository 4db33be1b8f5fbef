//! The end: in time whatever hangs, and without losing what is under way.

use rustix::process::Signal;
use serde_json::json;

use super::site::{ONE, Site, TWO};
use super::wait::until;

#[test]
fn sigterm_ends_it_while_calls_to_aws_hang_and_the_page_is_sent_by_the_next_run() {
    it_ends_while_calls_to_aws_hang(Signal::TERM);
}

#[test]
fn sigint_ends_it_while_calls_to_aws_hang_and_the_page_is_sent_by_the_next_run() {
    it_ends_while_calls_to_aws_hang(Signal::INT);
}

fn it_ends_while_calls_to_aws_hang(signal: Signal) {
    let site = Site::new();
    let mut daemon = site.start_healthy();
    site.fault("StartIncident", json!({ "hang": { "seconds": 3600.0 } }));
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("a page is on its way", || !site.received("StartIncident").is_empty());
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
    until("the record is there", || !site.records("outage").is_empty());
    let starts = site.received("StartIncident");
    assert!(starts.iter().all(|start| start["parameters"] == starts[0]["parameters"]), "{starts:#?}");
}

#[test]
fn a_daemon_at_rest_ends_with_a_word_and_nothing_left_over() {
    let site = Site::new();
    let log = site.start_healthy().stop();
    assert!(log.contains("milan-1: stopping after "), "{log}");
    assert!(!log.contains("shutdown timed out"), "{log}");
}
