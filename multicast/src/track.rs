//! Judges every numbered message, per source and group: in order, a gap before it, late, a duplicate, or a new start.
//!
//! A pure machine: time is passed in, sources are keys of the caller's choosing, and a bound on their number holds
//! whatever strangers send.

mod counts;
mod jitter;
mod order;
mod stream;
mod window;

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use events::Time;

pub use counts::Counts;
pub use order::{PATIENCE, Reorder};
pub use stream::{Stream, Verdict};
pub use window::WINDOW;

use crate::rtcp::Report;
use crate::rtp::Number;

/// How many streams are followed at once; of the one idle longest only the counts are kept, in the sum of the forgotten.
pub const STREAMS: usize = 1024;

/// A stream, and what its source says of itself.
#[derive(Clone, Debug)]
pub struct Row<K> {
    /// Whose.
    pub key: K,
    /// Its number in this run, from 1 in order of appearance.
    pub flow: u64,
    /// The judge of its messages.
    pub stream: Stream,
    /// The canonical name, the same in every run of the source, where one was told.
    pub cname: Option<String>,
    /// The name the source goes by, where one was told.
    pub name: Option<String>,
    /// Whether it said that it ends.
    pub bye: bool,
    /// Whether another stream came from the same source before: it was started again.
    pub restarted: bool,
    /// When it was heard first.
    pub first: Time,
    /// When it was heard last.
    pub last: Time,
    touch: u64,
}

/// Follows at most a bounded number of streams.
#[derive(Clone, Debug)]
pub struct Tracker<K> {
    limit: usize,
    rows: HashMap<K, Row<K>>,
    /// Streams by when they were heard last: the first is the one idle longest.
    by_touch: BTreeMap<u64, K>,
    touches: u64,
    flows: u64,
    forgotten: u64,
    sum_of_forgotten: Counts,
}

/// What one message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Judged<K> {
    /// The judgement.
    pub verdict: Verdict,
    /// Its number, counted from the start of the stream as far as known, and beyond 16 bits.
    pub number: u64,
    /// The stream's flow.
    pub flow: u64,
    /// The stream that had to be forgotten to make room.
    pub forgot: Option<K>,
}

impl<K: Copy + Eq + Hash> Tracker<K> {
    /// An empty one, for at most `limit` streams (at least 1).
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Tracker {
            limit: limit.max(1),
            rows: HashMap::new(),
            by_touch: BTreeMap::new(),
            touches: 0,
            flows: 0,
            forgotten: 0,
            sum_of_forgotten: Counts::default(),
        }
    }

    /// Judges one message of `bytes` bytes that came at `now` and was sent at `timestamp`, in ticks.
    pub fn hear(&mut self, key: K, number: Number, bytes: usize, timestamp: u32, now: Time) -> Judged<K> {
        let (row, forgot) = self.touch(key, now);
        let (verdict, number) = row.stream.hear(number, bytes, timestamp, now);
        Judged { verdict, number, flow: row.flow, forgot }
    }

    /// Takes what a source says of itself. Gives the stream that had to be forgotten to make room.
    pub fn report(&mut self, key: K, report: &Report, now: Time) -> Option<K> {
        let is_new = self.rows.get(&key).is_none_or(|row| row.cname.is_none());
        let known = is_new && report.cname.is_some() && self.rows.values().any(|row| row.cname == report.cname);
        let (row, forgot) = self.touch(key, now);
        if row.cname.is_none() && report.cname.is_some() {
            row.cname.clone_from(&report.cname);
            row.restarted |= known;
        }
        if report.name.is_some() {
            row.name.clone_from(&report.name);
        }
        row.bye |= report.bye;
        if let Some(totals) = report.totals {
            row.stream.told_total(totals.packets);
        }
        forgot
    }

    /// The streams of these keys stop here: their group is left. What comes of them later was in the buffer.
    pub fn leave(&mut self, of: impl Fn(&K) -> bool) {
        self.rows.values_mut().filter(|row| of(&row.key)).for_each(|row| row.stream.leave());
    }

    /// The group of these keys is joined again: what is missing until their next message was missed in between, and is
    /// put down to absence number `absence`.
    pub fn rejoin(&mut self, absence: usize, of: impl Fn(&K) -> bool) {
        self.rows.values_mut().filter(|row| of(&row.key)).for_each(|row| row.stream.rejoin(absence));
    }

    /// The streams followed, in order of appearance.
    #[must_use]
    pub fn rows(&self) -> Vec<&Row<K>> {
        let mut rows: Vec<&Row<K>> = self.rows.values().collect();
        rows.sort_by_key(|row| row.flow);
        rows
    }

    /// The stream of that key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&Row<K>> {
        self.rows.get(key)
    }

    /// How many streams are followed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no stream is followed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many times a stream was forgotten.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The counts of all streams, forgotten ones included.
    #[must_use]
    pub fn total(&self) -> Counts {
        self.rows.values().fold(self.sum_of_forgotten, |sum, row| sum + row.stream.counts())
    }

    fn touch(&mut self, key: K, now: Time) -> (&mut Row<K>, Option<K>) {
        let forgot = if self.rows.contains_key(&key) { None } else { self.make_room() };
        let row = self.rows.entry(key).or_insert_with(|| {
            self.flows += 1;
            Row {
                key,
                flow: self.flows,
                stream: Stream::default(),
                cname: None,
                name: None,
                bye: false,
                restarted: false,
                first: now,
                last: now,
                touch: 0,
            }
        });
        // Most messages come from the source heard last: its place in the order is right already.
        if row.touch == 0 || row.touch != self.touches {
            self.touches += 1;
            self.by_touch.remove(&row.touch);
            self.by_touch.insert(self.touches, key);
            row.touch = self.touches;
        }
        row.last = now;
        (row, forgot)
    }

    fn make_room(&mut self) -> Option<K> {
        if self.rows.len() < self.limit {
            return None;
        }
        let (_, idlest) = self.by_touch.pop_first()?;
        if let Some(row) = self.rows.remove(&idlest) {
            self.sum_of_forgotten = self.sum_of_forgotten + row.stream.counts();
        }
        self.forgotten += 1;
        Some(idlest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(tracker: &mut Tracker<u32>, key: u32, number: u64) -> Judged<u32> {
        tracker.hear(key, Number::Full(number), 10, 0, Time::from_nanos(number))
    }

    #[test]
    fn ten_thousand_sources_take_the_room_of_the_limit_and_are_still_counted() {
        let mut tracker = Tracker::new(STREAMS);
        for key in 0..10_000 {
            let _ = hear(&mut tracker, key, 0);
        }
        assert_eq!((tracker.len(), tracker.by_touch.len(), tracker.forgotten()), (STREAMS, STREAMS, 8_976));
        assert_eq!(tracker.total().received, 10_000);
        assert_eq!(tracker.rows()[0].key, 8_976, "the newest are the ones followed");
    }

    #[test]
    fn the_one_idle_longest_goes_first_and_is_named() {
        let mut tracker = Tracker::new(2);
        for (key, number) in [(1, 0), (2, 0), (1, 1), (1, 2)] {
            assert_eq!(hear(&mut tracker, key, number).forgot, None);
        }
        assert_eq!(hear(&mut tracker, 3, 0).forgot, Some(2));
    }

    #[test]
    fn a_source_of_the_same_name_was_started_again() {
        let mut tracker = Tracker::new(9);
        let report = |name: &str| Report { cname: Some(name.into()), name: Some(name.into()), ..Report::default() };
        for (key, name, at) in [(1, "a", 1), (2, "b", 2), (3, "a", 3)] {
            assert_eq!(tracker.report(key, &report(name), Time::from_nanos(at)), None);
        }
        let restarted: Vec<bool> = tracker.rows().iter().map(|row| row.restarted).collect();
        assert_eq!(restarted, [false, false, true]);
    }
}
