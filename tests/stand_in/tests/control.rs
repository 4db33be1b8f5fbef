//! The control side over HTTP, and a watcher's lines.

use serde_json::{Value, json};

use super::super::StandIn;
use super::super::observation::{Observation, parse};
use super::raw::{Answer, Raw, datum, put};
use super::{OTHER_TUNNEL, TUNNEL, control, now, started};

/// `POST /_stand-in/<command>`; the control side ignores the signature.
fn over_http(stand_in: &StandIn, command: &str, members: &Value) -> Answer {
    let target = format!("/_stand-in/{command}");
    Raw::new("control", "POST", &target, "application/json", members.to_string().into_bytes()).send(stand_in)
}

#[test]
fn commands_work_over_http_as_from_rust() {
    let stand_in = started();
    let answer = over_http(&stand_in, "set_tunnel", &json!({ "outside_ip": TUNNEL, "up": false }));
    assert_eq!(answer.status, 200);
    let shown = over_http(&stand_in, "tunnels", &json!({})).json();
    assert_eq!(shown[0]["tunnels"][0]["real"]["up"], false);
    assert_eq!(shown, control(&stand_in, json!({ "tunnels": {} })));
    assert_eq!(over_http(&stand_in, "switches", &json!({})).json()["known_token"], "old_arn");
}

#[test]
fn an_impossible_command_says_why() {
    let stand_in = started();
    let cases = [
        ("set_tunnels", json!({}), "unknown variant"),
        ("set_tunnel", json!({ "outside_ip": TUNNEL }), "missing field `up`"),
        ("set_tunnel", json!({ "outside_ip": TUNNEL, "up": true, "by": "me" }), "unknown field `by`"),
        ("set_tunnel", json!({ "outside_ip": "203.0.113.99", "up": true }), "no tunnel 203.0.113.99"),
        ("set_connection", json!({ "vpn_id": "vpn-0", "state": "deleted" }), "no connection vpn-0"),
        ("set_switches", json!({ "switches": { "lists_lag": 1 } }), "unknown field `lists_lag`"),
        ("close_incident", json!({ "arn": "x", "by": "y" }), "no incident record x"),
        ("start_by_alarm", json!({ "response_plan": "x", "alarm": "y" }), "no response plan x"),
    ];
    for (command, members, why) in cases {
        let answer = over_http(&stand_in, command, &members);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && error.contains(why), "{command}: {error}");
    }
}

#[test]
fn a_watchers_lines_set_the_known_tunnels() {
    let stand_in = started();
    let lines =
        format!("{TUNNEL} DOWN IPSEC IS DOWN\n# a remark\n{OTHER_TUNNEL} UP\n203.0.113.99 UP\n{TUNNEL}\n");
    assert_eq!(control(&stand_in, json!({ "observe": { "lines": lines } })), 2);
    let shown = control(&stand_in, json!({ "tunnels": {} }));
    let real = &shown[0]["tunnels"][0]["real"];
    assert_eq!((&real["up"], &real["message"]), (&json!(false), &json!("IPSEC IS DOWN")));
    assert_eq!(shown[0]["tunnels"][1]["real"]["up"], true);
}

#[test]
fn a_line_is_an_address_a_state_and_an_optional_message() {
    let seen = |up, message: Option<&str>| {
        Some(Observation { outside_ip: "2001:db8::1".to_owned(), up, message: message.map(str::to_owned) })
    };
    assert_eq!(parse("2001:db8:0::1 UP"), seen(true, None));
    assert_eq!(parse("  2001:db8::1\tDOWN  IPSEC  IS UP "), seen(false, Some("IPSEC IS UP")));
    for line in ["", "2001:db8::1", "2001:db8::1 up", "gateway UP", "UP 2001:db8::1"] {
        assert_eq!(parse(line), None, "{line}");
    }
}

#[test]
fn the_clock_can_be_shifted_frozen_and_released() {
    let stand_in = started();
    control(&stand_in, json!({ "hold_clock": { "still": true } }));
    let held = now(&stand_in);
    control(&stand_in, json!({ "advance_clock": { "seconds": 600.0 } }));
    assert!((now(&stand_in) - held - 600.0).abs() < 1e-3);
    control(&stand_in, json!({ "hold_clock": { "still": false } }));
    assert!(now(&stand_in) - held >= 600.0 - 1e-3);
}

#[test]
fn calls_are_listed_from_a_number_on_without_their_parameters() {
    let stand_in = started();
    put(&[datum()]).send(&stand_in);
    put(&[datum()]).send(&stand_in);
    let all = control(&stand_in, json!({ "calls": {} }));
    assert_eq!(all.as_array().unwrap().len(), 2);
    let second = control(&stand_in, json!({ "calls": { "from": 2 } }));
    assert_eq!(second, json!([all[1]]));
    let Value::Object(call) = &second[0] else { panic!("{second}") };
    assert_eq!(call.keys().collect::<Vec<_>>(), ["at", "number", "operation", "result"]);
    assert_eq!((&call["operation"], &call["result"]), (&json!("PutMetricData"), &json!("ok")));
}

#[test]
fn a_reset_forgets_everything() {
    let stand_in = started();
    put(&[datum()]).send(&stand_in);
    control(&stand_in, json!({ "set_tunnel": { "outside_ip": TUNNEL, "up": false } }));
    control(&stand_in, json!({ "reset": {} }));
    assert_eq!(control(&stand_in, json!({ "received": {} })), json!([]));
    assert_eq!(control(&stand_in, json!({ "metrics": {} })), json!([]));
    assert_eq!(control(&stand_in, json!({ "tunnels": {} }))[0]["tunnels"][0]["real"]["up"], true);
}

#[test]
fn a_dropped_stand_in_no_longer_listens() {
    let stand_in = started();
    let address = stand_in.url().replace("http://", "");
    drop(stand_in);
    assert!(std::net::TcpStream::connect(address).is_err());
}
