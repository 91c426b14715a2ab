//! Who answered how often, and how fast: pure bookkeeping.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;

/// How many different (name, address) pairs are kept apart; a server that calls itself something new each time fills
/// the row of [`Who::Others`] and not our memory.
const MOST_REPLICAS: usize = 1024;

/// Who a row of the tally is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A replica that said its name.
    Named(String, SocketAddr),
    /// One that said something else, or nothing yet.
    Unnamed(SocketAddr),
    /// All beyond the first 1,024.
    Others,
}

/// What is known of one replica.
#[derive(Clone, Debug)]
pub struct Replica {
    /// How many connections it answered.
    pub answers: u64,
    /// How many tries failed there.
    pub failures: u64,
    latency: Histogram<u64>,
}

/// What is known of all of them.
#[derive(Clone, Debug)]
pub struct Tally {
    replicas: BTreeMap<Who, Replica>,
    latency: Histogram<u64>,
    unanswered: u64,
    first_failure: Option<String>,
}

impl Default for Replica {
    fn default() -> Self {
        Replica { answers: 0, failures: 0, latency: histogram() }
    }
}

impl Default for Tally {
    fn default() -> Self {
        Tally { replicas: BTreeMap::new(), latency: histogram(), unanswered: 0, first_failure: None }
    }
}

/// Two significant digits, growing as needed: a few KiB for the latencies seen in practice.
fn histogram() -> Histogram<u64> {
    Histogram::new(2).expect("two significant digits are within the crate's 0 to 5")
}

impl Replica {
    /// The latency that `percent` of its answers did not exceed; `None` without an answer.
    #[must_use]
    pub fn latency(&self, percent: f64) -> Option<Duration> {
        percentile(&self.latency, percent)
    }
}

fn record(histogram: &mut Histogram<u64>, nanos: u64) {
    histogram.record(nanos).expect("a histogram that grows takes every value");
}

fn percentile(histogram: &Histogram<u64>, percent: f64) -> Option<Duration> {
    (!histogram.is_empty()).then(|| Duration::from_nanos(histogram.value_at_percentile(percent)))
}

impl Tally {
    /// A replica answered after `latency`.
    pub fn answered(&mut self, name: Option<&str>, address: SocketAddr, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        record(&mut self.latency, nanos);
        let replica = self.replica(match name {
            Some(name) => Who::Named(name.to_owned(), address),
            None => Who::Unnamed(address),
        });
        replica.answers += 1;
        record(&mut replica.latency, nanos);
    }

    /// One try failed; the connection may still be answered by the next candidate.
    pub fn try_failed(&mut self, address: SocketAddr, reason: &str) {
        self.first_failure.get_or_insert_with(|| format!("{address}: {reason}"));
        self.replica(Who::Unnamed(address)).failures += 1;
    }

    /// All candidates of one connection failed.
    pub fn gave_up(&mut self) {
        self.unanswered += 1;
    }

    fn replica(&mut self, who: Who) -> &mut Replica {
        let known = self.replicas.contains_key(&who) || self.replicas.len() < MOST_REPLICAS;
        self.replicas.entry(if known { who } else { Who::Others }).or_default()
    }

    /// Everybody met, in the order of their names.
    pub fn replicas(&self) -> impl Iterator<Item = (&Who, &Replica)> {
        self.replicas.iter()
    }

    /// How many connections were answered.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.replicas.values().map(|replica| replica.answers).sum()
    }

    /// How many connections nobody answered.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.unanswered
    }

    /// How many tries failed, answered in the end or not.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.replicas.values().map(|replica| replica.failures).sum()
    }

    /// How many replicas answered at least once.
    #[must_use]
    pub fn replicas_used(&self) -> usize {
        self.replicas.values().filter(|replica| replica.answers > 0).count()
    }

    /// The first try that failed, and why.
    #[must_use]
    pub fn first_failure(&self) -> Option<&str> {
        self.first_failure.as_deref()
    }

    /// The latency that `percent` of all answers did not exceed; `None` without an answer.
    #[must_use]
    pub fn latency(&self, percent: f64) -> Option<Duration> {
        percentile(&self.latency, percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn answers_are_counted_by_name_and_address() {
        let mut tally = Tally::default();
        for millis in 1..=100 {
            tally.answered(Some("server1"), address(1), Duration::from_millis(millis));
        }
        tally.answered(Some("server2"), address(1), Duration::from_millis(1));
        tally.answered(None, address(2), Duration::from_millis(1));
        let counts: Vec<u64> = tally.replicas().map(|(_, replica)| replica.answers).collect();
        assert_eq!(counts, [100, 1, 1]);
        assert_eq!((tally.answers(), tally.replicas_used()), (102, 3));
        let (_, server1) = tally.replicas().next().unwrap();
        let p50 = server1.latency(50.0).unwrap().as_secs_f64();
        assert!((0.049..=0.051).contains(&p50), "{p50}");
    }

    #[test]
    fn a_failed_try_is_not_an_unanswered_connection() {
        let mut tally = Tally::default();
        tally.try_failed(address(1), "refused");
        tally.answered(Some("server2"), address(2), Duration::from_millis(1));
        assert_eq!((tally.answers(), tally.failures(), tally.unanswered()), (1, 1, 0));
        assert_eq!(tally.first_failure(), Some("127.0.0.1:1: refused"));
        assert_eq!(tally.replicas_used(), 1, "the one that failed is listed, not counted as used");
    }

    #[test]
    fn a_server_with_ever_new_names_does_not_fill_our_memory() {
        let mut tally = Tally::default();
        for n in 0..10_000 {
            tally.answered(Some(&format!("me{n}")), address(1), Duration::ZERO);
        }
        assert_eq!(tally.replicas().count(), MOST_REPLICAS + 1);
        assert_eq!(tally.answers(), 10_000);
    }

    #[test]
    fn without_an_answer_there_is_no_latency() {
        assert_eq!(Tally::default().latency(50.0), None);
    }
}
