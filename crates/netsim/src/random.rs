//! Numbers that look random and come from a seed: SplitMix64, the same on every machine and in every version.

/// A stream of pseudo-random numbers.
///
/// SplitMix64 (Steele, Lea, Flood 2014) is eight bytes of state and three multiplications, passes the usual statistical
/// batteries, and is written out here so that no dependency's update can change what a seed means.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// An independent stream for one use of the same seed, so that turning one knob leaves the others' choices alone.
    #[must_use]
    pub fn stream(seed: u64, use_of_it: u64) -> Self {
        let mut mixer = Random(seed ^ use_of_it.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Random(mixer.number())
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero when the bound is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a 128-bit product: without division, and biased by less than bound / 2^64.
        let product = (u128::from(self.number()) * u128::from(bound)) >> 64;
        u64::try_from(product).expect("the high half of 128 bits has 64")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_for_ever() {
        // The published test vector of SplitMix64 for seed 1234567.
        let mut random = Random::new(1_234_567);
        assert_eq!(
            [random.number(), random.number(), random.number()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn every_value_below_the_bound_comes_about_equally_often() {
        let mut random = Random::new(1);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[usize::try_from(random.below(10)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_eq!(random.below(0), 0);
    }
}
