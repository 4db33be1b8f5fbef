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
    /// Whether our end says Down from here on.
    pub(in crate::store) fn is_our_down(&self) -> bool {
        match self {
            Self::View { end: End::Local, view, .. } => view.verdict == verdict::Verdict::Down,
            Self::View { end: End::Aws, .. } | Self::Assessment { .. } => false,
        }
    }

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
pub(in crate::store) fn read_view_change(text: &str) -> Option<ViewChange> {
    match serde_json::from_str(text).ok()? {
        Body::View { end, from, view } => Some(ViewChange {
            end: end.into(),
            from: from.into(),
            to: view.verdict.into(),
            stopped: view.stopped(),
        }),
        Body::Assessment { .. } => None,
    }
}

/// A view change, as far as a start needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct ViewChange {
    pub(in crate::store) end: End,
    pub(in crate::store) from: verdict::Verdict,
    pub(in crate::store) to: verdict::Verdict,
    /// Since when packets have not passed, if it is our end's Down.
    pub(in crate::store) stopped: Option<Stamp>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    View { end: view::End, from: view::Verdict, view: view::View },
    Assessment { from: view::Assessment, to: view::Assessment, local: view::View, aws: view::View },
}
