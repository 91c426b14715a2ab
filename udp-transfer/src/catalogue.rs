//! The files a server offers: the regular files directly in one folder, which nobody can lead out of.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use labkit::Failure;
use nix::errno::Errno;

use crate::FileName;

/// How many entries of the folder a listing looks at: a bound on what one question can cost.
const MOST_ENTRIES: usize = 10_000;

/// A folder of files. Clones share the folder's handle; a folder that is renamed meanwhile is still the same.
#[derive(Clone, Debug)]
pub struct Catalogue {
    folder: Arc<Dir>,
    path: PathBuf,
}

/// What a folder offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The names, sorted.
    pub names: Vec<FileName>,
    /// Entries that are not offered: folders, links, devices, names no line of text can carry.
    pub passed_over: usize,
    /// Whether there were more than a listing looks at.
    pub is_cut: bool,
}

/// A file opened for serving, and its size at that moment, in bytes.
#[derive(Debug)]
pub struct Source {
    /// The file. Read it by position: the handle may be shared.
    pub file: File,
    /// How many bytes it had when it was opened.
    pub size: u64,
}

/// Why a file is not served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No entry has that name.
    #[error("no such file")]
    Missing,
    /// A folder, link, device, socket or FIFO.
    #[error("not a regular file")]
    Irregular,
    /// The system refuses.
    #[error("cannot be opened: {0}")]
    Refused(io::Error),
}

impl Catalogue {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// When it is not there, is no folder, or may not be read.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let opened = Dir::open_ambient_dir(path, ambient_authority());
        let folder = opened.map_err(|error| Failure::io("open the folder", path.display(), &error))?;
        let catalogue = Catalogue { folder: Arc::new(folder), path: path.to_owned() };
        catalogue.list().map_err(|error| Failure::io("list the folder", path.display(), &error))?;
        Ok(catalogue)
    }

    /// Where the folder was when it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the folder offers now. Reads the disk.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> io::Result<Listing> {
        let mut listing = Listing::default();
        for (index, entry) in self.folder.entries()?.enumerate() {
            if index == MOST_ENTRIES {
                listing.is_cut = true;
                break;
            }
            let entry = entry?;
            // The kind of the entry itself: a link is a link, wherever it leads.
            let is_regular = entry.file_type().is_ok_and(|kind| kind.is_file());
            match entry.file_name().to_str().map(FileName::parse) {
                Some(Ok(name)) if is_regular => listing.names.push(name),
                _ => listing.passed_over += 1,
            }
        }
        listing.names.sort_unstable();
        Ok(listing)
    }

    /// Opens one file for reading. Never leaves the folder, follows no link, and waits for nobody.
    ///
    /// # Errors
    /// When there is no such file, it is not a regular one, or the system refuses.
    pub fn open_file(&self, name: &FileName) -> Result<Source, OpenError> {
        // Looked at before opening, because opening alone can set a device going; and again after, because what was
        // looked at may have been replaced meanwhile.
        if !self.folder.symlink_metadata(name.as_str()).map_err(refused)?.is_file() {
            return Err(OpenError::Irregular);
        }
        let mut options = OpenOptions::new();
        options.read(true).follow(FollowSymlinks::No).nonblock(true);
        let file = self.folder.open_with(name.as_str(), &options).map_err(refused)?.into_std();
        let metadata = file.metadata().map_err(refused)?;
        if !metadata.is_file() {
            return Err(OpenError::Irregular);
        }
        Ok(Source { file, size: metadata.len() })
    }
}

fn refused(error: io::Error) -> OpenError {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => OpenError::Missing,
        // What an open that follows no links says of a link, and any open of a socket (open(2)).
        Some(Errno::ELOOP | Errno::ENXIO) => OpenError::Irregular,
        _ => OpenError::Refused(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{FileExt, symlink};

    use super::*;

    fn names(listing: &Listing) -> Vec<&str> {
        listing.names.iter().map(FileName::as_str).collect()
    }

    fn open(catalogue: &Catalogue, name: &str) -> Result<Source, OpenError> {
        catalogue.open_file(&FileName::parse(name).unwrap())
    }

    #[test]
    fn only_regular_files_directly_in_the_folder_are_offered() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::write(at("b.bin"), "bb").unwrap();
        std::fs::write(at("a file.txt"), "a").unwrap();
        std::fs::write(at("Grüße ✓"), "").unwrap();
        std::fs::write(at("two\nlines"), "").unwrap();
        std::fs::write(root.path().join(std::ffi::OsStr::from_bytes(b"bad\xff")), "").unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("folder/inner"), "i").unwrap();
        symlink(outside.path().join("secret"), at("out")).unwrap();
        symlink("b.bin", at("inside")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink("/dev/zero", at("zero")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _held = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();

        let catalogue = Catalogue::open(root.path()).unwrap();
        let listing = catalogue.list().unwrap();
        assert_eq!(names(&listing), ["Grüße ✓", "a file.txt", "b.bin"]);
        assert_eq!((listing.passed_over, listing.is_cut), (10, false));

        for irregular in ["folder", "out", "inside", "dangling", "loop", "zero", "fifo", "socket"] {
            assert!(matches!(open(&catalogue, irregular), Err(OpenError::Irregular)), "{irregular}");
        }
        assert!(matches!(open(&catalogue, "nothing"), Err(OpenError::Missing)));
        assert_eq!(open(&catalogue, "b.bin").unwrap().size, 2);
    }

    #[test]
    fn devices_are_refused() {
        let catalogue = Catalogue::open(Path::new("/dev")).unwrap();
        for device in ["null", "zero", "full"] {
            assert!(matches!(open(&catalogue, device), Err(OpenError::Irregular)), "{device}");
        }
    }

    #[test]
    fn a_file_over_4_gib_is_read_at_any_offset() {
        let root = tempfile::tempdir().unwrap();
        let size = 5 << 30;
        let file = File::create(root.path().join("sparse")).unwrap();
        file.set_len(size).unwrap();
        file.write_all_at(b"end", size - 3).unwrap();
        let source = open(&Catalogue::open(root.path()).unwrap(), "sparse").unwrap();
        assert_eq!(source.size, size);
        let mut end = [0; 3];
        source.file.read_exact_at(&mut end, size - 3).unwrap();
        assert_eq!(&end, b"end");
    }

    #[test]
    fn a_folder_that_is_none_is_told_by_its_name() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        for (path, code) in [(root.path().join("missing"), "NOT-FOUND"), (file, "NOT-A-FOLDER")] {
            let failure = Catalogue::open(&path).unwrap_err();
            assert_eq!(failure.code, code, "{failure}");
            assert!(failure.message.contains(&path.display().to_string()), "{failure}");
        }
    }

    #[test]
    fn a_huge_folder_costs_no_more_than_the_bound() {
        let root = tempfile::tempdir().unwrap();
        for index in 0..=MOST_ENTRIES {
            File::create(root.path().join(index.to_string())).unwrap();
        }
        let listing = Catalogue::open(root.path()).unwrap().list().unwrap();
        assert_eq!((listing.names.len(), listing.is_cut), (MOST_ENTRIES, true));
    }
}
