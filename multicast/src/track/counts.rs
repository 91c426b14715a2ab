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

    /// Whatever numbers strangers make up, a sum stays at its highest instead of beginning anew.
    fn add(self, other: Counts) -> Counts {
        Counts {
            received: self.received.saturating_add(other.received),
            bytes: self.bytes.saturating_add(other.bytes),
            in_order: self.in_order.saturating_add(other.in_order),
            gaps: self.gaps.saturating_add(other.gaps),
            late: self.late.saturating_add(other.late),
            duplicates: self.duplicates.saturating_add(other.duplicates),
            stale: self.stale.saturating_add(other.stale),
            implausible: self.implausible.saturating_add(other.implausible),
            restarts: self.restarts.saturating_add(other.restarts),
            lost: self.lost.saturating_add(other.lost),
            tail: self.tail.saturating_add(other.tail),
            before: self.before.saturating_add(other.before),
            away: self.away.saturating_add(other.away),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_made_up_numbers_stay_at_the_highest() {
        let forged = Counts { lost: u64::MAX, away: u64::MAX, ..Counts::default() };
        let sum = forged + forged;
        assert_eq!((sum.lost, sum.away, sum.received), (u64::MAX, u64::MAX, 0));
    }
}
