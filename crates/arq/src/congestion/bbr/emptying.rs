//! Leaving the path half empty, to see how long it is, and whose the queue is.

use std::time::Duration;

use events::Time;

use super::super::{Acked, Congestion, Sample};
use super::crowd::{Crowd, Place};
use super::{Bbr, Phase, share};

/// The path is half empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Emptying {
    /// What it is done for.
    look: Look,
    /// No more than this on the way.
    pub(super) window: u64,
    /// The shortest round trip since.
    shortest: Duration,
    /// Until when, in time and round trips; none before it really is half empty.
    until: Option<(Time, u64)>,
    /// The shortest round trip before, and the rate.
    before: Duration,
    rate: u64,
}

/// What the path is emptied for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The shortest round trip has not been seen for so long that nobody knows whether there still is one (section 5.3.4).
    /// It takes long enough that all flows which do so do it together, and see the path without a queue.
    HowLong,
    /// There is a queue: is it ours?
    Whose,
    /// Nobody else is there, so there is no queue then: the path is as long as it is.
    Alone,
}

impl Bbr {
    /// How long the path is kept half empty (`ProbeRTTDuration`), and what is half empty (`ProbeRTTCwndGain`).
    const EMPTY_FOR: Duration = Duration::from_millis(200);
    const EMPTY: u64 = 50;

    /// A round trip has ended: whether a queue stays that may not be ours, and in the crowd, whether there still is one.
    pub(super) fn look_whose_the_queue_is(&mut self, now: Time) {
        match (self.phase, &mut self.crowd) {
            (Phase::Cruise(look_at), _) => {
                let is_time = self.model.rounds() >= look_at && now - self.emptied_at > Self::CYCLE;
                if is_time && self.model.is_crowded() {
                    self.empty(Look::Whose);
                }
            }
            (Phase::Crowd, Some(crowd)) => {
                let place = crowd.on_round(self.model.rounds(), self.model.last().fastest);
                if place == Some(Place::Alone) {
                    self.crowd = None;
                    self.empty(Look::Alone);
                }
            }
            _ => {}
        }
    }

    /// From now on, the path is half empty.
    fn empty(&mut self, look: Look) {
        // Half of what it holds at the rate of now: the one of before may be what fills the queue.
        let rate = self.bandwidth().min(self.model.last().fastest);
        let window = share(self.model.holds(rate), Self::EMPTY);
        let before = self.model.last().least;
        if let Some(crowd) = &mut self.crowd {
            crowd.give_up();
        }
        self.phase = Phase::Empty(Emptying { look, window, shortest: Duration::MAX, until: None, before, rate });
    }

    /// The window while the path is emptied to `window`: never more than half of what it holds as known by now.
    pub(super) fn emptied(&self, window: u64) -> u64 {
        window.min(share(self.pipe(), Self::EMPTY)).max(self.smallest())
    }

    /// Whether it is time to see how long the path is, or time to fill it again.
    pub(super) fn look_how_long_it_is(&mut self, acked: &Acked, sample: &Sample) {
        let Phase::Empty(mut emptying) = self.phase else {
            if self.model.is_stale() {
                self.empty(Look::HowLong);
            }
            return;
        };
        emptying.shortest = emptying.shortest.min(sample.round_trip);
        let takes = if emptying.look == Look::HowLong { Self::EMPTY_FOR } else { Duration::ZERO };
        match emptying.until {
            Some((time, round)) if acked.now >= time && self.model.rounds() > round => {
                self.fill_again(acked.now, &emptying);
                return;
            }
            None if acked.in_flight.saturating_sub(acked.bytes) <= self.emptied(emptying.window) => {
                emptying.until = Some((acked.now + takes, self.model.rounds() + 1));
            }
            None | Some(_) => {}
        }
        self.phase = Phase::Empty(emptying);
    }

    /// The path was half empty for long enough.
    fn fill_again(&mut self, now: Time, emptying: &Emptying) {
        let shortest = emptying.shortest;
        self.emptied_at = now;
        self.model.take_for_least(now, shortest, emptying.look == Look::Alone);
        (self.slower, self.less) = (u64::MAX, u64::MAX);
        if !self.is_full {
            self.phase = Phase::Startup;
        } else if self.model.is_longer(shortest) {
            self.join_crowd(now);
        } else {
            if shortest.saturating_add(shortest / 2) < emptying.before {
                // The queue was ours: the path is no faster than it was with a queue.
                self.model.believe(emptying.rate);
            }
            self.crowd = None;
            self.go_down(now);
        }
    }

    /// A queue that stays when we leave is not ours. From now on as its owners do, from where we are, or were before.
    fn join_crowd(&mut self, now: Time) {
        if self.crowd.is_none() {
            let window = self.window().max(self.pipe()).max(self.model.last().delivered);
            self.crowd = Some(Crowd::join(self.datagram, window));
        }
        self.most = u64::MAX;
        self.begin_cycle(now);
        self.phase = Phase::Crowd;
    }
}
