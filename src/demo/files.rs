//! The file that is transferred: made anew for each demo, gone after it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use labkit::Failure;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

/// A folder with one file on offer, and room for what is fetched.
pub(super) struct Files {
    folder: TempDir,
}

impl Files {
    pub(super) const NAME: &str = "video.bin";
    pub(super) const SIZE: u64 = 16 << 20;

    /// Makes the file, of random bytes that are the same for the same seed.
    pub(super) async fn make(seed: u64) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(|error| Failure::io("make", "a temporary folder", &error))?;
        let files = Files { folder };
        let path = files.original();
        let written = spawn_blocking(move || {
            write(&path, seed).map_err(|error: io::Error| Failure::io("write", path.display(), &error))
        });
        written.await.expect("writing a file does not panic")?;
        Ok(files)
    }

    pub(super) fn offered(&self) -> PathBuf {
        self.folder.path().join("offered")
    }

    pub(super) fn original(&self) -> PathBuf {
        self.offered().join(Self::NAME)
    }

    pub(super) fn fetched(&self, how: &str) -> PathBuf {
        self.folder.path().join(how)
    }
}

fn write(path: &Path, seed: u64) -> io::Result<()> {
    path.parent().map(std::fs::create_dir_all).transpose()?;
    let (mut file, mut random) = (File::create(path)?, StdRng::seed_from_u64(seed));
    let mut piece = vec![0; 1 << 20];
    let mut left = Files::SIZE;
    while left > 0 {
        random.fill_bytes(&mut piece);
        file.write_all(&piece)?;
        left -= piece.len() as u64;
    }
    Ok(())
}
