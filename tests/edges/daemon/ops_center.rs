//! An incident at OpsCenter, by the daemon.

use serde_json::{Value, json};

use super::site::{MILAN, ONE, Site, TWO};
use super::wait::until;

const SINK: &str = "[[incident.sink]]\ntype = \"ops_center\"\nkinds = [\"outage\"]\n";

fn items(site: &Site) -> Vec<Value> {
    site.control(json!({ "ops_items": {} })).as_array().unwrap().clone()
}

#[test]
fn an_outage_is_one_ops_item_across_a_restart_beside_the_other_sink() {
    let site = Site::new();
    site.home.add("ops_center.toml", SINK);
    let daemon = site.start_healthy();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("the OpsItem exists", || items(&site).len() == 1);
    until("the other sink's record exists", || site.records("outage").len() == 1);
    let item = &items(&site)[0];
    assert!(item["Title"].as_str().unwrap().contains("Milan DC"), "{item}");
    let resources = item["OperationalData"]["/aws/resources"]["Value"].clone();
    until("its reply is stored", || daemon.metric("bothends_sink_pending{sink=\"ops_center\"}") == 0.0);
    daemon.kill();

    let daemon = site.start();
    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    until("the item is resolved", || items(&site)[0]["Status"] == "Resolved");
    until("every incident is settled", || daemon.status()["incidents"] == json!([]));
    let item = &items(&site)[0];
    let timeline = item["OperationalData"]["bothends-timeline milan-1"]["Value"].as_str().unwrap();
    for expected in ["clearing", "outage over"] {
        assert!(timeline.contains(expected), "{expected:?} is missing from {timeline}");
    }
    let resources = if resources.is_null() {
        item["OperationalData"]["/aws/resources"]["Value"].clone()
    } else {
        resources
    };
    assert!(resources.as_str().unwrap().contains(MILAN), "{item}");
    assert_eq!(items(&site).len(), 1);
    assert_eq!(daemon.metric("bothends_sink_pending{sink=\"ops_center\"}"), 0.0);
}

#[test]
fn an_open_item_without_an_incident_is_adopted_and_resolved() {
    let site = Site::new();
    site.home.add("ops_center.toml", SINK);
    let daemon = site.start_healthy();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("the OpsItem exists", || items(&site).len() == 1);
    daemon.kill();
    // The store is lost.
    std::fs::remove_dir_all(site.home.store().parent().unwrap()).unwrap();
    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    let _daemon = site.start();
    until("the item is resolved", || items(&site)[0]["Status"] == "Resolved");
    assert_eq!(items(&site).len(), 1);
}

#[test]
fn a_missing_permission_is_named_and_blocks_no_other_sink() {
    let site = Site::new();
    site.home.add("ops_center.toml", SINK);
    site.fault("CreateOpsItem", json!("denied"));
    let daemon = site.start_healthy();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    let answer = daemon.until_readyz_says("the permission ssm:CreateOpsItem on * is missing");
    assert_eq!(answer.code, 503);
    until("the other sink's record exists", || site.records("outage").len() == 1);
    assert_eq!(daemon.logged("ERROR", "ssm:CreateOpsItem").len(), 1);
    assert_eq!(items(&site).len(), 0);
}
