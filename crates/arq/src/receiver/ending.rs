//! How a receiver ends: it says that it has everything until the sender has heard it, but not for ever.

use events::{Time, Unit};

use super::Receiver;
use crate::limits;
use crate::{CloseReason, Ecn, Failure, Outcome, PacketNumber, Told, Verdict, Why};

/// What is said at the end, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ending {
    outcome: Option<Outcome>,
    close: Option<CloseReason>,
    /// After the end: when to say the last word again, or to fall silent.
    due: Option<Time>,
    words: u32,
    /// After the end: how many packets came all the same.
    unasked: u32,
    /// Raw mode: the sender is done; what is still on the way is waited for until then.
    stragglers: Option<Time>,
    /// How many blocks the sender says it sent again, and what became of its marks.
    said: Option<(u64, Ecn)>,
}

impl Ending {
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    pub(super) fn due(&self) -> Option<Time> {
        self.due
    }

    pub(super) fn stragglers_until(&self) -> Option<Time> {
        self.stragglers
    }

    pub(super) fn take_close(&mut self) -> Option<CloseReason> {
        self.close.take()
    }
}

impl Receiver {
    /// Nothing is missing from the start: there is nobody to tell.
    pub(super) fn had_it_all_along(&mut self) {
        self.report_due = None;
        self.ending.outcome = Some(Outcome::Complete);
        self.teller.tell(Told::Finished(Outcome::Complete));
    }

    /// The last block is stored.
    pub(super) fn complete(&mut self, now: Time) {
        self.end(now, Outcome::Complete);
        self.last_word(now);
    }

    pub(super) fn end_with_holes(&mut self, now: Time) {
        self.end(now, Outcome::Holes(self.blocks - self.shelf.held().len()));
        self.last_word(now);
    }

    /// How many blocks were sent again, once the sender has said so with its `done`.
    #[must_use]
    pub fn sent_again(&self) -> Option<u64> {
        self.ending.said.map(|(again, _)| again)
    }

    /// What the sender knows of marks on the path, once it has said so with its `done`.
    #[must_use]
    pub fn ecn(&self) -> Option<Ecn> {
        self.ending.said.map(|(_, ecn)| ecn)
    }

    /// The sender says that it will send no more; `said` is how much it sent again, and what became of its marks.
    pub(super) fn on_done(&mut self, now: Time, number: PacketNumber, heard: bool, said: (u64, Ecn)) -> Verdict {
        self.shelf.note(now, number);
        match self.outcome() {
            None if self.config.policy.is_reliable() => return Verdict::Ignored(Why::Misplaced),
            None => {
                self.heard(now);
                self.ending.stragglers = self.ending.stragglers.or(Some(now + limits::STRAGGLERS));
            }
            // It has heard our account: nothing is left to say.
            Some(Outcome::Complete | Outcome::Holes(_)) if heard => self.ending.due = None,
            Some(Outcome::Complete | Outcome::Holes(_)) => self.answer(now),
            Some(Outcome::Failed(_)) => return Verdict::Ignored(Why::Ended),
        }
        self.ending.said = Some(said);
        Verdict::Taken
    }

    pub(super) fn on_close(&mut self, now: Time, reason: CloseReason) -> Verdict {
        if self.outcome().is_some() {
            return Verdict::Ignored(Why::Ended);
        }
        self.fail(now, Failure::ClosedByPeer(reason), None);
        Verdict::Taken
    }

    pub(super) fn on_silence(&mut self, now: Time) {
        self.teller.tell(Told::Expired("silence", limits::IDLE));
        self.fail(now, Failure::Silence(limits::IDLE), Some(CloseReason::Silence));
    }

    pub(super) fn idle_due(&self) -> Time {
        self.last_heard + limits::IDLE
    }

    /// After the end, the sender asks again: it gets the same answer, if there is one. That we have closed is said at the
    /// first, second, fourth, eighth … packet that comes all the same (RFC 9000 section 10.2.1).
    pub(super) fn answer(&mut self, now: Time) {
        match self.outcome() {
            None => {}
            Some(Outcome::Complete | Outcome::Holes(_)) => self.report_due = Some(now),
            Some(Outcome::Failed(Failure::Closed(reason))) => {
                self.ending.unasked += 1;
                self.ending.close = self.ending.unasked.is_power_of_two().then_some(reason);
            }
            Some(Outcome::Failed(Failure::Silence(_) | Failure::ClosedByPeer(_) | Failure::Violation(_))) => {}
        }
    }

    pub(super) fn repeat_last_words(&mut self, now: Time) {
        if self.ending.due.is_some_and(|due| due <= now) {
            if matches!(self.outcome(), Some(Outcome::Complete | Outcome::Holes(_))) && self.ending.words > 0 {
                self.last_word(now);
            } else {
                self.ending.due = None;
            }
        }
    }

    pub(super) fn fail(&mut self, now: Time, failure: Failure, tell_peer: Option<CloseReason>) {
        if self.outcome().is_none() {
            self.report_due = None;
            self.ending.close = tell_peer;
            self.end(now, Outcome::Failed(failure));
        }
    }

    /// Repeated until the sender confirms it. In raw mode it is the sender who repeats its `done` until it has this.
    fn last_word(&mut self, now: Time) {
        self.report_due = Some(now);
        self.ending.words -= 1;
        let is_reliable = self.config.policy.is_reliable();
        let wait = if is_reliable { limits::LAST_WORD_AGAIN } else { limits::DONE_AGAIN * limits::DONE_TIMES };
        self.ending.due = Some(now + wait);
    }

    fn end(&mut self, now: Time, outcome: Outcome) {
        self.ending.outcome = Some(outcome);
        self.ending.words = if self.config.policy.is_reliable() { limits::LAST_WORDS } else { 1 };
        self.ending.due = Some(now + limits::LINGER);
        self.teller.tell(Told::Measured("duplicates", self.duplicates, Unit::Count));
        self.teller.tell(Told::Finished(outcome));
    }
}
