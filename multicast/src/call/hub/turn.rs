//! What the hub does because time passes, and how it ends.

use std::time::Duration;

use events::Time;

use super::Hub;
use crate::call::seat::Row;
use crate::call::wire::{Body, GroupBody, Why};

/// How long members may take, when the hub ends, to get what was said to them.
const FLUSH: Duration = Duration::from_secs(4);
/// Between two good-byes.
const GOODBYE: Duration = Duration::from_millis(50);
/// How often good-bye is said to one who does not say it back.
const GOODBYES: u32 = 8;

/// How far the ending is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Closing {
    /// Members get what was said to them, until then.
    Flushing(Time),
    /// Good-bye is said; so often, next then.
    Leaving(u32, Time),
    Over,
}

impl Hub {
    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.turn(now);
    }

    /// When to come back, where nothing comes before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.closing {
            Some(Closing::Leaving(_, next)) => return Some(next),
            Some(Closing::Over) => return None,
            Some(Closing::Flushing(_)) | None => {}
        }
        let rows = self.rows.values().map(|row| row.poll_timeout(&self.history));
        let questions = self.questions.values().map(super::Question::poll_timeout);
        let closing = match self.closing {
            Some(Closing::Flushing(limit)) => Some(limit),
            _ => None,
        };
        rows.chain(questions).chain(closing).min()
    }

    /// Ends: members get what was said to them, then good-bye. [`Hub::is_over`] says when that is done.
    pub fn close(&mut self, now: Time) {
        if self.closing.is_none() {
            self.closing = Some(Closing::Flushing(now + FLUSH));
            self.questions.keys().copied().collect::<Vec<_>>().into_iter().for_each(|call| self.end_call(now, call));
            self.turn(now);
        }
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.closing, Some(Closing::Over))
    }

    /// Whether every member has everything that was said to it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.history.is_stable() && self.rows.values().all(|row| row.courier.is_idle() && row.waiting.is_empty())
    }

    /// Everything that may be due.
    pub(super) fn turn(&mut self, now: Time) {
        // From the first good-bye on, nothing more is said: whoever left would not hear it.
        if !matches!(self.closing, Some(Closing::Leaving(..) | Closing::Over)) {
            self.lose_the_silent(now);
            self.admit(now);
            self.settle();
            self.carry_lines(now);
            self.ask(now);
            self.beat(now);
        }
        self.end(now);
    }

    fn lose_the_silent(&mut self, now: Time) {
        let why = |row: &Row| match (row.silent_at() <= now, row.stuck_at(&self.history) <= now) {
            (true, _) => Some(Why::Silent),
            (_, true) => Some(Why::Stuck),
            _ => None,
        };
        let lost: Vec<(u32, Why)> =
            self.rows.iter().filter_map(|(member, row)| why(row).map(|why| (*member, why))).collect();
        for (member, why) in lost {
            self.say_gone(member, why);
            self.remove(now, member, why);
        }
    }

    fn settle(&mut self) {
        let newest = self.history.newest();
        let all_have = self.rows.values().map(|row| row.have).min().unwrap_or(newest);
        self.history.settle(all_have);
    }

    fn carry_lines(&mut self, now: Time) {
        for member in self.rows.keys().copied().collect::<Vec<_>>() {
            while let Some(body) = self.rows.get_mut(&member).and_then(|row| row.courier.poll_transmit(now)) {
                self.send(member, body);
            }
        }
    }

    fn ask(&mut self, now: Time) {
        for call in self.questions.keys().copied().collect::<Vec<_>>() {
            let Some(question) = self.questions.get_mut(&call) else { continue };
            if let Some((within, whom)) = question.poll_round(now) {
                let body = GroupBody::Call { call, within, text: question.text.clone() };
                let everybody = question.is_first_round() && whom.len() == self.rows.len();
                self.spread(&body, if everybody { None } else { Some(&whom) });
            }
            if self.questions.get(&call).is_some_and(|question| question.is_over(now)) {
                self.end_call(now, call);
            }
        }
    }

    fn beat(&mut self, now: Time) {
        let newest = self.history.newest();
        let due: Vec<(u32, u32)> = self
            .rows
            .iter_mut()
            .filter_map(|(member, row)| row.beat_is_due(now, newest).then_some((*member, row.admitted)))
            .collect();
        for (member, admitted) in due {
            self.send(member, Body::Beat { newest, admitted });
        }
    }

    fn end(&mut self, now: Time) {
        loop {
            self.closing = match self.closing {
                Some(Closing::Flushing(limit)) if limit <= now || self.is_settled() => Some(Closing::Leaving(0, now)),
                Some(Closing::Leaving(said, _)) if said >= GOODBYES || self.rows.is_empty() => Some(Closing::Over),
                Some(Closing::Leaving(said, next)) if next <= now => {
                    for member in self.rows.keys().copied().collect::<Vec<_>>() {
                        self.say_gone(member, Why::Closed);
                    }
                    Some(Closing::Leaving(said + 1, now + GOODBYE))
                }
                _ => return,
            };
        }
    }
}
