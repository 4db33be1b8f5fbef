//! A change of what is said of a tunnel, with its evidence.

use serde::{Deserialize, Serialize};

use crate::domain::names::{End, TunnelId};
use crate::domain::time::Stamp;
use crate::domain::verdict::{Assessment, Verdict, View};

/// A row of the table `transition`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Transition {
    pub(super) tunnel: TunnelId,
    pub(super) at: Stamp,
    pub(super) body: TransitionBody,
}

/// What changed, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TransitionBody {
    View { end: End, from: Verdict, view: View },
    Assessment { from: Assessment, to: Assessment, local: View, aws: View },
}

impl TransitionBody {
    /// The word in the column `what`.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::View { .. } => "view",
            Self::Assessment { .. } => "assessment",
        }
    }

    /// Whether our end says Down from here on.
    pub(super) fn is_our_down(&self) -> bool {
        match self {
            Self::View { end: End::Local, view, .. } => view.verdict == Verdict::Down,
            Self::View { end: End::Aws, .. } | Self::Assessment { .. } => false,
        }
    }
}
