//! What the hub does with a datagram.

use std::net::SocketAddr;
use std::time::Duration;

use events::Time;

use super::{Destination, Hub, HubEvent};
use crate::call::seat::{Row, Said};
use crate::call::wire::{self, Body, Cookie, Datagram, EntryBody, GroupBody, Held, Seat, Welcome, Why};
use crate::call::{HUB, NAME};

/// How many messages one report brings back at most.
const REPAIRS: usize = 32;

impl Hub {
    /// A datagram came.
    pub fn handle(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        if wire::is_framed(bytes) {
            match wire::decode(bytes) {
                Ok(Datagram::Join { client, name, cookie }) => self.handle_join(now, from, client, name, cookie),
                Ok(Datagram::Seat(seat, body)) => self.handle_member(now, from, seat, body, bytes.len()),
                // What only a hub says.
                Ok(_) => self.foreign(from, bytes.len(), None),
                Err(reason) => self.foreign(from, bytes.len(), Some(reason)),
            }
        } else if self.closing.is_none() {
            let is_free = |name: &[u8]| self.rows.values().all(|row| row.name != name);
            let (name, text) = self.raw.hear(from, bytes, is_free);
            self.events.push_back(HubEvent::RawLine { from, name, text: text.to_vec() });
        }
        self.turn(now);
    }

    fn foreign(&mut self, from: SocketAddr, bytes: usize, reason: Option<wire::DecodeError>) {
        self.events.push_back(HubEvent::Foreign { from, bytes, reason });
    }

    /// Keeps nothing about an address until it has sent back its cookie; every answer is at most as long as the join.
    fn handle_join(&mut self, now: Time, from: SocketAddr, client: u64, name: Vec<u8>, cookie: Option<Cookie>) {
        let seated = self.rows.values_mut().find(|row| row.address == from && row.welcome.client == client);
        let answer = match (seated, cookie) {
            (Some(row), _) => {
                row.heard = row.heard.max(now);
                Some(Datagram::Welcome(row.welcome))
            }
            (None, Some(cookie)) if self.mint.is_good(now, from, client, &cookie) => {
                self.let_in(now, from, client, name)
            }
            (None, _) => Some(Datagram::Retry { client, cookie: self.mint.mint(now, from, client) }),
        };
        if let Some(answer) = answer {
            self.out.push_back((Destination::One(from), answer.encode()));
        }
    }

    /// Welcomes a new member, or gives the answer that says why not.
    fn let_in(&mut self, now: Time, from: SocketAddr, client: u64, name: Vec<u8>) -> Option<Datagram> {
        // Nobody else receives at this address any more.
        let before: Vec<u32> =
            self.rows.iter().filter(|(_, row)| row.address == from).map(|(member, _)| *member).collect();
        before.into_iter().for_each(|member| self.remove(now, member, Why::Silent));
        if self.rows.len() >= self.config.members {
            self.events.push_back(HubEvent::TurnedAway { from });
            return Some(Datagram::Refuse { client });
        }
        // It asks again; by then there is room, or we are gone.
        if !self.history.has_room() || self.closing.is_some() {
            return None;
        }
        self.last_member = self.last_member.checked_add(1)?;
        let member = self.last_member;
        let welcome = Welcome {
            client,
            seat: Seat { member, key: self.mint.number("key", member.into()) },
            session: self.session,
            base: self.history.newest(),
            order: self.config.order,
            group: self.config.group,
            heartbeat: self.config.heartbeat.max(Duration::from_millis(1)),
            silence: self.config.silence.max(Duration::from_millis(1)),
        };
        let name = self.unlike_all_others(name, member);
        self.rows.insert(member, Row::new(now, from, welcome, name.clone()));
        // First the welcome: before it, the new member would not know what the rest is about.
        self.out.push_back((Destination::One(from), Datagram::Welcome(welcome).encode()));
        self.say(now, name, EntryBody::Join(member));
        None
    }

    /// Two of one name would answer to `/to` both: the second gets its number behind it.
    fn unlike_all_others(&self, wished: Vec<u8>, member: u32) -> Vec<u8> {
        let is_taken = |name: &[u8]| self.find(name).is_some() || self.raw.find(name).is_some();
        if !wished.is_empty() && !is_taken(&wished) {
            return wished;
        }
        let mark = format!("#{member}").into_bytes();
        let kept = wished.len().min(NAME - mark.len());
        let name = [&wished[..kept], &mark].concat();
        // Somebody may call itself "a#7": numbers are never given twice, so the bare one is nobody's unless by malice.
        if is_taken(&name) { format!("#{member}#").into_bytes() } else { name }
    }

    fn handle_member(&mut self, now: Time, from: SocketAddr, seat: Seat, body: Body, bytes: usize) {
        let is_known = |row: &Row| row.seat() == seat && row.address == from;
        let Some(row) = self.rows.get_mut(&seat.member).filter(|row| is_known(row)) else {
            self.foreign(from, bytes, None);
            // So that one we forgot joins again. It echoes the key it was sent: nobody else will believe it.
            let answer = Datagram::Seat(seat, Body::Gone { why: Why::Unknown, newest: 0 }).encode();
            if answer.len() <= bytes && !matches!(body, Body::Gone { .. } | Body::Beat { .. }) {
                self.out.push_back((Destination::One(from), answer));
            }
            return;
        };
        row.heard = row.heard.max(now);
        match body {
            Body::Report(held) => self.handle_report(now, seat.member, &held),
            Body::Cast { seq, stamp, text } => row.say(seq, Said { stamp, text }),
            Body::Line { seq, text } => {
                if row.courier.handle_line(seq) {
                    let name = row.name.clone();
                    self.events.push_back(HubEvent::Line { member: seat.member, name, text });
                }
            }
            Body::LineAck { seq } => row.courier.handle_ack(seq),
            Body::Answer { call, text } => {
                if let Some(question) = self.questions.get_mut(&call) {
                    question.answer(now, seat.member, &text);
                }
            }
            Body::Leave => {
                self.say_gone(seat.member, Why::Left);
                // When the hub ends, all go, and nobody needs to be told of each.
                match self.closing {
                    None => self.remove(now, seat.member, Why::Left),
                    Some(_) => drop(self.rows.remove(&seat.member)),
                }
            }
            // What only a hub says.
            Body::Beat { .. } | Body::Gone { .. } => self.foreign(from, bytes, None),
        }
    }

    fn handle_report(&mut self, now: Time, member: u32, held: &Held) {
        let newest = self.history.newest();
        let Some(row) = self.rows.get_mut(&member) else { return };
        if !row.report(now, held, newest) {
            return;
        }
        let repairs: Vec<GroupBody> = held
            .missing()
            .filter_map(|number| self.history.get(number))
            .take(REPAIRS)
            .map(|entry| GroupBody::Entry(entry.clone()))
            .collect();
        for body in repairs {
            let datagram = Datagram::Group { session: self.session, body };
            if let Some(row) = self.rows.get(&member) {
                self.out.push_back((Destination::One(row.address), datagram.encode()));
            }
        }
    }

    /// Numbers what members said, each in its turn, while there is room.
    pub(super) fn admit(&mut self, now: Time) {
        loop {
            let members: Vec<u32> = self.rows.keys().copied().filter(|member| *member != HUB).collect();
            let mut moved = false;
            for member in members {
                if !self.history.has_room() {
                    return;
                }
                let Some(row) = self.rows.get_mut(&member) else { continue };
                let Some((seq, said)) = row.next_said() else { continue };
                let name = row.name.clone();
                moved = true;
                self.number(now, (member, seq), said.stamp, name, EntryBody::Cast(said.text));
            }
            if !moved {
                return;
            }
        }
    }
}
