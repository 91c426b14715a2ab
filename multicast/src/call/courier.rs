//! Lines between the hub and one member: one at a time, repeated until acknowledged, each handed out once.

use std::collections::VecDeque;
use std::time::Duration;

use events::Time;

use super::Refused;
use super::wire::Body;

/// How many lines may wait.
const QUEUE: usize = 256;
/// When a line is first repeated; then after twice as long each time.
const RETRY: Duration = Duration::from_millis(150);
/// The longest wait between repetitions.
const RETRY_MOST: Duration = Duration::from_secs(1);

/// Both directions of one member's lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Courier {
    queue: VecDeque<Vec<u8>>,
    /// How many lines the other has acknowledged: the first in the queue is the one after.
    acknowledged: u32,
    sent: Option<(Time, Duration)>,
    /// How many lines came.
    taken: u32,
    /// The line to acknowledge.
    owed: Option<u32>,
}

impl Courier {
    pub(super) fn post(&mut self, line: Vec<u8>) -> Result<(), Refused> {
        if self.queue.len() >= QUEUE {
            return Err(Refused::Full);
        }
        self.queue.push_back(line);
        Ok(())
    }

    /// A line came: whether it is a new one. One from the future is neither taken nor acknowledged.
    pub(super) fn handle_line(&mut self, seq: u32) -> bool {
        let is_new = seq == self.taken.saturating_add(1);
        if is_new {
            self.taken = seq;
        }
        if seq <= self.taken {
            self.owed = Some(seq);
        }
        is_new
    }

    pub(super) fn handle_ack(&mut self, seq: u32) {
        if seq == self.acknowledged.saturating_add(1) && self.sent.is_some() {
            self.acknowledged = seq;
            self.queue.pop_front();
            self.sent = None;
        }
    }

    pub(super) fn poll_transmit(&mut self, now: Time) -> Option<Body> {
        if let Some(seq) = self.owed.take() {
            return Some(Body::LineAck { seq });
        }
        let text = self.queue.front()?.clone();
        let wait = match self.sent {
            None => RETRY,
            Some((due, wait)) if due <= now => (wait * 2).min(RETRY_MOST),
            Some(_) => return None,
        };
        self.sent = Some((now + wait, wait));
        Some(Body::Line { seq: self.acknowledged + 1, text })
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.sent.map(|(due, _)| due)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_repeated_until_acknowledged_and_taken_once() {
        let (mut here, mut there) = (Courier::default(), Courier::default());
        here.post(b"one".to_vec()).unwrap();
        here.post(b"two".to_vec()).unwrap();
        let Some(Body::Line { seq: 1, .. }) = here.poll_transmit(Time::ZERO) else { panic!("a line") };
        assert_eq!(here.poll_transmit(Time::ZERO), None, "one at a time");
        let due = here.poll_timeout().unwrap();
        assert!(matches!(here.poll_transmit(due), Some(Body::Line { seq: 1, .. })));
        assert!(there.handle_line(1));
        assert!(!there.handle_line(1), "a repetition");
        assert!(!there.handle_line(3), "from the future");
        assert_eq!(there.poll_transmit(due), Some(Body::LineAck { seq: 1 }));
        here.handle_ack(7);
        here.handle_ack(1);
        here.handle_ack(1);
        assert!(matches!(here.poll_transmit(due), Some(Body::Line { seq: 2, .. })));
        here.handle_ack(2);
        assert!(here.is_idle());
        while here.post(vec![]).is_ok() {}
        assert_eq!(here.queue.len(), QUEUE);
    }
}
