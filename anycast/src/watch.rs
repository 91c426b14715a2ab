//! Who answers now, and what it cost to get there: changes of the replica and gaps without an answer. Pure.

use std::time::Duration;

use events::Time;

/// One answer, as the watcher remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which replica.
    pub replica: String,
    /// When its answer was there.
    pub at: Time,
}

/// Another replica answers, or the same one after failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The last answer before.
    pub last: Seen,
    /// The first answer after.
    pub first: Seen,
    /// How many attempts failed in between.
    pub failed: u64,
}

impl Change {
    /// From the last answer of the old to the first of the new.
    #[must_use]
    pub fn gap(&self) -> Duration {
        self.first.at - self.last.at
    }

    /// Whether another replica answers now, and not the same one again.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.last.replica != self.first.replica
    }
}

/// Remembers the last answer, and sums up.
#[derive(Clone, Debug, Default)]
pub struct Watcher {
    last: Option<Seen>,
    failed_since: u64,
    moves: u64,
    outages: u64,
    failed: u64,
    longest: Option<Change>,
}

impl Watcher {
    /// A replica answered now: the change this makes, if it makes one.
    pub fn answered(&mut self, replica: &str, now: Time) -> Option<Change> {
        let first = Seen { replica: replica.to_owned(), at: now };
        let failed = std::mem::take(&mut self.failed_since);
        let last = self.last.replace(first.clone())?;
        let change = Change { last, first, failed };
        if !change.has_moved() && failed == 0 {
            return None;
        }
        self.moves += u64::from(change.has_moved());
        self.outages += u64::from(failed > 0);
        if self.longest.as_ref().is_none_or(|longest| change.gap() > longest.gap()) {
            self.longest = Some(change.clone());
        }
        Some(change)
    }

    /// An attempt failed.
    pub fn failed(&mut self) {
        self.failed_since += 1;
        self.failed += 1;
    }

    /// The last answer so far.
    #[must_use]
    pub fn last(&self) -> Option<&Seen> {
        self.last.as_ref()
    }

    /// How often another replica answered than the time before.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// How often attempts failed before an answer came again.
    #[must_use]
    pub fn outages(&self) -> u64 {
        self.outages
    }

    /// How many attempts failed in all.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed
    }

    /// The change with the longest gap.
    #[must_use]
    pub fn longest(&self) -> Option<&Change> {
        self.longest.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn the_same_replica_again_and_again_is_no_news() {
        let mut watcher = Watcher::default();
        assert!((0..10).all(|n| watcher.answered("a", at(n)).is_none()));
        assert_eq!((watcher.moves(), watcher.outages()), (0, 0));
    }

    #[test]
    fn a_failover_tells_last_first_failures_and_gap() {
        let mut watcher = Watcher::default();
        watcher.answered("a", at(0));
        watcher.answered("a", at(100));
        watcher.failed();
        watcher.failed();
        let change = watcher.answered("b", at(450)).unwrap();
        assert_eq!((change.last.replica.as_str(), change.first.replica.as_str()), ("a", "b"));
        assert_eq!((change.failed, change.gap()), (2, Duration::from_millis(350)));
        assert_eq!((watcher.moves(), watcher.outages(), watcher.failures()), (1, 1, 2));
    }

    #[test]
    fn the_same_one_after_failures_is_a_gap_and_no_move() {
        let mut watcher = Watcher::default();
        watcher.answered("a", at(0));
        watcher.failed();
        let change = watcher.answered("a", at(300)).unwrap();
        assert!(!change.has_moved());
        assert_eq!((watcher.moves(), watcher.outages()), (0, 1));
    }

    #[test]
    fn failures_before_the_first_answer_end_no_old_one() {
        let mut watcher = Watcher::default();
        watcher.failed();
        assert_eq!(watcher.answered("a", at(5)), None);
        assert_eq!(watcher.failures(), 1);
    }

    #[test]
    fn the_longest_gap_is_kept() {
        let mut watcher = Watcher::default();
        for (replica, millis) in [("a", 0), ("b", 300), ("a", 310), ("b", 800), ("a", 801)] {
            watcher.answered(replica, at(millis));
        }
        assert_eq!(watcher.longest().unwrap().gap(), Duration::from_millis(490));
    }
}
