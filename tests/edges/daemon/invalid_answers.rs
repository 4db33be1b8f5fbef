//! Invalid answers from AWS.

use serde_json::json;

use super::site::{FIVE, MILAN, ONE, ROME, ROMES_REGION, Site, THREE, TURIN, TWO};
use super::wait::until;

#[test]
fn invalid_evidence_is_unknown_reported_and_counted_once_and_pages_nobody() {
    let site = Site::new();
    site.home.add(
        "more.toml",
        &format!(
            "[[vpn]]\nid = \"{ROME}\"\nregion = \"{ROMES_REGION}\"\n{}\n[[vpn]]\nid = \"{TURIN}\"\n{}",
            THREE.toml(),
            FIVE.toml()
        ),
    );
    let daemon = site.start_healthy();
    daemon.until_assessed("healthy", &[&THREE, &FIVE]);

    let invalid = [
        (MILAN, ONE, json!("garbage"), "garbage"),
        (ROME, THREE, json!({ "value": 7.0 }), "garbage"),
        (TURIN, FIVE, json!({ "future": 0.0 }), "future"),
    ];
    for (_, tunnel, view, _) in &invalid {
        site.cloudwatch_shows(tunnel, view.clone());
    }
    // A minute that contains a change takes nothing back, and is no new evidence.
    site.cloudwatch_shows(&TWO, json!({ "value": 0.54 }));
    site.cut(&[&ONE, &TWO, &THREE, &FIVE]);
    daemon.until_assessed("disputed", &[&TWO]);
    for (vpn, tunnel, _, why) in &invalid {
        let outside = tunnel.outside;
        daemon.until_assessed("unconfirmed", &[tunnel]);
        assert_eq!(daemon.tunnel(tunnel)["aws"]["why"], *why, "{outside}");
        let counted = format!(
            "bothends_aws_evidence_unusable_total{{vpn=\"{vpn}\",tunnel=\"{outside}\",why=\"{why}\"}}"
        );
        assert_eq!(daemon.metric(&counted), 1.0, "{outside}");
    }
    site.until_asked(4);
    for (tunnel, count) in [(ONE, 1), (TWO, 0), (THREE, 1), (FIVE, 1)] {
        let warnings = daemon.logged("WARN", tunnel.outside);
        let warnings: Vec<_> = warnings.iter().filter(|line| !line.contains("ASSESSMENT=")).collect();
        assert_eq!(warnings.len(), count, "{warnings:#?}");
    }
    assert_eq!(daemon.status()["incidents"], json!([]));
    assert!(site.received("StartIncident").is_empty());
}

#[test]
fn truncated_and_invalid_answers_are_counted_and_reported_once() {
    let site = Site::new();
    site.fault_times("GetMetricData", json!("truncated"), 1);
    site.fault("GetMetricData", json!("garbage"));
    let daemon = site.start();
    let spoilt = || {
        let mut all = site.received("GetMetricData");
        all.retain(|request| request["result"] != "ok");
        all.len() as f64
    };
    until("it keeps polling", || spoilt() >= 3.0);
    let answer = daemon.until_readyz_says("aws_answer_invalid");
    assert!(answer.body.contains("GetMetricData"), "{answer:?}");
    site.clear_faults();
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
    let counted = |result: &str| {
        daemon.metric(&format!("bothends_aws_polls_total{{source=\"cloudwatch\",result=\"{result}\"}}"))
    };
    // A truncated answer is invalid, too. A missing one is a different problem, which ends this one.
    let (garbage, none) = (counted("garbage"), counted("timeout") + counted("error"));
    assert!(garbage <= spoilt() && garbage + none >= spoilt(), "{garbage} of {}, {none}", spoilt());
    let warnings = daemon.logged("WARN", "PROBLEM=aws_answer_invalid");
    assert!(!warnings.is_empty() && warnings.len() as f64 <= 1.0 + none, "{warnings:#?}");
    assert!(site.received("StartIncident").is_empty());
}
