//! The last 24 hours. A store that is slow delays no page: what does not come in time is said to be missing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::domain::names::{TunnelId, VpnId};
use crate::domain::time::{Moment, Now, Stamp};
use crate::history::{Entry, Minute, Period};

/// What strips and charts show.
pub(super) const SPAN: Duration = Duration::from_secs(24 * 60 * 60);

/// A page waits this long for the store's answer.
const WITHIN: Duration = Duration::from_millis(300);

/// The store may take this long: a later page shows what it read.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(30);

/// Changes that were read serve every page for this long …
const CHANGES_KEPT_FOR: Duration = Duration::from_secs(10);
/// … and minutes, of which there are a thousand times as many, for this long.
const MINUTES_KEPT_FOR: Duration = Duration::from_secs(60);

/// Different questions whose answers are kept: `/` and the pages of some connections.
const KEPT_MAX: usize = 8;

/// What to read from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// When.
    pub period: Period,
    /// Of one connection only.
    pub vpn: Option<VpnId>,
    /// Whether minutes of probes are wanted, besides what changed.
    pub minutes: bool,
}

/// Reads from the store.
pub type History = dyn Fn(Wanted) -> BoxFuture<'static, Result<Vec<Entry>, String>> + Send + Sync;

/// What the store remembers of the last 24 hours.
#[derive(Debug, Clone, Default)]
pub(super) enum Past {
    /// It was not asked for, or the store has not answered in time.
    #[default]
    Missing,
    /// It was read.
    Known {
        /// Changes and times of watching, in the store's order.
        entries: Arc<Vec<Entry>>,
        /// The minutes of each tunnel.
        minutes: Arc<BTreeMap<TunnelId, Vec<Minute>>>,
    },
}

/// Asks the store for all pages.
pub(super) struct Reader {
    history: Arc<History>,
    kept: Mutex<Vec<Kept>>,
}

/// A question, and its answer as soon as it is there.
struct Kept {
    vpn: Option<VpnId>,
    minutes: bool,
    asked: Moment,
    answer: watch::Receiver<Option<Past>>,
    /// The answer to the same question before.
    before: Past,
}

impl Kept {
    fn is_kept(&self, now: Now) -> bool {
        let limit = match (self.answer.borrow().is_some(), self.minutes) {
            (false, _) => GIVEN_UP_AFTER,
            (true, false) => CHANGES_KEPT_FOR,
            (true, true) => MINUTES_KEPT_FOR,
        };
        now.mono.since(self.asked) < limit
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    pub(super) fn new(history: Arc<History>) -> Self {
        Self { history, kept: Mutex::default() }
    }

    /// The last 24 hours, as of some seconds ago, as far as the store answers in time.
    pub(super) async fn read(&self, vpn: Option<VpnId>, minutes: bool, now: Now) -> Past {
        let Some((asked, mut answer, before)) = self.ask(vpn, minutes, now) else { return Past::Missing };
        let left = WITHIN.saturating_sub(now.mono.since(asked));
        match timeout(left, answer.wait_for(Option::is_some)).await {
            Ok(Ok(past)) => past.clone().unwrap_or(before),
            Ok(Err(_)) | Err(_) => before,
        }
    }

    /// Asks, unless that was done some seconds ago; `None` while too many answers are awaited.
    fn ask(
        &self,
        vpn: Option<VpnId>,
        minutes: bool,
        now: Now,
    ) -> Option<(Moment, watch::Receiver<Option<Past>>, Past)> {
        // The list is valid after every statement, so a poisoned lock is harmless.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|kept| kept.vpn == vpn && kept.minutes == minutes);
        if let Some(kept) = place.and_then(|place| kept.get(place)).filter(|kept| kept.is_kept(now)) {
            return Some((kept.asked, kept.answer.clone(), kept.before.clone()));
        }
        let before = place
            .map(|place| kept.remove(place))
            .and_then(|old| old.answer.borrow().clone())
            .unwrap_or_default();
        if kept.len() >= KEPT_MAX {
            let oldest = kept.iter().position(|kept| kept.answer.borrow().is_some())?;
            kept.remove(oldest);
        }
        let period = period(now.wall);
        let history = (self.history)(Wanted { period, vpn: vpn.clone(), minutes });
        let (answered, answer) = watch::channel(None);
        tokio::spawn(async move {
            let past = match timeout(GIVEN_UP_AFTER, history).await {
                Ok(Ok(entries)) => Past::of(entries),
                // The store says itself what it lacks.
                Ok(Err(_)) | Err(_) => Past::Missing,
            };
            answered.send_replace(Some(past));
        });
        kept.push(Kept { vpn, minutes, asked: now.mono, answer: answer.clone(), before: before.clone() });
        Some((now.mono, answer, before))
    }
}

impl Past {
    pub(super) fn of(entries: Vec<Entry>) -> Self {
        let mut minutes: BTreeMap<TunnelId, Vec<Minute>> = BTreeMap::new();
        let mut rest = Vec::new();
        for entry in entries {
            match entry {
                Entry::Minute(minute) => minutes.entry(minute.tunnel.clone()).or_default().push(minute),
                Entry::Watched(_) | Entry::Change { .. } => rest.push(entry),
                Entry::Incident(_) | Entry::Paged { .. } => {}
            }
        }
        Self::Known { entries: Arc::new(rest), minutes: Arc::new(minutes) }
    }

    pub(super) const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    pub(super) fn minutes(&self, tunnel: &TunnelId) -> &[Minute] {
        match self {
            Self::Missing => &[],
            Self::Known { minutes, .. } => minutes.get(tunnel).map_or(&[], Vec::as_slice),
        }
    }
}

/// The period in question, ending now.
pub(super) fn period(now: Stamp) -> Period {
    Period { from: now - SPAN, until: now }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::fixture;

    fn reader(
        answer: impl Fn() -> BoxFuture<'static, Result<Vec<Entry>, String>> + Send + Sync + 'static,
    ) -> (Reader, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let history = move |_: Wanted| {
            counted.fetch_add(1, Ordering::Relaxed);
            answer()
        };
        (Reader::new(Arc::new(history)), asked)
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_costs_300_ms_once() {
        let (reader, asked) = reader(|| Box::pin(std::future::pending()));
        let before = tokio::time::Instant::now();
        assert!(reader.read(None, false, fixture::after(0)).await.is_missing());
        assert_eq!(before.elapsed(), WITHIN);
        for seconds in 1..30 {
            assert!(reader.read(None, false, fixture::after(seconds)).await.is_missing());
        }
        assert_eq!((before.elapsed(), asked.load(Ordering::Relaxed)), (WITHIN, 1));
        reader.read(None, false, fixture::after(30)).await;
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_slow_store_reads_is_shown_by_a_later_page() {
        let (reader, _) = reader(|| {
            Box::pin(async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                Ok(Vec::new())
            })
        });
        assert!(reader.read(None, true, fixture::after(0)).await.is_missing());
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!reader.read(None, true, fixture::after(3)).await.is_missing());
        // The next look at the store takes as long, and meanwhile the old answer serves.
        assert!(!reader.read(None, true, fixture::after(70)).await.is_missing());
    }

    #[tokio::test]
    async fn many_readers_cost_one_read_and_few_answers_are_kept() {
        let (reader, asked) = reader(|| Box::pin(async { Ok(Vec::new()) }));
        for _ in 0..50 {
            assert!(!reader.read(None, false, fixture::after(0)).await.is_missing());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        for number in 0..100 {
            reader.read(Some(VpnId::new(format!("vpn-{number:08x}"))), true, fixture::after(1)).await;
        }
        assert_eq!(reader.kept.lock().unwrap().len(), KEPT_MAX);
    }

    #[tokio::test]
    async fn while_too_many_answers_are_awaited_no_further_one_is_asked_for() {
        let (reader, asked) = reader(|| Box::pin(std::future::pending()));
        for number in 0..100 {
            let id = VpnId::new(format!("vpn-{number:08x}"));
            assert!(reader.ask(Some(id), true, fixture::after(0)).is_some() == (number < KEPT_MAX));
        }
        assert_eq!(asked.load(Ordering::Relaxed), KEPT_MAX);
    }

    #[tokio::test]
    async fn an_error_of_the_store_is_a_missing_past() {
        let (reader, _) = reader(|| Box::pin(async { Err("the disk is full".to_owned()) }));
        assert!(reader.read(None, false, fixture::after(0)).await.is_missing());
    }
}
