//! Incident Manager as a sink.

use std::collections::BTreeMap;

use bothends::aws::IncidentManager;
use bothends::domain::names::{Kind, VpnId};
use bothends::domain::time::Stamp;
use bothends::incident::sink::{
    IncidentSink, Note, Record, RecordId, RecordOrigin, RecordScope, RecordStatus, Search, SinkError,
    StartRequest,
};
use serde_json::{Value, json};

use super::{PLAN, REGION, VPN, connections, control, fault, received, stand_in, stand_in_with};
use crate::stand_in::StandIn;

const DESCRIPTION: &str = "Down at both ends since noon.";
const EVIDENCE: &str = r#"{"local":"down","aws":"down"}"#;

fn sink(aws: &StandIn) -> IncidentManager {
    IncidentManager::new(connections(aws), Some(REGION.into()), None)
}

fn scope(kind: Kind) -> RecordScope {
    RecordScope {
        of: VpnId::new(VPN).into(),
        kind,
        plan: PLAN.to_owned(),
        source: format!("bothends.{}", kind.as_str()),
        resource: format!("arn:aws:ec2:eu-west-1:123456789012:vpn-connection/{VPN}"),
    }
}

fn request(kind: Kind, token: &str) -> StartRequest {
    StartRequest {
        scope: scope(kind),
        client_token: token.to_owned(),
        title: "milan-1: Milan DC is down on both tunnels".to_owned(),
        impact: 1,
        triggered: Stamp::from_secs(1_795_341_600),
        description: DESCRIPTION.to_owned(),
        raw_data: EVIDENCE.to_owned(),
    }
}

fn incidents(aws: &StandIn) -> Vec<Value> {
    control(aws, json!({ "incidents": {} })).as_array().unwrap().clone()
}

async fn find(sink: &impl IncidentSink, kind: Kind) -> Vec<Record> {
    let found = sink.find(&Search { scopes: vec![scope(kind)], page: true }).await.unwrap();
    found.into_iter().map(|(_, record)| record).collect()
}

fn ids(records: &[Record]) -> Vec<&RecordId> {
    records.iter().map(|record| &record.id).collect()
}

#[tokio::test]
async fn a_record_is_created_found_updated_related_and_resolved() {
    let aws = stand_in();
    let sink = sink(&aws);
    assert_eq!(find(&sink, Kind::Outage).await, []);
    let record = sink.start(&request(Kind::Outage, "token-1")).await.unwrap();
    let found = find(&sink, Kind::Outage).await;
    assert_eq!(ids(&found), [&record]);
    assert_eq!((found[0].status, found[0].origin), (RecordStatus::Open, RecordOrigin::Daemon));
    let read = sink.read(&record).await.unwrap();
    assert_eq!(read.id, record);
    assert_eq!(find(&sink, Kind::OneSided).await, [], "another kind is another scope");

    let at = Stamp::from_millis(bothends::clock::wall().as_millis());
    let note = Note { at, text: "tunnel 2 is down".to_owned(), client_token: "note-1".to_owned() };
    sink.note(&record, &note).await.unwrap();
    sink.note(&record, &note).await.unwrap();
    let other = sink.start(&request(Kind::RedundancyLost, "token-2")).await.unwrap();
    sink.relate(&record, &other, "redundancy was lost before").await.unwrap();
    sink.relate(&record, &other, "redundancy was lost before").await.unwrap();
    sink.resolve(&record, "It was down for 4 minutes", "resolve-1").await.unwrap();
    sink.resolve(&record, "It was down for 4 minutes", "resolve-1").await.unwrap();

    let stored = incidents(&aws).into_iter().find(|it| it["record"]["arn"] == record.0).unwrap();
    assert_eq!(stored["rawData"], EVIDENCE);
    assert_eq!(stored["record"]["title"], "milan-1: Milan DC is down on both tunnels");
    assert_eq!(stored["record"]["impact"], 1);
    assert_eq!(stored["record"]["status"], "RESOLVED");
    assert_eq!(stored["record"]["incidentRecordSource"]["resourceArn"], scope(Kind::Outage).resource);
    let timeline = stored["timeline"].as_array().unwrap();
    let notes = timeline.iter().filter(|event| event["eventData"] == "tunnel 2 is down").count();
    assert_eq!(notes, 1, "{timeline:?}");
    assert!(stored["relatedItems"].to_string().contains(&other.0));
    assert_eq!(received(&aws, "UpdateIncidentRecord").len(), 1, "a closed record is not closed again");
    let after = find(&sink, Kind::Outage).await;
    assert_eq!((ids(&after), after[0].status), (vec![&record], RecordStatus::Resolved));
}

#[tokio::test]
async fn all_open_records_and_only_the_newest_closed_one_are_found_newest_first() {
    let aws = stand_in();
    let sink = sink(&aws);
    let mut started = Vec::new();
    for (index, closed) in [true, true, false, false].into_iter().enumerate() {
        let record = sink.start(&request(Kind::Outage, &format!("token-{index}"))).await.unwrap();
        if closed {
            sink.resolve(&record, "", &format!("resolve-{index}")).await.unwrap();
        }
        started.push(record);
        control(&aws, json!({ "advance_clock": { "seconds": 1.0 } }));
    }
    let found = find(&sink, Kind::Outage).await;
    assert_eq!(ids(&found), [&started[3], &started[2], &started[1]]);
}

#[tokio::test]
async fn a_record_created_by_our_alarm_is_found_and_another_alarms_is_not() {
    let aws = stand_in();
    let by_alarm = |name: &str| {
        let alarm = format!("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}");
        control(&aws, json!({ "start_by_alarm": { "response_plan": PLAN, "alarm": alarm } }))
    };
    let ours = by_alarm(&format!("bothends-{VPN}-outage"));
    by_alarm("disk-full");
    let sink = sink(&aws);
    let found = find(&sink, Kind::Outage).await;
    assert_eq!(ids(&found), [&RecordId(ours.as_str().unwrap().to_owned())]);
    assert_eq!(found[0].origin, RecordOrigin::Alarm);
    assert_eq!(sink.read(&found[0].id).await.unwrap().origin, RecordOrigin::Alarm);
}

#[tokio::test]
async fn one_token_is_one_record_even_if_the_reply_is_lost() {
    let aws = stand_in();
    let sink = sink(&aws);
    let lost = json!({ "operation": "StartIncident", "kind": "lost_reply", "times": 1 });
    control(&aws, json!({ "add_fault": { "fault": lost } }));
    let start = request(Kind::Outage, "token-1");
    let error = sink.start(&start).await.unwrap_err();
    assert!(matches!(error, SinkError::Temporary { .. }), "{error:?}");
    let record = sink.start(&start).await.unwrap();
    assert_eq!(sink.start(&start).await.unwrap(), record);
    assert_eq!(incidents(&aws).len(), 1);
}

#[tokio::test]
async fn a_known_token_with_other_parameters_is_reported() {
    let aws = stand_in_with(json!({ "switches": { "known_token": "conflict" } }));
    let sink = sink(&aws);
    sink.start(&request(Kind::Outage, "token-1")).await.unwrap();
    let other = StartRequest { title: "another".to_owned(), ..request(Kind::Outage, "token-1") };
    let error = sink.start(&other).await.unwrap_err();
    assert!(matches!(error, SinkError::TokenKnown), "{error:?}");
}

#[tokio::test]
async fn a_record_closed_by_a_person_is_left_unchanged() {
    let aws = stand_in();
    let sink = sink(&aws);
    let record = sink.start(&request(Kind::Outage, "token-1")).await.unwrap();
    control(
        &aws,
        json!({ "close_incident": { "arn": record.0, "by": "arn:aws:iam::123456789012:user/anna" } }),
    );
    sink.resolve(&record, "back", "resolve-1").await.unwrap();
    assert_eq!(received(&aws, "UpdateIncidentRecord").len(), 0);
}

#[tokio::test]
async fn a_too_long_title_is_truncated_not_rejected() {
    let aws = stand_in();
    let long = StartRequest { title: "ü".repeat(300), ..request(Kind::Outage, "token-1") };
    sink(&aws).start(&long).await.unwrap();
    let title = incidents(&aws)[0]["record"]["title"].as_str().unwrap().chars().count();
    assert_eq!(title, 200);
}

#[tokio::test]
async fn rejections_say_what_the_reconciler_may_do() {
    let start = async |kind| {
        let aws = stand_in();
        fault(&aws, "StartIncident", kind);
        sink(&aws).start(&request(Kind::Outage, "token-1")).await.unwrap_err()
    };
    for kind in ["throttle", "unavailable", "internal", "reset", "garbage", "truncated"] {
        let error = start(json!(kind)).await;
        assert!(matches!(error, SinkError::Temporary { .. }), "{kind}: {error:?}");
    }
    let denied = start(json!("denied")).await;
    assert!(
        matches!(&denied, SinkError::Rejected { what, .. } if what.contains("ssm-incidents:StartIncident"))
    );
    assert!(matches!(start(json!("expired")).await, SinkError::Rejected { .. }));
}

#[tokio::test]
async fn a_missing_plan_and_a_missing_record_are_distinguished() {
    let aws = stand_in();
    let sink = sink(&aws);
    let mut nowhere = request(Kind::Outage, "token-1");
    nowhere.scope.plan = PLAN.replace("bothends", "nowhere");
    let error = sink.start(&nowhere).await.unwrap_err();
    assert!(
        matches!(&error, SinkError::Rejected { what, .. } if what.contains("response-plan/nowhere")),
        "{error}"
    );
    let missing = RecordId(PLAN.replace("response-plan", "incident-record") + "/9f1c");
    assert!(matches!(sink.read(&missing).await, Err(SinkError::NotFound)));
    assert!(matches!(sink.resolve(&missing, "", "token-2").await, Err(SinkError::NotFound)));
}

#[tokio::test]
async fn an_account_without_incident_manager_gets_the_remedy() {
    let aws = stand_in_with(json!({ "replication_sets": [] }));
    let error = sink(&aws).check_onboarded().await.unwrap_err();
    assert!(
        matches!(&error, SinkError::Rejected { what, .. } if what.contains("replication set")),
        "{error}"
    );
    sink(&stand_in()).check_onboarded().await.unwrap();
}

/// An account whose plan merges every create into its open record.
fn merging() -> StandIn {
    stand_in_with(json!({ "response_plans": [{ "arn": PLAN, "dedupe_string": "vpn" }] }))
}

fn drill(token: &str) -> StartRequest {
    let mut drill = StartRequest { title: "DRILL: a test".to_owned(), ..request(Kind::Outage, token) };
    drill.scope.source = "bothends.drill".to_owned();
    drill
}

fn titles_and_states(aws: &StandIn) -> Vec<(String, String)> {
    let said = |it: &Value, name: &str| it["record"][name].as_str().unwrap().to_owned();
    incidents(aws).iter().map(|it| (said(it, "title"), said(it, "status"))).collect()
}

#[tokio::test]
async fn a_real_incident_merged_into_a_drill_ends_it_and_gets_one_record_from_both_gateways() {
    let aws = merging();
    let (here, twin) = (sink(&aws), sink(&aws));
    let test = here.start(&drill("drill-1")).await.unwrap();
    let start = request(Kind::Outage, "token-1");
    let real = here.start(&start).await.unwrap();
    assert_ne!(real, test);
    assert_eq!(here.start(&start).await.unwrap(), real, "a retry gives the same record");
    assert_eq!(twin.start(&start).await.unwrap(), real, "the twin gets the same record");
    let drill_and_real = titles_and_states(&aws);
    let drill_and_real: Vec<_> =
        drill_and_real.iter().map(|(title, state)| (title.as_str(), state.as_str())).collect();
    assert_eq!(drill_and_real, [("DRILL: a test", "RESOLVED"), (start.title.as_str(), "OPEN")]);
    assert_eq!(ids(&find(&here, Kind::Outage).await), [&real], "look-ups ignore drills");
}

#[tokio::test]
async fn a_real_incident_during_a_drill_gets_its_record_even_if_a_reply_is_lost() {
    for (operation, kind) in [
        ("GetIncidentRecord", "unavailable"),
        ("UpdateIncidentRecord", "unavailable"),
        ("StartIncident", "lost_reply"),
    ] {
        let aws = merging();
        let sink = sink(&aws);
        sink.start(&drill("drill-1")).await.unwrap();
        let once = json!({ "operation": operation, "kind": kind, "times": 1 });
        control(&aws, json!({ "add_fault": { "fault": once } }));
        let start = request(Kind::Outage, "token-1");
        let error = sink.start(&start).await.unwrap_err();
        assert!(matches!(error, SinkError::Temporary { .. }), "{operation}: {error:?}");
        let real = sink.start(&start).await.unwrap();
        let states: Vec<_> = titles_and_states(&aws).into_iter().map(|(_, state)| state).collect();
        assert_eq!(states, ["RESOLVED", "OPEN"], "{operation}");
        assert_eq!(incidents(&aws)[1]["record"]["arn"], real.0, "{operation}");
    }
}

#[tokio::test]
async fn a_created_record_counts_even_if_it_may_not_be_read() {
    let aws = stand_in();
    fault(&aws, "GetIncidentRecord", json!("denied"));
    let record = sink(&aws).start(&request(Kind::Outage, "token-1")).await.unwrap();
    assert_eq!(incidents(&aws)[0]["record"]["arn"], record.0);
}

#[tokio::test]
async fn one_list_shows_what_is_open_in_every_scope() {
    let aws = stand_in();
    let sink = sink(&aws);
    let outage = sink.start(&request(Kind::Outage, "token-1")).await.unwrap();
    let lost = sink.start(&request(Kind::RedundancyLost, "token-2")).await.unwrap();
    let over = sink.start(&request(Kind::OneSided, "token-3")).await.unwrap();
    sink.resolve(&over, "It is over", "resolve-1").await.unwrap();
    let before = received(&aws, "ListIncidentRecords").len();
    let open = sink.survey(&Kind::ALL.map(scope)).await.unwrap();
    let open: BTreeMap<_, _> = open.iter().map(|(scope, record)| (scope.kind, &record.id)).collect();
    assert_eq!(open, BTreeMap::from([(Kind::Outage, &outage), (Kind::RedundancyLost, &lost)]));
    assert_eq!(received(&aws, "ListIncidentRecords").len(), before + 1);
}

#[tokio::test]
async fn one_look_up_shows_the_open_and_the_last_closed_records_of_every_scope() {
    let aws = stand_in();
    let sink = sink(&aws);
    let start = async |kind: Kind, token: &str| sink.start(&request(kind, token)).await.unwrap();
    let outage = start(Kind::Outage, "token-1").await;
    let over = start(Kind::OneSided, "token-2").await;
    sink.resolve(&over, "It is over", "resolve-1").await.unwrap();
    let first = received(&aws, "ListIncidentRecords").len();
    let search = Search { scopes: Kind::ALL.map(scope).to_vec(), page: false };
    let mut calls = Vec::new();
    for _ in 0..3 {
        let found = sink.find(&search).await.unwrap();
        let mut found: Vec<_> = found.iter().map(|(scope, it)| (scope.kind, &it.id, it.status)).collect();
        found.sort();
        let mut expected =
            [(Kind::Outage, &outage, RecordStatus::Open), (Kind::OneSided, &over, RecordStatus::Resolved)];
        expected.sort();
        assert_eq!(found, expected);
        calls.push(received(&aws, "ListIncidentRecords").len() - first);
    }
    assert_eq!(calls, [3, 5, 7], "one list for all scopes");
}
