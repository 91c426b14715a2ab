//! One member as the hub sees it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use events::Time;

use super::CASTS;
use super::courier::Courier;
use super::history::History;
use super::wire::{Held, Seat, Welcome};

/// Between two repairs of the same member: what it asks for twice meanwhile is on its way.
const REPAIR: Duration = Duration::from_millis(20);
/// How soon a member that lacks something hears again how much there is.
const REMIND: Duration = Duration::from_millis(100);
/// A member that lacks something said so many times the silence ago is stuck, whatever it has taken meanwhile: one that
/// takes a message now and then would hold up all others for as long as it likes.
const PATIENCE: u32 = 4;

/// A member's seat.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) welcome: Welcome,
    pub(super) address: SocketAddr,
    /// How it is called here: the name it wished, made unlike all others.
    pub(super) name: Vec<u8>,
    pub(super) joined: Time,
    pub(super) courier: Courier,
    /// Messages of its own that have a number.
    pub(super) admitted: u32,
    /// Messages of its own that wait for the one before them, or for room.
    pub(super) waiting: BTreeMap<u32, Said>,
    /// It has all up to this number.
    pub(super) have: u64,
    pub(super) heard: Time,
    repaired: Option<Time>,
    next_beat: Time,
}

/// What a member said and what it had seen.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) stamp: Vec<(u32, u32)>,
    pub(super) text: Vec<u8>,
}

impl Row {
    pub(super) fn new(now: Time, address: SocketAddr, welcome: Welcome, name: Vec<u8>) -> Self {
        Row {
            welcome,
            address,
            name,
            joined: now,
            courier: Courier::default(),
            admitted: 0,
            waiting: BTreeMap::new(),
            have: welcome.base,
            heard: now,
            repaired: None,
            next_beat: now + welcome.heartbeat,
        }
    }

    pub(super) fn seat(&self) -> Seat {
        self.welcome.seat
    }

    /// It said something to all. What is too far ahead is dropped: it says it again.
    pub(super) fn say(&mut self, seq: u32, said: Said) {
        let ahead = seq.saturating_sub(self.admitted);
        if (1..=u32::try_from(CASTS).unwrap_or(u32::MAX)).contains(&ahead) {
            self.waiting.entry(seq).or_insert(said);
        }
        self.next_beat = Time::ZERO; // It wants to know how far it got.
    }

    /// The next of its messages, in the order it said them.
    pub(super) fn next_said(&mut self) -> Option<(u32, Said)> {
        let seq = self.admitted.checked_add(1)?;
        let said = self.waiting.remove(&seq)?;
        self.admitted = seq;
        Some((seq, said))
    }

    /// It reported. Gives whether it may be sent what it lacks now.
    pub(super) fn report(&mut self, now: Time, held: &Held, newest: u64) -> bool {
        // More than there is: not one of our members said so.
        if held.have > newest || held.have < self.have {
            return false;
        }
        self.have = held.have;
        let may = self.repaired.is_none_or(|last| now - last >= REPAIR);
        if may {
            self.repaired = Some(now);
        }
        may
    }

    /// There is a new message: it is told soon how much there is.
    pub(super) fn begins_to_lack(&mut self, now: Time) {
        self.next_beat = self.next_beat.min(now + REMIND);
    }

    /// Whether it is time to tell it how much there is; then the next time is set.
    pub(super) fn beat_is_due(&mut self, now: Time, newest: u64) -> bool {
        let is_due = self.next_beat <= now;
        if is_due {
            let wait = if self.have < newest { REMIND } else { self.welcome.heartbeat };
            self.next_beat = now + wait.min(self.welcome.heartbeat);
        }
        is_due
    }

    pub(super) fn poll_timeout(&self, history: &History) -> Time {
        let limits = self.next_beat.min(self.silent_at()).min(self.stuck_at(history));
        self.courier.poll_timeout().map_or(limits, |line| line.min(limits))
    }

    pub(super) fn silent_at(&self) -> Time {
        self.heard + self.welcome.silence
    }

    /// When it counts as stuck, unless it takes the oldest message it lacks before.
    pub(super) fn stuck_at(&self, history: &History) -> Time {
        history.said_at(self.have + 1).map_or(Time::MAX, |said| said + self.welcome.silence * PATIENCE)
    }
}
