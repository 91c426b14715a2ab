//! Files hashed chunk by chunk: in bounded reads that may be stopped, or as their bytes pass by on the way to the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use arq::chunks::{ChunkHasher, Chunking};

use super::Progress;

/// How much is read at once: large enough for disks and for the hash's vector units, small enough to stop soon.
const RUN: usize = 1 << 20;

/// Why there is no hash.
#[derive(Debug)]
pub(super) enum NoHash {
    /// The file ends before it should.
    Short,
    /// Somebody said to stop.
    Stopped,
    /// It could not be read.
    Unreadable(io::Error),
}

/// Hashes one chunk from its start on while its bytes are written, so that they need not be read again.
#[derive(Debug)]
pub(super) struct Following {
    index: u32,
    /// Up to where in the file it has seen every byte of its chunk.
    upto: u64,
    hasher: ChunkHasher,
}

impl Following {
    /// Follows the chunk `index` from its first byte on.
    pub(super) fn new(chunking: Chunking, index: u32) -> Self {
        Following { index, upto: chunking.range(index).start, hasher: chunking.hasher(index) }
    }

    /// Takes bytes of that chunk that were written at `start`. False when they are not the next ones: then this hasher
    /// is of no use any more.
    pub(super) fn take(&mut self, index: u32, start: u64, bytes: &[u8]) -> bool {
        let follows = self.index == index && self.upto == start;
        if follows {
            self.hasher.update(bytes);
            self.upto = self.upto.saturating_add(bytes.len() as u64);
        }
        follows
    }

    /// The value of the chunk, where it was seen up to its `end`.
    pub(super) fn value(&self, index: u32, end: u64) -> Option<[u8; 32]> {
        (self.index == index && self.upto == end).then(|| self.hasher.finish())
    }

    /// Whether it follows this chunk.
    pub(super) fn is_of(&self, index: u32) -> bool {
        self.index == index
    }
}

/// Hashes chunks of one file after another, with one buffer for all.
#[derive(Debug, Default)]
pub(super) struct Hashing {
    buffer: Vec<u8>,
}

impl Hashing {
    /// The value of one chunk.
    pub(super) fn chunk(
        &mut self,
        file: &File,
        chunking: Chunking,
        index: u32,
        progress: &mut Progress<'_>,
    ) -> Result<[u8; 32], NoHash> {
        let mut hasher = chunking.hasher(index);
        let range = chunking.range(index);
        let mut offset = range.start;
        while offset < range.end {
            let wanted = usize::try_from(range.end - offset).map_or(RUN, |rest| rest.min(RUN));
            self.buffer.resize(self.buffer.len().max(wanted), 0);
            let read = match file.read_at(self.buffer.get_mut(..wanted).unwrap_or_default(), offset) {
                Ok(0) => return Err(NoHash::Short),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(NoHash::Unreadable(error)),
            };
            hasher.update(self.buffer.get(..read).unwrap_or_default());
            offset = offset.saturating_add(read as u64);
            if progress(read as u64).is_break() {
                return Err(NoHash::Stopped);
            }
        }
        Ok(hasher.finish())
    }

    /// The values of all chunks of a file of `size` bytes.
    pub(super) fn whole(
        &mut self,
        file: &File,
        size: u64,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<[u8; 32]>, NoHash> {
        let chunking = Chunking::new(size);
        (0..chunking.count()).map(|index| self.chunk(file, chunking, index, progress)).collect()
    }
}
