//! AWS rejects calls, or does not answer.

use serde_json::{Value, json};

use super::site::{MILAN, ONE, Site, TWO};
use super::wait::until;

#[test]
fn a_missing_poll_permission_is_named_and_granting_it_recovers() {
    polling_is_rejected(
        json!("denied"),
        "the permission cloudwatch:GetMetricData on * is missing",
        "denied",
        "source cloudwatch in eu-west-1",
    );
}

#[test]
fn expired_credentials_are_reported_and_renewing_them_recovers() {
    polling_is_rejected(
        json!("expired"),
        "AWS does not accept the daemon's credentials (ExpiredToken",
        "expired",
        "credentials default",
    );
}

fn polling_is_rejected(fault: Value, expected: &str, counted: &str, component: &str) {
    let site = Site::new();
    site.fault("GetMetricData", fault);
    let daemon = site.start();
    let answer = daemon.until_readyz_says(expected);
    assert_eq!(answer.code, 503, "{answer:?}");
    assert!(
        daemon.metric(&format!("bothends_aws_polls_total{{source=\"cloudwatch\",result=\"{counted}\"}}"))
            >= 1.0
    );
    daemon.until_verdict("local", "up", &[&ONE, &TWO]);
    let aws = &daemon.tunnel(&ONE)["aws"];
    assert_eq!((&aws["verdict"], &aws["why"]), (&json!("unknown"), &json!("not_asked")));
    daemon.until_probed_further(MILAN, &ONE);
    site.until_asked(2);
    assert_eq!(daemon.logged("ERROR", expected).len(), 1, "it is logged once");

    site.clear_faults();
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
    daemon.until_logged(&format!("{component}: problem ended: "));
}

#[test]
fn a_missing_page_permission_is_named_and_the_page_goes_out_once_it_is_granted() {
    let site = Site::new();
    site.fault("StartIncident", json!("denied"));
    let daemon = site.start_healthy();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    let answer = daemon
        .until_readyz_says("the permission ssm-incidents:StartIncident on the response plan is missing");
    assert_eq!(answer.code, 503);
    assert_eq!(daemon.logged("ERROR", "ssm-incidents:StartIncident").len(), 1);
    let refused =
        "bothends_sink_requests_total{sink=\"incident_manager\",action=\"start\",result=\"rejected\"}";
    assert!(daemon.metric(refused) >= 1.0);
    assert_eq!(daemon.metric("bothends_sink_pending{sink=\"incident_manager\"}"), 1.0);
    let tried = site.received("StartIncident").len();
    until("it is tried again", || site.received("StartIncident").len() > tried);
    assert_eq!(daemon.logged("ERROR", "ssm-incidents:StartIncident").len(), 1, "it is logged once");

    // The page goes out as soon as it is allowed, without a restart and without minutes of back-off.
    site.clear_faults();
    until("the record exists", || site.records("outage").len() == 1);
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
}

#[test]
fn throttling_slows_every_call_and_stops_none() {
    let site = Site::new();
    for operation in [
        "GetMetricData",
        "ListIncidentRecords",
        "StartIncident",
        "CreateTimelineEvent",
        "UpdateIncidentRecord",
    ] {
        site.fault_times(operation, json!("throttle"), 2);
    }
    let daemon = site.start_healthy();
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("the outage record is created", || site.records("outage").len() == 1);
    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    until("it is resolved", || site.records("outage")[0]["record"]["status"] == "RESOLVED");
    until("the timeline is complete", || {
        site.received("CreateTimelineEvent").iter().any(|event| event["result"] == "ok")
    });
    assert_eq!(site.records("outage").len(), 1);
    assert_eq!(site.control(json!({ "faults": {} })), json!([]), "every call was throttled");
    let counted = |result: &str| {
        daemon.metric(&format!("bothends_aws_polls_total{{source=\"cloudwatch\",result=\"{result}\"}}"))
    };
    let (throttled, none) = (counted("throttled"), counted("timeout") + counted("error"));
    assert!(throttled <= 2.0 && throttled + none >= 2.0, "{throttled}, and {none} without an answer");
}
