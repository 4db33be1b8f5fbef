//! The search for the largest packet that passes, without clock and socket. Loss is not size: beside each larger packet goes one of
//! the smallest, and only as many lost as mere loss would hardly ever take make a size too large.

/// What to send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Some packets of one size, until one has passed.
    Burst(Burst),
    /// The largest size that passes; `None` if none does.
    Done(Option<u16>),
}

/// Packets of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Burst {
    /// Their size. Beside each goes one of the smallest, unless they are that.
    pub(super) size: u16,
    /// How many.
    pub(super) tries: u8,
}

/// The state of a search.
#[derive(Debug)]
pub(super) struct Search {
    smallest: u16,
    /// The largest that this host sends in one piece, as far as is known.
    most: u16,
    /// The size to try before all others.
    first: u16,
    passed: Option<u16>,
    /// The size that is being tried, and how many of it were lost.
    trying: Option<(u16, u32)>,
    /// The smallest size that is thought too large, and how many of it were lost.
    too_large: Option<(u16, u32)>,
    /// Of the smallest size: how many were sent, and lost.
    sent: u32,
    lost: u32,
    /// So many bursts in a row of which not even one of the smallest size passed.
    silent: u8,
}

const TRIES: u8 = 3;
/// The first burst measures loss and round trip.
const FIRST_TRIES: u8 = 5;
/// Then nothing passes.
const SILENT_BURSTS: u8 = 4;
/// A size is thought too large when mere loss takes so many with less than this probability ...
const LIKELY: f64 = 2e-3;
/// ... and the result rests on one about which this is as good as certain: there are ten steps to it, and each may have erred.
const CERTAIN: f64 = 1e-6;

impl Search {
    /// Between two sizes, beginning with `first`: the last result, which mostly still holds.
    pub(super) fn new(smallest: u16, most: u16, first: Option<u16>) -> Self {
        Self {
            smallest,
            most,
            first: first.map_or(most, |first| first.clamp(smallest, most)),
            passed: None,
            trying: None,
            too_large: None,
            sent: 0,
            lost: 0,
            silent: 0,
        }
    }

    /// What to send next.
    pub(super) fn next(&self) -> Step {
        let burst = |size, tries| Step::Burst(Burst { size, tries });
        if self.silent >= SILENT_BURSTS || self.most < self.smallest {
            return Step::Done(None);
        }
        let Some(passed) = self.passed else { return burst(self.smallest, FIRST_TRIES) };
        let ceiling = self.too_large.map_or(self.most + 1, |(size, _)| size);
        if passed + 1 >= ceiling {
            return match self.too_large {
                Some((size, lost)) if size <= self.most && !self.is_beyond_loss(lost, CERTAIN) => {
                    burst(size, TRIES)
                }
                Some(_) | None => Step::Done(Some(passed)),
            };
        }
        let size = if passed < self.first && self.first < ceiling {
            self.first
        } else if passed == self.first {
            passed + 1
        } else {
            passed + (ceiling - passed) / 2
        };
        burst(size, TRIES)
    }

    /// A packet of this size has passed, whichever burst it belonged to.
    pub(super) fn has_passed(&mut self, size: u16) {
        self.silent = 0;
        self.passed = self.passed.max(Some(size));
        if self.too_large.is_some_and(|(too_large, _)| too_large <= size) {
            self.too_large = None;
        }
    }

    /// This host does not send a packet of this size in one piece.
    pub(super) fn is_beyond_host(&mut self, size: u16) {
        self.most = self.most.min(size.saturating_sub(1));
        if self.too_large.is_some_and(|(too_large, _)| too_large > self.most) {
            self.too_large = None;
        }
    }

    /// A burst has ended; so many of the smallest size have passed. Not for one that ended early because its size has passed.
    pub(super) fn ended(&mut self, burst: Burst, small: u32) {
        let tries = u32::from(burst.tries);
        self.sent += tries;
        self.lost += tries.saturating_sub(small);
        if small == 0 {
            // Whatever stops the smallest stops the others: nothing is known of the size.
            self.silent += 1;
            return;
        }
        self.has_passed(self.smallest);
        if self.passed >= Some(burst.size) {
            return;
        }
        let before =
            [self.too_large, self.trying].into_iter().flatten().find(|(size, _)| *size == burst.size);
        let lost = before.map_or(0, |(_, lost)| lost) + tries;
        let again = self.too_large.is_some_and(|(size, _)| size == burst.size);
        if again || self.is_beyond_loss(lost, LIKELY) {
            self.too_large = Some((burst.size, lost));
            self.trying = None;
        } else {
            self.trying = Some((burst.size, lost));
        }
    }

    /// Whether loss as it was met so far takes this many in a row with less than this probability.
    fn is_beyond_loss(&self, in_a_row: u32, probability: f64) -> bool {
        let rate = f64::from(self.lost + 1) / f64::from(self.sent + 2);
        rate.powf(f64::from(in_a_row)) < probability
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const SMALLEST: u16 = 576;
    const MOST: u16 = 1500;

    /// A path on which packets up to `largest` pass, of which a share is lost, from a host with this MTU.
    struct World {
        largest: u16,
        host: u16,
        loss: f64,
        luck: ChaCha8Rng,
    }

    impl World {
        fn new(largest: u16, host: u16, loss: f64, seed: u64) -> Self {
            Self { largest, host, loss, luck: ChaCha8Rng::seed_from_u64(seed) }
        }

        fn passes(&mut self, size: u16) -> bool {
            size <= self.largest && !self.luck.random_bool(self.loss)
        }

        /// Plays a search to its end; the result, and how many bursts it took.
        fn play(&mut self, first: Option<u16>) -> (Option<u16>, usize) {
            let mut search = Search::new(SMALLEST, MOST, first);
            for bursts in 0..500 {
                let burst = match search.next() {
                    Step::Burst(burst) => burst,
                    Step::Done(largest) => return (largest, bursts),
                };
                if burst.size > self.host {
                    search.is_beyond_host(burst.size);
                    continue;
                }
                let mut small = 0;
                let mut large = false;
                for _ in 0..burst.tries {
                    small += u32::from(self.passes(SMALLEST));
                    large |= burst.size > SMALLEST && self.passes(burst.size);
                }
                if large {
                    search.has_passed(burst.size);
                } else {
                    search.ended(burst, small);
                }
            }
            panic!("no end");
        }
    }

    proptest! {
        #[test]
        fn without_loss_every_threshold_is_found_to_the_byte(
            largest in SMALLEST..=1600,
            host in SMALLEST..=1600,
            first in proptest::option::of(0_u16..=2000),
        ) {
            let (found, bursts) = World::new(largest, host, 0.0, 1).play(first);
            prop_assert_eq!(found, Some(largest.min(host).min(MOST)));
            prop_assert!(bursts <= 20, "{} bursts", bursts);
        }

        #[test]
        fn what_does_not_even_let_the_smallest_pass_has_no_largest(largest in 0..SMALLEST, first in SMALLEST..=MOST) {
            let (found, bursts) = World::new(largest, MOST, 0.0, 1).play(Some(first));
            prop_assert_eq!(found, None);
            prop_assert_eq!(bursts, usize::from(SILENT_BURSTS));
        }

        #[test]
        fn a_search_ends_under_any_loss(largest in 0..=1600_u16, loss in 0.0..=1.0, seed: u64) {
            World::new(largest, MOST, loss, seed).play(None);
        }
    }

    #[test]
    fn loss_is_not_taken_for_size() {
        for (loss, wrong_at_most) in [(0.05, 0), (0.3, 2), (0.5, 10)] {
            let mut wrong = 0;
            for seed in 0..2_000 {
                let largest = 700 + u16::try_from(seed % 800).unwrap();
                let first = (seed % 2 == 0).then_some(largest);
                let (found, _) = World::new(largest, MOST, loss, seed).play(first);
                wrong += u32::from(found != Some(largest));
            }
            assert!(wrong <= wrong_at_most, "{loss}: {wrong} of 2000");
        }
    }

    #[test]
    fn in_calm_a_look_takes_a_few_bursts() {
        let bursts = |largest, host, first| World::new(largest, host, 0.0, 1).play(first).1;
        assert_eq!(bursts(MOST, MOST, None), 2, "nothing is in the way");
        assert_eq!(
            bursts(1400, MOST, Some(1400)),
            4,
            "as at the last look: it passes, and one byte more does not"
        );
        assert_eq!(bursts(1400, 1400, Some(1400)), 3, "as at the last look, by this host's own interface");
    }

    #[test]
    fn a_break_during_the_search_is_no_size() {
        let mut search = Search::new(SMALLEST, MOST, None);
        search.ended(Burst { size: SMALLEST, tries: FIRST_TRIES }, 5);
        let Step::Burst(burst) = search.next() else { panic!() };
        for _ in 1..SILENT_BURSTS {
            search.ended(burst, 0);
            assert_eq!(search.next(), Step::Burst(burst), "the same again");
        }
        search.has_passed(burst.size);
        assert_eq!(search.next(), Step::Done(Some(MOST)));
    }
}
