//! Room on the disk, asked for before the first byte is.

use std::fs::File;
use std::io;
use std::path::Path;

use labkit::units::show_bytes;
use labkit::{Exit, Failure};
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate, fstatvfs};
use rustix::io::Errno;

use crate::disk::shown;

/// Reserves room for `size` bytes in all, without making the file longer: its length tells how far a resume must look.
/// On a file system that cannot reserve, there is at least room now.
pub(super) fn reserve(file: &File, size: u64, path: &Path) -> Result<(), Failure> {
    let Err(error) = try_reserve(file, size) else { return Ok(()) };
    let code = if error == Errno::FBIG { Some("TOO-LARGE") } else { None };
    let mut failure = Failure::io(&format!("reserve {} for", show_bytes(size)), shown(path), &io::Error::from(error))
        .exit(Exit::Setup);
    if let Some(code) = code {
        failure.code = code;
        failure = failure.hint("no file on that file system can be so long");
    }
    Err(failure)
}

fn try_reserve(file: &File, size: u64) -> Result<(), Errno> {
    if size == 0 {
        return Ok(());
    }
    if i64::try_from(size).is_err() {
        return Err(Errno::FBIG);
    }
    // Asked first: told to reserve more than there is, some file systems take all there is before they say so, and
    // everybody else's disk is full meanwhile. A server only has to claim a size for that.
    check_room_now(file, size)?;
    loop {
        match fallocate(file, FallocateFlags::KEEP_SIZE, 0, size) {
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => return Ok(()),
            other => return other,
        }
    }
}

fn check_room_now(file: &File, size: u64) -> Result<(), Errno> {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = file.metadata() else { return Ok(()) };
    let missing = size.saturating_sub(metadata.blocks().saturating_mul(512));
    let system = fstatvfs(file)?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    // Some file systems do not know how large they are.
    if system.f_blocks != 0 && free < missing { Err(Errno::NOSPC) } else { Ok(()) }
}

/// Gives back what was reserved beyond the end of the file (which is what truncating to the same length does).
pub(super) fn give_back(file: &File) {
    if let Ok(metadata) = file.metadata() {
        // It is only room: where this fails, the file is as good as before.
        let _ = file.set_len(metadata.len());
    }
}

/// After a failed sync the kernel takes what it could not write for written. What it remembers is dropped, so that a
/// resume checks what is on the disk.
pub(super) fn forget_cached(file: &File) {
    let _ = fadvise(file, 0, None, Advice::DontNeed);
}
