//! What goes into a call, and what becomes of it.

use std::cmp::Reverse;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::doubt::{Owner, Piece};
use super::judgement::{Clock, Judgement};
use super::{Action, Batch, DELIVERED_MAX, Publisher, WAITING_MAX};
use crate::domain::rollup::Rollup;
use crate::domain::time::Now;
use crate::publish::datum::{self, DATA_PER_CALL};
use crate::publish::sink::{Datum, PutError};

/// A refusal that a person must mend is tried again this often.
const DENIED_PAUSE: Duration = Duration::from_secs(60);
/// Failing for this long is no hiccup any more.
const FAILING_IS_A_PROBLEM: Duration = Duration::from_secs(300);
/// Data in doubt at a time: two full calls.
const DOUBT_MAX: usize = 2 * DATA_PER_CALL;

impl Publisher {
    /// The newest of what waits, or of what is in doubt.
    pub(super) fn next_batch(&mut self, clock: Clock) -> Option<Batch> {
        let now = clock.now;
        self.heartbeats.retain(|heartbeat| heartbeat.is_live(now.wall));
        let waiting = self.waiting.first().map(|(Reverse(minute), _)| *minute);
        if self.heartbeats.is_empty()
            && waiting < self.doubt.newest()
            && let Some(part) = self.doubt.next(now.wall)
        {
            return Some(Batch::Part(part));
        }
        let mut pieces = Vec::new();
        while pieces.len() + 2 <= DATA_PER_CALL
            && let Some(heartbeat) = self.heartbeats.pop_last()
        {
            let data = datum::heartbeat(&heartbeat.vpn, &self.settings.site, heartbeat.minute);
            pieces.extend(data.map(|datum| Piece { datum, owner: Owner::Heartbeat(heartbeat.clone()) }));
        }
        let (mut too_old, mut wrong) = (0, 0);
        while let Some((Reverse(minute), rollup)) = self.waiting.pop_first() {
            match clock.judge(minute) {
                Judgement::Sendable => {}
                // The spool has it for later.
                Judgement::Undecided => continue,
                Judgement::TooOld => {
                    too_old += 1;
                    self.deliver(rollup);
                    continue;
                }
                Judgement::False => {
                    wrong += 1;
                    self.deliver(rollup);
                    continue;
                }
            }
            let data = datum::of_rollup(&rollup);
            if pieces.len() + data.len() > DATA_PER_CALL {
                self.waiting.insert((Reverse(minute), rollup));
                break;
            }
            if data.is_empty() {
                self.deliver(rollup);
                continue;
            }
            self.undecided.insert(Arc::clone(&rollup), data.len());
            pieces.extend(
                data.into_iter().map(|datum| Piece { datum, owner: Owner::Rollup(Arc::clone(&rollup)) }),
            );
        }
        if too_old > 0 {
            self.actions.push_back(Action::Dropped(too_old));
            self.actions.push_back(Action::Warn(format!(
                "{too_old} one-minute rollups are two weeks old by AWS's clock, the limit of CloudWatch; they are dropped"
            )));
        }
        if wrong > 0 {
            self.actions.push_back(Action::Dropped(wrong));
            if !mem::replace(&mut self.told_of_false, true) {
                self.actions.push_back(Action::Warn(
                    "this host's clock was ahead of AWS's: one-minute rollups dated in the future by AWS's clock \
                     are wrong and are dropped; bothends_rollups_dropped_total counts them"
                        .into(),
                ));
            }
        }
        if pieces.is_empty() {
            self.doubt.next(now.wall).map(Batch::Part)
        } else {
            Some(Batch::Whole(pieces))
        }
    }

    pub(super) fn replied(&mut self, reply: Result<(), PutError>, now: Now) {
        let Some(batch) = self.flight.take() else { return };
        match reply {
            Ok(()) => {
                let (Batch::Whole(pieces) | Batch::Part(pieces)) = batch;
                for piece in &pieces {
                    self.decide(&piece.owner);
                }
                self.doubt.taken();
                self.backoff.succeeded();
                self.failing_since = None;
                self.state(None);
            }
            Err(PutError::Temporary { what, throttled: _, source: _ }) => {
                self.give_back(batch);
                self.pause = Some(self.backoff.failed(now.mono, None));
                let since = *self.failing_since.get_or_insert(now.mono);
                if now.mono.since(since) >= FAILING_IS_A_PROBLEM {
                    self.state(Some(format!(
                        "CloudWatch has accepted no metrics for some minutes ({what}); they are kept and sent when it can be reached"
                    )));
                }
            }
            Err(PutError::Denied { what }) => {
                self.give_back(batch);
                self.pause = Some(now.mono + DENIED_PAUSE);
                self.state(Some(what));
            }
            Err(PutError::BadData { what }) => self.refused(batch, &what, now),
        }
    }

    fn refused(&mut self, batch: Batch, what: &str, now: Now) {
        let hopeless = match batch {
            Batch::Whole(pieces) if self.doubt.len() + pieces.len() > DOUBT_MAX => {
                self.give_back(Batch::Whole(pieces));
                true
            }
            Batch::Whole(_) | Batch::Part(_) => {
                if matches!(batch, Batch::Whole(_)) {
                    self.doubt.arises();
                }
                let (Batch::Whole(pieces) | Batch::Part(pieces)) = batch;
                if let Some(bad) = self.doubt.refused(pieces) {
                    self.drop_bad(&bad, what);
                }
                self.doubt.needs_rest()
            }
        };
        if hopeless {
            self.pause = Some(now.mono + DENIED_PAUSE);
            self.state(Some(format!(
                "CloudWatch rejects all metrics; they are kept and retried once a minute: {what}"
            )));
        }
    }

    fn drop_bad(&mut self, bad: &Piece, what: &str) {
        let Datum { name, dimensions, stamp, value, unit: _ } = &bad.datum;
        let named: Vec<_> = dimensions.iter().map(|(_, value)| value.as_str()).collect();
        self.actions.push_back(Action::Warn(format!(
            "{}: CloudWatch rejects the datum {name} of {} ms since 1970, {value:?}; it is dropped: {what}",
            named.join(" "),
            stamp.as_millis()
        )));
        if matches!(bad.owner, Owner::Rollup(_)) {
            self.actions.push_back(Action::Dropped(1));
        }
        self.decide(&bad.owner);
    }

    /// One datum of `owner` has been taken or given up.
    fn decide(&mut self, owner: &Owner) {
        let Owner::Rollup(rollup) = owner else { return };
        let Some(left) = self.undecided.get_mut(rollup) else { return };
        *left -= 1;
        if *left == 0 {
            self.undecided.remove(rollup);
            self.deliver(Arc::clone(rollup));
        }
    }

    fn deliver(&mut self, rollup: Arc<Rollup>) {
        self.delivered.insert((Reverse(rollup.minute), rollup));
        if self.delivered.len() > DELIVERED_MAX {
            self.delivered.pop_last();
        }
    }

    /// The batch was not taken, through no fault of the data.
    fn give_back(&mut self, batch: Batch) {
        match batch {
            Batch::Whole(pieces) => {
                for piece in pieces {
                    match piece.owner {
                        Owner::Rollup(rollup) => {
                            self.undecided.remove(&rollup);
                            self.waiting.insert((Reverse(rollup.minute), rollup));
                        }
                        Owner::Heartbeat(heartbeat) => {
                            self.heartbeats.insert(heartbeat);
                        }
                    }
                }
                while self.waiting.len() > WAITING_MAX {
                    self.waiting.pop_last();
                }
            }
            Batch::Part(pieces) => self.doubt.put_back(pieces),
        }
    }
}
