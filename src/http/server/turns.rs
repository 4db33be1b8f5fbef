//! Turns of large answers: how many are in memory at a time, however many clients ask.
//!
//! An answer takes milliseconds to make, and a client in good order reads it at once. So the others wait in order of arrival, and
//! one who does not read gives way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::slots::lock;

/// An answer up to this size needs no turn of its own: as much as the buffers of its connection.
pub(super) const SMALL: u64 = 64 * 1024;

/// A turn, until it is dropped.
pub(super) type Turn = OwnedSemaphorePermit;

/// The turns.
#[derive(Debug)]
pub(super) struct Turns {
    free: Arc<Semaphore>,
    demand: Mutex<Demand>,
    grown: Notify,
}

/// Who waits for a turn.
#[derive(Debug, Default)]
struct Demand {
    waiting: usize,
    /// Of these, those for whom nobody has given way yet.
    unserved: usize,
}

impl Turns {
    pub(super) fn new(turns: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(turns)), demand: Mutex::default(), grown: Notify::new() }
    }

    /// A turn; `None` if there was none within this time.
    pub(super) async fn take(&self, within: Duration) -> Option<Turn> {
        if let Ok(turn) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(turn);
        }
        let _waits = Waits::new(self);
        timeout(within, Arc::clone(&self.free).acquire_owned()).await.ok()?.ok()
    }

    /// Completes when somebody waits for a turn and nobody else has given way. The caller has to drop its turn then.
    pub(super) async fn wanted(&self) {
        loop {
            let grown = self.grown.notified();
            {
                let mut demand = lock(&self.demand);
                if demand.unserved > 0 {
                    demand.unserved -= 1;
                    return;
                }
            }
            grown.await;
        }
    }
}

/// Counts one who waits, until it is dropped.
struct Waits<'t>(&'t Turns);

impl<'t> Waits<'t> {
    fn new(turns: &'t Turns) -> Self {
        let mut demand = lock(&turns.demand);
        demand.waiting += 1;
        demand.unserved += 1;
        drop(demand);
        turns.grown.notify_waiters();
        Self(turns)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut demand = lock(&self.0.demand);
        demand.waiting -= 1;
        demand.unserved = demand.unserved.min(demand.waiting);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Whether it completes without waiting for anything.
    fn is_ready(future: impl Future) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn for_each_who_waits_one_gives_way_and_not_all_of_them() {
        let turns = Turns::new(2);
        let (first, second) = (turns.take(LONG).await.unwrap(), turns.take(LONG).await.unwrap());
        assert!(!is_ready(turns.wanted()), "nobody waits");
        let mut waits = pin!(turns.take(LONG));
        assert!(!is_ready(waits.as_mut()));
        assert!(is_ready(turns.wanted()));
        assert!(!is_ready(turns.wanted()), "one has given way, and one waits");
        drop(first);
        let third = waits.await.unwrap();
        assert!(!is_ready(turns.wanted()));
        // One who gave up waiting asks nobody to give way.
        assert!(turns.take(Duration::from_secs(1)).await.is_none());
        assert!(!is_ready(turns.wanted()));
        drop((second, third));
        assert!(turns.take(LONG).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_is_slow_already_learns_of_one_who_begins_to_wait() {
        let turns = Turns::new(1);
        let turn = turns.take(LONG).await.unwrap();
        let slow = async {
            turns.wanted().await;
            drop(turn);
        };
        let (_, taken) = tokio::join!(slow, turns.take(LONG));
        assert!(taken.is_some());
    }
}
