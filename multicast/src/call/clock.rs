//! A vector clock: how much of each origin has been seen (Fidge 1988, Mattern 1989).

use std::collections::{BTreeMap, BTreeSet};

use super::HUB;

/// How many messages of each origin were handed out here, and which of these counts moved since the last stamp.
///
/// A stamp names only the counts that moved since the speaker's previous message: whoever sees messages of one speaker
/// in order has the others already (Singhal and Kshemkalyani 1992).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VectorClock {
    seen: BTreeMap<u32, u32>,
    moved: BTreeSet<u32>,
}

impl VectorClock {
    /// Message `seq` of `origin` was handed out.
    pub fn note(&mut self, origin: u32, seq: u32) {
        let seen = self.seen.entry(origin).or_insert(0);
        if seq > *seen {
            *seen = seq;
            self.moved.insert(origin);
        }
    }

    /// How far `origin` was seen; zero when never.
    #[must_use]
    pub fn seen(&self, origin: u32) -> u32 {
        self.seen.get(&origin).copied().unwrap_or(0)
    }

    /// Whether `seq` of `origin` is the one after the last seen.
    #[must_use]
    pub fn is_next(&self, origin: u32, seq: u32) -> bool {
        seq == self.seen(origin).saturating_add(1)
    }

    /// Whether everything a stamp names was seen.
    #[must_use]
    pub fn covers(&self, stamp: &[(u32, u32)]) -> bool {
        stamp.iter().all(|&(origin, seq)| self.seen(origin) >= seq)
    }

    /// How many origins a stamp would name now, at most.
    #[must_use]
    pub fn moved(&self) -> usize {
        self.moved.len()
    }

    /// What a message of `own` that is said now depends on, beside the speaker's previous one.
    #[must_use]
    pub fn stamp(&mut self, own: u32) -> Vec<(u32, u32)> {
        let moved = std::mem::take(&mut self.moved);
        moved.into_iter().filter(|&origin| origin != own).map(|origin| (origin, self.seen(origin))).collect()
    }

    /// Keeps at most `limit` origins beside the hub: the oldest go. Nothing waits for ever for one that is forgotten, it only
    /// waits until all before it are here.
    pub fn forget_oldest_beyond(&mut self, limit: usize) {
        while self.seen.len() > limit.saturating_add(1) {
            let Some(oldest) = self.seen.keys().copied().find(|origin| *origin != HUB) else { return };
            self.forget(oldest);
        }
    }

    /// `origin` has gone, and the message that says so depends on all of its own: it need not be named any more.
    pub fn forget(&mut self, origin: u32) {
        self.seen.remove(&origin);
        self.moved.remove(&origin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_names_what_moved_since_the_last_one() {
        let mut clock = VectorClock::default();
        clock.note(1, 1);
        clock.note(2, 1);
        assert_eq!(clock.stamp(2), [(1, 1)]);
        assert_eq!(clock.stamp(2), []);
        clock.note(1, 2);
        clock.note(3, 9);
        clock.forget(3);
        assert_eq!(clock.stamp(2), [(1, 2)]);
        assert!(clock.covers(&[(1, 2), (2, 1)]));
        assert!(!clock.covers(&[(3, 1)]));
        assert!(clock.is_next(3, 1) && clock.is_next(1, 3) && !clock.is_next(1, 2));
    }
}
