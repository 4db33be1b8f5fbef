//! Ready means that the daemon can decide and page for every connection: what prevents that, and its recovery.

use serde_json::{Value, json};

use super::process::Daemon;
use super::site::{MILAN, ONE, Site, TWO};
use super::wait::until;

/// Evidence is stale after half a minute, so that a lasting fault becomes a problem within a test.
fn site() -> Site {
    let site = Site::new();
    site.home.add("impatient.toml", "[aws]\nstale_after = \"30s\"\n");
    site.aws_says(true, &[&ONE, &TWO]);
    site
}

/// Waits for this problem in `/readyz`, in `/status` and as a metric; returns its line.
#[track_caller]
fn until_open(daemon: &Daemon<'_>, severity: &str, code: &str, component: &str) -> String {
    let begins = format!("{severity}: {code}: {component}: ");
    let answer = daemon.until_readyz_says(&begins);
    assert_eq!(answer.code, if severity == "failed" { 503 } else { 200 }, "{answer:?}");
    let first = if severity == "failed" { "not ready" } else { "ready" };
    assert_eq!(answer.body.lines().next(), Some(first));
    let line = answer.body.lines().find(|line| line.starts_with(&begins)).unwrap();
    let status = daemon.status();
    let shown = status["problems"].as_array().unwrap().iter().find(|shown| shown["code"] == code).unwrap();
    assert_eq!((&shown["severity"], &shown["component"]), (&json!(severity), &json!(component)));
    assert!(line.ends_with(shown["first_step"].as_str().unwrap()), "{line}");
    let series = format!("bothends_problem{{code=\"{code}\",component=\"{component}\"}}");
    until("its metric is 1", || daemon.metric(&series) == 1.0);
    assert_eq!(daemon.metric("bothends_ready"), f64::from(u8::from(severity != "failed")));
    daemon.until_logged(&begins[severity.len() + code.len() + 4..]);
    line.to_owned()
}

/// Waits until this problem has ended.
#[track_caller]
fn until_healthy_again(daemon: &Daemon<'_>, code: &str, component: &str) {
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
    assert_eq!(daemon.metric(&format!("bothends_problem{{code=\"{code}\",component=\"{component}\"}}")), 0.0);
    until("the metric says ready", || daemon.metric("bothends_ready") == 1.0);
    daemon.until_logged(&format!("{component}: problem ended: "));
}

fn milan() -> String {
    format!("connection {MILAN}")
}

const CLOUDWATCH: &str = "source cloudwatch in eu-west-1";

#[test]
fn without_aws_data_it_is_starting_and_then_says_what_is_wrong() {
    let site = site();
    for tunnel in [&ONE, &TWO] {
        site.cloudwatch_shows(tunnel, json!("silent"));
    }
    let daemon = site.start();
    let starting = daemon.until_readyz_says("starting: Milan DC: waiting for the first verdict of both ends");
    assert_eq!(starting.code, 503);
    until("the age of the missing evidence is a metric", || {
        let outside = ONE.outside;
        daemon.metric(&format!("bothends_aws_evidence_age_seconds{{vpn=\"{MILAN}\",tunnel=\"{outside}\"}}"))
            > 1.0
    });
    let line = until_open(&daemon, "failed", "no_aws_data", &milan());
    assert!(line.contains("no outage can be confirmed"), "{line}");
    site.aws_says(true, &[&ONE, &TWO]);
    until_healthy_again(&daemon, "no_aws_data", &milan());
}

fn polling_fails(fault: Value, code: &str, component: &str) {
    let site = site();
    let daemon = site.start_healthy();
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
    site.fault("GetMetricData", fault);
    until_open(&daemon, "failed", code, component);
    let problems = daemon.status()["problems"].clone();
    assert_eq!(problems.as_array().unwrap().len(), 1, "its consequences are not shown: {problems}");
    site.clear_faults();
    until_healthy_again(&daemon, code, component);
}

/// Waits until this site is cut off, and the consequences are not shown beside it.
#[track_caller]
fn until_cut_off(daemon: &Daemon<'_>) -> String {
    let line = until_open(daemon, "failed", "site_cut_off", "site");
    until("its consequences are not shown", || {
        let problems = daemon.status()["problems"].clone();
        problems.as_array().unwrap().iter().map(|problem| &problem["code"]).eq([&json!("site_cut_off")])
    });
    line
}

#[test]
fn an_unreachable_aws_is_reported_as_a_cut_off_site() {
    let site = site();
    let daemon = site.start_healthy();
    site.fault("GetMetricData", json!("reset"));
    daemon.until_readyz_says(&format!("degraded: aws_unreachable: {CLOUDWATCH}: "));
    until_cut_off(&daemon);
    site.clear_faults();
    until_healthy_again(&daemon, "site_cut_off", "site");
}

#[test]
fn a_credential_helper_failing_for_lack_of_network_is_a_cut_off_site_with_its_output_shown() {
    let site = site();
    let daemon = site.start_with_helper("keys.json");
    let line = until_cut_off(&daemon);
    assert!(line.contains("this site is cut off; nobody can be paged from here"), "{line}");
    assert!(line.contains("no such host") && !line.contains("Renew"), "{line}");
    site.repair_helper("keys.json");
    until_healthy_again(&daemon, "site_cut_off", "site");
}

#[test]
fn denied_aws_calls_make_it_not_ready() {
    polling_fails(json!("denied"), "aws_denied", CLOUDWATCH);
}

#[test]
fn rejected_credentials_make_it_not_ready() {
    polling_fails(json!("expired"), "credentials_failing", "credentials default");
}

#[test]
fn a_long_aws_failure_makes_it_not_ready() {
    polling_fails(json!("internal"), "aws_failing", CLOUDWATCH);
}

#[test]
fn a_deleted_connection_makes_it_not_ready_at_once() {
    let site = Site::new();
    site.home.add("ec2.toml", "[aws]\nec2_telemetry = true\n");
    let daemon = site.start_healthy();
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
    site.control(json!({ "set_connection": { "vpn_id": MILAN, "state": "deleted" } }));
    let line = until_open(&daemon, "failed", "connection_gone", &milan());
    assert!(line.contains("bothends discover"), "{line}");
}

#[test]
fn an_unknown_connection_id_makes_it_not_ready_at_once() {
    let site = Site::new();
    site.home.add("ec2.toml", "[aws]\nec2_telemetry = true\n");
    site.home.edit(MILAN, "vpn-0123456789abcdef1");
    let daemon = site.start();
    until_open(&daemon, "failed", "connection_gone", "connection vpn-0123456789abcdef1");
}

#[test]
fn a_tunnel_that_never_answered_is_degraded_and_no_answering_tunnel_is_failed() {
    let site = site();
    site.cut(&[&ONE, &TWO]);
    let daemon = site.start();
    let line = until_open(&daemon, "failed", "never_answered", &milan());
    assert!(line.contains("no outage can be confirmed"), "{line}");
    site.heal(&[&ONE]);
    until_open(&daemon, "degraded", "never_answered", &milan());
    site.heal(&[&TWO]);
    until_healthy_again(&daemon, "never_answered", &milan());
}

#[test]
fn missing_source_addresses_make_it_not_ready() {
    let site = site();
    site.home.edit("source_ip = \"169.254.10.2\"", "source_ip = \"169.254.77.2\"");
    site.home.edit("source_ip = \"169.254.11.2\"", "source_ip = \"169.254.77.6\"");
    let daemon = site.start();
    until_open(&daemon, "failed", "address_missing", &milan());
    site.here.ip("addr add 169.254.77.2/32 dev lo");
    site.here.ip("addr add 169.254.77.6/32 dev lo");
    until_healthy_again(&daemon, "address_missing", &milan());
}

#[test]
fn a_rejecting_sink_makes_it_not_ready_until_it_accepts() {
    let site = Site::new();
    site.fault("StartIncident", json!("denied"));
    let daemon = site.start_healthy();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until_open(&daemon, "failed", "sink_rejects", "sink incident_manager");
}

#[test]
fn mode_observe_is_reported_and_leaves_it_ready_until_a_reload_pages() {
    let site = Site::new();
    site.home.add("mode.toml", "[incident]\nmode = \"observe\"\n");
    let daemon = site.start_healthy();
    until_open(&daemon, "degraded", "observe", "mode");
    assert_eq!(daemon.metric("bothends_mode{mode=\"observe\"}"), 1.0);
    site.home.remove("mode.toml");
    daemon.signal(rustix::process::Signal::HUP);
    until_healthy_again(&daemon, "observe", "mode");
    assert_eq!(daemon.metric("bothends_mode{mode=\"observe\"}"), 0.0);
    assert_eq!(daemon.metric("bothends_mode{mode=\"raise\"}"), 1.0);
}
