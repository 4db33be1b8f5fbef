//! OpsCenter: OpsItems, deduplicated as in its User Guide ("Reducing duplicate OpsItems"): a second item with the
//! source and the deduplication string of one that is open or in progress is rejected, naming that one.

mod lists;

use serde_json::{Map, Value, json};

use super::api::Handler;
use super::clock::Epoch;
use super::refusal::{Coded, Refusal};
use super::sigv4::Caller;
use super::state::State;

pub(super) const OPERATIONS: &[(&str, Handler)] = &[
    ("CreateOpsItem", create_ops_item),
    ("DescribeOpsItems", lists::describe_ops_items),
    ("GetOpsItem", get_ops_item),
    ("UpdateOpsItem", update_ops_item),
];

/// General Reference, "OpsCenter quotas".
const DEDUP_MAX: usize = 64;
const VALUE_MAX: usize = 20 * 1024;
const RELATED_MAX: usize = 10;

#[derive(Default)]
pub(super) struct OpsItems {
    items: Vec<Item>,
}

/// One item, with all its past states: lists may lag.
struct Item {
    region: String,
    states: Vec<(Epoch, Value)>,
}

impl Item {
    fn latest(&self) -> &Value {
        &self.states[self.states.len() - 1].1
    }

    fn as_of(&self, at: Epoch) -> Option<&Value> {
        self.states.iter().rev().find(|(since, _)| *since <= at).map(|(_, state)| state)
    }

    fn is_open(&self) -> bool {
        matches!(self.latest()["Status"].as_str(), Some("Open" | "InProgress"))
    }

    fn change(&mut self, now: Epoch, by: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.latest().clone();
        change(&mut state);
        state["LastModifiedBy"] = by.into();
        state["LastModifiedTime"] = now.into();
        self.states.push((now, state));
    }
}

impl OpsItems {
    /// Everything, oldest first.
    pub(super) fn listed(&self) -> Value {
        self.items.iter().map(|item| item.latest().clone()).collect()
    }

    /// A person's change by hand; returns whether the item exists.
    pub(super) fn set(&mut self, id: &str, status: &str, now: Epoch) -> bool {
        let Some(item) = self.items.iter_mut().find(|item| item.latest()["OpsItemId"] == id) else {
            return false;
        };
        item.change(now, "arn:aws:iam::123456789012:user/anna", |state| state["Status"] = status.into());
        true
    }

    fn item(&mut self, region: &str, input: &Value) -> Result<&mut Item, Refusal> {
        let id = input["OpsItemId"].as_str().unwrap_or_default();
        let found = self.items.iter_mut().find(|it| it.region == region && it.latest()["OpsItemId"] == id);
        found.ok_or_else(|| refused("OpsItemNotFoundException", format!("OpsItem {id} was not found")))
    }
}

fn create_ops_item(state: &mut State, caller: &Caller, input: Value) -> Result<Value, Refusal> {
    let now = state.clock.now();
    let source = input["Source"].as_str().unwrap_or_default();
    let lower = source.to_lowercase();
    if ["aws", "amazon", "amzn"].iter().any(|word| lower.contains(word)) {
        return invalid("The source name can't contain aws, amazon or amzn");
    }
    check(&input)?;
    let dedup = dedup(&input)?;
    let same = state.ops_items.items.iter().find(|item| {
        let other = item.latest();
        dedup.is_some()
            && item.region == caller.region
            && item.is_open()
            && other["Source"] == source
            && self::dedup(other).ok().flatten() == dedup
    });
    if let Some(same) = same {
        let id = same.latest()["OpsItemId"].clone();
        let message = format!("An OpsItem with the same deduplication string exists: {id}");
        let name = "OpsItemAlreadyExistsException";
        return Err(Coded::new(400, name, name, message).with("OpsItemId", id).into());
    }
    let id = format!("oi-{:012x}", state.ops_items.items.len() + 1);
    let arn = format!("arn:aws:ssm:{}:{}:opsitem/{id}", caller.region, state.settings.account);
    let mut item = input;
    let given = json!({
        "OpsItemId": id, "OpsItemArn": arn, "Status": "Open", "OpsItemType": "/aws/issue", "Version": "1",
        "CreatedBy": caller.principal, "CreatedTime": now,
        "LastModifiedBy": caller.principal, "LastModifiedTime": now,
    });
    merge(&mut item, &given);
    state.ops_items.items.push(Item { region: caller.region.clone(), states: vec![(now, item)] });
    Ok(json!({ "OpsItemId": id, "OpsItemArn": arn }))
}

fn get_ops_item(state: &mut State, caller: &Caller, input: Value) -> Result<Value, Refusal> {
    Ok(json!({ "OpsItem": state.ops_items.item(&caller.region, &input)?.latest() }))
}

fn update_ops_item(state: &mut State, caller: &Caller, input: Value) -> Result<Value, Refusal> {
    let now = state.clock.now();
    check(&input)?;
    let item = state.ops_items.item(&caller.region, &input)?;
    item.change(now, &caller.principal, |state| {
        for (member, value) in input.as_object().into_iter().flatten() {
            if member == "OperationalData" {
                // Keys are added or edited; the others stay.
                let mut data = state[member].as_object().cloned().unwrap_or_default();
                data.extend(value.as_object().cloned().unwrap_or_default());
                state[member] = data.into();
            } else if member != "OpsItemId" && member != "OpsItemArn" {
                state[member] = value.clone();
            }
        }
    });
    Ok(json!({}))
}

/// Limits on operational data and related items that are not in the model.
fn check(input: &Value) -> Result<(), Refusal> {
    for (key, value) in input["OperationalData"].as_object().unwrap_or(&Map::new()) {
        let documented = ["/aws/dedup", "/aws/resources", "/aws/automations"].contains(&key.as_str());
        let bare = key.trim_start_matches('/').to_lowercase();
        if !documented && ["amazon", "aws", "amzn", "ssm"].iter().any(|word| bare.starts_with(word)) {
            return invalid(&format!("The key {key} of operational data is reserved"));
        }
        let text = value["Value"].as_str().unwrap_or_default();
        if text.len() > VALUE_MAX {
            return invalid(&format!("The value of {key} is longer than 20 KB"));
        }
        if documented && value["Type"] != "SearchableString" {
            return invalid(&format!("{key} must be a SearchableString"));
        }
        if key == "/aws/resources" && !is_resources(text) {
            return invalid("The value of /aws/resources is no list of ARNs");
        }
    }
    if input["RelatedOpsItems"].as_array().is_some_and(|related| related.len() > RELATED_MAX) {
        return invalid("An OpsItem has at most 10 related OpsItems");
    }
    Ok(())
}

fn is_resources(text: &str) -> bool {
    let list: Value = serde_json::from_str(text).unwrap_or_default();
    list.as_array().is_some_and(|list| {
        list.iter().all(|one| {
            let account = one["arn"].as_str().and_then(|arn| arn.split(':').nth(4));
            account.is_some_and(|account| account.len() == 12)
        })
    })
}

fn dedup(item: &Value) -> Result<Option<String>, Refusal> {
    let Some(text) = item["OperationalData"]["/aws/dedup"]["Value"].as_str() else { return Ok(None) };
    let said: Value = serde_json::from_str(text).unwrap_or_default();
    match said["dedupString"].as_str() {
        Some(string) if (1..=DEDUP_MAX).contains(&string.len()) => Ok(Some(string.to_owned())),
        Some(_) | None => invalid("The value of /aws/dedup has no dedupString of at most 64 characters"),
    }
}

fn merge(item: &mut Value, given: &Value) {
    for (member, value) in given.as_object().into_iter().flatten() {
        item[member] = value.clone();
    }
}

fn refused(name: &'static str, message: impl Into<String>) -> Refusal {
    Coded::new(400, name, name, message).into()
}

fn invalid<T>(message: &str) -> Result<T, Refusal> {
    Err(refused("OpsItemInvalidParameterException", message))
}
