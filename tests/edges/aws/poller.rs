//! AWS's evidence on the tunnels, as the core gets it.

use bothends::domain::event::{Event, FoundUnder, Reading, TelemetryStatus, TunnelData};
use bothends::domain::maintenance::MaintenanceState;
use bothends::domain::names::SourceKind;
use bothends::domain::time::Stamp;
use bothends::health::{Code, Component};
use serde_json::json;

use super::{
    DEADLINE, NO_VPN, OTHER_TUNNEL, OTHER_VPN, Polling, ROLE, TUNNELS, VPN, connections, control, fault,
    plan, received, source, stand_in, tunnel,
};

fn state(reading: &Reading) -> (Stamp, f64) {
    let Reading::TunnelState(Some(datapoint)) = reading else { panic!("{reading:?} is not a datapoint") };
    (datapoint.stamp, datapoint.value)
}

fn status(reading: &Reading) -> (TelemetryStatus, String) {
    let Reading::Telemetry(telemetry) = reading else { panic!("{reading:?} is not telemetry") };
    (telemetry.status, telemetry.message.to_string())
}

#[tokio::test]
async fn cloudwatch_gives_each_tunnels_newest_state_by_its_own_clock() {
    let aws = stand_in();
    control(&aws, json!({ "set_view": { "outside_ip": TUNNELS[1], "cloudwatch": { "value": 0.0 } } }));
    let vpns: [(&str, &[&str]); 2] = [(VPN, &TUNNELS), (OTHER_VPN, &[OTHER_TUNNEL])];
    let mut polling = Polling::watching(connections(&aws), source(SourceKind::CloudWatch), &vpns).await;
    let answer = polling.answer().await;
    let asked: Vec<_> = answer.readings.iter().map(|(tunnel, _)| tunnel.clone()).collect();
    let watched = [tunnel(VPN, TUNNELS[0]), tunnel(VPN, TUNNELS[1]), tunnel(OTHER_VPN, OTHER_TUNNEL)];
    assert_eq!(asked, watched);
    let values: Vec<f64> = answer.readings.iter().map(|(_, reading)| state(reading).1).collect();
    assert_eq!(values, [1.0, 0.0, 1.0]);
    for (_, reading) in &answer.readings {
        let age = answer.date.since(state(reading).0).as_secs();
        assert!((60..=180).contains(&age), "a minute that ended within the last two began {age} s ago");
    }
    assert_eq!(received(&aws, "GetMetricData").len(), 1);
    assert_eq!(polling.problem(), None);
}

#[tokio::test]
async fn a_missing_datapoint_a_fraction_and_a_future_stamp_are_passed_on_unchanged() {
    let aws = stand_in();
    control(&aws, json!({ "set_view": { "outside_ip": TUNNELS[0], "cloudwatch": "silent" } }));
    control(&aws, json!({ "set_view": { "outside_ip": TUNNELS[1], "cloudwatch": { "value": 0.5 } } }));
    let mut polling = Polling::start(connections(&aws), source(SourceKind::CloudWatch)).await;
    let readings = polling.readings().await;
    assert_eq!(readings[0], Reading::TunnelState(None));
    assert_eq!(state(&readings[1]).1, 0.5);
}

#[tokio::test]
async fn data_under_undocumented_dimensions_is_found_and_used() {
    for (dimensions, under, denied) in [
        ("address_alone", FoundUnder::AddressAlone, false),
        ("address_alone", FoundUnder::AddressAlone, true),
        ("others", FoundUnder::Others, false),
    ] {
        let aws = stand_in();
        control(&aws, json!({ "set_switches": { "switches": { "tunnel_dimensions": dimensions } } }));
        control(&aws, json!({ "set_view": { "outside_ip": TUNNELS[1], "cloudwatch": { "value": 0.0 } } }));
        if denied {
            fault(&aws, "ListMetrics", json!("denied"));
        }
        let mut polling = Polling::start(connections(&aws), source(SourceKind::CloudWatch)).await;
        for round in 1..=3 {
            let readings = polling.readings().await;
            for (reading, value) in readings.iter().zip([1.0, 0.0]) {
                let Reading::TunnelState(Some(point)) = reading else {
                    panic!("{reading:?} of {dimensions}")
                };
                assert_eq!((point.value, point.under), (value, under), "round {round} of {dimensions}");
            }
        }
        assert_eq!(received(&aws, "GetMetricData").len(), 4, "the dimensions found are used from then on");
        assert_eq!(received(&aws, "ListMetrics").len(), 1, "it is called once");
        assert_eq!(polling.problem(), None);
    }
}

#[tokio::test]
async fn a_wrong_id_with_correct_tunnel_addresses_is_a_problem() {
    let (aws, wrong) = (stand_in(), "vpn-00000000000000bad");
    let mut polling =
        Polling::watching(connections(&aws), source(SourceKind::CloudWatch), &[(wrong, &TUNNELS)]).await;
    for reading in polling.readings().await {
        let Reading::TunnelState(Some(point)) = reading else { panic!("{reading:?}") };
        assert_eq!((point.value, point.under), (1.0, FoundUnder::AddressAlone));
    }
    let problem = polling.problem().unwrap();
    assert_eq!(problem.code, Code::ConnectionUnconfirmed);
    assert!(problem.text.contains(TUNNELS[0]) && problem.text.contains(TUNNELS[1]), "{}", problem.text);
    assert!(problem.text.contains(&format!("nothing under VpnId {wrong}")), "{}", problem.text);
    polling.readings().await;
    assert_eq!(polling.problem().unwrap(), problem);
    assert_eq!(received(&aws, "GetMetricData").len(), 3, "it is not searched at every poll");
}

#[tokio::test]
async fn the_id_of_one_connection_with_the_addresses_of_another_is_a_problem() {
    for (tunnels, strangers, listed, under_id) in [
        (&[OTHER_TUNNEL][..], format!("{OTHER_TUNNEL} is"), true, TUNNELS.join(", ")),
        (&[TUNNELS[0], OTHER_TUNNEL], format!("{OTHER_TUNNEL} is"), true, TUNNELS.join(", ")),
        (&[TUNNELS[0], OTHER_TUNNEL], format!("{OTHER_TUNNEL} is"), false, TUNNELS[0].to_owned()),
        (&[TUNNELS[1], OTHER_TUNNEL], format!("{OTHER_TUNNEL} is"), false, TUNNELS[1].to_owned()),
    ] {
        let aws = stand_in();
        // The list entries for the connection's tunnels may be on any page.
        control(&aws, json!({ "set_switches": { "switches": { "metrics_per_page": 1 } } }));
        if !listed {
            fault(&aws, "ListMetrics", json!("denied"));
        }
        let mut polling =
            Polling::watching(connections(&aws), source(SourceKind::CloudWatch), &[(VPN, tunnels)]).await;
        for reading in polling.readings().await {
            assert_eq!(state(&reading).1, 1.0);
        }
        let problem = polling.problem().unwrap();
        assert_eq!(problem.code, Code::ConnectionUnconfirmed);
        let expected = format!("TunnelState of {under_id} under VpnId {VPN}, and {strangers} not among them");
        assert!(problem.text.contains(&expected), "{expected} is not in {}", problem.text);
        polling.readings().await;
        assert_eq!(polling.problem().unwrap(), problem);
        assert_eq!(received(&aws, "ListMetrics").len(), if listed { 2 } else { 1 }, "each page once");
    }
    let aws = stand_in();
    let swapped: [(&str, &[&str]); 1] = [(OTHER_VPN, &TUNNELS)];
    let mut polling = Polling::watching(connections(&aws), source(SourceKind::CloudWatch), &swapped).await;
    polling.readings().await;
    let expected =
        format!("{OTHER_TUNNEL} under VpnId {OTHER_VPN}, and {} are not among them", TUNNELS.join(", "));
    let problem = polling.problem().unwrap();
    assert!(problem.text.contains(&expected), "{}", problem.text);
}

#[tokio::test]
async fn without_a_list_an_id_that_has_data_is_no_problem() {
    let aws = stand_in();
    fault(&aws, "ListMetrics", json!("denied"));
    let vpns: [(&str, &[&str]); 1] = [(VPN, &[OTHER_TUNNEL])];
    let mut polling = Polling::watching(connections(&aws), source(SourceKind::CloudWatch), &vpns).await;
    assert_eq!(state(&polling.readings().await[0]).1, 1.0);
    assert_eq!(polling.problem(), None);
}

#[tokio::test]
async fn a_tunnel_without_data_is_searched_for_once_not_at_every_poll() {
    let aws = stand_in();
    for outside in TUNNELS {
        control(&aws, json!({ "set_view": { "outside_ip": outside, "cloudwatch": "silent" } }));
    }
    let mut polling = Polling::start(connections(&aws), source(SourceKind::CloudWatch)).await;
    for _ in 0..3 {
        assert_eq!(polling.readings().await, [Reading::TunnelState(None), Reading::TunnelState(None)]);
    }
    assert_eq!((received(&aws, "GetMetricData").len(), received(&aws, "ListMetrics").len()), (4, 1));
}

#[tokio::test]
async fn an_impossible_value_affects_only_that_tunnel_and_is_reported_once() {
    let aws = stand_in();
    control(&aws, json!({ "set_view": { "outside_ip": TUNNELS[0], "cloudwatch": "garbage" } }));
    let mut polling = Polling::start(connections(&aws), source(SourceKind::CloudWatch)).await;
    let readings = polling.readings().await;
    assert_eq!(readings[0], Reading::Garbage);
    assert_eq!(state(&readings[1]).1, 1.0);
    assert_eq!(polling.outcomes()[0].as_str(), "garbage");
    assert!(polling.problem().unwrap().text.contains(TUNNELS[0]));
    control(&aws, json!({ "set_view": { "outside_ip": TUNNELS[0] } }));
    polling.answer().await;
    assert_eq!(polling.problem(), None);
}

#[tokio::test]
async fn ec2_gives_each_tunnels_status_and_message() {
    let aws = stand_in();
    let down = json!({ "set_tunnel": { "outside_ip": TUNNELS[1], "up": false, "message": "IPSEC IS DOWN" } });
    control(&aws, down);
    let vpns: [(&str, &[&str]); 2] = [(VPN, &TUNNELS), (OTHER_VPN, &[OTHER_TUNNEL])];
    let mut polling = Polling::watching(connections(&aws), source(SourceKind::Ec2), &vpns).await;
    let readings = polling.readings().await;
    assert_eq!(status(&readings[0]).0, TelemetryStatus::Up);
    assert_eq!(status(&readings[1]), (TelemetryStatus::Down, "IPSEC IS DOWN".to_owned()));
    assert_eq!(status(&readings[2]).0, TelemetryStatus::Up);
    assert_eq!(received(&aws, "DescribeVpnConnections").len(), 1);
}

#[tokio::test]
async fn a_connection_unknown_to_ec2_is_gone_and_hides_no_other() {
    let aws = stand_in();
    let vpns: [(&str, &[&str]); 2] = [(NO_VPN, &["203.0.113.77"]), (VPN, &TUNNELS)];
    let mut polling = Polling::watching(connections(&aws), source(SourceKind::Ec2), &vpns).await;
    let readings = polling.readings().await;
    assert_eq!(readings[0], Reading::Gone);
    assert_eq!(status(&readings[1]).0, TelemetryStatus::Up);

    let mut alone = Polling::watching(connections(&aws), source(SourceKind::Ec2), &vpns[..1]).await;
    assert_eq!(alone.readings().await, [Reading::Gone]);
    control(&aws, json!({ "set_connection": { "vpn_id": VPN, "state": "deleting" } }));
    assert_eq!(polling.readings().await, [Reading::Gone, Reading::Gone, Reading::Gone]);
}

#[tokio::test]
async fn an_outside_address_missing_at_ec2_is_unknown_and_reported() {
    let aws = stand_in();
    let vpns: [(&str, &[&str]); 1] = [(VPN, &["203.0.113.99"])];
    let mut polling = Polling::watching(connections(&aws), source(SourceKind::Ec2), &vpns).await;
    assert_eq!(status(&polling.readings().await[0]).0, TelemetryStatus::Other);
    let addresses = Component::Addresses(VPN.to_owned());
    let problems = polling.health.watch().borrow().clone();
    assert!(problems[&addresses].text.contains("EC2 lists 203.0.113.11, 203.0.113.12"), "{problems:?}");
}

#[tokio::test]
async fn changed_aws_addresses_are_a_problem_until_they_match_the_configuration() {
    let aws = stand_in();
    let addresses = Component::Addresses(VPN.to_owned());
    let inside = |outside_ip: &str, inside_cidr: &str| {
        control(&aws, json!({ "set_addresses": { "outside_ip": outside_ip, "inside_cidr": inside_cidr } }));
    };
    let mut polling = Polling::start(connections(&aws), source(SourceKind::Ec2)).await;
    polling.answer().await;
    assert_eq!(polling.problem(), None);

    inside(TUNNELS[1], "169.254.77.0/30");
    polling.answer().await;
    let text = polling.health.watch().borrow()[&addresses].text.clone();
    assert!(
        text.contains("203.0.113.12 is 169.254.77.1, not the configured inside_ip 169.254.11.1"),
        "{text}"
    );

    // For an unreadable document only what is in other fields is compared: the outside addresses.
    control(&aws, json!({ "set_configuration": { "vpn_id": VPN, "configuration": "broken" } }));
    polling.answer().await;
    assert_eq!(polling.problem(), None);
    control(&aws, json!({ "set_configuration": { "vpn_id": VPN, "configuration": "whole" } }));
    polling.answer().await;
    assert!(polling.problem().is_some());
    inside(TUNNELS[1], "169.254.11.0/30");
    polling.answer().await;
    assert_eq!(polling.problem(), None);

    inside(TUNNELS[1], "169.254.77.0/30");
    polling.answer().await;
    let nothing = plan(&source(SourceKind::CloudWatch), &[(VPN, &TUNNELS)]);
    polling.plan.send_replace(nothing);
    let mut health = polling.health.watch();
    tokio::time::timeout(DEADLINE, health.wait_for(|problems| !problems.contains_key(&addresses)))
        .await
        .expect("a connection that is no longer polled has no problem")
        .unwrap();
}

#[tokio::test]
async fn a_wrong_local_clock_costs_one_rejection_and_no_answer() {
    for (kind, operation) in
        [(SourceKind::CloudWatch, "GetMetricData"), (SourceKind::Ec2, "DescribeVpnConnections")]
    {
        for seconds in [1200.0, -1200.0] {
            let aws = stand_in();
            control(&aws, json!({ "advance_clock": { "seconds": seconds } }));
            let mut polling = Polling::start(connections(&aws), source(kind)).await;
            polling.answer().await;
            let first = received(&aws, operation).len();
            polling.answer().await;
            assert_eq!(received(&aws, operation).len(), first + 1, "the clock is learnt once");
            let refused = received(&aws, operation).iter().filter(|call| call["result"] != "ok").count();
            assert_eq!(refused, 1, "{operation} with AWS {seconds} s ahead");
            assert_eq!(polling.problem(), None);
        }
    }
}

/// As at boot, when AWS's first answers come before NTP has synchronised.
#[tokio::test]
async fn a_corrected_local_clock_costs_one_rejection_and_no_answer() {
    for (kind, operation) in
        [(SourceKind::CloudWatch, "GetMetricData"), (SourceKind::Ec2, "DescribeVpnConnections")]
    {
        for seconds in [1200.0, -1200.0] {
            let aws = stand_in();
            let set_clock = |seconds: f64| control(&aws, json!({ "advance_clock": { "seconds": seconds } }));
            set_clock(seconds);
            let mut polling = Polling::start(connections(&aws), source(kind)).await;
            polling.answer().await;
            set_clock(-seconds);
            polling.answer().await;
            let refused = received(&aws, operation).iter().filter(|call| call["result"] != "ok").count();
            assert_eq!(
                refused, 2,
                "{operation}: once by the wrong clock, once by the SDK's correction of it"
            );
        }
    }
}

#[tokio::test]
async fn the_queried_window_is_on_awss_clock() {
    let aws = stand_in();
    // Too little for a rejected signature, and more than the window reaches ahead.
    control(&aws, json!({ "advance_clock": { "seconds": 200.0 } }));
    let mut polling = Polling::start(connections(&aws), source(SourceKind::CloudWatch)).await;
    for _ in 0..2 {
        let answer = polling.answer().await;
        let age = answer.date.since(state(&answer.readings[0].1).0).as_secs();
        assert!((60..=180).contains(&age), "{age} s");
    }
    assert_eq!(received(&aws, "GetMetricData").len(), 3, "the first query is repeated, the second is not");
}

#[tokio::test]
async fn a_role_is_assumed_with_the_sites_name_and_its_expiry_is_known() {
    let aws = stand_in();
    let connections = connections(&aws);
    assert_eq!(connections.credentials_expiry(), None);
    for kind in [SourceKind::CloudWatch, SourceKind::Ec2] {
        let mut source = source(kind);
        source.place.role_arn = Some(ROLE.into());
        Polling::start(connections.clone(), source).await.answer().await;
    }
    for operation in ["GetMetricData", "DescribeVpnConnections"] {
        let principal = received(&aws, operation)[0]["principal"].clone();
        assert_eq!(principal, "arn:aws:sts::123456789012:assumed-role/watcher/bothends-milan-1");
    }
    assert_eq!(received(&aws, "AssumeRole").len(), 1, "both sources share one session");
    let expiry = connections.credentials_expiry().unwrap();
    let left = expiry.since(bothends::clock::wall()).as_secs();
    assert!((3000..=3600).contains(&left), "{left} s");
}

/// The next answer about the maintenance of a tunnel.
async fn maintenance(polling: &mut Polling) -> (String, MaintenanceState) {
    let Event::Maintenance { tunnel, state } = polling.event().await else { panic!("another event") };
    (tunnel.outside_ip.to_string(), state)
}

#[tokio::test]
async fn ec2_is_asked_about_the_maintenance_of_each_tunnel_with_one_call() {
    let aws = stand_in();
    let date = 1_795_341_600.0;
    control(&aws, json!({ "announce_maintenance": { "outside_ip": TUNNELS[1], "applied_after": date } }));
    let mut polling = Polling::start(connections(&aws), source(SourceKind::Ec2)).await;
    let mut answers = [maintenance(&mut polling).await, maintenance(&mut polling).await];
    answers.sort_by(|one, other| one.0.cmp(&other.0));
    for ((address, state), (expected, pending)) in
        answers.iter().zip([(TUNNELS[0], false), (TUNNELS[1], true)])
    {
        let MaintenanceState::Known { maintenance, as_of: _ } = state else { panic!("{state:?}") };
        assert_eq!((address.as_str(), maintenance.pending), (expected, pending));
        let announced = pending.then(|| Stamp::from_millis(1_795_341_600_000));
        assert_eq!((maintenance.announced(), maintenance.last_applied), (announced, None));
    }
    polling.answer().await;
    assert_eq!(received(&aws, "GetVpnTunnelReplacementStatus").len(), 2);
}

#[tokio::test]
async fn a_missing_permission_for_maintenance_is_one_call_and_no_problem() {
    let aws = stand_in();
    fault(&aws, "GetVpnTunnelReplacementStatus", json!("denied"));
    let mut polling = Polling::start(connections(&aws), source(SourceKind::Ec2)).await;
    for address in TUNNELS {
        assert_eq!(maintenance(&mut polling).await, (address.to_owned(), MaintenanceState::Denied));
    }
    assert_eq!(status(&polling.readings().await[0]).0, TelemetryStatus::Up);
    assert_eq!((polling.problem(), polling.outcomes().len()), (None, 1));
    assert_eq!(received(&aws, "GetVpnTunnelReplacementStatus").len(), 1);
}

#[tokio::test]
async fn an_invalid_or_missing_answer_about_maintenance_is_no_answer() {
    for kind in [json!("garbage"), json!("truncated"), json!("close"), json!("internal"), json!("throttle")] {
        let aws = stand_in();
        fault(&aws, "GetVpnTunnelReplacementStatus", kind.clone());
        let mut polling = Polling::start(connections(&aws), source(SourceKind::Ec2)).await;
        while received(&aws, "GetVpnTunnelReplacementStatus").len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(status(&polling.readings().await[0]).0, TelemetryStatus::Up, "{kind}");
        assert_eq!((polling.problem(), polling.maintenance.len()), (None, 0), "{kind}");
    }
}

#[tokio::test]
async fn ec2_gives_the_count_of_accepted_routes() {
    let aws = stand_in();
    control(&aws, json!({ "set_routes": { "outside_ip": TUNNELS[0], "accepted": 3 } }));
    let mut polling = Polling::start(connections(&aws), source(SourceKind::Ec2)).await;
    let Reading::Telemetry(telemetry) = &polling.readings().await[0] else { panic!("it is no telemetry") };
    assert_eq!(telemetry.accepted_routes, Some(3));
}

#[tokio::test]
async fn cloudwatch_is_asked_for_the_bytes_of_tunnels_that_are_called_down_in_the_same_call() {
    let aws = stand_in();
    control(&aws, json!({ "set_bytes": { "outside_ip": TUNNELS[1], "data_out": 99.0 } }));
    control(&aws, json!({ "advance_clock": { "seconds": 60.0 } }));
    let mut polling = Polling::start(connections(&aws), source(SourceKind::CloudWatch)).await;
    assert_eq!(polling.answer().await.data, []);
    let down = tunnel(VPN, TUNNELS[1]);
    let Event::Answered(answer) = polling.ask_about(std::slice::from_ref(&down)).await else {
        panic!("refused")
    };
    assert_eq!(answer.readings.len(), 2);
    let [(of, TunnelData { bytes_in, bytes_out })] = <[_; 1]>::try_from(answer.data).unwrap();
    assert_eq!(of, down);
    let [newest, before] = bytes_out.map(|point| point.unwrap());
    assert_eq!((newest.value, newest.stamp - before.period), (99.0, before.stamp));
    // Only the minutes before have datapoints of this direction.
    assert!(bytes_in.iter().flatten().all(|point| point.value == 1200.0 && point.stamp < newest.stamp));
    let asked = received(&aws, "GetMetricData");
    assert_eq!(asked.len(), 2);
    let queries = asked[1]["parameters"]["MetricDataQueries"].as_array().unwrap().clone();
    let stats = queries.iter().map(|query| query["MetricStat"]["Metric"]["MetricName"].as_str().unwrap());
    assert_eq!(stats.collect::<Vec<_>>(), ["TunnelState", "TunnelState", "TunnelDataIn", "TunnelDataOut"]);
}
