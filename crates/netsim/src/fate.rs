//! What became of a packet, told the moment it is handed to the link.

use crate::Random;

/// What the link does with one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a lost packet never comes out: count it"]
pub enum Fate {
    /// It will come out.
    Passed {
        /// Twice.
        duplicated: bool,
        /// With some of its bits turned over.
        corrupted: bool,
        /// After packets that were handed in later.
        reordered: bool,
        /// Marked: the queue before the bottleneck is long (`ecn=`).
        marked: bool,
    },
    /// It never comes out.
    Lost(Cause),
}

/// Why a packet was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Exactly this packet was to be dropped (`drop=`).
    Exact,
    /// The link was dark (`blackout=`).
    Blackout,
    /// A burst of losses (`burst=`).
    Burst,
    /// Chance (`loss=`).
    Chance,
    /// The queue before the bottleneck was full (`rate=`, `queue=`).
    Queue,
}

/// How a packet was corrupted. Packets are opaque to the link, so whoever takes the packet out applies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    pub(crate) seed: u64,
}

/// What was written into the ECN bits of a packet that may be marked. Packets are opaque to the link, so whoever takes the
/// packet out does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewritten {
    /// Congestion experienced (CE).
    Marked,
    /// Not to be marked (Not-ECT): a path that clears the bits.
    Cleared,
}

/// How many packets met which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets handed in.
    pub packets: u64,
    /// Lost because exactly they were to be dropped.
    pub exact: u64,
    /// Lost while the link was dark.
    pub blackout: u64,
    /// Lost in bursts.
    pub burst: u64,
    /// Lost by chance.
    pub chance: u64,
    /// Lost before a full queue.
    pub queue: u64,
    /// Passed on twice.
    pub duplicated: u64,
    /// Passed on with damage.
    pub corrupted: u64,
    /// Passed on late.
    pub reordered: u64,
    /// Passed on with a mark.
    pub marked: u64,
}

impl Fate {
    /// Whether the packet comes out at all.
    #[must_use]
    pub fn arrives(self) -> bool {
        matches!(self, Fate::Passed { .. })
    }
}

impl Damage {
    /// Turns over one to eight bits of `bytes`: the same ones each time.
    pub fn apply(self, bytes: &mut [u8]) {
        let mut random = Random::new(self.seed);
        let bits = bytes.len() as u64 * 8;
        let mut turned = Vec::with_capacity(8);
        for _ in 0..=random.below(8) {
            let bit = random.below(bits);
            let byte = usize::try_from(bit / 8).ok().and_then(|index| bytes.get_mut(index));
            if let Some(byte) = byte.filter(|_| !turned.contains(&bit)) {
                turned.push(bit); // Turning one bit twice would be no damage at all.
                *byte ^= 1 << (bit % 8);
            }
        }
    }
}

impl Tally {
    /// All packets that never came out.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.exact + self.blackout + self.burst + self.chance + self.queue
    }

    pub(crate) fn count(&mut self, fate: Fate) {
        self.packets += 1;
        match fate {
            Fate::Lost(Cause::Exact) => self.exact += 1,
            Fate::Lost(Cause::Blackout) => self.blackout += 1,
            Fate::Lost(Cause::Burst) => self.burst += 1,
            Fate::Lost(Cause::Chance) => self.chance += 1,
            Fate::Lost(Cause::Queue) => self.queue += 1,
            Fate::Passed { duplicated, corrupted, reordered, marked } => {
                self.duplicated += u64::from(duplicated);
                self.corrupted += u64::from(corrupted);
                self.reordered += u64::from(reordered);
                self.marked += u64::from(marked);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_changes_one_to_eight_bits_and_is_the_same_each_time() {
        for seed in 0..1_000 {
            let (mut once, mut twice) = ([0_u8; 40], [0_u8; 40]);
            Damage { seed }.apply(&mut once);
            Damage { seed }.apply(&mut twice);
            assert_eq!(once, twice);
            let turned: u32 = once.iter().map(|byte| byte.count_ones()).sum();
            assert!((1..=8).contains(&turned), "seed {seed}: {turned} bits");
        }
        Damage { seed: 1 }.apply(&mut []); // Nothing to turn over: nothing happens.
    }
}
