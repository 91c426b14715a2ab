//! Sets of block numbers kept as ranges: what has come, what is missing.

use std::collections::BTreeMap;

use crate::BlockNumber;

/// The blocks from `start` up to, but not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRange {
    /// The first block.
    pub start: BlockNumber,
    /// One after the last block.
    pub end: BlockNumber,
}

/// A set of block numbers, as ranges that neither touch nor overlap.
///
/// Its cost is bounded by the number of ranges, never by the number of blocks, and the number of ranges is capped: a
/// hostile sender that leaves a gap after every block fills the cap, not the memory (RUSTSEC-2026-0185).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// Start to end.
    ranges: BTreeMap<u64, u64>,
    len: u64,
}

/// The set is at its cap, and the insertion would have made one more range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {} separate ranges", RangeSet::CAP)]
pub struct Full;

impl BlockRange {
    /// The blocks from `start` up to, but not including, `end`.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Self {
        BlockRange { start: BlockNumber(start), end: BlockNumber(end) }
    }

    /// How many blocks.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether `block` is one of them.
    #[must_use]
    pub fn contains(self, block: BlockNumber) -> bool {
        (self.start..self.end).contains(&block)
    }
}

impl RangeSet {
    /// The most ranges a set may hold: some 2 MB of memory, and far more holes than any window has blocks.
    pub const CAP: usize = 65_536;

    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        RangeSet { ranges: BTreeMap::new(), len: 0 }
    }

    /// How many blocks are in the set.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// How many ranges the set has.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// Whether no block is in the set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `block` is in the set.
    #[must_use]
    pub fn contains(&self, block: BlockNumber) -> bool {
        self.ranges.range(..=block.0).next_back().is_some_and(|(_, &end)| block.0 < end)
    }

    /// The lowest block in the set.
    #[must_use]
    pub fn first(&self) -> Option<BlockNumber> {
        self.ranges.keys().next().copied().map(BlockNumber)
    }

    /// One after the highest block in the set; block 0 when it is empty.
    #[must_use]
    pub fn end(&self) -> BlockNumber {
        BlockNumber(self.ranges.values().next_back().copied().unwrap_or(0))
    }

    /// The lowest block, from `from` on, that is not in the set.
    #[must_use]
    pub fn first_gap(&self, from: BlockNumber) -> BlockNumber {
        match self.ranges.range(..=from.0).next_back() {
            Some((_, &end)) if from.0 < end => BlockNumber(end),
            Some(_) | None => from,
        }
    }

    /// The ranges, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = BlockRange> {
        self.ranges.iter().map(|(&start, &end)| BlockRange::new(start, end))
    }

    /// The ranges below `below` that are *not* in the set, lowest first.
    pub fn gaps(&self, below: BlockNumber) -> impl Iterator<Item = BlockRange> {
        let ends = std::iter::once(0).chain(self.ranges.values().copied());
        let starts = self.ranges.keys().copied().chain(std::iter::once(below.0));
        ends.zip(starts).map(move |(end, start)| BlockRange::new(end, start.min(below.0))).filter(|gap| !gap.is_empty())
    }

    /// Puts one block in; tells whether it was new.
    ///
    /// # Errors
    /// When that would make one range too many; the set is unchanged.
    pub fn insert(&mut self, block: BlockNumber) -> Result<bool, Full> {
        let before = self.len;
        self.insert_range(BlockRange { start: block, end: BlockNumber(block.0.saturating_add(1)) })?;
        Ok(self.len > before)
    }

    /// Puts a range of blocks in.
    ///
    /// # Errors
    /// When that would make one range too many; the set is unchanged.
    pub fn insert_range(&mut self, range: BlockRange) -> Result<(), Full> {
        let (mut start, mut end) = (range.start.0, range.end.0);
        if start >= end {
            return Ok(());
        }
        if let Some((&left, left_end)) = self.ranges.range_mut(..=start).next_back()
            && *left_end >= start
        {
            if *left_end >= end {
                return Ok(());
            }
            start = left;
        } else if self.ranges.len() >= Self::CAP && self.ranges.range(start..=end).next().is_none() {
            return Err(Full);
        }
        // Whatever begins inside the new range, or right at its end, becomes part of it.
        while let Some((&inner, &inner_end)) = self.ranges.range(start..=end).next_back() {
            self.len -= inner_end - inner;
            end = end.max(inner_end);
            if inner == start {
                // The common case, a run that grows at its end: changed in place, without allocation.
                self.len += end - start;
                if let Some(slot) = self.ranges.get_mut(&start) {
                    *slot = end;
                }
                return Ok(());
            }
            self.ranges.remove(&inner);
        }
        self.len += end - start;
        self.ranges.insert(start, end);
        Ok(())
    }

    /// Takes one block out.
    ///
    /// # Errors
    /// When that would split a range and make one too many; the set is unchanged.
    pub fn remove(&mut self, block: BlockNumber) -> Result<(), Full> {
        let block = block.0;
        let Some((&start, &end)) = self.ranges.range(..=block).next_back().filter(|(_, end)| block < **end) else {
            return Ok(());
        };
        let (splits, last) = (start < block && block + 1 < end, block + 1 < end);
        if splits && self.ranges.len() >= Self::CAP {
            return Err(Full);
        }
        self.len -= 1;
        if start < block {
            self.ranges.insert(start, block);
        } else {
            self.ranges.remove(&start);
        }
        if last {
            self.ranges.insert(block + 1, end);
        }
        Ok(())
    }

    /// Takes out every block below `floor`.
    pub fn remove_below(&mut self, floor: BlockNumber) {
        while let Some(mut first) = self.ranges.first_entry().filter(|first| *first.key() < floor.0) {
            let (start, end) = (*first.key(), *first.get_mut());
            first.remove();
            self.len -= end - start;
            if end > floor.0 {
                self.ranges.insert(floor.0, end);
                self.len += end - floor.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn gaps_of(model: &BTreeSet<u64>, below: u64) -> Vec<u64> {
        (0..below).filter(|block| !model.contains(block)).collect()
    }

    fn blocks(ranges: impl Iterator<Item = BlockRange>) -> Vec<u64> {
        ranges.flat_map(|range| range.start.0..range.end.0).collect()
    }

    proptest! {
        #[test]
        fn a_range_set_is_a_set(steps in prop::collection::vec((0_u8..4, 0_u64..60, 0_u64..20), 0..60)) {
            let (mut set, mut model) = (RangeSet::new(), BTreeSet::new());
            for (step, at, length) in steps {
                match step {
                    0 => prop_assert_eq!(set.insert(BlockNumber(at)), Ok(model.insert(at))),
                    1 => {
                        set.insert_range(BlockRange::new(at, at + length)).unwrap();
                        model.extend(at..at + length);
                    }
                    2 => {
                        set.remove(BlockNumber(at)).unwrap();
                        model.remove(&at);
                    }
                    _ => {
                        set.remove_below(BlockNumber(at / 4));
                        model.retain(|&block| block >= at / 4);
                    }
                }
                prop_assert_eq!(set.len(), model.len() as u64);
                prop_assert_eq!(blocks(set.iter()), model.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(blocks(set.gaps(BlockNumber(80))), gaps_of(&model, 80));
                prop_assert_eq!(blocks(set.gaps(BlockNumber(at))), gaps_of(&model, at));
                prop_assert_eq!(set.contains(BlockNumber(at)), model.contains(&at));
                prop_assert_eq!(set.first_gap(BlockNumber(at)).0, (at..).find(|block| !model.contains(block)).unwrap());
                prop_assert_eq!(set.first().map(|first| first.0), model.first().copied());
                prop_assert_eq!(set.end().0, model.last().map_or(0, |last| last + 1));
                let ranges: Vec<_> = set.iter().collect();
                prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start), "ranges never touch: {ranges:?}");
            }
        }
    }

    #[test]
    fn the_cap_holds_and_what_joins_ranges_is_still_let_in() {
        let mut set = RangeSet::new();
        for block in 0..RangeSet::CAP as u64 {
            assert_eq!(set.insert(BlockNumber(2 * block)), Ok(true));
        }
        assert_eq!(set.insert(BlockNumber(1 << 40)), Err(Full));
        assert_eq!(set.len(), RangeSet::CAP as u64);
        assert_eq!(set.insert(BlockNumber(1)), Ok(true), "it joins two ranges into one");
        assert_eq!(set.insert(BlockNumber(1 << 40)), Ok(true), "so there is room again");
    }

    #[test]
    fn the_largest_numbers_do_no_harm() {
        let mut set = RangeSet::new();
        set.insert_range(BlockRange::new(5, u64::MAX)).unwrap();
        assert_eq!(set.insert(BlockNumber(u64::MAX)), Ok(false), "there is no block after the last number");
        assert_eq!(set.len(), u64::MAX - 5);
    }
}
