//! What is sent when, in what order, and what becomes of it; pure, like the core.
//!
//! One call to CloudWatch and one to the spool are under way at a time. What waits is sent newest minute first, so that
//! fresh data never waits behind a backlog. A rollup is marked in the spool only after CloudWatch has taken all its data:
//! a crash between the two sends it again (CloudWatch has no token that would prevent it), never not at all.

mod doubt;
mod judgement;
mod sending;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use self::doubt::{Doubt, Heartbeat, Piece};
use self::judgement::Judgement;
pub use self::judgement::{Clock, Whose};
use super::datum::DATA_PER_CALL;
use super::sink::{Datum, PutError, SpoolError};
use crate::backoff::Backoff;
use crate::domain::names::VpnId;
use crate::domain::rollup::Rollup;
use crate::domain::time::{Moment, Now, Stamp};
use crate::health::{Code, Problem};

/// The minutes of all tunnels become complete within moments of each other; waiting a little makes them one call.
const SETTLE: Duration = Duration::from_secs(2);
/// Spread over this much more, so that the gateways of a company do not all call at the same instant.
const SETTLE_SPREAD: Duration = Duration::from_secs(2);
/// A heartbeat never waits longer than this for the next call, whatever the interval.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);
/// Rollups read from the spool at a time: as many as fill a call.
const READ: usize = DATA_PER_CALL / 4;
/// Rollups kept in memory until they are sent; the spool has the others.
const WAITING_MAX: usize = 2_000;
/// Rollups remembered as delivered while the spool cannot be written. Of those beyond it some may be sent twice.
const DELIVERED_MAX: usize = 20_000;
/// Rollups marked at a time.
const MARK: usize = 1_000;

/// What the publisher goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishSettings {
    /// This gateway's name, for the dimension `Site`.
    pub site: Arc<str>,
    /// How often what is complete is sent; 10 s to 5 min.
    pub interval: Duration,
    /// Makes this daemon's pauses differ from another's.
    pub seed: u64,
}

/// What the publisher is told.
#[derive(Debug)]
pub enum Event {
    /// A minute of a tunnel is complete.
    Ready(Arc<Rollup>),
    /// A minute of a connection that could have been decided on.
    CouldVote {
        /// The connection.
        vpn: VpnId,
        /// The start of the minute.
        minute: Stamp,
        /// Whether some sink that takes the connection does not reject and could be used. Without one there is no heartbeat.
        can_page: bool,
    },
    /// The answer to [`Action::Put`].
    Put(Result<(), PutError>),
    /// The answer to [`Action::Read`].
    Read(Result<Vec<Arc<Rollup>>, SpoolError>),
    /// The answer to [`Action::Mark`].
    Marked(Result<(), SpoolError>),
    /// The daemon stops: what is under way is brought to its end, nothing else is begun.
    Closing,
}

/// What the publisher wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send these data, at most [`DATA_PER_CALL`]; answer with [`Event::Put`].
    Put(Arc<[Datum]>),
    /// Read the spool; answer with [`Event::Read`].
    Read {
        /// No minute that began after this.
        until: Stamp,
        /// No more rollups than this.
        limit: usize,
    },
    /// Mark these as sent in the spool; answer with [`Event::Marked`].
    Mark(Arc<[Arc<Rollup>]>),
    /// State the publisher's problem, or take it back.
    Problem(Option<Problem>),
    /// So many rollups, or single data of one, will never be sent.
    Dropped(u64),
    /// Tell people.
    Warn(String),
}

/// The machine.
#[derive(Debug)]
pub struct Publisher {
    settings: PublishSettings,
    settle: Duration,
    /// To be sent, newest minute first.
    waiting: BTreeSet<Newest>,
    heartbeats: BTreeSet<Heartbeat>,
    doubt: Doubt,
    flight: Option<Batch>,
    /// Rollups in flight or in doubt, with how many of their data are undecided.
    undecided: BTreeMap<Arc<Rollup>, usize>,
    /// To be marked in the spool, oldest last.
    delivered: BTreeSet<Newest>,
    spool: SpoolLane,
    /// Whether the spool may hold rollups that are not known here.
    look: bool,
    /// Whether it has been told that minutes are false, of those that the spool holds at present.
    told_of_false: bool,
    /// Whether what waits is to be sent, until nothing waits.
    sending: bool,
    /// When the next sending begins.
    due: Option<Moment>,
    last_begun: Option<Moment>,
    pause: Option<Moment>,
    backoff: Backoff,
    failing_since: Option<Moment>,
    problem: Option<Problem>,
    closing: bool,
    actions: VecDeque<Action>,
}

/// A rollup in the order of sending: newest minute first.
type Newest = (Reverse<Stamp>, Arc<Rollup>);

/// What one call carries.
#[derive(Debug)]
enum Batch {
    /// Whole rollups and heartbeats.
    Whole(Vec<Piece>),
    /// A part of what was refused.
    Part(Vec<Piece>),
}

#[derive(Debug, PartialEq, Eq)]
enum SpoolLane {
    Idle,
    Reading,
    Marking(Arc<[Arc<Rollup>]>),
    Resting { until: Moment },
}

impl Publisher {
    /// A publisher that first looks for what an earlier run left in the spool.
    pub fn new(settings: PublishSettings, now: Now) -> Self {
        let mut backoff = Backoff::new(settings.seed);
        let settle = SETTLE + backoff.draw(SETTLE_SPREAD);
        Self {
            settings,
            settle,
            waiting: BTreeSet::new(),
            heartbeats: BTreeSet::new(),
            doubt: Doubt::default(),
            flight: None,
            undecided: BTreeMap::new(),
            delivered: BTreeSet::new(),
            spool: SpoolLane::Idle,
            look: false,
            told_of_false: false,
            sending: false,
            due: Some(now.mono + settle),
            last_begun: None,
            pause: None,
            backoff,
            failing_since: None,
            problem: None,
            closing: false,
            actions: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, clock: Clock) {
        let now = clock.now;
        match event {
            Event::Ready(rollup) => self.ready(rollup, clock),
            Event::CouldVote { vpn, minute, can_page: true } => {
                self.heartbeats.insert(Heartbeat { minute, vpn });
                self.begin_by(self.settings.interval.min(HEARTBEAT_INTERVAL), now);
            }
            Event::CouldVote { can_page: false, .. } => {}
            Event::Put(reply) => self.replied(reply, now),
            Event::Read(found) => self.found(found, clock),
            Event::Marked(done) => self.marked(done, now),
            Event::Closing => self.closing = true,
        }
        self.advance(clock);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, clock: Clock) {
        let now = clock.now;
        if self.due.is_some_and(|due| due <= now.mono) {
            self.due = None;
            self.last_begun = Some(now.mono);
            self.sending = true;
            self.look = true;
        }
        if self.pause.is_some_and(|until| until <= now.mono) {
            self.pause = None;
        }
        if matches!(self.spool, SpoolLane::Resting { until } if until <= now.mono) {
            self.spool = SpoolLane::Idle;
        }
        self.advance(clock);
    }

    /// When [`Self::handle_timeout`] is to be called, and why.
    pub fn poll_timeout(&self) -> Option<(Moment, &'static str)> {
        if self.closing {
            return None;
        }
        let due = self.due.map(|at| (at, "publish"));
        let pause = self.pause.map(|at| (at, "try CloudWatch again"));
        let rest = match &self.spool {
            SpoolLane::Resting { until } => Some((*until, "try the spool again")),
            SpoolLane::Idle | SpoolLane::Reading | SpoolLane::Marking(_) => None,
        };
        [due, pause, rest].into_iter().flatten().min()
    }

    /// The next thing to be done, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether, after [`Event::Closing`], nothing is under way any more and everything sent is marked as such (unless
    /// the spool cannot be written).
    pub fn is_finished(&self) -> bool {
        let spool_done = match &self.spool {
            SpoolLane::Idle => self.delivered.is_empty(),
            SpoolLane::Resting { .. } => true,
            SpoolLane::Reading | SpoolLane::Marking(_) => false,
        };
        self.closing && self.flight.is_none() && spool_done && self.actions.is_empty()
    }

    fn ready(&mut self, rollup: Arc<Rollup>, clock: Clock) {
        // One that cannot be judged is in the spool, and will be found there when it can be.
        if self.knows(&rollup) || clock.judge(rollup.minute) == Judgement::Undecided {
            return;
        }
        self.waiting.insert((Reverse(rollup.minute), rollup));
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_last();
        }
        self.begin_by(self.settings.interval, clock.now);
    }

    /// Plans a sending: when the data of this moment have settled, but `interval` after the last one began.
    fn begin_by(&mut self, interval: Duration, now: Now) {
        let settled = now.mono + self.settle;
        // Less the settling, so that data that come a little earlier than the last time still go a round, not a round later.
        let paced = self.last_begun.map_or(settled, |begun| begun + interval.saturating_sub(self.settle));
        let at = settled.max(paced);
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn knows(&self, rollup: &Arc<Rollup>) -> bool {
        let key = (Reverse(rollup.minute), Arc::clone(rollup));
        self.waiting.contains(&key) || self.delivered.contains(&key) || self.undecided.contains_key(rollup)
    }

    /// Begins whatever can begin.
    fn advance(&mut self, clock: Clock) {
        if self.closing {
            self.sending = false;
        }
        if self.sending && self.flight.is_none() && self.pause.is_none() {
            match self.next_batch(clock) {
                Some(batch) => {
                    let (Batch::Whole(pieces) | Batch::Part(pieces)) = &batch;
                    self.actions
                        .push_back(Action::Put(pieces.iter().map(|piece| piece.datum.clone()).collect()));
                    self.flight = Some(batch);
                }
                None => self.sending = false,
            }
        }
        if self.spool != SpoolLane::Idle {
            return;
        }
        if !self.delivered.is_empty() {
            let mark: Arc<[_]> =
                self.delivered.iter().take(MARK).map(|(_, rollup)| Arc::clone(rollup)).collect();
            self.actions.push_back(Action::Mark(Arc::clone(&mark)));
            self.spool = SpoolLane::Marking(mark);
        } else if self.look && !self.sending && !self.closing && self.flight.is_none() && self.pause.is_none()
        {
            self.spool = SpoolLane::Reading;
            let limit = READ + self.undecided.len() + self.waiting.len();
            self.actions.push_back(Action::Read { until: clock.read_until(), limit });
        }
    }

    fn found(&mut self, found: Result<Vec<Arc<Rollup>>, SpoolError>, clock: Clock) {
        match found {
            Ok(rollups) => {
                self.spool = SpoolLane::Idle;
                self.look = false;
                for rollup in rollups {
                    if !self.knows(&rollup) && clock.judge(rollup.minute) != Judgement::Undecided {
                        self.waiting.insert((Reverse(rollup.minute), rollup));
                        self.look = true;
                        self.sending = true;
                    }
                }
                self.told_of_false &= self.look;
            }
            Err(error) => self.spool = SpoolLane::Resting { until: clock.now.mono + error.retry_after },
        }
    }

    fn marked(&mut self, done: Result<(), SpoolError>, now: Now) {
        match done {
            Ok(()) => {
                if let SpoolLane::Marking(marked) = mem::replace(&mut self.spool, SpoolLane::Idle) {
                    for rollup in marked.iter() {
                        self.delivered.remove(&(Reverse(rollup.minute), Arc::clone(rollup)));
                    }
                }
            }
            Err(error) => self.spool = SpoolLane::Resting { until: now.mono + error.retry_after },
        }
    }

    fn state(&mut self, text: Option<String>) {
        let problem = text.map(|text| Problem::new(Code::MetricsFailing, text));
        if problem != self.problem {
            self.problem.clone_from(&problem);
            self.actions.push_back(Action::Problem(problem));
        }
    }
}
