//! IPsec works, BGP does not: AWS has no route, and no traffic passes.

use super::stage::{Config, OUTSIDE, Stage};

#[test]
fn a_lost_bgp_session_is_redundancy_lost_although_probes_are_answered() {
    let stage = Stage::healthy(&Config::default());
    stage.lab.breaks("bgp", "1");
    stage.wait_for("a redundancy_lost record is created", || stage.aws.incident("redundancy_lost", "OPEN"));
    assert_eq!(verdicts_and_carrying(&stage, 0), ("up".to_owned(), "down".to_owned(), "bgp_down".to_owned()));
    assert_eq!(stage.status().unwrap().vpns[0].traffic, "flows");
    assert!(stage.aws.incidents("outage").is_empty());

    stage.lab.heal("1");
    stage.becomes_healthy();
    stage.wait_for("it is resolved", || stage.aws.incident("redundancy_lost", "RESOLVED"));
    assert_eq!(stage.aws.pages(), 1);
}

#[test]
fn bgp_lost_on_every_tunnel_is_an_outage_that_is_resolved() {
    let stage = Stage::healthy(&Config::default());
    stage.lab.breaks("bgp", "all");
    stage.wait_for("an outage record is created", || stage.aws.incident("outage", "OPEN"));
    for index in [0, 1] {
        assert_eq!(
            verdicts_and_carrying(&stage, index),
            ("up".to_owned(), "down".to_owned(), "bgp_down".to_owned())
        );
    }
    assert_eq!(stage.status().unwrap().vpns[0].traffic, "does_not_flow");

    stage.lab.heal("all");
    stage.becomes_healthy();
    stage.wait_for("it is resolved", || stage.aws.incident("outage", "RESOLVED"));
}

/// Without a configured `routing`, EC2's status message shows it.
#[test]
fn a_dead_tunnel_beside_one_without_bgp_is_an_outage() {
    let stage = Stage::healthy(&Config { routing: None, ..Config::default() });
    stage.lab.breaks("path", "2");
    stage.eventually("both ends say Down of tunnel 2", || stage.assessment(OUTSIDE[1]) == "down");
    stage.lab.breaks("bgp", "1");
    stage.wait_for("an outage record is created", || stage.aws.incident("outage", "OPEN"));
    assert_eq!(stage.tunnel(OUTSIDE[0]).unwrap().carrying_why.as_deref(), Some("bgp_down"));
}

/// The local verdict, AWS's verdict, and why the tunnel does not carry traffic.
fn verdicts_and_carrying(stage: &Stage, index: usize) -> (String, String, String) {
    let tunnel = stage.tunnel(OUTSIDE[index]).unwrap();
    (tunnel.local.verdict, tunnel.aws.verdict, tunnel.carrying_why.unwrap_or_default())
}
