//! Requests that break AWS's models, one rule at a time, and each service's code for it.

use serde_json::{Value, json};

use super::raw::{Raw, datum, put};
use super::{PLAN, started};

/// The datum with some members set.
fn with(changes: Value) -> Value {
    let mut datum = datum();
    for (name, value) in changes.as_object().unwrap() {
        datum[name] = value.clone();
    }
    datum
}

#[test]
fn cloudwatch_names_the_invalid_member() {
    let stand_in = started();
    let dimension = |name: &str, value: &str| json!([{ "Name": name, "Value": value }]);
    let cases = [
        ("an unknown member", with(json!({ "Vaule": 1.0 })), "invalidparametervalue"),
        ("a required member that is missing", json!({ "Value": 1.0 }), "missingparameter"),
        ("a text for a number", with(json!({ "Value": "1" })), "serializationexception"),
        ("a number for a timestamp", with(json!({ "Timestamp": 1.0 })), "serializationexception"),
        ("no list", with(json!({ "Dimensions": {} })), "serializationexception"),
        ("a value outside the enumeration", with(json!({ "Unit": "Furlongs" })), "invalidparametervalue"),
        ("a name that is too short", with(json!({ "MetricName": "" })), "invalidparametervalue"),
        ("a name that is too long", with(json!({ "MetricName": "x".repeat(256) })), "invalidparametervalue"),
        (
            "too long a value",
            with(json!({ "Dimensions": dimension("a", &"x".repeat(1025)) })),
            "invalidparametervalue",
        ),
        (
            "31 dimensions",
            with(json!({ "Dimensions": vec![dimension("a", "b")[0].clone(); 31] })),
            "invalidparametervalue",
        ),
        ("a number below its minimum", with(json!({ "StorageResolution": 0 })), "invalidparametervalue"),
        ("NaN", with(json!({ "Value": { "$float": "NaN" } })), "invalidparametervalue"),
        ("infinity", with(json!({ "Value": { "$float": "inf" } })), "invalidparametervalue"),
    ];
    for (what, datum, code) in cases {
        let answer = put(&[datum]).send(&stand_in);
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{what}");
    }
    assert_eq!(put(&[datum()]).send(&stand_in).code(), "ok");
}

#[test]
fn a_namespace_may_not_begin_with_a_colon() {
    let stand_in = started();
    let raw = Raw::cloudwatch("PutMetricData", &json!({ "Namespace": ":x", "MetricData": [datum()] }));
    assert_eq!(raw.send(&stand_in).code(), "invalidparametervalue");
}

#[test]
fn cloudwatch_errors_carry_the_smithy_name_and_the_query_code_only_when_asked() {
    let stand_in = started();
    let mut raw = put(&[json!({ "Value": 1.0 })]);
    let answer = raw.send(&stand_in);
    assert_eq!(answer.header("x-amzn-query-error"), Some("missingparameter;sender"));
    assert_eq!(answer.cbor()["__type"], "com.amazonaws.cloudwatch#MissingRequiredParameterException");
    raw.headers.retain(|(name, _)| *name != "x-amzn-query-mode");
    assert_eq!(raw.send(&stand_in).header("x-amzn-query-error"), None);
}

#[test]
fn a_request_that_is_not_rpc_v2_cbor_is_rejected() {
    let stand_in = started();
    let broken = |change: fn(&mut Raw)| {
        let mut raw = put(&[datum()]);
        change(&mut raw);
        raw.send(&stand_in).code()
    };
    let code = "serializationexception";
    assert_eq!(broken(|raw| raw.headers.retain(|(name, _)| *name != "smithy-protocol")), code);
    assert_eq!(broken(|raw| raw.headers[0].1 = "application/json".to_owned()), code);
    assert_eq!(broken(|raw| raw.body = b"{}".to_vec()), code);
    assert_eq!(broken(|raw| raw.body.push(0)), code);
    assert_eq!(broken(|raw| raw.headers.push(("content-encoding", "gzip".to_owned()))), code);
    assert_eq!(broken(|raw| raw.headers.push(("content-encoding", "br".to_owned()))), code);
}

#[test]
fn an_unknown_operation_is_refused_by_each_service() {
    let stand_in = started();
    let unknown = "unknownoperationexception";
    let answer = Raw::cloudwatch("PutMetricDate", &json!({})).send(&stand_in);
    assert_eq!((answer.status, answer.code().as_str()), (404, unknown));
    assert_eq!(Raw::incidents("/startIncidents", &json!({})).send(&stand_in).code(), unknown);
    let mut get = Raw::incidents("/startIncident", &json!({}));
    get.method = "GET";
    assert_eq!(get.send(&stand_in).code(), unknown);
    assert_eq!(Raw::sts("Action=GetCallerIdentify").send(&stand_in).code(), "invalidaction");
}

#[test]
fn incident_manager_names_the_invalid_member() {
    let stand_in = started();
    let start = |member: &str, value: Value| {
        let mut input = json!({ "responsePlanArn": PLAN });
        input[member] = value;
        input
    };
    let trigger = |details: Value| start("triggerDetails", details);
    let item = json!({ "identifier": { "type": "OTHER", "value": { "url": "http://x", "arn": PLAN } } });
    let cases = [
        ("an unknown member", start("dedupeString", json!("x")), "validationexception"),
        ("no plan", json!({}), "validationexception"),
        ("an invalid ARN", start("responsePlanArn", json!("vpn-1")), "validationexception"),
        ("impact 6", start("impact", json!(6)), "validationexception"),
        ("impact 0", start("impact", json!(0)), "validationexception"),
        ("a fraction for an integer", start("impact", json!(1.5)), "serializationexception"),
        ("a title of 201", start("title", json!("x".repeat(201))), "validationexception"),
        ("a token of 129", start("clientToken", json!("x".repeat(129))), "validationexception"),
        ("a trigger without a time", trigger(json!({ "source": "a.b" })), "validationexception"),
        ("a time as text", trigger(json!({ "source": "a.b", "timestamp": "now" })), "serializationexception"),
        (
            "a source of 51",
            trigger(json!({ "source": "x".repeat(51), "timestamp": 1 })),
            "validationexception",
        ),
        (
            "raw data of 10001",
            trigger(json!({ "source": "a.b", "timestamp": 1, "rawData": "x".repeat(10_001) })),
            "validationexception",
        ),
        ("a union with two members", start("relatedItems", json!([item])), "serializationexception"),
        ("101 related items", start("relatedItems", json!(vec![item; 101])), "validationexception"),
    ];
    for (what, input, code) in cases {
        let answer = Raw::incidents("/startIncident", &input).send(&stand_in);
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{what}");
    }
    assert_eq!(Raw::incidents("/startIncident", &start("impact", json!(1))).send(&stand_in).code(), "ok");
}

#[test]
fn a_member_in_the_wrong_place_is_unknown() {
    let stand_in = started();
    let in_query = Raw::incidents("/startIncident?title=x", &json!({ "responsePlanArn": PLAN }));
    assert_eq!(in_query.send(&stand_in).code(), "validationexception");
    let mut in_body = Raw::incidents("/getResponsePlan", &json!({ "arn": PLAN }));
    in_body.method = "GET";
    assert_eq!(in_body.send(&stand_in).code(), "validationexception");
}

#[test]
fn a_duplicate_member_is_rejected() {
    let stand_in = started();
    let mut raw = put(&[datum()]);
    // {"Namespace": "A", "Namespace": "B"}
    raw.body = b"\xa2\x69Namespace\x61A\x69Namespace\x61B".to_vec();
    assert_eq!(raw.send(&stand_in).code(), "serializationexception");
}

#[test]
fn an_integer_must_be_within_its_type() {
    let stand_in = started();
    let answer = put(&[with(json!({ "StorageResolution": 1i64 << 32 }))]).send(&stand_in);
    assert_eq!(answer.code(), "serializationexception");
}

#[test]
fn a_body_that_is_not_a_json_object_is_rejected() {
    let stand_in = started();
    for body in ["{", "[]", "null"] {
        let mut raw = Raw::incidents("/listIncidentRecords", &json!({}));
        raw.body = body.as_bytes().to_vec();
        assert_eq!(raw.send(&stand_in).code(), "serializationexception", "{body}");
    }
    let mut raw = Raw::incidents("/listIncidentRecords", &json!({}));
    raw.headers[0].1 = "text/plain".to_owned();
    assert_eq!(raw.send(&stand_in).code(), "serializationexception");
}

#[test]
fn ec2_names_the_invalid_parameter() {
    let stand_in = started();
    let cases = [
        ("&VpnConnectionIds.1=vpn-0123456789abcdef0", "unknownparameter"),
        ("&VpnConnectionId.member.1=vpn-0123456789abcdef0", "invalidparametervalue"),
        ("&VpnConnectionId.2=vpn-0123456789abcdef0", "invalidparametervalue"),
        ("&DryRun=perhaps", "invalidparametervalue"),
        ("&DryRun=false&DryRun=true", "malformedquerystring"),
    ];
    for (form, code) in cases {
        let answer = Raw::ec2(form).send(&stand_in);
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{form}");
    }
    let mut raw = Raw::ec2("");
    raw.headers[0].1 = "text/plain".to_owned();
    assert_eq!(raw.send(&stand_in).code(), "malformedquerystring");
}

#[test]
fn sts_names_the_invalid_parameter() {
    let stand_in = started();
    let cases = [
        "Action=AssumeRole&RoleSessionName=bothends",
        "Action=AssumeRole&RoleArn=arn:aws:iam::123456789012:role%2Fwatcher&RoleSessionName=b%20e",
        "Action=AssumeRole&RoleArn=arn:aws:iam::123456789012:role%2Fwatcher&RoleSessionName=be&DurationSeconds=899",
        "Action=GetCallerIdentity&Who=me",
    ];
    for form in cases {
        assert_eq!(Raw::sts(form).send(&stand_in).code(), "validationerror", "{form}");
    }
}
