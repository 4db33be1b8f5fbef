//! Randomness by the seed alone. Each random decision draws from a stream of its own, so that removing one event from a
//! schedule leaves the others unchanged.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of `purpose`.
    pub fn of(seed: u64, purpose: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, purpose).hash(&mut hasher);
        Self(ChaCha8Rng::seed_from_u64(hasher.finish()))
    }

    /// True in this many of a hundred cases.
    pub fn percent(&mut self, percent: u8) -> bool {
        self.0.random_range(0..100) < percent
    }

    /// From `from` to below `to`.
    pub fn below(&mut self, from: u64, to: u64) -> u64 {
        self.0.random_range(from..to)
    }

    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.below(from, to))
    }

    pub fn secs(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_secs(self.below(from, to))
    }

    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())]
    }
}
