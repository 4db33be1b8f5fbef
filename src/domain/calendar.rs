//! What the date is. The host's wall clock may jump (NTP at boot, a hand, a dead battery that says 2000); AWS's does not, and
//! whoever reads our stamps reads them beside AWS's. So where the two are far apart AWS's counts, carried on by the monotonic clock.

use std::time::Duration;

use super::time::{Moment, Now, Stamp};

/// Clocks that are kept differ by less, and AWS's Date has whole seconds and is as old as its answer.
const APART: Duration = Duration::from_secs(60);

/// What has gone by AWS's clock goes on so until the host's is as near as this. With one limit for both ways, a host that is
/// off by just that much would have its date moved by a minute, to and fro, with every Date.
const TOGETHER: Duration = Duration::from_secs(30);

/// What is known of AWS's clock, and whose clock counts.
#[derive(Debug, Default)]
pub struct Calendar {
    heard: Option<(Moment, Stamp)>,
    basis: Basis,
}

/// Whose clock gives the date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Basis {
    #[default]
    Host,
    Aws,
}

impl Calendar {
    /// AWS's clock read `date` at `asked`, or a little later.
    pub const fn heard(&mut self, asked: Moment, date: Stamp) {
        self.heard = Some((asked, date));
    }

    /// The moment with the date that counts: the host's, or AWS's if the host's is far off. Whose it is stays so until the
    /// clocks have clearly come together, or gone apart.
    pub fn follow(&mut self, now: Now) -> Now {
        let (basis, now) = self.judge(now);
        self.basis = basis;
        now
    }

    /// The same for whoever only looks.
    pub fn date(&self, now: Now) -> Now {
        self.judge(now).1
    }

    fn judge(&self, now: Now) -> (Basis, Now) {
        let Some((asked, date)) = self.heard else { return (Basis::Host, now) };
        let at_aws = date + now.mono.since(asked);
        let limit = match self.basis {
            Basis::Host => APART,
            Basis::Aws => TOGETHER,
        };
        if are_apart(at_aws, now.wall, limit) {
            (Basis::Aws, Now { wall: at_aws, ..now })
        } else {
            (Basis::Host, now)
        }
    }
}

/// What the date should have been at `now` after `before`, if it has jumped in between.
pub fn jumped(before: Now, now: Now) -> Option<Stamp> {
    let expected = before.after(now.mono.since(before.mono)).wall;
    are_apart(expected, now.wall, APART).then_some(expected)
}

fn are_apart(a: Stamp, b: Stamp, limit: Duration) -> bool {
    a.since(b).max(b.since(a)) > limit
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

    #[test]
    fn a_clock_that_is_steadily_off_by_the_limit_does_not_make_the_date_move_to_and_fro() {
        for off in [60_500, -60_500] {
            let mut calendar = Calendar::default();
            let mut moves = 0;
            let mut before: Option<Now> = None;
            for second in 0..3600 {
                // AWS's clock at the question; its phase in the second goes through all there are.
                let at_aws = 1_800_000_000_000 + second * 1_037;
                let mono = Moment::from_nanos(second * 1_037_000_000);
                let now = Now { mono, wall: Stamp::from_millis(at_aws + off) };
                let took = second * 311 % 900;
                calendar.heard(mono, Stamp::from_secs((at_aws + took) / 1000));
                let now = calendar.follow(now);
                if let Some(before) = before {
                    let step = now.wall.as_millis() - before.wall.as_millis() - 1_037;
                    moves += i32::from(step.abs() > 2_000);
                }
                before = Some(now);
            }
            assert!(moves <= 1, "off by {off} ms it moved {moves} times");
            assert_eq!(calendar.basis, Basis::Aws);
        }
    }

    #[test]
    fn what_goes_by_awss_clock_does_so_until_the_hosts_is_near_and_then_until_it_is_far() {
        let at = Moment::from_nanos(1_000_000_000);
        let now = |off: i64| Now { mono: at, wall: Stamp::from_secs(1_800_000_000 + off) };
        for side in [1, -1] {
            let mut calendar = Calendar::default();
            calendar.heard(at, Stamp::from_secs(1_800_000_000));
            for (off, shown) in [(60, 60), (61, 0), (59, 0), (31, 0), (30, 30), (31, 31), (60, 60), (61, 0)] {
                assert_eq!(calendar.date(now(side * off)), now(side * shown), "{off}");
                assert_eq!(calendar.follow(now(side * off)), now(side * shown), "{off}");
            }
        }
    }
}
