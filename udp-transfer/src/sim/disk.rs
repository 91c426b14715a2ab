//! A file in memory, written block by block.

use arq::{BlockNumber, Layout, RangeSet};
use netsim::Random;

/// One end's file.
#[derive(Clone, Debug)]
pub struct Disk {
    layout: Layout,
    bytes: Vec<u8>,
    written: RangeSet,
    written_twice: u64,
}

impl Disk {
    /// A file whose content follows from the seed.
    #[must_use]
    pub fn full(layout: Layout, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut disk = Disk::empty(layout);
        for eight in disk.bytes.chunks_mut(8) {
            eight.copy_from_slice(&random.number().to_be_bytes()[..eight.len()]);
        }
        disk
    }

    /// A file of the same length, nothing of it written.
    #[must_use]
    pub fn empty(layout: Layout) -> Self {
        let size = usize::try_from(layout.size()).expect("a simulated file fits into memory");
        Disk { layout, bytes: vec![0; size], written: RangeSet::new(), written_twice: 0 }
    }

    /// The bytes of a block; none for a block the file does not have.
    #[must_use]
    pub fn read(&self, block: BlockNumber) -> &[u8] {
        let start = usize::try_from(self.layout.offset(block)).unwrap_or(usize::MAX);
        self.bytes.get(start..start.saturating_add(usize::from(self.layout.length(block)))).unwrap_or_default()
    }

    /// Writes a block at its offset.
    pub fn write(&mut self, block: BlockNumber, bytes: &[u8]) {
        let start = usize::try_from(self.layout.offset(block)).unwrap_or(usize::MAX);
        if let Some(place) = self.bytes.get_mut(start..start.saturating_add(bytes.len())) {
            place.copy_from_slice(bytes);
            self.written_twice += u64::from(self.written.insert(block) == Ok(false));
        }
    }

    /// Whether a block has been written.
    #[must_use]
    pub fn has(&self, block: BlockNumber) -> bool {
        self.written.contains(block)
    }

    /// How many blocks were written more than once.
    #[must_use]
    pub fn written_twice(&self) -> u64 {
        self.written_twice
    }

    /// Whether both files have the same content.
    #[must_use]
    pub fn equals(&self, other: &Disk) -> bool {
        self.bytes == other.bytes
    }
}
