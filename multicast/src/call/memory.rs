//! At most once: what a member remembers of the calls it was asked.

use std::collections::BTreeMap;

use super::CALLS;

/// The latest calls of one session and what was answered.
///
/// A hub counts its calls, so a bounded memory suffices: a call below the oldest remembered one is late by more calls
/// than may be open at once, and is not carried out, whether it was before or not.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    session: u64,
    /// Calls up to this number are over.
    floor: u64,
    /// Call to answer; none while it is being worked on.
    calls: BTreeMap<u64, Option<Vec<u8>>>,
}

/// What to do about a call that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Carry it out.
    New,
    /// Say again what was answered.
    Again(Vec<u8>),
    /// Nothing: it is being worked on, or over.
    Nothing,
}

impl Memory {
    pub(super) fn handle(&mut self, session: u64, call: u64) -> Asked {
        if session != self.session {
            *self = Memory { session, ..Memory::default() };
        }
        if call <= self.floor {
            return Asked::Nothing;
        }
        match self.calls.get(&call) {
            Some(Some(answer)) => return Asked::Again(answer.clone()),
            Some(None) => return Asked::Nothing,
            None => {}
        }
        self.calls.insert(call, None);
        while self.calls.len() > CALLS {
            if let Some((oldest, _)) = self.calls.pop_first() {
                self.floor = oldest;
            }
        }
        if self.calls.contains_key(&call) { Asked::New } else { Asked::Nothing }
    }

    /// The answer; whether the call is still remembered and had none.
    pub(super) fn answer(&mut self, call: u64, text: &[u8]) -> bool {
        match self.calls.get_mut(&call) {
            Some(slot @ None) => {
                *slot = Some(text.to_vec());
                true
            }
            Some(Some(_)) | None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_carried_out_once_and_its_answer_repeated() {
        let mut memory = Memory::default();
        assert_eq!(memory.handle(9, 1), Asked::New);
        assert_eq!(memory.handle(9, 1), Asked::Nothing, "still at it");
        assert!(memory.answer(1, b"yes"));
        assert!(!memory.answer(1, b"no"), "one answer a call");
        assert_eq!(memory.handle(9, 1), Asked::Again(b"yes".to_vec()));
        assert_eq!(memory.handle(10, 1), Asked::New, "another run of the hub counts anew");
        assert!(!memory.answer(5, b"never asked"));
    }

    #[test]
    fn memory_is_bounded_and_forgetting_never_means_doing_it_twice() {
        let mut memory = Memory::default();
        for call in 2..=100 {
            assert_eq!(memory.handle(9, call), Asked::New);
            memory.answer(call, b"done");
        }
        assert_eq!(memory.calls.len(), CALLS);
        for call in 0..=100 - CALLS as u64 {
            assert_eq!(memory.handle(9, call), Asked::Nothing);
        }
        assert_eq!(memory.calls.len(), CALLS);
    }
}
