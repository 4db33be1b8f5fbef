//! When the daemon watched. What is in no period was not observed, and nothing is claimed of it.
//!
//! A period of this run grows with what the core reports. It ends where the core was not called in time, and where the date
//! jumped: the next one begins at the new date, and what was recorded under later dates is void, here and in the file. Where a
//! change was lost, nobody knows what was so: that time is cut out.

use std::mem;
use std::time::Duration;

use crate::domain::time::{Now, Stamp, jumped};
use crate::history::{Period, Watch};

/// Ended periods that wait for a disk that fails. The oldest are dropped: they claim nothing then.
const ENDED_MAX: usize = 1_000;

/// The core reports once a minute; a report that is this late may be lost.
const REPORTS_WITHIN: Duration = Duration::from_secs(120);

/// The periods of this run that the file does not have, or not whole.
#[derive(Debug, Default, Clone)]
pub(super) struct Watched {
    /// They grow no more.
    ended: Vec<Watch>,
    current: Option<Current>,
    /// From the first to the last change that was lost since the last commit.
    lost: Option<Period>,
    /// Up to here the growing period, and every change in it, was committed.
    committed: Option<Stamp>,
    changed: bool,
}

/// The period that grows.
#[derive(Debug, Clone, Copy)]
struct Current {
    from: Stamp,
    /// Since when every change is recorded.
    since: Stamp,
    /// When the core last reported.
    seen: Now,
}

impl Current {
    const fn watch(self) -> Watch {
        let period = Period { from: self.from, until: self.seen.wall };
        Watch { period, recorded_since: Some(self.since) }
    }
}

impl Watched {
    /// The core has watched until `at`, or has just begun.
    pub(super) fn seen(&mut self, at: Now) {
        self.changed = true;
        match &mut self.current {
            // What is handed on in another order is no step back.
            Some(current) if at.mono < current.seen.mono => {}
            Some(current) if jumped(current.seen, at).is_none() => current.seen = at,
            Some(_) | None => {
                self.end();
                // What was recorded under later dates is void: this date is the better one.
                self.ended.retain_mut(|Watch { period, .. }| {
                    period.until = period.until.min(at.wall);
                    period.from < period.until
                });
                // Nor does what was recorded under another date say what is so.
                self.current = Some(Current { from: at.wall, since: at.wall, seen: at });
            }
        }
    }

    /// The core was not called for `gap` before `at`.
    pub(super) fn held_up(&mut self, gap: Duration, at: Now) {
        if let Some(current) = &mut self.current {
            let watched_on = (at.mono - gap).since(current.seen.mono);
            current.seen = current.seen.after(watched_on);
            // What the core has not noticed has not changed, for all that it says.
            let goes_on = jumped(current.seen, at).is_none().then_some(current.since);
            self.end();
            self.seen(at);
            if let (Some(since), Some(current)) = (goes_on, &mut self.current) {
                current.since = since;
            }
            return;
        }
        self.seen(at);
    }

    fn end(&mut self) {
        let ended = self.current.take().map(Current::watch);
        self.ended.extend(ended.filter(|watch| watch.period.from < watch.period.until));
        self.bound();
    }

    fn bound(&mut self) {
        let beyond = self.ended.len().saturating_sub(ENDED_MAX);
        self.ended.drain(..beyond);
    }

    /// A change at this time was lost. From the first to the last that was lost nobody knows what was so.
    pub(super) fn lost(&mut self, at: Stamp) {
        let lost = self.lost.unwrap_or(Period { from: at, until: at });
        let lost = Period { from: lost.from.min(at), until: lost.until.max(at) };
        self.lost = Some(lost);
        self.cut(lost);
        self.recorded_from(lost.until);
    }

    /// Changes up to `at` were removed from the file, and so was what was watched before.
    pub(super) fn trim(&mut self, at: Stamp) {
        let changed = self.changed;
        self.cut(Period { from: Stamp::from_millis(i64::MIN), until: at });
        self.changed = changed;
    }

    /// Up to where a file must have the growing period, if it is the one that was written.
    pub(super) const fn committed(&self) -> Option<Stamp> {
        self.committed
    }

    /// The file that was written so far is another one, or gone, with all the changes in it.
    pub(super) fn forget_committed(&mut self) {
        if let Some(committed) = self.committed.take() {
            self.trim(committed);
            self.recorded_from(committed);
            self.changed = true;
        }
    }

    /// What was watched from here on does not go on from what was so before.
    fn recorded_from(&mut self, at: Stamp) {
        for watch in self.ended.iter_mut().filter(|watch| at <= watch.period.from) {
            watch.recorded_since = watch.recorded_since.max(Some(at));
        }
        if let Some(current) = self.current.as_mut().filter(|current| at <= current.from) {
            current.since = current.since.max(at);
        }
    }

    /// Takes a time out of what was watched.
    fn cut(&mut self, out: Period) {
        self.changed = true;
        let ended = mem::take(&mut self.ended);
        self.ended = ended.into_iter().flat_map(|watch| without(watch, out)).collect();
        if let Some(current) = &mut self.current
            && current.from < out.until
        {
            let mut before = current.watch();
            before.period.until = out.from.min(current.seen.wall);
            self.ended.extend(Some(before).filter(|watch| watch.period.from < watch.period.until));
            current.from = out.until;
        }
        self.bound();
    }

    /// Whether the file lacks something.
    pub(super) const fn is_changed(&self) -> bool {
        self.changed
    }

    /// The periods that the file does not have, or not whole; oldest first.
    pub(super) fn watches(&self) -> impl Iterator<Item = Watch> {
        self.watches_until(None)
    }

    /// The same, where the core has been seen at this time as well: it reports only once a minute that it watches.
    pub(super) fn watches_until(&self, present: Option<Stamp>) -> impl Iterator<Item = Watch> {
        let reached = |until: Stamp| present.filter(|at| until < *at && at.since(until) <= REPORTS_WITHIN);
        let current = self.current.map(|current| {
            let mut watch = current.watch();
            let until = watch.period.until;
            watch.period.until = reached(until).unwrap_or(until);
            watch
        });
        let current = current.filter(|watch| watch.period.from < watch.period.until);
        self.ended.iter().copied().chain(current)
    }

    /// The file has them, and every change that came before.
    pub(super) fn written(&mut self) {
        self.ended.clear();
        self.lost = None;
        self.changed = false;
        self.committed = self.current.map(|current| current.seen.wall);
    }

    /// The date by the core's clock: it is that of the changes.
    pub(super) fn date(&self, now: Now) -> Stamp {
        match &self.current {
            Some(Current { seen, .. }) if now.mono >= seen.mono => seen.wall + now.mono.since(seen.mono),
            Some(_) | None => now.wall,
        }
    }
}

/// The parts of a time of watching outside of `out`.
fn without(watch: Watch, out: Period) -> impl Iterator<Item = Watch> {
    let period = watch.period;
    let before = Period { from: period.from, until: period.until.min(out.from) };
    let after = Period { from: period.from.max(out.until), until: period.until };
    let apart = out.until <= period.from || period.until <= out.from;
    let parts = if apart { [Some(period), None] } else { [Some(before), Some(after)] };
    let parts = parts.into_iter().flatten().filter(|part| part.from < part.until);
    parts.map(move |period| Watch { period, ..watch })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::NOW;

    fn at(secs: u64) -> Now {
        NOW.after(Duration::from_secs(secs))
    }

    fn shown(watched: &Watched) -> Vec<(u64, u64)> {
        let secs = |stamp: Stamp| stamp.since(NOW.wall).as_secs();
        watched.watches().map(|Watch { period, .. }| (secs(period.from), secs(period.until))).collect()
    }

    fn until(secs: u64) -> Watched {
        let mut watched = Watched::default();
        watched.seen(at(0));
        watched.seen(at(secs));
        watched
    }

    #[test]
    fn it_grows_with_what_the_core_reports_and_not_before() {
        let mut watched = Watched::default();
        assert!(shown(&watched).is_empty() && !watched.is_changed());
        watched.seen(at(10));
        assert_eq!(shown(&watched), []);
        watched.seen(at(70));
        watched.seen(at(60));
        assert_eq!(shown(&watched), [(10, 70)]);
    }

    #[test]
    fn a_time_in_which_the_core_was_not_called_is_not_watched() {
        let mut watched = until(60);
        watched.held_up(Duration::from_secs(3600), at(3665));
        watched.seen(at(3700));
        assert_eq!(shown(&watched), [(0, 65), (3665, 3700)]);
    }

    #[test]
    fn a_date_that_jumps_begins_another_period_and_a_clock_that_is_adjusted_does_not() {
        for (wall, ends) in [(1860, 1860), (5460, 3600)] {
            let mut watched = until(3600);
            watched.seen(Now { wall: at(wall).wall, ..at(3660) });
            watched.seen(Now { wall: at(wall + 60).wall, ..at(3720) });
            assert_eq!(shown(&watched), [(0, ends), (wall, wall + 60)]);
        }
        let mut watched = until(3600);
        watched.seen(Now { wall: at(3640).wall, ..at(3660) });
        assert_eq!(shown(&watched), [(0, 3640)]);
    }

    #[test]
    fn a_jump_to_before_its_own_beginning_makes_no_negative_period() {
        let mut watched = until(5);
        watched.seen(Now { wall: NOW.wall - Duration::from_secs(10), ..at(6) });
        assert_eq!(watched.watches().count(), 0, "adjusted");
        watched.seen(Now { wall: NOW.wall - Duration::from_secs(1000), ..at(7) });
        watched.seen(Now { wall: NOW.wall - Duration::from_secs(999), ..at(8) });
        let from = NOW.wall - Duration::from_secs(1000);
        assert_eq!(
            watched.watches().map(|watch| watch.period).collect::<Vec<_>>(),
            [Period { from, until: from + Duration::from_secs(1) }]
        );
    }

    #[test]
    fn from_the_first_to_the_last_change_that_was_lost_nothing_is_claimed() {
        let mut watched = until(100);
        watched.lost(at(40).wall);
        assert_eq!(shown(&watched), [(0, 40), (40, 100)]);
        watched.lost(at(60).wall);
        assert_eq!(shown(&watched), [(0, 40), (60, 100)]);
        watched.written();
        watched.lost(at(80).wall);
        watched.lost(at(90).wall);
        assert_eq!(shown(&watched), [(60, 80), (90, 100)], "the first part is in the file");
    }

    fn recorded(watched: &Watched) -> Vec<u64> {
        let since = watched.watches().filter_map(|watch| watch.recorded_since);
        since.map(|since| since.since(NOW.wall).as_secs()).collect()
    }

    #[test]
    fn what_was_so_goes_on_where_the_host_slept_and_not_where_something_was_lost_or_the_date_jumped() {
        let mut watched = until(60);
        watched.held_up(Duration::from_secs(3600), at(3665));
        watched.seen(at(3700));
        assert_eq!(recorded(&watched), [0, 0]);
        watched.trim(at(3680).wall);
        assert_eq!((shown(&watched), recorded(&watched)), (vec![(3680, 3700)], vec![0]));
        watched.lost(at(3690).wall);
        assert_eq!(recorded(&watched), [0, 3690]);
        watched.seen(Now { wall: at(9000).wall, ..at(3710) });
        watched.seen(Now { wall: at(9060).wall, ..at(3770) });
        assert_eq!(recorded(&watched), [0, 3690, 9000]);
        watched.held_up(Duration::from_secs(100), Now { wall: at(20_000).wall, ..at(3970) });
        watched.seen(Now { wall: at(20_010).wall, ..at(3980) });
        assert_eq!(recorded(&watched).last(), Some(&20_000), "the date jumped in its sleep");
        watched.written();
        watched.forget_committed();
        watched.seen(Now { wall: at(20_020).wall, ..at(3990) });
        assert_eq!(recorded(&watched), [20_010]);
    }

    #[test]
    fn what_was_lost_may_lie_ahead_of_what_was_seen() {
        let mut watched = until(100);
        watched.lost(at(120).wall);
        watched.lost(at(130).wall);
        watched.seen(at(160));
        assert_eq!(shown(&watched), [(0, 100), (130, 160)]);
    }

    #[test]
    fn a_file_that_is_gone_takes_what_was_committed_with_it() {
        let mut watched = until(100);
        watched.written();
        watched.seen(at(160));
        watched.forget_committed();
        assert_eq!(shown(&watched), [(100, 160)]);
        let mut watched = until(100);
        watched.forget_committed();
        assert_eq!(shown(&watched), [(0, 100)], "nothing was");
    }

    #[test]
    fn the_core_watches_until_the_present_that_it_shows_unless_its_reports_are_lost() {
        let until = |watched: &Watched, present: u64| {
            let watches = watched.watches_until(Some(at(present).wall));
            watches.map(|Watch { period, .. }| period.until.since(NOW.wall).as_secs()).collect::<Vec<_>>()
        };
        let mut watched = Watched::default();
        watched.seen(at(0));
        assert_eq!(until(&watched, 5), [5], "it has just begun");
        watched.seen(at(60));
        assert_eq!(until(&watched, 119), [119]);
        assert_eq!(until(&watched, 30), [60], "an older present takes nothing back");
        assert_eq!(until(&watched, 181), [60], "a report is missing");
    }

    #[test]
    fn periods_that_wait_are_bounded() {
        let mut watched = until(1);
        for n in 1..=2 * u64::try_from(ENDED_MAX).unwrap() {
            watched.held_up(Duration::from_secs(20), at(100 * n));
            watched.seen(at(100 * n + 1));
        }
        assert_eq!(watched.watches().count(), ENDED_MAX + 1);
    }
}
