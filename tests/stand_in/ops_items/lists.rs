//! `DescribeOpsItems`: filtered, in pages, with the lists' lag.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::clock;
use super::super::refusal::Refusal;
use super::super::sigv4::Caller;
use super::super::state::State;
use super::invalid;

/// The page size if the caller does not specify one.
const PAGE: usize = 50;
/// Shown only by `GetOpsItem`.
const NOT_LISTED: [&str; 5] = ["Description", "OpsItemArn", "RelatedOpsItems", "Notifications", "Version"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    ops_item_filters: Vec<Filter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    key: String,
    operator: String,
    values: Vec<String>,
}

pub(super) fn describe_ops_items(state: &mut State, caller: &Caller, input: Value) -> Result<Value, Refusal> {
    let input: Describe = serde_json::from_value(input).map_err(|_| Refusal::Internal)?;
    let as_of = state.clock.now() - state.switches.list_lag;
    let here = state.ops_items.items.iter().rev().filter(|item| item.region == caller.region);
    let mut shown: Vec<&Value> = here.filter_map(|item| item.as_of(as_of)).collect();
    for filter in &input.ops_item_filters {
        known(filter)?;
        shown.retain(|item| holds(filter, item));
    }
    let given = match &input.next_token {
        None => 0,
        Some(token) => match token.strip_prefix("given-").and_then(|digits| digits.parse().ok()) {
            Some(given) => given,
            None => return invalid("The NextToken is not valid"),
        },
    };
    let most = input.max_results.unwrap_or(PAGE);
    let left = shown.len().saturating_sub(given);
    let page: Vec<Value> = shown.into_iter().skip(given).take(most).map(summary).collect();
    let mut answer = json!({ "OpsItemSummaries": page });
    if left > most {
        answer["NextToken"] = format!("given-{}", given + most).into();
    }
    Ok(answer)
}

/// Which operators go with which key, as in the API reference (only for the keys that are used here).
fn known(filter: &Filter) -> Result<(), Refusal> {
    let right = match filter.key.as_str() {
        "Status" | "OperationalData" | "OperationalDataKey" | "OpsItemId" => filter.operator == "Equal",
        "Source" | "Title" => matches!(filter.operator.as_str(), "Equal" | "Contains"),
        "CreatedTime" => matches!(filter.operator.as_str(), "GreaterThan" | "LessThan"),
        _ => false,
    };
    if right {
        Ok(())
    } else {
        invalid(&format!("The filter {} {} is not valid", filter.key, filter.operator))
    }
}

fn holds(filter: &Filter, item: &Value) -> bool {
    filter.values.iter().any(|value| match (filter.key.as_str(), filter.operator.as_str()) {
        ("OperationalData", _) => {
            let pair: Value = serde_json::from_str(value).unwrap_or_default();
            let stored = &item["OperationalData"][pair["key"].as_str().unwrap_or_default()];
            stored["Type"] == "SearchableString" && stored["Value"] == pair["value"]
        }
        ("OperationalDataKey", _) => item["OperationalData"][value]["Type"] == "SearchableString",
        ("CreatedTime", operator) => {
            let (created, limit) =
                (item["CreatedTime"].as_f64().unwrap_or_default(), clock::parse_iso(value));
            limit.is_some_and(|limit| if operator == "LessThan" { created < limit } else { created > limit })
        }
        (key, "Contains") => item[key].as_str().is_some_and(|text| text.contains(value.as_str())),
        (key, _) => item[key] == *value,
    })
}

/// A list shows only the searchable operational data.
fn summary(item: &Value) -> Value {
    let mut summary = item.clone();
    if let Some(members) = summary.as_object_mut() {
        members.retain(|member, _| !NOT_LISTED.contains(&member.as_str()));
    }
    if let Some(data) = summary["OperationalData"].as_object_mut() {
        data.retain(|_, value| value["Type"] == "SearchableString");
    }
    summary
}
