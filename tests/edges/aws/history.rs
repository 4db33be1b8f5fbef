//! CloudWatch's history of a time in which it was not polled.

use std::time::Duration;

use bothends::domain::event::Event;
use bothends::domain::names::{SourceKind, VpnId};
use bothends::domain::request::{AwsRequest, HistoryRequest};
use serde_json::json;

use super::{DEADLINE, Polling, REGION, TUNNELS, VPN, connections, control, fault, source, stand_in};

async fn look_back(polling: &mut Polling, minutes: u64, vpn: &str) -> Event {
    let now = polling.answer().await.date;
    let from = now - Duration::from_secs(60 * minutes);
    let request = HistoryRequest { source: polling.source.clone(), vpn: VpnId::new(vpn), from, to: now };
    polling.requests.send(AwsRequest::History(request)).await.unwrap();
    tokio::time::timeout(DEADLINE, polling.events.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn every_minute_of_both_tunnels_is_returned() {
    let aws = stand_in();
    control(&aws, json!({ "advance_clock": { "seconds": 100.0 } }));
    let mut polling = Polling::start(connections(&aws), source(SourceKind::CloudWatch)).await;
    let event = look_back(&mut polling, 60, VPN).await;
    let Event::HistoryAnswered(history) = event else { panic!("{event:?}") };
    assert_eq!(history.points.len(), 2, "in {REGION}");
    for ((tunnel, points), outside) in history.points.iter().zip(TUNNELS) {
        assert_eq!(tunnel.outside_ip.to_string(), outside);
        assert!(points.len() > 30, "{} minutes of an hour", points.len());
        assert!(points.iter().all(|point| point.value == 1.0 && point.stamp < history.date));
    }
    assert_eq!(polling.problem(), None);
}

#[tokio::test]
async fn an_unmonitored_connection_has_no_history_and_a_rejection_is_reported() {
    let aws = stand_in();
    let mut polling = Polling::start(connections(&aws), source(SourceKind::CloudWatch)).await;
    polling.answer().await;
    fault(&aws, "GetMetricData", json!("denied"));
    let now = bothends::clock::wall();
    let from = now - Duration::from_secs(600);
    let request = HistoryRequest { source: polling.source.clone(), vpn: VpnId::new(VPN), from, to: now };
    polling.requests.send(AwsRequest::History(request)).await.unwrap();
    let event = tokio::time::timeout(DEADLINE, polling.events.recv()).await.unwrap().unwrap();
    assert_eq!(event, Event::HistoryRefused { vpn: VpnId::new(VPN) });
    assert!(polling.problem().unwrap().text.contains("GetMetricData"));
}
