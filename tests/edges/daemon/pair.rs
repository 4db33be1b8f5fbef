//! Two gateways of one connection, and an AWS whose lists lag, whatever it makes of a token that it knows.

use std::time::Duration;

use serde_json::{Value, json};

use super::process::Daemon;
use super::site::{MILAN, ONE, Site, TWO};
use super::wait::{until, within};

/// Two records are told apart when the list must show both, after 90 s; the rest is for a busy machine.
const MENDED_WITHIN: Duration = Duration::from_secs(240);
/// Longer than either daemon takes from the agreement to its start.
const LIST_LAG: f64 = 20.0;

#[test]
fn a_pair_has_one_record_where_a_known_token_gives_the_old_one() {
    has_one_open_record_and_goes_on_when_one_dies("old_arn", 1);
}

#[test]
fn a_pair_has_one_record_where_a_known_token_is_a_conflict() {
    has_one_open_record_and_goes_on_when_one_dies("conflict", 1);
}

/// The younger is closed as soon as both must show in the list.
#[test]
fn a_pair_has_one_open_record_where_a_known_token_with_other_parameters_makes_another() {
    has_one_open_record_and_goes_on_when_one_dies("new_record", 2);
}

/// `most` records, one of them open at the end of the start, all closed at the end.
fn has_one_open_record_and_goes_on_when_one_dies(known_token: &str, most: usize) {
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
        until("its record is there", || knows_its_record(daemon));
    }
    assert!(
        site.received("StartIncident").len() >= 2,
        "both have begun one, since neither could see the other's"
    );
    // What two records are, a list that shows both must say.
    within(MENDED_WITHIN, "one record is open", || (open(&site) == 1).then_some(()));
    assert!(site.records("outage").len() <= most, "{:#?}", site.records("outage"));

    first.kill();
    site.until_asked(3);
    assert_eq!(open(&site), 1, "one of them dying changes nothing");
    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    until("the other settles it", || second.status()["incidents"] == json!([]));
    let records = closed_once(&site, most);

    // The one that died remembers an open incident.
    let first = site.start();
    first.until_assessed("healthy", &[&ONE, &TWO]);
    until("it settles it too", || first.status()["incidents"] == json!([]));
    site.until_asked(3);
    assert_eq!(closed_once(&site, most), records, "nothing is begun again");
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
        // Both may find the younger of two open at the same instant; to close what is closed changes nothing.
        assert!((1..=most).contains(&ends.count()), "{record:#}");
    }
    records.into_iter().map(|record| record["record"]["arn"].clone()).collect()
}
