//! An incident from the break to the end, as AWS receives it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::site::{MILAN, ONE, Site, TWO};
use super::wait::until;

/// The parameters of the requests of an operation that AWS took.
fn taken(site: &Site, operation: &str) -> Vec<Value> {
    let mut received = site.received(operation);
    received.retain(|request| request["result"] == "ok");
    received.into_iter().map(|mut request| request["parameters"].take()).collect()
}

/// The lines that people read in a record's timeline, of those that a daemon wrote.
fn told(record: &Value) -> Vec<String> {
    let events = record["timeline"].as_array().unwrap().iter();
    let ours = events.filter(|event| event["eventType"] == "Custom Event");
    ours.map(|event| event["eventData"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_both_ends_agree_on_is_raised_told_related_and_resolved() {
    let site = Site::new();
    site.home.edit("redundancy_lost = \"1h\"", "redundancy_lost = \"0s\"");
    let daemon = site.start_healthy();

    // One end alone pages nobody.
    site.cut(&[&TWO]);
    daemon.until_assessed("disputed", &[&TWO]);
    site.until_asked(2);
    assert!(site.received("StartIncident").is_empty());

    site.aws_says(false, &[&TWO]);
    until("lost redundancy is raised", || site.records("redundancy_lost").len() == 1);
    let start = &site.starts()[0]["parameters"];
    let title = start["title"].as_str().unwrap();
    for named in ["milan-1", "Milan DC", MILAN, "redundancy lost", "tunnel 2", TWO.outside] {
        assert!(title.contains(named), "{named:?} is not named in {title}");
    }
    assert!(!title.contains("tunnel 1"), "{title}");
    assert_eq!(start["impact"], 3);
    let trigger = &start["triggerDetails"];
    assert_eq!(trigger["source"], "bothends.redundancy_lost");
    assert_eq!(trigger["triggerArn"], format!("arn:aws:ec2:eu-west-1:123456789012:vpn-connection/{MILAN}"));
    let evidence: Value = serde_json::from_str(trigger["rawData"].as_str().unwrap()).unwrap();
    assert_eq!(evidence["runbook_url"], "https://wiki.example.com/vpn");
    let down = &evidence["tunnels"][1];
    assert_eq!((&down["outside_ip"], &down["assessment"]), (&json!(TWO.outside), &json!("down")));
    assert_eq!((&down["local"]["verdict"], &down["aws"]["verdict"]), (&json!("down"), &json!("down")));
    assert_eq!(
        (&down["local"]["last_loss"], &down["aws"]["source"]),
        (&json!("timeout"), &json!("cloudwatch"))
    );
    assert_eq!(down["aws"]["words"], "TunnelState 0");
    assert!(down["local"]["losses_in_row"].as_u64().unwrap() >= 5, "{down}");
    assert!(down["aws"]["as_of"].is_string() && down["local"]["last_reply"].is_string(), "{down}");
    assert_eq!(evidence["tunnels"][0]["assessment"], "healthy");

    site.aws_says(false, &[&ONE]);
    site.cut(&[&ONE]);
    until("the outage is raised", || site.records("outage").len() == 1);
    let first = site.records("redundancy_lost")[0]["record"]["arn"].as_str().unwrap().to_owned();
    until("it names the other", || site.records("outage")[0]["relatedItems"].to_string().contains(&first));
    let start = &site.starts()[1]["parameters"];
    assert_eq!(
        (&start["impact"], &start["triggerDetails"]["source"]),
        (&json!(1), &json!("bothends.outage"))
    );
    let says = |kind: &str, what: &str| {
        let record = &site.records(kind)[0];
        record["record"]["summary"].as_str().is_some_and(|summary| summary.contains(what))
    };
    until("the records say whether traffic flows", || {
        says("outage", "No traffic flows") && says("redundancy_lost", "No traffic flows")
    });
    let pages = site.records("outage")[0]["relatedItems"].to_string();
    for page in ["VpnConnectionDetails", "TunnelState", "https://wiki.example.com/vpn"] {
        assert!(pages.contains(page), "{page:?} is not among {pages}");
    }
    until("the first record goes on with the other tunnel", || {
        told(&site.records("redundancy_lost")[0])
            .iter()
            .any(|line| line.contains(ONE.outside) && line.contains("down at both ends"))
    });
    assert_eq!(daemon.metric(&format!("bothends_incident_open{{vpn=\"{MILAN}\",kind=\"outage\"}}")), 1.0);

    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    for kind in ["outage", "redundancy_lost"] {
        until(&format!("{kind} is resolved"), || site.records(kind)[0]["record"]["status"] == "RESOLVED");
        let record = &site.records(kind)[0];
        assert!(record["record"]["summary"].as_str().unwrap().contains("Resolved by bothends"), "{record}");
        let told = told(record);
        for line in ["up at both ends", "clearing", "over"] {
            assert!(told.iter().any(|told| told.contains(line)), "{line:?} is not told in {told:#?}");
        }
    }
    until("both are settled", || daemon.status()["incidents"] == json!([]));
    assert_eq!(site.starts().len(), 2);
    let mut updates = taken(&site, "UpdateIncidentRecord");
    updates.retain(|update| update["status"] == "RESOLVED");
    let resolved: BTreeSet<_> = updates.iter().map(|update| update["arn"].as_str().unwrap()).collect();
    assert_eq!(resolved.len(), 2, "{updates:#?}");
    assert_eq!(daemon.metric("bothends_sink_pending{sink=\"incident_manager\"}"), 0.0);
}

#[test]
fn in_mode_observe_everything_is_decided_and_nothing_is_sent() {
    let site = Site::new();
    site.home.add("observe.toml", "[incident]\nmode = \"observe\"\n");
    let daemon = site.start_healthy();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("the outage is open", || daemon.vpn(MILAN)["phases"]["outage"] == "open");
    assert_eq!(daemon.status()["mode"], "observe");
    assert_eq!(daemon.status()["incidents"][0]["kind"], "outage");
    assert_eq!(daemon.metric(&format!("bothends_incident_open{{vpn=\"{MILAN}\",kind=\"outage\"}}")), 1.0);
    daemon.until_logged("outage incident: nothing gets through the connection");
    site.until_asked(1);
    let services: Vec<_> =
        site.received_at_all().into_iter().filter(|request| request["service"] == "ssm-incidents").collect();
    assert_eq!(services, Vec::<Value>::new());
}
