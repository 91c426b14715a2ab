//! BBR: sending as fast as the path delivers, with as much on the way as it holds, and hardly a queue.

mod crowd;
mod emptying;
mod marking;
mod model;

#[cfg(test)]
mod tests;

use std::time::Duration;

use events::Time;

use super::{Acked, Congestion, Lost, Marked, Sample};
use crate::Rtt;
use crowd::Crowd;
use emptying::Emptying;
use marking::Marking;
use model::{Losses, Model};

/// Builds a model of the path instead of answering each loss: how fast it delivers, and how long its shortest round trip
/// is. draft-ietf-ccwg-bbr (BBR version 3), whose sections are named in the code; names in `code` are the draft's.
///
/// It deviates where a file transfer between two programs that report honestly can do better:
///
/// - **A loss needs a witness.** The draft takes more than 2 % lost in a round trip for congestion. So do we, where every
///   packet of that round trip waited in a queue; where no queue shows itself, 15 % must be lost. Radio links lose
///   several percent for reasons of their own, and nobody gains when we leave such a link to nobody. Below that, a loss
///   changes nothing: the draft's `bw_lo` and `inflight_lo` follow every round with any loss in it.
/// - **A mark is a word of the router itself**, and needs no witness: see `marking.rs`.
/// - **Less on the way.** The draft allows two round trips' worth on the way, for receivers whose acknowledgements come in
///   heaps. Ours reports at least each two milliseconds' worth, so a quarter above one round trip is enough, and
///   bounds the queue that a rate measured too high can build. Only in a crowd, where others keep a queue
///   whatever we do, is it more: with less there, we would starve.
/// - **A queue ends startup at once.** The draft waits for three round trips without growth, each of them as long as the queue
///   has made it. One of them is enough where a queue shows itself as well; and where the queue is a quarter of
///   the path, not even that is waited for: what is on the way by now is twice what the path holds.
#[derive(Clone, Copy, Debug)]
pub struct Bbr {
    datagram: u64,
    model: Model,
    phase: Phase,
    /// The window of startup, which grows by what arrives.
    window: u64,
    /// The pacing rate of startup, which never falls; zero before the first sample.
    rate: u64,
    growth: Growth,
    /// The path is full at the measured rate (`full_bw_reached`).
    is_full: bool,
    /// No more than this on the way: with more, a queue overflowed (`inflight_hi`).
    most: u64,
    /// By how much `most` grows in a round trip, while probing does no harm.
    step: u64,
    /// Until the next probing: no faster, and no more on the way, than losses allow (`bw_lo`, `inflight_lo`).
    slower: u64,
    less: u64,
    marking: Marking,
    /// When the probing cycle began, in time and round trips, and how long it takes.
    cycle: Cycle,
    /// What it does in a crowd, and did in it before it last left half the path empty.
    crowd: Option<Crowd>,
    /// When the path was last emptied.
    emptied_at: Time,
}

/// What it does at the moment (section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Doubles its rate each round trip, until the path delivers no more.
    Startup,
    /// Lets the queue of startup run empty.
    Drain,
    /// Lets the queue of probing run empty, and leaves room for others.
    Down,
    /// Sends as fast as the path delivers; looks for a crowd from the round trip numbered so on.
    Cruise(u64),
    /// Fills the path, for one round trip until the one numbered so.
    Refill(u64),
    /// Sends a quarter faster, to see whether there is more to be had.
    Up(Probe),
    /// Others keep a queue whatever we do, so it does as they do.
    Crowd,
    /// Leaves the path half empty, to see how long it is, and whose the queue is.
    Empty(Emptying),
}

/// Probing for more: since when, and in which round trip it began or last brought more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probe {
    since: Time,
    round: u64,
}

/// Whether the rate still grows (section 5.3.1.2).
#[derive(Clone, Copy, Debug, Default)]
struct Growth {
    best: u64,
    flat_rounds: u32,
}

#[derive(Clone, Copy, Debug)]
struct Cycle {
    since: Time,
    round: u64,
    takes: Duration,
    /// The rates measured before this cycle have been forgotten.
    is_counted: bool,
}

/// `percent` of `value`.
fn share(value: u64, percent: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(percent) / 100).unwrap_or(u64::MAX)
}

impl Bbr {
    /// Datagrams in the initial window. The draft leaves it to the transport; Chromium's QUIC begins with as many.
    const INITIAL: u64 = 32;
    /// For so many round trips, samples tell of the initial window only.
    const EARLY: u64 = 3;
    /// The smallest window, in datagrams (`MinPipeCwnd`): with fewer, no report ever speaks of two.
    const LEAST: u64 = 4;
    /// How much of its work a receiver may do before it reports on it.
    const HEAP: Duration = Duration::from_millis(2);

    /// Pacing, in percent of the measured rate: `StartupPacingGain`, `DrainPacingGain` and so on (section 2.4 and 5.6.2).
    const STARTUP: u64 = 277;
    const DRAIN: u64 = 50;
    const DOWN: u64 = 90;
    const UP: u64 = 125;
    /// A little slower than measured, so that a queue never stays (`PacingMarginPercent` of 1).
    const MARGIN: u64 = 99;

    /// What is left of the rate and of what may be on the way after a round trip with congestion (`Beta`).
    const BETA: u64 = 70;
    /// What is left free of the most that does no harm, for others to grow into (`Headroom` of 15).
    const HEADROOM: u64 = 85;
    /// A round trip that is less than this faster than the best before is flat.
    const GROWING: u64 = 125;
    /// So many flat round trips end startup.
    const FLAT: u32 = 3;

    /// How long a cycle takes at least; to that comes up to a second by chance, so that flows do not probe in step.
    const CYCLE: Duration = Duration::from_secs(2);
    /// The first takes only this long where startup ended early.
    const SOON: Duration = Duration::from_millis(100);
    /// Nor does it take more round trips than Reno would take to grow by a window (section 5.3.3.5.2), up to this many.
    const CYCLE_ROUNDS: u64 = 63;

    /// For datagrams of `datagram` bytes.
    #[must_use]
    pub fn new(datagram: u64) -> Self {
        let datagram = datagram.max(1);
        Bbr {
            datagram,
            model: Model::new(datagram),
            phase: Phase::Startup,
            window: (Self::INITIAL * datagram).min(47_104.max(4 * datagram)),
            rate: 0,
            growth: Growth::default(),
            is_full: false,
            most: u64::MAX,
            step: datagram,
            slower: u64::MAX,
            less: u64::MAX,
            marking: Marking::new(),
            cycle: Cycle { since: Time::ZERO, round: 0, takes: Self::CYCLE, is_counted: true },
            crowd: None,
            emptied_at: Time::ZERO,
        }
    }

    /// The rate it believes in, in bytes a second.
    fn bandwidth(&self) -> u64 {
        self.model.bandwidth().min(self.slower)
    }

    /// What the path holds without a queue at that rate (`bdp`).
    fn pipe(&self) -> u64 {
        self.model.holds(self.bandwidth()).max(self.smallest())
    }

    fn smallest(&self) -> u64 {
        Self::LEAST * self.datagram
    }

    /// A round trip ended: does the rate still grow, and what did it cost?
    fn on_round(&mut self, now: Time) {
        // What was sent while probing is paid for by the end of probing: two round trips later that is over. And the
        // initial window is a burst that nobody could pace.
        let paid_until = if self.is_full { self.cycle.round + 2 } else { Self::EARLY };
        if self.model.rounds() <= paid_until {
            self.model.pardon();
        }
        let losses = self.model.judge();
        if !self.is_full {
            self.grow(losses);
        } else if losses == Losses::Congestion && !matches!(self.phase, Phase::Refill(_) | Phase::Up(_) | Phase::Crowd)
        {
            self.yield_some();
        }
        self.heed_marks();
        if matches!(self.phase, Phase::Down | Phase::Cruise(_))
            && !self.cycle.is_counted
            && self.model.rounds() > self.cycle.round + 1
            && !self.model.last().is_limited
        {
            // What probing brought is in: by now its packets have been reported (section 5.5.6).
            self.cycle.is_counted = true;
            self.model.forget_oldest();
        }
        self.look_whose_the_queue_is(now);
        self.probe_on();
    }

    /// A round trip of probing ended. It is not flat when more came of it, nor while the most that did no harm is what holds
    /// it back.
    fn probe_on(&mut self) {
        let Phase::Up(mut probe) = self.phase else { return };
        let fastest = self.model.last().fastest;
        if fastest >= share(self.growth.best, Self::GROWING) {
            self.growth.best = fastest;
            probe.round = self.model.rounds();
        }
        if self.most < self.target() {
            probe.round = self.model.rounds();
        }
        self.step = self.step.saturating_mul(2).min(self.pipe());
        self.phase = Phase::Up(probe);
    }

    /// Section 5.3.1.2 and 5.3.1.3: startup, or probing, is over when the rate grows no more or a queue overflows.
    fn grow(&mut self, losses: Losses) {
        if losses == Losses::Congestion {
            self.fill_up();
        } else if !self.model.last().is_limited && self.model.rounds() > Self::EARLY {
            self.is_full = self.growth.is_over(self.model.bandwidth(), self.model.is_queued());
        }
    }

    /// Startup has gone too far: there is no more room than it took.
    fn fill_up(&mut self) {
        self.most = self.pipe().max(self.model.last().delivered);
        self.is_full = true;
    }

    /// The window of startup grows by what arrives, as in slow start, while no queue shows itself.
    fn speed_up(&mut self, acked: &Acked) {
        // What the first samples tell is how large the initial window was, and not how fast the path is.
        let is_early = self.model.rounds() <= Self::EARLY;
        let measured = if is_early { super::paced(self.window, &acked.rtt, true).unwrap_or(0) } else { 0 };
        let rate = share(share(self.bandwidth(), Self::STARTUP), Self::MARGIN);
        self.rate = self.rate.max(rate).max(measured);
        if (is_early || self.window < self.target()) && !self.model.is_filling() {
            self.window = self.window.saturating_add(acked.bytes);
        }
    }

    /// Section 5.5.10.3: until the next probing, no faster than it still delivers, and never below 70 % of what it was.
    fn yield_some(&mut self) {
        let last = *self.model.last();
        self.slower = last.fastest.max(share(self.bandwidth(), Self::BETA));
        self.less = last.delivered.max(share(self.less.min(self.target()), Self::BETA));
    }

    /// Whether it is time for another phase.
    fn move_on(&mut self, acked: &Acked, sample: &Sample) {
        let in_flight = acked.in_flight.saturating_sub(acked.bytes);
        let now = acked.now;
        match self.phase {
            Phase::Startup if self.is_full => {
                self.cycle.round = self.model.rounds();
                self.phase = Phase::Drain;
            }
            Phase::Drain if in_flight <= self.pipe() => {
                self.go_down(now);
                if self.most < u64::MAX {
                    // A loss ended startup, and nobody knows how much more there is: that is looked at soon.
                    self.cycle.takes = Self::SOON;
                }
            }
            Phase::Down | Phase::Cruise(_) if self.is_time_to_probe(now) => {
                (self.slower, self.less) = (u64::MAX, u64::MAX);
                self.phase = Phase::Refill(self.model.rounds() + 1);
            }
            // Cruising shows a crowd one whole round trip later.
            Phase::Down if in_flight <= self.pipe().min(share(self.most, Self::HEADROOM)) => {
                self.phase = Phase::Cruise(self.model.rounds() + 2);
            }
            Phase::Refill(until) if self.model.rounds() > until => {
                self.growth = Growth { best: self.model.bandwidth(), flat_rounds: 0 };
                self.step = self.datagram;
                self.phase = Phase::Up(Probe { since: now, round: self.model.rounds() });
            }
            Phase::Up(probe) => self.probe_up(acked, sample, probe, in_flight),
            Phase::Crowd if self.is_time_to_probe(now) => {
                // What was measured two cycles ago is forgotten here too.
                self.model.forget_oldest();
                self.begin_cycle(now);
                if let Some(crowd) = &mut self.crowd {
                    crowd.push(self.model.rounds(), self.model.last().fastest);
                }
            }
            Phase::Startup
            | Phase::Drain
            | Phase::Down
            | Phase::Cruise(_)
            | Phase::Refill(_)
            | Phase::Crowd
            | Phase::Empty(_) => {}
        }
    }

    /// Section 5.3.3.6: until a queue overflows, or one shows itself, or nothing more comes of it. As long as more comes, it
    /// goes on: what startup left undone is made up for within some round trips.
    fn probe_up(&mut self, acked: &Acked, sample: &Sample, probe: Probe, in_flight: u64) {
        if self.model.is_congested(sample) {
            self.most = sample.in_flight.max(share(self.pipe(), Self::BETA));
            self.go_down(acked.now);
            return;
        }
        if self.most != u64::MAX && acked.in_flight.saturating_add(2 * self.datagram) >= self.most {
            // Slow start from where it last hurt: one datagram in the first round trip, two in the next.
            let grown = u128::from(self.step) * u128::from(acked.bytes) / u128::from(self.most.max(1));
            self.most = self.most.saturating_add(u64::try_from(grown).unwrap_or(u64::MAX));
        }
        let took_a_round = self.model.least().is_some_and(|least| acked.now - probe.since > least);
        let has_queue = in_flight >= share(self.pipe(), Self::UP);
        let rounds = self.model.rounds() - probe.round;
        if took_a_round && (has_queue && self.model.is_filling() || rounds > u64::from(Self::FLAT)) {
            self.go_down(acked.now);
        }
    }

    fn go_down(&mut self, now: Time) {
        self.phase = Phase::Down;
        self.begin_cycle(now);
    }

    fn begin_cycle(&mut self, now: Time) {
        let chance = mixed(now.as_nanos() ^ self.model.bandwidth()) % 1_000;
        let takes = Self::CYCLE + Duration::from_millis(chance);
        self.cycle = Cycle { since: now, round: self.model.rounds(), takes, is_counted: false };
    }

    fn is_time_to_probe(&self, now: Time) -> bool {
        let rounds = (self.pipe() / self.datagram).min(Self::CYCLE_ROUNDS);
        now - self.cycle.since >= self.cycle.takes || self.model.rounds() - self.cycle.round >= rounds
    }

    /// How much is on the way when all goes well: what the path holds, and a heap of the receiver's.
    fn target(&self) -> u64 {
        let gain = match self.phase {
            Phase::Startup => 200,
            Phase::Drain | Phase::Down | Phase::Cruise(_) | Phase::Refill(_) => 125,
            Phase::Up(_) => 140,
            // Whatever happens in the crowd, not less than leaves something to measure.
            Phase::Crowd => return self.pipe() / 2,
            Phase::Empty(emptying) => return self.emptied(emptying.window),
        };
        share(self.pipe(), gain).saturating_add(self.heap())
    }

    /// What arrives between two reports of a busy receiver.
    fn heap(&self) -> u64 {
        let bytes = u128::from(self.bandwidth()) * Self::HEAP.as_nanos() / 1_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(3 * self.datagram)
    }

    /// The pacing gain, in percent.
    fn gain(&self) -> u64 {
        match self.phase {
            Phase::Startup => Self::STARTUP,
            Phase::Drain => Self::DRAIN,
            Phase::Down => Self::DOWN,
            Phase::Cruise(_) | Phase::Refill(_) | Phase::Empty(_) | Phase::Crowd => 100,
            Phase::Up(_) => Self::UP,
        }
    }
}

impl Growth {
    /// Takes the rate after one more round trip. True when it grows no more.
    fn is_over(&mut self, rate: u64, is_queued: bool) -> bool {
        if rate >= share(self.best, Bbr::GROWING) {
            *self = Growth { best: rate, flat_rounds: 0 };
            return false;
        }
        self.flat_rounds += 1;
        is_queued || self.flat_rounds >= Bbr::FLAT
    }
}

impl Congestion for Bbr {
    fn on_acked(&mut self, acked: &Acked) {
        self.model.count_arrived(acked.bytes);
        let Some(sample) = &acked.sample else { return };
        if self.model.on_acked(acked, sample) {
            self.on_round(acked.now);
        }
        if !self.is_full && self.model.rounds() > Self::EARLY && self.model.is_overshooting(acked.now) {
            self.is_full = true;
        }
        self.move_on(acked, sample);
        self.look_how_long_it_is(acked, sample);
        if let (Phase::Crowd, Some(crowd)) = (self.phase, &mut self.crowd) {
            crowd.on_acked(acked);
        }
        if !self.is_full {
            self.speed_up(acked);
        }
    }

    fn on_lost(&mut self, lost: &Lost) {
        self.model.count_lost(lost.bytes);
        if let (Phase::Crowd, Some(crowd)) = (self.phase, &mut self.crowd) {
            crowd.on_lost(lost);
        }
        if lost.persistent {
            // Nothing at all came through: whatever was known of the path is worth nothing (RFC 9002 section 7.6.2).
            *self = Bbr { window: self.smallest(), ..Bbr::new(self.datagram) };
        }
    }

    fn on_marked(&mut self, marked: &Marked) {
        self.model.count_marked(marked.bytes);
        if let (Phase::Crowd, Some(crowd)) = (self.phase, &mut self.crowd) {
            crowd.on_marked(marked);
        }
    }

    fn window(&self) -> u64 {
        let window = match self.phase {
            Phase::Startup => self.window,
            Phase::Crowd => self.crowd.as_ref().map_or(0, Crowd::window).max(self.target()),
            Phase::Up(_) | Phase::Refill(_) => self.target().min(self.most),
            Phase::Drain | Phase::Down | Phase::Cruise(_) | Phase::Empty(_) => {
                self.target().min(share(self.most, Self::HEADROOM)).min(self.less)
            }
        };
        window.max(self.smallest())
    }

    fn rate(&self, rtt: &Rtt) -> Option<u64> {
        if self.phase == Phase::Crowd {
            return super::paced(self.window(), rtt, false);
        }
        if self.model.bandwidth() == 0 {
            // Before the first sample of a rate: the initial window over a round trip (section 5.6.2).
            return super::paced(self.window, rtt, true);
        }
        let rate = share(share(self.bandwidth(), self.gain()), Self::MARGIN);
        // As slow as one of the smallest windows in a second, but never nothing.
        Some(if self.is_full { rate } else { rate.max(self.rate) }.max(self.smallest()))
    }
}

/// One round of SplitMix64: flows that began together must not probe in step, and nothing more is asked of it.
fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
