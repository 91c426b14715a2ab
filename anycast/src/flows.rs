//! What became of connections that were kept open while routes changed: who had each, how it broke, who has its flow
//! now. Pure bookkeeping.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How a kept connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// A reset came: whoever got the segment knows no such connection.
    Reset,
    /// It was closed in order: the replica said goodbye.
    Closed,
    /// No answer came in time.
    Silent,
}

/// One broken connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The replica that had it.
    pub was: String,
    /// How it broke.
    pub how: How,
    /// How long it had lived.
    pub after: Duration,
    /// Who answers the same flow now: a new connection from the same port; `None` when nobody does.
    pub now: Option<String>,
}

/// All kept connections.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    held: BTreeMap<String, u64>,
    breaks: Vec<Break>,
    alive: BTreeSet<String>,
    unconnected: u64,
    answers: u64,
}

impl Flows {
    /// A connection was made, and this replica has it.
    pub fn held(&mut self, replica: &str) {
        *self.held.entry(replica.to_owned()).or_default() += 1;
    }

    /// A connection could not even be made.
    pub fn unconnected(&mut self) {
        self.unconnected += 1;
    }

    /// A replica answered on a kept connection.
    pub fn answered(&mut self) {
        self.answers += 1;
    }

    /// A connection broke.
    pub fn broke(&mut self, one: Break) {
        self.breaks.push(one);
    }

    /// A connection was still with this replica at the end.
    pub fn survived(&mut self, replica: &str) {
        self.alive.insert(replica.to_owned());
    }

    /// How many connections were made at first.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.held.values().sum()
    }

    /// How many could not be made at all.
    #[must_use]
    pub fn never_made(&self) -> u64 {
        self.unconnected
    }

    /// How many answers came on them.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// Every break.
    #[must_use]
    pub fn breaks(&self) -> &[Break] {
        &self.breaks
    }

    /// For each replica: how many connections it had at first, and how many of its connections broke in which way.
    #[must_use]
    pub fn by_replica(&self) -> BTreeMap<&str, (u64, BTreeMap<How, u64>)> {
        let mut rows: BTreeMap<&str, (u64, BTreeMap<How, u64>)> =
            self.held.iter().map(|(name, held)| (name.as_str(), (*held, BTreeMap::new()))).collect();
        for one in &self.breaks {
            *rows.entry(&one.was).or_default().1.entry(one.how).or_default() += 1;
        }
        rows
    }

    /// How many connections broke although the replica that had them is still there: it was the route that moved.
    #[must_use]
    pub fn needlessly(&self) -> u64 {
        self.breaks.iter().filter(|one| one.how != How::Closed && self.alive.contains(&one.was)).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_are_told_apart_by_how_and_by_whether_the_replica_is_still_there() {
        let mut flows = Flows::default();
        for replica in ["a", "a", "b", "b", "c"] {
            flows.held(replica);
        }
        let broke = |was: &str, how, now: Option<&str>| Break {
            was: was.into(),
            how,
            after: Duration::from_secs(1),
            now: now.map(str::to_owned),
        };
        flows.broke(broke("a", How::Reset, Some("b"))); // a is gone
        flows.broke(broke("a", How::Closed, Some("c")));
        flows.broke(broke("b", How::Reset, Some("c"))); // b is there: needlessly
        flows.survived("b");
        flows.survived("c");
        assert_eq!((flows.count(), flows.breaks().len(), flows.needlessly()), (5, 3, 1));
        let rows = flows.by_replica();
        assert_eq!(rows["a"], (2, BTreeMap::from([(How::Reset, 1), (How::Closed, 1)])));
        assert_eq!(rows["c"], (1, BTreeMap::new()));
    }
}
