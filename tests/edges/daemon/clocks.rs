//! Clocks that disagree: ours is wrong, AWS's is right.

use serde_json::json;

use super::process::Daemon;
use super::site::{ONE, Site, TWO};
use super::wait::until;

const HOUR: f64 = 3600.0;
const OFFSET: &str = "bothends_clock_offset_seconds";

#[test]
fn with_a_clock_an_hour_behind_an_outage_is_paged_and_resolved_and_the_clock_is_reported_once() {
    pages_and_resolves(-HOUR, "s behind AWS's");
}

#[test]
fn with_a_clock_an_hour_ahead_an_outage_is_paged_and_resolved_and_the_clock_is_reported_once() {
    pages_and_resolves(HOUR, "s ahead of AWS's");
}

/// A host without a battery-backed clock after a power cut.
#[test]
fn with_a_clock_in_the_year_2000_an_outage_is_paged_and_resolved_and_no_minute_of_2000_is_sent() {
    let site = Site::new();
    let behind = 26.0 * 365.25 * 24.0 * HOUR;
    site.control(json!({ "advance_clock": { "seconds": behind } }));
    let daemon = site.start_healthy();
    an_outage_starts_and_ends(&site, &daemon);
    let results = || site.received("PutMetricData").into_iter().map(|put| put["result"].clone());
    until("a minute is accepted", || results().any(|result| result == "ok"));
    let sent: Vec<_> = results().collect();
    assert!(sent.iter().all(|result| result == "ok" || result == "SignatureDoesNotMatch"), "{sent:?}");
}

/// `ahead` of AWS's clock, in seconds.
fn pages_and_resolves(ahead: f64, expected: &str) {
    let site = Site::new();
    site.control(json!({ "advance_clock": { "seconds": -ahead } }));
    let daemon = site.start_healthy();
    let answer = daemon.until_readyz_says(expected);
    assert_eq!(answer.code, 200, "it votes and pages: {answer:?}");
    an_outage_starts_and_ends(&site, &daemon);
    let off = daemon.metric(OFFSET);
    assert!((off - ahead).abs() < 60.0, "{off} s");
    assert_eq!(daemon.logged("WARN", "this host's clock").len(), 1, "{}", daemon.log());

    site.control(json!({ "advance_clock": { "seconds": ahead } }));
    daemon.until_logged("clock: problem ended: ");
    until("the offset is 0", || daemon.metric(OFFSET) == 0.0);
    assert!(daemon.get("/metrics").body.contains(OFFSET));
}

fn an_outage_starts_and_ends(site: &Site, daemon: &Daemon<'_>) {
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("the outage record is created", || site.records("outage").len() == 1);
    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    until("the incident is settled", || daemon.status()["incidents"] == json!([]));
    let records = site.records("outage");
    assert_eq!(records.len(), 1, "{records:#?}");
    assert_eq!(records[0]["record"]["status"], "RESOLVED", "{records:#?}");
}
