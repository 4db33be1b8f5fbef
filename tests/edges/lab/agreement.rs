//! Both ends say down: one page, and one resolution when it is over.

use serde_json::Value;

use super::stage::{Config, OUTSIDE, Stage};

#[test]
fn a_cut_path_is_redundancy_lost_which_is_resolved_when_it_heals() {
    let stage = Stage::healthy(&Config::default());
    stage.lab.breaks("path", "1");
    stage.eventually("both ends say Down", || stage.assessment(OUTSIDE[0]) == "down");
    let incident = stage
        .wait_for("a redundancy_lost record is created", || stage.aws.incident("redundancy_lost", "OPEN"));
    assert_eq!(stage.assessment(OUTSIDE[1]), "healthy");
    assert_eq!(incident["record"]["impact"], 3);
    let title = incident["record"]["title"].as_str().unwrap();
    for name in ["lab", "Lab office", "tunnel 1"] {
        assert!(title.contains(name), "{title}");
    }
    let evidence = incident["rawData"].as_str().unwrap();
    assert!(evidence.contains(OUTSIDE[0]), "{evidence}");

    stage.lab.heal("1");
    stage.becomes_healthy();
    let resolved = stage.wait_for("it is resolved", || stage.aws.incident("redundancy_lost", "RESOLVED"));
    assert!(custom_events(&resolved) > 0, "the tunnel's changes are in the timeline: {resolved:#}");
    stage.eventually("nothing is open or pending", || all_resolved(&stage));
    assert_eq!(stage.aws.pages(), 1);
}

#[test]
fn a_tunnel_without_traffic_but_with_ike_up_is_down_at_both_ends_once_bgp_has_expired() {
    let stage = Stage::healthy(&Config::default());
    stage.lab.breaks("dead", "2");
    stage.eventually("both ends say Down", || stage.assessment(OUTSIDE[1]) == "down");
    let tunnel = stage.tunnel(OUTSIDE[1]).unwrap();
    assert_eq!((&*tunnel.local.verdict, &*tunnel.aws.verdict), ("down", "down"));
    let words = tunnel.aws.words.unwrap_or_default();
    assert!(words.contains("IPSEC IS UP"), "{words}");
    stage.wait_for("a redundancy_lost record is created", || stage.aws.incident("redundancy_lost", "OPEN"));
}

#[test]
fn a_gateway_without_uplink_is_an_outage_that_is_resolved_and_measured() {
    let stage = Stage::healthy(&Config::default());
    stage.lab.breaks("wan", "all");
    let incident = stage.wait_for("an outage record is created", || stage.aws.incident("outage", "OPEN"));
    assert_eq!(incident["record"]["impact"], 1);
    // One of them is down at both ends, and no traffic passes the other one; AWS's evidence on that one may come later.
    for outside in OUTSIDE {
        stage.eventually("both ends say Down of each", || stage.assessment(outside) == "down");
    }

    stage.lab.heal("all");
    stage.becomes_healthy();
    stage.wait_for("it is resolved", || stage.aws.incident("outage", "RESOLVED"));
    stage.eventually("nothing is open or pending", || all_resolved(&stage));
    assert!(
        stage.aws.incident("redundancy_lost", "OPEN").is_none(),
        "nothing stays open although the tunnels heal one after the other"
    );

    for name in ["TunnelUp", "PacketLoss", "RoundTripTime", "BothEndsDown", "Heartbeat"] {
        stage.eventually(&format!("{name} reaches CloudWatch"), || !data(&stage, name).is_empty());
    }
    stage.eventually("the minute of the outage is sent as both ends down", || {
        data(&stage, "BothEndsDown").iter().any(|datum| datum["Value"] == 1.0)
    });
}

fn all_resolved(stage: &Stage) -> bool {
    let Some(status) = stage.status() else { return false };
    let phases = &status.vpns[0].phases;
    status.incidents.is_empty()
        && [&phases.outage, &phases.redundancy_lost, &phases.one_sided].iter().all(|phase| *phase == "clear")
}

fn data(stage: &Stage, name: &str) -> Vec<Value> {
    stage.aws.metric_data().into_iter().filter(|datum| datum["MetricName"] == name).collect()
}

/// The timeline entries that AWS did not write itself.
fn custom_events(incident: &Value) -> usize {
    let events = incident["timeline"].as_array().unwrap();
    events.iter().filter(|event| event["eventType"] == "Custom Event").count()
}
