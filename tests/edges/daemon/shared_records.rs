//! Others that change the same records: a person, the template's alarm, a twin.

use serde_json::{Value, json};

use super::process::Daemon;
use super::site::{MILAN, ONE, PLAN, Site, TWO};
use super::wait::until;

fn status(site: &Site) -> Vec<Value> {
    site.records("outage").iter().map(|record| record["record"]["status"].clone()).collect()
}

#[test]
fn a_record_closed_by_a_person_stays_closed_until_the_incident_worsens_and_pages_again() {
    let site = Site::new();
    let daemon = site.start_healthy();
    // AWS agrees on one tunnel; it reports the other one up, but no traffic passes.
    site.aws_says(false, &[&ONE]);
    site.cut(&[&ONE, &TWO]);
    until("the outage record is created", || status(&site) == ["OPEN"]);
    daemon.until_assessed("disputed", &[&TWO]);
    let arn = site.records("outage")[0]["record"]["arn"].clone();
    site.control(json!({ "close_incident": { "arn": arn, "by": "a-person" } }));

    site.until_asked(3);
    assert_eq!(status(&site), ["RESOLVED"]);
    assert_eq!(daemon.vpn(MILAN)["phases"]["outage"], "open");

    site.aws_says(false, &[&TWO]);
    until("a further tunnel pages again", || status(&site) == ["RESOLVED", "OPEN"]);
    let starts = site.starts();
    assert_ne!(starts[0]["parameters"]["clientToken"], starts[1]["parameters"]["clientToken"]);
    let evidence = starts[1]["parameters"]["triggerDetails"]["rawData"].as_str().unwrap();
    let evidence: Value = serde_json::from_str(evidence).unwrap();
    assert_eq!(evidence["worsened_after_close"], true);
}

#[test]
fn a_record_created_by_the_alarm_is_adopted_and_resolved() {
    let site = Site::new();
    let alarm = format!("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:bothends-{MILAN}-outage");
    let daemon = site.start_healthy();
    let arn = site.control(json!({ "start_by_alarm": { "response_plan": PLAN, "alarm": alarm } }));
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    let record = || {
        let all = site.control(json!({ "incidents": {} }));
        assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
        assert_eq!(all[0]["record"]["arn"], arn);
        all[0].clone()
    };
    until("it has the site's evidence", || {
        record()["timeline"].to_string().contains("outage also seen by this site")
    });
    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    until("it is resolved", || record()["record"]["status"] == "RESOLVED");
    assert!(site.received("StartIncident").is_empty());
    drop(daemon);
}

#[test]
fn two_daemons_of_one_connection_create_one_record() {
    let site = Site::new();
    let twin = site.twin();
    let daemons = [site.start(), Daemon::start(&site, &twin, site.command(&twin, &["run"]))];
    for daemon in &daemons {
        daemon.until_assessed("healthy", &[&ONE, &TWO]);
    }
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    for daemon in &daemons {
        until("it knows of the outage", || daemon.vpn(MILAN)["phases"]["outage"] == "open");
        until("its record exists", || {
            daemon.metric(
                "bothends_sink_requests_total{sink=\"incident_manager\",action=\"read\",result=\"ok\"}",
            ) >= 1.0
        });
    }
    assert_eq!(status(&site), ["OPEN"]);

    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    for daemon in &daemons {
        until("the incident is settled", || daemon.status()["incidents"] == json!([]));
    }
    assert_eq!(status(&site), ["RESOLVED"]);
    let timeline = site.records("outage")[0]["timeline"].to_string();
    assert!(timeline.contains("milan-1: ") && timeline.contains("milan-2: "), "{timeline}");
}
