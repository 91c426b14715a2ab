//! Asking a server something: the question again and again, until its answer comes.

use std::time::Duration;

use events::Time;

use crate::wire::Reply;
use crate::{CloseReason, Rtt, limits};

/// One question that waits for its answer. Questions may be repeated without harm: all of them only read.
///
/// Which reply belongs to it is told by the flow it comes in; that is for whoever keeps the table of flows.
#[derive(Debug)]
pub struct Ask {
    wait: Duration,
    send_now: bool,
    again: Option<Time>,
    deadline: Time,
    outcome: Option<Result<Reply, NoReply>>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    /// Nothing came.
    #[error("no answer in {} s", limits::IDLE.as_secs())]
    Silence,
    /// The server said no.
    #[error("{0}")]
    Denied(CloseReason),
}

impl Ask {
    /// A question to be asked at once; `rtt` is what the handshake measured.
    #[must_use]
    pub fn new(now: Time, rtt: Option<Duration>) -> Self {
        let mut estimate = Rtt::new();
        if let Some(rtt) = rtt {
            estimate.add(rtt, Duration::ZERO);
        }
        let wait = estimate.probe_timeout(Duration::from_millis(50)); // The server may have to look it up.
        Ask { wait, send_now: true, again: None, deadline: now + limits::IDLE, outcome: None }
    }

    /// A question that was asked before, at `sent`: behind the second hello, for one.
    #[must_use]
    pub fn sent(sent: Time, rtt: Option<Duration>) -> Self {
        let mut ask = Ask::new(sent, rtt);
        let _ = ask.poll_transmit(sent);
        ask
    }

    /// The answer came.
    pub fn handle(&mut self, reply: Reply) {
        if self.outcome.is_none() {
            self.outcome = Some(match reply {
                Reply::Deny(reason) => Err(NoReply::Denied(reason)),
                Reply::Page { .. } | Reply::Found(_) | Reply::Chunks { .. } => Ok(reply),
            });
        }
    }

    /// Does whatever is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.outcome.is_none() && self.deadline <= now {
            self.outcome = Some(Err(NoReply::Silence));
        } else if self.again.is_some_and(|again| again <= now) {
            self.again = None;
            self.send_now = true;
        }
    }

    /// Whether to send the question now.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Time) -> bool {
        let send = std::mem::take(&mut self.send_now) && self.outcome.is_none();
        if send {
            self.again = Some(now + self.wait);
            self.wait = (self.wait * 2).min(limits::LONGEST_BACKOFF.max(self.wait));
        }
        send
    }

    /// When to call [`handle_timeout`](Ask::handle_timeout) if nothing comes before; none when it is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.outcome.is_some() {
            return None;
        }
        Some(self.again.map_or(self.deadline, |again| again.min(self.deadline)))
    }

    /// The answer, or why there is none, once that is known. Taken out, it is gone.
    pub fn take_outcome(&mut self) -> Option<Result<Reply, NoReply>> {
        self.outcome.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_repeated_until_silence_is_certain() {
        let mut ask = Ask::new(Time::ZERO, Some(Duration::from_millis(20)));
        let mut times = Vec::new();
        while let Some(now) = ask.poll_timeout().map(|due| if times.is_empty() { Time::ZERO } else { due }) {
            ask.handle_timeout(now);
            if ask.poll_transmit(now) {
                times.push(now.as_nanos() / 1_000_000);
            }
        }
        assert_eq!(times.get(..5), Some(&[0, 110, 330, 770, 1_650][..]), "doubled, and at most a second apart");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 1_000));
        assert_eq!(ask.take_outcome(), Some(Err(NoReply::Silence)));
    }

    #[test]
    fn what_was_asked_before_is_asked_again_when_its_answer_is_late() {
        let mut ask = Ask::sent(Time::ZERO, Some(Duration::from_millis(20)));
        assert!(!ask.poll_transmit(Time::from_nanos(20_000_000)));
        let due = ask.poll_timeout().unwrap();
        assert_eq!(due, Time::from_nanos(110_000_000));
        ask.handle_timeout(due);
        assert!(ask.poll_transmit(due));
    }

    #[test]
    fn the_first_answer_counts() {
        let mut ask = Ask::new(Time::ZERO, None);
        assert!(ask.poll_transmit(Time::ZERO) && !ask.poll_transmit(Time::ZERO));
        ask.handle(Reply::Deny(CloseReason::NotFound));
        ask.handle(Reply::Page { generation: 1, total: 0, from: 0, entries: Vec::new() });
        assert_eq!((ask.poll_timeout(), ask.take_outcome()), (None, Some(Err(NoReply::Denied(CloseReason::NotFound)))));
    }
}
