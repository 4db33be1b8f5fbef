//! Two gateways of one connection, and an AWS whose lists lag, for each way of handling a known token.

use std::time::Duration;

use serde_json::{Value, json};

use super::process::Daemon;
use super::site::{MILAN, ONE, Site, TWO};
use super::wait::{until, within};

/// Duplicates are recognised when the list must show both, after 90 s; the rest is for a busy machine.
const MENDED_WITHIN: Duration = Duration::from_secs(240);
/// Longer than either daemon takes from the agreement to its create call.
const LIST_LAG: f64 = 20.0;

#[test]
fn a_pair_has_one_record_if_a_known_token_returns_the_old_record() {
    has_one_open_record_and_survives_the_death_of_one_daemon("old_arn", 1);
}

#[test]
fn a_pair_has_one_record_if_a_known_token_is_a_conflict() {
    has_one_open_record_and_survives_the_death_of_one_daemon("conflict", 1);
}

/// The younger one is closed as soon as the list must show both.
#[test]
fn a_pair_has_one_open_record_if_a_known_token_with_other_parameters_creates_another() {
    has_one_open_record_and_survives_the_death_of_one_daemon("new_record", 2);
}

/// At most `most` records, one of them open after the start, all closed at the end.
fn has_one_open_record_and_survives_the_death_of_one_daemon(known_token: &str, most: usize) {
    let site = Site::new();
    site.control(
        json!({ "set_switches": { "switches": { "known_token": known_token, "list_lag": LIST_LAG } } }),
    );
    let twin = site.twin();
    let first = site.start();
    let second = Daemon::start(&site, &twin, site.command(&twin, &["run"]));
    for daemon in [&first, &second] {
        daemon.until_assessed("healthy", &[&ONE, &TWO]);
    }
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    for daemon in [&first, &second] {
        until("it knows of the outage", || daemon.vpn(MILAN)["phases"]["outage"] == "open");
        until("its record exists", || knows_its_record(daemon));
    }
    assert!(
        site.received("StartIncident").len() >= 2,
        "both have created one, since neither could see the other's"
    );
    // Only a list that shows both records tells them apart.
    within(MENDED_WITHIN, "one record is open", || (open(&site) == 1).then_some(()));
    assert!(site.records("outage").len() <= most, "{:#?}", site.records("outage"));

    first.kill();
    site.until_asked(3);
    assert_eq!(open(&site), 1, "the death of one daemon changes nothing");
    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    until("the other settles it", || second.status()["incidents"] == json!([]));
    let records = closed_once(&site, most);

    // The restarted daemon remembers an open incident.
    let first = site.start();
    first.until_assessed("healthy", &[&ONE, &TWO]);
    until("it settles it too", || first.status()["incidents"] == json!([]));
    site.until_asked(3);
    assert_eq!(closed_once(&site, most), records, "nothing is created again");
}

fn knows_its_record(daemon: &Daemon<'_>) -> bool {
    let read = "bothends_sink_requests_total{sink=\"incident_manager\",action=\"read\",result=\"ok\"}";
    daemon.metric(read) >= 1.0
}

fn open(site: &Site) -> usize {
    site.records("outage").iter().filter(|record| record["record"]["status"] == "OPEN").count()
}

/// The records' ARNs.
fn closed_once(site: &Site, most: usize) -> Vec<Value> {
    let records = site.records("outage");
    assert!((1..=most).contains(&records.len()), "{records:#?}");
    for record in &records {
        assert_eq!(record["record"]["status"], "RESOLVED", "{record:#}");
        let events = record["timeline"].as_array().unwrap().iter();
        let ends = events.filter(|event| {
            event["eventType"] != "Custom Event" && event["eventData"].to_string().contains("RESOLVED")
        });
        // Both may find the younger of two open records at the same instant; closing a closed record changes nothing.
        assert!((1..=most).contains(&ends.count()), "{record:#}");
    }
    records.into_iter().map(|record| record["record"]["arn"].clone()).collect()
}
