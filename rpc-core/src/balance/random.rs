//! Randomness as a value.

/// A sequence of numbers that a seed decides; not for secrets.
///
/// It is SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[inline]
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// The next number, of half the length.
    #[inline]
    pub(super) const fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// The next number from 0 to 1, without 1.
    #[inline]
    pub(super) fn next_f32(&mut self) -> f32 {
        // 24 bits are what the type holds.
        (self.next_u64() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// The next number below a bound, which must not be 0.
    ///
    /// It favours some by at most one part in 2^64 / bound, which nobody could measure.
    #[inline]
    pub(super) const fn below(&mut self, bound: usize) -> usize {
        ((self.next_u64() as u128 * bound as u128) >> 64) as usize
    }
}
