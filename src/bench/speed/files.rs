//! The files that are moved: random bytes in a folder in memory, and the comparison of what arrived with them.

use std::path::PathBuf;

use labkit::Failure;

use crate::bench::keeper::Keeper;
use crate::bench::received::{self, Compared};
use crate::bench::scratch::{Needs, Scratch, write_random};

/// A file of this size makes servers ready.
pub(super) const SMALL: u64 = 1 << 16;

/// The folders of a benchmark; gone when this is dropped.
#[derive(Debug)]
pub(super) struct Files {
    scratch: Scratch,
    /// What to say of the folder, where it is not in memory.
    pub(super) note: Option<String>,
}

impl Files {
    /// Makes the folders, where there is room for `needed` bytes.
    pub(super) fn make(needed: u64) -> Result<Self, Failure> {
        let what = "what is served, and what lands in a run";
        let scratch = Scratch::make(None, Needs { bytes: needed, what, hint: "make room, or give a smaller --size" })?;
        let place = scratch.path().display();
        let note = format!("files are in {place}, which is not in memory: its disk is measured too");
        let files = Files { note: (!scratch.is_memory).then_some(note), scratch };
        for path in [files.root(), files.out(), files.desk()] {
            std::fs::create_dir(&path).map_err(|error| Failure::io("make", path.display(), &error))?;
        }
        Ok(files)
    }

    /// Who ends the processes of this benchmark if we are killed.
    pub(super) fn keeper(&self) -> &Keeper {
        &self.scratch.keeper
    }

    /// What is served.
    pub(super) fn root(&self) -> PathBuf {
        self.scratch.path().join("root")
    }

    /// Where files land.
    pub(super) fn out(&self) -> PathBuf {
        self.scratch.path().join("out")
    }

    /// Configuration and logs.
    pub(super) fn desk(&self) -> PathBuf {
        self.scratch.path().join("desk")
    }

    /// The served file of that size.
    pub(super) fn name(size: u64) -> String {
        format!("random-{size}.bin")
    }

    /// Writes the file of that size. Of all sizes the bytes are the same, as far as they go.
    pub(super) fn write(&self, size: u64) -> Result<(), Failure> {
        let path = self.root().join(Self::name(size));
        write_random(&path, size).map_err(|error| Failure::io("write", path.display(), &error))
    }

    /// What landed, in bytes: and whether that is `copies` whole copies of the file of `size`, to the bit.
    pub(super) fn check(&self, size: u64, copies: u16) -> Result<(u64, bool), Failure> {
        let source = self.root().join(Self::name(size));
        let (mut bytes, mut whole) = (0, 0);
        for path in self.landed()? {
            let failed = |error: std::io::Error| Failure::io("compare", path.display(), &error);
            bytes += std::fs::metadata(&path).map_err(failed)?.len();
            whole += u16::from(received::whole(&source, &path).map_err(failed)? == Compared::Same);
        }
        Ok((bytes, whole == copies))
    }

    /// Takes away what landed.
    pub(super) fn clear(&self) -> Result<(), Failure> {
        for path in self.landed()? {
            std::fs::remove_file(&path).map_err(|error| Failure::io("remove", path.display(), &error))?;
        }
        Ok(())
    }

    fn landed(&self) -> Result<Vec<PathBuf>, Failure> {
        let (mut landed, mut open) = (Vec::new(), vec![self.out()]);
        while let Some(folder) = open.pop() {
            let failed = |error: std::io::Error| Failure::io("list", folder.display(), &error);
            for entry in std::fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let is_folder = entry.file_type().map_err(failed)?.is_dir();
                if is_folder { open.push(entry.path()) } else { landed.push(entry.path()) }
            }
        }
        Ok(landed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_whole_only_when_every_bit_of_it_is_right() {
        let files = Files::make(1 << 20).unwrap();
        files.write(3_000_000).unwrap();
        let source = files.root().join(Files::name(3_000_000));
        let copy = files.out().join("copy");
        std::fs::copy(&source, &copy).unwrap();
        assert_eq!(files.check(3_000_000, 1).unwrap(), (3_000_000, true));
        assert_eq!(files.check(3_000_000, 2).unwrap(), (3_000_000, false), "one is missing");

        let mut bytes = std::fs::read(&copy).unwrap();
        bytes[2_999_999] ^= 1;
        std::fs::write(&copy, &bytes).unwrap();
        assert_eq!(files.check(3_000_000, 1).unwrap(), (3_000_000, false));
        std::fs::write(&copy, &bytes[..2_999_999]).unwrap();
        assert_eq!(files.check(3_000_000, 1).unwrap(), (2_999_999, false));
        files.clear().unwrap();
        assert_eq!(files.check(3_000_000, 0).unwrap(), (0, true));
    }
}
