//! Timeline events of a record.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::clock::Epoch;
use super::super::refusal::Refusal;
use super::super::sigv4::Caller;
use super::super::state::State;
use super::records::{found, once};
use super::store::Event;
use super::{invalid, not_found};

/// The types that a caller may write; everything else in a timeline is AWS's.
const EVENT_TYPES: [&str; 2] = ["Custom Event", "Note"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    incident_record_arn: String,
    client_token: Option<String>,
    event_time: Epoch,
    event_type: String,
    event_data: String,
    #[serde(default)]
    event_references: Vec<Value>,
}

pub(super) fn create_timeline_event(state: &mut State, _: &Caller, input: Value) -> Result<Value, Refusal> {
    let parameters = input.clone();
    let input: Create = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    if !EVENT_TYPES.contains(&input.event_type.as_str()) {
        return invalid("eventType must be 'Custom Event' or 'Note'");
    }
    once(state, "CreateTimelineEvent", input.client_token.as_deref(), parameters, |state, now| {
        let id = state.incidents.next_id();
        let record = found(&mut state.incidents, &input.incident_record_arn)?;
        record.timeline.push(Event {
            id: id.clone(),
            at: input.event_time,
            updated: now,
            kind: input.event_type,
            data: input.event_data,
            references: input.event_references.into(),
        });
        Ok(json!({ "eventId": id, "incidentRecordArn": input.incident_record_arn }))
    })
}

pub(super) fn get_timeline_event(state: &mut State, _: &Caller, input: Value) -> Result<Value, Refusal> {
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    let record = found(&mut state.incidents, text("incidentRecordArn"))?;
    let event = record.timeline.iter().find(|event| event.id == text("eventId"));
    let event = event.ok_or_else(|| not_found("TIMELINE_EVENT", text("eventId")))?;
    Ok(json!({ "event": event.full(&record.arn) }))
}
