//! In which order the candidates are tried: the whole difference between anycast by name and plain DNS.
//!
//! Pure and seeded: the same seed gives the same choices.

use std::net::SocketAddr;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::nearest::Nearest;
use crate::{race, rendezvous};

/// How one of several candidates is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Pick {
    /// Any of them, each as likely as the others.
    #[default]
    Random,
    /// One after the other.
    #[value(alias = "rr")]
    RoundRobin,
    /// Always the first in the resolver's order, as most programs do (and why they stick to one replica).
    First,
    /// The one that `--key` belongs to: the same key, the same replica.
    Sticky,
    /// The one whose connections are made fastest, as measured.
    Nearest,
    /// Whichever connects first, IPv6 with a head start (Happy Eyeballs, RFC 8305).
    Race,
}

/// Gives, for each connection, the order in which to try the candidates.
#[derive(Debug)]
pub struct Chooser {
    pick: Pick,
    candidates: Vec<SocketAddr>,
    key: String,
    random: StdRng,
    nearest: Nearest,
    asked: u64,
}

impl Chooser {
    /// Chooses among `candidates`; `key` is what [`Pick::Sticky`] goes by, with `{}` for the number of the connection.
    #[must_use]
    pub fn new(pick: Pick, candidates: &[SocketAddr], seed: u64, key: &str) -> Self {
        Chooser {
            pick,
            candidates: candidates.to_vec(),
            key: key.to_owned(),
            random: StdRng::seed_from_u64(seed),
            nearest: Nearest::new(candidates.len()),
            asked: 0,
        }
    }

    /// The order for the next connection, by number: every candidate once, the picked one first, the others for when it
    /// fails.
    pub fn order(&mut self) -> Vec<usize> {
        let number = self.asked;
        self.asked += 1;
        let mut order: Vec<usize> = (0..self.candidates.len()).collect();
        match self.pick {
            Pick::Random => order.shuffle(&mut self.random),
            Pick::RoundRobin if !order.is_empty() => {
                let turn = number % order.len() as u64;
                order.rotate_left(usize::try_from(turn).unwrap_or(0));
            }
            Pick::Sticky => return rendezvous::order(&rendezvous::key_of(&self.key, number), &self.candidates),
            Pick::Nearest => return self.nearest.order(),
            Pick::Race => return race::interleaved(&self.candidates),
            Pick::RoundRobin | Pick::First => {}
        }
        order
    }

    /// The same order as addresses.
    pub fn addresses(&mut self) -> Vec<SocketAddr> {
        self.order().into_iter().filter_map(|index| self.candidates.get(index).copied()).collect()
    }

    /// How many orders it has given.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// Whom it chooses among.
    #[must_use]
    pub fn candidates(&self) -> &[SocketAddr] {
        &self.candidates
    }

    /// Connecting to this candidate took so long.
    pub fn measured(&mut self, candidate: SocketAddr, took: Duration) {
        if let Some(index) = self.index(candidate) {
            self.nearest.measured(index, took);
        }
    }

    /// This candidate could not be reached.
    pub fn failed(&mut self, candidate: SocketAddr) {
        if let Some(index) = self.index(candidate) {
            self.nearest.failed(index);
        }
    }

    /// Chooses among other candidates from now on, where they are others; what was measured is forgotten.
    pub fn replace(&mut self, candidates: &[SocketAddr]) {
        if self.candidates != candidates {
            self.nearest = Nearest::new(candidates.len());
            candidates.clone_into(&mut self.candidates);
        }
    }

    fn index(&self, candidate: SocketAddr) -> Option<usize> {
        self.candidates.iter().position(|one| *one == candidate)
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn replicas(count: usize) -> Vec<SocketAddr> {
        (1..=count).map(|n| SocketAddr::from(([127, 0, 0, 1], u16::try_from(n).unwrap()))).collect()
    }

    fn firsts(pick: Pick, candidates: usize, seed: u64, rounds: usize) -> Vec<usize> {
        let mut chooser = Chooser::new(pick, &replicas(candidates), seed, "user-{}");
        (0..rounds).map(|_| chooser.order()[0]).collect()
    }

    #[test]
    fn every_order_holds_every_candidate_once() {
        for pick in Pick::value_variants() {
            let mut chooser = Chooser::new(*pick, &replicas(5), 7, "user-{}");
            for round in 0..40 {
                let mut order = chooser.order();
                let first = chooser.candidates()[order[0]];
                chooser.measured(first, Duration::from_millis(round));
                order.sort_unstable();
                assert_eq!(order, [0, 1, 2, 3, 4], "{pick:?}");
            }
        }
    }

    #[test]
    fn round_robin_takes_turns_and_first_does_not() {
        assert_eq!(firsts(Pick::RoundRobin, 3, 0, 7), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(firsts(Pick::First, 3, 0, 4), [0; 4]);
    }

    #[test]
    fn sticky_stays_with_one_key_and_spreads_with_many() {
        let mut chooser = Chooser::new(Pick::Sticky, &replicas(5), 0, "ana");
        let first = chooser.order();
        assert!((0..20).all(|_| chooser.order() == first));
        let used: std::collections::BTreeSet<usize> = firsts(Pick::Sticky, 5, 0, 100).into_iter().collect();
        assert_eq!(used.len(), 5);
    }

    #[test]
    fn the_same_seed_gives_the_same_choices_and_another_gives_others() {
        assert_eq!(firsts(Pick::Random, 5, 42, 50), firsts(Pick::Random, 5, 42, 50));
        assert_ne!(firsts(Pick::Random, 5, 42, 50), firsts(Pick::Random, 5, 43, 50));
    }

    #[test]
    fn random_is_as_even_as_chance() {
        let draws = firsts(Pick::Random, 5, 1, 5_000);
        let counts: Vec<u64> =
            (0..5).map(|candidate| draws.iter().filter(|&&drawn| drawn == candidate).count() as u64).collect();
        let evenness = crate::evenness::of(&counts).unwrap();
        // The seed is fixed: this is no test of luck.
        assert!(evenness.p > 0.001, "{evenness:?}");
    }

    #[test]
    fn nobody_to_choose_from_gives_an_empty_order() {
        for pick in Pick::value_variants() {
            assert!(Chooser::new(*pick, &[], 0, "").order().is_empty(), "{pick:?}");
        }
    }
}
