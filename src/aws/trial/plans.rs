//! Response plans: what they start and what they are granted by, and whether they fold different incidents into one.

use std::collections::BTreeMap;

use crate::domain::names::{Kind, VpnId};

/// Response plans that one statement grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// What the statement grants: the plan's ARN, with `*` in place of the kind.
    pub granted: String,
    /// The ARN of a plan that does not exist, and that is granted with the others if `granted` has a `*`.
    pub nobodys_plan: String,
    /// The id of a record that does not exist.
    pub nobodys_record: String,
    /// The plans.
    pub plans: Vec<PlanUse>,
}

/// A response plan and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanUse {
    /// Its ARN.
    pub arn: String,
    /// The incidents that it starts.
    pub serves: Vec<(VpnId, Kind)>,
}

/// A response plan that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPlan {
    /// The plan and its use.
    pub plan: PlanUse,
    /// Its dedupe string.
    pub dedupe: Option<String>,
}

impl Family {
    pub(super) fn name(&self) -> &str {
        name(&self.granted)
    }

    /// What is granted, and the plan that stands for it in the trial.
    pub(super) fn to_start(&self) -> Vec<String> {
        if self.granted.contains('*') {
            return vec![self.granted.clone()];
        }
        vec![self.granted.clone(), format!("{}-check-*", self.granted)]
    }

    /// IAM knows a record by its own ARN or by its plan's.
    pub(super) fn with_records(&self) -> Vec<String> {
        vec![self.granted.clone(), records(&self.granted, "*")]
    }
}

impl PlanUse {
    pub(super) fn name(&self) -> &str {
        name(&self.arn)
    }

    pub(super) fn serves(&self) -> String {
        served(&self.serves)
    }
}

/// What plans serve, by their names.
type ByPlan<'a> = BTreeMap<&'a str, Vec<(VpnId, Kind)>>;

/// Where different incidents could be folded into one: while a record with a dedupe string is open, Incident Manager
/// starts no other with the same (API Reference, `IncidentTemplate`).
pub fn folds<'a>(plans: impl IntoIterator<Item = &'a SeenPlan>) -> Vec<String> {
    let mut by_string: BTreeMap<&str, ByPlan<'_>> = BTreeMap::new();
    for SeenPlan { plan, dedupe } in plans {
        let Some(dedupe) = dedupe else { continue };
        let serves = by_string.entry(dedupe).or_default().entry(name(&plan.arn)).or_default();
        for one in &plan.serves {
            if !serves.contains(one) {
                serves.push(one.clone());
            }
        }
    }
    let told = |(string, plans): (&str, ByPlan<'_>)| {
        let serves: Vec<_> = plans.values().flatten().cloned().collect();
        let of = served(&serves);
        let names: Vec<_> = plans.into_keys().collect();
        let what = match names.as_slice() {
            [_] if serves.len() < 2 => return None,
            [plan] => format!(
                "the response plan {plan} has the dedupe string {string:?} and serves different incidents ({of})"
            ),
            plans => format!(
                "the response plans {} have the same dedupe string {string:?} ({of})",
                plans.join(", ")
            ),
        };
        Some(format!(
            "{what}: while one of them is open, Incident Manager merges the others into it, and nobody is paged \
             for them; give each connection and kind its own \
             plan ({{vpn_id}} and {{kind}} in response_plan), and each plan its own dedupe string"
        ))
    };
    by_string.into_iter().filter_map(told).collect()
}

fn served(serves: &[(VpnId, Kind)]) -> String {
    let each = serves.iter().map(|(vpn, kind)| format!("{} of {vpn}", kind.as_str()));
    each.collect::<Vec<_>>().join(", ")
}

/// The last part of an ARN.
pub(super) fn name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// A record of a plan, or a pattern of records.
pub(super) fn records(plan: &str, record: &str) -> String {
    format!("{}/{record}", plan.replacen(":response-plan/", ":incident-record/", 1))
}
