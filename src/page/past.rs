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
use crate::history::{Entry, Minute, Period, Present};

/// What strips and charts show.
pub(super) const SPAN: Duration = Duration::from_secs(24 * 60 * 60);

/// A page waits this long for the store's answer.
const WITHIN: Duration = Duration::from_millis(300);

/// The store may take this long: a later page shows what it read.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(30);

/// Changes that were read serve every page for this long: a strip ends with the present, and so it must be new …
const CHANGES_KEPT_FOR: Duration = Duration::from_secs(3);
/// … and minutes, of which there are a thousand times as many, for this long: a point of a chart is five of them.
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
pub(super) struct Past {
    /// What changed; `None`: the store has not answered in time.
    pub(super) changes: Option<Changes>,
    /// The minutes of each tunnel; none where they are not wanted.
    minutes: Arc<BTreeMap<TunnelId, Vec<Minute>>>,
}

/// What changed up to a present.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    pub(super) period: Period,
    /// What was so at the end of that period.
    pub(super) present: Arc<Present>,
    /// Changes and times of watching, in the store's order.
    pub(super) entries: Arc<Vec<Entry>>,
}

/// Asks the store for all pages.
pub(super) struct Reader {
    history: Arc<History>,
    kept: Mutex<Vec<Kept>>,
}

/// A question, and its answer as soon as it is there.
struct Kept {
    question: Question,
    asked: Moment,
    answer: watch::Receiver<Option<Past>>,
    /// The answer to the same question before.
    before: Past,
}

/// What is asked: of one connection or of all, for minutes or for changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Question {
    vpn: Option<VpnId>,
    minutes: bool,
}

impl Kept {
    fn is_kept(&self, now: Now) -> bool {
        let limit = match (self.answer.borrow().is_some(), self.question.minutes) {
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

    /// The last 24 hours before `present`, or before some seconds ago, as far as the store answers in time.
    pub(super) async fn read(&self, vpn: Option<VpnId>, minutes: bool, present: Present, now: Now) -> Past {
        let present = Arc::new(present);
        // Both are asked at once, so that both together take no longer than one.
        let changes = self.ask(Question { vpn: vpn.clone(), minutes: false }, &present, now);
        let minutes = if minutes { self.ask(Question { vpn, minutes: true }, &present, now) } else { None };
        let (changes, minutes) = tokio::join!(awaited(changes, now), awaited(minutes, now));
        Past { changes: changes.changes, minutes: minutes.minutes }
    }

    /// Asks, unless that was done some seconds ago; `None` while too many answers are awaited.
    fn ask(&self, question: Question, present: &Arc<Present>, now: Now) -> Option<Awaited> {
        // The list is valid after every statement, so a poisoned lock is harmless.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|kept| kept.question == question);
        if let Some(kept) = place.and_then(|place| kept.get(place)).filter(|kept| kept.is_kept(now)) {
            return Some(Awaited {
                asked: kept.asked,
                answer: kept.answer.clone(),
                before: kept.before.clone(),
            });
        }
        let old = place.map(|place| kept.remove(place));
        let before = old.and_then(|old| old.answer.borrow().clone()).unwrap_or_default();
        if kept.len() >= KEPT_MAX {
            let oldest = kept.iter().position(|kept| kept.answer.borrow().is_some())?;
            kept.remove(oldest);
        }
        // What is newer than the present is not known to anybody.
        let (period, present) = (period(present.at), Arc::clone(present));
        let Question { vpn, minutes } = question.clone();
        let history = (self.history)(Wanted { period, vpn, minutes });
        let (answered, answer) = watch::channel(None);
        tokio::spawn(async move {
            let past = match timeout(GIVEN_UP_AFTER, history).await {
                Ok(Ok(entries)) => Past::of(period, present, entries),
                // The store says itself what it lacks.
                Ok(Err(_)) | Err(_) => Past::default(),
            };
            answered.send_replace(Some(past));
        });
        kept.push(Kept { question, asked: now.mono, answer: answer.clone(), before: before.clone() });
        Some(Awaited { asked: now.mono, answer, before })
    }
}

/// An answer that may not be there yet.
struct Awaited {
    asked: Moment,
    answer: watch::Receiver<Option<Past>>,
    before: Past,
}

async fn awaited(awaited: Option<Awaited>, now: Now) -> Past {
    let Some(Awaited { asked, mut answer, before }) = awaited else { return Past::default() };
    let left = WITHIN.saturating_sub(now.mono.since(asked));
    match timeout(left, answer.wait_for(Option::is_some)).await {
        Ok(Ok(past)) => past.clone().unwrap_or(before),
        Ok(Err(_)) | Err(_) => before,
    }
}

impl Past {
    pub(super) fn of(period: Period, present: Arc<Present>, entries: Vec<Entry>) -> Self {
        let mut minutes: BTreeMap<TunnelId, Vec<Minute>> = BTreeMap::new();
        let mut rest = Vec::new();
        for entry in entries {
            match entry {
                Entry::Minute(minute) => minutes.entry(minute.tunnel.clone()).or_default().push(minute),
                Entry::Watched(_) | Entry::Change { .. } => rest.push(entry),
                Entry::Incident(_) | Entry::Paged { .. } => {}
            }
        }
        let changes = Changes { period, present, entries: Arc::new(rest) };
        Self { changes: Some(changes), minutes: Arc::new(minutes) }
    }

    pub(super) const fn is_missing(&self) -> bool {
        self.changes.is_none()
    }

    pub(super) fn minutes(&self, tunnel: &TunnelId) -> &[Minute] {
        self.minutes.get(tunnel).map_or(&[], Vec::as_slice)
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

    fn present() -> Present {
        Present { at: fixture::after(0).wall, site: "milan-1".into(), tunnels: Vec::new() }
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "the paused clock is the test's own time")]
    async fn a_store_that_hangs_costs_300_ms_once() {
        let (reader, asked) = reader(|| Box::pin(std::future::pending()));
        let before = tokio::time::Instant::now();
        for seconds in 0..30 {
            assert!(reader.read(None, true, present(), fixture::after(seconds)).await.is_missing());
            assert!(
                (WITHIN..WITHIN + Duration::from_millis(5)).contains(&before.elapsed()),
                "{:?}",
                before.elapsed()
            );
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2, "once for changes, once for minutes");
        reader.read(None, true, present(), fixture::after(30)).await;
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_slow_store_reads_is_shown_by_a_later_page() {
        let (reader, _) = reader(|| {
            Box::pin(async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                Ok(Vec::new())
            })
        });
        assert!(reader.read(None, false, present(), fixture::after(0)).await.is_missing());
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!reader.read(None, false, present(), fixture::after(2)).await.is_missing());
        // The next look at the store takes as long, and meanwhile the old answer serves.
        assert!(!reader.read(None, false, present(), fixture::after(70)).await.is_missing());
    }

    #[tokio::test]
    async fn many_readers_cost_one_read_and_few_answers_are_kept() {
        let (reader, asked) = reader(|| Box::pin(async { Ok(Vec::new()) }));
        for _ in 0..50 {
            assert!(!reader.read(None, false, present(), fixture::after(0)).await.is_missing());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        for number in 0..100 {
            let id = VpnId::new(format!("vpn-{number:08x}"));
            reader.read(Some(id), true, present(), fixture::after(1)).await;
        }
        assert_eq!(reader.kept.lock().unwrap().len(), KEPT_MAX);
    }

    #[tokio::test]
    async fn while_too_many_answers_are_awaited_no_further_one_is_asked_for() {
        let (reader, asked) = reader(|| Box::pin(std::future::pending()));
        let present = Arc::new(present());
        for number in 0..100 {
            let question = Question { vpn: Some(VpnId::new(format!("vpn-{number:08x}"))), minutes: true };
            assert!(reader.ask(question, &present, fixture::after(0)).is_some() == (number < KEPT_MAX));
        }
        assert_eq!(asked.load(Ordering::Relaxed), KEPT_MAX);
    }

    #[tokio::test]
    async fn an_error_of_the_store_is_a_missing_past() {
        let (reader, _) = reader(|| Box::pin(async { Err("the disk is full".to_owned()) }));
        assert!(reader.read(None, false, present(), fixture::after(0)).await.is_missing());
    }
}
