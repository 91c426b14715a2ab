//! Where the files of a benchmark lie: the sources, one folder for each size, and what is received, for as long as a run
//! takes.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use labkit::units::show_bytes;
use labkit::{Exit, Failure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

/// What every source is called, in a folder of its own.
pub(super) const NAME: &str = "file.bin";
/// The file systems that are memory: `TMPFS_MAGIC` and `RAMFS_MAGIC` of linux/magic.h.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// A folder that is gone when the benchmark is over.
#[derive(Debug)]
pub(super) struct Place {
    folder: TempDir,
    /// Whether it is memory and no disk.
    pub(super) is_memory: bool,
}

impl Place {
    /// Makes it: in `chosen`, else where there is room for the sources and for `copies` of the largest.
    pub(super) fn make(chosen: Option<&Path>, sizes: &[u64], copies: u16) -> Result<Self, Failure> {
        let largest = sizes.iter().copied().max().unwrap_or(0);
        let needed = sizes.iter().sum::<u64>() + largest * u64::from(copies);
        let usual = [PathBuf::from("/dev/shm"), std::env::temp_dir()];
        let candidates = chosen.map_or(usual.to_vec(), |chosen| vec![chosen.to_owned()]);
        let mut short = None;
        for base in &candidates {
            let room = match room(base) {
                Ok(room) => room,
                Err(error) if chosen.is_some() => return Err(Failure::io("use the folder", base.display(), &error)),
                Err(_) => continue,
            };
            if room < needed {
                short = Some((base, room));
                continue;
            }
            let folder = tempfile::Builder::new().prefix("castlab-matrix-").tempdir_in(base);
            let folder = folder.map_err(|error| Failure::io("make a folder in", base.display(), &error))?;
            return Ok(Place { is_memory: is_memory(folder.path()), folder });
        }
        let (base, room) = short.unwrap_or((&candidates[0], 0));
        let message = format!(
            "the files need {} ({copies} clients of {}, and the sources), and {} has room for {}",
            show_bytes(needed),
            show_bytes(largest),
            base.display(),
            show_bytes(room)
        );
        Err(Failure::new(Exit::Setup, "DISK-FULL", message)
            .hint("smaller --sizes, fewer --clients, or another --scratch"))
    }

    /// Makes the source of this size: random bytes, the same each time, never zero, so that a hole is none of them.
    pub(super) fn make_source(&self, size: u64) -> Result<(), Failure> {
        let path = self.source(size);
        write(&path, size).map_err(|error| Failure::io("write", path.display(), &error))
    }

    /// The folder that holds the source of this size, and nothing else.
    pub(super) fn root(&self, size: u64) -> PathBuf {
        self.folder.path().join(format!("source-{size}"))
    }

    pub(super) fn source(&self, size: u64) -> PathBuf {
        self.root(size).join(NAME)
    }

    /// Where one process of clients puts what it receives.
    pub(super) fn output(&self, process: usize) -> PathBuf {
        self.folder.path().join("received").join(process.to_string())
    }

    /// Takes away what was received.
    pub(super) fn clear(&self) -> Result<(), Failure> {
        let path = self.folder.path().join("received");
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::io("empty", path.display(), &error)),
            _ => Ok(()),
        }
    }
}

/// How many bytes may still be written there.
fn room(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn is_memory(path: &Path) -> bool {
    let magic = rustix::fs::statfs(path).ok().and_then(|stat| u64::try_from(stat.f_type).ok());
    magic.is_some_and(|magic| IN_MEMORY.contains(&magic))
}

fn write(path: &Path, size: u64) -> io::Result<()> {
    path.parent().map(std::fs::create_dir_all).transpose()?;
    let (mut file, mut random) = (File::create(path)?, StdRng::seed_from_u64(size));
    let mut piece = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        random.fill_bytes(&mut piece);
        piece.iter_mut().for_each(|byte| *byte |= u8::from(*byte == 0));
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        file.write_all(&piece[..now])?;
        left -= now as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_their_size_and_no_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::make(Some(folder.path()), &[3, 2_000_000], 2).unwrap();
        for size in [3, 2_000_000] {
            place.make_source(size).unwrap();
            let bytes = std::fs::read(place.source(size)).unwrap();
            assert_eq!(bytes.len() as u64, size);
            assert!(!bytes.contains(&0));
        }
        place.clear().unwrap();
        let path = place.folder.path().to_owned();
        drop(place);
        assert!(!path.exists());
    }

    #[test]
    fn too_little_room_is_said_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Place::make(Some(folder.path()), &[1 << 60], 2).unwrap_err();
        assert!(failure.code == "DISK-FULL" && failure.message.contains("2 clients of 1.00 EiB"), "{failure}");
        assert!(
            Place::make(Some(Path::new("/no/such/folder")), &[1], 1).unwrap_err().message.contains("/no/such/folder")
        );
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
    }
}
