//! Which blocks are stored, and which have come but wait for the disk.

use std::collections::VecDeque;

use events::Time;

use crate::{BlockNumber, PacketNumber, RangeSet};

/// Keeps apart what has come and what is stored, so that a report speaks only of what is stored.
///
/// A report's `newest` is the newest packet that has been *dealt with*. While a block waits for the disk, it stays behind
/// that block's packet: else the sender would read "a later packet has arrived, and the block has not", and send it again.
#[derive(Debug)]
pub(super) struct Shelf {
    stored: RangeSet,
    /// Stored, or waiting to be.
    expected: RangeSet,
    /// In the order in which they came.
    waiting: VecDeque<Waiting>,
    newest: PacketNumber,
    newest_at: Option<Time>,
}

/// Where a block that was stored belonged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At the end of what is here, with no gap before it.
    InOrder,
    /// Next to a block behind a gap, or next to a gap's edge: as many gaps as before.
    BesideGap,
    /// There is a gap more now, or one less.
    MakesOrEndsGap,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    number: PacketNumber,
    block: BlockNumber,
    came: Time,
    stored: bool,
}

impl Shelf {
    pub(super) fn new(held: RangeSet) -> Self {
        Shelf {
            expected: held.clone(),
            stored: held,
            waiting: VecDeque::new(),
            newest: PacketNumber::NONE,
            newest_at: None,
        }
    }

    /// The blocks that are stored.
    pub(super) fn held(&self) -> &RangeSet {
        &self.stored
    }

    /// The newest packet that has been dealt with.
    pub(super) fn newest(&self) -> PacketNumber {
        self.newest
    }

    /// When it came, if there is one.
    pub(super) fn newest_at(&self) -> Option<Time> {
        self.newest_at
    }

    /// Whether a block is stored, or waits to be.
    pub(super) fn has_or_expects(&self, block: BlockNumber) -> bool {
        self.expected.contains(block)
    }

    /// The block that comes next when nothing is out of order.
    pub(super) fn next_in_order(&self) -> BlockNumber {
        self.expected.first_gap(BlockNumber(0))
    }

    /// A wanted block has come: it waits for the disk from now on. False when there is no room to remember it.
    pub(super) fn expect(&mut self, now: Time, number: PacketNumber, block: BlockNumber, room: usize) -> bool {
        if self.waiting.len() >= room || self.expected.insert(block).is_err() {
            return false;
        }
        self.waiting.push_back(Waiting { number, block, came: now, stored: false });
        true
    }

    /// A packet came whose block is not kept.
    pub(super) fn note(&mut self, now: Time, number: PacketNumber) {
        if self.waiting.is_empty() {
            self.dealt_with(now, number);
        }
    }

    /// A waiting block is stored; tells where it belonged. None when no such block was waiting.
    pub(super) fn stored(&mut self, block: BlockNumber) -> Option<Place> {
        let waiting = self.waiting.iter_mut().find(|waiting| waiting.block == block && !waiting.stored)?;
        waiting.stored = true;
        let in_order = self.stored.first_gap(BlockNumber(0)) == block && self.stored.end() <= block;
        let gaps = self.stored.ranges();
        // It fails only when more blocks than the cap has ranges wait for the disk, each alone: then the block counts as
        // missing, and comes again.
        if self.stored.insert(block).is_err() {
            let _ = self.expected.remove(block);
        }
        let place = match (in_order, self.stored.ranges() == gaps) {
            (true, _) => Place::InOrder,
            (false, true) => Place::BesideGap,
            (false, false) => Place::MakesOrEndsGap,
        };
        while let Some(first) = self.waiting.front().copied().filter(|first| first.stored) {
            self.waiting.pop_front();
            self.dealt_with(first.came, first.number);
        }
        Some(place)
    }

    fn dealt_with(&mut self, came: Time, number: PacketNumber) {
        if number > self.newest {
            self.newest = number;
            self.newest_at = Some(came);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_packet_stays_behind_what_waits_for_the_disk() {
        let mut shelf = Shelf::new(RangeSet::new());
        for n in 0..4 {
            assert!(shelf.expect(Time::ZERO, PacketNumber(n + 1), BlockNumber(n), 10));
        }
        assert_eq!((shelf.newest(), shelf.held().len()), (PacketNumber::NONE, 0));
        assert_eq!(shelf.stored(BlockNumber(1)), Some(Place::MakesOrEndsGap), "a block before it still waits");
        assert_eq!(shelf.newest(), PacketNumber::NONE);
        assert_eq!(shelf.stored(BlockNumber(0)), Some(Place::BesideGap), "it fills the gap");
        assert_eq!(shelf.newest(), PacketNumber(2));
        assert_eq!(shelf.stored(BlockNumber(2)), Some(Place::InOrder));
        assert_eq!(shelf.stored(BlockNumber(2)), None, "nobody waits for it any more");
        shelf.note(Time::ZERO, PacketNumber(9));
        assert_eq!(shelf.newest(), PacketNumber(3), "block 3 still waits");
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let mut shelf = Shelf::new(RangeSet::new());
        assert!(shelf.expect(Time::ZERO, PacketNumber(1), BlockNumber(0), 1));
        assert!(!shelf.expect(Time::ZERO, PacketNumber(2), BlockNumber(1), 1));
    }
}
