//! One direction of a path: it decides each packet's fate when the packet is handed in, and hands it out when it is due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use events::Time;

use crate::{Cause, Damage, Fate, Impairment, Marking, Random, Reorder, Rewritten, Tally};

/// One direction of a network path, for packets of any type.
///
/// Drive it with the same verbs as the machines of `arq`: [`handle`](Link::handle) what enters,
/// [`poll`](Link::poll) until nothing is due, then come back at [`poll_timeout`](Link::poll_timeout). Time never goes
/// backwards between calls.
#[derive(Debug)]
pub struct Link<P> {
    impairment: Impairment,
    dice: Dice,
    /// How many packets each rule of `impairment.drops` has seen of its kind.
    matched: Vec<u64>,
    in_burst: bool,
    /// When the bottleneck has sent all that waits before it.
    busy_until: Time,
    /// The most bytes that have waited for it.
    largest_queue: u64,
    /// When the last packet that kept its order comes out.
    last_out: Time,
    held: Vec<Held<P>>,
    on_the_way: BinaryHeap<Reverse<Scheduled<P>>>,
    next_ticket: u64,
    tally: Tally,
}

/// A packet that came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival<P> {
    /// When it came out.
    pub at: Time,
    /// The packet, as it went in.
    pub packet: P,
    /// What happened to its bits: to be applied by whoever knows them.
    pub damage: Option<Damage>,
    /// What was written into its ECN bits: the same.
    pub ecn: Option<Rewritten>,
}

/// One stream of random numbers per knob: turning one leaves what the others do alone.
#[derive(Debug)]
struct Dice {
    loss: Random,
    burst: Random,
    jitter: Random,
    reorder: Random,
    duplicate: Random,
    corrupt: Random,
}

/// A packet that waits to be overtaken.
#[derive(Debug)]
struct Held<P> {
    arrival: Arrival<P>,
    overtakers: u32,
    patience: Time,
}

#[derive(Debug)]
struct Scheduled<P> {
    /// Packets due at the same time come out in the order of their tickets.
    due: (Time, u64),
    arrival: Arrival<P>,
}

impl<P: Clone> Link<P> {
    /// A link that does what `impairment` says, with choices from `seed`.
    #[must_use]
    pub fn new(impairment: Impairment, seed: u64) -> Self {
        let stream = |knob| Random::stream(seed, knob);
        Link {
            dice: Dice {
                loss: stream(1),
                burst: stream(2),
                jitter: stream(3),
                reorder: stream(4),
                duplicate: stream(5),
                corrupt: stream(6),
            },
            matched: vec![0; impairment.drops.len()],
            impairment,
            in_burst: false,
            busy_until: Time::ZERO,
            largest_queue: 0,
            last_out: Time::ZERO,
            held: Vec::new(),
            on_the_way: BinaryHeap::new(),
            next_ticket: 0,
            tally: Tally::default(),
        }
    }

    /// Takes a packet of `bytes` bytes, and tells what becomes of it. `kind` is what `drop=` goes by.
    pub fn handle(&mut self, now: Time, kind: &str, bytes: usize, packet: P) -> Fate {
        self.take(now, kind, bytes, packet, false)
    }

    /// The same for a packet that says it may be marked (ECT, RFC 3168 section 5): see `ecn=`.
    pub fn handle_markable(&mut self, now: Time, kind: &str, bytes: usize, packet: P) -> Fate {
        self.take(now, kind, bytes, packet, true)
    }

    /// The next packet that is due by `now`.
    #[must_use]
    pub fn poll(&mut self, now: Time) -> Option<Arrival<P>> {
        self.release(now);
        if self.on_the_way.peek().is_none_or(|Reverse(first)| first.due.0 > now) {
            return None;
        }
        self.on_the_way.pop().map(|Reverse(first)| Arrival { at: first.due.0, ..first.arrival })
    }

    /// When to poll next; none while nothing is on its way.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let scheduled = self.on_the_way.peek().map(|Reverse(first)| first.due.0);
        self.held.iter().map(|held| held.patience).chain(scheduled).min()
    }

    /// What became of all packets so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The most bytes that have waited before the bottleneck at once, the packet that is being sent included; zero where
    /// there is no bottleneck.
    #[must_use]
    pub fn largest_queue(&self) -> u64 {
        self.largest_queue
    }

    /// What the link does.
    #[must_use]
    pub fn impairment(&self) -> &Impairment {
        &self.impairment
    }

    fn take(&mut self, now: Time, kind: &str, bytes: usize, packet: P, is_markable: bool) -> Fate {
        let fate = self.pass(now, kind, bytes as u64, packet, is_markable);
        self.tally.count(fate);
        fate
    }

    fn pass(&mut self, now: Time, kind: &str, bytes: u64, packet: P, is_markable: bool) -> Fate {
        self.release(now);
        if let Some(cause) = self.lose(now, kind) {
            return Fate::Lost(cause);
        }
        let ecn = self.impairment.ecn.filter(|_| is_markable).and_then(|marking| self.rewrite(now, marking));
        let Some(sent) = self.squeeze(now, bytes) else { return Fate::Lost(Cause::Queue) };

        let damage = chance(&mut self.dice.corrupt, self.impairment.corrupt)
            .then(|| Damage { seed: self.dice.corrupt.number() });
        let duplicated = chance(&mut self.dice.duplicate, self.impairment.duplicate);
        let arrival = Arrival { at: sent + self.impairment.delay + self.jitter(), packet, damage, ecn };
        let reorder =
            self.impairment.reorder.filter(|reorder| chance(&mut self.dice.reorder, reorder.chance) && !duplicated);

        let fate = Fate::Passed {
            duplicated,
            corrupted: damage.is_some(),
            reordered: reorder.is_some(),
            marked: ecn == Some(Rewritten::Marked),
        };
        match reorder {
            Some(Reorder { distance, .. }) => {
                let patience = arrival.at + Reorder::PATIENCE;
                self.held.push(Held { arrival, overtakers: distance, patience });
            }
            None => {
                let at = arrival.at.max(self.last_out);
                self.last_out = at;
                let copy = duplicated.then(|| arrival.clone());
                self.schedule(at, arrival);
                if let Some(copy) = copy {
                    self.schedule(at, copy);
                }
                self.overtake(at);
            }
        }
        fate
    }

    /// Why the packet is lost before it even reaches the bottleneck, if it is.
    fn lose(&mut self, now: Time, kind: &str) -> Option<Cause> {
        let mut exact = false;
        for (rule, matched) in self.impairment.drops.iter().zip(&mut self.matched) {
            if rule.kind == kind {
                exact |= *matched == rule.ordinal;
                *matched += 1;
            }
        }
        // Every die is thrown for every packet, so that one loss does not shift the choices after it.
        let by_burst = self.impairment.burst.is_some_and(|burst| {
            let ends_or_begins = self.dice.burst.below(1_000_000 * u64::from(burst.length.max(1)));
            self.in_burst = if self.in_burst {
                ends_or_begins >= 1_000_000
            } else {
                burst.begin.happens_at(ends_or_begins / u64::from(burst.length.max(1)))
            };
            self.in_burst
        });
        let by_chance = chance(&mut self.dice.loss, self.impairment.loss);
        if exact {
            Some(Cause::Exact)
        } else if self.impairment.blackouts.iter().any(|blackout| blackout.covers(now)) {
            Some(Cause::Blackout)
        } else if by_burst {
            Some(Cause::Burst)
        } else {
            by_chance.then_some(Cause::Chance)
        }
    }

    /// When the packet has left the bottleneck; none when the queue before it was full.
    fn squeeze(&mut self, now: Time, bytes: u64) -> Option<Time> {
        let rate = self.impairment.rate;
        if rate == 0 {
            return Some(now);
        }
        let waiting = self.waiting(now).saturating_add(bytes);
        if waiting > self.impairment.queue_limit() {
            return None;
        }
        self.largest_queue = self.largest_queue.max(waiting);
        let takes = u128::from(bytes) * 8_000_000_000 / u128::from(rate);
        self.busy_until = self.busy_until.max(now) + Duration::from_nanos(u64::try_from(takes).unwrap_or(u64::MAX));
        Some(self.busy_until)
    }

    /// How many bytes wait before the bottleneck.
    fn waiting(&self, now: Time) -> u64 {
        let bytes = (self.busy_until - now).as_nanos() * u128::from(self.impairment.rate) / 8_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// What is written into the ECN bits of a packet that comes to the queue now.
    fn rewrite(&self, now: Time, marking: Marking) -> Option<Rewritten> {
        match marking {
            Marking::From(bytes) => (self.waiting(now) >= bytes).then_some(Rewritten::Marked),
            Marking::All => Some(Rewritten::Marked),
            Marking::Clear => Some(Rewritten::Cleared),
        }
    }

    fn jitter(&mut self) -> Duration {
        let most = u64::try_from(self.impairment.jitter.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.dice.jitter.below(most.saturating_add(1)))
    }

    fn schedule(&mut self, at: Time, arrival: Arrival<P>) {
        self.on_the_way.push(Reverse(Scheduled { due: (at, self.next_ticket), arrival }));
        self.next_ticket += 1;
    }

    /// A packet comes out at `at`: the ones held back have been overtaken once more.
    fn overtake(&mut self, at: Time) {
        for held in &mut self.held {
            held.overtakers -= 1;
        }
        for held in self.held.extract_if(.., |held| held.overtakers == 0).collect::<Vec<_>>() {
            self.schedule(at.max(held.arrival.at), held.arrival);
        }
    }

    /// Lets go of the packets nobody came to overtake.
    fn release(&mut self, now: Time) {
        if self.held.iter().any(|held| held.patience <= now) {
            for held in self.held.extract_if(.., |held| held.patience <= now).collect::<Vec<_>>() {
                self.schedule(held.patience, held.arrival);
            }
        }
    }
}

fn chance(dice: &mut Random, chance: crate::Chance) -> bool {
    chance.happens_at(dice.below(1_000_000))
}

impl<P> PartialEq for Scheduled<P> {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl<P> Eq for Scheduled<P> {}

impl<P> PartialOrd for Scheduled<P> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> Ord for Scheduled<P> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(n: u64) -> Time {
        Time::from_nanos(n * 1_000_000)
    }

    fn link(impairment: &str, seed: u64) -> Link<u64> {
        Link::new(impairment.parse().unwrap(), seed)
    }

    /// Hands in `packets` packets of 1000 bytes, one each `spacing` ms; gives what comes out, with the time in ms.
    fn run(link: &mut Link<u64>, packets: u64, spacing: u64) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        let mut take = |link: &mut Link<u64>, until: Time| {
            while let Some(due) = link.poll_timeout().filter(|&due| due <= until) {
                while let Some(arrival) = link.poll(due) {
                    out.push((arrival.at.as_nanos() / 1_000_000, arrival.packet));
                }
            }
        };
        for packet in 0..packets {
            take(link, millis(packet * spacing));
            let _ = link.handle(millis(packet * spacing), "block", 1_000, packet);
        }
        take(link, Time::MAX);
        out
    }

    #[test]
    fn a_clean_link_passes_everything_at_once_and_in_order() {
        let out = run(&mut link("none", 1), 5, 1);
        assert_eq!(out, [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]);
    }

    #[test]
    fn the_same_seed_gives_the_same_run_and_another_seed_another() {
        let all = "loss=5%,burst=1%:4,delay=20ms,jitter=9ms,reorder=5%,duplicate=5%,corrupt=5%,rate=10mbit";
        assert_eq!(run(&mut link(all, 7), 1_000, 1), run(&mut link(all, 7), 1_000, 1));
        assert_ne!(run(&mut link(all, 7), 1_000, 1), run(&mut link(all, 8), 1_000, 1));
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_does_not() {
        let jittery = run(&mut link("delay=5ms,jitter=50ms", 3), 500, 1);
        assert!(jittery.is_sorted(), "in time and in order");
        let mut reordering = link("reorder=10%", 3);
        let out = run(&mut reordering, 500, 1);
        assert!(!out.iter().map(|&(_, packet)| packet).is_sorted());
        assert_eq!(out.len(), 500, "late, not lost");
        assert!((30..70).contains(&reordering.tally().reordered), "{:?}", reordering.tally());
    }

    #[test]
    fn a_reordered_packet_is_overtaken_by_as_many_as_it_says() {
        let mut first_held = link("reorder=100%:2", 1);
        let _ = first_held.handle(millis(0), "block", 1, 0);
        first_held.impairment.reorder = None;
        let _ = first_held.handle(millis(1), "block", 1, 1);
        let _ = first_held.handle(millis(2), "block", 1, 2);
        let out: Vec<u64> = std::iter::from_fn(|| first_held.poll(millis(3)).map(|arrival| arrival.packet)).collect();
        assert_eq!(out, [1, 2, 0]);
    }

    #[test]
    fn losses_come_as_often_as_asked() {
        let mut chance = link("loss=20%", 5);
        run(&mut chance, 10_000, 1);
        assert!((1_850..2_150).contains(&chance.tally().chance), "{:?}", chance.tally());

        let mut burst = link("burst=1%:8", 5);
        let out = run(&mut burst, 20_000, 1);
        let gaps = out.windows(2).filter(|pair| pair[1].1 != pair[0].1 + 1).count() as u64;
        let mean = burst.tally().burst as f64 / gaps as f64;
        assert!((6.5..9.5).contains(&mean), "mean burst of {mean} packets");
    }

    #[test]
    fn exact_drops_go_by_kind_and_ordinal() {
        let mut link = link("drop=block:1,drop=report:0", 1);
        let mut fate = |kind| link.handle(millis(0), kind, 1, 0);
        assert!(fate("block").arrives());
        assert_eq!(fate("report"), Fate::Lost(Cause::Exact));
        assert!(fate("report").arrives());
        assert_eq!(fate("block"), Fate::Lost(Cause::Exact));
        assert!(fate("block").arrives());
        assert_eq!(link.tally().lost(), 2);
    }

    #[test]
    fn a_bottleneck_spaces_packets_and_its_full_queue_drops_them() {
        // 8 Mbit/s is 1000 bytes a millisecond; three packets may wait.
        let mut link = link("rate=8mbit,queue=3kB", 1);
        let fates: Vec<Fate> = (0..5).map(|packet| link.handle(millis(0), "block", 1_000, packet)).collect();
        assert_eq!(fates.iter().filter(|fate| fate.arrives()).count(), 3);
        assert_eq!(fates[4], Fate::Lost(Cause::Queue));
        let out: Vec<u64> =
            std::iter::from_fn(|| link.poll(Time::MAX)).map(|arrival| arrival.at.as_nanos() / 1_000_000).collect();
        assert_eq!(out, [1, 2, 3]);
        assert_eq!(link.largest_queue(), 3_000, "what was dropped never waited");
    }

    #[test]
    fn what_may_be_marked_is_marked_where_a_queue_is_and_dropped_only_where_it_is_full() {
        // Six packets may wait, and from two on they are marked.
        let mut link = link("rate=8mbit,queue=6kB,ecn=2kB", 1);
        let fates: Vec<Fate> = (0..7).map(|packet| link.handle_markable(millis(0), "block", 1_000, packet)).collect();
        assert_eq!(fates[6], Fate::Lost(Cause::Queue));
        let marked: Vec<bool> =
            std::iter::from_fn(|| link.poll(Time::MAX)).map(|arrival| arrival.ecn == Some(Rewritten::Marked)).collect();
        assert_eq!(marked, [false, false, true, true, true, true]);
        assert_eq!((link.tally().marked, link.tally().lost()), (4, 1));
        let plain = link.handle(millis(1), "block", 1_000, 7);
        assert!(matches!(plain, Fate::Passed { marked: false, .. }), "it did not ask to be marked: {plain:?}");
    }

    #[test]
    fn a_broken_path_marks_all_or_none() {
        for (how, ecn) in [("ecn=all", Rewritten::Marked), ("ecn=clear", Rewritten::Cleared)] {
            let mut link = link(how, 1);
            assert!(link.handle_markable(millis(0), "block", 1_000, 0).arrives());
            assert!(link.handle(millis(0), "report", 1_000, 1).arrives());
            let out: Vec<_> = std::iter::from_fn(|| link.poll(millis(0))).map(|arrival| arrival.ecn).collect();
            assert_eq!(out, [Some(ecn), None]);
        }
    }

    #[test]
    fn nothing_enters_a_dark_link() {
        let mut link = link("blackout=2s@5s/7s", 1);
        let dark: Vec<u64> =
            (0..21).filter(|&second| !link.handle(millis(second * 1_000), "block", 1, 0).arrives()).collect();
        assert_eq!(dark, [5, 6, 12, 13, 19, 20]);
    }

    #[test]
    fn a_duplicate_comes_right_after_its_original() {
        let out = run(&mut link("duplicate=100%", 1), 3, 1);
        assert_eq!(out.iter().map(|&(_, packet)| packet).collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2]);
    }
}
