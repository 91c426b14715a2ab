//! By what a file is known to be the one that was hashed: where it lies, how long it is, and when it was changed.

use cap_std::fs::{Metadata, MetadataExt};

/// Two looks at a file with the same identity saw the same bytes, as far as the file system tells.
///
/// The time of the last change of the *inode* is part of it, because programs set the time of the last writing at will
/// (`cp -p`, `touch -d`), but nobody sets that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds of the last writing.
    modified: (i64, i64),
    /// Seconds and nanoseconds of the last change of the inode.
    changed: (i64, i64),
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Its length in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// When it was last written to, in nanoseconds since the Unix epoch; zero for what lies outside a `u64`.
    pub(super) fn modified(&self) -> u64 {
        let (seconds, nanos) = self.modified;
        let all = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        u64::try_from(all).unwrap_or(0)
    }

    /// Whether the content may be another: its length or the time of its last writing is.
    pub(super) fn is_written_since(&self, earlier: &Identity) -> bool {
        (self.size, self.modified) != (earlier.size, earlier.modified)
    }
}

/// Whether two looks saw one and the same file, whatever is in it.
pub(super) fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
