//! What a poll came to: for the driver, for the counter, and for `Health`.

use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::aws::errors::{Failure, FailureKind};
use crate::aws::source::{Agreement, IdCheck, Remark};
use crate::domain::event::Event;
use crate::domain::names::SourceId;
use crate::health::{Code, Component, Health, Problem};

/// A source that speaks for many connections may have as many problems; people need some to start with.
const REMARKS_SHOWN: usize = 3;

/// Where the pollers say what they learn.
#[derive(Clone)]
pub struct Outlets {
    /// The driver.
    pub events: mpsc::Sender<Event>,
    /// What stands between a source and its job.
    pub health: Health,
    /// Told of every poll that was made.
    pub observe: Arc<dyn Fn(&PollOutcome) + Send + Sync>,
}

impl fmt::Debug for Outlets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outlets")
    }
}

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
    /// AWS throttled it.
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
            FailureKind::CredentialsFailed
            | FailureKind::Unreachable
            | FailureKind::ServiceFault
            | FailureKind::Contended
            | FailureKind::NotFound
            | FailureKind::TokenKnown
            | FailureKind::Rejected => Self::Error,
        }
    }
}

/// States a source's problem, each time in the same words for the same problem.
#[derive(Debug)]
pub(super) struct Reporter {
    component: Component,
    health: Health,
    /// The problem that stands is that AWS cannot be reached.
    unreachable: bool,
}

impl Reporter {
    pub(super) fn new(source: &SourceId, health: Health) -> Self {
        Self { component: Component::Source(source.to_string()), health, unreachable: false }
    }

    /// A poll that failed.
    ///
    /// How a path that is cut shows differs from call to call (a timeout, a name that does not resolve): that is one
    /// problem, and the first words for it stay.
    pub(super) fn failed(&mut self, failure: &Failure) {
        let unreachable = matches!(failure.kind, FailureKind::TimedOut | FailureKind::Unreachable);
        if unreachable && self.unreachable {
            return;
        }
        self.unreachable = unreachable;
        self.state(Problem::of(code(failure.kind), &failure.text));
    }

    /// A poll that succeeded, with what people should look at.
    pub(super) fn answered(&mut self, remarks: &[Remark]) {
        self.unreachable = false;
        let (first, more) = remarks.split_at(remarks.len().min(REMARKS_SHOWN));
        let first: Vec<&str> = first.iter().map(|remark| remark.text.as_str()).collect();
        if first.is_empty() {
            self.health.clear(&self.component);
        } else {
            self.state(Problem::aws_answer_invalid(&first, more.len()));
        }
    }

    /// What came of comparing AWS's addresses with the configuration's. Where they could not be compared, what was found
    /// before stands.
    pub(super) fn compared(&self, addresses: Vec<Agreement>) {
        self.agreed(addresses, Component::Addresses, Code::AddressesDiffer);
    }

    /// What came of looking whether data belong to the connections' ids.
    pub(super) fn identified(&self, id_checks: Vec<IdCheck>) {
        let said =
            |IdCheck { vpn, doubt }| Agreement { vpn, complaint: doubt.map(|doubt| doubt.to_string()) };
        self.agreed(
            id_checks.into_iter().map(said).collect(),
            Component::Identity,
            Code::ConnectionUnconfirmed,
        );
    }

    fn agreed(&self, agreements: Vec<Agreement>, of: fn(String) -> Component, code: Code) {
        for Agreement { vpn, complaint } in agreements {
            let component = of(vpn.to_string());
            match complaint {
                Some(text) => _ = self.health.set(component, Problem::of(code, text)),
                None => _ = self.health.clear(&component),
            }
        }
    }

    fn state(&self, problem: Problem) {
        self.health.set(self.component.clone(), problem);
    }
}

/// What a failure to ask is called. Without AWS's evidence nothing can be agreed on; what passes by itself is not yet that.
const fn code(kind: FailureKind) -> Code {
    match kind {
        FailureKind::TimedOut | FailureKind::Unreachable => Code::AwsUnreachable,
        FailureKind::Throttled { .. } => Code::AwsThrottled,
        FailureKind::Denied => Code::AwsDenied,
        FailureKind::CredentialsRefused | FailureKind::CredentialsMissing => Code::CredentialsFailing,
        FailureKind::CredentialsFailed => Code::CredentialsSourceFailing,
        FailureKind::ServiceFault | FailureKind::Contended => Code::AwsFailing,
        FailureKind::Garbage => Code::AwsAnswerInvalid,
        FailureKind::NotFound | FailureKind::TokenKnown | FailureKind::Rejected => Code::AwsRefuses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::permission::Call;
    use crate::domain::names::{AwsPlace, SourceKind, VpnId};

    fn reporter() -> (Reporter, Health) {
        let health = Health::default();
        let source = SourceId { kind: SourceKind::Ec2, place: AwsPlace::default() };
        (Reporter::new(&source, health.clone()), health)
    }

    fn shown(health: &Health) -> Option<String> {
        health.watch().borrow().values().next().map(|problem| problem.text.clone())
    }

    fn failure(kind: FailureKind, what: &str) -> Failure {
        let place = AwsPlace { region: Some("eu-south-1".into()), role_arn: None };
        let mut failure = Failure::garbage(Call::DescribeVpnConnections, &place, what);
        failure.kind = kind;
        failure
    }

    #[test]
    fn a_path_that_is_cut_is_one_problem_however_it_shows() {
        let (mut reporter, health) = reporter();
        reporter.failed(&failure(FailureKind::TimedOut, "late"));
        let first = shown(&health);
        reporter.failed(&failure(FailureKind::Unreachable, "no such host"));
        assert_eq!(shown(&health), first);
        reporter.failed(&failure(FailureKind::Denied, "denied"));
        assert!(shown(&health).unwrap().contains("denied"));
        reporter.failed(&failure(FailureKind::Unreachable, "no such host"));
        assert!(shown(&health).unwrap().contains("no such host"));
    }

    #[test]
    fn what_a_cut_path_makes_of_credentials_is_not_that_they_should_be_renewed() {
        for kind in [FailureKind::CredentialsFailed, FailureKind::Unreachable, FailureKind::TimedOut] {
            assert!(!kind.reached_aws(), "{kind:?}");
            assert_ne!(code(kind), Code::CredentialsFailing, "{kind:?}");
        }
        assert_eq!(code(FailureKind::CredentialsFailed), Code::CredentialsSourceFailing);
    }

    #[test]
    fn addresses_that_differ_are_a_problem_of_their_connection_until_they_agree() {
        let (mut reporter, health) = reporter();
        let of = |complaint: Option<&str>| {
            vec![Agreement { vpn: VpnId::new("vpn-0123abcd"), complaint: complaint.map(str::to_owned) }]
        };
        reporter.compared(of(Some("another address")));
        reporter.compared(Vec::new());
        reporter.answered(&[]);
        let component = Component::Addresses("vpn-0123abcd".to_owned());
        assert_eq!(health.watch().borrow()[&component].text, "another address");
        reporter.compared(of(None));
        assert_eq!(shown(&health), None);
    }

    #[test]
    fn the_remarks_of_one_answer_are_one_problem_and_not_endless() {
        let (mut reporter, health) = reporter();
        let remarks: Vec<Remark> = (0..5).map(|n| Remark::advice(format!("remark {n}"))).collect();
        reporter.answered(&remarks);
        assert_eq!(shown(&health).unwrap(), "remark 0; remark 1; remark 2; and 2 more");
        reporter.answered(&[]);
        assert_eq!(shown(&health), None);
    }
}
