//! What a machine tells of itself: small values, turned into the vocabulary of `events` by whoever knows the names.

use std::collections::VecDeque;
use std::time::Duration;

use events::{Cause, Event, Unit};

use crate::{Ecn, Outcome};

/// One thing that happened inside a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A packet was handed out to be sent.
    Sent(About),
    /// A packet was taken in.
    Received(About),
    /// A packet is known to be lost.
    Lost(About),
    /// A packet was thrown away.
    Refused(About),
    /// A timer ran out that had been set for so long.
    Expired(&'static str, Duration),
    /// What is known of marks on the path has changed.
    Ecn(Ecn),
    /// A figure.
    Measured(&'static str, u64, Unit),
    /// The transfer ended.
    Finished(Outcome),
}

/// Which packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Its kind.
    pub what: &'static str,
    /// Which one of its kind.
    pub number: Option<u64>,
    /// Its length on the wire, in bytes of UDP payload.
    pub bytes: u64,
}

impl Told {
    /// The same in the common vocabulary, told of the peer called `peer`.
    #[must_use]
    pub fn event(&self, peer: &str) -> Event {
        let peer = peer.to_owned();
        match *self {
            Told::Sent(About { what, number, bytes }) => Event::Sent { peer, what: what.to_owned(), number, bytes },
            Told::Received(About { what, number, bytes }) => {
                Event::Received { peer, what: what.to_owned(), number, bytes, name: None, elapsed_ns: None }
            }
            Told::Lost(About { what, number, bytes }) => {
                Event::Dropped { peer, what: what.to_owned(), number, bytes, cause: Cause::Network }
            }
            Told::Refused(About { what, number, bytes }) => {
                Event::Dropped { peer, what: what.to_owned(), number, bytes, cause: Cause::Refused }
            }
            Told::Expired(what, after) => Event::Expired {
                what: what.to_owned(),
                peer: Some(peer),
                after_ns: u64::try_from(after.as_nanos()).unwrap_or(u64::MAX),
            },
            Told::Ecn(state) => Event::Phase { name: format!("ECN {state}") },
            Told::Measured(name, value, unit) => {
                Event::Measured { name: name.to_owned(), value, unit, peer: Some(peer) }
            }
            Told::Finished(outcome) => {
                let (how, reason) = match outcome {
                    Outcome::Complete => (events::Outcome::Complete, None),
                    Outcome::Holes(holes) => (events::Outcome::Partial, Some(format!("blocks missing: {holes}"))),
                    Outcome::Failed(failure) => (events::Outcome::Failed, Some(failure.to_string())),
                };
                Event::Finished { outcome: how, reason }
            }
        }
    }
}

/// Where a machine puts what it tells: nowhere, unless somebody listens.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    listened_to: bool,
    told: VecDeque<Told>,
}

impl Teller {
    pub(crate) fn new(listened_to: bool) -> Self {
        Teller { listened_to, told: VecDeque::new() }
    }

    pub(crate) fn tell(&mut self, told: Told) {
        if self.listened_to {
            self.told.push_back(told);
        }
    }

    pub(crate) fn poll(&mut self) -> Option<Told> {
        self.told.pop_front()
    }
}
