//! The operator's desk: what is typed, whose turn it is, and what a script waits for.

use std::io::{self, Write};
use std::time::Duration;

use events::Event;
use labkit::units::show_duration;
use tokio::sync::{mpsc, oneshot};

use super::Server;
use super::pending::{Asker, Peer};
use crate::call::{CallResult, Refused};
use crate::group_io::typed::Typed;
use crate::group_io::{length, show_name};

/// How long a call typed by the operator waits for answers.
const CALL_WAIT: Duration = Duration::from_secs(2);

const HELP: &str = "TEXT             answers the client that has waited longest
/to NAME TEXT    to one client
/group TEXT      to all members, in the group's order
/all TEXT        to all members and all raw clients, a copy to each of these
/call TEXT       asks every member and shows every answer
/who             who is here
/wait N          goes on once N members are here
/pause TIME      goes on after this long
/quit            ends";

impl Server {
    /// Reads what is typed at `lines`; `is_person` says whether somebody sits there.
    #[must_use]
    pub fn with_operator(mut self, lines: mpsc::Receiver<io::Result<Vec<u8>>>, is_person: bool) -> Self {
        self.operator.lines = Some(lines);
        self.operator.is_person = is_person;
        self
    }

    /// A line was typed, or there are no more; whether that ends the server.
    pub(super) fn read(&mut self, line: Option<io::Result<Vec<u8>>>) -> bool {
        match line {
            Some(Ok(line)) => {
                let typed = Typed::parse(&line);
                self.operator.held = self.act(typed);
                false
            }
            Some(Err(error)) => {
                tracing::warn!("cannot read standard input: {error}");
                self.operator.lines = None;
                false
            }
            // A person's Ctrl-D ends the server; a script's end does not: it may have been empty from the start.
            None => {
                self.operator.lines = None;
                self.operator.is_person
            }
        }
    }

    pub(super) fn retry_held(&mut self) {
        if let Some(typed) = self.operator.held.take() {
            self.operator.held = self.act(typed);
        }
    }

    /// Tells a person whose answer is wanted.
    pub(super) fn prompt(&self) {
        if let (true, Some(asker)) = (self.operator.is_person, self.operator.pending.first()) {
            // Nothing is lost where stderr is gone.
            let _ = write!(io::stderr(), "Answer to Client {}: ", show_name(&asker.name));
        }
    }

    /// Remembers who waits for the answers of a call.
    pub(super) fn called(
        &mut self,
        call: u64,
        text: &[u8],
        caller: Option<oneshot::Sender<Result<CallResult, Refused>>>,
    ) {
        self.counts.calls += 1;
        self.callers.insert(call, caller);
        self.session.recorder.tell(|| Event::Sent {
            peer: "group".into(),
            what: "call".into(),
            number: Some(call),
            bytes: length(text.len()),
        });
    }

    /// Whether the operator wants it to end, now.
    pub(super) fn is_to_quit(&self) -> bool {
        self.operator.held == Some(Typed::Quit) && !self.script_waits()
    }

    /// A script goes on once its call has come back.
    pub(super) fn script_waits(&self) -> bool {
        !self.operator.is_person && self.callers.values().any(Option::is_none)
    }

    /// Does what was typed; gives it back where its turn has not come.
    fn act(&mut self, typed: Typed) -> Option<Typed> {
        let now = self.session.clock.now();
        if self.script_waits() {
            return Some(typed);
        }
        match typed {
            Typed::Plain(text) => return self.answer_first(text),
            Typed::To(name, text) => self.write_to(name, &text),
            Typed::All(text) => {
                for (address, _) in self.hub.raw_clients() {
                    self.send_line(&Peer::Raw(address), &text);
                }
                // What waits for room is for the members alone: the raw clients have it.
                return self.say_to_group(text).map(Typed::Group);
            }
            Typed::Group(text) => return self.say_to_group(text).map(Typed::Group),
            Typed::Call(text) => match self.hub.call(now, &text, CALL_WAIT) {
                Ok(call) => {
                    self.called(call, &text, None);
                    let members = self.hub.present(now).len();
                    self.session.output.line(format!("Called {members} members"));
                }
                Err(refused) => tracing::warn!("not called: {refused}"),
            },
            Typed::Who => self.who().iter().for_each(|line| self.session.output.line(line)),
            Typed::Wait(count) if self.hub.present(now).len() < count && !self.operator.is_person => {
                return Some(Typed::Wait(count));
            }
            Typed::Wait(_) => {}
            Typed::Pause(time) => {
                let until = *self.operator.pause.get_or_insert(now + time);
                if until > now {
                    return Some(Typed::Pause(time));
                }
                self.operator.pause = None;
            }
            Typed::Help => HELP.lines().for_each(|line| self.session.output.line(line)),
            // Taken up by the loop.
            Typed::Quit => return Some(Typed::Quit),
            Typed::Answer(_) => tracing::warn!("a server is not asked; a plain line answers a client"),
            Typed::Wrong(why) => tracing::warn!("{why}"),
        }
        None
    }

    fn answer_first(&mut self, text: Vec<u8>) -> Option<Typed> {
        match self.operator.pending.pop() {
            Some(asker) => {
                self.answer(&asker, &text);
                self.prompt();
                None
            }
            None if self.operator.is_person => {
                if !text.is_empty() {
                    tracing::warn!(
                        "nobody waits for an answer; /to NAME TEXT writes to one, /group TEXT to all members"
                    );
                }
                None
            }
            // A script's answer waits for its question.
            None => Some(Typed::Plain(text)),
        }
    }

    fn write_to(&mut self, name: Vec<u8>, text: &[u8]) {
        let peer = self.hub.find(&name).map(Peer::Member).or_else(|| self.hub.find_raw(&name).map(Peer::Raw));
        match peer {
            Some(peer) => {
                self.operator.pending.answered(&peer);
                self.answer(&Asker { peer, name }, text);
            }
            None => tracing::warn!("no Client {} is here; /who lists them", show_name(&name)),
        }
    }

    /// Gives the text back where members lack too much as it is.
    fn say_to_group(&mut self, text: Vec<u8>) -> Option<Vec<u8>> {
        match self.hub.cast(self.session.clock.now(), &text) {
            Ok(_) => None,
            Err(Refused::Full) => Some(text),
            Err(refused) => {
                tracing::warn!("not said: {refused}");
                None
            }
        }
    }

    /// Who is here, in one line of at most `most` bytes; how many had no room is said.
    pub(super) fn who_in(&self, most: usize) -> String {
        one_line(&self.who(), most)
    }

    /// Who is here, a line each.
    pub(super) fn who(&self) -> Vec<String> {
        let members = self.hub.present(self.session.clock.now());
        let mut lines = vec![format!("{} members", members.len())];
        lines.extend(members.into_iter().map(|one| {
            let (name, since, heard) = (show_name(&one.name), show_duration(one.since), show_duration(one.heard));
            format!("Client {name} at {}, here for {since}, heard {heard} ago", one.address)
        }));
        let raw = self.hub.raw_clients();
        lines.extend(raw.into_iter().map(|(at, name)| format!("Client {} at {at}, raw lines", show_name(&name))));
        if self.hub.raw_forgotten() > 0 {
            lines.push(format!("and {} raw clients that were forgotten: too many", self.hub.raw_forgotten()));
        }
        lines
    }
}

/// As many of these as fit into one line of `most` bytes; how many do not is said.
fn one_line(parts: &[String], most: usize) -> String {
    let mut line = String::new();
    for (told, part) in parts.iter().enumerate() {
        let (gap, left) = (if told == 0 { "" } else { "; " }, parts.len() - told - 1);
        // Room for saying that some are left out, unless this is the last.
        let more = format!("; and {left} more, which the server's own /who lists");
        let room = if left == 0 { 0 } else { more.len() };
        if line.len() + gap.len() + part.len() + room > most {
            return format!("{line}{gap}and {} more, which the server's own /who lists", left + 1);
        }
        line = format!("{line}{gap}{part}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_here_fits_one_line_however_many_they_are() {
        let few = ["2 members".to_owned(), "Client 1".to_owned(), "Client 2".to_owned()];
        assert_eq!(one_line(&few, 768), "2 members; Client 1; Client 2");
        let many: Vec<String> =
            (0..64).map(|number| format!("Client {number} at 192.0.2.1, {}", "x".repeat(60))).collect();
        for most in 100..=768 {
            let line = one_line(&many, most);
            assert!(line.len() <= most, "{} in {most}", line.len());
            let shown = line.matches("Client ").count();
            assert!(line.ends_with(&format!("and {} more, which the server's own /who lists", 64 - shown)), "{line}");
        }
    }
}
