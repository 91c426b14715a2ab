//! Who answers now, and what it cost to get there: changes of the replica and gaps without an answer. Pure.
//!
//! Where flows are spread, another replica answers nearly every time, and that is no news. News is one that was not heard
//! of late, one that is heard no more, and every answer after failures.

use std::collections::BTreeMap;
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

/// What is worth telling after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Another replica answers, or the same one after failures.
    Changed(Change),
    /// This replica, which shared the answers with others, has not answered for long.
    Silent(Seen),
}

/// A replica is silent when so many answers for each replica heard of late have come from others: where shares are even,
/// chance alone does that once in ten million (e^-16).
const PATIENCE: u64 = 16;

/// How many replicas are remembered: somebody who goes by a new name each time is all news.
const MOST_REPLICAS: usize = 1024;

/// Remembers who answered of late, and sums up.
#[derive(Clone, Debug, Default)]
pub struct Watcher {
    last: Option<Seen>,
    /// Each replica heard of late: its last answer, and which answer of all that was.
    heard: BTreeMap<String, (Seen, u64)>,
    answers: u64,
    /// Every change is news, not only replicas that come and go.
    is_one_flow: bool,
    failed_since: u64,
    moves: u64,
    outages: u64,
    failed: u64,
    longest: Option<Change>,
}

impl Watcher {
    /// One that takes every change for news: for a single flow, which no router spreads.
    #[must_use]
    pub fn of_one_flow() -> Self {
        Watcher { is_one_flow: true, ..Watcher::default() }
    }

    /// A replica answered now: what there is to tell.
    pub fn answered(&mut self, replica: &str, now: Time) -> Vec<News> {
        let seen = Seen { replica: replica.to_owned(), at: now };
        let is_new = !self.heard.contains_key(replica);
        let change = self.change_to(seen.clone());
        self.answers += 1;
        if !is_new || self.heard.len() < MOST_REPLICAS {
            self.heard.insert(replica.to_owned(), (seen, self.answers));
        }
        let is_news = |change: &Change| is_new || self.is_one_flow || change.failed > 0;
        let mut news: Vec<News> = change.filter(is_news).map(News::Changed).into_iter().collect();
        if !self.is_one_flow {
            news.extend(self.silent().into_iter().map(News::Silent));
        }
        news
    }

    /// Those that have not answered for so long that chance does not explain it; they are told once.
    fn silent(&mut self) -> Vec<Seen> {
        let longest = PATIENCE * self.heard.len() as u64;
        let (answers, mut silent) = (self.answers, Vec::new());
        self.heard.retain(|_, (seen, number)| {
            let is_silent = answers - *number > longest;
            if is_silent {
                silent.push(seen.clone());
            }
            !is_silent
        });
        silent
    }

    fn change_to(&mut self, first: Seen) -> Option<Change> {
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

    /// An attempt failed. Before the first answer that is no change of anything, and not counted.
    pub fn failed(&mut self) {
        if self.last.is_some() {
            self.failed_since += 1;
            self.failed += 1;
        }
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

    /// How many attempts failed since the first answer.
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

    fn only_change(mut news: Vec<News>) -> Change {
        match (news.pop(), news.len()) {
            (Some(News::Changed(change)), 0) => change,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn spread_flows_are_no_news_but_who_comes_and_who_goes_is() {
        let mut watcher = Watcher::default();
        let mut news = Vec::new();
        for n in 0..300 {
            // a, b and c in turn; then b is gone; then it is back.
            let replica = match (n, n % 3) {
                (100..200, 1) => "a",
                (_, 0) => "a",
                (_, 1) => "b",
                _ => "c",
            };
            news.extend(watcher.answered(replica, at(n)));
        }
        let told: Vec<String> = news
            .iter()
            .map(|one| match one {
                News::Changed(change) => format!("{}->{}", change.last.replica, change.first.replica),
                News::Silent(seen) => format!("{} silent since {}", seen.replica, seen.at.as_nanos() / 1_000_000),
            })
            .collect();
        assert_eq!(told, ["a->b", "b->c", "b silent since 97", "a->b"]);
    }

    #[test]
    fn of_one_flow_every_change_is_news() {
        let mut watcher = Watcher::of_one_flow();
        let told: usize =
            ["a", "b", "a", "b", "b"].iter().zip(0..).map(|(replica, n)| watcher.answered(replica, at(n)).len()).sum();
        assert_eq!(told, 3);
    }

    #[test]
    fn somebody_with_ever_new_names_does_not_fill_our_memory() {
        let mut watcher = Watcher::default();
        for n in 0..5_000 {
            watcher.answered(&format!("me{n}"), at(n));
        }
        assert!(watcher.heard.len() <= MOST_REPLICAS);
    }

    #[test]
    fn the_same_replica_again_and_again_is_no_news() {
        let mut watcher = Watcher::default();
        assert!((0..100).all(|n| watcher.answered("a", at(n)).is_empty()));
        assert_eq!((watcher.moves(), watcher.outages()), (0, 0));
    }

    #[test]
    fn a_failover_tells_last_first_failures_and_gap() {
        let mut watcher = Watcher::default();
        watcher.answered("a", at(0));
        watcher.answered("a", at(100));
        watcher.failed();
        watcher.failed();
        let change = only_change(watcher.answered("b", at(450)));
        assert_eq!((change.last.replica.as_str(), change.first.replica.as_str()), ("a", "b"));
        assert_eq!((change.failed, change.gap()), (2, Duration::from_millis(350)));
        assert_eq!((watcher.moves(), watcher.outages(), watcher.failures()), (1, 1, 2));
    }

    #[test]
    fn the_same_one_after_failures_is_a_gap_and_no_move() {
        let mut watcher = Watcher::default();
        watcher.answered("a", at(0));
        watcher.failed();
        let change = only_change(watcher.answered("a", at(300)));
        assert!(!change.has_moved());
        assert_eq!((watcher.moves(), watcher.outages()), (0, 1));
    }

    #[test]
    fn failures_before_the_first_answer_end_no_old_one() {
        let mut watcher = Watcher::default();
        watcher.failed();
        assert_eq!(watcher.answered("a", at(5)), []);
        assert_eq!(watcher.failures(), 0);
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
