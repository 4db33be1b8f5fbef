//! What several connections share, what is silenced, and what is not sent, in words.

use super::times::short;
use crate::catalogue::phrases::{parent_words, scope_words};
use crate::domain::scope::Scope;
use crate::http::status_json::{ChildJson, ParentJson, PhasesJson, SilenceJson};

/// So many connections of a parent are named.
const NAMED: usize = 8;

/// The line of a parent; none while nothing is to be said of it.
pub(super) fn parent_line(parent: &ParentJson, at: &str) -> Option<String> {
    let ParentJson { id: _, kind, name, state, since, vpns, phases, silenced } = parent;
    let standing = standing(phases);
    if state != "down" && standing.is_empty() && silenced.is_none() {
        return None;
    }
    let state = if state == "down" { "DOWN" } else { state };
    let silence = silenced.map(|silence| format!(", silenced (silence {silence})")).unwrap_or_default();
    let connections = vpns.len();
    Some(format!(
        "{}: {state} since {}, {connections} connections{standing}{silence}",
        scope_words(kind, name),
        short(since, at)
    ))
}

/// The kinds of incident that are not clear.
pub(super) fn standing(phases: &PhasesJson) -> String {
    let PhasesJson { outage, redundancy_lost, one_sided, degraded } = phases;
    let kinds = [
        ("outage", outage),
        ("redundancy_lost", redundancy_lost),
        ("one_sided", one_sided),
        ("degraded", degraded),
    ];
    kinds
        .into_iter()
        .filter(|(_, phase)| *phase != "clear")
        .map(|(kind, phase)| format!(", {kind} {phase}"))
        .collect()
}

/// `3: group hubs, until 04:12:00Z, every week (Europe/Rome): change 4711 (added by uid 1000)`.
pub(super) fn silence_line(silence: &SilenceJson, at: &str) -> String {
    let SilenceJson {
        id,
        scope,
        of: _,
        name,
        from,
        until,
        weekly,
        reason,
        by_uid,
        added: _,
        active,
        matches: _,
        no_window: _,
    } = silence;
    let (from, until) = (short(from, at), short(until, at));
    let when = if *active { format!("until {until}") } else { format!("planned, {from} to {until}") };
    let weekly = weekly.as_ref().map(|zone| format!(", every week ({zone})")).unwrap_or_default();
    format!("{id}: {}, {when}{weekly}: {reason} (added by uid {by_uid})", scope_words(scope, name))
}

/// Why an incident is not sent: `explained by uplink wan1`, `silence 3`.
pub(super) fn withheld_words(by: &str) -> String {
    match Scope::parse(by) {
        Scope::Parent(parent) => format!("explained by {}", parent_words(&parent)),
        Scope::Connection(_) => by.to_owned(),
    }
}

/// The connections of a parent that have trouble; `None` of what is no parent.
pub(super) fn children_words(children: &[ChildJson], at: &str) -> Option<String> {
    let troubled: Vec<_> = children.iter().filter(|child| child.troubled).collect();
    if children.is_empty() {
        return None;
    }
    let named: Vec<_> = troubled.iter().take(NAMED).map(|child| child_words(child, at)).collect();
    let more = troubled.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let (affected, all) = (troubled.len(), children.len());
    let colon = if named.is_empty() { "" } else { ": " };
    Some(format!("{affected} of {all} connections affected{colon}{}{more}", named.join("; ")))
}

fn child_words(child: &ChildJson, at: &str) -> String {
    let ChildJson { vpn: _, name, troubled: _, kind, since, cause } = child;
    let kind = kind.as_ref().map(|kind| format!(" {kind}")).unwrap_or_default();
    let since = since.as_ref().map(|since| format!(" since {}", short(since, at))).unwrap_or_default();
    let cause = cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!("{name}{kind}{since}{cause}")
}
