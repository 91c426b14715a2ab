//! Room on the disk, asked for before the first byte is, and reserved ahead of what is written.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread::JoinHandle;

use labkit::units::show_bytes;
use labkit::{Exit, Failure};
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate, fstatvfs};
use rustix::io::Errno;

use crate::disk::shown;

/// So much is reserved before anything else is done; what a file needs beyond that is reserved while it already comes. On
/// tmpfs, where reserving means to find the pages, a gigabyte takes a fifth of a second.
const AT_ONCE: u64 = 64 << 20;
/// So much is reserved in one call beside a transfer: whoever writes to the file waits as long.
const STEP: u64 = 4 << 20;
/// And never more calls than this.
const STEPS: u64 = 1_024;

/// Room that is being reserved beside a transfer. Nothing more is, once this is dropped.
#[derive(Debug, Default)]
pub(super) struct Reserving(Option<Beside>);

#[derive(Debug)]
struct Beside {
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Zero as long as nothing is wrong.
    errno: AtomicI32,
}

/// Reserves room for `size` bytes in all, without making the file longer: its length tells how far a resume must look.
/// On a file system that cannot reserve, there is at least room now.
pub(super) fn reserve(file: &Arc<File>, size: u64, path: &Path) -> Result<Reserving, Failure> {
    try_reserve(file, size).map_err(|error| refused(error, size, path).exit(Exit::Setup))
}

fn refused(error: Errno, size: u64, path: &Path) -> Failure {
    let failure = Failure::io(&format!("reserve {} for", show_bytes(size)), shown(path), &io::Error::from(error));
    if error == Errno::FBIG {
        return Failure { code: "TOO-LARGE", ..failure }.hint("no file on that file system can be so long");
    }
    failure
}

fn try_reserve(file: &Arc<File>, size: u64) -> Result<Reserving, Errno> {
    if size == 0 {
        return Ok(Reserving::default());
    }
    if i64::try_from(size).is_err() {
        return Err(Errno::FBIG);
    }
    // Asked first: told to reserve more than there is, some file systems take all there is before they say so, and
    // everybody else's disk is full meanwhile. A server only has to claim a size for that.
    check_room_now(file, size)?;
    let now = size.min(AT_ONCE);
    if !allocate(file, 0..now)? || now == size {
        return Ok(Reserving::default());
    }
    match Reserving::beside(file.clone(), now..size) {
        Ok(reserving) => Ok(reserving),
        Err(_) => allocate(file, now..size).map(|_| Reserving::default()),
    }
}

/// False where the file system cannot.
fn allocate(file: &File, range: Range<u64>) -> Result<bool, Errno> {
    loop {
        match fallocate(file, FallocateFlags::KEEP_SIZE, range.start, range.end - range.start) {
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => return Ok(false),
            Err(error) => return Err(error),
            Ok(()) => return Ok(true),
        }
    }
}

impl Reserving {
    fn beside(file: Arc<File>, range: Range<u64>) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let step = STEP.max((range.end - range.start) / STEPS);
        let thread = std::thread::Builder::new().name("reserving".to_owned()).spawn({
            let shared = shared.clone();
            move || shared.reserve(&file, range, step)
        })?;
        Ok(Reserving(Some(Beside { thread: Some(thread), shared })))
    }

    /// What went wrong with it so far: somebody else has taken the room that there was in the beginning.
    pub(super) fn check(&self, size: u64, path: &Path) -> Result<(), Failure> {
        let errno = self.0.as_ref().map_or(0, |beside| beside.shared.errno.load(Ordering::Relaxed));
        if errno == 0 { Ok(()) } else { Err(refused(Errno::from_raw_os_error(errno), size, path).exit(Exit::Partial)) }
    }

    /// Reserves no more. What was reserved stays so.
    pub(super) fn stop(&mut self) {
        self.0 = None;
    }
}

impl Shared {
    fn reserve(&self, file: &File, range: Range<u64>, step: u64) {
        let mut from = range.start;
        while from < range.end && !self.stop.load(Ordering::Relaxed) {
            let to = range.end.min(from.saturating_add(step));
            match allocate(file, from..to) {
                Ok(true) => from = to,
                Ok(false) => return,
                Err(error) => return self.errno.store(error.raw_os_error(), Ordering::Relaxed),
            }
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn settled(mut reserving: Reserving) -> Reserving {
        let thread = reserving.0.as_mut().and_then(|beside| beside.thread.take());
        thread.expect("a thread of its own").join().unwrap();
        reserving
    }

    #[test]
    fn a_large_file_has_its_room_soon_and_is_no_longer_for_it() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let size = AT_ONCE + 5 * STEP + 1;
        let reserving = settled(reserve(&file, size, Path::new("a.part")).unwrap());
        reserving.check(size, Path::new("a.part")).unwrap();
        let metadata = file.metadata().unwrap();
        assert!(metadata.blocks() * 512 >= size && metadata.len() == 0, "{metadata:?}");
        drop(reserving);
        give_back(&file);
        assert!(file.metadata().unwrap().blocks() * 512 < STEP);
    }

    #[test]
    fn room_that_is_not_there_in_the_end_is_told_as_soon_as_it_is_known() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let reserving = settled(Reserving::beside(file.clone(), AT_ONCE..1 << 60).unwrap());
        let failure = reserving.check(1 << 60, Path::new("a.part")).unwrap_err();
        assert!(matches!(failure.code, "DISK-FULL" | "TOO-LARGE"), "{failure}");
        assert_eq!(failure.exit, Exit::Partial);
        assert!(failure.message.contains("a.part"), "{failure}");
    }

    #[test]
    fn what_is_not_wanted_any_more_is_not_reserved_to_the_end() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let shared = Shared { stop: true.into(), ..Shared::default() };
        shared.reserve(&file, 0..STEP, STEP);
        assert_eq!(file.metadata().unwrap().blocks(), 0);
    }
}
