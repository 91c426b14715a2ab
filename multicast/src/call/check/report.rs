//! What was found, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use super::history::Process;
use super::{HUB, MessageId, Order};

/// How many violations of each promise are told one by one; all are counted.
const TOLD: usize = 20;

/// What a group promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// Nothing is handed out twice.
    NoDuplicates,
    /// Nothing is handed out that nobody said.
    NoCreation,
    /// What one hands out, all do that stay.
    Agreement,
    /// Each speaker's messages in the order it said them.
    Fifo,
    /// Nothing before what its speaker had seen.
    Causal,
    /// One order for all.
    Total,
}

/// A promise broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// By which member; the hub is 0.
    pub member: u64,
    /// The message handed out wrongly, or not at all.
    pub message: MessageId,
    /// The one that should have come before it.
    pub other: Option<MessageId>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// By which order was judged.
    pub order: Order,
    /// Stays of members, and runs of the hub.
    pub processes: usize,
    /// Different messages handed out.
    pub messages: usize,
    /// Messages handed out, by all together.
    pub deliveries: usize,
    counts: BTreeMap<Promise, usize>,
    told: Vec<Violation>,
    names: BTreeMap<u64, String>,
    unjudged: BTreeSet<u64>,
    unheard: BTreeSet<u64>,
}

impl Promise {
    /// Weakest first.
    pub const ALL: [Promise; 6] = [
        Promise::NoDuplicates,
        Promise::NoCreation,
        Promise::Agreement,
        Promise::Fifo,
        Promise::Causal,
        Promise::Total,
    ];

    /// Whether `order` makes it.
    #[must_use]
    pub fn is_of(self, order: Order) -> bool {
        match self {
            Promise::NoDuplicates | Promise::NoCreation | Promise::Agreement => true,
            Promise::Fifo => order >= Order::Fifo,
            Promise::Causal => order >= Order::Causal,
            Promise::Total => order >= Order::Total,
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Promise::NoDuplicates => "no duplicates",
            Promise::NoCreation => "no creation",
            Promise::Agreement => "agreement",
            Promise::Fifo => "FIFO order",
            Promise::Causal => "causal order",
            Promise::Total => "total order",
        })
    }
}

impl Report {
    pub(super) fn new(order: Order, processes: &[Process], names: &BTreeMap<u64, String>) -> Self {
        let all = || processes.iter().flat_map(Process::handed_out);
        Report {
            order,
            processes: processes.len(),
            messages: all().collect::<BTreeSet<_>>().len(),
            deliveries: all().count(),
            counts: BTreeMap::new(),
            told: Vec::new(),
            names: names.clone(),
            unjudged: BTreeSet::new(),
            unheard: BTreeSet::new(),
        }
    }

    pub(super) fn add(&mut self, promise: Promise, member: u64, message: MessageId, other: Option<MessageId>) {
        let count = self.counts.entry(promise).or_insert(0);
        *count += 1;
        if *count <= TOLD {
            self.told.push(Violation { promise, member, message, other });
        }
    }

    /// This member did not stay to the end: it need not have everything.
    pub(super) fn unjudged(&mut self, member: u64) {
        self.unjudged.insert(member);
    }

    /// The log of this speaker is not there: what it said is not known.
    pub(super) fn unheard(&mut self, member: u64) {
        self.unheard.insert(member);
    }

    /// How often a promise was broken.
    #[must_use]
    pub fn count(&self, promise: Promise) -> usize {
        self.counts.get(&promise).copied().unwrap_or(0)
    }

    /// How often any was.
    #[must_use]
    pub fn violations(&self) -> usize {
        self.counts.values().sum()
    }

    /// The first violations of each promise.
    #[must_use]
    pub fn told(&self) -> &[Violation] {
        &self.told
    }

    /// One violation in words.
    #[must_use]
    pub fn describe(&self, violation: &Violation) -> String {
        let (who, what) = (self.name(violation.member), self.message(violation.message));
        let other = violation.other.map(|other| self.message(other));
        let promise = violation.promise;
        match (promise, other) {
            (Promise::NoDuplicates, _) => format!("{promise}: {who} saw {what} twice"),
            (Promise::NoCreation, _) => format!("{promise}: {who} saw {what}, which nobody said so"),
            (Promise::Agreement, _) => format!("{promise}: {who} never saw {what}"),
            (Promise::Fifo, Some(other)) => format!("{promise}: {who} saw {what} not right after {other}"),
            (Promise::Causal, Some(other)) => {
                format!("{promise}: {who} saw {what} before {other}, which its speaker had seen")
            }
            (Promise::Total, Some(other)) => format!("{promise}: {who} saw {what} before {other}, another after it"),
            (_, None) => format!("{promise}: {who} saw {what} in an order that fits no other"),
        }
    }

    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let promises: Vec<Value> = Promise::ALL
            .into_iter()
            .filter(|promise| promise.is_of(self.order))
            .map(|promise| json!({ "promise": promise.to_string(), "violations": self.count(promise) }))
            .collect();
        json!({
            "order": self.order.to_string(),
            "processes": self.processes,
            "messages": self.messages,
            "deliveries": self.deliveries,
            "violations": self.violations(),
            "promises": promises,
            "told": self.told.iter().map(|violation| self.describe(violation)).collect::<Vec<_>>(),
            "agreement_not_judged": self.names_of(&self.unjudged),
            "creation_not_judged": self.names_of(&self.unheard),
        })
    }

    fn name(&self, member: u64) -> String {
        match self.names.get(&member) {
            _ if member == u64::from(HUB) => "the server".to_owned(),
            Some(name) => format!("Client {}", labkit::text::show(name.as_bytes(), 40)),
            None => format!("member {member}"),
        }
    }

    fn message(&self, message: MessageId) -> String {
        format!("message {} of {}", message.seq, self.name(message.origin))
    }

    fn names_of(&self, members: &BTreeSet<u64>) -> Vec<String> {
        members.iter().map(|member| self.name(*member)).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.told {
            writeln!(f, "{}", self.describe(violation))?;
        }
        for promise in Promise::ALL.into_iter().filter(|promise| self.count(*promise) > TOLD) {
            writeln!(f, "{promise}: {} violations in all", self.count(promise))?;
        }
        if !self.unjudged.is_empty() {
            let names = self.names_of(&self.unjudged).join(", ");
            writeln!(f, "Not there to the end, so agreement was not asked of: {names}")?;
        }
        if !self.unheard.is_empty() {
            let names = self.names_of(&self.unheard).join(", ");
            writeln!(f, "Without a log, so what these said is not known: {names}")?;
        }
        let (messages, processes) = (self.messages, self.processes);
        write!(f, "Verdict: {messages} messages seen by {processes} processes, order {}: ", self.order)?;
        match self.violations() {
            0 => {
                let kept: Vec<String> =
                    Promise::ALL.iter().filter(|p| p.is_of(self.order)).map(ToString::to_string).collect();
                write!(f, "no violation ({})", kept.join(", "))
            }
            1 => write!(f, "1 violation"),
            many => write!(f, "{many} violations"),
        }
    }
}
