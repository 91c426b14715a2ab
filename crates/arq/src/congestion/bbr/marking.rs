//! What a router's marks change: as in the BBR version 3 of the Linux kernel.
//!
//! The draft leaves the answer to marks open (section 3.7), so this is Google's `tcp_bbr.c` (github.com/google/bbr, branch v3),
//! whose names are in `code`. There it is kept to round trips of a data centre, whose routers mark from a threshold on.
//! Ours is not: at a router that marks seldom instead (RFC 8289, RFC 8033) the cuts are small ones, but each round trip
//! with a mark in it brings another until the next probing. And what probing itself got marked costs nothing more, as its
//! losses do not: the queue of startup would else be paid for with the second after it.

use super::model::Round;
use super::{Bbr, Phase};

/// The share of what arrives that is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marking {
    /// The mean of late, in [`Self::WHOLE`]s (`ecn_alpha`).
    share: u64,
    /// In so many round trips of startup in a row, more than half was marked (`startup_ecn_rounds`).
    in_startup: u32,
}

impl Marking {
    const WHOLE: u64 = 1 << 16;
    /// How much of the mean is the last round trip (`ecn_alpha_gain` of a sixteenth).
    const NEWEST: u64 = 16;
    /// Which part of what is on the way is given up where everything is marked (`ecn_factor` of a third).
    const GIVEN_UP: u64 = 3;
    /// So many round trips in which more than half was marked end startup (`full_ecn_cnt`).
    const STARTUP: u32 = 2;

    /// Everything is marked, as far as anybody knows (`ecn_alpha_init`): the first mark of all is answered in full.
    pub(super) fn new() -> Self {
        Marking { share: Self::WHOLE, in_startup: 0 }
    }

    fn on_round(&mut self, last: &Round) {
        if last.arrived == 0 {
            return;
        }
        let now = u128::from(last.marked.min(last.arrived)) * u128::from(Self::WHOLE) / u128::from(last.arrived);
        let now = u64::try_from(now).unwrap_or(Self::WHOLE);
        self.share = self.share - self.share / Self::NEWEST + now / Self::NEWEST;
        self.in_startup = if is_most(last.marked, last.arrived) { self.in_startup + 1 } else { 0 };
    }

    /// What is left of `on_the_way` after a round trip with marks in it.
    fn cut(&self, on_the_way: u64) -> u64 {
        let given_up = u128::from(on_the_way) * u128::from(self.share) / u128::from(Self::GIVEN_UP * Self::WHOLE);
        on_the_way.saturating_sub(u64::try_from(given_up).unwrap_or(u64::MAX))
    }
}

/// Whether more than half was marked (`ecn_thresh`): whoever probes has gone too far.
pub(super) fn is_most(marked: u64, arrived: u64) -> bool {
    marked > arrived / 2
}

impl Bbr {
    /// A round trip has ended: what its marks mean for the next ones.
    pub(super) fn heed_marks(&mut self) {
        let last = *self.model.last();
        self.marking.on_round(&last);
        if last.marked == 0 {
            return;
        }
        match self.phase {
            Phase::Startup if self.marking.in_startup >= Marking::STARTUP => self.fill_up(),
            // What was sent while probing, or in startup, is paid for by the end of it: see `on_round`.
            Phase::Down | Phase::Cruise(_) if self.model.rounds() > self.cycle.round + 2 => {
                self.less = self.marking.cut(self.less.min(self.target())).max(self.smallest());
            }
            // While probing, the sample says whether it is too much; in a crowd, what the crowd does is done.
            Phase::Startup
            | Phase::Drain
            | Phase::Down
            | Phase::Cruise(_)
            | Phase::Refill(_)
            | Phase::Up(_)
            | Phase::Crowd
            | Phase::Empty(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(marked: u64, arrived: u64) -> Round {
        Round { marked, arrived, ..Round::NONE }
    }

    #[test]
    fn the_first_mark_costs_a_third_and_seldom_ones_little() {
        let mut marking = Marking::new();
        assert_eq!(marking.cut(300_000), 200_000);
        for _ in 0..200 {
            marking.on_round(&round(1_000, 100_000));
        }
        assert!((298_900..299_100).contains(&marking.cut(300_000)), "{}", marking.cut(300_000));
        for _ in 0..200 {
            marking.on_round(&round(100_000, 100_000));
        }
        assert!((200_000..200_500).contains(&marking.cut(300_000)), "{}", marking.cut(300_000));
    }

    #[test]
    fn any_counts_leave_a_share() {
        let mut marking = Marking::new();
        for last in [round(9, 0), round(u64::MAX, 1), round(u64::MAX, u64::MAX), round(0, u64::MAX)] {
            marking.on_round(&last);
            assert!(marking.share <= Marking::WHOLE && marking.cut(u64::MAX) > 0, "{marking:?}");
        }
    }
}
