//! Lists, in pages, filtered.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::clock::Epoch;
use super::super::refusal::Refusal;
use super::super::sigv4::Caller;
use super::super::state::State;
use super::invalid;
use super::records::found;

/// The page size if the caller does not specify one.
const PAGE: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    incident_record_arn: Option<String>,
    #[serde(default)]
    filters: Vec<Filter>,
    max_results: Option<usize>,
    next_token: Option<String>,
    sort_order: Option<SortOrder>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum SortOrder {
    Ascending,
    Descending,
}

#[derive(Deserialize)]
struct Filter {
    key: String,
    condition: Condition,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Condition {
    After(Epoch),
    Before(Epoch),
    Equals(Values),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Values {
    StringValues(Vec<String>),
    IntegerValues(Vec<i64>),
}

pub(super) fn list_incident_records(state: &mut State, _: &Caller, input: Value) -> Result<Value, Refusal> {
    let input: List = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    let as_of = state.clock.now() - state.switches.list_lag;
    let records = state.incidents.records.iter().rev();
    let mut shown: Vec<Value> = records.filter_map(|record| record.summary(as_of)).collect();
    for filter in &input.filters {
        let holds = of_a_record(filter)?;
        shown.retain(|summary| holds(summary));
    }
    page(shown, &input, "incidentRecordSummaries")
}

pub(super) fn list_timeline_events(state: &mut State, _: &Caller, input: Value) -> Result<Value, Refusal> {
    let input: List = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    let record = found(&mut state.incidents, input.incident_record_arn.as_deref().unwrap_or_default())?;
    let mut events: Vec<_> = record.timeline.iter().map(|event| event.summary(&record.arn)).collect();
    for filter in &input.filters {
        let holds = of_an_event(filter)?;
        events.retain(|event| holds(event));
    }
    let time = |event: &Value| event["eventTime"].as_f64().unwrap_or_default();
    events.sort_by(|a, b| time(a).total_cmp(&time(b)));
    if input.sort_order == Some(SortOrder::Descending) {
        events.reverse();
    }
    page(events, &input, "eventSummaries")
}

pub(super) fn list_related_items(state: &mut State, _: &Caller, input: Value) -> Result<Value, Refusal> {
    let input: List = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    let record = found(&mut state.incidents, input.incident_record_arn.as_deref().unwrap_or_default())?;
    let items = record.related.clone();
    page(items, &input, "relatedItems")
}

type Holds<'a> = Box<dyn Fn(&Value) -> bool + 'a>;

/// ListIncidentRecords filters on creationTime (after, before), impact, status and createdBy (equals).
fn of_a_record(filter: &Filter) -> Result<Holds<'_>, Refusal> {
    match (filter.key.as_str(), &filter.condition) {
        ("creationTime", condition) => in_time("creationTime", condition),
        ("status", Condition::Equals(Values::StringValues(allowed))) => {
            Ok(Box::new(|record| is_one_of(&record["status"], allowed)))
        }
        ("createdBy", Condition::Equals(Values::StringValues(allowed))) => {
            Ok(Box::new(|record| is_one_of(&record["incidentRecordSource"]["createdBy"], allowed)))
        }
        ("impact", Condition::Equals(Values::IntegerValues(allowed))) => {
            Ok(Box::new(|record| record["impact"].as_i64().is_some_and(|impact| allowed.contains(&impact))))
        }
        (key, _) => invalid(format!("The filter on {key} is not valid")),
    }
}

/// ListTimelineEvents filters on eventTime (after, before), eventType and eventReference (equals).
fn of_an_event(filter: &Filter) -> Result<Holds<'_>, Refusal> {
    match (filter.key.as_str(), &filter.condition) {
        ("eventTime", condition) => in_time("eventTime", condition),
        ("eventType", Condition::Equals(Values::StringValues(allowed))) => {
            Ok(Box::new(|event| is_one_of(&event["eventType"], allowed)))
        }
        (key, _) => invalid(format!("The filter on {key} is not valid")),
    }
}

fn in_time<'a>(member: &'a str, condition: &'a Condition) -> Result<Holds<'a>, Refusal> {
    let time = move |value: &Value| value[member].as_f64().unwrap_or_default();
    match condition {
        Condition::After(limit) => Ok(Box::new(move |value| time(value) > *limit)),
        Condition::Before(limit) => Ok(Box::new(move |value| time(value) < *limit)),
        Condition::Equals(_) => invalid(format!("The filter on {member} is not valid")),
    }
}

fn is_one_of(value: &Value, allowed: &[String]) -> bool {
    value.as_str().is_some_and(|text| allowed.iter().any(|one| one == text))
}

const TOKEN_PREFIX: &str = "entries-given-";

fn page(all: Vec<Value>, input: &List, member: &str) -> Result<Value, Refusal> {
    let given = match &input.next_token {
        None => 0,
        Some(token) => {
            let given = token.strip_prefix(TOKEN_PREFIX).and_then(|digits| digits.parse::<usize>().ok());
            let Some(given) = given else { return invalid("The nextToken is not valid") };
            given
        }
    };
    let most = input.max_results.unwrap_or(PAGE);
    let left = all.len().saturating_sub(given);
    let shown: Vec<_> = all.into_iter().skip(given).take(most).collect();
    let mut output = json!({});
    output[member] = shown.into();
    if left > most {
        output["nextToken"] = format!("{TOKEN_PREFIX}{}", given + most).into();
    }
    Ok(output)
}
