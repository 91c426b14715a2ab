//! What is known of the path: how fast it is, how long it is, and how the last round trip went.

use std::time::Duration;

use events::Time;

use super::super::{Acked, Sample};
use super::marking::is_most;
use super::share;

/// The path as measured: the fastest delivery of late, and the shortest round trip. Their product is what the path holds
/// without a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    /// The highest delivery rate in this probing cycle and in the one before, in bytes a second (section 5.5.5 of the
    /// draft, `MaxBwFilterLen` of two cycles).
    fastest: [u64; 2],
    /// The shortest round trip, and when it was last seen.
    least: Duration,
    least_at: Time,
    /// The shortest since the last that was as short as [`Self::least`] went stale: what it will be taken for.
    recent: Duration,
    recent_at: Time,
    is_stale: bool,
    /// More is lost than a path without a queue should lose.
    is_losing: bool,
    /// The shortest of this half minute's half, and of the one before: what tells a crowd, whose queue never empties, from
    /// a path that became longer.
    long_least: [Duration; 2],
    long_since: Time,
    /// The shortest of the last handful of samples, and of the one before.
    lately: [Duration; 2],
    samples: u32,
    /// Since when the last handful waited for long.
    overshoots_since: Option<Time>,
    /// A round trip ends when a packet is reported that was sent after so much had arrived.
    round_ends_at: u64,
    rounds: u64,
    /// The round trip under way, and the last whole one.
    now: Round,
    last: Round,
    /// Arrivals and losses since they were last judged.
    toll: Toll,
    datagram: u64,
}

/// One round trip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// The highest delivery rate.
    pub(super) fastest: u64,
    /// How much arrived in the time of one sample, at most.
    pub(super) delivered: u64,
    /// The shortest time from a sending to the report on it.
    pub(super) least: Duration,
    /// Whether the sender had too little to send.
    pub(super) is_limited: bool,
    /// What arrived, and how much of it was marked.
    pub(super) arrived: u64,
    pub(super) marked: u64,
}

/// What arrived and what was lost.
#[derive(Clone, Copy, Debug, Default)]
struct Toll {
    delivered: u64,
    lost: u64,
}

/// What the losses of late mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Losses {
    /// Too little has happened to say.
    Unknown,
    /// None, or no more than a path may lose for reasons of its own.
    Bearable,
    /// A queue overflows.
    Congestion,
}

impl Round {
    pub(super) const NONE: Round =
        Round { fastest: 0, delivered: 0, least: Duration::MAX, is_limited: false, arrived: 0, marked: 0 };

    fn add(&mut self, sample: &Sample) {
        self.fastest = self.fastest.max(sample.rate());
        self.delivered = self.delivered.max(sample.delivered);
        self.least = self.least.min(sample.round_trip);
        self.is_limited |= sample.is_limited;
    }
}

impl Model {
    /// How long the shortest round trip is believed without being seen again (`ProbeRTTInterval`): then the path is
    /// emptied to see it.
    const SEEN_AGAIN: Duration = Duration::from_secs(5);
    /// How long it is kept at all (`MinRTTFilterLen`).
    const FORGOTTEN: Duration = Duration::from_secs(10);
    /// So many samples in a row are no accident: as many as HyStart++ asks for (RFC 9406 section 4.3).
    const HANDFUL: u32 = 8;
    /// Half the time for which a crowd is told by it.
    const LONG: Duration = Duration::from_secs(15);
    /// Less than this on top of the shortest round trip is no queue: it is how exactly two busy machines tell the time.
    const LEAST_QUEUE: Duration = Duration::from_millis(1);
    /// Fewer datagrams than this are no sample of a loss rate.
    const ENOUGH: u64 = 32;
    /// So many losses may be chance, whatever their share.
    const BY_CHANCE: u64 = 2;
    /// `LossThresh`, in percent: where a queue shows itself, more than this is its overflow.
    const LOSS_WITH_QUEUE: u64 = 2;
    /// Where none shows itself, only this much is (a queue too short to see, or a policer).
    const LOSS_WITHOUT: u64 = 15;

    pub(super) fn new(datagram: u64) -> Self {
        Model {
            fastest: [0; 2],
            least: Duration::MAX,
            least_at: Time::ZERO,
            recent: Duration::MAX,
            recent_at: Time::ZERO,
            is_stale: false,
            is_losing: false,
            long_least: [Duration::MAX; 2],
            long_since: Time::ZERO,
            lately: [Duration::ZERO; 2],
            samples: 0,
            overshoots_since: None,
            round_ends_at: 0,
            rounds: 0,
            now: Round::NONE,
            last: Round::NONE,
            toll: Toll::default(),
            datagram,
        }
    }

    /// Takes a sample. True when a round trip ended with it.
    pub(super) fn on_acked(&mut self, acked: &Acked, sample: &Sample) -> bool {
        let ended = sample.delivered_before >= self.round_ends_at;
        if ended {
            self.round_ends_at = sample.delivered_before + sample.delivered;
            self.rounds += 1;
            (self.last, self.now) = (self.now, Round::NONE);
        }
        self.now.add(sample);
        if self.samples.is_multiple_of(Self::HANDFUL) {
            self.lately = [self.lately[1], Duration::MAX];
        }
        self.samples = self.samples.wrapping_add(1);
        self.lately[1] = self.lately[1].min(sample.round_trip);
        self.see_round_trip(acked.now, sample.round_trip);
        let overshoots = self.waited_lately() > self.least / 4 + Self::LEAST_QUEUE;
        self.overshoots_since = overshoots.then(|| self.overshoots_since.unwrap_or(acked.now));
        let rate = sample.rate();
        if !sample.is_limited || rate > self.bandwidth() {
            self.fastest[1] = self.fastest[1].max(rate);
        }
        ended
    }

    fn see_round_trip(&mut self, now: Time, round_trip: Duration) {
        // One that is nearly as short shows that the path is still as long as it was.
        if now - self.long_since > Self::LONG {
            (self.long_least, self.long_since) = ([self.long_least[1], Duration::MAX], now);
        }
        self.long_least[1] = self.long_least[1].min(round_trip);
        self.is_stale = self.least != Duration::MAX && now - self.recent_at > Self::SEEN_AGAIN;
        if self.is_stale || round_trip < self.recent {
            (self.recent, self.recent_at) = (round_trip, now);
        } else if !self.is_losing && round_trip <= self.recent.saturating_add(self.recent / 16) {
            self.recent_at = now;
        }
        if self.recent <= self.least || now - self.least_at > Self::FORGOTTEN {
            (self.least, self.least_at) = (self.recent, self.recent_at);
        }
    }

    /// The path was emptied on purpose, and this was the shortest round trip then. Where nobody else is there, that is how
    /// long it is now.
    pub(super) fn take_for_least(&mut self, now: Time, shortest: Duration, is_alone: bool) {
        if is_alone {
            (self.long_least, self.long_since) = ([shortest; 2], now);
        }
        (self.recent, self.recent_at) = (shortest, now);
        (self.least, self.least_at) = (shortest, now);
    }

    /// The path is no faster than that, whatever was measured.
    pub(super) fn believe(&mut self, rate: u64) {
        if rate > 0 {
            self.fastest = [rate, 0];
        }
    }

    /// Whether the path was once shorter than that.
    pub(super) fn is_longer(&self, shortest: Duration) -> bool {
        let ever = self.long_least[0].min(self.long_least[1]);
        shortest.saturating_sub(ever) > ever / 8 + Self::LEAST_QUEUE
    }

    /// Counts what arrived.
    pub(super) fn count_arrived(&mut self, bytes: u64) {
        self.toll.delivered = self.toll.delivered.saturating_add(bytes);
        self.now.arrived = self.now.arrived.saturating_add(bytes);
    }

    /// Counts what was marked.
    pub(super) fn count_marked(&mut self, bytes: u64) {
        self.now.marked = self.now.marked.saturating_add(bytes);
    }

    /// Counts what was lost.
    pub(super) fn count_lost(&mut self, bytes: u64) {
        self.toll.lost = self.toll.lost.saturating_add(bytes);
    }

    /// What the losses since the last judgement mean; there is none before a round trip's worth of them.
    pub(super) fn judge(&mut self) -> Losses {
        let Toll { delivered, lost } = self.toll;
        let all = delivered.saturating_add(lost);
        if all < Self::ENOUGH * self.datagram {
            return Losses::Unknown;
        }
        self.toll = Toll::default();
        let most = if self.is_queued() { Self::LOSS_WITH_QUEUE } else { Self::LOSS_WITHOUT };
        self.is_losing = lost > share(all, Self::LOSS_WITH_QUEUE);
        if lost > share(all, most) && lost > Self::BY_CHANCE * self.datagram {
            Losses::Congestion
        } else {
            Losses::Bearable
        }
    }

    /// Whether the losses, or the marks, that one sample speaks of mean congestion.
    pub(super) fn is_congested(&self, sample: &Sample) -> bool {
        if is_most(sample.marked, sample.delivered) {
            return true;
        }
        let most = if self.is_queued() { Self::LOSS_WITH_QUEUE } else { Self::LOSS_WITHOUT };
        sample.in_flight >= Self::ENOUGH * self.datagram
            && sample.lost > share(sample.in_flight, most)
            && sample.lost > Self::BY_CHANCE * self.datagram
    }

    /// Whether every packet of the last round trip waited in a queue: an eighth of the shortest round trip, or more.
    pub(super) fn is_queued(&self) -> bool {
        self.waited() > (self.least / 8).max(Self::LEAST_QUEUE)
    }

    /// Whether a queue begins to show itself: the last handful of packets all waited. Fewer are no sign: a busy machine
    /// takes its time with single reports.
    pub(super) fn is_filling(&self) -> bool {
        self.waited_lately() > (self.least / 8).max(Self::LEAST_QUEUE)
    }

    /// Whether more was sent than the path holds, and not by a little: for an eighth of the shortest round trip, each
    /// handful of packets has waited a quarter of one. A link that pauses and then delivers all at once does not look so: its
    /// heap is over in a moment.
    pub(super) fn is_overshooting(&self, now: Time) -> bool {
        self.overshoots_since.is_some_and(|since| now - since > self.least / 8)
    }

    /// How long at least each of the last handful of packets waited.
    fn waited_lately(&self) -> Duration {
        self.lately[0].min(self.lately[1]).saturating_sub(self.least)
    }

    /// What was lost so far is not held against what will be sent from now on.
    pub(super) fn pardon(&mut self) {
        self.toll = Toll::default();
    }

    /// Whether the queue of the last round trip was so long that it cannot all be ours.
    pub(super) fn is_crowded(&self) -> bool {
        let ever = self.long_least[0].min(self.long_least[1]);
        let waited = self.last.least.saturating_sub(ever);
        self.last.least != Duration::MAX && waited > ever / 4 + Self::LEAST_QUEUE * 3
    }

    /// How long at least each packet of the last round trip waited.
    fn waited(&self) -> Duration {
        if self.last.least == Duration::MAX { Duration::ZERO } else { self.last.least.saturating_sub(self.least) }
    }

    /// A probing cycle has ended: what was measured two cycles ago is forgotten.
    pub(super) fn forget_oldest(&mut self) {
        if self.fastest[1] > 0 {
            self.fastest = [self.fastest[1], 0];
        }
    }

    /// The fastest delivery of late, in bytes a second; zero before the first sample.
    pub(super) fn bandwidth(&self) -> u64 {
        self.fastest[0].max(self.fastest[1])
    }

    /// What the path holds at `rate` without a queue.
    pub(super) fn holds(&self, rate: u64) -> u64 {
        if self.least == Duration::MAX {
            return 0;
        }
        let bytes = u128::from(rate).saturating_mul(self.least.as_nanos()) / 1_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// The shortest round trip; none before the first.
    pub(super) fn least(&self) -> Option<Duration> {
        (self.least != Duration::MAX).then_some(self.least)
    }

    /// Whether the shortest round trip has not been seen for too long.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// How many round trips there were.
    pub(super) fn rounds(&self) -> u64 {
        self.rounds
    }

    /// The last whole round trip.
    pub(super) fn last(&self) -> &Round {
        &self.last
    }
}
