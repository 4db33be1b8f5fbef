//! Chance that can be repeated.

/// SplitMix64, as published by Steele, Lea and Flood (OOPSLA 2014): small, and the same everywhere.
pub(in crate::incident) struct Dice(pub(in crate::incident) u64);

impl Dice {
    pub(in crate::incident) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(in crate::incident) fn percent(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}
