//! Finds the datum that CloudWatch will never accept among those it accepts.
//!
//! `PutMetricData` accepts a batch or refuses it as a whole. A refused batch is halved until the bad datum stands alone; that
//! datum is dropped, the others are sent. But a service that refuses *everything* rejects us (a namespace, an endpoint), not the
//! data. Therefore a single datum is only suspect until something else has been accepted, and many refusals in a row cause a
//! pause.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::names::VpnId;
use crate::domain::rollup::Rollup;
use crate::domain::time::Stamp;
use crate::publish::sink::Datum;

/// A heartbeat says that in a minute that has just ended this daemon could have voted and paged. Sent later it would be history,
/// and would calm an alarm that waits for it after the event.
const HEARTBEAT_TTL: Duration = Duration::from_secs(180);

/// After this many refusals in a row the data are not the reason. Halving a full call down to one datum takes ten.
const REFUSALS_MAX: u32 = 32;

/// A heartbeat waiting to be sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Heartbeat {
    pub(super) minute: Stamp,
    pub(super) vpn: VpnId,
}

impl Heartbeat {
    pub(super) fn is_live(&self, wall: Stamp) -> bool {
        wall.since(self.minute) <= HEARTBEAT_TTL && self.minute <= wall
    }
}

/// What a datum belongs to.
#[derive(Debug, Clone)]
pub(super) enum Owner {
    Rollup(Arc<Rollup>),
    Heartbeat(Heartbeat),
}

/// One datum and its owner.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) datum: Datum,
    pub(super) owner: Owner,
}

impl Piece {
    fn is_live(&self, wall: Stamp) -> bool {
        match &self.owner {
            Owner::Rollup(_) => true,
            Owner::Heartbeat(heartbeat) => heartbeat.is_live(wall),
        }
    }
}

/// Data that were refused together and are not yet sorted out.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// The parts to try next, in this order.
    parts: VecDeque<Vec<Piece>>,
    /// Refused alone, while nothing else had been accepted.
    suspects: Vec<Piece>,
    /// Whether anything was accepted since doubt arose.
    taken: bool,
    refusals_in_row: u32,
}

impl Doubt {
    /// The number of data in doubt.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(Vec::len).sum::<usize>() + self.suspects.len()
    }

    /// The newest minute in the next part.
    pub(super) fn newest(&self) -> Option<Stamp> {
        self.parts.front().and_then(|part| part.iter().map(|piece| piece.datum.stamp).max())
    }

    /// The next part to try, without heartbeats that are too old at `wall`.
    pub(super) fn next(&mut self, wall: Stamp) -> Option<Vec<Piece>> {
        while let Some(mut part) = self.parts.pop_front() {
            part.retain(|piece| piece.is_live(wall));
            if !part.is_empty() {
                return Some(part);
            }
        }
        None
    }

    /// Puts back a part that could not be tried.
    pub(super) fn put_back(&mut self, part: Vec<Piece>) {
        self.parts.push_front(part);
    }

    /// CloudWatch accepted something: what it still refuses is bad.
    pub(super) fn taken(&mut self) {
        self.taken = true;
        self.refusals_in_row = 0;
        self.parts.extend(mem::take(&mut self.suspects).into_iter().map(|suspect| vec![suspect]));
    }

    /// Data outside the doubt were refused: until something is accepted again, CloudWatch may be refusing everything.
    pub(super) fn arises(&mut self) {
        self.taken = false;
    }

    /// CloudWatch refused these data together. Returns the bad datum if it is certain.
    pub(super) fn refused(&mut self, mut pieces: Vec<Piece>) -> Option<Piece> {
        self.refusals_in_row += 1;
        if pieces.len() > 1 {
            let rest = pieces.split_off(pieces.len() / 2);
            self.parts.push_front(rest);
            self.parts.push_front(pieces);
            return None;
        }
        let alone = pieces.pop()?;
        if self.taken {
            Some(alone)
        } else {
            self.suspects.push(alone);
            None
        }
    }

    /// Whether to pause: everything that can be tried was refused, or too much in a row. What is in doubt stays in doubt, in
    /// another order.
    pub(super) fn needs_rest(&mut self) -> bool {
        let exhausted = self.parts.is_empty() && !self.suspects.is_empty();
        if exhausted {
            self.parts.push_back(mem::take(&mut self.suspects));
        } else if self.refusals_in_row < REFUSALS_MAX {
            return false;
        }
        self.refusals_in_row = 0;
        self.taken = false;
        self.parts.rotate_left(usize::from(self.parts.len() > 1));
        true
    }
}
