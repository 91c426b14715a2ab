//! Who sent how much: counts by kind, and one row per source within a bound.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::ops::AddAssign;

use events::Time;
use serde::Serialize;

use crate::payload::Kind;

/// Datagrams, and the bytes they carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How many.
    pub datagrams: u64,
    /// Their payloads' bytes together.
    pub bytes: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.datagrams = self.datagrams.saturating_add(other.datagrams);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// Counts by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Text.
    pub text: Count,
    /// JSON.
    pub json: Count,
    /// Binary.
    pub binary: Count,
}

impl Counts {
    /// One more datagram.
    pub fn add(&mut self, kind: Kind, bytes: usize) {
        let one = Count { datagrams: 1, bytes: u64::try_from(bytes).unwrap_or(u64::MAX) };
        match kind {
            Kind::Text => self.text += one,
            Kind::Json => self.json += one,
            Kind::Binary => self.binary += one,
        }
    }

    /// All kinds together.
    #[must_use]
    pub fn all(&self) -> Count {
        let mut all = self.text;
        all += self.json;
        all += self.binary;
        all
    }
}

/// What was heard from one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its address and port.
    pub source: SocketAddr,
    /// Its number in this run, from 1 in order of appearance; the flow its events are told in.
    pub flow: u64,
    /// What it sent.
    pub counts: Counts,
    /// When it was heard first.
    pub first: Time,
    /// When it was heard last.
    pub last: Time,
    /// Where it stands in the order of hearing.
    touch: u64,
}

/// What one datagram was to the tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Heard {
    /// The source's flow.
    pub flow: u64,
    /// Which datagram of that source it is, from 1.
    pub number: u64,
    /// The source that had to be forgotten to make room.
    pub forgot: Option<SocketAddr>,
}

/// Counts what comes in, by source. At most `limit` sources have a row; when one more appears, the one idle longest is
/// forgotten: its datagrams stay in the total, and should it come back it starts a new row and flow.
#[derive(Clone, Debug)]
pub struct Tally {
    limit: usize,
    rows: HashMap<SocketAddr, Row>,
    /// Sources by when they were heard last: the first is the one idle longest.
    by_touch: BTreeMap<u64, SocketAddr>,
    touches: u64,
    flows: u64,
    total: Counts,
    forgotten: u64,
}

impl Tally {
    /// An empty one, for at most `limit` sources (at least 1).
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Tally {
            limit: limit.max(1),
            rows: HashMap::new(),
            by_touch: BTreeMap::new(),
            touches: 0,
            flows: 0,
            total: Counts::default(),
            forgotten: 0,
        }
    }

    /// Counts one datagram.
    pub fn hear(&mut self, source: SocketAddr, kind: Kind, bytes: usize, now: Time) -> Heard {
        let forgot = if self.rows.contains_key(&source) { None } else { self.make_room() };
        let row = self.rows.entry(source).or_insert_with(|| {
            self.flows += 1;
            Row { source, flow: self.flows, counts: Counts::default(), first: now, last: now, touch: 0 }
        });
        // Most datagrams come from the source heard last: its place in the order is right already.
        if row.touch == 0 || row.touch != self.touches {
            self.touches += 1;
            self.by_touch.remove(&row.touch);
            self.by_touch.insert(self.touches, source);
            row.touch = self.touches;
        }
        row.last = now;
        row.counts.add(kind, bytes);
        self.total.add(kind, bytes);
        Heard { flow: row.flow, number: row.counts.all().datagrams, forgot }
    }

    fn make_room(&mut self) -> Option<SocketAddr> {
        if self.rows.len() < self.limit {
            return None;
        }
        let (_, idlest) = self.by_touch.pop_first()?;
        self.rows.remove(&idlest);
        self.forgotten += 1;
        Some(idlest)
    }

    /// Everything heard, forgotten sources included.
    #[must_use]
    pub fn total(&self) -> Counts {
        self.total
    }

    /// How many times a source was forgotten.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// How many sources have a row.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.rows.len()
    }

    /// The rows, in order of appearance.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.rows.values().copied().collect();
        rows.sort_by_key(|row| row.flow);
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    #[test]
    fn each_source_has_its_own_row_and_numbers() {
        let mut tally = Tally::new(10);
        let numbers: Vec<(u64, u64)> =
            [(1, Kind::Text, 48), (2, Kind::Json, 38), (1, Kind::Binary, 16), (1, Kind::Text, 0)]
                .into_iter()
                .zip(1..)
                .map(|((port, kind, bytes), now)| tally.hear(source(port), kind, bytes, at(now)))
                .map(|heard| (heard.flow, heard.number))
                .collect();
        assert_eq!(numbers, [(1, 1), (2, 1), (1, 2), (1, 3)]);
        let rows = tally.rows();
        assert_eq!(rows.iter().map(|row| row.source).collect::<Vec<_>>(), [source(1), source(2)]);
        assert_eq!(rows[0].counts.text, Count { datagrams: 2, bytes: 48 });
        assert_eq!((rows[0].first, rows[0].last), (at(1), at(4)));
        assert_eq!(tally.total().all(), Count { datagrams: 4, bytes: 102 });
    }

    #[test]
    fn the_source_idle_longest_is_forgotten_and_its_datagrams_still_count() {
        let mut tally = Tally::new(2);
        for port in [1, 2, 1] {
            assert_eq!(tally.hear(source(port), Kind::Text, 1, at(0)).forgot, None);
        }
        assert_eq!(tally.hear(source(3), Kind::Text, 1, at(0)).forgot, Some(source(2)));
        let back = tally.hear(source(2), Kind::Text, 1, at(0));
        assert_eq!(back, Heard { flow: 4, number: 1, forgot: Some(source(1)) });
        assert_eq!((tally.sources(), tally.forgotten(), tally.total().all().datagrams), (2, 2, 5));
    }

    #[test]
    fn a_hundred_thousand_forged_sources_take_the_room_of_the_limit() {
        let mut tally = Tally::new(100);
        for number in 0..100_000u32 {
            let [_, a, b, c] = number.to_be_bytes();
            let _ = tally.hear(([10, a, b, c], 5007).into(), Kind::Binary, 1, at(number.into()));
        }
        assert_eq!((tally.rows.len(), tally.by_touch.len(), tally.forgotten()), (100, 100, 99_900));
        assert_eq!(tally.total().all().datagrams, 100_000);
        assert!(tally.rows().iter().all(|row| row.flow > 99_900), "the newest are the ones remembered");
    }
}
