//! A fresh client, tried in peace: what a check needs only when it is in doubt must not fail for the first time then. One echo
//! through a socket of its own, which is closed again. It is counted like any other, and is no evidence for a verdict.

use std::sync::Arc;
use std::time::Duration;

use super::{Check, Pace};
use crate::domain::effects::Effects;
use crate::domain::event::AskFailure;
use crate::domain::fact::Fact;
use crate::domain::pace::next_on_grid;
use crate::domain::request::{ClientId, EchoId, EchoRequest, Request};
use crate::domain::time::{Moment, Now};
use crate::domain::verdict::{Fault, Loss, Outcome};

/// A thousand tunnels cost less than two echoes a second so.
const EVERY: Duration = Duration::from_secs(600);
/// One that failed is tried again sooner: it may have been a moment's trouble.
const AGAIN: Duration = Duration::from_secs(60);

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fresh {
    /// Not tried yet.
    #[default]
    Untried,
    /// It was answered.
    Works,
    /// It could not be opened, or its echo not be sent.
    Fails(AskFailure),
    /// It was not answered, while the one in use was.
    Unanswered,
}

/// A try under way.
#[derive(Debug, Clone, Copy)]
struct UnderWay {
    echo: EchoId,
    client: ClientId,
    asked: Moment,
}

/// When it is tried, and what came of it last.
#[derive(Debug, Clone)]
pub(super) struct Exercise {
    due: Moment,
    under_way: Option<UnderWay>,
    fresh: Fresh,
}

impl Exercise {
    /// A first one after once or twice [`AGAIN`]; those of other connections come at other moments.
    pub(super) fn new(anchor: Moment, now: Moment) -> Self {
        let due = next_on_grid(anchor, AGAIN, now + AGAIN);
        Self { due, under_way: None, fresh: Fresh::Untried }
    }

    pub(super) const fn fresh(&self) -> Fresh {
        self.fresh
    }
}

impl Check {
    /// Whether this echo is the one of an exercise.
    pub(super) fn is_exercise(&self, echo: EchoId) -> bool {
        self.exercise.under_way.is_some_and(|under_way| under_way.echo == echo)
    }

    /// What becomes of one that could not be sent.
    pub(super) fn exercise_failed(&mut self, failure: AskFailure, now: Now, fx: &mut Effects) {
        let outcome = match failure {
            AskFailure::Fault(fault) => Outcome::Fault(fault),
            AskFailure::Lost(loss) => Outcome::Lost(loss),
            AskFailure::AddressMissing => Outcome::Fault(Fault::AddressMissing),
        };
        self.exercised(Fresh::Fails(failure), outcome, now, fx);
    }

    /// Begins one if it is due, and ends one that nobody answers.
    pub(super) fn exercise(&mut self, now: Now, fx: &mut Effects) {
        if let Some(under_way) = self.exercise.under_way {
            if under_way.asked + self.given_up_after() <= now.mono {
                // In doubt the tunnel itself may be down.
                let fresh = if self.pace == Pace::Calm { Fresh::Unanswered } else { self.exercise.fresh };
                self.exercised(fresh, Outcome::Lost(Loss::Timeout), now, fx);
            }
        } else if self.exercise.due <= now.mono && self.pace == Pace::Calm {
            let (echo, client) = (fx.new_echo(), fx.new_client());
            self.exercise.under_way = Some(UnderWay { echo, client, asked: now.mono });
            fx.requests.push_back(Request::Echo(EchoRequest {
                check: self.id.clone(),
                echo,
                client,
                route: Arc::clone(&self.route),
                give_up: self.given_up_after(),
            }));
        }
    }

    /// One has ended.
    pub(super) fn exercised(&mut self, fresh: Fresh, outcome: Outcome, now: Now, fx: &mut Effects) {
        let Some(UnderWay { client, asked, .. }) = self.exercise.under_way.take() else { return };
        fx.ended.push((self.id.tunnel.clone(), asked, outcome));
        fx.facts.push_back(Fact::EchoEnded { check: self.id.clone(), outcome });
        fx.requests.push_back(Request::Retire { check: self.id.clone(), client });
        self.exercise.fresh = fresh;
        self.exercise.due = now.mono + if fresh == Fresh::Works { EVERY } else { AGAIN };
    }

    /// When it wants to be called again for this; never in doubt, when there is nothing to begin.
    pub(super) fn next_exercise(&self) -> Option<Moment> {
        match self.exercise.under_way {
            Some(under_way) => Some(under_way.asked + self.given_up_after()),
            None => (self.pace == Pace::Calm).then_some(self.exercise.due),
        }
    }

    /// Closes what is open.
    pub(super) fn end_exercise(&self, fx: &mut Effects) {
        if let Some(UnderWay { client, .. }) = self.exercise.under_way {
            fx.requests.push_back(Request::Retire { check: self.id.clone(), client });
        }
    }
}
