//! The hub: it knows who is here, numbers what is said to all, repairs what is lost, and asks everybody.

mod receive;
mod turn;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use events::Time;

use super::cookie::Mint;
use super::history::History;
use super::hub_config::HubConfig;
use super::question::Question;
use super::raw::RawClients;
use super::seat::Row;
use super::wire::{Body, Datagram, DecodeError, Entry, EntryBody, GroupBody};
use super::{CALLS, CallResult, HUB, MEMBERS, Order, Refused, TEXT, VectorClock, Why};

/// The hub of a group.
///
/// Drain before you feed: after every `handle`, `handle_timeout` and anything said, take [`Hub::poll_transmit`] and
/// [`Hub::poll_event`] until `None`, then come back at [`Hub::poll_timeout`].
#[derive(Debug)]
pub struct Hub {
    config: HubConfig,
    mint: Mint,
    session: u64,
    rows: BTreeMap<u32, Row>,
    last_member: u32,
    history: History,
    clock: VectorClock,
    /// How much the hub itself has said to all.
    said: u32,
    raw: RawClients,
    questions: BTreeMap<u64, Question>,
    calls: u64,
    closing: Option<turn::Closing>,
    out: VecDeque<(Destination, Vec<u8>)>,
    events: VecDeque<HubEvent>,
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// One address.
    One(SocketAddr),
    /// The multicast group of [`HubConfig::group`].
    Group,
}

/// What the hub has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubEvent {
    /// Something was said to all, or somebody came or went: in the order of the numbers.
    Said(Entry),
    /// A member wrote to the hub alone.
    Line {
        /// Who.
        member: u32,
        /// Its name.
        name: Vec<u8>,
        /// What.
        text: Vec<u8>,
    },
    /// Somebody who is no member sent a raw line.
    RawLine {
        /// From where.
        from: SocketAddr,
        /// How it is called here.
        name: Vec<u8>,
        /// What.
        text: Vec<u8>,
    },
    /// A call is over.
    Called(CallResult),
    /// A datagram that claims to be of this protocol is not, or is of nobody here.
    Foreign {
        /// From where.
        from: SocketAddr,
        /// Its length.
        bytes: usize,
        /// What is wrong with it; none where it is well-formed, and of nobody here.
        reason: Option<DecodeError>,
    },
    /// Somebody could not be let in: the group is full.
    TurnedAway {
        /// From where.
        from: SocketAddr,
    },
}

/// One who is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// The member's number.
    pub member: u32,
    /// How it is called here.
    pub name: Vec<u8>,
    /// Where it is.
    pub address: SocketAddr,
    /// For how long it has been here.
    pub since: Duration,
    /// How long ago it was heard last.
    pub heard: Duration,
}

impl Hub {
    /// A hub with nobody there yet.
    #[must_use]
    pub fn new(config: HubConfig) -> Self {
        let mint = Mint::new(config.secret.0);
        let session = mint.number("session", 0);
        let config = HubConfig { members: config.members.clamp(1, MEMBERS), ..config };
        Hub {
            config,
            mint,
            session,
            rows: BTreeMap::new(),
            last_member: 0,
            history: History::default(),
            clock: VectorClock::default(),
            said: 0,
            raw: RawClients::default(),
            questions: BTreeMap::new(),
            calls: 0,
            closing: None,
            out: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The next datagram to send.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<(Destination, Vec<u8>)> {
        self.out.pop_front()
    }

    /// The next thing to tell.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<HubEvent> {
        self.events.pop_front()
    }

    /// Who is here, by number.
    #[must_use]
    pub fn present(&self, now: Time) -> Vec<Present> {
        let present = |(member, row): (&u32, &Row)| Present {
            member: *member,
            name: row.name.clone(),
            address: row.address,
            since: now - row.joined,
            heard: now - row.heard,
        };
        self.rows.iter().map(present).collect()
    }

    /// The member of that name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        self.rows.iter().find(|(_, row)| row.name == name).map(|(member, _)| *member)
    }

    /// Those who send raw lines, with their names.
    #[must_use]
    pub fn raw_clients(&self) -> Vec<(SocketAddr, Vec<u8>)> {
        self.raw.all().map(|(address, name)| (address, name.to_vec())).collect()
    }

    /// The raw client of that name.
    #[must_use]
    pub fn find_raw(&self, name: &[u8]) -> Option<SocketAddr> {
        self.raw.find(name)
    }

    /// How many raw clients were forgotten, because there were too many.
    #[must_use]
    pub fn raw_forgotten(&self) -> u64 {
        self.raw.forgotten()
    }

    /// Says `text` to all members, in the group's order.
    ///
    /// # Errors
    /// When it is too long, or when members lack too much as it is.
    pub fn cast(&mut self, now: Time, text: &[u8]) -> Result<Entry, Refused> {
        check(text)?;
        if !self.history.has_room() {
            return Err(Refused::Full);
        }
        let said = self.say(now, Vec::new(), EntryBody::Cast(text.to_vec()));
        self.turn(now);
        Ok(said)
    }

    /// Sends a line to one member.
    ///
    /// # Errors
    /// When it is too long, too many wait already, or nobody of that number is here.
    pub fn post(&mut self, now: Time, member: u32, line: &[u8]) -> Result<(), Refused> {
        check(line)?;
        self.rows.get_mut(&member).ok_or(Refused::Nobody)?.courier.post(line.to_vec())?;
        self.turn(now);
        Ok(())
    }

    /// Sends a raw line; whether it was sent: an address far away that has proved nothing gets no more than it sent.
    #[must_use]
    pub fn post_raw(&mut self, to: SocketAddr, line: &[u8]) -> bool {
        let may = self.raw.spend(to, line.len(), self.config.trusts_raw);
        if may {
            self.out.push_back((Destination::One(to), line.to_vec()));
        }
        may
    }

    /// Asks every member, and gives the call's number; [`HubEvent::Called`] brings the answers.
    ///
    /// # Errors
    /// When the text is too long, or too many calls are open.
    pub fn call(&mut self, now: Time, text: &[u8], within: Duration) -> Result<u64, Refused> {
        check(text)?;
        if self.questions.len() >= CALLS {
            return Err(Refused::Full);
        }
        self.calls += 1;
        let asked = self.rows.iter().map(|(member, row)| (*member, row.name.clone())).collect();
        self.questions.insert(self.calls, Question::new(now, self.calls, text.to_vec(), within, asked));
        self.turn(now);
        Ok(self.calls)
    }

    /// Gives up on a call; its answers so far are told.
    pub fn end_call(&mut self, now: Time, call: u64) {
        if let Some(question) = self.questions.remove(&call) {
            self.events.push_back(HubEvent::Called(question.result(now)));
        }
    }

    /// Something the hub itself says to all, about somebody or to everybody.
    fn say(&mut self, now: Time, name: Vec<u8>, body: EntryBody) -> Entry {
        self.said = self.said.saturating_add(1);
        let stamp = if self.config.order == Order::Causal { self.clock.stamp(HUB) } else { Vec::new() };
        self.number(now, (HUB, self.said), stamp, name, body)
    }

    /// Gives a message its number and sends it to all.
    fn number(
        &mut self,
        now: Time,
        (origin, seq): (u32, u32),
        stamp: Vec<(u32, u32)>,
        name: Vec<u8>,
        body: EntryBody,
    ) -> Entry {
        self.rows.values_mut().for_each(|row| row.begins_to_lack(now));
        let entry = self.history.push(now, (origin, seq), stamp, name, body);
        if self.config.order == Order::Causal {
            self.clock.note(origin, seq);
        }
        self.spread(&GroupBody::Entry(entry.clone()), None);
        self.events.push_back(HubEvent::Said(entry.clone()));
        entry
    }

    /// Sends to all members, or to those of `only`: by one datagram to the multicast group where there is one and more
    /// than half are meant, else by a copy to each.
    fn spread(&mut self, body: &GroupBody, only: Option<&[u32]>) {
        let meant = only.map_or(self.rows.len(), <[u32]>::len);
        if meant == 0 {
            return;
        }
        let bytes = Datagram::Group { session: self.session, body: body.clone() }.encode();
        if self.config.group.is_some() && meant * 2 > self.rows.len() {
            self.out.push_back((Destination::Group, bytes));
            return;
        }
        for (_, row) in self.rows.iter().filter(|(member, _)| only.is_none_or(|only| only.contains(member))) {
            self.out.push_back((Destination::One(row.address), bytes.clone()));
        }
    }

    fn send(&mut self, member: u32, body: Body) {
        if let Some(row) = self.rows.get(&member) {
            let datagram = Datagram::Seat(row.seat(), body);
            self.out.push_back((Destination::One(row.address), datagram.encode()));
        }
    }

    fn say_gone(&mut self, member: u32, why: Why) {
        let newest = self.history.newest();
        self.send(member, Body::Gone { why, newest });
    }

    /// A member goes: all are told, and nobody waits for it any more.
    fn remove(&mut self, now: Time, member: u32, why: Why) {
        let Some(row) = self.rows.remove(&member) else { return };
        for question in self.questions.values_mut() {
            question.gone(member, why);
        }
        self.say(now, row.name, EntryBody::Leave(member, why));
        self.clock.forget(member);
    }
}

fn check(text: &[u8]) -> Result<(), Refused> {
    if text.len() > TEXT { Err(Refused::TooLong) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
