//! Where fetched files land: in one folder, never over a file that was there, never through a link.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use labkit::{Exit, Failure};

use crate::FileName;

/// What to do when a file of that name is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and say so.
    #[default]
    Keep,
    /// Replace it, once there is something to replace it with (`--force`).
    Replace,
}

/// The folder files land in. Clones share its handle.
#[derive(Clone, Debug)]
pub struct Folder {
    folder: Arc<Dir>,
    path: PathBuf,
}

/// A file that is being written. Dropped without [`Landing::keep`], it is removed, and what was there before is there
/// again.
#[derive(Debug)]
pub struct Landing {
    folder: Folder,
    /// The name it is to have.
    name: FileName,
    /// The name it has while it is written, where that is another.
    temporary: Option<String>,
    file: File,
    is_kept: bool,
}

impl Folder {
    /// Opens the folder at `path`, making it where it is not there.
    ///
    /// # Errors
    /// When it can be neither opened nor made.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::io("open the output folder", path.display(), &error);
        std::fs::create_dir_all(path).map_err(failed)?;
        let folder = Dir::open_ambient_dir(path, ambient_authority()).map_err(failed)?;
        Ok(Folder { folder: Arc::new(folder), path: path.to_owned() })
    }

    /// Where `name` lies, for people.
    #[must_use]
    pub fn path_of(&self, name: &FileName) -> PathBuf {
        self.path.join(name.as_str())
    }

    /// Creates a file to write to.
    ///
    /// # Errors
    /// When a file of that name is there and is to be kept, or the system refuses (read-only, full, no permission).
    pub fn create(&self, name: FileName, existing: Existing) -> Result<Landing, Failure> {
        // A name that nobody else has: `.part` belongs to a reliable transfer, which may want to go on with it.
        let unique = || format!(".{}.{}.incoming", name.as_str(), std::process::id());
        let temporary = (existing == Existing::Replace).then(unique);
        let written = temporary.as_deref().unwrap_or(name.as_str());
        // Neither replaces nor follows: O_EXCL refuses whatever is there, a dangling link too (open(2)).
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let path = self.path.join(written);
        let file = match self.folder.open_with(written, &options) {
            Ok(file) => file.into_std(),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Failure::new(Exit::Setup, "FILE-EXISTS", format!("{} is there already", path.display()))
                    .hint("--force replaces it; -o DIR writes to another folder"));
            }
            Err(error) => return Err(Failure::io("create", path.display(), &error)),
        };
        Ok(Landing { folder: self.clone(), name, temporary, file, is_kept: false })
    }
}

impl Landing {
    /// The name it is to have.
    #[must_use]
    pub fn name(&self) -> &FileName {
        &self.name
    }

    /// Where it is to be, for people.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path_of(&self.name)
    }

    /// The file to write to.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Whether keeping it would take the place of something that is there.
    #[must_use]
    pub fn replaces(&self) -> bool {
        self.temporary.is_some() && self.folder.folder.symlink_metadata(self.name.as_str()).is_ok()
    }

    /// Gives the file its name for good.
    ///
    /// # Errors
    /// When it cannot be renamed; it is removed then.
    pub fn keep(mut self) -> Result<(), Failure> {
        if let Some(temporary) = &self.temporary {
            let dir = &self.folder.folder;
            dir.rename(temporary, dir, self.name.as_str())
                .map_err(|error| Failure::io("rename to", self.path().display(), &error))?;
        }
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if !self.is_kept {
            let written = self.temporary.as_deref().unwrap_or(self.name.as_str());
            // Nothing is left to do when that fails too.
            let _ = self.folder.folder.remove_file(written);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    fn name(text: &str) -> FileName {
        FileName::parse(text).unwrap()
    }

    fn land(folder: &Folder, text: &str, existing: Existing) -> Result<(), Failure> {
        let landing = folder.create(name("a"), existing)?;
        landing.file().write_all(text.as_bytes()).unwrap();
        landing.keep()
    }

    #[test]
    fn a_file_that_is_there_is_left_alone_unless_told() {
        let root = tempfile::tempdir().unwrap();
        let (folder, path) = (Folder::open(root.path()).unwrap(), root.path().join("a"));
        land(&folder, "one", Existing::Keep).unwrap();
        let failure = land(&folder, "two", Existing::Keep).unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Setup, "FILE-EXISTS"));
        assert!(failure.message.contains(&path.display().to_string()), "{failure}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        land(&folder, "two", Existing::Replace).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1, "no part file is left");
    }

    #[test]
    fn what_is_not_kept_leaves_no_trace_and_replaces_nothing() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        drop(folder.create(name("a"), Existing::Keep).unwrap());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
        land(&folder, "one", Existing::Keep).unwrap();
        let replacing = folder.create(name("a"), Existing::Replace).unwrap();
        assert!(replacing.replaces() && !folder.create(name("b"), Existing::Replace).unwrap().replaces());
        drop(replacing);
        assert_eq!(std::fs::read_to_string(root.path().join("a")).unwrap(), "one");
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (folder, target) = (Folder::open(root.path()).unwrap(), outside.path().join("precious"));
        std::fs::write(&target, "precious").unwrap();
        symlink(&target, root.path().join("a")).unwrap();
        assert_eq!(land(&folder, "x", Existing::Keep).unwrap_err().code, "FILE-EXISTS");
        land(&folder, "x", Existing::Replace).unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
        assert!(root.path().join("a").symlink_metadata().unwrap().is_file());

        std::fs::remove_file(root.path().join("a")).unwrap();
        symlink(outside.path().join("not yet"), root.path().join("a")).unwrap();
        assert_eq!(land(&folder, "x", Existing::Keep).unwrap_err().code, "FILE-EXISTS", "a dangling link is there too");
        assert!(!outside.path().join("not yet").exists());
    }

    #[test]
    fn a_missing_folder_is_made_and_a_file_in_its_place_is_told() {
        let root = tempfile::tempdir().unwrap();
        land(&Folder::open(&root.path().join("new/inner")).unwrap(), "x", Existing::Keep).unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        let failure = Folder::open(&root.path().join("file")).unwrap_err();
        assert!(failure.message.contains("file"), "{failure}");
    }
}
