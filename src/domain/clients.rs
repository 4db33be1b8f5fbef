//! The one or two clients of a check.
//!
//! A second one, with an ICMP identifier of its own, gets past a stateful firewall's dead entry; and where an interface
//! was re-created, the old socket is useless for ever while a fresh one works. So a check in doubt alternates between
//! two, and calls a tunnel Down only when both have lost.

use std::time::Duration;

use super::request::ClientId;
use super::time::Moment;

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
    /// One client.
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

    /// Opens a fresh client beside the one that was answered last, so that a socket that is useless for ever does not
    /// stay; the one whose place it takes is returned, to be retired.
    pub fn refresh(&mut self, fresh: ClientId, now: Moment) -> Option<ClientId> {
        self.last_fresh = Some(now);
        match self.alive {
            Slot::A => self.b.replace(fresh),
            Slot::B => Some(std::mem::replace(&mut self.a, fresh)),
        }
    }

    /// A client's socket failed: a fresh one takes its place. False if it is not in use any more.
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

    /// A client was answered: in calm it is the one to go on with.
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
