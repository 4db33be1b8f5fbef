//! How long to wait after a failure.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Doubling waits with jitter: each is drawn from the upper half of its step, so that many daemons that failed together
/// do not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    step: Duration,
    random: u64,
}

impl Backoff {
    /// Equal seeds give equal waits.
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds are spread by the golden ratio; xorshift never leaves zero.
        Self { step: FIRST, random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 }
    }

    /// The wait after a further failure: between half a step and a step, and the next step is twice as long.
    pub fn failed(&mut self) -> Duration {
        let half = self.step / 2;
        self.step = (self.step * 2).min(LONGEST);
        half + self.draw(half)
    }

    /// The first step again.
    pub fn succeeded(&mut self) {
        self.step = FIRST;
    }

    /// A duration from zero to `below`.
    pub fn draw(&mut self, below: Duration) -> Duration {
        // Marsaglia, "Xorshift RNGs" (2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = (self.random >> 40) as f64 / f64::from(1_u32 << 24);
        below.mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_start_over_after_success() {
        let mut backoff = Backoff::new(7);
        for step in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = backoff.failed();
            let step = Duration::from_secs(step);
            assert!(wait >= step / 2 && wait <= step, "{wait:?} is not in the upper half of {step:?}");
        }
        backoff.succeeded();
        assert!(backoff.failed() <= FIRST);
    }

    #[test]
    fn different_seeds_wait_differently() {
        assert_ne!(Backoff::new(2).failed(), Backoff::new(4).failed());
    }
}
