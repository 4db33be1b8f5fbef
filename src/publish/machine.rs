//! Decides which data are sent, when and in which order, and what follows from each reply; pure, like the core.
//!
//! One call to CloudWatch and one to the spool are in flight at a time. The newest minute is sent first: fresh data never waits
//! behind a backlog. A rollup is marked in the spool only after CloudWatch has accepted all its data. A crash between the two
//! sends it again (CloudWatch has no token that would prevent it); no crash loses it.

mod doubt;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use self::doubt::{Doubt, Heartbeat, Owner, Piece};
use super::datum::{self, DATA_PER_CALL};
use super::sink::{Datum, PutError, SpoolError};
use crate::backoff::Backoff;
use crate::catalogue::parts::MetricsNotice;
use crate::domain::names::VpnId;
use crate::domain::rollup::Rollup;
use crate::domain::time::{Moment, Now, Stamp};
use crate::health::{Code, Problem};

/// The minutes of all tunnels complete within moments of each other; a short wait puts them into one call.
const SETTLE: Duration = Duration::from_secs(2);
/// Up to this much is added at random: the gateways of a company must not all call at the same instant.
const SETTLE_SPREAD: Duration = Duration::from_secs(2);
/// A heartbeat never waits longer than this for the next call, whatever the interval.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);
/// Rollups read from the spool at a time: enough to fill a call.
const READ: usize = DATA_PER_CALL / 4;
/// Rollups kept in memory until they are sent; the spool has the others.
const WAITING_MAX: usize = 2_000;
/// Rollups remembered as delivered while the spool cannot be written. Beyond this number some may be sent twice.
const DELIVERED_MAX: usize = 20_000;
/// Rollups marked at a time.
const MARK: usize = 1_000;

/// Pause after a refusal that needs a person's action.
const DENIED_PAUSE: Duration = Duration::from_secs(60);
/// A failure that lasts this long becomes a problem in `/readyz`.
const FAILING_IS_A_PROBLEM: Duration = Duration::from_secs(300);
/// Data in doubt at a time: two full calls.
const DOUBT_MAX: usize = 2 * DATA_PER_CALL;

/// Settings of the publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishSettings {
    /// This gateway's name, for the dimension `Site`.
    pub site: Arc<str>,
    /// How often complete minutes are sent; 10 s to 5 min.
    pub interval: Duration,
    /// Seed of the random pauses; differs between daemons.
    pub seed: u64,
}

/// Input of the [`Publisher`].
#[derive(Debug)]
pub enum Event {
    /// A minute of a tunnel is complete.
    Ready(Arc<Rollup>),
    /// A minute of a connection in which both ends could vote.
    CouldVote {
        /// The connection.
        vpn: VpnId,
        /// The start of the minute.
        minute: Stamp,
        /// Whether some sink of this connection works and does not reject. Without one there is no heartbeat.
        can_page: bool,
    },
    /// The answer to [`Action::Put`].
    Put(Result<(), PutError>),
    /// The answer to [`Action::Read`].
    Read(Result<Vec<Arc<Rollup>>, SpoolError>),
    /// The answer to [`Action::Mark`].
    Marked(Result<(), SpoolError>),
    /// The daemon stops: calls in flight are finished, no new ones are made.
    Closing,
}

/// What the publisher wants the shell to do.
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
    /// Set the publisher's problem, or clear it.
    Problem(Option<Problem>),
    /// This many rollups, or single data of one, will never be sent.
    Dropped(u64),
    /// Warn the operator.
    Notice(MetricsNotice),
}

/// Input through [`Self::handle`] and [`Self::handle_timeout`], output through [`Self::poll_action`].
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
    /// Whether the spool may hold rollups that are not in memory.
    look: bool,
    /// Whether the operator was warned about minutes dated in the future, for those now in the spool.
    warned_of_future: bool,
    /// Whether to keep sending until nothing waits.
    sending: bool,
    /// When the next round of sending begins.
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
    /// A part of a batch that was refused.
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
    /// A publisher that first reads what an earlier run left in the spool.
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
            warned_of_future: false,
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

    /// Processes one input.
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

    /// Processes timers that have expired.
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

    /// When to call [`Self::handle_timeout`], and why.
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

    /// The next action; actions must be executed in this order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether, after [`Event::Closing`], nothing is in flight any more and everything sent is marked as such (unless the spool
    /// cannot be written).
    pub fn is_finished(&self) -> bool {
        let spool_done = match &self.spool {
            SpoolLane::Idle => self.delivered.is_empty(),
            SpoolLane::Resting { .. } => true,
            SpoolLane::Reading | SpoolLane::Marking(_) => false,
        };
        self.closing && self.flight.is_none() && spool_done && self.actions.is_empty()
    }

    fn ready(&mut self, rollup: Arc<Rollup>, clock: Clock) {
        // A minute that cannot be judged yet stays in the spool and is read from there later.
        if self.knows(&rollup) || clock.judge(rollup.minute) == Judgement::Undecided {
            return;
        }
        self.waiting.insert((Reverse(rollup.minute), rollup));
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_last();
        }
        self.begin_by(self.settings.interval, clock.now);
    }

    /// Plans a round: once the data of this moment have settled, but `interval` after the last round began.
    fn begin_by(&mut self, interval: Duration, now: Now) {
        let settled = now.mono + self.settle;
        // Minus the settling time: data that complete slightly earlier than last time must not wait a whole round more.
        let paced = self.last_begun.map_or(settled, |begun| begun + interval.saturating_sub(self.settle));
        let at = settled.max(paced);
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn knows(&self, rollup: &Arc<Rollup>) -> bool {
        let key = (Reverse(rollup.minute), Arc::clone(rollup));
        self.waiting.contains(&key) || self.delivered.contains(&key) || self.undecided.contains_key(rollup)
    }

    /// Starts every call that may start now.
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
                self.warned_of_future &= self.look;
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

    fn state(&mut self, problem: Option<Problem>) {
        if problem != self.problem {
            self.problem.clone_from(&problem);
            self.actions.push_back(Action::Problem(problem));
        }
    }

    //--- the data of a call, and its result

    /// The newest waiting rollup, or the newest part in doubt.
    fn next_batch(&mut self, clock: Clock) -> Option<Batch> {
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
                // It stays in the spool for later.
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
            self.actions.push_back(Action::Notice(MetricsNotice::TooOld(too_old)));
        }
        if wrong > 0 {
            self.actions.push_back(Action::Dropped(wrong));
            if !mem::replace(&mut self.warned_of_future, true) {
                self.actions.push_back(Action::Notice(MetricsNotice::InFuture));
            }
        }
        if pieces.is_empty() {
            self.doubt.next(now.wall).map(Batch::Part)
        } else {
            Some(Batch::Whole(pieces))
        }
    }

    fn replied(&mut self, reply: Result<(), PutError>, now: Now) {
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
                    self.state(Some(Problem::metrics_unreachable(&what)));
                }
            }
            Err(PutError::Denied { what }) => {
                self.give_back(batch);
                self.pause = Some(now.mono + DENIED_PAUSE);
                self.state(Some(Problem::of(Code::MetricsFailing, what)));
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
            self.state(Some(Problem::metrics_rejected(what)));
        }
    }

    fn drop_bad(&mut self, bad: &Piece, what: &str) {
        let Datum { name, dimensions, stamp, value, unit: _ } = &bad.datum;
        let named: Vec<_> = dimensions.iter().map(|(_, value)| value.as_str()).collect();
        self.actions.push_back(Action::Notice(MetricsNotice::Rejected {
            dimensions: named.join(" "),
            name,
            stamp: stamp.as_millis(),
            value: format!("{value:?}"),
            why: what.to_owned(),
        }));
        if matches!(bad.owner, Owner::Rollup(_)) {
            self.actions.push_back(Action::Dropped(1));
        }
        self.decide(&bad.owner);
    }

    /// One datum of `owner` was accepted or given up.
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

    /// The batch was refused for a reason that is not in the data.
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

/// CloudWatch accepts data up to two weeks old (PutMetricData, API Reference). The margin keeps out data that are about to pass
/// that age: one datum too old would spoil its batch.
const AGE_MAX: Duration = Duration::from_secs(14 * 24 * 3600 - 600);
/// A complete minute began at least a minute ago. A minute that began this far in the future was stamped by a clock that was
/// ahead: the margin is more than a slow answer can distort AWS's clock, and more than the minute by which ours may differ from
/// it.
const AHEAD_MAX: Duration = Duration::from_secs(120);

/// The time by which minutes are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The wall clock is AWS's once AWS has answered.
    pub now: Now,
    /// Whose wall clock `now` has.
    pub whose: Whose,
}

/// The source of a wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// AWS's, as of its last answer: CloudWatch accepts or refuses data by it.
    Aws,
    /// This host's, because AWS has not answered yet. It may be wrong by years, so it gives nothing up.
    Host,
}

/// Whether a minute may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Sendable,
    /// The minute's stamp or this host's clock is wrong: decided once AWS's clock is known.
    Undecided,
    /// CloudWatch no longer accepts it.
    TooOld,
    /// Stamped by a clock that was ahead.
    False,
}

impl Clock {
    fn judge(self, minute: Stamp) -> Judgement {
        let Self { now, whose } = self;
        let is_ahead = minute > now.wall + AHEAD_MAX;
        let is_too_old = now.wall.since(minute) > AGE_MAX;
        match whose {
            Whose::Aws if is_ahead => Judgement::False,
            Whose::Aws if is_too_old => Judgement::TooOld,
            Whose::Host if is_ahead || is_too_old => Judgement::Undecided,
            Whose::Aws | Whose::Host => Judgement::Sendable,
        }
    }

    /// The newest minute that can be judged now.
    fn read_until(self) -> Stamp {
        match self.whose {
            Whose::Aws => Stamp::from_millis(i64::MAX),
            Whose::Host => self.now.wall + AHEAD_MAX,
        }
    }
}
