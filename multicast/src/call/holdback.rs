//! What a member holds back until its order lets it be handed out, and what it lacks.

use std::collections::{BTreeMap, VecDeque};

use super::wire::{EntryBody, Held};
use super::{Entry, MEMBERS, Order, VectorClock, WINDOW};

/// How many origins are remembered: more than can be here at once, as some may have gone that we still hear of.
const ORIGINS: usize = 4 * MEMBERS;

/// A member's side of the group's one stream of numbers.
///
/// Whatever the order, the message right after all that are here may always be handed out: the hub numbered it after
/// everything it depends on. So nothing waits for ever, even where a stamp names what nobody said.
#[derive(Clone, Debug)]
pub(super) struct Holdback {
    order: Order,
    have: u64,
    newest: u64,
    /// What came beyond the first gap: still held, or handed out already.
    beyond: BTreeMap<u64, Option<Entry>>,
    ready: VecDeque<Entry>,
    clock: VectorClock,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    New,
    Duplicate,
    /// Too far beyond the first gap: it is asked for again later.
    TooFar,
}

impl Holdback {
    /// One that begins after number `base`.
    pub(super) fn new(order: Order, base: u64) -> Self {
        Holdback {
            order,
            have: base,
            newest: base,
            beyond: BTreeMap::new(),
            ready: VecDeque::new(),
            clock: VectorClock::default(),
        }
    }

    pub(super) fn handle(&mut self, entry: Entry) -> Taken {
        self.learn(entry.number);
        if entry.number <= self.have || self.beyond.contains_key(&entry.number) {
            return Taken::Duplicate;
        }
        if entry.number > self.have + WINDOW {
            return Taken::TooFar;
        }
        self.beyond.insert(entry.number, Some(entry));
        self.release();
        Taken::New
    }

    /// There are messages up to `newest`.
    pub(super) fn learn(&mut self, newest: u64) {
        self.newest = self.newest.max(newest);
    }

    /// The next message that may be handed out.
    pub(super) fn poll(&mut self) -> Option<Entry> {
        self.ready.pop_front()
    }

    pub(super) fn held(&self) -> Held {
        Held::new(self.have, self.newest, self.beyond.keys().copied())
    }

    /// Whether something is known to be missing.
    pub(super) fn has_gap(&self) -> bool {
        self.newest > self.have
    }

    /// What a message said now depends on, where the order cares; none when that is more than `limit` origins.
    pub(super) fn stamp(&mut self, own: u32, limit: usize) -> Option<Vec<(u32, u32)>> {
        match self.order {
            Order::Causal if self.clock.moved() > limit => None,
            Order::Causal => Some(self.clock.stamp(own)),
            Order::None | Order::Fifo | Order::Total => Some(Vec::new()),
        }
    }

    fn release(&mut self) {
        loop {
            while let Some(slot) = self.beyond.remove(&(self.have + 1)) {
                self.have += 1;
                if let Some(entry) = slot {
                    self.hand_out(entry);
                }
            }
            let free = self.beyond.iter().find(|(_, slot)| slot.as_ref().is_some_and(|entry| self.is_free(entry)));
            let Some(number) = free.map(|(number, _)| *number) else { return };
            if let Some(entry) = self.beyond.insert(number, None).flatten() {
                self.hand_out(entry);
            }
        }
    }

    /// Whether the order lets `entry` be handed out before the gaps before it are filled.
    fn is_free(&self, entry: &Entry) -> bool {
        match self.order {
            Order::None => true,
            Order::Fifo => self.clock.is_next(entry.origin, entry.seq),
            Order::Causal => self.clock.is_next(entry.origin, entry.seq) && self.clock.covers(&entry.stamp),
            Order::Total => false,
        }
    }

    fn hand_out(&mut self, entry: Entry) {
        self.clock.note(entry.origin, entry.seq);
        if let EntryBody::Leave(member, _) = entry.body {
            self.clock.forget(member);
        }
        self.clock.forget_oldest_beyond(ORIGINS);
        self.ready.push_back(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, origin: u32, seq: u32, stamp: &[(u32, u32)]) -> Entry {
        Entry { number, origin, seq, stamp: stamp.to_vec(), name: vec![], body: EntryBody::Cast(vec![]) }
    }

    /// Hands in the messages of a table in another order; gives the numbers in which they come out.
    fn run(order: Order, arrivals: &[u64]) -> Vec<u64> {
        // 1 says two things; 2 answers the second; 3 knows of nothing.
        let said = [entry(1, 1, 1, &[]), entry(2, 1, 2, &[]), entry(3, 2, 1, &[(1, 2)]), entry(4, 3, 1, &[])];
        let mut holdback = Holdback::new(order, 0);
        let mut out = Vec::new();
        for &number in arrivals {
            let entry = said.iter().find(|entry| entry.number == number).unwrap();
            assert_eq!(holdback.handle(entry.clone()), Taken::New);
            assert_eq!(holdback.handle(entry.clone()), Taken::Duplicate);
            out.extend(std::iter::from_fn(|| holdback.poll()).map(|entry| entry.number));
        }
        assert!(!holdback.has_gap());
        out
    }

    #[test]
    fn each_order_holds_back_what_it_must_and_no_more() {
        let arrivals = [4, 3, 2, 1];
        assert_eq!(run(Order::None, &arrivals), [4, 3, 2, 1]);
        assert_eq!(run(Order::Fifo, &arrivals), [4, 3, 1, 2]);
        assert_eq!(run(Order::Causal, &arrivals), [4, 1, 2, 3]);
        assert_eq!(run(Order::Total, &arrivals), [1, 2, 3, 4]);
    }

    #[test]
    fn what_a_stamp_names_and_nobody_said_holds_nothing_back_for_ever() {
        let mut holdback = Holdback::new(Order::Causal, 0);
        holdback.handle(entry(2, 1, 1, &[(77, 9)]));
        assert_eq!(holdback.poll(), None);
        holdback.handle(entry(1, 2, 1, &[]));
        assert_eq!(holdback.poll().map(|entry| entry.number), Some(1));
        assert_eq!(holdback.poll().map(|entry| entry.number), Some(2));
    }

    #[test]
    fn memory_is_bounded_however_many_origins_a_hub_makes_up() {
        for order in Order::ALL {
            let mut holdback = Holdback::new(order, 0);
            for number in 1..=2_000 {
                holdback.handle(entry(number, u32::try_from(number).unwrap(), 1, &[]));
                assert_eq!(holdback.poll().map(|entry| entry.number), Some(number));
            }
            assert!(holdback.clock.moved() <= ORIGINS + 1, "{order}: {}", holdback.clock.moved());
            assert_eq!((holdback.clock.seen(1), holdback.clock.seen(2_000)), (0, 1), "{order}: the oldest went");
        }
    }

    #[test]
    fn memory_is_bounded_by_the_window() {
        let mut holdback = Holdback::new(Order::Total, 0);
        assert_eq!(holdback.handle(entry(WINDOW + 1, 1, 1, &[])), Taken::TooFar);
        for number in 2..=WINDOW {
            holdback.handle(entry(number, 1, 1, &[]));
        }
        assert_eq!(holdback.beyond.len() as u64, WINDOW - 1);
        assert_eq!(holdback.held().missing().collect::<Vec<_>>(), [1]);
    }
}
