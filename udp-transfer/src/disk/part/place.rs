//! A file's place in the output folder: the folder it lies in, its name while it is written, and its name for good.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use arq::catalogue::FileName;
use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, MetadataExt, OpenOptions};
use labkit::{Exit, Failure};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::{Existing, is_named, names};
use crate::disk::shown;
use crate::disk::walk::{NoWay, folder_of, open_regular, open_regular_with};

/// How the name of a file ends while it is written.
const ENDING: &str = ".part";
/// The longest part of a name file systems take, in bytes (`NAME_MAX`).
const LONGEST: usize = 255;
/// How often a part that is taken away under our hands is opened again: others finish or give up a few times, not for
/// ever.
const TRIES: u32 = 16;

/// Where one file goes.
#[derive(Debug)]
pub(super) struct Place {
    /// The folder it lies in.
    dir: Dir,
    /// The path of that folder, for people.
    path: PathBuf,
    /// Its name for good.
    name: String,
    /// Its name while it is written.
    part: String,
}

impl Place {
    /// The place of `name`, with all folders it needs.
    pub(super) fn make(root: &Dir, path: &Path, name: &FileName) -> Result<Self, Failure> {
        let mut dir = root.try_clone().map_err(|error| Failure::io("open", shown(path), &error))?;
        let mut path = path.to_owned();
        let mut parts: Vec<&str> = name.parts().collect();
        let last = parts.pop().unwrap_or_default();
        if last.ends_with(ENDING) {
            let message = format!("{} would be taken for a file that is not whole", shown(path.join(name.as_str())));
            return Err(Failure::new(Exit::Setup, "NAME", message).hint("files that end in .part are not fetched"));
        }
        for part in parts {
            path.push(part);
            dir = enter(&dir, part).map_err(|error| folder_failure("make the folder", &path, &dir, &error))?;
        }
        Ok(Place { dir, path, name: last.to_owned(), part: part_name(last) })
    }

    pub(super) fn final_path(&self) -> PathBuf {
        self.path.join(&self.name)
    }

    pub(super) fn part_path(&self) -> PathBuf {
        self.path.join(&self.part)
    }

    /// Whether the final name is free, or a file that may be replaced.
    pub(super) fn check_final(&self, existing: Existing) -> Result<(), Failure> {
        let found = match self.dir.symlink_metadata(&self.name) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Failure::io("look at", shown(self.final_path()), &error)),
        };
        match existing {
            Existing::Keep => Err(self.taken()),
            Existing::Replace if found.is_file() => Ok(()),
            Existing::Replace => {
                let message = format!("{} is there already and is no ordinary file", shown(self.final_path()));
                Err(Failure::new(Exit::Setup, "NOT-A-FILE", message)
                    .hint("only ordinary files are replaced: remove it yourself, or -o DIR writes to another folder"))
            }
        }
    }

    /// Opens the part, new or left by an earlier run, and locks it. Tells how long it was, and whether it is new.
    pub(super) fn open_part(&self) -> Result<(File, u64, bool), Failure> {
        for _ in 0..TRIES {
            let Some((file, is_new)) = self.try_open()? else { continue };
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    let message = format!("another client is writing {}", shown(self.part_path()));
                    return Err(Failure::new(Exit::Setup, "PART-IN-USE", message)
                        .hint("wait for it, or -o DIR writes to another folder"));
                }
                Err(error) => return Err(self.failed("lock", &io::Error::from(error))),
            }
            // Between opening and locking, whoever had the lock may have finished: then this is the finished file, and
            // the part is another one by now.
            match is_named(&self.dir, &self.part, &file) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(self.failed("look at", &error)),
            }
            let names = names(&file).map_err(|error| self.failed("look at", &error))?;
            if names != 1 {
                // Writing to it would change what lies under its other name.
                return Err(self.in_the_way("has another name too"));
            }
            let metadata = file.metadata().map_err(|error| self.failed("look at", &error))?;
            make_harmless(&file, &metadata).map_err(|error| self.failed("change the mode of", &error))?;
            return Ok((file, metadata.len(), is_new));
        }
        let message = format!("{} is replaced again and again", shown(self.part_path()));
        Err(Failure::new(Exit::Setup, "PART-IN-USE", message).hint("is another program at work in that folder?"))
    }

    /// Gives the open part its final name.
    pub(super) fn rename(&self, file: &File, existing: Existing) -> Result<(), Failure> {
        match is_named(&self.dir, &self.part, file) {
            Ok(true) => {}
            Ok(false) => return Err(self.gone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.gone()),
            Err(error) => return Err(self.rename_failed(&error)),
        }
        let renamed = match existing {
            Existing::Replace => rustix::fs::renameat(&self.dir, &self.part, &self.dir, &self.name),
            Existing::Keep => self.rename_without_replacing(),
        };
        match renamed {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(self.taken().exit(Exit::Partial).hint(format!(
                "somebody else put it there meanwhile; what was fetched is whole, in {}",
                shown(self.part_path())
            ))),
            Err(error) => Err(self.rename_failed(&io::Error::from(error))),
        }
    }

    /// Sees to it that the names in the folder outlast a power cut.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        sync(&self.dir).map_err(|error| Failure::io("sync the folder", shown(&self.path), &error).exit(Exit::Partial))
    }

    /// Removes the part, if its name still leads to this file.
    pub(super) fn remove_part_if(&self, file: &File) {
        if is_named(&self.dir, &self.part, file).unwrap_or(false) {
            // An empty file that stays is no harm.
            let _ = self.dir.remove_file(&self.part);
        }
    }

    /// Opens the part; none when it was taken away just now.
    fn try_open(&self) -> Result<Option<(File, bool)>, Failure> {
        // Neither replaces nor follows: O_EXCL refuses whatever is there, a dangling link too (open(2)).
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        match self.dir.open_with(&self.part, &options) {
            Ok(file) => return Ok(Some((file.into_std(), true))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(folder_failure("create", &self.part_path(), &self.dir, &error)),
        }
        match open_regular_with(&self.dir, &self.part, OpenOptions::new().read(true).write(true)) {
            Ok((file, _)) => Ok(Some((file, false))),
            Err(NoWay::Missing) => Ok(None),
            Err(NoWay::Irregular) => Err(self.in_the_way("is no ordinary file")),
            Err(NoWay::Refused(error)) => Err(self.failed("open", &error)),
        }
    }

    fn rename_without_replacing(&self) -> Result<(), Errno> {
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.dir, &self.part, &self.dir, &self.name, flags) {
            // The file system does not know how. A second name is not given where there is one either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(&self.dir, &self.part, &self.dir, &self.name, AtFlags::empty())?;
                rustix::fs::unlinkat(&self.dir, &self.part, AtFlags::empty())
            }
            other => other,
        }
    }

    fn taken(&self) -> Failure {
        let message = format!("{} is there already", shown(self.final_path()));
        Failure::new(Exit::Setup, "FILE-EXISTS", message).hint("--force replaces it; -o DIR writes to another folder")
    }

    fn in_the_way(&self, what: &str) -> Failure {
        let message = format!("{} {what}: it is no part of ours", shown(self.part_path()));
        Failure::new(Exit::Setup, "PART-IN-THE-WAY", message)
            .hint("remove it yourself, or -o DIR writes to another folder")
    }

    fn gone(&self) -> Failure {
        let what = if is_gone(&self.dir) { "its folder was removed" } else { "somebody removed or replaced it" };
        let message = format!("{} is not there any more: {what}", shown(self.part_path()));
        Failure::new(Exit::CheckFailed, "PART-GONE", message).hint("run it again")
    }

    fn rename_failed(&self, error: &io::Error) -> Failure {
        Failure::io("rename to", shown(self.final_path()), error).exit(Exit::Partial)
    }

    fn failed(&self, operation: &str, error: &io::Error) -> Failure {
        Failure::io(operation, shown(self.part_path()), error)
    }
}

/// The file of that name, open for reading, if it is an ordinary one.
pub(super) fn existing_file(root: &Dir, path: &Path, name: &FileName) -> Result<Option<File>, Failure> {
    let opened = folder_of(root, name).map_err(NoWay::from).and_then(|(dir, last)| open_regular(&dir, last));
    match opened {
        Ok((file, _)) => Ok(Some(file)),
        Err(NoWay::Missing | NoWay::Irregular) => Ok(None),
        Err(NoWay::Refused(error)) => Err(Failure::io("open", shown(path.join(name.as_str())), &error)),
    }
}

/// Opens a folder in a folder, making it where it is not there; not through a link.
fn enter(dir: &Dir, name: &str) -> io::Result<Dir> {
    match dir.create_dir(name) {
        Ok(()) => sync(dir)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    dir.open_dir_nofollow(name)
}

/// The part's name: short enough for the file system, and the same again for the same file.
fn part_name(name: &str) -> String {
    if name.len() + ENDING.len() <= LONGEST {
        return format!("{name}{ENDING}");
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    let hash: String = hash.chars().take(32).collect();
    let room = LONGEST - ENDING.len() - 1 - hash.len();
    let end = (0..=room).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    format!("{}.{hash}{ENDING}", name.get(..end).unwrap_or_default())
}

fn folder_failure(operation: &str, path: &Path, dir: &Dir, error: &io::Error) -> Failure {
    let failure = Failure::io(operation, shown(path), error);
    if is_gone(dir) {
        Failure { code: "FOLDER-GONE", ..failure }.hint("the folder was removed meanwhile: make it again")
    } else if matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::NOTDIR)) {
        Failure { code: "NOT-A-FOLDER", ..failure }.hint("a link or file is in the place of a folder")
    } else {
        failure
    }
}

/// Whether a folder was removed while we hold it.
fn is_gone(dir: &Dir) -> bool {
    dir.dir_metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

/// Nothing from the network is executable, whatever mode the part that was left has.
fn make_harmless(file: &File, metadata: &std::fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & !0o666 == 0 {
        return Ok(());
    }
    file.set_permissions(PermissionsExt::from_mode(mode & 0o666))
}

/// The handle of a folder serves for finding files in it; for syncing, it is opened once more.
fn sync(dir: &Dir) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, ".", flags, Mode::empty()).and_then(rustix::fs::fsync) {
        // Some file systems have nothing to sync in a folder; and some folders may be written to and not read.
        Ok(()) | Err(Errno::INVAL | Errno::ACCESS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
