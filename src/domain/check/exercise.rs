//! A fresh client, tried in peace: what a check needs only when it is in doubt must not fail for the first time then. One echo
//! through a socket of its own, which is closed again. It is counted like any other, and is no evidence for a verdict.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::effects::Effects;
use crate::domain::event::AskFailure;
use crate::domain::fact::Fact;
use crate::domain::names::CheckId;
use crate::domain::plan::Route;
use crate::domain::request::{ClientId, EchoId, EchoRequest, Request};
use crate::domain::time::{Moment, Now};
use crate::domain::timers::next_on_grid;
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
struct FreshEcho {
    echo: EchoId,
    client: ClientId,
    asked: Moment,
}

/// The check that it belongs to.
pub(super) struct Probed<'a> {
    pub(super) check: &'a CheckId,
    pub(super) route: &'a Arc<Route>,
    pub(super) give_up: Duration,
}

/// When it is tried, and what came of it last.
#[derive(Debug, Clone)]
pub(super) struct Exercise {
    due: Moment,
    under_way: Option<FreshEcho>,
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

    /// Whether this echo is its own.
    pub(super) fn asked(&self, echo: EchoId) -> bool {
        self.under_way.is_some_and(|under_way| under_way.echo == echo)
    }

    /// Begins one if it is due, and ends one that nobody answers. Only while nothing is in doubt (`calm`) does that blame the
    /// fresh client: else the tunnel itself may be down.
    pub(super) fn tick(&mut self, of: &Probed<'_>, calm: bool, now: Now, fx: &mut Effects) {
        if let Some(under_way) = self.under_way {
            if under_way.asked + of.give_up <= now.mono {
                let fresh = if calm { Fresh::Unanswered } else { self.fresh };
                self.ended(of.check, fresh, Outcome::Lost(Loss::Timeout), now, fx);
            }
        } else if self.due <= now.mono && calm {
            let (echo, client) = (fx.new_echo(), fx.new_client());
            self.under_way = Some(FreshEcho { echo, client, asked: now.mono });
            fx.requests.push_back(Request::Echo(EchoRequest {
                check: of.check.clone(),
                echo,
                client,
                route: Arc::clone(of.route),
                give_up: of.give_up,
            }));
        }
    }

    /// It could not be sent.
    pub(super) fn failed(&mut self, of: &CheckId, failure: AskFailure, now: Now, fx: &mut Effects) {
        let outcome = match failure {
            AskFailure::Fault(fault) => Outcome::Fault(fault),
            AskFailure::Lost(loss) => Outcome::Lost(loss),
            AskFailure::AddressMissing => Outcome::Fault(Fault::AddressMissing),
        };
        self.ended(of, Fresh::Fails(failure), outcome, now, fx);
    }

    /// One has ended.
    pub(super) fn ended(&mut self, of: &CheckId, fresh: Fresh, outcome: Outcome, now: Now, fx: &mut Effects) {
        let Some(FreshEcho { client, asked, .. }) = self.under_way.take() else { return };
        fx.ended.push((of.tunnel.clone(), asked, outcome));
        fx.facts.push_back(Fact::EchoEnded { check: of.clone(), outcome });
        fx.requests.push_back(Request::Retire { check: of.clone(), client });
        self.fresh = fresh;
        self.due = now.mono + if fresh == Fresh::Works { EVERY } else { AGAIN };
    }

    /// When it wants to be called again; never in doubt, when there is nothing to begin.
    pub(super) fn next_timeout(&self, give_up: Duration, calm: bool) -> Option<Moment> {
        match self.under_way {
            Some(under_way) => Some(under_way.asked + give_up),
            None => calm.then_some(self.due),
        }
    }

    /// Closes what is open.
    pub(super) fn retire(&self, of: &CheckId, fx: &mut Effects) {
        if let Some(FreshEcho { client, .. }) = self.under_way {
            fx.requests.push_back(Request::Retire { check: of.clone(), client });
        }
    }
}
