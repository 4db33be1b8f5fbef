//! The order and rate of calls: one budget per service and Region, shared by all its sinks.
//!
//! AWS throttles an account and does not publish its limits. So the rate is found by trying: halved when AWS throttles, raised
//! slowly while it does not. Urgent calls go first: in an outage of many connections, a start never waits behind a note or a
//! look-up. Equals go in order of arrival. An incident has one action in flight at a time, so no connection crowds out another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock;
use crate::domain::time::Moment;

/// Calls per second: at first, at least and at most. AWS's lowest limits are about one per second.
const FIRST_RATE: f64 = 20.0;
const LOWEST_RATE: f64 = 1.0;
const HIGHEST_RATE: f64 = 50.0;
/// The rate is raised by one call per second after this time without throttling.
const RAISED_AFTER: Duration = Duration::from_secs(2);
/// Calls in flight together are throttled together: the rate is halved once for all of them.
const HALVED_ONCE_IN: Duration = Duration::from_secs(1);
/// Calls in flight: in total, and of those other than starts. A network that swallows packets must not block a start behind
/// hanging look-ups.
const MOST_UNDER_WAY: usize = 16;
const MOST_BESIDE_STARTS: usize = 12;
/// The longest wait for a turn. After it the call is retried like a throttled one; the rest of an action's time limit is enough
/// for the call itself.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// The purpose of a call, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// A page, or a read that a page waits for.
    Start,
    /// Resolving a record, and the reads before it.
    Resolve,
    /// Updates of an open record.
    Note,
    /// Nothing waits for it.
    LookUp,
}

/// A waiting call; ordered by turn.
type Ticket = (Urgency, u64);

/// The answer to "which call may go now?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextCall {
    Go(Ticket),
    /// None before this time.
    At(Moment),
    /// None until a call ends or another arrives.
    Nothing,
}

/// The pure part: takes times, gives tickets.
#[derive(Debug)]
struct Budget {
    rate: f64,
    /// How many calls may go at once.
    calls: f64,
    counted: Moment,
    eased: Moment,
    halved: Option<Moment>,
    under_way: BTreeMap<Ticket, ()>,
    waiting: BTreeMap<Ticket, ()>,
    next_ticket: u64,
}

impl Budget {
    fn new(now: Moment) -> Self {
        Self {
            rate: FIRST_RATE,
            calls: FIRST_RATE,
            counted: now,
            eased: now,
            halved: None,
            under_way: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next_ticket: 0,
        }
    }

    fn join(&mut self, urgency: Urgency) -> Ticket {
        let ticket = (urgency, self.next_ticket);
        self.next_ticket += 1;
        self.waiting.insert(ticket, ());
        ticket
    }

    fn next(&mut self, now: Moment) -> NextCall {
        self.count(now);
        let Some((&ticket, ())) = self.waiting.first_key_value() else { return NextCall::Nothing };
        let beside = self.under_way.keys().filter(|(urgency, _)| *urgency != Urgency::Start).count();
        let full = self.under_way.len() >= MOST_UNDER_WAY
            || (ticket.0 != Urgency::Start && beside >= MOST_BESIDE_STARTS);
        if full {
            return NextCall::Nothing;
        }
        if self.calls < 1.0 {
            return NextCall::At(now + Duration::from_secs_f64((1.0 - self.calls) / self.rate));
        }
        self.calls -= 1.0;
        self.waiting.remove(&ticket);
        self.under_way.insert(ticket, ());
        NextCall::Go(ticket)
    }

    fn count(&mut self, now: Moment) {
        let elapsed = now.since(self.counted).as_secs_f64();
        self.counted = now;
        self.calls = (self.calls + elapsed * self.rate).min(self.rate);
        while now.since(self.eased) >= RAISED_AFTER && self.rate < HIGHEST_RATE {
            self.rate = (self.rate + 1.0).min(HIGHEST_RATE);
            self.eased = self.eased + RAISED_AFTER;
        }
    }

    /// A call ended or gave up waiting.
    fn left(&mut self, ticket: Ticket) {
        self.under_way.remove(&ticket);
        self.waiting.remove(&ticket);
    }

    fn throttled(&mut self, now: Moment) {
        self.count(now);
        self.eased = now;
        if self.halved.is_none_or(|halved| now.since(halved) >= HALVED_ONCE_IN) {
            self.halved = Some(now);
            self.rate = (self.rate / 2.0).max(LOWEST_RATE);
            self.calls = self.calls.min(0.0);
        }
    }
}

/// A service in a Region.
type Where = (&'static str, Option<Arc<str>>);

/// The budgets of the process.
#[derive(Debug, Clone, Default)]
pub(super) struct Budgets(Arc<Mutex<BTreeMap<Where, Arc<SharedBudget>>>>);

impl Budgets {
    pub(super) fn of(&self, service: &'static str, region: Option<Arc<str>>) -> Arc<SharedBudget> {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(budgets.entry((service, region)).or_default())
    }
}

/// A budget and the calls that wait for their turn.
#[derive(Debug)]
pub(super) struct SharedBudget(Mutex<CallQueue>);

#[derive(Debug)]
struct CallQueue {
    budget: Budget,
    callers: BTreeMap<Ticket, oneshot::Sender<()>>,
}

impl Default for SharedBudget {
    fn default() -> Self {
        let budget = Budget::new(clock::now().mono);
        Self(Mutex::new(CallQueue { budget, callers: BTreeMap::new() }))
    }
}

impl SharedBudget {
    fn with<T>(&self, change: impl FnOnce(&mut CallQueue) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets calls go whose turn it is. Returns when to look again.
    fn serve(&self) -> Option<Moment> {
        self.with(|queue| {
            loop {
                match queue.budget.next(clock::now().mono) {
                    NextCall::Go(ticket) => {
                        if let Some(caller) = queue.callers.remove(&ticket) {
                            // A call that gave up leaves the queue by itself.
                            let _ = caller.send(());
                        }
                    }
                    NextCall::At(at) => return Some(at),
                    NextCall::Nothing => return None,
                }
            }
        })
    }

    /// Waits for a turn; `None` if it did not come in time.
    pub(super) async fn turn(self: Arc<Self>, urgency: Urgency) -> Option<Turn> {
        let (go, mut gone) = oneshot::channel();
        let ticket = self.with(|queue| {
            let ticket = queue.budget.join(urgency);
            queue.callers.insert(ticket, go);
            ticket
        });
        let turn = Turn { budget: Arc::clone(&self), ticket };
        let given_up = clock::now().mono + LONGEST_WAIT;
        loop {
            // Each waiting call wakes when the next may go, and again whenever a call ends.
            let again = self.serve().map_or(given_up, |at| at.min(given_up));
            tokio::select! {
                biased;
                _ = &mut gone => return Some(turn),
                () = tokio::time::sleep_until(clock::timer_at(again)) => {}
            }
            if clock::now().mono >= given_up {
                return None;
            }
        }
    }
}

/// A turn; ends when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    budget: Arc<SharedBudget>,
    ticket: Ticket,
}

impl Turn {
    /// Reports that AWS throttled the call.
    pub(super) fn throttled(&self) {
        self.budget.with(|queue| queue.budget.throttled(clock::now().mono));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.budget.with(|queue| {
            queue.budget.left(self.ticket);
            queue.callers.remove(&self.ticket);
        });
        self.budget.serve();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: f64) -> Moment {
        Moment::ORIGIN + Duration::from_secs_f64(seconds)
    }

    /// The calls that may go at a moment if each ends at once.
    fn goes(budget: &mut Budget, now: Moment) -> Vec<Ticket> {
        let mut gone = Vec::new();
        while let NextCall::Go(ticket) = budget.next(now) {
            budget.left(ticket);
            gone.push(ticket);
        }
        gone
    }

    #[test]
    fn starts_precede_ends_precede_notes_precede_look_ups_and_equals_go_in_order() {
        let mut budget = Budget::new(at(0.0));
        let order = [Urgency::LookUp, Urgency::Note, Urgency::Start, Urgency::Resolve, Urgency::Start];
        let tickets: Vec<Ticket> = order.into_iter().map(|urgency| budget.join(urgency)).collect();
        assert_eq!(goes(&mut budget, at(0.0)), [2, 4, 3, 1, 0].map(|index| tickets[index]));
    }

    #[test]
    fn no_more_calls_go_than_the_rate_allows_and_the_next_time_is_given() {
        let mut budget = Budget::new(at(0.0));
        for _ in 0..100 {
            budget.join(Urgency::Note);
        }
        assert_eq!(goes(&mut budget, at(0.0)).len(), 20);
        let NextCall::At(next) = budget.next(at(0.0)) else { panic!("more than its pace") };
        assert!(next > at(0.04) && next < at(0.06), "{next:?}");
        assert_eq!(goes(&mut budget, at(1.0)).len(), 20);
    }

    #[test]
    fn the_rate_is_halved_once_for_calls_throttled_together_and_raised_slowly() {
        let mut budget = Budget::new(at(0.0));
        for _ in 0..10 {
            budget.throttled(at(1.0));
        }
        assert!((budget.rate - 10.0).abs() < 0.01, "{}", budget.rate);
        assert_eq!(goes(&mut budget, at(1.0)), []);
        budget.throttled(at(2.5));
        assert!((budget.rate - 5.0).abs() < 0.01, "{}", budget.rate);
        budget.count(at(22.5));
        assert!((budget.rate - 15.0).abs() < 0.01, "{}", budget.rate);
        for second in 23..100 {
            budget.throttled(at(f64::from(second)));
        }
        assert!(budget.rate >= LOWEST_RATE && budget.rate < 1.1);
    }

    #[test]
    fn under_a_limit_nearly_all_calls_that_fit_succeed_and_few_are_throttled() {
        let mut budget = Budget::new(at(0.0));
        for _ in 0..10_000 {
            budget.join(Urgency::Note);
        }
        // Ten calls per second; further calls in the same second are throttled.
        let (mut accepted, mut refused) = (0, 0);
        for second in 0..100 {
            let mut left = 10;
            for tenth in 0..10 {
                let now = at(f64::from(second) + f64::from(tenth) / 10.0);
                for _ in goes(&mut budget, now) {
                    if left > 0 {
                        left -= 1;
                        accepted += 1;
                    } else {
                        refused += 1;
                        budget.throttled(now);
                    }
                }
            }
        }
        assert!(accepted >= 600 && refused <= accepted / 5, "{accepted} accepted, {refused} throttled");
    }

    #[test]
    fn calls_that_hang_leave_room_for_a_start() {
        let mut budget = Budget::new(at(0.0));
        let mut hung = 0;
        for _ in 0..100 {
            budget.join(Urgency::LookUp);
        }
        for second in 0..100 {
            while let NextCall::Go(_) = budget.next(at(f64::from(second))) {
                hung += 1;
            }
        }
        assert_eq!(hung, MOST_BESIDE_STARTS);
        let start = budget.join(Urgency::Start);
        assert_eq!(budget.next(at(100.0)), NextCall::Go(start));
    }

    #[tokio::test]
    async fn an_abandoned_or_finished_turn_lets_the_next_go() {
        let shared = Arc::new(SharedBudget::default());
        let mut held = Vec::new();
        for _ in 0..MOST_BESIDE_STARTS {
            held.push(Arc::clone(&shared).turn(Urgency::Note).await.unwrap());
        }
        let waiting = tokio::spawn(Arc::clone(&shared).turn(Urgency::Note));
        let given_up = tokio::spawn(Arc::clone(&shared).turn(Urgency::Resolve));
        tokio::task::yield_now().await;
        given_up.abort();
        assert!(given_up.await.is_err());
        held.pop();
        assert!(tokio::time::timeout(20 * SECOND, waiting).await.unwrap().unwrap().is_some());
    }
}
