//! docs/status.schema.json is what the types say, and real answers are what it says.

use serde_json::{Value, json};

use super::*;
use crate::fixture::{schema_errors, schema_of};

const FILE: &str = "docs/status.schema.json";

fn errors(value: &Value) -> String {
    schema_errors(FILE, value)
}

#[test]
fn the_published_schema_is_current() {
    schema_of::<StatusJson>(FILE);
}

#[test]
fn every_answer_of_the_daemon_is_valid() {
    let records = Records::default();
    records.set(
        &crate::domain::names::SinkId::new("ops_center"),
        &fixture::incident().id,
        Some("oi-0123456789ab"),
    );
    let maintained = {
        let mut status = with_a_parent();
        status.vpns[0].tunnels[0].maintenance = crate::domain::maintenance::MaintenanceState::Denied;
        status
    };
    let starting = Status { vpns: Vec::new(), incidents: Vec::new(), ..fixture::status() };
    for status in [fixture::status(), fixture::site(), maintained, starting] {
        let json = StatusJson::of(&status, &problems(), &records, "0.1.0", "raise", fixture::after(31));
        assert_eq!(errors(&serde_json::to_value(&json).unwrap()), "");
    }
}

#[test]
fn an_answer_that_lacks_a_key_or_has_another_type_is_not() {
    let valid = serde_json::to_value(StatusJson::of(
        &fixture::site(),
        &problems(),
        &Records::default(),
        "0.1.0",
        "raise",
        fixture::after(31),
    ))
    .unwrap();
    let changed = |change: fn(&mut Value)| {
        let mut value = valid.clone();
        change(&mut value);
        errors(&value)
    };
    assert_eq!(changed(|value| value["later"] = json!("a key of a later version")), "");
    for change in [
        (|value| value["vpns"][0]["tunnels"][0]["aws"]["age_seconds"] = json!("21 s")) as fn(&mut Value),
        |value| value["ready"] = json!("yes"),
        |value| _ = value["vpns"][0].as_object_mut().unwrap().remove("traffic"),
        |value| _ = value["silences"][0].as_object_mut().unwrap().remove("by_uid"),
        |value| value["incidents"] = json!(null),
        |value| value["problems"][0]["severity"] = json!(1),
    ] {
        assert_ne!(changed(change), "");
    }
}
