//! A series of local Downs: AWS's Down agrees with it if it is later than the first of them.
//!
//! AWS's evidence is minutes late. If it had to be later than the latest Down, the ends would never agree on a line that flaps
//! faster than that. So a series continues over an interruption shorter than [`FOLLOWS_WITHIN`], as long as the time Up has not
//! made up for the time Down before ([`Hold`]). A single Down is a series of its own: earlier AWS evidence does not agree with
//! it.
//!
//! The interruption may be a restart, or a fault.

use std::time::Duration;

use super::condition::Hold;
use super::condition::Truth;
use super::time::Moment;
use super::verdict::{Verdict, Why};

/// AWS's evidence on what it saw has arrived after this long: CloudWatch shows a datapoint some two to three minutes late, and
/// each covers a minute.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(240);

/// A series of Downs.
#[derive(Debug, Clone, Copy)]
pub struct Downs {
    /// When the first began, in this run or an earlier one.
    first: Option<Moment>,
    /// Since when it is not Down.
    left: Option<Moment>,
    /// Whether it was Up within the series: only that makes up for time Down.
    was_up: bool,
    hold: Hold,
}

impl Downs {
    /// Starts to watch.
    pub fn new(now: Moment) -> Self {
        Self { first: None, left: Some(now), was_up: false, hold: Hold::default() }
    }

    /// Continues earlier runs, which `said` these verdicts, oldest first; the last is Unknown from where they ended.
    pub fn resume(said: impl IntoIterator<Item = (Moment, Verdict)>, now: Moment) -> Self {
        let mut said = said.into_iter().peekable();
        let mut downs = Self::new(said.peek().map_or(now, |(at, _)| *at));
        for (at, verdict) in said {
            downs.changed(verdict, at);
        }
        downs
    }

    /// Our end's verdict changes at `now`.
    pub fn changed(&mut self, verdict: Verdict, now: Moment) {
        match verdict {
            Verdict::Down => {
                self.hold.observe(Truth::Unknown, FOLLOWS_WITHIN, now);
                let ended = self.left.is_some_and(|left| now.since(left) >= FOLLOWS_WITHIN);
                if ended || self.first.is_none() || (self.was_up && self.hold.is_spent()) {
                    *self = Self { first: Some(now), ..Self::new(now) };
                }
                self.left = None;
                self.hold.observe(Truth::True, FOLLOWS_WITHIN, now);
            }
            Verdict::Up | Verdict::Unknown(Why::Shared) => {
                self.was_up = true;
                self.leave(Truth::False, now);
            }
            Verdict::Unknown(_) => self.leave(Truth::Unknown, now),
        }
    }

    /// When the series began. Only for a Down.
    pub const fn first(&self) -> Option<Moment> {
        self.first
    }

    fn leave(&mut self, truth: Truth, now: Moment) {
        self.left.get_or_insert(now);
        self.hold.observe(truth, FOLLOWS_WITHIN, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Verdict = Verdict::Up;
    const DOWN: Verdict = Verdict::Down;
    const UNKNOWN: Verdict = Verdict::Unknown(Why::Silent);

    fn at(secs: i64) -> Moment {
        Moment::from_nanos(secs * 1_000_000_000)
    }

    /// When the row began that is under way after these words, each with its moment.
    fn first(words: &[(i64, Verdict)]) -> Option<Moment> {
        let mut downs = Downs::new(at(0));
        words.iter().for_each(|(secs, verdict)| downs.changed(*verdict, at(*secs)));
        downs.first()
    }

    #[test]
    fn a_single_down_is_a_row_of_its_own() {
        assert_eq!(first(&[(5, DOWN)]), Some(at(5)));
        assert_eq!(first(&[(5, UP), (500, DOWN)]), Some(at(500)));
        assert_eq!(first(&[(5, UNKNOWN), (50, DOWN)]), Some(at(50)));
        // A blip that came and went.
        assert_eq!(first(&[(500, DOWN), (505, UP), (511, DOWN)]), Some(at(511)));
    }

    #[test]
    fn a_row_goes_on_while_it_is_down_for_most_of_the_time() {
        let flaps: Vec<_> =
            (0..50).flat_map(|round| [(120 * round, DOWN), (120 * round + 110, UP)]).collect();
        assert_eq!(first(&flaps), Some(at(0)));
        assert_eq!(first(&[(0, DOWN), (80, UP), (120, DOWN), (200, UP), (240, DOWN)]), Some(at(0)));
        assert_eq!(first(&[(0, DOWN), (40, UP), (120, DOWN), (160, UP), (240, DOWN)]), Some(at(240)));
    }

    #[test]
    fn four_minutes_that_are_not_down_end_it_however_long_it_was() {
        for between in [UP, UNKNOWN] {
            assert_eq!(first(&[(0, DOWN), (9000, between), (9239, DOWN)]), Some(at(0)), "{between}");
            assert_eq!(first(&[(0, DOWN), (9000, between), (9240, DOWN)]), Some(at(9240)), "{between}");
        }
        assert_eq!(first(&[(0, DOWN), (9000, UP), (9100, UNKNOWN), (9240, DOWN)]), Some(at(9240)));
    }

    #[test]
    fn a_restart_is_a_time_in_between_like_another() {
        let after = |said: &[(i64, Verdict)], words: &[(i64, Verdict)]| {
            let said = said.iter().map(|(secs, verdict)| (at(*secs), *verdict));
            let mut downs = Downs::resume(said, at(1000));
            words.iter().for_each(|(secs, verdict)| downs.changed(*verdict, at(*secs)));
            downs.first()
        };
        let was_down = [(500, DOWN), (980, UNKNOWN)];
        assert_eq!(after(&was_down, &[(1004, DOWN)]), Some(at(500)));
        assert_eq!(after(&was_down, &[(1220, DOWN)]), Some(at(1220)), "four minutes after the run ended");
        assert_eq!(after(&was_down, &[(1004, UP), (1110, DOWN)]), Some(at(500)));
        assert_eq!(after(&[(500, DOWN), (700, UNKNOWN)], &[(1004, DOWN)]), Some(at(1004)));
        assert_eq!(after(&[(500, DOWN), (700, UP), (990, UNKNOWN)], &[(1004, DOWN)]), Some(at(1004)));
        assert_eq!(after(&[], &[(1004, DOWN)]), Some(at(1004)));
        // A process that is killed each minute, each time last heard of as it said Down.
        let killed: Vec<_> =
            (0..10).flat_map(|run| [(400 + 60 * run, DOWN), (400 + 60 * run, UNKNOWN)]).collect();
        assert_eq!(after(&killed, &[(1010, DOWN)]), Some(at(400)));
    }
}
