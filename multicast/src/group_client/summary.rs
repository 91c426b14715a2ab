//! What a group client did, for people and for programs.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use events::Outcome;
use labkit::Exit;
use labkit::units::show_duration;
use serde_json::{Value, json};

/// Why a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its script was done, or somebody typed `/quit`.
    Done,
    /// Its time was over.
    Duration,
    /// It was asked to.
    Stopped,
    /// The server said good-bye.
    ServerEnded,
    /// Nobody let it in in time.
    NeverIn,
    /// Answers to its lines did not come in time.
    Unanswered,
}

/// One run of a client.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The server.
    pub server: SocketAddr,
    /// The number the server gave it, where it was a member.
    pub member: Option<u32>,
    /// For how long it ran.
    pub elapsed: Duration,
    /// Lines to the server alone.
    pub lines: u64,
    /// Messages from the server alone.
    pub messages: u64,
    /// Messages it said to all.
    pub said: u64,
    /// Messages to all that it saw.
    pub seen: u64,
    /// Calls it answered.
    pub answered: u64,
    /// Datagrams that are none of ours, or not for us.
    pub foreign: u64,
    /// Why it ended.
    pub ended: Ended,
    /// Everything said to the group while it was there was seen.
    pub complete: bool,
    /// Whether it was to end by itself and a signal came first.
    pub interrupted: bool,
}

impl Summary {
    /// How the program ends: 4 when nobody answered, 6 when some did.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.ended {
            Ended::NeverIn => Exit::NobodyAnswered,
            Ended::Unanswered if self.messages == 0 => Exit::NobodyAnswered,
            Ended::Unanswered => Exit::Partial,
            Ended::Stopped if self.interrupted => Exit::Interrupted,
            Ended::ServerEnded if !self.complete => Exit::Partial,
            Ended::Stopped | Ended::Done | Ended::Duration | Ended::ServerEnded => Exit::Done,
        }
    }

    /// How it is told in events.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.exit() {
            Exit::Done if self.complete => Outcome::Complete,
            Exit::NobodyAnswered => Outcome::Failed,
            Exit::Interrupted => Outcome::Interrupted,
            _ => Outcome::Partial,
        }
    }

    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "server": self.server.to_string(),
            "member": self.member,
            "elapsed_ns": u64::try_from(self.elapsed.as_nanos()).unwrap_or(u64::MAX),
            "lines": self.lines,
            "messages": self.messages,
            "said": self.said,
            "seen": self.seen,
            "answered": self.answered,
            "foreign": self.foreign,
            "ended": self.told(),
            "complete": self.complete,
        })
    }

    fn told(&self) -> &'static str {
        match self.ended {
            Ended::Done => "done",
            Ended::Duration => "its time was over",
            Ended::Stopped => "stopped",
            Ended::ServerEnded => "the server ended",
            Ended::NeverIn => "nobody let it in",
            Ended::Unanswered => "answers are missing",
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.foreign > 0 {
            writeln!(f, "{} datagrams were none of ours, or not for us", self.foreign)?;
        }
        let (lines, messages, said, seen, answered) = (self.lines, self.messages, self.said, self.seen, self.answered);
        write!(
            f,
            "Verdict: {}; {lines} lines sent, {messages} messages from the server, {said} said to all, {seen} seen, \
             {answered} calls answered, in {}",
            self.told(),
            show_duration(self.elapsed)
        )
    }
}
