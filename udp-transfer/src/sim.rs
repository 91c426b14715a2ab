//! One transfer in virtual time: a sender and a receiver, two links, two disks in memory, and not one system call.
//!
//! ```
//! use udp_transfer::sim::Scenario;
//!
//! let scenario = Scenario { forward: "delay=5ms,loss=20%".parse()?, ..Scenario::default() };
//! let run = scenario.run();
//! assert!(run.is_whole(), "{run:?}");
//! assert_eq!(run.blocks_sent, run.blocks + run.sent_again);
//! # Ok::<(), netsim::ImpairmentError>(())
//! ```

mod contest;
mod disk;
mod line;
mod shared;
mod table;
mod world;

use std::time::Duration;

use arq::congestion::Choice;
use arq::{Ecn, Outcome, Policy, RangeSet};
use events::Record;
use netsim::{Impairment, Tally};

pub use contest::{Contest, Contestant, Course};
pub use disk::Disk;
pub use shared::{Flow, Shared, Usage};
pub use table::{Row, Table};

/// What to simulate. The same scenario always gives the same run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The mode.
    pub policy: Policy,
    /// How many blocks the file has; the last one is shorter than the others.
    pub blocks: u64,
    /// How long a block is.
    pub block: u16,
    /// The link from the sender to the receiver.
    pub forward: Impairment,
    /// The link back.
    pub backward: Impairment,
    /// How the sender finds its window.
    pub congestion: Choice,
    /// The sender's highest rate, in bits per second.
    pub rate: Option<u64>,
    /// Whether routers may mark blocks.
    pub ecn: bool,
    /// How many blocks the receiver lets be on the way.
    pub credit: u32,
    /// What the receiver holds from the start.
    pub held: RangeSet,
    /// How long the receiver's disk takes for a block.
    pub disk_takes: Duration,
    /// Where all chance comes from.
    pub seed: u64,
    /// When to give up, in virtual time.
    pub limit: Duration,
    /// Whether to keep what the machines tell.
    pub listen: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// How the transfer ended for the receiver; none when the limit came first.
    pub receiver: Option<Outcome>,
    /// How it ended for the sender.
    pub sender: Option<Outcome>,
    /// When the receiver was done, in virtual time.
    pub time: Duration,
    /// When the last block was stored.
    pub last_stored: Duration,
    /// The longest time in which no block was stored: from when, until when.
    pub longest_pause: (Duration, Duration),
    /// What the receiver holds at the end.
    pub held: RangeSet,
    /// How many blocks the file has.
    pub blocks: u64,
    /// How many datagrams with blocks were sent.
    pub blocks_sent: u64,
    /// How many of them not for the first time.
    pub sent_again: u64,
    /// What the sender found out about marks on the path, and how many blocks were marked.
    pub ecn: Ecn,
    /// See [`Run::ecn`].
    pub marked: u64,
    /// How many datagrams were sent in all, both ways.
    pub datagrams: u64,
    /// Whether the file at the receiver is the sender's file.
    pub intact: bool,
    /// How many blocks were written more than once.
    pub stored_twice: u64,
    /// What of the machines' promises was broken; empty, or the test has found something.
    pub broken: Vec<String>,
    /// What the link to the receiver did.
    pub forward: Tally,
    /// What the link back did.
    pub backward: Tally,
    /// What both ends told, if somebody listened.
    pub records: Vec<Record>,
    /// A hash over every datagram that was sent, with its time and its direction.
    pub trace: u64,
}

impl Default for Scenario {
    /// Thirty-two small blocks over a clean link of 10 ms each way.
    fn default() -> Self {
        let link = Impairment { delay: Duration::from_millis(10), ..Impairment::default() };
        Scenario {
            policy: Policy::SELECTIVE_REPEAT,
            blocks: 32,
            block: 100,
            forward: link.clone(),
            backward: link,
            congestion: Choice::default(),
            rate: None,
            ecn: true,
            credit: 1_024,
            held: RangeSet::new(),
            disk_takes: Duration::ZERO,
            seed: 1,
            limit: Duration::from_secs(600),
            listen: false,
        }
    }
}

impl Scenario {
    /// The same impairment both ways.
    #[must_use]
    pub fn over(self, link: &Impairment) -> Self {
        Scenario { forward: link.clone(), backward: link.clone(), ..self }
    }

    /// Runs it to the end.
    #[must_use]
    pub fn run(&self) -> Run {
        world::World::new(self).run()
    }
}

impl Run {
    /// Whether both ends are sure of a whole file, it is the right one, and every promise was kept.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let complete = Some(Outcome::Complete);
        // When the last words of both ends are lost, the sender may never hear that it is over: the receiver has its file
        // all the same (the problem of the two generals).
        self.receiver == complete && self.intact && self.stored_twice == 0 && self.broken.is_empty()
    }
}
