//! Where the files of a benchmark lie: the sources, one folder for each size, and what is received, for as long as a run
//! takes.

use std::io;
use std::path::{Path, PathBuf};

use labkit::Failure;
use labkit::units::show_bytes;

use crate::bench::scratch::{Needs, Scratch, write_random};

/// What every source is called, in a folder of its own.
pub(super) const NAME: &str = "file.bin";

/// A folder that is gone when the benchmark is over.
#[derive(Debug)]
pub(super) struct Place(Scratch);

impl Place {
    /// Makes it: in `chosen`, else where there is room for the sources and for `copies` of the largest.
    pub(super) fn make(chosen: Option<&Path>, sizes: &[u64], copies: u16) -> Result<Self, Failure> {
        let largest = sizes.iter().copied().max().unwrap_or(0);
        let bytes = sizes.iter().copied().fold(largest.saturating_mul(copies.into()), u64::saturating_add);
        let what = format!("{copies} clients of {}, and the sources", show_bytes(largest));
        let hint = "smaller --sizes, fewer --clients, or another --scratch";
        Scratch::make(chosen, Needs { bytes, what: &what, hint }).map(Place)
    }

    /// Whether it is memory and no disk.
    pub(super) fn is_memory(&self) -> bool {
        self.0.is_memory
    }

    /// Makes the source of this size: random bytes.
    pub(super) fn make_source(&self, size: u64) -> Result<(), Failure> {
        let (root, path) = (self.root(size), self.source(size));
        std::fs::create_dir_all(&root).map_err(|error| Failure::io("make", root.display(), &error))?;
        write_random(&path, size).map_err(|error| Failure::io("write", path.display(), &error))
    }

    /// The folder that holds the source of this size, and nothing else.
    pub(super) fn root(&self, size: u64) -> PathBuf {
        self.0.path().join(format!("source-{size}"))
    }

    pub(super) fn source(&self, size: u64) -> PathBuf {
        self.root(size).join(NAME)
    }

    /// Where one process of clients puts what it receives.
    pub(super) fn output(&self, process: usize) -> PathBuf {
        self.0.path().join("received").join(process.to_string())
    }

    /// Takes away what was received.
    pub(super) fn clear(&self) -> Result<(), Failure> {
        let path = self.0.path().join("received");
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::io("empty", path.display(), &error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_a_folder_of_its_own_and_what_is_received_goes() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::make(Some(folder.path()), &[3, 2_000_000], 2).unwrap();
        for size in [3, 2_000_000] {
            place.make_source(size).unwrap();
            assert_eq!(std::fs::metadata(place.source(size)).unwrap().len(), size);
        }
        place.clear().unwrap();
        std::fs::create_dir_all(place.output(0)).unwrap();
        place.clear().unwrap();
        assert!(!place.output(0).exists() && place.source(3).exists());
    }

    #[test]
    fn room_is_needed_for_every_copy() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Place::make(Some(folder.path()), &[1 << 60], 2).unwrap_err();
        assert!(failure.code == "DISK-FULL" && failure.message.contains("2 clients of 1.00 EiB"), "{failure}");
    }
}
