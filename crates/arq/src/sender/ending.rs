//! How a sender ends: its last words, and how long it still listens.

use std::time::Duration;

use events::{Time, Unit};

use super::Sender;
use crate::limits;
use crate::{Body, CloseReason, Failure, Outcome, PacketNumber, Report, Told, Verdict, Why};

/// What is said at the end, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ending {
    outcome: Option<Outcome>,
    /// To be said now.
    word: Option<Word>,
    /// After the end: when to stop answering.
    until: Option<Time>,
    /// Raw mode: the packet number of the first `done`, when the next is due, and how many there were.
    done: Option<PacketNumber>,
    again: Option<Time>,
    times: u32,
    /// After the end: how many packets came all the same.
    unasked: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Done,
    Close(CloseReason),
}

impl Ending {
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    pub(super) fn until(&self) -> Option<Time> {
        self.until
    }

    pub(super) fn due(&self) -> Option<Time> {
        self.again
    }

    pub(super) fn stop_if_due(&mut self, now: Time) {
        self.until = self.until.filter(|&until| until > now);
    }

    pub(super) fn repeat_if_due(&mut self, now: Time) {
        if self.again.is_some_and(|due| due <= now) {
            self.again = None;
            self.word = Some(Word::Done);
        }
    }

    /// The receiver has not heard that we have heard: one answer for each question, and smaller than it.
    pub(super) fn answer(&mut self) {
        self.word = Some(Word::Done);
    }

    /// That we have closed is said again at the first, second, fourth, eighth … packet that comes all the same
    /// (RFC 9000 section 10.2.1).
    pub(super) fn answer_closed(&mut self) {
        let reason = match self.outcome {
            Some(Outcome::Failed(Failure::Closed(reason))) => Some(reason),
            Some(Outcome::Failed(Failure::Violation(_))) => Some(CloseReason::Protocol),
            Some(Outcome::Failed(Failure::Silence(_) | Failure::ClosedByPeer(_))) => None,
            Some(Outcome::Complete | Outcome::Holes(_)) | None => None,
        };
        self.unasked += 1;
        self.word = reason.filter(|_| self.unasked.is_power_of_two()).map(Word::Close);
    }

    /// The word was sent as packet `number`.
    pub(super) fn said(&mut self, now: Time, number: PacketNumber) {
        self.times += 1;
        if self.outcome.is_none() {
            self.done = self.done.or(Some(number));
            self.again = Some(now + limits::DONE_AGAIN);
        }
    }
}

impl Sender {
    /// What is to be said now that is no block.
    pub(super) fn next_word(&mut self, now: Time) -> Option<Body> {
        let all_sent = !self.is_reliable() && self.latest.is_some() && self.new_block().is_none();
        if all_sent && self.outcome().is_none() && self.ending.times == 0 {
            self.ending.word = Some(Word::Done);
        }
        let word = self.ending.word.take()?;
        if self.outcome().is_none() && self.ending.times >= limits::DONE_TIMES {
            self.fail(now, Failure::Silence(limits::DONE_AGAIN * limits::DONE_TIMES), None);
            return None;
        }
        Some(match word {
            Word::Done => {
                Body::Done { again: self.sent_again, heard: self.outcome().is_some(), ecn: self.marking.state() }
            }
            Word::Close(reason) => Body::Close(reason),
        })
    }

    /// Raw mode: signs of life need no answer; the report that knows of our `done` is the receiver's account.
    pub(super) fn on_raw_report(&mut self, now: Time, report: &Report) {
        if self.ending.done.is_some_and(|done| report.newest >= done) {
            let missing = report.count_missing(self.blocks);
            self.finish(now, if missing == 0 { Outcome::Complete } else { Outcome::Holes(missing) });
        }
    }

    pub(super) fn on_close(&mut self, now: Time, reason: CloseReason) -> Verdict {
        if self.outcome().is_some() {
            return Verdict::Ignored(Why::Ended);
        }
        self.fail(now, Failure::ClosedByPeer(reason), None);
        Verdict::Taken
    }

    pub(super) fn on_silence(&mut self, now: Time) {
        let limit = self.idle_limit();
        self.teller.tell(Told::Expired("silence", limit));
        self.fail(now, Failure::Silence(limit), Some(CloseReason::Silence));
    }

    pub(super) fn idle_due(&self) -> Time {
        self.last_heard + self.idle_limit()
    }

    fn idle_limit(&self) -> Duration {
        if self.is_reliable() { limits::IDLE } else { limits::RAW_IDLE }
    }

    /// Everything that could be done is done, and the receiver shall know that we know.
    pub(super) fn finish(&mut self, now: Time, outcome: Outcome) {
        self.ending.word = Some(Word::Done);
        self.end(now, outcome);
    }

    pub(super) fn fail(&mut self, now: Time, failure: Failure, tell_peer: Option<CloseReason>) {
        if self.outcome().is_none() {
            self.ending.word = tell_peer.map(Word::Close);
            self.end(now, Outcome::Failed(failure));
        }
    }

    fn end(&mut self, now: Time, outcome: Outcome) {
        self.ending.outcome = Some(outcome);
        self.ending.until = Some(now + limits::LINGER);
        self.ending.again = None;
        self.teller.tell(Told::Measured("sent_again", self.sent_again, Unit::Count));
        self.teller.tell(Told::Finished(outcome));
    }
}
