//! For how long nothing opens after a start, a take-over or a hold-up.
//!
//! After a start or a take-over the tunnels may still be coming up, and after a hold-up (the host slept, or the process was stopped)
//! what is known is old: nothing opens for `start_grace`, or until both ends agree that an active tunnel is Down. After a
//! start or a take-over they agree on what our end has found since, and not on BGP, which comes up after IPsec; after a hold-up on evidence
//! of after it. So neither take-overs and hold-ups that repeat nor a process that is killed again and again keep an
//! outage from being told: the grace ends with the agreement, and `open_after` counts from there. A row of Downs outlasts a restart
//! ([`downs`](super::downs)), for CloudWatch may be later than the next one. Where the ends do not agree, take-overs and hold-ups that repeat
//! have that effect three times an hour.

use std::time::Duration;

use super::time::Moment;

/// What repeats within this time counts only [`AT_MOST`] times.
const WITHIN: Duration = Duration::from_secs(3600);

/// A failover, the way back, and one more.
const AT_MOST: usize = 3;

/// The start, and the take-overs and hold-ups that count.
#[derive(Debug, Clone, Copy)]
pub struct Grace {
    started: Moment,
    taken_over: Latest,
    held_up: Latest,
    /// The last hold-up, whether or not it counts.
    looked_away: Option<Moment>,
}

/// The latest that count, oldest first.
#[derive(Debug, Clone, Copy, Default)]
struct Latest([Option<Moment>; AT_MOST]);

impl Latest {
    fn add(&mut self, now: Moment) {
        if self.0[0].is_none_or(|oldest| now.since(oldest) >= WITHIN) {
            self.0.rotate_left(1);
            self.0[AT_MOST - 1] = Some(now);
        }
    }

    fn until(&self, start_grace: Duration) -> Option<Moment> {
        self.0[AT_MOST - 1].map(|last| last + start_grace)
    }
}

impl Grace {
    /// The daemon starts.
    pub fn new(now: Moment) -> Self {
        Self { started: now, taken_over: Latest::default(), held_up: Latest::default(), looked_away: None }
    }

    /// This host takes over.
    pub fn taken_over(&mut self, now: Moment) {
        self.taken_over.add(now);
    }

    /// Nobody looked for a while, up to now.
    pub fn held_up(&mut self, now: Moment) {
        self.looked_away = Some(now);
        self.held_up.add(now);
    }

    /// Until when nothing opens. `agreed` is whether both ends agree on a tunnel that is Down, and `agreed_after` whether they do by
    /// evidence of after a moment.
    pub fn until(
        &self,
        start_grace: Duration,
        agreed: bool,
        agreed_after: impl FnOnce(Moment) -> bool,
    ) -> Moment {
        let fresh = self.looked_away.is_some_and(agreed_after);
        let held_up = if fresh { None } else { self.held_up.until(start_grace) };
        let (started, taken_over) = if agreed {
            (self.started, None)
        } else {
            (self.started + start_grace, self.taken_over.until(start_grace))
        };
        [taken_over, held_up].into_iter().flatten().fold(started, Moment::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(120);

    fn at(secs: u64) -> Moment {
        Moment::ORIGIN + Duration::from_secs(secs)
    }

    #[test]
    fn after_a_start_it_lasts_until_both_ends_agree() {
        assert_eq!(Grace::new(at(7)).until(GRACE, false, |_| false), at(127));
        assert_eq!(Grace::new(at(7)).until(GRACE, true, |_| false), at(7));
    }

    #[test]
    fn after_a_hold_up_it_lasts_as_long_or_until_both_ends_agree_on_evidence_of_after_it() {
        let mut grace = Grace::new(at(0));
        grace.held_up(at(5000));
        assert_eq!(grace.until(GRACE, false, |_| false), at(5120));
        assert_eq!(grace.until(GRACE, true, |after| after < at(5000)), at(5120));
        assert_eq!(grace.until(GRACE, true, |after| after == at(5000)), at(0));
        assert_eq!(grace.until(GRACE, false, |after| after == at(5000)), at(120));
    }

    #[test]
    fn after_a_take_over_it_lasts_until_both_ends_agree() {
        let mut grace = Grace::new(at(0));
        grace.taken_over(at(600));
        assert_eq!(grace.until(GRACE, false, |_| false), at(720));
        assert_eq!(grace.until(GRACE, true, |_| false), at(0));
    }

    #[test]
    fn what_repeats_keeps_nothing_from_opening_for_long() {
        let (mut held_up, mut moved) = (Grace::new(at(0)), Grace::new(at(0)));
        let mut kept = [0, 0];
        for second in 0..36_000 {
            if second % 100 == 0 {
                held_up.held_up(at(second));
                moved.taken_over(at(second));
            }
            for (grace, kept) in [held_up, moved].iter().zip(&mut kept) {
                *kept += u64::from(grace.until(GRACE, false, |_| false) > at(second));
            }
        }
        assert!(kept.iter().all(|kept| *kept <= 10 * 3 * 120), "{kept:?} of ten hours");
    }
}
