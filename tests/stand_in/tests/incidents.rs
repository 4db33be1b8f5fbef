//! Incident Manager: one record per start, or not, as the switches say.

use serde_json::{Value, json};

use super::super::StandIn;
use super::raw::{Answer, Raw};
use super::{MERGING_PLAN, PLAN, control, started, switch};

fn ask(stand_in: &StandIn, path: &str, input: Value) -> Answer {
    Raw::incidents(path, &input).send(stand_in)
}

/// Creates one, and returns its ARN.
fn start(stand_in: &StandIn, input: Value) -> String {
    let answer = ask(stand_in, "/startIncident", input);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["incidentRecordArn"].as_str().unwrap().to_owned()
}

fn from_plan(plan: &str, token: &str, title: &str) -> Value {
    json!({ "responsePlanArn": plan, "clientToken": token, "title": title })
}

fn incidents(stand_in: &StandIn) -> Vec<Value> {
    control(stand_in, json!({ "incidents": {} })).as_array().unwrap().clone()
}

fn listed(stand_in: &StandIn, input: Value) -> Vec<Value> {
    let answer = ask(stand_in, "/listIncidentRecords", input);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["incidentRecordSummaries"].as_array().unwrap().clone()
}

#[test]
fn a_start_creates_a_record_with_its_author_and_trigger() {
    let stand_in = started();
    let trigger = json!({
        "source": "bothends.outage", "timestamp": 1_800_000_000, "rawData": "{}",
        "triggerArn": "arn:aws:ec2:eu-west-1:123456789012:vpn-connection/vpn-0123456789abcdef0",
    });
    let item =
        json!({ "title": "graph", "identifier": { "type": "METRIC", "value": { "url": "https://x" } } });
    let arn = start(
        &stand_in,
        json!({ "responsePlanArn": PLAN, "impact": 1, "triggerDetails": trigger, "relatedItems": [item] }),
    );
    let incident = &incidents(&stand_in)[0];
    let record = &incident["record"];
    assert_eq!((&record["arn"], &record["status"]), (&json!(arn), &json!("OPEN")));
    assert_eq!((&record["title"], &record["impact"]), (&json!("From the plan"), &json!(1)));
    let source = &record["incidentRecordSource"];
    assert_eq!(source["createdBy"], "arn:aws:iam::123456789012:user/gateway");
    assert_eq!(
        (&source["source"], &source["resourceArn"]),
        (&json!("bothends.outage"), &trigger["triggerArn"])
    );
    assert_eq!(incident["rawData"], "{}");
    assert_eq!(incident["timeline"][0]["eventType"], "SSM Incident Trigger");
    let items = ask(&stand_in, "/listRelatedItems", json!({ "incidentRecordArn": arn })).json();
    assert_eq!(items["relatedItems"][0]["title"], "graph");
    assert!(items["relatedItems"][0]["generatedId"].as_str().unwrap().starts_with("related-item/METRIC/"));
}

#[test]
fn a_custom_source_may_not_begin_with_aws() {
    let stand_in = started();
    let trigger = json!({ "source": "aws.cloudwatch", "timestamp": 1 });
    let answer =
        ask(&stand_in, "/startIncident", json!({ "responsePlanArn": PLAN, "triggerDetails": trigger }));
    assert_eq!((answer.status, answer.code().as_str()), (400, "validationexception"));
}

#[test]
fn an_unknown_plan_record_or_event_is_not_found() {
    let stand_in = started();
    let nowhere = "arn:aws:ssm-incidents::123456789012:response-plan/nowhere";
    let answer = ask(&stand_in, "/startIncident", json!({ "responsePlanArn": nowhere }));
    assert_eq!((answer.status, answer.code().as_str()), (404, "resourcenotfoundexception"));
    assert_eq!(answer.json()["resourceType"], "RESPONSE_PLAN");
    let answer = ask(&stand_in, "/updateIncidentRecord", json!({ "arn": nowhere, "status": "RESOLVED" }));
    assert_eq!((answer.status, answer.json()["resourceType"].as_str()), (404, Some("INCIDENT_RECORD")));
    let arn = start(&stand_in, json!({ "responsePlanArn": PLAN }));
    let mut raw = Raw::incidents("/getTimelineEvent", &json!({}));
    (raw.method, raw.body) = ("GET", vec![]);
    let arn = arn.replace(':', "%3A").replace('/', "%2F");
    raw.target = format!("/getTimelineEvent?eventId=none&incidentRecordArn={arn}");
    assert_eq!(raw.send(&stand_in).json()["resourceType"], "TIMELINE_EVENT");
}

#[test]
fn a_known_token_with_the_same_parameters_returns_the_old_record() {
    let stand_in = started();
    for setting in ["old_arn", "conflict", "new_record"] {
        switch(&stand_in, json!({ "known_token": setting }));
        let first = start(&stand_in, from_plan(PLAN, setting, "one"));
        assert_eq!(start(&stand_in, from_plan(PLAN, setting, "one")), first, "{setting}");
    }
    assert_eq!(incidents(&stand_in).len(), 3);
}

#[test]
fn a_known_token_with_other_parameters_follows_the_switch() {
    let stand_in = started();
    let first = start(&stand_in, from_plan(PLAN, "t", "one"));
    assert_eq!(start(&stand_in, from_plan(PLAN, "t", "two")), first);
    switch(&stand_in, json!({ "known_token": "conflict" }));
    let answer = ask(&stand_in, "/startIncident", from_plan(PLAN, "t", "two"));
    assert_eq!((answer.status, answer.code().as_str()), (409, "conflictexception"));
    switch(&stand_in, json!({ "known_token": "new_record" }));
    assert_ne!(start(&stand_in, from_plan(PLAN, "t", "two")), first);
}

#[test]
fn a_token_is_forgotten_after_its_memory() {
    let stand_in = started();
    switch(&stand_in, json!({ "token_memory": 3600.0 }));
    let first = start(&stand_in, from_plan(PLAN, "t", "one"));
    control(&stand_in, json!({ "advance_clock": { "seconds": 3500.0 } }));
    assert_eq!(start(&stand_in, from_plan(PLAN, "t", "one")), first);
    control(&stand_in, json!({ "advance_clock": { "seconds": 200.0 } }));
    assert_ne!(start(&stand_in, from_plan(PLAN, "t", "one")), first);
}

#[test]
fn a_dedupe_string_merges_starts_into_an_open_record_if_switched_on() {
    let stand_in = started();
    let first = start(&stand_in, from_plan(MERGING_PLAN, "a", "one"));
    assert_eq!(start(&stand_in, from_plan(MERGING_PLAN, "b", "two")), first);
    assert_ne!(start(&stand_in, from_plan(PLAN, "c", "three")), first);
    switch(&stand_in, json!({ "merge_by_dedupe_string": false }));
    assert_ne!(start(&stand_in, from_plan(MERGING_PLAN, "d", "four")), first);
    switch(&stand_in, json!({ "merge_by_dedupe_string": true }));
    for incident in incidents(&stand_in) {
        ask(
            &stand_in,
            "/updateIncidentRecord",
            json!({ "arn": incident["record"]["arn"], "status": "RESOLVED" }),
        );
    }
    assert_ne!(start(&stand_in, from_plan(MERGING_PLAN, "e", "five")), first);
}

#[test]
fn the_list_lags_in_existence_and_in_status() {
    let stand_in = started();
    switch(&stand_in, json!({ "list_lag": 60.0 }));
    let arn = start(&stand_in, json!({ "responsePlanArn": PLAN }));
    assert!(listed(&stand_in, json!({})).is_empty());
    control(&stand_in, json!({ "advance_clock": { "seconds": 61.0 } }));
    ask(&stand_in, "/updateIncidentRecord", json!({ "arn": arn, "status": "RESOLVED" }));
    assert_eq!(listed(&stand_in, json!({}))[0]["status"], "OPEN");
    control(&stand_in, json!({ "advance_clock": { "seconds": 61.0 } }));
    assert_eq!(listed(&stand_in, json!({}))[0]["status"], "RESOLVED");
}

#[test]
fn the_list_is_filtered_and_paged() {
    let stand_in = started();
    for impact in 1..=5 {
        start(&stand_in, json!({ "responsePlanArn": PLAN, "impact": impact }));
    }
    let equals = |key: &str, values: Value| json!([{ "key": key, "condition": { "equals": values } }]);
    let count = |filters: Value| listed(&stand_in, json!({ "filters": filters })).len();
    assert_eq!(count(equals("status", json!({ "stringValues": ["OPEN"] }))), 5);
    assert_eq!(count(equals("status", json!({ "stringValues": ["RESOLVED"] }))), 0);
    assert_eq!(count(equals("impact", json!({ "integerValues": [1, 2] }))), 2);
    assert_eq!(count(equals("createdBy", json!({ "stringValues": ["arn:aws:iam::123456789012:root"] }))), 0);
    assert_eq!(count(json!([{ "key": "creationTime", "condition": { "after": 1 } }])), 5);
    assert_eq!(count(json!([{ "key": "creationTime", "condition": { "before": 1 } }])), 0);
    let bad = ask(
        &stand_in,
        "/listIncidentRecords",
        json!({ "filters": equals("title", json!({ "stringValues": ["x"] })) }),
    );
    assert_eq!(bad.code(), "validationexception");
    let page = ask(&stand_in, "/listIncidentRecords", json!({ "maxResults": 3 })).json();
    assert_eq!(page["incidentRecordSummaries"].as_array().unwrap().len(), 3);
    let rest = listed(&stand_in, json!({ "maxResults": 3, "nextToken": page["nextToken"] }));
    assert_eq!(rest.len(), 2);
    assert_eq!(
        ask(&stand_in, "/listIncidentRecords", json!({ "nextToken": "x" })).code(),
        "validationexception"
    );
    assert_eq!(
        ask(&stand_in, "/listIncidentRecords", json!({ "maxResults": 101 })).code(),
        "validationexception"
    );
}

#[test]
fn the_timeline_accepts_permitted_events_once_per_token() {
    let stand_in = started();
    let arn = start(&stand_in, json!({ "responsePlanArn": PLAN }));
    let event = |kind: &str, data: &str| {
        json!({
            "incidentRecordArn": arn, "clientToken": "t", "eventTime": 5, "eventType": kind, "eventData": data,
        })
    };
    assert_eq!(ask(&stand_in, "/createTimelineEvent", event("Custom Event", "a")).status, 201);
    assert_eq!(ask(&stand_in, "/createTimelineEvent", event("Custom Event", "a")).status, 201);
    let refused = ask(&stand_in, "/createTimelineEvent", event("SSM Incident Trigger", "a"));
    assert_eq!(refused.code(), "validationexception");
    let refused = ask(&stand_in, "/createTimelineEvent", event("Note", &"x".repeat(12_001)));
    assert_eq!(refused.code(), "validationexception");
    let events = ask(&stand_in, "/listTimelineEvents", json!({ "incidentRecordArn": arn })).json();
    let kinds: Vec<_> =
        events["eventSummaries"].as_array().unwrap().iter().map(|e| &e["eventType"]).collect();
    assert_eq!(kinds, ["Custom Event", "SSM Incident Trigger"]);
    let last_first = json!({ "incidentRecordArn": arn, "sortOrder": "DESCENDING", "maxResults": 1 });
    let events = ask(&stand_in, "/listTimelineEvents", last_first).json();
    assert_eq!(events["eventSummaries"][0]["eventType"], "SSM Incident Trigger");
}

#[test]
fn related_items_are_added_removed_and_limited() {
    let stand_in = started();
    let arn = start(&stand_in, json!({ "responsePlanArn": PLAN }));
    let identifier = |n: usize| json!({ "type": "INCIDENT", "value": { "url": format!("https://x/{n}") } });
    let update = |change: Value| {
        ask(
            &stand_in,
            "/updateRelatedItems",
            json!({ "incidentRecordArn": arn, "relatedItemsUpdate": change }),
        )
    };
    for n in 0..100 {
        assert_eq!(update(json!({ "itemToAdd": { "identifier": identifier(n) } })).status, 204);
    }
    assert_eq!(
        update(json!({ "itemToAdd": { "identifier": identifier(100) } })).code(),
        "validationexception"
    );
    assert_eq!(update(json!({ "itemToRemove": identifier(0) })).status, 204);
    assert_eq!(incidents(&stand_in)[0]["relatedItems"].as_array().unwrap().len(), 99);
}

#[test]
fn a_record_closed_by_a_person_shows_who_closed_it() {
    let stand_in = started();
    let arn = start(&stand_in, json!({ "responsePlanArn": PLAN }));
    let by = "arn:aws:iam::123456789012:user/alex";
    control(&stand_in, json!({ "close_incident": { "arn": arn, "by": by } }));
    let record = &incidents(&stand_in)[0]["record"];
    assert_eq!((&record["status"], &record["lastModifiedBy"]), (&json!("RESOLVED"), &json!(by)));
    assert!(record["resolvedTime"].is_number());
}

#[test]
fn an_alarm_creates_no_second_record_while_one_is_open() {
    let stand_in = started();
    let alarm = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:bothends vpn outage";
    let command = json!({ "start_by_alarm": { "response_plan": PLAN, "alarm": alarm } });
    let first = control(&stand_in, command.clone());
    assert_eq!(control(&stand_in, command.clone()), first);
    let source = &incidents(&stand_in)[0]["record"]["incidentRecordSource"];
    assert_eq!((&source["source"], &source["resourceArn"]), (&json!("aws.cloudwatch"), &json!(alarm)));
    ask(&stand_in, "/updateIncidentRecord", json!({ "arn": first, "status": "RESOLVED" }));
    assert_ne!(control(&stand_in, command), first);
}

#[test]
fn an_account_without_a_replication_set_has_no_plans() {
    let settings = json!({ "replication_sets": [], "response_plans": [{ "arn": PLAN }] });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stand_in = StandIn::start(listener, serde_json::from_value(settings).unwrap()).unwrap();
    assert_eq!(ask(&stand_in, "/listReplicationSets", json!({})).json()["replicationSetArns"], json!([]));
    assert_eq!(ask(&stand_in, "/startIncident", json!({ "responsePlanArn": PLAN })).status, 404);
}
