//! Those who wrote and wait for the operator's answer, oldest first.

use std::collections::VecDeque;
use std::net::SocketAddr;

/// How many are remembered.
const MOST: usize = 1_000;

/// One who can be written to alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Member(u32),
    Raw(SocketAddr),
}

/// A message that was not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) peer: Peer,
    pub(super) name: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    askers: VecDeque<Asker>,
    pub(super) forgotten: u64,
}

impl Pending {
    pub(super) fn push(&mut self, asker: Asker) {
        if self.askers.len() >= MOST {
            self.askers.pop_front();
            self.forgotten += 1;
        }
        self.askers.push_back(asker);
    }

    pub(super) fn first(&self) -> Option<&Asker> {
        self.askers.front()
    }

    pub(super) fn pop(&mut self) -> Option<Asker> {
        self.askers.pop_front()
    }

    /// The operator wrote to this one without being asked: that was the answer.
    pub(super) fn answered(&mut self, peer: &Peer) {
        if let Some(at) = self.askers.iter().position(|asker| asker.peer == *peer) {
            self.askers.remove(at);
        }
    }

    /// One who has gone needs no answer.
    pub(super) fn forget(&mut self, peer: &Peer) {
        self.askers.retain(|asker| asker.peer != *peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_answered_first_and_the_number_is_bounded() {
        let asker = |member| Asker { peer: Peer::Member(member), name: vec![] };
        let mut pending = Pending::default();
        (0..=1_000).for_each(|member| pending.push(asker(member)));
        assert_eq!((pending.askers.len(), pending.forgotten), (MOST, 1));
        pending.answered(&Peer::Member(1));
        pending.forget(&Peer::Member(2));
        assert_eq!(pending.pop(), Some(asker(3)));
        assert_eq!(pending.first(), Some(&asker(4)));
    }
}
