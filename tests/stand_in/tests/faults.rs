//! Each fault looks as it does at AWS, strikes as often as configured, and does or does not execute.

use std::io::Read as _;

use serde_json::{Value, json};

use super::super::StandIn;
use super::raw::{Raw, datum, put};
use super::{PLAN, control, received, started};

fn fault(stand_in: &StandIn, operation: &str, kind: Value, times: Option<u32>) {
    control(
        stand_in,
        json!({ "add_fault": { "fault": { "operation": operation, "kind": kind, "times": times } } }),
    );
}

fn start_incident() -> Raw {
    Raw::incidents("/startIncident", &json!({ "responsePlanArn": PLAN }))
}

fn incidents(stand_in: &StandIn) -> usize {
    control(stand_in, json!({ "incidents": {} })).as_array().unwrap().len()
}

#[test]
fn each_service_words_its_own_rejections() {
    let stand_in = started();
    let rows = [
        ("throttle", [(400, "throttling"), (429, "throttlingexception"), (503, "requestlimitexceeded")]),
        (
            "internal",
            [(500, "internalserviceerror"), (500, "internalserverexception"), (500, "internalerror")],
        ),
        (
            "unavailable",
            [(503, "serviceunavailable"), (503, "serviceunavailableexception"), (503, "unavailable")],
        ),
        ("expired", [(403, "expiredtoken"), (403, "expiredtokenexception"), (400, "requestexpired")]),
        ("denied", [(403, "accessdenied"), (403, "accessdeniedexception"), (403, "unauthorizedoperation")]),
    ];
    for (kind, expected) in rows {
        for (raw, expected) in [put(&[datum()]), start_incident(), Raw::ec2("")].into_iter().zip(expected) {
            fault(&stand_in, "*", json!(kind), Some(1));
            let answer = raw.send(&stand_in);
            assert_eq!((answer.status, answer.code().as_str()), expected, "{kind}");
        }
    }
    assert_eq!(incidents(&stand_in), 0);
    assert_eq!(control(&stand_in, json!({ "metrics": {} })), json!([]));
}

#[test]
fn a_denial_names_the_principal_and_the_action() {
    let stand_in = started();
    fault(&stand_in, "StartIncident", json!("denied"), None);
    let message = start_incident().send(&stand_in).json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("arn:aws:iam::123456789012:user/gateway"), "{message}");
    assert!(message.contains("ssm-incidents:StartIncident"), "{message}");
}

#[test]
fn incident_managers_throttle_has_the_members_of_its_shape() {
    let stand_in = started();
    fault(&stand_in, "StartIncident", json!("throttle"), None);
    let body = start_incident().send(&stand_in).json();
    assert_eq!(body["serviceCode"], "ssm-incidents");
    assert!(body["quotaCode"].is_string());
}

#[test]
fn a_fault_strikes_its_operation_the_given_number_of_times() {
    let stand_in = started();
    fault(&stand_in, "PutMetricData", json!("throttle"), Some(2));
    let codes: Vec<_> = (0..3).map(|_| put(&[datum()]).send(&stand_in).code()).collect();
    assert_eq!(codes, ["throttling", "throttling", "ok"]);
    fault(&stand_in, "StartIncident", json!("internal"), None);
    assert_eq!(put(&[datum()]).send(&stand_in).code(), "ok");
    assert_eq!(start_incident().send(&stand_in).code(), "internalserverexception");
    assert_eq!(control(&stand_in, json!({ "faults": {} }))[0]["kind"], "internal");
    control(&stand_in, json!({ "clear_faults": {} }));
    assert_eq!(start_incident().send(&stand_in).code(), "ok");
}

#[test]
fn a_bad_signature_is_refused_before_any_fault_strikes() {
    let stand_in = started();
    fault(&stand_in, "StartIncident", json!("internal"), Some(1));
    let mut raw = start_incident();
    raw.secret.push('x');
    assert_eq!(raw.send(&stand_in).code(), "invalidsignatureexception");
    assert_eq!(start_incident().send(&stand_in).code(), "internalserverexception");
}

#[test]
fn a_reset_is_a_reset_and_executes_nothing() {
    let stand_in = started();
    fault(&stand_in, "StartIncident", json!("reset"), Some(1));
    let error = start_incident().sent(&stand_in).read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(incidents(&stand_in), 0);
    let received = &received(&stand_in, "StartIncident")[0];
    assert_eq!((&received["result"], &received["executed"]), (&json!("fault: Reset"), &json!(false)));
}

#[test]
fn a_hang_answers_nothing_and_executes_nothing() {
    let stand_in = started();
    fault(&stand_in, "StartIncident", json!({ "hang": { "seconds": 0.05 } }), Some(1));
    assert!(start_incident().exchanged(&stand_in).is_empty());
    assert_eq!(incidents(&stand_in), 0);
}

#[test]
fn a_hanging_request_blocks_no_other() {
    let stand_in = started();
    fault(&stand_in, "StartIncident", json!({ "hang": { "seconds": 3600.0 } }), Some(1));
    let hanging = start_incident().sent(&stand_in);
    while received(&stand_in, "StartIncident").is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(start_incident().send(&stand_in).code(), "ok");
    drop(hanging);
}

#[test]
fn a_slow_answer_is_an_answer() {
    let stand_in = started();
    fault(&stand_in, "StartIncident", json!({ "slow": { "seconds": 0.05 } }), Some(1));
    assert_eq!(start_incident().send(&stand_in).code(), "ok");
    assert_eq!(incidents(&stand_in), 1);
}

#[test]
fn a_lost_reply_was_executed() {
    let stand_in = started();
    fault(&stand_in, "StartIncident", json!("lost_reply"), Some(1));
    assert!(start_incident().exchanged(&stand_in).is_empty());
    assert_eq!(incidents(&stand_in), 1);
    let received = &received(&stand_in, "StartIncident")[0];
    assert_eq!((&received["result"], &received["executed"]), (&json!("fault: LostReply"), &json!(true)));
}

#[test]
fn garbage_is_a_200_without_an_answer() {
    let stand_in = started();
    fault(&stand_in, "StartIncident", json!("garbage"), Some(1));
    let answer = start_incident().send(&stand_in);
    assert_eq!(answer.status, 200);
    assert!(answer.text().starts_with("<html>"));
}

#[test]
fn a_truncated_answer_is_shorter_than_its_content_length() {
    let stand_in = started();
    fault(&stand_in, "StartIncident", json!("truncated"), Some(1));
    let answer = start_incident().send(&stand_in);
    let promised: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert!(!answer.body.is_empty() && answer.body.len() < promised, "{} of {promised}", answer.body.len());
}
