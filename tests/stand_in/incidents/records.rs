//! One record: read, updated, related to other items.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::clock::Epoch;
use super::super::refusal::Refusal;
use super::super::sigv4::Caller;
use super::super::state::State;
use super::store::{Incidents, Record, Remembered};
use super::{invalid, not_found};

/// The model's limit on related items counts per list; the service holds it per record.
const RELATED_PER_RECORD: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    arn: String,
    client_token: Option<String>,
    title: Option<String>,
    summary: Option<String>,
    status: Option<String>,
    impact: Option<i64>,
    chat_channel: Option<Value>,
    notification_targets: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Relate {
    incident_record_arn: String,
    client_token: Option<String>,
    related_items_update: ItemUpdate,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum ItemUpdate {
    ItemToAdd(Value),
    ItemToRemove(Value),
}

pub(super) fn get_incident_record(state: &mut State, _: &Caller, input: Value) -> Result<Value, Refusal> {
    let arn = input["arn"].as_str().unwrap_or_default();
    Ok(json!({ "incidentRecord": found(&mut state.incidents, arn)?.full() }))
}

pub(super) fn update_incident_record(
    state: &mut State,
    caller: &Caller,
    input: Value,
) -> Result<Value, Refusal> {
    let parameters = input.clone();
    let input: Update = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    once(state, "UpdateIncidentRecord", input.client_token.as_deref(), parameters, |state, now| {
        let event = state.incidents.next_id();
        let record = found(&mut state.incidents, &input.arn)?;
        let mut after = record.state().clone();
        let before = after.status.clone();
        after.title = input.title.unwrap_or(after.title);
        after.summary = input.summary.or(after.summary);
        after.impact = input.impact.unwrap_or(after.impact);
        after.status = input.status.unwrap_or(after.status);
        after.chat_channel = input.chat_channel.or(after.chat_channel);
        after.notification_targets = input.notification_targets.or(after.notification_targets);
        if after.status != before {
            after.resolved = (after.status == "RESOLVED").then_some(now);
        }
        record.change(after, &caller.principal, now, event);
        Ok(json!({}))
    })
}

pub(super) fn update_related_items(state: &mut State, _: &Caller, input: Value) -> Result<Value, Refusal> {
    let parameters = input.clone();
    let input: Relate = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    once(state, "UpdateRelatedItems", input.client_token.as_deref(), parameters, |state, now| {
        let (id, event) = (state.incidents.next_id(), state.incidents.next_id());
        let record = found(&mut state.incidents, &input.incident_record_arn)?;
        match input.related_items_update {
            ItemUpdate::ItemToAdd(item) => {
                if record.related.len() >= RELATED_PER_RECORD {
                    return invalid("The incident has the most related items that it can have");
                }
                record.related.push(with_generated_id(item, id));
            }
            ItemUpdate::ItemToRemove(identifier) => {
                record.related.retain(|item| item["identifier"] != identifier);
            }
        }
        record.add_event(event, "SSM Incident Related Item Update", "{}".to_owned(), now);
        Ok(json!({}))
    })
}

/// Runs `act`, unless it was run before with the same client token.
pub(super) fn once(
    state: &mut State,
    operation: &'static str,
    token: Option<&str>,
    parameters: Value,
    act: impl FnOnce(&mut State, Epoch) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    let now = state.clock.now();
    let memory = state.switches.token_memory;
    let first = token.and_then(|token| state.incidents.remembered(operation, token, now, memory));
    if let Some(first) = first.filter(|first| first.parameters == parameters) {
        return Ok(first.answer.clone());
    }
    let answer = act(state, now)?;
    if let Some(token) = token {
        let first = Remembered { at: now, parameters, answer: answer.clone() };
        state.incidents.remember(operation, token, first);
    }
    Ok(answer)
}

pub(super) fn found<'a>(incidents: &'a mut Incidents, arn: &str) -> Result<&'a mut Record, Refusal> {
    incidents.record(arn).ok_or_else(|| not_found("INCIDENT_RECORD", arn))
}

/// A related item as stored, with an id of its own: 32 upper-case hexadecimal digits.
pub(super) fn with_generated_id(mut item: Value, id: String) -> Value {
    let kind = item["identifier"]["type"].as_str().unwrap_or("OTHER");
    let digits = id.replace('-', "").to_ascii_uppercase();
    item["generatedId"] = format!("related-item/{kind}/{digits}").into();
    item
}
