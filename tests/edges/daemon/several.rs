//! Several connections, tunnel roles, overrides, Regions and roles to assume.

use serde_json::{Value, json};

use super::site::{
    FIVE, FOUR, MILAN, ONE, PAGER, REGION, ROME, ROMES_PLAN, ROMES_REGION, Site, THREE, TURIN, TWO, WATCHER,
};
use super::wait::until;

/// Rome: IPv6 inside, one tunnel unused, polled and paged in another Region with other roles.
fn add_rome(site: &Site) {
    let (three, four) = (THREE.toml(), FOUR.toml());
    let text = format!(
        r#"
[[vpn]]
id = "{ROME}"
name = "Rome"
region = "{ROMES_REGION}"
role_arn = "{WATCHER}"
{three}
{four}
role = "unused"
[[incident.sink]]
type = "incident_manager"
response_plan = "{ROMES_PLAN}"
vpns = ["{ROME}"]
region = "{ROMES_REGION}"
role_arn = "{PAGER}"
impact = {{ outage = 2 }}
"#
    );
    site.home.add("rome.toml", &text);
}

/// Turin: one tunnel, probed at its own interval, with a delayed outage.
fn add_turin(site: &Site) {
    let five = FIVE.toml();
    let text = format!(
        r#"
[[vpn]]
id = "{TURIN}"
name = "Turin"
{five}
[vpn.probe]
interval = "500ms"
[vpn.incident]
open_after = {{ outage = "1h" }}
"#
    );
    site.home.add("turin.toml", &text);
}

#[test]
fn each_connection_in_conf_d_is_monitored_and_paged_by_its_own_settings_region_and_role() {
    let site = Site::new();
    add_rome(&site);
    add_turin(&site);
    site.home.edit("source_ip = \"169.254.11.2\"", "source_ip = \"169.254.11.2\"\nrole = \"standby\"");
    let daemon = site.start_healthy();
    daemon.until_assessed("healthy", &[&THREE, &FIVE]);

    let unused = daemon.tunnel(&FOUR);
    assert_eq!((&unused["role"], &unused["assessment"]), (&json!("unused"), &json!("blind")));
    assert_eq!(unused["checks"], json!([]));
    assert_eq!(daemon.tunnel(&TWO)["role"], "standby");

    let assumed = |role: &str| format!("arn:aws:sts::123456789012:assumed-role/{role}/bothends-milan-1");
    let us = "arn:aws:iam::123456789012:user/gateway";
    for asked in site.received("GetMetricData") {
        let (region, principal) = (asked["region"].as_str().unwrap(), asked["principal"].as_str().unwrap());
        match asked["parameters"].to_string().contains(ROME) {
            true => assert_eq!((region, principal), (ROMES_REGION, &*assumed("watcher"))),
            false => assert_eq!((region, principal), (REGION, us)),
        }
        assert!(!asked["parameters"].to_string().contains(FOUR.outside), "{asked}");
    }

    // A standby tunnel down alone opens nothing, and Turin's outages wait an hour.
    site.aws_says(false, &[&TWO, &FIVE]);
    site.cut(&[&TWO, &FIVE]);
    daemon.until_assessed("down", &[&TWO, &FIVE]);
    assert_eq!(daemon.vpn(TURIN)["phases"]["outage"], "pending");

    site.aws_says(false, &[&THREE]);
    site.cut(&[&THREE]);
    until("both sinks have a record for Rome", || site.records("outage").len() == 2);
    let created = |of_rome: bool| -> Vec<(Value, Value, Value)> {
        let starts = site.starts().into_iter();
        let starts = starts.filter(|start| (start["parameters"]["responsePlanArn"] == ROMES_PLAN) == of_rome);
        starts
            .map(|start| {
                (start["region"].clone(), start["principal"].clone(), start["parameters"]["impact"].clone())
            })
            .collect()
    };
    assert_eq!(created(true), [(json!(ROMES_REGION), json!(assumed("pager")), json!(2))]);
    assert_eq!(created(false), [(json!(REGION), json!(us), json!(1))]);
    for record in site.records("outage") {
        let resource = format!("arn:aws:ec2:{ROMES_REGION}:123456789012:vpn-connection/{ROME}");
        assert_eq!(record["record"]["incidentRecordSource"]["resourceArn"], resource);
    }
    assert_eq!(
        daemon.vpn(MILAN)["phases"],
        json!({ "outage": "clear", "redundancy_lost": "clear", "one_sided": "clear", "degraded": "clear" })
    );
    assert_eq!(daemon.tunnel(&ONE)["assessment"], "healthy");
}
