//! What there is to count of a stream of numbered messages.

use std::ops::Add;

/// What there is to count of a stream. `received` is the sum of `in_order`, `late`, `duplicates`, `stale` and
/// `implausible`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Messages that came, of whatever judgement.
    pub received: u64,
    /// Their payloads' bytes.
    pub bytes: u64,
    /// Messages ahead of all before them: the next one, or one after a gap.
    pub in_order: u64,
    /// Gaps seen, whether they were filled later or not.
    pub gaps: u64,
    /// Messages that came after a later one, and filled a gap.
    pub late: u64,
    /// Messages that came again.
    pub duplicates: u64,
    /// Messages too far back to judge.
    pub stale: u64,
    /// Numbers that nobody would believe.
    pub implausible: u64,
    /// How often the stream began anew under the same identity.
    pub restarts: u64,
    /// Messages that never came, up to the last one that did.
    pub lost: u64,
    /// Messages that never came after the last one that did, as far as the source told.
    pub tail: u64,
    /// Messages sent before we heard of the source.
    pub before: u64,
    /// Messages sent while we were away.
    pub away: u64,
}

impl Add for Counts {
    type Output = Counts;

    fn add(self, other: Counts) -> Counts {
        Counts {
            received: self.received + other.received,
            bytes: self.bytes + other.bytes,
            in_order: self.in_order + other.in_order,
            gaps: self.gaps + other.gaps,
            late: self.late + other.late,
            duplicates: self.duplicates + other.duplicates,
            stale: self.stale + other.stale,
            implausible: self.implausible + other.implausible,
            restarts: self.restarts + other.restarts,
            lost: self.lost + other.lost,
            tail: self.tail + other.tail,
            before: self.before + other.before,
            away: self.away + other.away,
        }
    }
}
