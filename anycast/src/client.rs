//! Asks one of several replicas: resolves every target, tries the candidates in the chosen order, tallies the answers.

mod asking;
mod config;
mod connecting;
pub mod holding;
mod patience;
mod resolving;
mod talking;

use std::time::Duration;

use events::{Event, Outcome, Time};
use labkit::{Exit, Failure, Session};

pub(crate) use asking::shown as shown_change;
pub use config::{Config, Protocol};
pub use resolving::{Preferred, Resolved};

use crate::chooser::Pick;
use crate::tally::Tally;
use crate::watch::Watcher;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The targets and their addresses.
    pub resolved: Vec<Resolved>,
    /// Who answered.
    pub tally: Tally,
    /// What changed on the way.
    pub watcher: Watcher,
    /// When it began.
    pub started: Time,
    /// How long it took.
    pub elapsed: Duration,
    /// How it ended.
    pub ended: Ended,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every connection was made, answered or not.
    Done,
    /// The deadline came first.
    Deadline,
    /// Somebody stopped it.
    Interrupted,
}

impl Asked {
    /// The exit code this run deserves.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match (self.ended, self.tally.answers(), self.tally.unanswered()) {
            (Ended::Interrupted, _, _) => Exit::Interrupted,
            (Ended::Deadline, _, _) => Exit::Deadline,
            (Ended::Done, 0, 1..) => Exit::NobodyAnswered,
            (Ended::Done, _, 1..) => Exit::Partial,
            (Ended::Done, _, 0) => Exit::Done,
        }
    }

    fn outcome(&self) -> Outcome {
        match (self.ended, self.tally.answers(), self.tally.unanswered()) {
            (Ended::Interrupted, _, _) => Outcome::Interrupted,
            (_, 0, _) => Outcome::Failed,
            (Ended::Done, _, 0) => Outcome::Complete,
            _ => Outcome::Partial,
        }
    }
}

/// Resolves, asks, tallies.
///
/// # Errors
/// When no target has an address, or the system gives no room for the runtimes that connections are made in.
pub async fn run(config: Config, session: &Session) -> Result<Asked, Failure> {
    session.tell_started(None, Some(config.seed));
    let started = session.clock.now();
    let resolved = resolving::resolve_all(&config, session).await?;
    let candidates = resolving::addresses(&resolved);
    tracing::info!("{} candidates, picked {}, seed {}", candidates.len(), shown(config.pick), config.seed);

    let asking = asking::Asking::new(config, &candidates, session.clone(), started);
    // A task of its own: then it runs among the workers, and what it spawns begins on the same one.
    let ended = tokio::spawn(asking.clone().ask_all())
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    let (tally, watcher) = asking.counted();
    let elapsed = session.clock.now() - started;
    let asked = Asked { resolved, tally, watcher, started, elapsed, ended };
    session
        .recorder
        .tell(|| Event::Finished { outcome: asked.outcome(), reason: asked.tally.first_failure().map(str::to_owned) });
    Ok(asked)
}

fn shown(pick: Pick) -> &'static str {
    match pick {
        Pick::Random => "at random",
        Pick::RoundRobin => "in turn",
        Pick::First => "in the resolver's order",
        Pick::Sticky => "by the hash of a key",
        Pick::Nearest => "by measured connect time",
        Pick::Race => "by a race (Happy Eyeballs)",
    }
}
