//! Whether response plans fold different incidents into one.

use std::collections::BTreeMap;

use super::SeenPlan;
use super::incident_manager::name;
use crate::domain::names::{Kind, VpnId};

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
            "{what}: while one of them is open, Incident Manager folds the others into it, and nobody is paged for them; give each \
             connection and kind a plan of its own ({{vpn_id}} and {{kind}} in response_plan), and each plan its own dedupe string"
        ))
    };
    by_string.into_iter().filter_map(told).collect()
}

pub(super) fn served(serves: &[(VpnId, Kind)]) -> String {
    let each = serves.iter().map(|(vpn, kind)| format!("{} of {vpn}", kind.as_str()));
    each.collect::<Vec<_>>().join(", ")
}
