//! Ways to a file, part by part from a folder's handle, following no link.
//!
//! One way for all systems and kernels, rather than `openat2` where there is one: a name has few parts.

use std::fs::File;
use std::io;

use arq::catalogue::FileName;
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, Metadata, OpenOptions};
use rustix::io::Errno;

/// Why there is no way to a regular file.
#[derive(Debug)]
pub(super) enum NoWay {
    /// Nothing has that name.
    Missing,
    /// A link, folder, device, socket or FIFO; or a link or file in the place of a folder.
    Irregular,
    /// The system refuses.
    Refused(io::Error),
}

/// The folder that holds `name`, and the last part of the name.
pub(super) fn folder_of<'n>(root: &Dir, name: &'n FileName) -> io::Result<(Dir, &'n str)> {
    let mut folder = root.try_clone()?;
    let Some((folders, last)) = name.as_str().rsplit_once('/') else { return Ok((folder, name.as_str())) };
    for part in folders.split('/') {
        folder = folder.open_dir_nofollow(part)?;
    }
    Ok((folder, last))
}

/// Opens a regular file for reading; waits for nobody.
pub(super) fn open_regular(folder: &Dir, name: &str) -> Result<(File, Metadata), NoWay> {
    open_regular_with(folder, name, OpenOptions::new().read(true))
}

/// Opens a regular file as `options` say; waits for nobody.
pub(super) fn open_regular_with(
    folder: &Dir,
    name: &str,
    options: &mut OpenOptions,
) -> Result<(File, Metadata), NoWay> {
    // Looked at before opening, because opening alone can set a device going; and again after, because what was looked
    // at may have been replaced meanwhile.
    if !folder.symlink_metadata(name)?.is_file() {
        return Err(NoWay::Irregular);
    }
    options.follow(FollowSymlinks::No).nonblock(true);
    let file = folder.open_with(name, options)?.into_std();
    let metadata = Metadata::from_file(&file)?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(NoWay::Irregular) }
}

impl From<io::Error> for NoWay {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::NOENT) => NoWay::Missing,
            // What opens that follow no links say of a link (open(2)); any open of a socket; any way through a file.
            Some(Errno::LOOP | Errno::NXIO | Errno::NOTDIR | Errno::ISDIR) => NoWay::Irregular,
            _ => NoWay::Refused(error),
        }
    }
}
