//! What a poll came to: for the counter, for `/readyz`, for the journal.

use crate::aws::errors::{Failure, FailureKind};
use crate::domain::names::SourceId;
use crate::health::{Component, Health, Problem, Severity};

/// One poll that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollOutcome {
    /// Who was asked.
    pub source: SourceId,
    /// What came of it.
    pub result: PollResult,
}

/// What came of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PollResult {
    /// An answer.
    Ok,
    /// AWS asked us to slow down.
    Throttled,
    /// A permission is missing.
    Denied,
    /// Credentials are missing, expired or not accepted.
    Expired,
    /// No answer in time.
    Timeout,
    /// An answer, or part of one, that cannot be understood.
    Garbage,
    /// Anything else.
    Error,
}

impl PollResult {
    /// Every result.
    pub const ALL: [Self; 7] =
        [Self::Ok, Self::Throttled, Self::Denied, Self::Expired, Self::Timeout, Self::Garbage, Self::Error];

    /// The word used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Timeout => "timeout",
            Self::Garbage => "garbage",
            Self::Error => "error",
        }
    }

    pub(super) const fn of(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Throttled { .. } => Self::Throttled,
            FailureKind::TimedOut => Self::Timeout,
            FailureKind::Denied => Self::Denied,
            FailureKind::CredentialsRefused | FailureKind::CredentialsMissing => Self::Expired,
            FailureKind::Garbage => Self::Garbage,
            FailureKind::Unreachable
            | FailureKind::ServiceFault
            | FailureKind::Contended
            | FailureKind::NotFound
            | FailureKind::TokenKnown
            | FailureKind::Rejected => Self::Error,
        }
    }
}

/// States a source's problems.
#[derive(Debug)]
pub(super) struct Reporter {
    source: SourceId,
    health: Health,
}

impl Reporter {
    pub(super) fn new(source: SourceId, health: Health) -> Self {
        Self { source, health }
    }

    /// A poll that failed.
    pub(super) fn failed(&mut self, failure: &Failure) {
        // Without AWS's word nothing can be agreed on; what passes by itself is not yet that.
        let severity = if failure.kind.is_temporary() { Severity::Degraded } else { Severity::Failed };
        self.state(severity, &failure.text);
    }

    /// A poll that succeeded, but for this.
    pub(super) fn remarked(&mut self, text: &str) {
        self.state(Severity::Degraded, text);
    }

    /// A poll that succeeded without reserve.
    pub(super) fn well(&mut self) {
        self.health.clear(&self.component());
    }

    fn state(&mut self, severity: Severity, text: &str) {
        self.health.set(self.component(), Problem { severity, text: text.to_owned() });
    }

    fn component(&self) -> Component {
        Component::Source(self.source.to_string())
    }
}
