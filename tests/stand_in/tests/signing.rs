//! Authentication: every rule of the signature, by a request that breaks only that one.

use serde_json::json;

use super::raw::{Raw, datum, put};
use super::{ROLE, control, received, started};

#[test]
fn a_request_signed_by_hand_is_accepted_and_dated() {
    let stand_in = started();
    let answer = put(&[datum()]).send(&stand_in);
    assert_eq!((answer.status, answer.code().as_str()), (200, "ok"));
    assert!(answer.header("date").unwrap().ends_with(" gmt"));
}

#[test]
fn a_request_without_a_signature_is_refused() {
    let stand_in = started();
    let mut raw = put(&[datum()]);
    raw.key = "not a key/with/a/scope".to_owned();
    assert_eq!(raw.send(&stand_in).code(), "missingauthenticationtoken");
}

#[test]
fn a_wrong_secret_is_rejected_as_each_service_words_it() {
    let stand_in = started();
    let cases = [
        (put(&[datum()]), "signaturedoesnotmatch"),
        (Raw::incidents("/listReplicationSets", &json!({})), "invalidsignatureexception"),
        (Raw::ec2(""), "signaturedoesnotmatch"),
        (Raw::sts("Action=GetCallerIdentity"), "signaturedoesnotmatch"),
    ];
    for (mut raw, code) in cases {
        assert_eq!(raw.send(&stand_in).code(), "ok", "{} with the right secret", raw.service);
        raw.secret.push('x');
        let answer = raw.send(&stand_in);
        assert_eq!((answer.status, answer.code().as_str()), (403, code), "{}", raw.service);
    }
}

#[test]
fn an_unknown_access_key_is_rejected_as_each_service_words_it() {
    let stand_in = started();
    let cases = [
        (put(&[datum()]), 403, "invalidclienttokenid"),
        (Raw::incidents("/listReplicationSets", &json!({})), 403, "unrecognizedclientexception"),
        (Raw::ec2(""), 401, "authfailure"),
        (Raw::sts("Action=GetCallerIdentity"), 403, "invalidclienttokenid"),
    ];
    for (mut raw, status, code) in cases {
        raw.key = "AKIANOBODYKNOWSTHIS0".to_owned();
        let answer = raw.send(&stand_in);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", raw.service);
    }
}

#[test]
fn a_session_token_that_does_not_belong_to_the_key_is_refused() {
    let stand_in = started();
    let mut raw = put(&[datum()]);
    raw.token = Some("somebody else's".to_owned());
    assert_eq!(raw.send(&stand_in).code(), "invalidclienttokenid");
}

#[test]
fn a_scope_of_another_service_or_without_a_region_is_rejected() {
    let stand_in = started();
    let mut raw = put(&[datum()]);
    raw.service = "ec2";
    assert_eq!(raw.send(&stand_in).code(), "signaturedoesnotmatch");
    let mut raw = put(&[datum()]);
    raw.region = "eu-west-9";
    assert_eq!(raw.send(&stand_in).code(), "signaturedoesnotmatch");
}

#[test]
fn a_scope_of_another_day_is_refused() {
    let stand_in = started();
    let mut raw = put(&[datum()]);
    raw.scope_date = Some("20200101");
    assert_eq!(raw.send(&stand_in).code(), "signaturedoesnotmatch");
}

#[test]
fn a_six_minutes_old_signature_is_rejected_but_ec2_allows_fifteen() {
    let stand_in = started();
    for (skew, expected) in
        [(-240.0, "ok"), (-360.0, "signaturedoesnotmatch"), (360.0, "signaturedoesnotmatch")]
    {
        let mut raw = put(&[datum()]);
        raw.skew = skew;
        assert_eq!(raw.send(&stand_in).code(), expected, "{skew} s");
    }
    for (skew, expected) in [(-840.0, "ok"), (-960.0, "requestexpired"), (960.0, "requestexpired")] {
        let mut raw = Raw::ec2("");
        raw.skew = skew;
        assert_eq!(raw.send(&stand_in).code(), expected, "{skew} s");
    }
}

#[test]
fn every_amz_header_must_be_signed() {
    let stand_in = started();
    let mut raw = put(&[datum()]);
    raw.headers.push(("x-amz-user-agent", "someone".to_owned()));
    assert_eq!(raw.send(&stand_in).code(), "ok");
    raw.unsigned = Some("x-amz-user-agent");
    assert_eq!(raw.send(&stand_in).code(), "signaturedoesnotmatch");
    raw.unsigned = Some("host");
    assert_eq!(raw.send(&stand_in).code(), "signaturedoesnotmatch");
}

#[test]
fn the_query_string_is_signed() {
    let stand_in = started();
    let mut raw = Raw::incidents("/getReplicationSet", &json!({}));
    (raw.method, raw.body) = ("GET", vec![]);
    let arn = "arn%3Aaws%3Assm-incidents%3A%3A123456789012%3Areplication-set%2Fstand-in";
    raw.target = format!("/getReplicationSet?arn={arn}");
    assert_eq!(raw.send(&stand_in).code(), "ok");
}

#[test]
fn an_assumed_role_signs_with_its_token_until_it_expires() {
    let stand_in = started();
    let form = format!("Action=AssumeRole&RoleArn={}&RoleSessionName=bothends", ROLE.replace('/', "%2F"));
    let text = Raw::sts(&form).send(&stand_in).text();
    let field = |name: &str| {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        text.split(&open).nth(1).unwrap().split(&close).next().unwrap().to_owned()
    };
    let mut raw = Raw::sts("Action=GetCallerIdentity");
    (raw.key, raw.secret) = (field("AccessKeyId"), field("SecretAccessKey"));
    raw.token = Some(field("SessionToken"));
    let identity = raw.send(&stand_in).text();
    assert!(identity.contains("arn:aws:sts::123456789012:assumed-role/watcher/bothends"), "{identity}");
    control(&stand_in, json!({ "advance_clock": { "seconds": 3601.0 } }));
    assert_eq!(raw.send(&stand_in).code(), "expiredtoken");
}

#[test]
fn a_role_that_does_not_exist_cannot_be_assumed() {
    let stand_in = started();
    let form = "Action=AssumeRole&RoleArn=arn:aws:iam::123456789012:role%2Fnobody&RoleSessionName=bothends";
    let answer = Raw::sts(form).send(&stand_in);
    assert_eq!((answer.status, answer.code().as_str()), (403, "accessdenied"));
}

#[test]
fn the_list_of_received_requests_contains_no_signature() {
    let stand_in = started();
    put(&[datum()]).send(&stand_in);
    let listed = serde_json::Value::from(received(&stand_in, "PutMetricData")).to_string();
    assert!(listed.contains("TunnelUp"), "{listed}");
    assert!(!listed.contains("Signature=") && !listed.contains("AWS4-HMAC-SHA256"), "{listed}");
}
