//! What CloudWatch and EC2 show of a tunnel: its real state, with a lag, or an override.

use serde_json::{Value, json};

use super::super::StandIn;
use super::raw::Raw;
use super::{OTHER_TUNNEL, TUNNEL, VPN, control, now, started, switch};

/// A stand-in with a frozen clock, five seconds into a minute; and that minute's start.
fn frozen() -> (StandIn, f64) {
    let stand_in = started();
    control(&stand_in, json!({ "hold_clock": { "still": true } }));
    let minute = (now(&stand_in) / 60.0).floor() * 60.0;
    let forward = minute + 65.0 - now(&stand_in);
    control(&stand_in, json!({ "advance_clock": { "seconds": forward } }));
    (stand_in, minute + 60.0)
}

fn set(stand_in: &StandIn, up: bool, at: f64) {
    control(stand_in, json!({ "set_tunnel": { "outside_ip": TUNNEL, "up": up, "at": at } }));
}

fn view(stand_in: &StandIn, cloudwatch: Value, ec2: Value) {
    control(stand_in, json!({ "set_view": { "outside_ip": TUNNEL, "cloudwatch": cloudwatch, "ec2": ec2 } }));
}

/// TunnelState of the last three minutes, oldest first: (timestamps, values).
fn state_metric(stand_in: &StandIn, dimensions: Value, stat: &str) -> (Vec<f64>, Vec<f64>) {
    metric(stand_in, "TunnelState", dimensions, stat)
}

fn metric(stand_in: &StandIn, name: &str, dimensions: Value, stat: &str) -> (Vec<f64>, Vec<f64>) {
    let metric = json!({ "Namespace": "AWS/VPN", "MetricName": name, "Dimensions": dimensions });
    let stat = json!({ "Metric": metric, "Period": 60, "Stat": stat });
    let now = now(stand_in);
    let input = json!({
        "MetricDataQueries": [{ "Id": "a", "MetricStat": stat }],
        "StartTime": { "$time": now - 180.0 },
        "EndTime": { "$time": now },
        "ScanBy": "TimestampAscending",
    });
    let answer = Raw::cloudwatch("GetMetricData", &input).send(stand_in).cbor();
    let list = |name: &str| {
        let list = answer["MetricDataResults"][0][name].as_array().unwrap();
        list.iter().map(|number| number.as_f64().unwrap()).collect()
    };
    (list("Timestamps"), list("Values"))
}

fn of_tunnel() -> Value {
    json!([{ "Name": "VpnId", "Value": VPN }, { "Name": "TunnelIpAddress", "Value": TUNNEL }])
}

/// Status and StatusMessage of the first tunnel, as EC2 shows them.
fn telemetry(stand_in: &StandIn) -> Option<(String, String)> {
    let text = Raw::ec2("").send(stand_in).text();
    let items = text.split("<vgwTelemetry>").nth(1)?;
    let item = items.split("<item>").find(|item| item.contains(TUNNEL))?;
    let field = |name: &str| Some(item.split(name).nth(1)?.trim_matches(['<', '>', '/']).to_owned());
    Some((field("status>")?, field("statusMessage>")?))
}

#[test]
fn a_minute_is_the_fraction_of_it_that_the_tunnel_was_up() {
    let (stand_in, minute) = frozen();
    set(&stand_in, false, minute - 90.0);
    set(&stand_in, true, minute - 15.0);
    let (times, values) = state_metric(&stand_in, of_tunnel(), "Average");
    assert_eq!(times, [minute - 180.0, minute - 120.0, minute - 60.0]);
    assert_eq!(values, [1.0, 0.5, 0.25]);
}

#[test]
fn the_current_minute_appears_only_if_switched_on() {
    let (stand_in, minute) = frozen();
    set(&stand_in, false, minute);
    assert_eq!(state_metric(&stand_in, of_tunnel(), "Average").1, [1.0, 1.0, 1.0]);
    switch(&stand_in, json!({ "partial_minutes": true }));
    let (times, values) = state_metric(&stand_in, of_tunnel(), "Average");
    assert_eq!((times[3], values[3]), (minute, 0.0));
}

#[test]
fn a_metric_lag_hides_the_newest_minutes() {
    let (stand_in, minute) = frozen();
    switch(&stand_in, json!({ "metric_lag": 60.0 }));
    assert_eq!(state_metric(&stand_in, of_tunnel(), "Average").0, [minute - 180.0, minute - 120.0]);
}

#[test]
fn a_down_tunnel_has_no_datapoints_only_if_switched_on() {
    let (stand_in, minute) = frozen();
    set(&stand_in, false, minute - 90.0);
    assert_eq!(state_metric(&stand_in, of_tunnel(), "Average").1, [1.0, 0.5, 0.0]);
    switch(&stand_in, json!({ "silent_while_down": true }));
    assert_eq!(state_metric(&stand_in, of_tunnel(), "Average").1, [1.0, 0.5]);
}

#[test]
fn the_connection_alone_is_the_aggregate_of_its_tunnels() {
    let (stand_in, minute) = frozen();
    set(&stand_in, false, minute - 60.0);
    let of_connection = json!([{ "Name": "VpnId", "Value": VPN }]);
    assert_eq!(state_metric(&stand_in, of_connection.clone(), "Minimum").1, [1.0, 1.0, 0.0]);
    assert_eq!(state_metric(&stand_in, of_connection.clone(), "Maximum").1, [1.0, 1.0, 1.0]);
    assert_eq!(state_metric(&stand_in, of_connection, "Average").1, [1.0, 1.0, 0.5]);
    let of_other = json!([{ "Name": "TunnelIpAddress", "Value": OTHER_TUNNEL }]);
    assert_eq!(state_metric(&stand_in, of_other, "Average").1, [1.0, 1.0, 1.0]);
}

#[test]
fn an_unknown_metric_has_no_data_and_is_no_error() {
    let (stand_in, _) = frozen();
    let of_nobody = json!([{ "Name": "VpnId", "Value": "vpn-00000000" }]);
    let of_more = json!([{ "Name": "VpnId", "Value": VPN }, { "Name": "Site", "Value": "x" }]);
    for dimensions in [of_nobody, of_more, json!([])] {
        assert_eq!(state_metric(&stand_in, dimensions, "Average"), (vec![], vec![]));
    }
}

#[test]
fn cloudwatch_can_differ_from_the_truth_and_from_ec2() {
    let (stand_in, minute) = frozen();
    view(&stand_in, json!({ "value": 0.5 }), json!("follow"));
    assert_eq!(state_metric(&stand_in, of_tunnel(), "Average").1, [0.5, 0.5, 0.5]);
    view(&stand_in, json!("silent"), json!("follow"));
    assert!(state_metric(&stand_in, of_tunnel(), "Average").1.is_empty());
    view(&stand_in, json!({ "future": 0.0 }), json!("follow"));
    assert_eq!(state_metric(&stand_in, of_tunnel(), "Average"), (vec![minute + 3600.0], vec![0.0]));
    view(&stand_in, json!("garbage"), json!("follow"));
    let (times, values) = state_metric(&stand_in, of_tunnel(), "Average");
    assert_ne!(times.len(), values.len());
    assert_eq!(telemetry(&stand_in).unwrap().0, "UP");
    view(&stand_in, json!("follow"), json!("follow"));
    assert_eq!(state_metric(&stand_in, of_tunnel(), "Average").1, [1.0, 1.0, 1.0]);
}

#[test]
fn ec2_shows_the_state_with_its_lag() {
    let (stand_in, _) = frozen();
    switch(&stand_in, json!({ "ec2_lag": 60.0 }));
    set(&stand_in, false, now(&stand_in));
    assert_eq!(telemetry(&stand_in), Some(("UP".to_owned(), "1 BGP ROUTES".to_owned())));
    control(&stand_in, json!({ "advance_clock": { "seconds": 61.0 } }));
    assert_eq!(telemetry(&stand_in), Some(("DOWN".to_owned(), "IPSEC IS DOWN".to_owned())));
}

#[test]
fn ec2_and_its_status_message_can_be_overridden() {
    let (stand_in, _) = frozen();
    let fixed = json!({ "fixed": { "status": "DOWN", "message": "IPSEC IS UP" } });
    view(&stand_in, json!("follow"), fixed);
    assert_eq!(telemetry(&stand_in), Some(("DOWN".to_owned(), "IPSEC IS UP".to_owned())));
    assert_eq!(state_metric(&stand_in, of_tunnel(), "Average").1, [1.0, 1.0, 1.0]);
    view(&stand_in, json!("follow"), json!("absent"));
    assert_eq!(telemetry(&stand_in), None);
}

#[test]
fn repeating_a_state_is_no_change() {
    let (stand_in, minute) = frozen();
    set(&stand_in, false, minute - 90.0);
    set(&stand_in, false, minute - 30.0);
    let shown = control(&stand_in, json!({ "tunnels": {} }));
    assert_eq!(shown[0]["tunnels"][0]["real"]["at"], minute - 90.0);
}

#[test]
fn tunnel_states_are_listed_and_found_under_the_switchs_dimensions() {
    let (stand_in, _) = frozen();
    let named = |names: &[(&str, &str)]| -> Value {
        names.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect()
    };
    let (vpn, ip, other) = (("VpnId", VPN), ("TunnelIpAddress", TUNNEL), ("Category", "VPN"));
    let list = |filter: Value| {
        let input = json!({ "Namespace": "AWS/VPN", "MetricName": "TunnelState", "Dimensions": filter });
        Raw::cloudwatch("ListMetrics", &input).send(&stand_in).cbor()["Metrics"].clone()
    };
    let sorted = |mut names: Vec<(&'static str, &'static str)>| {
        names.sort_unstable();
        named(&names)
    };
    for (dimensions, there, empty) in [
        ("any", vec![vpn, ip], vec![vpn, ip, other]),
        ("address_alone", vec![ip], vec![vpn, ip]),
        ("others", vec![vpn, ip, other], vec![vpn, ip]),
    ] {
        switch(&stand_in, json!({ "tunnel_dimensions": dimensions }));
        let listed = list(named(&[ip]));
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
        assert_eq!(listed[0]["Dimensions"], sorted(there.clone()), "{dimensions}");
        let by_vpn = list(named(&[vpn])).as_array().unwrap().len();
        assert_eq!(by_vpn, if there.contains(&vpn) { 2 } else { 0 }, "{dimensions}");
        assert!(!state_metric(&stand_in, named(&there), "Average").0.is_empty(), "{dimensions}");
        assert_eq!(state_metric(&stand_in, named(&empty), "Average").0, [] as [f64; 0], "{dimensions}");
    }
    assert_eq!(list(named(&[("VpnId", "vpn-00000000000000000")])), json!([]));
    switch(&stand_in, json!({ "tunnel_dimensions": "no_aggregate" }));
    assert!(!state_metric(&stand_in, named(&[ip]), "Average").0.is_empty());
    assert_eq!(state_metric(&stand_in, named(&[vpn]), "Average").0, [] as [f64; 0]);
}

#[test]
fn the_metrics_are_listed_in_pages() {
    let (stand_in, _) = frozen();
    switch(&stand_in, json!({ "metrics_per_page": 1 }));
    let mut input = json!({
        "Namespace": "AWS/VPN", "MetricName": "TunnelState", "Dimensions": [{ "Name": "VpnId", "Value": VPN }],
    });
    let first = Raw::cloudwatch("ListMetrics", &input).send(&stand_in).cbor();
    input["NextToken"] = first["NextToken"].clone();
    let second = Raw::cloudwatch("ListMetrics", &input).send(&stand_in).cbor();
    assert_eq!(
        (first["Metrics"].as_array().unwrap().len(), second["Metrics"].as_array().unwrap().len()),
        (1, 1)
    );
    assert_ne!(first["Metrics"], second["Metrics"]);
    assert_eq!(second.get("NextToken"), None);
}

#[test]
fn bytes_are_sums_per_minute_in_each_direction_from_the_minute_on_in_which_they_are_set() {
    let (stand_in, minute) = frozen();
    let sums = |name: &str| metric(&stand_in, name, of_tunnel(), "Sum");
    let idle = (vec![minute - 180.0, minute - 120.0, minute - 60.0], vec![1200.0; 3]);
    assert_eq!((sums("TunnelDataIn"), sums("TunnelDataOut")), (idle.clone(), idle));
    control(&stand_in, json!({ "set_bytes": { "outside_ip": TUNNEL, "data_in": 0.0 } }));
    control(&stand_in, json!({ "advance_clock": { "seconds": 120.0 } }));
    let stamps = vec![minute - 60.0, minute, minute + 60.0];
    assert_eq!(sums("TunnelDataIn"), (stamps, vec![1200.0, 0.0, 0.0]));
    assert_eq!(sums("TunnelDataOut"), (vec![minute - 60.0], vec![1200.0]));
    let both = metric(&stand_in, "TunnelDataOut", json!([{ "Name": "VpnId", "Value": VPN }]), "Sum");
    assert_eq!(both.1, [2400.0, 1200.0, 1200.0]);
}
