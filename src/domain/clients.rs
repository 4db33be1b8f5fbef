//! The clients (sockets) of a check.
//!
//! A second one, with its own ICMP identifier, gets past a stateful firewall's dead entry; and where an interface was
//! re-created, the old socket stays broken while a fresh one works. So a check in doubt alternates between two, and calls a
//! tunnel Down only when both have lost.
//!
//! In calm a fresh client is tried now and then, so that what a check needs only in doubt does not fail for the first time
//! then: one echo through its own socket, which is closed again. It is counted like any other echo, and is no evidence for a
//! verdict.

use std::sync::Arc;
use std::time::Duration;

use super::event::AskFailure;
use super::fact::{Effects, Fact};
use super::names::CheckId;
use super::plan::Route;
use super::request::{ClientId, EchoId, EchoRequest, Request};
use super::time::{Moment, Now};
use super::timers::next_on_grid;
use super::verdict::{Fault, Loss, Outcome};

/// A fresh client is tried at most this often: a firewall's entry for ICMP lives for 30 s (Linux conntrack's
/// `nf_conntrack_icmp_timeout`), so a younger one would meet the same entry.
const FRESH_EVERY: Duration = Duration::from_secs(30);

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// The clients of a check and whose turn it is.
#[derive(Debug, Clone)]
pub struct Clients {
    a: ClientId,
    b: Option<ClientId>,
    turn: Slot,
    /// The one that was answered last.
    alive: Slot,
    last_fresh: Option<Moment>,
}

impl Clients {
    /// Starts with one client.
    pub const fn new(first: ClientId) -> Self {
        Self { a: first, b: None, turn: Slot::A, alive: Slot::A, last_fresh: None }
    }

    /// The client for the next echo; in doubt they take turns.
    pub const fn next(&mut self, in_doubt: bool) -> (Slot, ClientId) {
        if in_doubt && self.b.is_some() {
            self.turn = self.turn.other();
        }
        match (self.turn, self.b) {
            (Slot::B, Some(b)) => (Slot::B, b),
            (Slot::A | Slot::B, _) => (Slot::A, self.a),
        }
    }

    /// Whether a fresh client may be opened.
    pub fn may_refresh(&self, now: Moment) -> bool {
        self.last_fresh.is_none_or(|at| now.since(at) >= FRESH_EVERY)
    }

    /// Opens a fresh client beside the one that was answered last, so that a broken socket does not stay; returns the client
    /// that it replaces, to be retired.
    pub fn refresh(&mut self, fresh: ClientId, now: Moment) -> Option<ClientId> {
        self.last_fresh = Some(now);
        match self.alive {
            Slot::A => self.b.replace(fresh),
            Slot::B => Some(std::mem::replace(&mut self.a, fresh)),
        }
    }

    /// A client's socket failed: a fresh one replaces it. False if it is no longer in use.
    pub fn replace(&mut self, failed: ClientId, fresh: ClientId) -> bool {
        if self.a == failed {
            self.a = fresh;
            true
        } else if self.b == Some(failed) {
            self.b = Some(fresh);
            true
        } else {
            false
        }
    }

    /// A client was answered: in calm the check goes on with it.
    pub fn answered(&mut self, client: ClientId) {
        let slot = if self.a == client {
            Slot::A
        } else if self.b == Some(client) {
            Slot::B
        } else {
            return;
        };
        self.turn = slot;
        self.alive = slot;
    }

    /// Every client in use.
    pub fn all(&self) -> impl Iterator<Item = ClientId> {
        [Some(self.a), self.b].into_iter().flatten()
    }
}

//--- a fresh client, tried in calm

/// At this pace a thousand tunnels cost less than two echoes a second.
const EXERCISE_EVERY: Duration = Duration::from_secs(600);
/// A failed try is repeated sooner: it may have been a passing fault.
const EXERCISE_AGAIN: Duration = Duration::from_secs(60);

/// The result of trying a fresh client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fresh {
    /// Not tried yet.
    #[default]
    Untried,
    /// It was answered.
    Works,
    /// It could not be opened, or its echo could not be sent.
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

/// The check that tries it.
pub(super) struct Probed<'a> {
    pub(super) check: &'a CheckId,
    pub(super) route: &'a Arc<Route>,
    pub(super) give_up: Duration,
}

/// When to try, and the last result.
#[derive(Debug, Clone)]
pub(super) struct Exercise {
    due: Moment,
    under_way: Option<FreshEcho>,
    fresh: Fresh,
}

impl Exercise {
    /// The first try comes after once or twice [`EXERCISE_AGAIN`]; connections try at different moments.
    pub(super) fn new(anchor: Moment, now: Moment) -> Self {
        let due = next_on_grid(anchor, EXERCISE_AGAIN, now + EXERCISE_AGAIN);
        Self { due, under_way: None, fresh: Fresh::Untried }
    }

    pub(super) const fn fresh(&self) -> Fresh {
        self.fresh
    }

    /// Whether this echo belongs to a try.
    pub(super) fn asked(&self, echo: EchoId) -> bool {
        self.under_way.is_some_and(|under_way| under_way.echo == echo)
    }

    /// Starts a try if it is due, and ends one without an answer. Only in calm is that blamed on the fresh client: otherwise
    /// the tunnel itself may be down.
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
        fx.ended.push((of.clone(), asked, outcome));
        fx.facts.push_back(Fact::EchoEnded { check: of.clone(), outcome });
        fx.requests.push_back(Request::Retire { check: of.clone(), client });
        self.fresh = fresh;
        self.due = now.mono + if fresh == Fresh::Works { EXERCISE_EVERY } else { EXERCISE_AGAIN };
    }

    /// When to call [`Self::tick`]; never in doubt, when no try starts.
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

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: ClientId = ClientId(1);
    const SECOND: ClientId = ClientId(2);

    #[test]
    fn in_doubt_the_two_take_turns_and_in_calm_one_is_enough() {
        let mut clients = Clients::new(FIRST);
        assert_eq!(clients.next(true), (Slot::A, FIRST));
        assert_eq!(clients.refresh(SECOND, Moment::ORIGIN), None);
        assert_eq!(clients.next(true), (Slot::B, SECOND));
        assert_eq!(clients.next(true), (Slot::A, FIRST));
        clients.answered(SECOND);
        assert_eq!(clients.next(false), (Slot::B, SECOND));
        assert_eq!(clients.next(false), (Slot::B, SECOND));
    }

    #[test]
    fn a_fresh_client_takes_the_place_of_the_one_that_was_not_answered_last_at_most_every_30_s() {
        let mut clients = Clients::new(FIRST);
        clients.refresh(SECOND, Moment::ORIGIN);
        clients.answered(SECOND);
        assert_eq!(clients.next(true), (Slot::A, FIRST), "whose turn it is says nothing of which one works");
        assert!(!clients.may_refresh(Moment::ORIGIN + Duration::from_secs(29)));
        let later = Moment::ORIGIN + Duration::from_secs(30);
        assert!(clients.may_refresh(later));
        assert_eq!(clients.refresh(ClientId(3), later), Some(FIRST));
        assert_eq!(clients.all().collect::<Vec<_>>(), [ClientId(3), SECOND]);
    }

    #[test]
    fn a_failed_client_is_replaced_in_its_own_place_and_only_while_in_use() {
        let mut clients = Clients::new(FIRST);
        assert!(clients.replace(FIRST, SECOND));
        assert!(!clients.replace(FIRST, ClientId(3)));
        assert_eq!(clients.next(false), (Slot::A, SECOND));
    }
}
