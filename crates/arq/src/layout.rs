//! How a file is cut into blocks of one size.

use crate::BlockNumber;

/// A file as a run of equal blocks; only the last may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    size: u64,
    block: u16,
}

impl Layout {
    /// A file of `size` bytes in blocks of `block` bytes (at least one).
    #[must_use]
    pub const fn new(size: u64, block: u16) -> Self {
        Layout { size, block: if block == 0 { 1 } else { block } }
    }

    /// The file's length in bytes.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.size
    }

    /// The length of every block but the last.
    #[must_use]
    pub const fn block(self) -> u16 {
        self.block
    }

    /// How many blocks there are; none for an empty file.
    #[must_use]
    pub const fn blocks(self) -> u64 {
        self.size.div_ceil(self.block as u64)
    }

    /// Where a block begins in the file; the file's end for a block it does not have.
    #[must_use]
    pub const fn offset(self, block: BlockNumber) -> u64 {
        let offset = block.0.saturating_mul(self.block as u64);
        if offset < self.size { offset } else { self.size }
    }

    /// How long a block is; zero for a block the file does not have.
    #[must_use]
    pub fn length(self, block: BlockNumber) -> u16 {
        let rest = self.size - self.offset(block);
        u16::try_from(rest).map_or(self.block, |rest| rest.min(self.block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_cover_the_file_exactly() {
        for (size, block) in [(0, 100), (1, 100), (99, 100), (100, 100), (101, 100), (1 << 40, 1167)] {
            let layout = Layout::new(size, block);
            let last = BlockNumber(layout.blocks().saturating_sub(1));
            assert_eq!(layout.offset(last) + u64::from(layout.length(last)), size);
            assert_eq!(layout.length(BlockNumber(layout.blocks())), 0, "one after the last");
            assert_eq!(layout.length(BlockNumber(u64::MAX)), 0);
        }
    }
}
