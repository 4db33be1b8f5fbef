//! OpsCenter as a sink.

use bothends::aws::OpsCenter;
use bothends::domain::names::{Kind, VpnId};
use bothends::domain::time::Stamp;
use bothends::incident::sink::{
    IncidentSink, Note, Record, RecordId, RecordScope, RecordStatus, Search, SinkError, StartRequest,
};
use serde_json::{Value, json};

use super::super::stand_in::StandIn;
use super::{REGION, ROLE, VPN, connections, control, fault, received, stand_in};

const DESCRIPTION: &str = "Since 2026-11-22: tunnel 2 (203.0.113.12). Runbook: https://wiki.example.com/vpn";
const EVIDENCE: &str = r#"{"began":"2026-11-22T10:00:00Z","runbook_url":"https://wiki.example.com/vpn","tunnels":[
    {"name":"tunnel 2","outside_ip":"203.0.113.12","local":{"verdict":"down"},"aws":{"verdict":"down"}}]}"#;

fn sink(aws: &StandIn) -> OpsCenter {
    OpsCenter::new(connections(aws), Some(REGION.into()), None, "milan-1".into())
}

/// As in a daemon that does not know its account.
fn scope(kind: Kind) -> RecordScope {
    RecordScope {
        of: VpnId::new(VPN).into(),
        kind,
        plan: "arn:aws:ssm:eu-west-1::opsitem".to_owned(),
        source: format!("bothends.{}", kind.as_str()),
        resource: format!("arn:aws:ec2:eu-west-1::vpn-connection/{VPN}"),
    }
}

fn request(kind: Kind) -> StartRequest {
    StartRequest {
        scope: scope(kind),
        client_token: "token-1".to_owned(),
        title: "[milan-1] Milan DC: outage".to_owned(),
        impact: kind.default_impact(),
        triggered: Stamp::from_secs(1_795_341_600),
        description: DESCRIPTION.to_owned(),
        raw_data: EVIDENCE.to_owned(),
    }
}

fn note(text: &str, token: &str) -> Note {
    Note { at: Stamp::from_secs(1_795_341_660), text: text.to_owned(), client_token: token.repeat(64) }
}

fn items(aws: &StandIn) -> Vec<Value> {
    control(aws, json!({ "ops_items": {} })).as_array().unwrap().clone()
}

fn data(item: &Value, key: &str) -> String {
    item["OperationalData"][key]["Value"].as_str().unwrap_or_default().to_owned()
}

async fn find(sink: &impl IncidentSink, kind: Kind) -> Vec<Record> {
    let found = sink.find(&Search { scopes: vec![scope(kind)], page: true }).await.unwrap();
    found.into_iter().map(|(_, record)| record).collect()
}

fn ids(records: &[Record]) -> Vec<&RecordId> {
    records.iter().map(|record| &record.id).collect()
}

#[tokio::test]
async fn an_item_is_created_updated_related_and_resolved_each_once() {
    let aws = stand_in();
    let sink = sink(&aws);
    assert_eq!(find(&sink, Kind::Outage).await, []);
    let record = sink.start(&request(Kind::Outage)).await.unwrap();
    let found = find(&sink, Kind::Outage).await;
    assert_eq!((ids(&found), found[0].status), (vec![&record], RecordStatus::Open));
    assert_eq!(sink.read(&record).await.unwrap(), found[0]);
    assert_eq!(find(&sink, Kind::RedundancyLost).await, []);

    for _ in 0..2 {
        sink.note(&record, &note("milan-1: tunnel 2: down at both ends", "a")).await.unwrap();
    }
    sink.note(&record, &note("milan-1: clearing", "b")).await.unwrap();
    let other = sink.start(&request(Kind::RedundancyLost)).await.unwrap();
    for _ in 0..2 {
        sink.relate(&record, &other, "redundancy was lost before").await.unwrap();
    }
    for _ in 0..2 {
        sink.resolve(&record, "It was down for 4 minutes", "resolve-1").await.unwrap();
    }

    let item = &items(&aws)[0];
    assert_eq!(item["Title"], "[milan-1] Milan DC: outage");
    assert_eq!((&item["Severity"], &item["Status"]), (&json!("1"), &json!("Resolved")));
    assert_eq!(data(item, "/aws/dedup"), format!("{{\"dedupString\":\"bothends/{VPN}/outage\"}}"));
    let resource = format!("arn:aws:ec2:eu-west-1:123456789012:vpn-connection/{VPN}");
    assert_eq!(data(item, "/aws/resources"), json!([{ "arn": resource }]).to_string());
    assert_eq!(data(item, "bothends-evidence"), EVIDENCE);
    assert_eq!(data(item, "bothends-summary"), "It was down for 4 minutes");
    let description = item["Description"].as_str().unwrap();
    for expected in ["2026-11-22", "tunnel 2 (203.0.113.12)", "https://wiki.example.com/vpn"] {
        assert!(description.contains(expected), "{expected:?} is missing from {description}");
    }
    let timeline = data(item, "bothends-timeline milan-1");
    assert_eq!(timeline.lines().count(), 2, "{timeline}");
    assert_eq!(item["RelatedOpsItems"], json!([{ "OpsItemId": other.0 }]));
    let resolved = received(&aws, "UpdateOpsItem");
    let resolved = resolved.iter().filter(|it| it["parameters"]["Status"] == "Resolved").count();
    assert_eq!(resolved, 1, "a resolved item is not resolved again");
    let after = find(&sink, Kind::Outage).await;
    assert_eq!((ids(&after), after[0].status), (vec![&record], RecordStatus::Resolved));
}

#[tokio::test]
async fn an_existing_item_is_reused_even_if_the_reply_was_lost() {
    let aws = stand_in();
    let sink = sink(&aws);
    let lost = json!({ "operation": "CreateOpsItem", "kind": "lost_reply", "times": 1 });
    control(&aws, json!({ "add_fault": { "fault": lost } }));
    let error = sink.start(&request(Kind::Outage)).await.unwrap_err();
    assert!(matches!(error, SinkError::Temporary { .. }), "{error:?}");
    let record = sink.start(&request(Kind::Outage)).await.unwrap();
    // A person works on it.
    control(&aws, json!({ "set_ops_item": { "id": record.0, "status": "InProgress" } }));
    assert_eq!(sink.start(&request(Kind::Outage)).await.unwrap(), record);
    assert_eq!(items(&aws).len(), 1);
    sink.resolve(&record, "", "resolve-1").await.unwrap();
    assert_ne!(sink.start(&request(Kind::Outage)).await.unwrap(), record, "a resolved item allows a new one");
}

#[tokio::test]
async fn an_item_names_the_connection_from_the_start_if_the_role_gives_the_account() {
    let aws = stand_in();
    let sink = OpsCenter::new(connections(&aws), Some(REGION.into()), Some(ROLE.into()), "milan-1".into());
    sink.start(&request(Kind::Outage)).await.unwrap();
    assert!(data(&items(&aws)[0], "/aws/resources").contains(":123456789012:vpn-connection/"));
    assert_eq!(received(&aws, "UpdateOpsItem").len(), 0);
}

#[tokio::test]
async fn an_item_resolved_by_a_person_is_left_unchanged() {
    let aws = stand_in();
    let sink = sink(&aws);
    let record = sink.start(&request(Kind::Outage)).await.unwrap();
    control(&aws, json!({ "set_ops_item": { "id": record.0, "status": "Resolved" } }));
    let before = received(&aws, "UpdateOpsItem").len();
    sink.resolve(&record, "back", "resolve-1").await.unwrap();
    assert_eq!(received(&aws, "UpdateOpsItem").len(), before);
}

#[tokio::test]
async fn one_list_shows_what_is_open_in_every_scope() {
    let aws = stand_in();
    let sink = sink(&aws);
    let outage = sink.start(&request(Kind::Outage)).await.unwrap();
    let lost = sink.start(&request(Kind::RedundancyLost)).await.unwrap();
    let over = sink.start(&request(Kind::OneSided)).await.unwrap();
    sink.resolve(&over, "It is over", "resolve-1").await.unwrap();
    let before = received(&aws, "DescribeOpsItems").len();
    let open = sink.survey(&Kind::ALL.map(scope)).await.unwrap();
    let mut open: Vec<_> = open.iter().map(|(scope, record)| (scope.kind, &record.id)).collect();
    open.sort();
    assert_eq!(open, [(Kind::Outage, &outage), (Kind::RedundancyLost, &lost)]);
    assert_eq!(received(&aws, "DescribeOpsItems").len(), before + 1);
}

#[tokio::test]
async fn rejections_say_what_the_reconciler_may_do() {
    let start = async |kind| {
        let aws = stand_in();
        fault(&aws, "CreateOpsItem", kind);
        sink(&aws).start(&request(Kind::Outage)).await.unwrap_err()
    };
    for kind in ["throttle", "unavailable", "internal", "reset", "garbage", "truncated"] {
        let error = start(json!(kind)).await;
        assert!(matches!(error, SinkError::Temporary { .. }), "{kind}: {error:?}");
    }
    let denied = start(json!("denied")).await;
    assert!(
        matches!(&denied, SinkError::Rejected { what, .. } if what.contains("ssm:CreateOpsItem")),
        "{denied}"
    );
    assert!(matches!(start(json!("expired")).await, SinkError::Rejected { .. }));
    let missing = RecordId("oi-0123456789ab".to_owned());
    assert!(matches!(sink(&stand_in()).read(&missing).await, Err(SinkError::NotFound)));
}

#[tokio::test]
async fn one_look_up_shows_the_open_and_the_last_closed_records_of_every_scope() {
    let aws = stand_in();
    let sink = sink(&aws);
    let start = async |kind: Kind, _: &str| sink.start(&request(kind)).await.unwrap();
    let outage = start(Kind::Outage, "token-1").await;
    let over = start(Kind::OneSided, "token-2").await;
    sink.resolve(&over, "It is over", "resolve-1").await.unwrap();
    let first = received(&aws, "DescribeOpsItems").len();
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
        calls.push(received(&aws, "DescribeOpsItems").len() - first);
    }
    assert_eq!(calls, [2, 4, 6], "one list for all scopes");
}
