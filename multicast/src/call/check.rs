//! Finds, in recorded events, what an order does not allow: judged from what was said and handed out, never from what
//! the machines believe.
//!
//! The promises are those of the textbooks (Hadzilacos and Toueg 1994; Cachin, Guerraoui and Rodrigues 2011, chapter 3):
//!
//! | promise | every order has it from | what it forbids |
//! |---|---|---|
//! | no duplicates | none | a message handed out twice by one process |
//! | no creation | none | a message handed out that nobody said, or not yet, or that is longer or shorter than what was said |
//! | agreement | none | a message one process handed out and another, that was there to the end, did not |
//! | FIFO | fifo | a message handed out before an earlier one of the same speaker |
//! | causal | causal | a message handed out before one that its speaker had seen when saying it |
//! | total | total | two messages that two processes handed out in different orders |

mod history;
mod report;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use events::{Event, Outcome, Record};

use super::{HUB, Order};
use history::{Process, Step};

pub use report::{Promise, Report, Violation};

/// How many steps are kept: some 100 MB. More would not be a log of this lab.
const STEPS: usize = 4_000_000;

/// Which message: who said it, and which one of all that it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// Who, by the number the hub gave it; the hub itself is 0.
    pub origin: u64,
    /// Which.
    pub seq: u64,
}

/// Reads records, then judges them.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    processes: Vec<Process>,
    /// The process that the records of a node of a log belong to now.
    current: BTreeMap<(usize, String), usize>,
    /// Where each message stands among all.
    positions: BTreeMap<MessageId, u64>,
    /// When each member came, and who went.
    came: BTreeMap<u64, u64>,
    went: BTreeSet<u64>,
    names: BTreeMap<u64, String>,
    claimed: BTreeSet<Order>,
    steps: usize,
}

/// There is more than can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {STEPS} messages said and handed out")]
pub struct TooMuch;

impl Checker {
    /// One that has read nothing.
    #[must_use]
    pub fn new() -> Self {
        Checker::default()
    }

    /// Reads the next record of log number `log`. Records of other things are passed over.
    ///
    /// # Errors
    /// When there is more than can be kept.
    pub fn read(&mut self, log: usize, record: &Record) -> Result<(), TooMuch> {
        let node = (log, record.node.clone());
        match (&record.event, record.flow) {
            (Event::Started { role, .. }, _) if role == "group-server" => self.begin(node, u64::from(HUB)),
            (Event::Connected { .. }, Some(member)) => self.begin(node, member),
            (Event::Phase { name }, _) => {
                let order = name.strip_prefix("order ").and_then(|order| order.parse::<Order>().ok());
                self.claimed.extend(order);
            }
            (Event::Sent { what, number: Some(seq), bytes, .. }, Some(origin)) if is_said(what) => {
                self.step(node, Step::Said { message: MessageId { origin, seq: *seq }, bytes: *bytes })?;
            }
            (Event::Delivered { peer, what, number, bytes, position, about }, Some(origin)) => {
                let message = MessageId { origin, seq: *number };
                self.positions.extend(position.map(|position| (message, position)));
                self.notice(what, peer, origin, *position, *about);
                self.step(node, Step::HandedOut { message, bytes: *bytes })?;
            }
            (Event::Finished { outcome, .. }, _) => {
                if let Some(process) = self.current.get(&node).and_then(|&index| self.processes.get_mut(index)) {
                    process.stayed = *outcome == Outcome::Complete;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The orders the logs say they were made in.
    #[must_use]
    pub fn claimed(&self) -> &BTreeSet<Order> {
        &self.claimed
    }

    /// Judges what was read by `order`.
    #[must_use]
    pub fn judge(&self, order: Order) -> Report {
        let mut report = Report::new(order, &self.processes, &self.names);
        rules::no_duplicates(&self.processes, &mut report);
        rules::no_creation(&self.processes, &mut report);
        self.agreement(&mut report);
        if order >= Order::Fifo {
            rules::fifo(&self.processes, &mut report);
        }
        if order >= Order::Causal {
            rules::causal(&self.processes, &mut report);
        }
        if order >= Order::Total {
            rules::total(&self.processes, &mut report);
        }
        report
    }

    fn begin(&mut self, node: (usize, String), member: u64) {
        self.names.entry(member).or_insert_with(|| node.1.clone());
        self.current.insert(node, self.processes.len());
        self.processes.push(Process { member, ..Process::default() });
    }

    fn step(&mut self, node: (usize, String), step: Step) -> Result<(), TooMuch> {
        self.steps += 1;
        if self.steps > STEPS {
            return Err(TooMuch);
        }
        if let Some(process) = self.current.get(&node).and_then(|&index| self.processes.get_mut(index)) {
            process.steps.push(step);
        }
        Ok(())
    }

    fn notice(&mut self, what: &str, peer: &str, origin: u64, position: Option<u64>, about: Option<u64>) {
        let named = about.unwrap_or(origin);
        if named != u64::from(HUB) {
            self.names.entry(named).or_insert_with(|| peer.to_owned());
        }
        match (what, about) {
            ("join", Some(member)) => self.came.extend(position.map(|position| (member, position))),
            ("leave", Some(member)) => drop(self.went.insert(member)),
            _ => {}
        }
    }

    /// Whoever stayed to the end has everything that anybody handed out since it came.
    fn agreement(&self, report: &mut Report) {
        let all: BTreeSet<MessageId> = self.processes.iter().flat_map(Process::handed_out).collect();
        for process in &self.processes {
            let since =
                if process.member == u64::from(HUB) { Some(0) } else { self.came.get(&process.member).copied() };
            let (true, false, Some(since)) = (process.stayed, self.went.contains(&process.member), since) else {
                report.unjudged(process.member);
                continue;
            };
            let here: BTreeSet<MessageId> = process.handed_out().collect();
            let meant = |message: &&MessageId| self.positions.get(message).is_some_and(|&position| position >= since);
            for message in all.difference(&here).filter(meant) {
                report.add(Promise::Agreement, process.member, *message, None);
            }
        }
    }
}

/// What a process says to its group.
fn is_said(what: &str) -> bool {
    ["cast", "join", "leave"].contains(&what)
}

#[cfg(test)]
mod tests;
