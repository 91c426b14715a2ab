//! The folder of a benchmark, in memory where there is room, and the random files in it. It is gone when the benchmark is
//! over, however that ends.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use labkit::units::show_bytes;
use labkit::{Exit, Failure};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use super::keeper::Keeper;

/// A folder in memory on every Linux machine.
const MEMORY: &str = "/dev/shm";
/// The file systems that are memory: `TMPFS_MAGIC` and `RAMFS_MAGIC` of linux/magic.h.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
/// Written at once.
const PIECE: usize = 1 << 20;

/// A folder that is gone when this is dropped, and also when we are killed.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    /// Whether it is memory and no disk.
    pub is_memory: bool,
    /// Who takes it away then; it ends processes too.
    pub keeper: Keeper,
}

/// What a folder must have room for.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'a> {
    /// In bytes.
    pub bytes: u64,
    /// In words.
    pub what: &'a str,
    /// What to do where there is too little.
    pub hint: &'a str,
}

impl Scratch {
    /// Makes it: in `chosen`, else in memory, else among temporary files, wherever there is room.
    ///
    /// # Errors
    /// `DISK-FULL` where there is too little room; or what the system refuses.
    pub fn make(chosen: Option<&Path>, needs: Needs<'_>) -> Result<Self, Failure> {
        let usual = [PathBuf::from(MEMORY), std::env::temp_dir()];
        let candidates = chosen.map_or(usual.to_vec(), |chosen| vec![chosen.to_owned()]);
        let mut short = None;
        for base in &candidates {
            let room = match room(base) {
                Ok(room) => room,
                Err(error) if chosen.is_some() => return Err(Failure::io("use the folder", base.display(), &error)),
                Err(_) => continue,
            };
            if room < needs.bytes {
                short = Some((base, room));
                continue;
            }
            let folder = tempfile::Builder::new().prefix("castlab-bench-").tempdir_in(base);
            let folder = folder.map_err(|error| Failure::io("make a folder in", base.display(), &error))?;
            let keeper = Keeper::start(folder.path())?;
            return Ok(Scratch { is_memory: is_memory(folder.path()), folder, keeper });
        }
        let (base, room) = short.unwrap_or((&candidates[0], 0));
        let (needed, room) = (show_bytes(needs.bytes), show_bytes(room));
        let message = format!("the files need {needed} ({}), and {} has room for {room}", needs.what, base.display());
        Err(Failure::new(Exit::Setup, "DISK-FULL", message).hint(needs.hint))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Writes a file of random bytes. They cannot be compressed, and no block is like another; they are the same each time and
/// for each size, as far as it goes; and never zero, so that a hole is none of them.
///
/// # Errors
/// What the system says.
pub fn write_random(path: &Path, size: u64) -> io::Result<()> {
    let (mut file, mut random) = (File::create(path)?, SmallRng::seed_from_u64(42));
    let (mut piece, mut left) = (vec![0; PIECE], size);
    while left > 0 {
        random.fill_bytes(&mut piece);
        piece.iter_mut().for_each(|byte| *byte |= u8::from(*byte == 0));
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
        file.write_all(&piece[..now])?;
        left -= now as u64;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(bytes: u64) -> Needs<'static> {
        Needs { bytes, what: "2 clients", hint: "less" }
    }

    #[test]
    fn random_files_have_their_size_no_zeros_and_the_same_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let [short, long] = [3, 2_000_000].map(|size| {
            let path = folder.path().join(size.to_string());
            write_random(&path, size).unwrap();
            let bytes = std::fs::read(path).unwrap();
            assert!(bytes.len() as u64 == size && !bytes.contains(&0));
            bytes
        });
        assert!(long.starts_with(&short));
    }

    #[test]
    fn too_little_room_is_said_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Scratch::make(Some(folder.path()), needs(1 << 60)).unwrap_err();
        assert_eq!((failure.code, failure.exit), ("DISK-FULL", Exit::Setup));
        assert!(failure.message.contains("1.00 EiB (2 clients)"), "{failure}");
        let failure = Scratch::make(Some(Path::new("/no/such/folder")), needs(1)).unwrap_err();
        assert!(failure.message.contains("/no/such/folder"), "{failure}");
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
    }

    #[test]
    fn nothing_is_left_behind() {
        let scratch = Scratch::make(None, needs(1)).unwrap();
        let path = scratch.path().to_owned();
        write_random(&path.join("file"), 1).unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
