//! Blocks on their way to the disk: consecutive ones are written at once.

use std::cell::Cell;

use arq::{BlockNumber, Layout};
use labkit::Failure;

use crate::disk::part::Part;

/// How many bytes are gathered before they are written.
const MOST: usize = 512 << 10;

/// A run of consecutive blocks in memory, before it is written to a [`Part`].
#[derive(Debug)]
pub(super) struct Writer {
    layout: Layout,
    first: BlockNumber,
    count: u64,
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(layout: Layout) -> Self {
        Writer { layout, first: BlockNumber(0), count: 0, bytes: Vec::new() }
    }

    /// Whether `block` continues the run, or begins one.
    pub(super) fn takes(&self, block: BlockNumber) -> bool {
        self.count == 0 || (self.first.0 + self.count == block.0 && self.bytes.len() < MOST)
    }

    /// How many blocks wait to be written.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Adds a block that [`takes`](Writer::takes) said yes to.
    pub(super) fn add(&mut self, block: BlockNumber, bytes: &[u8]) {
        if self.count == 0 {
            self.first = block;
            self.bytes = ROOM.take();
        }
        self.count += 1;
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes the run, and gives the blocks that are stored now.
    ///
    /// # Errors
    /// Those of [`Part::write_run`].
    pub(super) fn flush(&mut self, part: &mut Part) -> Result<std::ops::Range<u64>, Failure> {
        let run = self.first.0..self.first.0 + self.count;
        if self.count > 0 {
            let room = part.write_run(self.layout.offset(self.first), std::mem::take(&mut self.bytes))?;
            self.count = 0;
            ROOM.set(room);
        }
        Ok(run)
    }
}

thread_local! {
    /// Room for a run, while nobody gathers one: a run never lasts longer than a look at what has come, so that a thousand
    /// transfers of a process need no more than one a thread.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
