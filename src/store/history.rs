//! History that is not on the disk yet: rollups and transitions, of each a bounded number, and when the daemon watched.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::watched::Watched;
use crate::domain::cause::Cause;
use crate::domain::names::{End, TunnelId};
use crate::domain::rollup::Rollup;
use crate::domain::silence::SilenceId;
use crate::domain::time::{Now, Stamp};
use crate::domain::verdict::{Assessment, Verdict, View};

/// Rollups held while the disk fails: half a kilobyte each, three days of two tunnels.
pub(super) const ROLLUPS_MAX: usize = 10_000;
/// Transitions held while the disk fails.
const TRANSITIONS_MAX: usize = 5_000;

/// A change of a tunnel: of its verdicts or assessment, with its evidence, of its cause, or of the silence that covers it; or that it
/// is watched no longer, or afresh.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Transition {
    pub(super) tunnel: TunnelId,
    pub(super) at: Now,
    pub(super) body: TransitionBody,
}

/// The change, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TransitionBody {
    View {
        end: End,
        from: Verdict,
        view: View,
    },
    Assessment {
        from: Assessment,
        to: Assessment,
        local: View,
        aws: View,
    },
    Cause {
        from: Option<Cause>,
        to: Option<Cause>,
    },
    Silenced {
        from: Option<SilenceId>,
        to: Option<SilenceId>,
    },
    Left {
        local: Verdict,
        aws: Verdict,
        assessment: Assessment,
        cause: Option<Cause>,
        silenced: Option<SilenceId>,
        afresh: bool,
    },
}

impl TransitionBody {
    /// The word in the column `what`.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::View { .. } => "view",
            Self::Assessment { .. } => "assessment",
            Self::Cause { .. } => "cause",
            Self::Silenced { .. } => "silenced",
            Self::Left { .. } => "left",
        }
    }

    /// Whether our end says down from here on.
    pub(super) fn is_our_down(&self) -> bool {
        match self {
            Self::View { end: End::Local, view, .. } => view.verdict == Verdict::Down,
            Self::View { end: End::Aws, .. }
            | Self::Assessment { .. }
            | Self::Cause { .. }
            | Self::Silenced { .. }
            | Self::Left { .. } => false,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct History {
    /// By minute, oldest first; the value says whether it has been sent.
    rollups: BTreeMap<(Stamp, Arc<Rollup>), bool>,
    transitions: VecDeque<Transition>,
    /// When the daemon watched.
    pub(super) watched: Watched,
}

impl History {
    pub(super) fn is_empty(&self) -> bool {
        let Self { rollups, transitions, watched } = self;
        rollups.is_empty() && transitions.is_empty() && !watched.is_changed()
    }

    /// Adds a rollup, unless it is known. Returns the number of unsent ones that were dropped.
    pub(super) fn rollup(&mut self, rollup: Arc<Rollup>, sent: bool) -> u64 {
        self.rollups.entry((rollup.minute, rollup)).or_insert(sent);
        self.bound()
    }

    /// Marks a rollup as sent. Returns the number of unsent ones that were dropped.
    pub(super) fn sent(&mut self, rollup: Arc<Rollup>) -> u64 {
        self.rollups.insert((rollup.minute, rollup), true);
        self.bound()
    }

    /// Adds a transition. Returns the number that were dropped.
    pub(super) fn transition(&mut self, transition: Transition) -> u64 {
        self.watched.seen(transition.at);
        self.transitions.push_back(transition);
        if self.transitions.len() <= TRANSITIONS_MAX {
            return 0;
        }
        if let Some(dropped) = self.transitions.pop_front() {
            self.watched.lost(dropped.at.wall);
        }
        1
    }

    /// The rollups, with whether they have been sent.
    pub(super) fn rollups(&self) -> impl Iterator<Item = (&Arc<Rollup>, bool)> {
        self.rollups.iter().map(|((_, rollup), sent)| (rollup, *sent))
    }

    pub(super) fn knows(&self, rollup: &Arc<Rollup>) -> bool {
        self.rollups.contains_key(&(rollup.minute, Arc::clone(rollup)))
    }

    pub(super) fn transitions(&self) -> impl Iterator<Item = &Transition> {
        self.transitions.iter()
    }

    /// Removes and returns what one commit writes: the oldest, up to about `rollups` rollups. A transition counts as one. The last
    /// part says when the daemon watched: not before every change of that time is written.
    pub(super) fn part(&mut self, rollups: usize) -> Self {
        let transitions = self.transitions.len().min(rollups);
        let rest = self.transitions.split_off(transitions);
        let mut part = Self { transitions: mem::replace(&mut self.transitions, rest), ..Self::default() };
        while part.rollups.len() + transitions < rollups
            && let Some((key, sent)) = self.rollups.pop_first()
        {
            part.rollups.insert(key, sent);
        }
        if self.rollups.is_empty() && self.transitions.is_empty() {
            part.watched = self.watched.clone();
        }
        part
    }

    /// A part was written, and everything before `removed` was removed from the file.
    pub(super) fn written(&mut self, removed: Option<Stamp>) {
        if self.rollups.is_empty() && self.transitions.is_empty() {
            self.watched.written();
        }
        if let Some(removed) = removed {
            self.watched.trim(removed);
        }
    }

    /// Puts back a part that was not written.
    pub(super) fn take_back(&mut self, part: Self) {
        let Self { rollups, mut transitions, watched: _ } = part;
        self.rollups.extend(rollups);
        transitions.append(&mut self.transitions);
        self.transitions = transitions;
    }

    fn bound(&mut self) -> u64 {
        let mut dropped = 0;
        while self.rollups.len() > ROLLUPS_MAX {
            if let Some((_, false)) = self.rollups.pop_first() {
                dropped += 1;
            }
        }
        dropped
    }
}
