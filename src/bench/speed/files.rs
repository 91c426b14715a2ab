//! The files that are moved: random bytes in a folder in memory, and the comparison of what arrived with them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use labkit::units::show_bytes;
use labkit::{Exit, Failure};
use nix::sys::statvfs::statvfs;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

/// A folder in memory on every Linux machine.
const MEMORY: &str = "/dev/shm";
/// Read and written at once.
const PIECE: usize = 1 << 20;
/// A file of this size makes servers ready.
pub(super) const SMALL: u64 = 1 << 16;

/// The folders of a benchmark; gone when this is dropped.
#[derive(Debug)]
pub(super) struct Files {
    folder: TempDir,
    made: BTreeSet<u64>,
    /// What to say of the folder, where it is not in memory.
    pub(super) note: Option<String>,
}

impl Files {
    /// Makes the folders, where there is room for `needed` bytes.
    pub(super) fn make(needed: u64) -> Result<Self, Failure> {
        let (parent, note) = if Path::new(MEMORY).is_dir() {
            (PathBuf::from(MEMORY), None)
        } else {
            let parent = std::env::temp_dir();
            let note =
                format!("{MEMORY} is not there: files are in {}, and its disk is measured too", parent.display());
            (parent, Some(note))
        };
        let failed = |what, error: &std::io::Error| Failure::io(what, parent.display(), error);
        let room = statvfs(&parent).map_err(|error| failed("look at", &error.into()))?;
        let room = room.blocks_available().saturating_mul(room.fragment_size());
        if room < needed {
            let (has, needs) = (show_bytes(room), show_bytes(needed));
            let message = format!("{} has room for {has}, and the files need {needs}", parent.display());
            return Err(Failure::new(Exit::Setup, "NO-ROOM", message).hint("make room, or give a smaller --size"));
        }
        let folder = tempfile::Builder::new().prefix("castlab-bench-").tempdir_in(&parent);
        let folder = folder.map_err(|error| failed("make a folder in", &error))?;
        let files = Files { folder, made: BTreeSet::new(), note };
        for path in [files.root(), files.out(), files.desk()] {
            std::fs::create_dir(&path).map_err(|error| Failure::io("make", path.display(), &error))?;
        }
        Ok(files)
    }

    /// What is served.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Where files land.
    pub(super) fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Configuration and logs.
    pub(super) fn desk(&self) -> PathBuf {
        self.folder.path().join("desk")
    }

    /// The served file of that size.
    pub(super) fn name(size: u64) -> String {
        format!("random-{size}.bin")
    }

    /// Writes the file of that size, where it is not there yet. Of all sizes the bytes are the same, as far as they go.
    pub(super) fn write(&mut self, size: u64) -> Result<(), Failure> {
        if !self.made.insert(size) {
            return Ok(());
        }
        let path = self.root().join(Self::name(size));
        fill(&path, size).map_err(|error| Failure::io("write", path.display(), &error))
    }

    /// What landed, in bytes: and whether that is `copies` whole copies of the file of `size`, to the bit.
    pub(super) fn check(&self, size: u64, copies: u16) -> Result<(u64, bool), Failure> {
        let source = self.root().join(Self::name(size));
        let (mut bytes, mut whole) = (0, 0);
        for path in self.landed()? {
            let failed = |error: std::io::Error| Failure::io("compare", path.display(), &error);
            bytes += std::fs::metadata(&path).map_err(failed)?.len();
            whole += u16::from(are_equal(&source, &path).map_err(failed)?);
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

fn fill(path: &Path, size: u64) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    // Which bytes does not matter, but that they cannot be compressed, and that no block is like another.
    let mut random = SmallRng::seed_from_u64(42);
    let (mut piece, mut left) = (vec![0; PIECE], size);
    while left > 0 {
        random.fill_bytes(&mut piece);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
        file.write_all(&piece[..length])?;
        left -= length as u64;
    }
    Ok(())
}

fn are_equal(one: &Path, other: &Path) -> std::io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut first, mut second) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let length = one.read(&mut first)?;
        if length == 0 {
            return Ok(true);
        }
        other.read_exact(&mut second[..length])?;
        if first[..length] != second[..length] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_whole_only_when_every_bit_of_it_is_right() {
        let mut files = Files::make(1 << 20).unwrap();
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

    #[test]
    fn no_room_is_said_before_anything_is_written() {
        let failure = Files::make(u64::MAX).unwrap_err();
        assert_eq!((failure.code, failure.exit), ("NO-ROOM", Exit::Setup));
    }

    #[test]
    fn nothing_is_left_behind() {
        let mut files = Files::make(1 << 20).unwrap();
        files.write(SMALL).unwrap();
        let folder = files.root();
        drop(files);
        assert!(!folder.exists());
    }
}
