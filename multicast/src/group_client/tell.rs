//! What the member has to tell, as lines for people and as events.

use std::io::{self, Write};
use std::time::Duration;

use events::Event;
use labkit::interface::Choice;

use super::{Client, classic};
use crate::call::wire::Welcome;
use crate::call::{self, Entry, EntryBody, HUB, MemberEvent, Why};
use crate::group_io::{length, show_name, show_text, template};
use crate::{Group, Membership, receiver};

impl Client {
    pub(super) fn tell(&mut self, event: MemberEvent) {
        match event {
            MemberEvent::Welcomed(welcome) => self.tell_welcomed(&welcome),
            MemberEvent::TurnedAway => tracing::warn!("the group at {} is full; trying again", self.config.server),
            MemberEvent::Said(entry) => self.tell_said(&entry),
            MemberEvent::Line(text) => {
                self.counts.messages += 1;
                classic::tell_message(&self.session, self.config.server, &text);
            }
            MemberEvent::Asked { call, within, text } => self.tell_asked(call, within, &text),
            MemberEvent::Lost(why, unsaid) => {
                self.outside = Some(self.session.clock.now());
                self.asked.clear();
                let why = match why {
                    Why::Silent => "the server is silent, or has not heard of us",
                    other => other.told(),
                };
                tracing::warn!("no member any more: {why}; joining again");
                if unsaid > 0 {
                    tracing::warn!("{unsaid} messages to all may not have been said");
                }
            }
            MemberEvent::Over { why, complete } => self.over = Some((why, complete)),
            MemberEvent::RawLine(text) => {
                self.counts.messages += 1;
                classic::tell_message(&self.session, self.config.server, &text);
                if !self.hinted {
                    self.hinted = true;
                    tracing::warn!(
                        "the server speaks raw lines, as that of the course does: --classic speaks them too"
                    );
                }
            }
            MemberEvent::Foreign(_) => self.counts.foreign += 1,
        }
    }

    fn tell_welcomed(&mut self, welcome: &Welcome) {
        let member = welcome.seat.member;
        self.outside = None;
        self.counts.member = Some(member);
        let server = self.config.server;
        self.session
            .recorder
            .tell_in(member.into(), || Event::Connected { peer: server.to_string(), elapsed_ns: None });
        self.session.recorder.tell(|| Event::Phase { name: format!("order {}", welcome.order) });
        if let Some(group) = welcome.group {
            self.hear_group(group);
        }
        let way = welcome.group.map_or("a copy to each".to_owned(), |group| format!("multicast from {group}"));
        let order = welcome.order;
        self.session.output.line(format!("Joined at {server} as member {member}, order {order}, {way}"));
    }

    /// Without the group nothing is lost, only slower: the server repairs what we lack.
    fn hear_group(&mut self, address: std::net::SocketAddr) {
        if self.membership.as_ref().is_some_and(|one| one.group().address() == address.ip()) {
            return;
        }
        let here = self.config.server.ip();
        let usual = if here.is_loopback() { Choice::Address(here) } else { Choice::All };
        let choice = self.config.interface.clone().unwrap_or(usual);
        let joined = Group::new(address.ip(), address.port())
            .and_then(|group| Membership::join(&group, &choice, receiver::RECEIVE_BUFFER));
        match joined {
            Ok(membership) => {
                for interface in membership.interfaces() {
                    let (group, interface) = (membership.group().to_string(), interface.name.clone());
                    self.session.recorder.tell(|| Event::Joined { group, interface });
                }
                self.membership = Some(membership);
            }
            Err(failure) => {
                tracing::warn!("cannot hear {address}: {failure}; what is said there comes later, by repair");
            }
        }
    }

    fn tell_said(&mut self, entry: &Entry) {
        self.session.recorder.tell_in(entry.origin.into(), || call::delivered(entry).1);
        let name = show_name(&entry.name);
        let is_us = |member: u32| Some(member) == self.counts.member;
        let line = match &entry.body {
            EntryBody::Cast(text) => {
                self.counts.seen += 1;
                self.counts.own_seen += u64::from(is_us(entry.origin));
                let who = if entry.origin == HUB { "Server".to_owned() } else { format!("Client {name}") };
                format!("{who} to all: {}", show_text(text))
            }
            EntryBody::Join(member) if is_us(*member) => format!("Client {name} joined: that is us"),
            EntryBody::Join(_) => format!("Client {name} joined"),
            EntryBody::Leave(_, why) => {
                let silence = if *why == Why::Silent { " and counts as gone" } else { "" };
                format!("Client {name} {}{silence}", why.told())
            }
        };
        self.session.output.line(line);
    }

    fn tell_asked(&mut self, call: u64, within: Duration, text: &[u8]) {
        self.session.recorder.tell(|| Event::Received {
            peer: self.config.server.to_string(),
            what: "call".into(),
            number: Some(call),
            bytes: length(text.len()),
            name: None,
            elapsed_ns: None,
        });
        self.session.output.line(format!("Call from Server: {}", show_text(text)));
        match &self.config.reply {
            Some(reply) => {
                let answer = template::fill(reply, &self.config.name, text);
                self.answer(call, &answer);
            }
            None => {
                self.asked.push_back(call);
                // As many as the member itself remembers.
                while self.asked.len() > call::CALLS {
                    self.asked.pop_front();
                }
                if self.is_person {
                    // Nothing is lost where stderr is gone.
                    let within = labkit::units::show_duration(within);
                    let _ = write!(io::stderr(), "Answer to Server, within {within}: ");
                }
            }
        }
    }

    pub(super) fn answer(&mut self, call: u64, text: &[u8]) {
        if self.member.answer(call, text) {
            self.counts.answered += 1;
            self.session.recorder.tell(|| Event::Sent {
                peer: self.config.server.to_string(),
                what: "answer".into(),
                number: Some(call),
                bytes: length(text.len()),
            });
            self.session.output.line(format!("Answered: {}", show_text(text)));
        }
    }
}
