//! Whether the daemon is of use: the core makes progress, and the thread that speaks to AWS and to people is alive. A daemon that
//! probes but can tell nobody is as good as dead.

use std::time::Duration;

use crate::domain::time::Moment;

/// The status is taken at least this often, so that ages and systemd's watchdog move even while nothing else does.
pub(super) const STATUS_EVERY: Duration = Duration::from_secs(1);

/// What is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// The core is called over and over for what it does not do.
    Core,
    /// The thread that speaks to AWS and to people does not beat.
    IoThread,
}

impl Stuck {
    /// In people's words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "the core loop is spinning without progress",
            Self::IoThread => "the I/O thread (AWS, sinks) is not responding",
        }
    }
}

/// What the driver sees of both.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    progress: Progress,
    silence: Silence,
}

impl Vitals {
    /// The core was called at `at`, and wants to be called again at `next`.
    pub(super) fn called(&mut self, at: Moment, next: Option<Moment>) {
        self.progress.called(at, next);
    }

    /// What has been stuck for as long as `patience`, at this moment, in which the other thread's last beat is that of `beat`.
    pub(super) fn look(&mut self, now: Moment, beat: Moment, patience: Duration) -> Option<Stuck> {
        self.silence.look(now, beat);
        if self.progress.circling_for(now) >= patience {
            Some(Stuck::Core)
        } else if self.silence.length >= patience {
            Some(Stuck::IoThread)
        } else {
            None
        }
    }
}

/// What is due is done within one call. While the core wants to be called for something of the past that a call has not
/// done away with, it turns in circles, and whoever looks at its thread alone takes that for work.
#[derive(Debug, Default)]
struct Progress {
    circling_since: Option<Moment>,
}

impl Progress {
    fn called(&mut self, at: Moment, next: Option<Moment>) {
        if next.is_some_and(|next| next <= at) {
            self.circling_since.get_or_insert(at);
        } else {
            self.circling_since = None;
        }
    }

    fn circling_for(&self, now: Moment) -> Duration {
        self.circling_since.map_or(Duration::ZERO, |since| now.since(since))
    }
}

/// How long the other thread has not beaten *while this one ran*: after a suspend of the host, or of the process, neither has,
/// and the first of the two to run must not take the other for dead.
#[derive(Debug, Default)]
struct Silence {
    last: Option<(Moment, Moment)>,
    length: Duration,
}

impl Silence {
    /// More than this does not pass between two looks of a thread that runs.
    const LOOK_MAX: Duration = Duration::from_secs(2 * STATUS_EVERY.as_secs());

    fn look(&mut self, now: Moment, beat: Moment) {
        self.length = match self.last {
            Some((looked, known)) if known == beat => self.length + now.since(looked).min(Self::LOOK_MAX),
            Some(_) | None => Duration::ZERO,
        };
        self.last = Some((now, beat));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(15);

    fn at(seconds: u64) -> Moment {
        Moment::ORIGIN + Duration::from_secs(seconds)
    }

    #[test]
    fn a_core_that_asks_for_what_is_over_is_stuck_however_busy_its_thread_is() {
        let mut vitals = Vitals::default();
        for second in 0..15 {
            vitals.called(at(second), Some(at(0)));
            let stuck = vitals.look(at(second), at(second), PATIENCE);
            assert_eq!(stuck, None, "{second}: it may take a moment to catch up");
        }
        vitals.called(at(15), Some(at(15)));
        assert_eq!(vitals.look(at(15), at(15), PATIENCE), Some(Stuck::Core));
        vitals.called(at(16), Some(at(17)));
        assert_eq!(vitals.look(at(16), at(16), PATIENCE), None, "it has caught up");
    }

    #[test]
    fn a_core_that_wants_nothing_or_something_later_makes_progress() {
        let mut vitals = Vitals::default();
        for second in 0..100 {
            vitals.called(at(second), (second % 2 == 0).then(|| at(second + 1)));
            assert_eq!(vitals.look(at(second), at(second), PATIENCE), None);
        }
    }

    #[test]
    fn a_thread_that_does_not_beat_is_stuck_after_the_patience_and_alive_with_its_next_beat() {
        let mut vitals = Vitals::default();
        for second in 0..15 {
            assert_eq!(vitals.look(at(second), at(0), PATIENCE), None, "{second}");
        }
        assert_eq!(vitals.look(at(15), at(0), PATIENCE), Some(Stuck::IoThread));
        assert_eq!(vitals.look(at(16), at(16), PATIENCE), None);
    }

    #[test]
    fn a_thread_that_could_not_beat_because_the_host_slept_is_not_stuck() {
        let mut vitals = Vitals::default();
        assert_eq!(vitals.look(at(1), at(1), PATIENCE), None);
        assert_eq!(vitals.look(at(3600), at(1), PATIENCE), None);
        assert_eq!(vitals.look(at(3601), at(3601), PATIENCE), None);
    }
}
