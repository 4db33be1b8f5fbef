//! Changes of views and assessments, with their evidence.

use serde::{Deserialize, Serialize};

use super::view;
use crate::domain::names::{End, TunnelId};
use crate::domain::time::Stamp;
use crate::domain::verdict;

/// A change of what is said of a tunnel.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct Transition {
    pub(in crate::store) tunnel: TunnelId,
    pub(in crate::store) at: Stamp,
    pub(in crate::store) change: Change,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) enum Change {
    View {
        end: End,
        from: verdict::Verdict,
        view: verdict::View,
    },
    Assessment {
        from: verdict::Assessment,
        to: verdict::Assessment,
        local: verdict::View,
        aws: verdict::View,
    },
}

impl Change {
    /// The word in the column `what`.
    pub(in crate::store) const fn as_str(&self) -> &'static str {
        match self {
            Self::View { .. } => "view",
            Self::Assessment { .. } => "assessment",
        }
    }
}

/// What changed, as JSON.
pub(in crate::store) fn write_transition(change: &Change) -> serde_json::Result<String> {
    serde_json::to_string(&match change {
        Change::View { end, from, view } => {
            Body::View { end: (*end).into(), from: (*from).into(), view: view.into() }
        }
        Change::Assessment { from, to, local, aws } => {
            Body::Assessment { from: (*from).into(), to: (*to).into(), local: local.into(), aws: aws.into() }
        }
    })
}

/// Of a change of a view, which end's it was, from what and to what; `None` of any other.
pub(in crate::store) fn read_view_change(text: &str) -> Option<(End, verdict::Verdict, verdict::Verdict)> {
    match serde_json::from_str(text).ok()? {
        Body::View { end, from, view } => Some((end.into(), from.into(), view.verdict.into())),
        Body::Assessment { .. } => None,
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    View { end: view::End, from: view::Verdict, view: view::View },
    Assessment { from: view::Assessment, to: view::Assessment, local: view::View, aws: view::View },
}
