//! Answers that make no sense.

use serde_json::json;

use super::site::{FIVE, MILAN, ONE, ROME, ROMES_REGION, Site, THREE, TURIN, TWO};
use super::wait::until;

#[test]
fn evidence_that_makes_no_sense_is_unknown_told_and_counted_once_and_no_page() {
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

    let nonsense = [
        (MILAN, ONE, json!("garbage"), "garbage"),
        (MILAN, TWO, json!({ "value": 0.5 }), "fraction"),
        (ROME, THREE, json!({ "value": 7.0 }), "garbage"),
        (TURIN, FIVE, json!({ "future": 0.0 }), "future"),
    ];
    for (_, tunnel, view, _) in &nonsense {
        site.cloudwatch_shows(tunnel, view.clone());
    }
    site.cut(&[&ONE, &TWO, &THREE, &FIVE]);
    for (vpn, tunnel, _, why) in &nonsense {
        let outside = tunnel.outside;
        daemon.until_assessed("unconfirmed", &[tunnel]);
        assert_eq!(daemon.tunnel(tunnel)["aws"]["why"], *why, "{outside}");
        let counted = format!(
            "bothends_aws_evidence_unusable_total{{vpn=\"{vpn}\",tunnel=\"{outside}\",why=\"{why}\"}}"
        );
        assert_eq!(daemon.metric(&counted), 1.0, "{outside}");
    }
    site.until_asked(4);
    for (_, tunnel, _, _) in &nonsense {
        let warnings = daemon.logged("WARN", tunnel.outside);
        let warnings: Vec<_> = warnings.iter().filter(|line| !line.contains("ASSESSMENT=")).collect();
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
    }
    assert_eq!(daemon.status()["incidents"], json!([]));
    assert!(site.received("StartIncident").is_empty());
}

#[test]
fn answers_that_break_off_or_are_none_are_counted_and_told_once_and_no_more() {
    let site = Site::new();
    site.fault_times("GetMetricData", json!("garbage"), 2);
    site.fault_times("GetMetricData", json!("truncated"), 1);
    let daemon = site.start();
    daemon.until_readyz_says("GetMetricData");
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    until("/readyz is content", || daemon.get("/readyz").body == "ready\n");
    assert_eq!(daemon.metric("bothends_aws_polls_total{source=\"cloudwatch\",result=\"garbage\"}"), 3.0);
    let warnings = daemon.logged("WARN", "GetMetricData");
    assert!(warnings.len() <= 2, "one for either kind: {warnings:#?}");
    assert!(site.received("StartIncident").is_empty());
}
