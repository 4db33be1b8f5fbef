//! Response plans and replication sets, which must exist before an incident can.

use serde_json::{Value, json};

use super::super::refusal::Refusal;
use super::super::settings::ResponsePlan;
use super::super::sigv4::Caller;
use super::super::state::State;
use super::not_found;

/// The plan with this ARN, in an account that has set up Incident Manager.
pub(super) fn known<'a>(state: &'a State, arn: &str) -> Result<&'a ResponsePlan, Refusal> {
    let plans = state.settings.response_plans.iter().filter(|_| !state.settings.replication_sets.is_empty());
    plans.into_iter().find(|plan| plan.arn == arn).ok_or_else(|| not_found("RESPONSE_PLAN", arn))
}

pub(super) fn name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

pub(super) fn get_response_plan(state: &mut State, _: &Caller, input: Value) -> Result<Value, Refusal> {
    let plan = known(state, input["arn"].as_str().unwrap_or_default())?;
    Ok(json!({
        "arn": plan.arn,
        "name": name(&plan.arn),
        "incidentTemplate": {
            "title": plan.title,
            "impact": plan.impact,
            "dedupeString": plan.dedupe_string.clone().unwrap_or_default(),
        },
    }))
}

pub(super) fn list_replication_sets(state: &mut State, _: &Caller, _: Value) -> Result<Value, Refusal> {
    Ok(json!({ "replicationSetArns": state.settings.replication_sets }))
}

pub(super) fn get_replication_set(state: &mut State, _: &Caller, input: Value) -> Result<Value, Refusal> {
    let arn = input["arn"].as_str().unwrap_or_default();
    if !state.settings.replication_sets.iter().any(|known| known == arn) {
        return Err(not_found("REPLICATION_SET", arn));
    }
    let by = format!("arn:aws:iam::{}:root", state.settings.account);
    let chosen = &state.settings.replication_regions;
    let regions = if chosen.is_empty() { &state.settings.regions } else { chosen }.iter();
    let active = json!({ "status": "ACTIVE", "statusUpdateDateTime": 0.0 });
    let regions: serde_json::Map<_, _> = regions.map(|region| (region.clone(), active.clone())).collect();
    Ok(json!({
        "replicationSet": {
            "arn": arn, "createdBy": by, "createdTime": 0.0, "deletionProtected": false,
            "lastModifiedBy": by, "lastModifiedTime": 0.0, "regionMap": regions, "status": "ACTIVE",
        },
    }))
}
