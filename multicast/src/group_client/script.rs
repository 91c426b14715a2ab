//! What is typed to the client, by a person or a script, and when a script is done.

use std::io;

use events::Event;

use super::{Client, Ended};
use crate::call::{self, Refused};
use crate::group_io::length;
use crate::group_io::typed::Typed;

const HELP: &str = "TEXT           to the server alone; or the answer, when it called
/group TEXT    to all members, in the group's order (/all is the same here)
/answer TEXT   answers the next call
/who           who is here
/pause TIME    goes on after this long
/quit          leaves";

impl Client {
    pub(super) fn read(&mut self, line: Option<io::Result<Vec<u8>>>) {
        match line {
            Some(Ok(line)) => {
                let typed = Typed::parse(&line);
                self.held = self.act(typed);
            }
            Some(Err(error)) => {
                tracing::warn!("cannot read standard input: {error}");
                self.lines = None;
            }
            None => {
                self.lines = None;
                self.ended = Some(self.session.clock.now());
                if self.is_person {
                    self.leave(Ended::Done);
                }
            }
        }
    }

    pub(super) fn retry_held(&mut self) {
        if let Some(typed) = self.held.take() {
            self.held = self.act(typed);
        }
    }

    /// Whether nothing is left to do, and how that ended.
    pub(super) fn is_done(&self) -> Option<Ended> {
        let now = self.session.clock.now();
        if self.leaving.is_some() {
            return None;
        }
        if self.outside.is_some_and(|since| since + self.config.max_wait <= now) {
            return Some(Ended::NeverIn);
        }
        // A member that was given nothing to send, or has calls to answer, or a time to stay, stays.
        let ended = self.ended?;
        let did_something = self.counts.lines + self.counts.said > 0;
        if !did_something || self.config.reply.is_some() || self.config.duration.is_some() || self.held.is_some() {
            return None;
        }
        let all_seen = self.counts.own_seen >= self.counts.said && self.member.is_settled();
        match self.counts.messages >= self.counts.lines && all_seen {
            true => Some(Ended::Done),
            false if ended + self.config.deadline <= now => Some(Ended::Unanswered),
            false => None,
        }
    }

    /// Does what was typed; gives it back where its turn has not come.
    fn act(&mut self, typed: Typed) -> Option<Typed> {
        let now = self.session.clock.now();
        // Nothing can be said before we are in.
        if self.member.welcome().is_none() && !matches!(typed, Typed::Quit | Typed::Help | Typed::Wrong(_)) {
            return Some(typed);
        }
        match typed {
            Typed::Plain(text) => match if self.is_person { self.asked.pop_front() } else { None } {
                Some(call) => self.answer(call, &text),
                None => return self.post(text).map(Typed::Plain),
            },
            Typed::All(text) | Typed::Group(text) => return self.cast(text).map(Typed::Group),
            Typed::Answer(text) => match self.asked.pop_front() {
                Some(call) => self.answer(call, &text),
                None if self.is_person => tracing::warn!("nobody asked"),
                None => return Some(Typed::Answer(text)),
            },
            Typed::Who => return self.post(b"/who".to_vec()).map(|_| Typed::Who),
            Typed::Pause(time) => {
                let until = *self.pause.get_or_insert(now + time);
                if until > now {
                    return Some(Typed::Pause(time));
                }
                self.pause = None;
            }
            Typed::Help => HELP.lines().for_each(|line| self.session.output.line(line)),
            Typed::Quit => self.leave(Ended::Done),
            Typed::To(..) => tracing::warn!("a client writes to the server, or with /group to all"),
            Typed::Call(_) => tracing::warn!("the server calls; a client answers"),
            Typed::Wait(_) => tracing::warn!("/wait is the server's; /pause TIME waits here"),
            Typed::Wrong(why) => tracing::warn!("{why}"),
        }
        None
    }

    /// Gives the line back where too many wait.
    fn post(&mut self, text: Vec<u8>) -> Option<Vec<u8>> {
        match self.member.post(self.session.clock.now(), &text) {
            Ok(()) => {
                self.counts.lines += 1;
                self.session.recorder.tell(|| Event::Sent {
                    peer: self.config.server.to_string(),
                    what: "line".into(),
                    number: None,
                    bytes: length(text.len()),
                });
                None
            }
            Err(Refused::TooLong | Refused::Nobody) => {
                tracing::warn!("not sent: a line has at most {} bytes", call::TEXT);
                None
            }
            Err(Refused::Full | Refused::Outside) => Some(text),
        }
    }

    /// Gives the text back where too much is on its way.
    fn cast(&mut self, text: Vec<u8>) -> Option<Vec<u8>> {
        let Some(welcome) = self.member.welcome().copied() else { return Some(text) };
        match self.member.cast(self.session.clock.now(), &text) {
            Ok(seq) => {
                self.counts.said += 1;
                let (flow, event) = call::said(welcome.seat.member, seq, "cast", text.len());
                self.session.recorder.tell_in(flow, || event);
                None
            }
            Err(Refused::TooLong | Refused::Nobody) => {
                tracing::warn!("not said: a message has at most {} bytes", call::TEXT);
                None
            }
            Err(Refused::Full | Refused::Outside) => Some(text),
        }
    }
}
