//! What the hub has to tell, as lines for people and as events.

use std::net::SocketAddr;

use events::{Cause, Event};
use labkit::units::show_duration;

use super::Server;
use super::pending::{Asker, Peer};
use super::summary::{CallSummary, reason};
use crate::call::{self, CallResult, Entry, EntryBody, HUB, HubEvent, TEXT, Why};
use crate::group_io::{length, show_name, show_text, template};

impl Server {
    pub(super) fn tell(&mut self, event: HubEvent) {
        match event {
            HubEvent::Said(entry) => self.tell_said(&entry),
            HubEvent::Line { member, name, text } => self.tell_line(Peer::Member(member), &name, &text),
            HubEvent::RawLine { from, name, text } => self.tell_line(Peer::Raw(from), &name, &text),
            HubEvent::Called(result) => self.tell_called(result),
            HubEvent::Foreign { from, bytes, reason } => {
                self.counts.foreign += 1;
                if self.counts.foreign == 1 {
                    let why = reason.map_or("of nobody here".to_owned(), |reason| reason.to_string());
                    tracing::warn!("a datagram of {bytes} bytes from {from} is {why}; later ones are counted");
                }
                self.session.recorder.tell(|| Event::Dropped {
                    peer: from.to_string(),
                    what: "datagram".into(),
                    number: None,
                    bytes: length(bytes),
                    cause: Cause::Foreign,
                });
            }
            HubEvent::TurnedAway { from } => {
                let most = self.config.members;
                self.warn_seldom(|| format!("{from} cannot join: {most} members are here, as many as may be"));
            }
        }
    }

    fn tell_said(&mut self, entry: &Entry) {
        let recorder = &self.session.recorder;
        if entry.origin == HUB {
            let (flow, event) = call::said(HUB, entry.seq, entry.body.what(), entry.body.text().len());
            recorder.tell_in(flow, || event);
        }
        recorder.tell_in(entry.origin.into(), || call::delivered(entry).1);
        let name = show_name(&entry.name);
        let line = match &entry.body {
            EntryBody::Cast(text) => {
                self.counts.casts += 1;
                let who = if entry.origin == HUB { "Server".to_owned() } else { format!("Client {name}") };
                format!("{who} to all: {}", show_text(text))
            }
            EntryBody::Join(member) => {
                self.counts.joined += 1;
                let from = self.hub.present(self.session.clock.now()).into_iter().find(|one| one.member == *member);
                let from = from.map(|one| format!(" from {}", one.address)).unwrap_or_default();
                format!("Client {name} joined{from}")
            }
            EntryBody::Leave(member, why) => {
                self.operator.pending.forget(&Peer::Member(*member));
                self.counts.lost += u64::from(*why != Why::Left);
                let silence = if *why == Why::Silent { " and counts as gone" } else { "" };
                format!("Client {name} {}{silence}", why.told())
            }
        };
        self.session.output.line(line);
    }

    fn tell_line(&mut self, peer: Peer, name: &[u8], text: &[u8]) {
        self.counts.lines += 1;
        let from = self.address(&peer);
        self.session.recorder.tell(|| Event::Received {
            peer: from.map(|from| from.to_string()).unwrap_or_default(),
            what: "line".into(),
            number: None,
            bytes: length(text.len()),
            name: Some(show_name(name)),
            elapsed_ns: None,
        });
        if text == b"/who" && matches!(peer, Peer::Member(_)) {
            let answer = self.who_in(TEXT);
            self.send_line(&peer, answer.as_bytes());
            return;
        }
        self.session.output.line(format!("Message from Client {}: {}", show_name(name), show_text(text)));
        let asker = Asker { peer, name: name.to_vec() };
        match &self.config.reply {
            Some(reply) => {
                let answer = template::fill(reply, name, text);
                self.answer(&asker, &answer);
            }
            None => {
                self.operator.pending.push(asker);
                if self.operator.pending.forgotten == 1 {
                    tracing::warn!("a thousand messages wait for an answer: the oldest are forgotten");
                }
                self.prompt();
            }
        }
    }

    /// Answers one alone, and says so.
    pub(super) fn answer(&mut self, asker: &Asker, text: &[u8]) {
        if self.send_line(&asker.peer, text) {
            self.session.output.line(format!("To Client {}: {}", show_name(&asker.name), show_text(text)));
        }
    }

    /// Sends a line to one alone; whether it was sent.
    pub(super) fn send_line(&mut self, peer: &Peer, text: &[u8]) -> bool {
        let now = self.session.clock.now();
        let sent = match peer {
            Peer::Member(member) => self.hub.post(now, *member, text).map_err(|refused| refused.to_string()),
            Peer::Raw(address) => {
                let sent = self.hub.post_raw(*address, text);
                if !sent {
                    self.counts.withheld += 1;
                }
                sent.then_some(()).ok_or_else(|| {
                    "longer than what it sent, and a raw line proves no address; --classic sends it all the same"
                        .to_owned()
                })
            }
        };
        match sent {
            Ok(()) => {
                let to = self.address(peer);
                self.session.recorder.tell(|| Event::Sent {
                    peer: to.map(|to| to.to_string()).unwrap_or_default(),
                    what: "line".into(),
                    number: None,
                    bytes: length(text.len()),
                });
                true
            }
            Err(why) => {
                let to = self.address(peer).map(|to| to.to_string()).unwrap_or_default();
                self.warn_seldom(|| format!("not sent to {to}: {why}"));
                false
            }
        }
    }

    /// A warning of what others cause, as often as they like: no more of them than people read.
    fn warn_seldom(&mut self, warning: impl FnOnce() -> String) {
        if let Some(line) = self.operator.warnings.tell(self.session.clock.now(), warning) {
            tracing::warn!("{line}");
        }
    }

    fn address(&self, peer: &Peer) -> Option<SocketAddr> {
        match peer {
            Peer::Raw(address) => Some(*address),
            Peer::Member(member) => {
                let present = self.hub.present(self.session.clock.now());
                present.into_iter().find(|one| one.member == *member).map(|one| one.address)
            }
        }
    }

    fn tell_called(&mut self, result: CallResult) {
        for one in &result.answers {
            self.session.recorder.tell_in(one.member.into(), || Event::Received {
                peer: show_name(&one.name),
                what: "answer".into(),
                number: Some(result.call),
                bytes: length(one.text.len()),
                name: Some(show_name(&one.name)),
                elapsed_ns: u64::try_from(one.elapsed.as_nanos()).ok(),
            });
        }
        for one in &result.missing {
            self.session.recorder.tell_in(one.member.into(), || Event::Expired {
                what: "call".into(),
                peer: Some(show_name(&one.name)),
                after_ns: u64::try_from(result.elapsed.as_nanos()).unwrap_or(u64::MAX),
            });
        }
        match self.callers.remove(&result.call).flatten() {
            // Whoever asked may be gone by now.
            Some(caller) => drop(caller.send(Ok(result))),
            None => self.show_answers(&result),
        }
    }

    fn show_answers(&self, result: &CallResult) {
        let output = &self.session.output;
        for one in &result.answers {
            let (name, text) = (show_name(&one.name), show_text(&one.text));
            output.line(format!("Answer from Client {name} after {}: {text}", show_duration(one.elapsed)));
        }
        for one in &result.missing {
            output.line(format!("No answer from Client {}: {}", show_name(&one.name), reason(one.why)));
        }
        let summary = CallSummary { result: result.clone(), absent: Vec::new(), wanted: 0 };
        if let Some(verdict) = summary.to_string().lines().last() {
            output.line(verdict.trim_start_matches("Verdict: "));
        }
    }
}
