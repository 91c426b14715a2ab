//! What a link does to packets, as data: independent knobs, all off at first.

use std::time::Duration;

use events::Time;

/// A probability, in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u32);

/// Everything a link does to the packets that pass it. The default does nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Impairment {
    /// Each packet is lost with this chance, independently of all others.
    pub loss: Chance,
    /// Packets are lost in runs.
    pub burst: Option<Burst>,
    /// How long each packet takes.
    pub delay: Duration,
    /// At most this much is added to the delay, evenly spread. Packets keep their order.
    pub jitter: Duration,
    /// Some packets are overtaken by later ones.
    pub reorder: Option<Reorder>,
    /// Each packet comes out twice with this chance.
    pub duplicate: Chance,
    /// Each packet has some of its bits turned over with this chance.
    pub corrupt: Chance,
    /// The bottleneck's rate in bits per second; zero is no bottleneck.
    pub rate: u64,
    /// How many bytes may wait before the bottleneck; zero is a tenth of a second at its rate, at least 15 000.
    pub queue: u64,
    /// What is written into the ECN bits of packets that may be marked.
    pub ecn: Option<Marking>,
    /// When the link is dark.
    pub blackouts: Vec<Blackout>,
    /// Exactly these packets are dropped.
    pub drops: Vec<Drop>,
}

/// Losses in runs: the Gilbert model, in which every packet is lost while the link is in its bad state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// The chance that a burst begins at a packet.
    pub begin: Chance,
    /// The mean number of packets in a burst; zero counts as one.
    pub length: u32,
}

/// Packets held back until others have overtaken them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reorder {
    /// The chance that a packet is held back.
    pub chance: Chance,
    /// How many later packets overtake it. When fewer come, it goes on after [`Reorder::PATIENCE`].
    pub distance: u32,
}

/// What a link writes into the ECN bits (RFC 3168) of packets that may be marked. All others pass as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marking {
    /// A mark, where so many bytes or more wait before the bottleneck: the simplest of queues that mark, a step.
    From(u64),
    /// A mark, whatever the queue: a broken path.
    All,
    /// Zeros: a path that lets no mark through.
    Clear,
}

/// A time in which nothing passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blackout {
    /// When it begins.
    pub start: Duration,
    /// How long it lasts.
    pub length: Duration,
    /// How long from one beginning to the next; none when it comes only once.
    pub every: Option<Duration>,
}

/// One packet to be dropped, by its kind and its ordinal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drop {
    /// The kind, as told by whoever hands packets in, such as `block` or `report`.
    pub kind: String,
    /// Which packet of this kind on this link, counted from 0: on a first pass, `block:3` is block 3.
    pub ordinal: u64,
}

impl Chance {
    /// It never happens.
    pub const NEVER: Chance = Chance(0);
    const WHOLE: u32 = 1_000_000;

    /// `parts` in a million, at most a million.
    #[must_use]
    pub const fn from_ppm(parts: u32) -> Self {
        Chance(if parts > Self::WHOLE { Self::WHOLE } else { parts })
    }

    /// `percent` in a hundred.
    #[must_use]
    pub const fn from_percent(percent: u32) -> Self {
        Chance::from_ppm(percent.saturating_mul(Self::WHOLE / 100))
    }

    /// Parts per million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// Whether it happens, for a number drawn evenly from `0..1_000_000`.
    pub(crate) const fn happens_at(self, drawn: u64) -> bool {
        drawn < self.0 as u64
    }
}

impl Reorder {
    /// The distance where none is given: far enough that TCP's rule of three takes it for a loss.
    pub const DISTANCE: u32 = 3;
    /// The longest a packet is held back beyond its own delay.
    pub const PATIENCE: Duration = Duration::from_millis(10);
}

impl Blackout {
    /// Whether nothing passes at `now`.
    #[must_use]
    pub fn covers(&self, now: Time) -> bool {
        let Some(since) = now.as_nanos().checked_sub((Time::ZERO + self.start).as_nanos()) else { return false };
        let within = match self.every.map(|every| (Time::ZERO + every).as_nanos()) {
            Some(period) if period > 0 => since % period,
            Some(_) | None => since,
        };
        within < (Time::ZERO + self.length).as_nanos()
    }
}

impl Impairment {
    /// The bytes that may wait before the bottleneck.
    #[must_use]
    pub fn queue_limit(&self) -> u64 {
        if self.queue > 0 { self.queue } else { (self.rate / 80).max(15_000) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blackout_comes_back_as_often_as_it_says() {
        let second = Duration::from_secs(1);
        let dark = Blackout { start: 5 * second, length: 2 * second, every: Some(7 * second) };
        let covered: Vec<u64> =
            (0..22).filter(|&at| dark.covers(Time::ZERO + second * u32::try_from(at).unwrap())).collect();
        assert_eq!(covered, [5, 6, 12, 13, 19, 20]);
        assert!(!Blackout { every: None, ..dark }.covers(Time::ZERO + 12 * second));
    }
}
