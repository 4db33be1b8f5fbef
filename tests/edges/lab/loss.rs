//! Loss is measured, and decides nothing.

use super::stage::{Config, OUTSIDE, Stage};

/// How many probes have to end: at 20 % loss some dozens are lost, some of them in a row.
const PROBES: f64 = 150.0;

#[test]
fn twenty_percent_loss_shows_in_the_metrics_and_never_makes_a_tunnel_down() {
    let config = Config {
        probe: "interval = '100ms'\nsuspect_interval = '100ms'\ntimeout = '3s'",
        ..Config::default()
    };
    let stage = Stage::healthy(&config);
    let up_since = stage.tunnel(OUTSIDE[0]).unwrap().local.since;
    let (ended_before, lost_before) = (echoes(&stage, ""), echoes(&stage, "lost_timeout"));
    stage.lab.breaks_by("loss", "1", "20");
    stage.eventually("many probes have ended", || {
        let tunnel = stage.tunnel(OUTSIDE[0]).unwrap();
        assert_eq!(tunnel.local.verdict, "up");
        echoes(&stage, "") - ended_before > PROBES
    });
    let tunnel = stage.tunnel(OUTSIDE[0]).unwrap();
    assert_eq!(tunnel.local.since, up_since, "it was Up throughout");
    assert!(echoes(&stage, "lost_timeout") > lost_before);
    assert!(tunnel.local.evidence.loss_percent > Some(0.0), "{:?}", tunnel.local.evidence);
    assert_eq!(stage.aws.pages(), 0);
}

/// How many probes of tunnel 1 ended with this outcome, or with any.
fn echoes(stage: &Stage, outcome: &str) -> f64 {
    let tunnel = format!("tunnel=\"{}\"", OUTSIDE[0]);
    let wanted = |labels: &str| labels.contains(&tunnel) && labels.contains(outcome);
    let samples = stage.daemon.samples("bothends_echoes_total");
    samples.iter().filter(|(labels, _)| wanted(labels)).map(|(_, value)| value).sum()
}
