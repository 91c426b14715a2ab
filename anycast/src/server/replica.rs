//! What all connections of a replica share: its configuration, its counters, and whether it is well.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use labkit::{Session, Shutdown};

use super::Config;
use crate::answer::Answer;

/// What a replica did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Served {
    /// Greetings, goodbyes or HTTP answers given in full.
    pub greeted: u64,
    /// Connections that broke, took too long or asked nonsense before the answer was out.
    pub failed: u64,
    /// Connections turned away for want of room.
    pub refused: u64,
}

/// One replica.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) config: Config,
    pub(super) session: Session,
    /// Requested when it is over: after the draining.
    pub(super) stop: Shutdown,
    /// Asked once: the system is asked anew each time.
    process: u32,
    draining: AtomicBool,
    begun: AtomicU64,
    greeted: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
}

/// Whether a replica is well, in the words of `GET /health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Healthy,
    Draining,
    Failing,
}

impl Replica {
    pub(super) fn new(config: Config, session: Session, stop: Shutdown) -> Self {
        let zero = AtomicU64::default;
        Replica {
            config,
            session,
            stop,
            process: std::process::id(),
            draining: AtomicBool::default(),
            begun: zero(),
            greeted: zero(),
            failed: zero(),
            refused: zero(),
        }
    }

    pub(super) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn health(&self) -> Health {
        let answers = self.begun.load(Ordering::Relaxed);
        match self.config.fail_after {
            _ if self.draining.load(Ordering::Relaxed) => Health::Draining,
            Some(most) if answers >= most => Health::Failing,
            _ => Health::Healthy,
        }
    }

    /// Who answers at `address`, and which answer it is; `None` when it has answered as often as it was told to.
    pub(super) fn next_answer(&self, address: Option<SocketAddr>) -> Option<Answer> {
        let begun = self.begun.fetch_add(1, Ordering::Relaxed);
        if self.config.fail_after.is_some_and(|most| begun >= most) {
            return None;
        }
        Some(Answer { name: self.config.name.clone(), address, process: Some(self.process), count: Some(begun + 1) })
    }

    pub(super) fn count_greeted(&self) {
        self.greeted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it was the first.
    pub(super) fn count_refused(&self) -> bool {
        self.refused.fetch_add(1, Ordering::Relaxed) == 0
    }

    pub(super) fn served(&self) -> Served {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Served { greeted: read(&self.greeted), failed: read(&self.failed), refused: read(&self.refused) }
    }
}
