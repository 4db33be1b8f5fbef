//! `StartIncident`: idempotent by client token, merged by dedupe string, each as the switches say.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::clock::Epoch;
use super::super::refusal::{Coded, Refusal};
use super::super::settings::{KnownToken, ResponsePlan};
use super::super::sigv4::Caller;
use super::super::state::State;
use super::records::with_generated_id;
use super::store::{Record, RecordState, Remembered};
use super::{invalid, plans};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    response_plan_arn: String,
    client_token: Option<String>,
    title: Option<String>,
    impact: Option<i64>,
    #[serde(default)]
    related_items: Vec<Value>,
    trigger_details: Option<Trigger>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trigger {
    source: String,
    trigger_arn: Option<String>,
    raw_data: Option<String>,
}

/// The source of a record that was created without a trigger.
const NO_TRIGGER: &str = "aws.ssm-incidents.custom";

pub(super) fn start_incident(state: &mut State, caller: &Caller, input: Value) -> Result<Value, Refusal> {
    let parameters = input.clone();
    let input: Input = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    let now = state.clock.now();
    if input.trigger_details.as_ref().is_some_and(|trigger| trigger.source.starts_with("aws.")) {
        return invalid("A custom source must not begin with 'aws.'");
    }
    let plan = plans::known(state, &input.response_plan_arn)?.clone();
    let memory = state.switches.token_memory;
    let token = input.client_token.as_deref();
    let first = token.and_then(|token| state.incidents.remembered("StartIncident", token, now, memory));
    if let Some(first) = first {
        let same = first.parameters == parameters;
        match (same, state.switches.known_token) {
            (true, _) | (false, KnownToken::OldArn) => return Ok(first.answer.clone()),
            (false, KnownToken::Conflict) => return Err(conflict(&first.answer)),
            (false, KnownToken::NewRecord) => {}
        }
    }
    let arn = match merged_into(state, &plan) {
        Some(arn) => arn,
        None => create(state, caller, &plan, &input, now),
    };
    let answer = json!({ "incidentRecordArn": arn });
    if let Some(token) = token {
        let first = Remembered { at: now, parameters, answer: answer.clone() };
        state.incidents.remember("StartIncident", token, first);
    }
    Ok(answer)
}

fn conflict(answer: &Value) -> Refusal {
    let name = "ConflictException";
    Coded::new(409, name, name, "The client token was used before, with other parameters")
        .with("resourceType", "INCIDENT_RECORD")
        .with("resourceIdentifier", answer["incidentRecordArn"].clone())
        .into()
}

fn merged_into(state: &State, plan: &ResponsePlan) -> Option<String> {
    let dedupe = plan.dedupe_string.as_deref().filter(|_| state.switches.merge_by_dedupe_string)?;
    let same =
        state.incidents.records.iter().find(|record| record.is_open() && record.dedupe_string == dedupe)?;
    Some(same.arn.clone())
}

fn create(state: &mut State, caller: &Caller, plan: &ResponsePlan, input: &Input, now: Epoch) -> String {
    let trigger = input.trigger_details.as_ref();
    let mut source = json!({
        "createdBy": caller.principal,
        "source": trigger.map_or(NO_TRIGGER, |trigger| trigger.source.as_str()),
    });
    if let Some(arn) = trigger.and_then(|trigger| trigger.trigger_arn.as_deref()) {
        source["resourceArn"] = arn.into();
    }
    let title = input.title.clone().unwrap_or_else(|| plan.title.clone());
    let impact = input.impact.unwrap_or_else(|| i64::from(plan.impact));
    let opened = opened(title, impact, &caller.principal, now);
    let record = new_record(state, plan, source, opened, now);
    record.raw_data = trigger.and_then(|trigger| trigger.raw_data.clone());
    let arn = record.arn.clone();
    for item in &input.related_items {
        let item = with_generated_id(item.clone(), state.incidents.next_id());
        if let Some(record) = state.incidents.record(&arn) {
            record.related.push(item);
        }
    }
    arn
}

fn opened(title: String, impact: i64, by: &str, now: Epoch) -> RecordState {
    RecordState {
        title,
        summary: None,
        status: "OPEN".to_owned(),
        impact,
        resolved: None,
        modified: now,
        modified_by: by.to_owned(),
        chat_channel: None,
        notification_targets: None,
    }
}

fn new_record<'a>(
    state: &'a mut State,
    plan: &ResponsePlan,
    source: Value,
    opened: RecordState,
    now: Epoch,
) -> &'a mut Record {
    let incidents = &mut state.incidents;
    let (id, event) = (incidents.next_id(), incidents.next_id());
    let name = plans::name(&plan.arn);
    let arn = format!("arn:aws:ssm-incidents::{}:incident-record/{name}/{id}", state.settings.account);
    let dedupe = plan.dedupe_string.clone().unwrap_or_default();
    let mut record = Record::create(arn, plan.arn.clone(), dedupe, source, opened);
    record.add_event(event, "SSM Incident Trigger", "\"Incident Started\"".to_owned(), now);
    incidents.records.push(record);
    let last = incidents.records.len() - 1;
    &mut incidents.records[last]
}

/// What CloudWatch does when an alarm with a response plan as its action goes off: creates an incident, unless one that
/// this alarm created is still open. Returns the ARN of either.
pub(crate) fn start_by_alarm(state: &mut State, plan_arn: &str, alarm_arn: &str) -> Result<String, String> {
    let plan = plans::known(state, plan_arn).map_err(|_| format!("no response plan {plan_arn}"))?.clone();
    let of_this_alarm = |record: &&Record| record.is_open() && record.source["resourceArn"] == *alarm_arn;
    let open = state.incidents.records.iter().find(of_this_alarm).map(|record| record.arn.clone());
    if let Some(arn) = open.or_else(|| merged_into(state, &plan)) {
        return Ok(arn);
    }
    let now = state.clock.now();
    let role = "aws-service-role/incidents.alarms.cloudwatch.amazonaws.com/AWSServiceRoleForCloudWatchAlarms";
    let by = format!("arn:aws:iam::{}:role/{role}", state.settings.account);
    let source = json!({
        "createdBy": by, "invokedBy": "cloudwatch.amazonaws.com",
        "source": "aws.cloudwatch", "resourceArn": alarm_arn,
    });
    let opened = opened(plan.title.clone(), i64::from(plan.impact), &by, now);
    Ok(new_record(state, &plan, source, opened, now).arn.clone())
}
