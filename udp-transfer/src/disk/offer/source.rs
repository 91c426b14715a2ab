//! A file opened for serving, which notices when it changes meanwhile.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use arq::catalogue::Entry;
use arq::{BlockNumber, Layout};
use cap_std::fs::{Metadata, MetadataExt};

use super::ServeError;
use crate::disk::identity::Identity;

/// A file opened for serving. It is read by position: threads may share it.
///
/// A file that is removed, or replaced by another under its name, is served to its end as it was: the handle holds it.
#[derive(Debug)]
pub struct Source {
    file: File,
    entry: Entry,
    identity: Identity,
    names: u64,
}

impl Source {
    pub(super) fn new(file: File, entry: Entry, metadata: &Metadata) -> Self {
        Source { file, entry, identity: Identity::of(metadata), names: metadata.nlink() }
    }

    /// What was promised of it.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Reads `count` blocks from `first` on into `buffer`, which must have room for them, in one positional read where
    /// the system gives all at once. Blocks the file does not have are left out.
    ///
    /// Returns how many bytes these blocks have. Whether they were the promised ones,
    /// [`check_unchanged`](Source::check_unchanged) tells afterwards.
    ///
    /// # Errors
    /// [`ServeError::Changed`] when the file ends too early (it shrank); else what the system says.
    pub fn read_run(
        &self,
        layout: Layout,
        first: BlockNumber,
        count: u64,
        buffer: &mut [u8],
    ) -> Result<usize, ServeError> {
        let (start, end) = (layout.offset(first), layout.offset(BlockNumber(first.0.saturating_add(count))));
        let wanted = usize::try_from(end - start).ok().and_then(|length| buffer.get_mut(..length));
        let wanted = wanted.ok_or_else(|| {
            ServeError::Unreadable(io::Error::new(io::ErrorKind::InvalidInput, "no room for so many blocks"))
        })?;
        match self.file.read_exact_at(wanted, start) {
            Ok(()) => Ok(wanted.len()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ServeError::Changed),
            Err(error) => Err(ServeError::Unreadable(error)),
        }
    }

    /// Whether what was read so far is what was promised, as far as the file system tells. To be asked *after* reading
    /// and before sending: then nothing that was written meanwhile is sent.
    ///
    /// Where the clock of the file system stood still (some tick by the millisecond), only the receiver's hash tells.
    ///
    /// # Errors
    /// [`ServeError::Changed`] when it was written to, shortened, lengthened or touched.
    pub fn check_unchanged(&self) -> Result<(), ServeError> {
        let now = Metadata::from_file(&self.file).map_err(ServeError::Unreadable)?;
        let identity = Identity::of(&now);
        // A name taken away or given changes the inode, not the content: the time of that change says nothing then.
        let is_renamed = now.nlink() != self.names;
        if identity == self.identity || (is_renamed && !identity.is_written_since(&self.identity)) {
            Ok(())
        } else {
            Err(ServeError::Changed)
        }
    }
}
