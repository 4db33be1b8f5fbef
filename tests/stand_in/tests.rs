//! The stand-in's own tests: the real SDK works with it, and whatever AWS would reject is rejected.
//!
//! They run in every test crate that includes the stand-in.

mod control;
mod faults;
mod incidents;
mod metrics;
mod raw;
mod sdk;
mod shapes;
mod signing;
mod tunnels;
mod vpn;

use std::net::TcpListener;

use serde_json::{Value, json};

use super::{Command, Settings, StandIn};

const KEY: &str = "AKIASTANDINEXAMPLE01";
const SECRET: &str = "a-secret-that-only-the-stand-in-knows";
const REGION: &str = "eu-west-1";
const OTHER_REGION: &str = "us-east-1";
const VPN: &str = "vpn-0123456789abcdef0";
const TUNNEL: &str = "203.0.113.11";
const OTHER_TUNNEL: &str = "203.0.113.12";
const PLAN: &str = "arn:aws:ssm-incidents::123456789012:response-plan/plain";
const MERGING_PLAN: &str = "arn:aws:ssm-incidents::123456789012:response-plan/folding";
const ROLE: &str = "arn:aws:iam::123456789012:role/watcher";

/// A stand-in with one BGP connection of two tunnels that are up, two response plans and a role.
fn started() -> StandIn {
    let settings: Settings = serde_json::from_value(json!({
        "regions": [REGION, OTHER_REGION],
        "roles": [ROLE],
        "vpns": [{
            "id": VPN,
            "name": "R&D <milan>",
            "tunnels": [
                { "outside_ip": TUNNEL, "inside_cidr": "169.254.10.0/30", "pre_shared_key": "key.of_tunnel.1" },
                { "outside_ip": OTHER_TUNNEL, "inside_cidr": "169.254.11.0/30", "pre_shared_key": "key.of_tunnel.2" },
            ],
        }],
        "response_plans": [
            { "arn": PLAN, "title": "From the plan", "impact": 4 },
            { "arn": MERGING_PLAN, "dedupe_string": "bothends/vpn/outage" },
        ],
    }))
    .unwrap();
    StandIn::start(TcpListener::bind("127.0.0.1:0").unwrap(), settings).unwrap()
}

/// Executes a command given as JSON.
fn control(stand_in: &StandIn, command: Value) -> Value {
    stand_in.control(serde_json::from_value::<Command>(command).unwrap()).unwrap()
}

fn switch(stand_in: &StandIn, switches: Value) {
    control(stand_in, json!({ "set_switches": { "switches": switches } }));
}

fn now(stand_in: &StandIn) -> f64 {
    control(stand_in, json!({ "now": {} })).as_f64().unwrap()
}

/// The requests of one operation that it received.
fn received(stand_in: &StandIn, operation: &str) -> Vec<Value> {
    let received = control(stand_in, json!({ "received": { "operation": operation } }));
    received.as_array().unwrap().clone()
}
