//! The hub's side of a group call: who was asked, who answered, whom to ask again.

use std::collections::BTreeMap;
use std::time::Duration;

use events::Time;

use super::Why;

/// When the call is first repeated to those who did not answer; then after twice as long each time.
const RETRY: Duration = Duration::from_millis(60);
/// The longest wait between repetitions.
const RETRY_MOST: Duration = Duration::from_millis(500);

/// An open call.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) call: u64,
    pub(super) text: Vec<u8>,
    asked: Time,
    deadline: Time,
    rounds: u32,
    next: Time,
    wait: Duration,
    answers: Vec<Answer>,
    missing: Vec<Missing>,
    /// Those still to answer, by number, with their names.
    open: BTreeMap<u32, Vec<u8>>,
}

/// What one member answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub member: u32,
    /// Its name.
    pub name: Vec<u8>,
    /// What.
    pub text: Vec<u8>,
    /// How long after the call began.
    pub elapsed: Duration,
}

/// Who did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Who.
    pub member: u32,
    /// Its name.
    pub name: Vec<u8>,
    /// What became of it; none where it is here and did not answer in time.
    pub why: Option<Why>,
}

/// How a call to the group came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResult {
    /// Counts the calls of this hub, from 1.
    pub call: u64,
    /// The question.
    pub text: Vec<u8>,
    /// Every answer, in the order of the members.
    pub answers: Vec<Answer>,
    /// Every member asked that gave none, in the order of the members.
    pub missing: Vec<Missing>,
    /// How long it took.
    pub elapsed: Duration,
    /// How often it was said to those who had not answered yet.
    pub rounds: u32,
}

impl CallResult {
    /// The result of a call that nobody was there to hear.
    #[must_use]
    pub fn nobody(text: &[u8]) -> Self {
        let (answers, missing) = (Vec::new(), Vec::new());
        CallResult { call: 0, text: text.to_vec(), answers, missing, elapsed: Duration::ZERO, rounds: 0 }
    }
}

impl Question {
    pub(super) fn new(now: Time, call: u64, text: Vec<u8>, within: Duration, asked: BTreeMap<u32, Vec<u8>>) -> Self {
        let deadline = now + within;
        let (answers, missing) = (Vec::new(), Vec::new());
        Question { call, text, asked: now, deadline, rounds: 0, next: now, wait: RETRY, answers, missing, open: asked }
    }

    /// An answer came; nothing changes where it was not asked for, or is the second.
    pub(super) fn answer(&mut self, now: Time, member: u32, text: &[u8]) -> bool {
        let Some(name) = self.open.remove(&member) else { return false };
        self.answers.push(Answer { member, name, text: text.to_vec(), elapsed: now - self.asked });
        true
    }

    /// A member has gone and will not answer.
    pub(super) fn gone(&mut self, member: u32, why: Why) {
        if let Some(name) = self.open.remove(&member) {
            self.missing.push(Missing { member, name, why: Some(why) });
        }
    }

    /// Whom to ask now, where it is time to; the first time that is everybody.
    pub(super) fn poll_round(&mut self, now: Time) -> Option<(Duration, Vec<u32>)> {
        if now < self.next || self.is_over(now) {
            return None;
        }
        self.rounds += 1;
        self.next = now + self.wait;
        self.wait = (self.wait * 2).min(RETRY_MOST);
        Some((self.deadline - now, self.open.keys().copied().collect()))
    }

    pub(super) fn is_first_round(&self) -> bool {
        self.rounds == 1
    }

    pub(super) fn is_over(&self, now: Time) -> bool {
        self.open.is_empty() || now >= self.deadline
    }

    pub(super) fn poll_timeout(&self) -> Time {
        self.next.min(self.deadline)
    }

    pub(super) fn result(mut self, now: Time) -> CallResult {
        let silent = self.open.into_iter().map(|(member, name)| Missing { member, name, why: None });
        self.missing.extend(silent);
        self.missing.sort_by_key(|missing| missing.member);
        self.answers.sort_by_key(|answer| answer.member);
        CallResult {
            call: self.call,
            text: self.text,
            answers: self.answers,
            missing: self.missing,
            elapsed: now - self.asked,
            rounds: self.rounds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_who_did_not_answer_are_asked_again_and_the_missing_are_named() {
        let asked = (1..=3).map(|member| (member, member.to_string().into_bytes())).collect();
        let mut question = Question::new(Time::ZERO, 1, b"?".to_vec(), Duration::from_millis(100), asked);
        assert_eq!(question.poll_round(Time::ZERO), Some((Duration::from_millis(100), vec![1, 2, 3])));
        assert_eq!(question.poll_round(Time::ZERO), None);
        assert!(question.answer(Time::ZERO, 2, b"yes"));
        assert!(!question.answer(Time::ZERO, 2, b"again") && !question.answer(Time::ZERO, 9, b"unasked"));
        let later = question.poll_timeout();
        assert_eq!(question.poll_round(later).map(|(_, whom)| whom), Some(vec![1, 3]));
        question.gone(3, Why::Left);
        let end = Time::ZERO + Duration::from_millis(100);
        assert!(question.is_over(end) && question.poll_round(end).is_none());
        let result = question.result(end);
        assert_eq!(result.answers.iter().map(|answer| answer.member).collect::<Vec<_>>(), [2]);
        let missing: Vec<_> = result.missing.iter().map(|missing| (missing.member, missing.why)).collect();
        assert_eq!(missing, [(1, None), (3, Some(Why::Left))]);
    }
}
