//! Happy Eyeballs version 2 (RFC 8305): several candidates are connected to at once, each a little after the last, and
//! the first that answers wins. A pure machine: it says when to start which attempt; the edge makes them.
//!
//! What is not here: the waits between the answers for IPv6 and IPv4 (section 3), because the system's resolver gives
//! both at once, already sorted by RFC 6724 (section 4).

use std::net::SocketAddr;
use std::time::Duration;

use events::Time;

/// How long one attempt may go on alone before the next begins: the Connection Attempt Delay (RFC 8305 section 8).
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The order in which to start attempts, by number: families take turns, beginning with that of the first address (RFC
/// 8305 section 4, with a First Address Family Count of 1).
#[must_use]
pub fn interleaved(candidates: &[SocketAddr]) -> Vec<usize> {
    let first_is_v6 = candidates.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<usize>, Vec<usize>) =
        (0..candidates.len()).partition(|&index| candidates.get(index).is_some_and(|a| a.is_ipv6() == first_is_v6));
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order = Vec::with_capacity(candidates.len());
    loop {
        let pair = (first.next(), second.next());
        if pair == (None, None) {
            return order;
        }
        order.extend([pair.0, pair.1].into_iter().flatten());
    }
}

/// One race. Drive it: after every `handle_*` and at [`Race::poll_timeout`], start what [`Race::poll_start`] gives until
/// it gives `None`.
#[derive(Clone, Debug)]
pub struct Race {
    waiting: std::collections::VecDeque<usize>,
    running: Vec<usize>,
    next_start: Time,
    winner: Option<usize>,
    delay: Duration,
}

impl Race {
    /// A race among these candidates, started in this order, each `delay` after the one before.
    #[must_use]
    pub fn new(order: Vec<usize>, delay: Duration, now: Time) -> Self {
        Race { waiting: order.into(), running: Vec::new(), next_start: now, winner: None, delay }
    }

    /// The candidate to connect to now, if one is due.
    pub fn poll_start(&mut self, now: Time) -> Option<usize> {
        if self.winner.is_some() || now < self.next_start {
            return None;
        }
        let candidate = self.waiting.pop_front()?;
        self.running.push(candidate);
        self.next_start = now + self.delay;
        Some(candidate)
    }

    /// When to look again, unless an attempt ends before; `None`: there is nothing more to start.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        (self.winner.is_none() && !self.waiting.is_empty()).then_some(self.next_start)
    }

    /// An attempt failed: the next one need not wait (RFC 8305 section 5).
    pub fn handle_failed(&mut self, candidate: usize, now: Time) {
        self.running.retain(|&one| one != candidate);
        self.next_start = self.next_start.min(now);
    }

    /// An attempt succeeded. Whether it is the first: then all the others are to be given up, and nothing more starts.
    pub fn handle_connected(&mut self, candidate: usize) -> bool {
        self.running.retain(|&one| one != candidate);
        self.winner.is_none() && {
            self.winner = Some(candidate);
            true
        }
    }

    /// Whether nobody won and nobody can any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.winner.is_none() && self.waiting.is_empty() && self.running.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How an attempt ends, counted from its start; `None`: never.
    type End = Option<(Duration, bool)>;

    /// A candidate, and when something happened to it.
    type At = (usize, Duration);

    /// Plays a race in virtual time: who wins when, and when each attempt began.
    fn play(ends: &[End]) -> (Option<At>, Vec<At>) {
        let (mut now, mut starts) = (Time::ZERO, Vec::new());
        let mut race = Race::new((0..ends.len()).collect(), ATTEMPT_DELAY, now);
        let mut due: Vec<(Time, usize, bool)> = Vec::new();
        loop {
            while let Some(candidate) = race.poll_start(now) {
                starts.push((candidate, now - Time::ZERO));
                due.extend(ends[candidate].map(|(after, wins)| (now + after, candidate, wins)));
            }
            due.sort();
            let first_end = due.first().map(|(at, ..)| *at);
            let Some(next) = first_end.into_iter().chain(race.poll_timeout()).min() else { return (None, starts) };
            now = next;
            if first_end != Some(now) {
                continue;
            }
            let (_, candidate, wins) = due.remove(0);
            match wins {
                true if race.handle_connected(candidate) => return (Some((candidate, now - Time::ZERO)), starts),
                true => {}
                false => race.handle_failed(candidate, now),
            }
        }
    }

    #[test]
    fn families_take_turns_beginning_with_the_first() {
        let six = |n: u16| SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, n], 80));
        let four = |n: u8| SocketAddr::from(([192, 0, 2, n], 80));
        let given = [six(1), six(2), six(3), four(1), four(2)];
        assert_eq!(interleaved(&given), [0, 3, 1, 4, 2]);
        assert_eq!(interleaved(&[four(1), four(2), six(1)]), [0, 2, 1]);
        assert!(interleaved(&[]).is_empty());
    }

    #[test]
    fn a_quick_first_candidate_is_the_only_one_asked() {
        let (winner, starts) = play(&[Some((20 * MS, true)), Some((MS, true))]);
        assert_eq!(winner, Some((0, 20 * MS)));
        assert_eq!(starts, [(0, Duration::ZERO)]);
    }

    #[test]
    fn a_silent_first_candidate_costs_a_quarter_second() {
        // IPv6 that leads nowhere: the user waits 250 ms and the connect time of IPv4, not the minutes of TCP.
        let (winner, starts) = play(&[None, Some((20 * MS, true))]);
        assert_eq!(winner, Some((1, 270 * MS)));
        assert_eq!(starts, [(0, Duration::ZERO), (1, 250 * MS)]);
    }

    #[test]
    fn a_refusal_starts_the_next_at_once() {
        let (winner, _) = play(&[Some((MS, false)), Some((MS, false)), Some((5 * MS, true))]);
        assert_eq!(winner, Some((2, 7 * MS)));
    }

    #[test]
    fn a_slow_first_candidate_may_still_win() {
        let (winner, starts) = play(&[Some((260 * MS, true)), Some((100 * MS, true))]);
        assert_eq!((winner, starts.len()), (Some((0, 260 * MS)), 2));
    }

    #[test]
    fn all_failed_is_lost() {
        assert_eq!(play(&[Some((MS, false)), Some((MS, false))]).0, None);
        let mut race = Race::new(vec![], ATTEMPT_DELAY, Time::ZERO);
        assert!(race.is_lost() && race.poll_start(Time::ZERO).is_none() && race.poll_timeout().is_none());
    }

    proptest! {
        #[test]
        fn somebody_wins_whenever_anybody_would_answer(ends in proptest::collection::vec(
            proptest::option::of((0_u32..2_000, any::<bool>())), 0..12)) {
            let ends: Vec<End> = ends.into_iter().map(|end| end.map(|(ms, wins)| (ms * MS, wins))).collect();
            let (winner, starts) = play(&ends);
            prop_assert_eq!(winner.is_some(), ends.iter().flatten().any(|(_, wins)| *wins));
            // Never two starts closer than the delay, unless one failed in between; none twice.
            let mut seen: Vec<usize> = starts.iter().map(|(candidate, _)| *candidate).collect();
            seen.dedup();
            prop_assert_eq!(seen.len(), starts.len());
            if ends.iter().flatten().all(|(_, wins)| *wins) {
                prop_assert!(starts.windows(2).all(|pair| pair[1].1 - pair[0].1 >= ATTEMPT_DELAY));
            }
        }
    }
}
