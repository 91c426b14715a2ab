//! Many messages: what goes out at once, and when.

use std::time::Duration;

use events::Time;
use labkit::batch::{LONGEST, SEGMENTS};
use labkit::units;
use rand::Rng;
use rand::rngs::StdRng;

use super::numbering::Numbering;
use super::{Config, Item};
use crate::payload::{Kind, RANDOM_BYTES};
use crate::rtp;

/// A timer that wakes us up later than this is of no use for shorter waits.
const TICK: Duration = Duration::from_millis(1);
/// How far behind its time a load may fall and still catch up: longer, and a burst would flood whoever receives.
const BEHIND: Duration = Duration::from_millis(10);

/// How much goes out a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// So many bits of UDP payload, as iperf counts them.
    Bits(u64),
    /// As fast as it goes.
    Max,
}

impl std::str::FromStr for Rate {
    type Err = String;

    /// Reads `64K`, `10M`, `1G`, in bit/s, or `max`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "max" { Ok(Rate::Max) } else { units::bitrate(text).map(Rate::Bits) }
    }
}

/// A load on its way out.
#[derive(Debug)]
pub(super) struct Load {
    rate: Rate,
    items: Vec<Item>,
    position: usize,
    /// Rounds left; `None` is without end.
    rounds: Option<u64>,
    limit: usize,
    due: Time,
    bytes: Vec<u8>,
    size: usize,
    messages: Vec<(Kind, usize)>,
}

impl Load {
    pub(super) fn new(rate: Rate, config: &Config, now: Time) -> Self {
        Load {
            rate,
            items: config.items.clone(),
            position: 0,
            rounds: config.rounds.map(std::num::NonZeroU64::get),
            limit: config.batch.clamp(1, SEGMENTS),
            due: now,
            bytes: Vec::with_capacity(LONGEST),
            size: 0,
            messages: Vec::with_capacity(SEGMENTS),
        }
    }

    /// How long to wait before the next batch; `None` is not at all.
    pub(super) fn wait(&mut self, now: Time) -> Option<Duration> {
        if now - self.due > BEHIND {
            self.due = now;
        }
        let wait = self.due - now;
        if wait < TICK { None } else { Some(wait) }
    }

    /// Puts the next batch together: messages of one length, as many as fit a super-packet and a tick. Gives whether
    /// there was any left.
    pub(super) fn fill(&mut self, numbering: &mut Option<Numbering>, random: &mut StdRng, now: Time) -> bool {
        self.bytes.clear();
        self.messages.clear();
        while let Some(length) = self.next_length() {
            let size = length + if numbering.is_some() { rtp::HEADER } else { 0 };
            let is_first = self.messages.is_empty();
            if !is_first && (size != self.size || self.is_full(size)) {
                break;
            }
            self.size = size;
            self.write_next(numbering, random, now);
        }
        self.due += self.takes(self.bytes.len());
        !self.messages.is_empty()
    }

    fn is_full(&self, size: usize) -> bool {
        let burst = self.takes(self.bytes.len()) >= TICK;
        self.messages.len() >= self.limit || self.bytes.len() + size > LONGEST || burst
    }

    /// How long so many bytes take at the rate.
    fn takes(&self, bytes: usize) -> Duration {
        let Rate::Bits(rate) = self.rate else { return Duration::ZERO };
        let nanos = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(8_000_000_000) / u128::from(rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn next_length(&self) -> Option<usize> {
        if self.rounds == Some(0) {
            return None;
        }
        match self.items.get(self.position)? {
            Item::Fixed(message) => Some(message.bytes.len()),
            Item::Random => Some(RANDOM_BYTES),
            Item::Filler(length) => Some(*length),
            // Lines come when they come; the arguments do not let the two together.
            Item::Stdin => None,
        }
    }

    fn write_next(&mut self, numbering: &mut Option<Numbering>, random: &mut StdRng, now: Time) {
        let Some(item) = self.items.get(self.position) else { return };
        let kind = if let Item::Fixed(message) = item { message.kind } else { Kind::Binary };
        if let Some(numbering) = numbering {
            numbering.write_header(&mut self.bytes, kind, now);
        }
        let began = self.bytes.len();
        match item {
            Item::Fixed(message) => self.bytes.extend_from_slice(&message.bytes),
            Item::Filler(length) => self.bytes.resize(began + length, 0),
            Item::Random => {
                self.bytes.resize(began + RANDOM_BYTES, 0);
                random.fill_bytes(&mut self.bytes[began..]);
            }
            Item::Stdin => {}
        }
        self.messages.push((kind, self.bytes.len() - began));
        self.position += 1;
        if self.position == self.items.len() {
            self.position = 0;
            self.rounds = self.rounds.map(|rounds| rounds - 1);
        }
    }

    /// The batch: datagrams one behind the other.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How long each datagram of it is, header included.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The messages in it: what they are, and how long their payloads.
    pub(super) fn messages(&self) -> impl Iterator<Item = (Kind, usize)> + use<> {
        self.messages.clone().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use rand::SeedableRng;

    use super::*;
    use crate::Group;
    use crate::payload::Message;

    fn load(rate: Rate, items: Vec<Item>, rounds: u64) -> Load {
        let group = Group::parse("224.1.1.1").unwrap();
        let config = Config { items, rounds: NonZeroU64::new(rounds), ..Config::classic(group, "a") };
        Load::new(rate, &config, Time::ZERO)
    }

    /// How many datagrams of which size each batch has.
    fn batches(load: &mut Load) -> Vec<(usize, usize)> {
        let (mut random, mut numbering) = (StdRng::seed_from_u64(1), None);
        let mut batches = Vec::new();
        while load.fill(&mut numbering, &mut random, Time::ZERO) {
            batches.push((load.messages.len(), load.size()));
        }
        batches
    }

    #[test]
    fn a_batch_holds_what_fits_a_super_packet() {
        assert_eq!(batches(&mut load(Rate::Max, vec![Item::Filler(100)], 150)), [(64, 100), (64, 100), (22, 100)]);
        assert_eq!(batches(&mut load(Rate::Max, vec![Item::Filler(1400)], 47)), [(46, 1400), (1, 1400)]);
        let mixed = vec![Item::Fixed(Message::text("ab")), Item::Fixed(Message::text("cd")), Item::Random];
        assert_eq!(batches(&mut load(Rate::Max, mixed, 2)), [(2, 2), (1, 16), (2, 2), (1, 16)]);
    }

    #[test]
    fn a_batch_holds_no_more_than_a_tick_of_its_rate() {
        // 8 Mbit/s are 1,000 bytes a millisecond.
        let mut load = load(Rate::Bits(8_000_000), vec![Item::Filler(100)], 25);
        assert_eq!(batches(&mut load), [(10, 100), (10, 100), (5, 100)]);
        assert_eq!(load.wait(Time::ZERO), Some(Duration::from_micros(2_500)));
        assert_eq!(load.wait(Time::ZERO + Duration::from_micros(1_600)), None);
    }

    #[test]
    fn who_fell_far_behind_does_not_make_up_for_it_in_one_burst() {
        let mut load = load(Rate::Bits(8_000_000), vec![Item::Filler(1000)], 9);
        let late = Time::ZERO + Duration::from_secs(5);
        assert_eq!(load.wait(late), None);
        assert!(load.fill(&mut None, &mut StdRng::seed_from_u64(1), late));
        assert_eq!(load.wait(late), Some(TICK));
    }

    #[test]
    fn rates_as_people_write_them() {
        assert_eq!("max".parse(), Ok(Rate::Max));
        assert_eq!("10M".parse(), Ok(Rate::Bits(10_000_000)));
        assert!("0".parse::<Rate>().is_err());
    }
}
