//! The hub's side of the stream of numbers: what somebody still lacks.

use std::collections::VecDeque;

use events::Time;

use super::wire::EntryBody;
use super::{Entry, HISTORY};

/// The messages from the first that not all have to the newest.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// With when each was said.
    entries: VecDeque<(Time, Entry)>,
    /// Everybody has all up to this number.
    stable: u64,
}

impl History {
    pub(super) fn newest(&self) -> u64 {
        self.stable + self.entries.len() as u64
    }

    pub(super) fn is_stable(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether one more may be said. Leaves are taken without asking: there is one a member at most.
    pub(super) fn has_room(&self) -> bool {
        self.entries.len() < HISTORY
    }

    /// Gives the next number.
    pub(super) fn push(
        &mut self,
        now: Time,
        (origin, seq): (u32, u32),
        stamp: Vec<(u32, u32)>,
        name: Vec<u8>,
        body: EntryBody,
    ) -> Entry {
        let entry = Entry { number: self.newest() + 1, origin, seq, stamp, name, body };
        self.entries.push_back((now, entry.clone()));
        entry
    }

    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        self.place(number).map(|(_, entry)| entry)
    }

    /// When message `number` was said, while it is kept.
    pub(super) fn said_at(&self, number: u64) -> Option<Time> {
        self.place(number).map(|(said, _)| *said)
    }

    fn place(&self, number: u64) -> Option<&(Time, Entry)> {
        let index = number.checked_sub(self.stable + 1)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// Everybody has all up to `number`: forgets them.
    pub(super) fn settle(&mut self, number: u64) {
        while self.stable < number && self.entries.pop_front().is_some() {
            self.stable += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_have_is_forgotten_and_nothing_else() {
        let mut history = History::default();
        for seq in 1..=3 {
            history.push(Time::ZERO, (1, seq), vec![], vec![], EntryBody::Cast(vec![]));
        }
        history.settle(2);
        assert_eq!((history.get(2), history.get(3).map(|entry| entry.seq)), (None, Some(3)));
        history.settle(99);
        assert_eq!((history.newest(), history.is_stable()), (3, true));
        assert_eq!(history.get(0), None);
    }
}
