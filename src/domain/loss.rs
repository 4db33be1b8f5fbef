//! The loss that is shown beside a verdict.

use std::collections::VecDeque;

use super::time::Moment;
use super::verdict::Outcome;

/// The lost share of echoes sent after a moment and ended within the last minute, in steps of ten seconds.
#[derive(Debug)]
pub struct LossWindow {
    from: Moment,
    steps: VecDeque<(i64, u32, u32)>,
}

const STEP_NANOS: i64 = 10_000_000_000;
const STEPS: i64 = 6;

impl LossWindow {
    /// Counts echoes sent after this moment.
    pub const fn since(from: Moment) -> Self {
        Self { from, steps: VecDeque::new() }
    }

    /// The moment from which it counts.
    pub const fn from(&self) -> Moment {
        self.from
    }

    /// An echo of `asked` ended.
    pub fn add(&mut self, outcome: Outcome, asked: Moment, now: Moment) {
        if asked <= self.from {
            return;
        }
        let lost = match outcome {
            Outcome::Reply { .. } | Outcome::Late { .. } => 0,
            Outcome::Lost(_) => 1,
            Outcome::Fault(_) => return,
        };
        let step = now.as_nanos().div_euclid(STEP_NANOS);
        match self.steps.back_mut() {
            Some(last) if last.0 == step => {
                last.1 += lost;
                last.2 += 1;
            }
            Some(_) | None => self.steps.push_back((step, lost, 1)),
        }
        while self.steps.front().is_some_and(|first| first.0 <= step - STEPS) {
            self.steps.pop_front();
        }
    }

    /// The share, 0 to 100, with this many more echoes counted as lost.
    pub fn percent(&self, now: Moment, overdue: u32) -> Option<f64> {
        let step = now.as_nanos().div_euclid(STEP_NANOS);
        let (lost, ended) = self
            .steps
            .iter()
            .filter(|(at, _, _)| *at > step - STEPS)
            .fold((overdue, overdue), |(lost, ended), (_, l, e)| (lost + l, ended + e));
        (ended > 0).then(|| f64::from(lost) * 100.0 / f64::from(ended))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::verdict::{Fault, Loss};
    use super::*;

    #[test]
    fn the_shown_loss_covers_the_last_minute_and_overdue_echoes() {
        let at = |secs: i64| Moment::from_nanos(secs * 1_000_000_000);
        let mut window = LossWindow::since(at(-1));
        let reply = Outcome::Reply { rtt: Duration::from_millis(1) };
        let lost = Outcome::Lost(Loss::Timeout);
        window.add(lost, at(-1), at(1));
        assert_eq!(window.percent(at(0), 0), None, "it was asked before the verdict held");
        window.add(lost, at(0), at(1));
        window.add(reply, at(11), at(11));
        window.add(Outcome::Fault(Fault::NoMemory), at(11), at(11));
        assert_eq!(window.percent(at(12), 0), Some(50.0));
        assert_eq!(window.percent(at(12), 2), Some(75.0));
        assert_eq!(window.percent(at(65), 0), Some(0.0));
    }
}
