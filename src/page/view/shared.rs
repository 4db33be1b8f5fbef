//! What several connections share, what is silenced, and the daemon's own problems.

use serde::Serialize;

use super::super::prose::{Part, parts};
use super::super::when::When;
use super::badge::Badge;
use crate::catalogue::phrases::{count, scope_words};
use crate::domain::scope::ParentState;
use crate::domain::silence::Silence;
use crate::domain::status::{ParentStatus, Phase};
use crate::domain::time::Stamp;
use crate::health::overview::OpenProblem;
use crate::health::{Problem, Severity};
use crate::http::status_json::{ParentJson, SilenceJson};

/// A parent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::page) struct ParentView {
    name: String,
    badge: Badge,
    since: When,
    connections: String,
    /// `outage open`, for each kind that is not clear.
    phases: Vec<String>,
    silenced: Option<u32>,
    #[serde(skip)]
    pub(super) troubled: bool,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::page) struct SilenceView {
    id: u32,
    of: String,
    active: bool,
    from: When,
    until: When,
    weekly: Option<String>,
    reason: String,
    by: u32,
}

/// A problem.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::page) struct ProblemView {
    code: &'static str,
    badge: Badge,
    title: &'static str,
    component: String,
    text: Vec<Part>,
    first_step: Vec<Part>,
}

impl ParentView {
    pub(super) fn of(parent: &ParentStatus, json: &ParentJson, now: Stamp) -> Self {
        let (class, sign) = match parent.state {
            ParentState::Up => ("good", "✓"),
            ParentState::Down => ("bad", "✕"),
            ParentState::Unknown => ("unclear", "?"),
        };
        let phases = || parent.phases.iter().filter(|(_, phase)| *phase != Phase::Clear);
        Self {
            name: scope_words(&json.kind, &json.name),
            badge: Badge { class, sign, word: parent.state.as_str() },
            since: When::of(parent.since.wall, now),
            connections: count(parent.vpns.len(), "connection"),
            phases: phases()
                .map(|(kind, phase)| format!("{} {}", kind.as_str().replace('_', " "), phase.as_str()))
                .collect(),
            silenced: json.silenced,
            troubled: parent.state == ParentState::Down || phases().next().is_some(),
        }
    }
}

impl SilenceView {
    pub(super) fn of(silence: &Silence, json: &SilenceJson, now: Stamp) -> Self {
        Self {
            id: silence.id.0,
            of: scope_words(&json.scope, &json.name),
            active: silence.is_active(now),
            from: When::of(silence.from, now),
            until: When::of(silence.until, now),
            weekly: json.weekly.clone(),
            reason: json.reason.clone(),
            by: silence.by,
        }
    }
}

impl ProblemView {
    pub(super) fn of(OpenProblem { component, problem }: &OpenProblem) -> Self {
        let Problem { code, severity, text } = problem;
        let entry = code.entry();
        let (class, sign) = match severity {
            Severity::Failed => ("bad", "✕"),
            Severity::Degraded => ("warn", "!"),
        };
        Self {
            code: entry.word,
            badge: Badge { class, sign, word: severity.as_str() },
            title: entry.title,
            component: component.to_string(),
            text: parts(text),
            first_step: parts(entry.first_step),
        }
    }
}
