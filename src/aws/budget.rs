//! Which call goes next, and how fast: one budget per service and Region, which every sink there shares.
//!
//! AWS throttles an account and does not say where its limits are. So the pace is found: halved when AWS throttles, and
//! raised slowly while it does not. Within it what is urgent goes first: in an outage of many connections at once a
//! start waits for no note and no look-up. Among equals the first goes first, and as an incident has one action under way at
//! a time, no connection takes another's turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock;
use crate::domain::time::Moment;

/// Calls a second at first, at least and at most. AWS's lowest limits are at one a second or so.
const FIRST_RATE: f64 = 20.0;
const LOWEST_RATE: f64 = 1.0;
const HIGHEST_RATE: f64 = 50.0;
/// The pace is raised by one call a second after so long without being throttled.
const RAISED_AFTER: Duration = Duration::from_secs(2);
/// Calls that were under way together are throttled together: that halves the pace once.
const HALVED_ONCE_IN: Duration = Duration::from_secs(1);
/// Calls under way at a time, of all and of those that are no start: a path that swallows calls must not hold up a start behind
/// look-ups that hang.
const MOST_UNDER_WAY: usize = 16;
const MOST_BESIDE_STARTS: usize = 12;
/// A call waits no longer for its turn. It is then tried again as any call that was throttled, and the rest of its time is
/// enough for the call itself before its action is given up.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// What a call is for, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// A page, or what one waits for.
    Start,
    /// The end of one, and what must be read before.
    Resolve,
    /// The story goes on.
    Note,
    /// Nobody waits for it.
    LookUp,
}

/// Names a call that waits, in the order in which they go.
type Ticket = (Urgency, u64);

/// What may go next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextCall {
    Go(Ticket),
    /// Nothing before then.
    At(Moment),
    /// Nothing until a call ends, or another comes.
    Nothing,
}

/// The pure part: time comes in, and tickets go out.
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

    /// A call has ended, or is not waited for any more.
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

/// Every budget of the process.
#[derive(Debug, Clone, Default)]
pub(super) struct Budgets(Arc<Mutex<BTreeMap<Where, Arc<SharedBudget>>>>);

impl Budgets {
    pub(super) fn of(&self, service: &'static str, region: Option<Arc<str>>) -> Arc<SharedBudget> {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(budgets.entry((service, region)).or_default())
    }
}

/// A budget, and those who wait for their turn.
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

    /// Lets whoever may go go; when to look again.
    fn serve(&self) -> Option<Moment> {
        self.with(|queue| {
            loop {
                match queue.budget.next(clock::now().mono) {
                    NextCall::Go(ticket) => {
                        if let Some(caller) = queue.callers.remove(&ticket) {
                            // One that has given up leaves by itself.
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
            // Each that waits looks when the next may go, and whoever ends looks as well.
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

/// A turn; it ends with this.
#[derive(Debug)]
pub(super) struct Turn {
    budget: Arc<SharedBudget>,
    ticket: Ticket,
}

impl Turn {
    /// AWS has throttled a call.
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

    /// What goes at a moment, each call ended at once.
    fn goes(budget: &mut Budget, now: Moment) -> Vec<Ticket> {
        let mut gone = Vec::new();
        while let NextCall::Go(ticket) = budget.next(now) {
            budget.left(ticket);
            gone.push(ticket);
        }
        gone
    }

    #[test]
    fn starts_go_before_ends_before_notes_before_look_ups_and_among_equals_the_first() {
        let mut budget = Budget::new(at(0.0));
        let order = [Urgency::LookUp, Urgency::Note, Urgency::Start, Urgency::Resolve, Urgency::Start];
        let tickets: Vec<Ticket> = order.into_iter().map(|urgency| budget.join(urgency)).collect();
        assert_eq!(goes(&mut budget, at(0.0)), [2, 4, 3, 1, 0].map(|index| tickets[index]));
    }

    #[test]
    fn no_more_go_than_the_pace_allows_and_it_says_when_the_next_may() {
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
    fn the_pace_is_halved_once_for_calls_that_were_throttled_together_and_raised_slowly() {
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
    fn against_a_limit_nearly_all_calls_that_fit_get_through_and_few_are_throttled() {
        let mut budget = Budget::new(at(0.0));
        for _ in 0..10_000 {
            budget.join(Urgency::Note);
        }
        // Ten calls a second: what comes beyond that in a second is throttled.
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
    async fn a_turn_that_is_given_up_or_over_gives_way_to_the_next() {
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
