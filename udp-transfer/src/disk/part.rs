//! Where a client writes: `NAME.part`, which becomes `NAME` once every byte is right, and never before.
//!
//! A transfer that ends in any other way leaves `NAME.part` behind, and the next one goes on from it, trusting nothing
//! but the bytes: what matches the chunk values of the file is kept, whatever wrote it.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arq::catalogue::FileName;
use arq::chunks::Chunking;
use arq::{BlockRange, Layout, RangeSet};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt};
use labkit::{Exit, Failure};

use super::hashing::{Hashing, NoHash};
use super::identity::is_same_file;
use super::{Progress, shown};
use passing::Passing;
use place::Place;
use room::Reserving;

mod passing;
mod place;
mod room;
#[cfg(test)]
mod tests;

/// What to do when a file of the final name is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and say so.
    #[default]
    Keep,
    /// Replace it, once there is something to replace it with (`--force`). Only a regular file is ever replaced.
    Replace,
}

/// The folder files land in. Clones share its handle.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: Arc<Dir>,
    path: PathBuf,
}

/// A file that is being written. While it lives, no other client writes it.
///
/// Dropped before [`finish`](Part::finish), it stays as `NAME.part` for the next try, unless nothing was written.
#[derive(Debug)]
pub struct Part {
    place: Place,
    file: Arc<File>,
    reserving: Reserving,
    size: u64,
    hash: [u8; 32],
    existing: Existing,
    /// How many bytes an earlier run left.
    left: u64,
    chunking: Chunking,
    chunks: Vec<Chunk>,
    hashing: Hashing,
    passing: Passing,
    is_verified: bool,
    is_finished: bool,
}

/// What is known of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    /// So many bytes of it were written, none of them twice.
    Filling(u64),
    /// All of them were, and its value is being worked out.
    Full,
    /// It is hashed.
    Known([u8; 32]),
    /// It was written to after that: to be hashed at the end.
    Unknown,
}

/// A file that is whole, right, on the disk, and has its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Where it lies, for people.
    pub path: PathBuf,
    /// How many bytes it has.
    pub size: u64,
}

impl Folder {
    /// Opens the folder at `path`, making it where it is not there.
    ///
    /// # Errors
    /// When it can be neither opened nor made.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::io("open the output folder", shown(path), &error);
        std::fs::create_dir_all(path).map_err(failed)?;
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(failed)?;
        Ok(Folder { dir: Arc::new(dir), path: path.to_owned() })
    }

    /// Where `name` lies, for people.
    #[must_use]
    pub fn path_of(&self, name: &FileName) -> PathBuf {
        self.path.join(name.as_str())
    }

    /// Whether a file of this name is there already, with exactly these bytes: then there is nothing to fetch.
    ///
    /// # Errors
    /// When it is there and cannot be read, or `progress` says to stop.
    pub fn holds(
        &self,
        name: &FileName,
        size: u64,
        hash: [u8; 32],
        progress: &mut Progress<'_>,
    ) -> Result<bool, Failure> {
        let Some(file) = place::existing_file(&self.dir, &self.path, name)? else { return Ok(false) };
        let path = self.path_of(name);
        let length = file.metadata().map_err(|error| Failure::io("look at", shown(&path), &error))?.len();
        if length != size {
            return Ok(false);
        }
        match Hashing::default().whole(&file, size, progress) {
            Ok(values) => Ok(Chunking::new(size).merge(&values) == Some(hash)),
            Err(NoHash::Short) => Ok(false),
            Err(NoHash::Stopped) => Err(stopped(&path)),
            Err(NoHash::Unreadable(error)) => Err(Failure::io("read", shown(&path), &error)),
        }
    }

    /// Opens `NAME.part` to write a file of `size` bytes with that BLAKE3 hash: a new one, or what an earlier run left.
    /// Makes the folders the name has, locks the part for this client, and sees that there is room for all of it, which is
    /// reserved for it: that of a large file while it comes. To be called before any byte is requested.
    ///
    /// # Errors
    /// `FILE-EXISTS` when the final name is taken and to be kept; `PART-IN-USE` when another client writes it;
    /// `PART-IN-THE-WAY` when `NAME.part` is no file of ours; `DISK-FULL`, `TOO-LARGE`; `FOLDER-GONE`; or what the
    /// system refuses (`READ-ONLY`, `PERMISSION`). Nothing that was there is lost.
    pub fn begin(&self, name: &FileName, size: u64, hash: [u8; 32], existing: Existing) -> Result<Part, Failure> {
        let place = Place::make(&self.dir, &self.path, name)?;
        place.check_final(existing)?;
        let (file, left, is_new) = place.open_part()?;
        let file = Arc::new(file);
        // Again, now that nobody else can finish this file: whoever did so just before has left its name there.
        let ready = place.check_final(existing).and_then(|()| room::reserve(&file, size, &place.part_path()));
        let reserving = match ready {
            Ok(reserving) => reserving,
            Err(failure) => {
                room::give_back(&file);
                if is_new {
                    place.remove_part_if(&file);
                }
                return Err(failure);
            }
        };
        let chunking = Chunking::new(size);
        let chunks = (0..chunking.count()).map(|_| Chunk::Filling(0)).collect();
        let hashing = Hashing::default();
        let passing = Passing::new(file.clone(), chunking);
        Ok(Part {
            place,
            file,
            reserving,
            size,
            hash,
            existing,
            left,
            chunking,
            chunks,
            hashing,
            passing,
            is_verified: true,
            is_finished: false,
        })
    }
}

impl Part {
    /// Where the file is to be, for people.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.place.final_path()
    }

    /// Where it is while it is written, for people.
    #[must_use]
    pub fn part_path(&self) -> PathBuf {
        self.place.part_path()
    }

    /// How many bytes an earlier run left: where it is zero, [`recheck`](Part::recheck) would find nothing.
    #[must_use]
    pub fn left_behind(&self) -> u64 {
        self.left
    }

    /// Leaves out the hashing of what is written, and the comparison at the end: each datagram's own checksum is all
    /// that is left. What an earlier run left is still compared before it is kept.
    #[must_use]
    pub fn unverified(self) -> Self {
        // `Drop` keeps fields from being moved out one by one.
        let mut part = self;
        part.is_verified = false;
        part
    }

    /// Has a thread of its own hash what is written from now on, where there is one to be had: for files so large, and
    /// machines with so much to spare, that a thread is worth it.
    pub fn hash_beside(&mut self) {
        if let Ok(beside) = Passing::beside(self.file.clone(), self.chunking) {
            self.passing.settle(|value| learn(&mut self.chunks, value));
            self.passing = beside;
        }
    }

    /// How the file is cut into chunks.
    #[must_use]
    pub fn chunking(&self) -> Chunking {
        self.chunking
    }

    /// Which bytes are here already, and right: the chunks that have the values given, as ranges of bytes, lowest first,
    /// none touching another. All others are to be fetched; see [`whole_blocks`].
    ///
    /// # Errors
    /// `CHUNK-VALUES` when the values are not those of this file; when the part cannot be read; when told to stop.
    pub fn recheck(&mut self, values: &[[u8; 32]], progress: &mut Progress<'_>) -> Result<Vec<Range<u64>>, Failure> {
        if self.chunking.merge(values) != Some(self.hash) {
            return Err(Failure::new(
                Exit::Integrity,
                "CHUNK-VALUES",
                format!("the chunk hashes of {} do not belong to its hash", shown(self.path())),
            )
            .hint("the server is broken, or lies"));
        }
        self.passing.settle(drop);
        let length = self.length()?;
        let mut right: Vec<Range<u64>> = Vec::new();
        for (index, (expected, chunk)) in (0_u32..).zip(values.iter().zip(&mut self.chunks)) {
            *chunk = Chunk::Filling(0);
            let range = self.chunking.range(index);
            if range.end > length {
                continue;
            }
            match self.hashing.chunk(&self.file, self.chunking, index, progress) {
                Ok(value) if value == *expected => *chunk = Chunk::Known(value),
                // It is wrong; or somebody who keeps to no lock has shortened the file.
                Ok(_) | Err(NoHash::Short) => continue,
                Err(NoHash::Stopped) => return Err(stopped(&self.place.part_path())),
                Err(NoHash::Unreadable(error)) => return Err(self.failed("read", &error)),
            }
            match right.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ if range.is_empty() => {}
                _ => right.push(range),
            }
        }
        Ok(right)
    }

    /// Writes `bytes` at `offset`. Once it returns, a report may claim them.
    ///
    /// Chunks are hashed as they are written, while their bytes are in the processor's cache; those that are not written
    /// in order are read again when they are full. Some 0.2 ms for each MiB, here or [beside](Part::hash_beside).
    ///
    /// Gives an empty buffer back, to be filled with what comes next.
    ///
    /// # Errors
    /// `BEYOND-END` when they are not of this file; `DISK-FULL` with [`Exit::Partial`], since the part is kept, as soon as
    /// the room for the rest cannot be reserved; or what the system says.
    pub fn write_run(&mut self, offset: u64, bytes: impl Into<Vec<u8>>) -> Result<Vec<u8>, Failure> {
        let mut bytes = bytes.into();
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= self.size);
        let Some(end) = end else {
            let message = format!("{} bytes at {offset} lie beyond the end of {}", bytes.len(), shown(self.path()));
            return Err(Failure::new(Exit::CheckFailed, "BEYOND-END", message));
        };
        self.reserving.check(self.size, &self.part_path())?;
        self.file.write_all_at(&bytes, offset).map_err(|error| self.failed("write to", &error))?;
        if self.is_verified {
            return Ok(self.note_written(offset..end, bytes));
        }
        bytes.clear();
        Ok(bytes)
    }

    /// Whether all bytes are here and are the right ones. Re-reads what was not hashed on the way.
    ///
    /// # Errors
    /// `HASH-MISMATCH` with [`Exit::Integrity`] when they are others: then [`recheck`](Part::recheck) tells which to
    /// fetch again. `INCOMPLETE` when some never came; when the part cannot be read; when told to stop.
    pub fn verify(&mut self, progress: &mut Progress<'_>) -> Result<(), Failure> {
        if !self.is_verified {
            return if self.length()? < self.size { Err(self.incomplete()) } else { Ok(()) };
        }
        if self.whole_hash(progress)? == Some(self.hash) {
            return Ok(());
        }
        // What was hashed on the way is only as good as the count of bytes was: before the file is condemned, all of it
        // is looked at.
        self.chunks.fill(Chunk::Unknown);
        if self.whole_hash(progress)? == Some(self.hash) {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Integrity,
            "HASH-MISMATCH",
            format!("{} is not what the server has: its hash is another", shown(self.path())),
        )
        .hint(format!("run it again: what is right in {} is kept", shown(self.part_path()))))
    }

    /// Verifies, syncs, and gives the file its name for good: it never replaces what it may not, whoever put it there
    /// in the meantime.
    ///
    /// # Errors
    /// Those of [`verify`](Part::verify); `FILE-EXISTS` when the name was taken meanwhile; `PART-GONE` when somebody
    /// removed the part or its folder; or what the system says. The part is kept in every case.
    pub fn finish(mut self, progress: &mut Progress<'_>) -> Result<Finished, Failure> {
        self.verify(progress)?;
        self.reserving.stop();
        if self.length()? > self.size {
            // What was left was of a longer file; now that all before is right, the rest may go.
            self.file.set_len(self.size).map_err(|error| self.failed("cut", &error))?;
        }
        if let Err(error) = self.file.sync_all() {
            room::forget_cached(&self.file);
            return Err(self.failed("sync", &error));
        }
        self.place.check_final(self.existing).map_err(|failure| failure.exit(Exit::Partial))?;
        self.place.rename(&self.file, self.existing)?;
        self.is_finished = true;
        self.place.sync()?;
        Ok(Finished { path: self.path(), size: self.size })
    }

    /// Counts what was written, and hands it to whoever hashes it. Gives an empty buffer back.
    fn note_written(&mut self, written: Range<u64>, bytes: Vec<u8>) -> Vec<u8> {
        let chunk_length = self.chunking.range(0).end.max(1);
        let first = u32::try_from(written.start / chunk_length).unwrap_or(u32::MAX);
        let mut pieces = Vec::new();
        for index in first..self.chunking.count() {
            let range = self.chunking.range(index);
            if range.start >= written.end {
                break;
            }
            let Some(chunk) = self.chunks.get_mut(index as usize) else { break };
            let Chunk::Filling(filled) = *chunk else {
                *chunk = Chunk::Unknown;
                continue;
            };
            let here = range.end.min(written.end) - range.start.max(written.start);
            let filled = filled.saturating_add(here);
            let is_full = filled >= range.end - range.start;
            *chunk = if is_full { Chunk::Full } else { Chunk::Filling(filled) };
            pieces.push((index, is_full));
        }
        self.passing.pass(written.start, bytes, pieces, |value| learn(&mut self.chunks, value))
    }

    /// The hash of all there is; none where bytes that should be there are not.
    fn whole_hash(&mut self, progress: &mut Progress<'_>) -> Result<Option<[u8; 32]>, Failure> {
        self.passing.settle(|value| learn(&mut self.chunks, value));
        let mut values = Vec::with_capacity(self.chunks.len());
        for index in 0..self.chunking.count() {
            match self.chunks.get(index as usize) {
                Some(Chunk::Known(value)) => values.push(*value),
                Some(Chunk::Filling(_) | Chunk::Full | Chunk::Unknown) | None => {
                    values.push(self.hash_chunk(index, progress)?)
                }
            }
        }
        Ok(self.chunking.merge(&values))
    }

    fn hash_chunk(&mut self, index: u32, progress: &mut Progress<'_>) -> Result<[u8; 32], Failure> {
        let value = match self.hashing.chunk(&self.file, self.chunking, index, progress) {
            Ok(value) => value,
            Err(NoHash::Stopped) => return Err(stopped(&self.part_path())),
            Err(NoHash::Unreadable(error)) => return Err(self.failed("read", &error)),
            Err(NoHash::Short) => return Err(self.incomplete()),
        };
        if let Some(chunk) = self.chunks.get_mut(index as usize) {
            *chunk = Chunk::Known(value);
        }
        Ok(value)
    }

    fn incomplete(&self) -> Failure {
        let message = format!("not all bytes of {} have come", shown(self.path()));
        Failure::new(Exit::Partial, "INCOMPLETE", message)
            .hint(format!("run it again: it goes on from {}", shown(self.part_path())))
    }

    fn length(&self) -> Result<u64, Failure> {
        Ok(self.file.metadata().map_err(|error| self.failed("look at", &error))?.len())
    }

    /// What went wrong in the middle: some of it is done, and kept.
    fn failed(&self, operation: &str, error: &std::io::Error) -> Failure {
        Failure::io(operation, shown(self.part_path()), error).exit(Exit::Partial)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // Room that was reserved is room nobody else has.
        self.reserving.stop();
        room::give_back(&self.file);
        if self.file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            self.place.remove_part_if(&self.file);
        }
    }
}

/// The blocks that lie wholly in ranges of bytes that are right, which [`Part::recheck`] gave: what a receiver holds
/// from the start. A block that reaches into a wrong chunk is fetched again.
#[must_use]
pub fn whole_blocks(right: &[Range<u64>], layout: Layout) -> RangeSet {
    let block = u64::from(layout.block());
    let mut held = RangeSet::new();
    for range in right {
        let first = range.start.div_ceil(block);
        let end = if range.end >= layout.size() { layout.blocks() } else { range.end / block };
        // No file has so many chunks that the set is full; and were it so, less held is only more to fetch.
        let _ = held.insert_range(BlockRange::new(first, end));
    }
    held
}

/// What came of a chunk that was full, unless it was written to since.
fn learn(chunks: &mut [Chunk], (index, value): passing::Value) {
    if let Some(chunk) = chunks.get_mut(index as usize).filter(|chunk| **chunk == Chunk::Full) {
        *chunk = value.map_or(Chunk::Unknown, Chunk::Known);
    }
}

fn stopped(path: &Path) -> Failure {
    Failure::new(Exit::Interrupted, "INTERRUPTED", format!("stopped while hashing {}", shown(path)))
}

/// Whether `name` in `dir` is the file that is open.
fn is_named(dir: &Dir, name: &str, file: &File) -> std::io::Result<bool> {
    Ok(is_same_file(&dir.symlink_metadata(name)?, &Metadata::from_file(file)?))
}

/// How many names a file has.
fn names(file: &File) -> std::io::Result<u64> {
    Ok(Metadata::from_file(file)?.nlink())
}
