//! A file's hash, chunk by chunk: the unit of resume and repair.
//!
//! BLAKE3 is a tree, and a chunk of 1 MiB is a subtree of it. So each chunk has a value of its own, by which it can be
//! checked alone, and all values together merge to the ordinary BLAKE3 hash of the file, the one `b3sum` prints.

use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// How a file is cut into chunks: 1 MiB each, doubled until there are at most [`Chunking::MOST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunking {
    size: u64,
    chunk: u64,
}

/// Hashes one chunk as its bytes come.
#[derive(Debug)]
pub struct ChunkHasher {
    hasher: blake3::Hasher,
    is_whole_file: bool,
}

impl Chunking {
    /// The smallest chunk.
    pub const SMALLEST: u64 = 1 << 20;
    /// The most chunks a file has: their values take 2 MiB.
    pub const MOST: u64 = 65_536;

    /// The chunks of a file of `size` bytes.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        let mut chunk = Self::SMALLEST;
        while size.div_ceil(chunk) > Self::MOST {
            chunk *= 2;
        }
        Chunking { size, chunk }
    }

    /// How many chunks there are: at least one, which for an empty file is empty.
    #[must_use]
    pub fn count(self) -> u32 {
        u32::try_from(self.size.div_ceil(self.chunk).max(1)).unwrap_or(u32::MAX)
    }

    /// Where a chunk begins and ends, in bytes.
    #[must_use]
    pub fn range(self, index: u32) -> std::ops::Range<u64> {
        let start = u64::from(index).saturating_mul(self.chunk).min(self.size);
        start..start.saturating_add(self.chunk).min(self.size)
    }

    /// A hasher for the chunk `index`, to be fed with its bytes in order.
    #[must_use]
    pub fn hasher(self, index: u32) -> ChunkHasher {
        let mut hasher = blake3::Hasher::new();
        let is_whole_file = self.count() == 1;
        if !is_whole_file {
            hasher.set_input_offset(self.range(index).start);
        }
        ChunkHasher { hasher, is_whole_file }
    }

    /// The hash of the whole file from the values of all its chunks; none when there are not as many as there should be.
    #[must_use]
    pub fn merge(self, values: &[[u8; 32]]) -> Option<[u8; 32]> {
        if u32::try_from(values.len()) != Ok(self.count()) {
            return None;
        }
        match values {
            [only] => Some(*only),
            _ => {
                let (left, right) = values.split_at_checked(left_half(values.len()))?;
                let (left, right) = (subtree(left)?, subtree(right)?);
                Some(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes())
            }
        }
    }
}

/// The value of a run of chunks that is not the whole file.
fn subtree(values: &[[u8; 32]]) -> Option<[u8; 32]> {
    match values {
        [] => None,
        [only] => Some(*only),
        _ => {
            let (left, right) = values.split_at_checked(left_half(values.len()))?;
            Some(merge_subtrees_non_root(&subtree(left)?, &subtree(right)?, Mode::Hash))
        }
    }
}

/// BLAKE3 section 2.1: the left subtree is the largest power of two that leaves something for the right one.
fn left_half(count: usize) -> usize {
    count.next_power_of_two() / 2
}

impl ChunkHasher {
    /// Takes the next bytes of the chunk.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The chunk's value, once it has all its bytes. A file of one chunk has the file's hash as its value.
    #[must_use]
    pub fn finish(&self) -> [u8; 32] {
        if self.is_whole_file { *self.hasher.finalize().as_bytes() } else { self.hasher.finalize_non_root() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_the_chunks_merge_to_the_hash_of_the_file() {
        const MIB: usize = 1 << 20;
        for size in [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 7, 3 * MIB, 5 * MIB + 1, 7 * MIB] {
            let file: Vec<u8> = (0..size).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect();
            let chunking = Chunking::new(size as u64);
            let values: Vec<[u8; 32]> = (0..chunking.count())
                .map(|index| {
                    let range = chunking.range(index);
                    let bytes = &file[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
                    let mut hasher = chunking.hasher(index);
                    bytes.chunks(100_000).for_each(|part| hasher.update(part));
                    hasher.finish()
                })
                .collect();
            assert_eq!(chunking.merge(&values), Some(*blake3::hash(&file).as_bytes()), "{size} bytes");
            let mut wrong = values.clone();
            wrong.pop();
            assert_eq!(chunking.merge(&wrong), None);
        }
    }

    #[test]
    fn a_huge_file_has_larger_chunks_not_more() {
        assert_eq!(Chunking::new(1 << 36).count(), 65_536);
        assert_eq!(Chunking::new((1 << 36) + 1).count(), 32_769);
        assert_eq!(Chunking::new(u64::MAX).count(), 65_536);
        assert_eq!(Chunking::new(u64::MAX).range(65_535).end, u64::MAX);
    }
}
