//! What the date is. The host's wall clock may jump (NTP at boot, a hand, a dead battery that says 2000); AWS's does not, and
//! whoever reads our stamps reads them beside AWS's. So where the two are far apart AWS's counts, carried on by the monotonic clock.

use std::time::Duration;

use super::time::{Moment, Now, Stamp};

/// Clocks that are kept differ by less, and AWS's Date has whole seconds and is as old as its answer.
const APART: Duration = Duration::from_secs(60);

/// What is known of AWS's clock.
#[derive(Debug, Default)]
pub struct Calendar {
    heard: Option<(Moment, Stamp)>,
}

impl Calendar {
    /// AWS's clock read `date` at `asked`, or a little later.
    pub const fn heard(&mut self, asked: Moment, date: Stamp) {
        self.heard = Some((asked, date));
    }

    /// The moment with the date that counts: the host's, or AWS's if the host's is far off.
    pub fn date(&self, now: Now) -> Now {
        let Some((asked, date)) = self.heard else { return now };
        let at_aws = date + now.mono.since(asked);
        if are_apart(at_aws, now.wall) { Now { wall: at_aws, ..now } } else { now }
    }
}

/// What the date should have been at `now` after `before`, if it has jumped in between.
pub fn jumped(before: Now, now: Now) -> Option<Stamp> {
    let expected = before.after(now.mono.since(before.mono)).wall;
    are_apart(expected, now.wall).then_some(expected)
}

fn are_apart(a: Stamp, b: Stamp) -> bool {
    a.since(b).max(b.since(a)) > APART
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_far_from_awss_gives_way_to_it_and_one_that_is_near_does_not() {
        let mut calendar = Calendar::default();
        let now = |mono: i64, wall| Now {
            mono: Moment::from_nanos(mono * 1_000_000_000),
            wall: Stamp::from_secs(wall),
        };
        assert_eq!(calendar.date(now(5, 946_684_800)), now(5, 946_684_800), "nothing better is known");
        calendar.heard(now(10, 0).mono, Stamp::from_secs(1_800_000_000));
        for wall in [946_684_800, 1_800_003_690, 1_799_996_490] {
            assert_eq!(calendar.date(now(100, wall)), now(100, 1_800_000_090));
        }
        for wall in [1_800_000_090, 1_800_000_149, 1_800_000_031] {
            assert_eq!(calendar.date(now(100, wall)), now(100, wall));
        }
    }
}
