//! Many connections that go down at once, with an AWS that throttles.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use bothends::aws::IncidentManager;
use bothends::clock;
use bothends::domain::board::{Board, IncidentId};
use bothends::domain::names::{Destination, Kind, SinkId, VpnId};
use bothends::domain::plan::SinkPlan;
use bothends::domain::story::{Scene, Story};
use bothends::health::Health;
use bothends::incident::settings::{SinkRules, VpnSettings};
use bothends::incident::shell;
use bothends::incident::sink::{Ledger, LedgerError, LedgerRow};
use bothends::records::Records;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::{DEADLINE, PLAN, REGION, connections, control, stand_in};

const CONNECTIONS: usize = 100;

/// A fast disk.
struct Kept;

impl Ledger for Kept {
    fn load(&self, _: &SinkId) -> impl Future<Output = Result<Vec<LedgerRow>, LedgerError>> + Send {
        ready(Ok(Vec::new()))
    }

    fn commit(&self, _: LedgerRow) -> impl Future<Output = Result<(), LedgerError>> + Send {
        ready(Ok(()))
    }

    fn forget(&self, _: &SinkId, _: &IncidentId) -> impl Future<Output = Result<(), LedgerError>> + Send {
        ready(Ok(()))
    }
}

fn settings(vpns: &[VpnId]) -> SinkRules {
    let known = VpnSettings {
        region: REGION.into(),
        runbook_url: None,
        notes: None,
        metrics: None,
        routes: BTreeMap::new(),
    };
    SinkRules {
        sink: SinkPlan {
            id: SinkId::new("incident_manager"),
            destination: Destination::new("incident_manager"),
            kinds: BTreeSet::from(Kind::ALL),
            scopes: None,
        },
        site: "hub-1".into(),
        plan: PLAN.into(),
        impact: BTreeMap::new(),
        vpns: vpns.iter().map(|vpn| (vpn.clone(), known.clone())).collect(),
        parents: BTreeMap::new(),
    }
}

fn outage(vpn: &VpnId) -> Story {
    let scene = Scene {
        site: "hub-1".into(),
        name: "Milan".into(),
        tunnels: Vec::new(),
        children: Vec::new(),
        related: None,
    };
    let now = clock::now();
    Story::open(vpn.clone().into(), Kind::Outage, scene, now)
}

#[tokio::test]
async fn a_hundred_pages_take_precedence_with_an_aws_that_accepts_ten_calls_a_second() {
    let aws = stand_in();
    let limit = json!({ "operation": "*", "kind": { "rate": { "per_second": 10 } } });
    control(&aws, json!({ "add_fault": { "fault": limit } }));
    let vpns: Vec<VpnId> = (0..CONNECTIONS).map(|index| VpnId::new(format!("vpn-{index:017x}"))).collect();
    let incidents = vpns.iter().map(|vpn| outage(vpn).incident().clone()).collect();
    let prepare = vpns.iter().cloned().map(Into::into).collect();
    let (board, watched) = watch::channel(Arc::new(Board { incidents, prepare }));
    let (events, _heard) = mpsc::channel(CONNECTIONS);
    let sink = IncidentManager::new(connections(&aws), Some(REGION.into()), None);
    let running = shell::run(
        clock::now,
        settings(&vpns),
        shell::KeepsRecords(sink),
        Kept,
        watched,
        events,
        Health::default(),
        Records::default(),
        |_| {},
    );
    let all_started = async {
        loop {
            let open = control(&aws, json!({ "incidents": {} }));
            if open.as_array().is_some_and(|open| open.len() >= CONNECTIONS) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = running => panic!("the reconciler ended by itself"),
        all = tokio::time::timeout(3 * DEADLINE, all_started) => all.expect("not every record was created"),
    }
    drop(board);

    let calls = control(&aws, json!({ "received": {} }));
    let calls = calls.as_array().unwrap();
    let is = |call: &Value, operation: &str| call["operation"] == operation;
    let started = |call: &&Value| is(call, "StartIncident") && call["result"] == "ok";
    let mut before: Vec<&Value> = Vec::new();
    let mut left = CONNECTIONS;
    for call in calls {
        before.push(call);
        left -= usize::from(started(&call));
        if left == 0 {
            break;
        }
    }
    let count = |operation: &str| before.iter().filter(|call| is(call, operation)).count();
    let starts = before.iter().filter(|call| started(call)).count();
    assert_eq!(starts, CONNECTIONS, "each record was created once");
    let throttled =
        before.iter().filter(|call| call["result"].as_str().is_some_and(|it| it.contains("Rate"))).count();
    let counts = format!(
        "{} calls before the last start: {} starts, {} lists, {} reads, {} notes; {throttled} were throttled",
        before.len(),
        count("StartIncident"),
        count("ListIncidentRecords"),
        count("GetIncidentRecord"),
        count("CreateTimelineEvent"),
    );
    assert!(count("ListIncidentRecords") <= 20, "{counts}");
    assert!(throttled <= CONNECTIONS, "{counts}");
    assert!(before.len() <= 4 * CONNECTIONS, "{counts}");
}
