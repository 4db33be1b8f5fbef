//! An incident from the break to the end, as AWS receives it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::site::{MILAN, ONE, Site, TWO};
use super::wait::until;

/// The parameters of an operation's requests that AWS accepted.
fn taken(site: &Site, operation: &str) -> Vec<Value> {
    let mut received = site.received(operation);
    received.retain(|request| request["result"] == "ok");
    received.into_iter().map(|mut request| request["parameters"].take()).collect()
}

/// The timeline lines for people, of the entries that a daemon wrote.
fn timeline(record: &Value) -> Vec<String> {
    let events = record["timeline"].as_array().unwrap().iter();
    let ours = events.filter(|event| event["eventType"] == "Custom Event");
    ours.map(|event| event["eventData"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_agreed_incident_gets_a_record_with_timeline_and_relation_and_is_resolved() {
    let site = Site::new();
    site.home.edit("redundancy_lost = \"1h\"", "redundancy_lost = \"0s\"");
    let daemon = site.start_healthy();

    // One end alone pages nobody.
    site.cut(&[&TWO]);
    daemon.until_assessed("disputed", &[&TWO]);
    site.until_asked(2);
    assert!(site.received("StartIncident").is_empty());

    site.aws_says(false, &[&TWO]);
    until("the redundancy_lost record is created", || site.records("redundancy_lost").len() == 1);
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
    until("the outage record is created", || site.records("outage").len() == 1);
    let first = site.records("redundancy_lost")[0]["record"]["arn"].as_str().unwrap().to_owned();
    until("it is related to the first record", || {
        site.records("outage")[0]["relatedItems"].to_string().contains(&first)
    });
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
    until("the first record reports the other tunnel", || {
        timeline(&site.records("redundancy_lost")[0])
            .iter()
            .any(|line| line.contains(ONE.outside) && line.contains("down at both ends"))
    });
    assert_eq!(daemon.metric(&outage_open()), 1.0);

    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    for kind in ["outage", "redundancy_lost"] {
        until(&format!("{kind} is resolved"), || site.records(kind)[0]["record"]["status"] == "RESOLVED");
        let record = &site.records(kind)[0];
        assert!(record["record"]["summary"].as_str().unwrap().contains("Resolved by bothends"), "{record}");
        let timeline = timeline(record);
        for line in ["up at both ends", "clearing", "over"] {
            assert!(
                timeline.iter().any(|timeline| timeline.contains(line)),
                "{line:?} is missing from {timeline:#?}"
            );
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

fn outage_open() -> String {
    format!(
        "bothends_incident_open{{scope=\"connection\",name=\"Milan DC\",vpn=\"{MILAN}\",kind=\"outage\"}}"
    )
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
    assert_eq!(daemon.metric(&outage_open()), 1.0);
    daemon.until_logged("outage incident: nothing gets through the connection");
    site.until_asked(1);
    let services: Vec<_> =
        site.all_received().into_iter().filter(|request| request["service"] == "ssm-incidents").collect();
    assert_eq!(services, Vec::<Value>::new());
}
