//! What a server offers: the regular files below one folder, each hashed once, which nobody can lead out of.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use arq::FileId;
use arq::catalogue::{Entry, FileName};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use labkit::Failure;

use super::identity::Identity;
use super::shown;
use super::walk::{NoWay, folder_of, open_regular};

pub use scan::{PassedOver, Scan, ScanProgress};
pub use source::Source;

mod scan;
mod source;
#[cfg(test)]
mod tests;

/// The files below a folder. Clones share everything; a folder that is renamed meanwhile is still the same.
///
/// Nothing is on offer before the first [`rescan`](Offer::rescan).
#[derive(Clone, Debug)]
pub struct Offer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    root: Dir,
    path: PathBuf,
    listing: RwLock<Arc<Listing>>,
    /// Held while scanning: two scans at once would hash everything twice.
    scanning: Mutex<()>,
    /// Files whose hash is not believed any more.
    doubted: Mutex<HashSet<Identity>>,
}

/// What was on offer at one moment: pages of one listing belong together.
#[derive(Debug, Default)]
pub struct Listing {
    generation: u64,
    entries: Vec<Entry>,
    /// Of each entry, what is not told to peers.
    backs: Vec<Back>,
    by_id: HashMap<FileId, usize>,
}

/// The other side of an entry.
#[derive(Clone, Debug)]
struct Back {
    identity: Identity,
    values: Arc<[[u8; 32]]>,
}

/// Why a file is not, or no longer, served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No file on offer has that number.
    #[error("no such file is on offer")]
    Unknown,
    /// It was removed since it was hashed.
    #[error("the file was removed")]
    Vanished,
    /// It is not, or no longer, the file that was hashed.
    #[error("the file was changed")]
    Changed,
    /// The system refuses.
    #[error("the file cannot be read: {0}")]
    Unreadable(io::Error),
}

impl Offer {
    /// Opens the folder at `root`. Nothing is hashed yet.
    ///
    /// # Errors
    /// When it is not there, is no folder, or may not be read.
    pub fn open(root: &Path) -> Result<Self, Failure> {
        let dir = Dir::open_ambient_dir(root, ambient_authority())
            .map_err(|error| Failure::io("open the folder", shown(root), &error))?;
        dir.entries().map_err(|error| Failure::io("list the folder", shown(root), &error))?;
        Ok(Offer(Arc::new(Shared {
            root: dir,
            path: root.to_owned(),
            listing: RwLock::default(),
            scanning: Mutex::default(),
            doubted: Mutex::default(),
        })))
    }

    /// Where the folder was when it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What is on offer now. Costs nothing, and stays as it is however long it is held.
    #[must_use]
    pub fn listing(&self) -> Arc<Listing> {
        self.0.listing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the folder again: hashes what is new or changed, and forgets what is gone. The rest stays on offer
    /// meanwhile. A second call waits for the first.
    ///
    /// # Errors
    /// When the folder itself cannot be read; the offer is as it was then.
    pub fn rescan(&self, progress: &mut ScanProgress<'_>) -> Result<Scan, Failure> {
        let _alone = locked(&self.0.scanning);
        let doubted = std::mem::take(&mut *locked(&self.0.doubted));
        scan::scan(&self.0.root, &self.listing(), &doubted, progress, &mut |listing| {
            *self.0.listing.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(listing);
        })
        .map_err(|error| Failure::io("list the folder", shown(&self.0.path), &error))
    }

    /// Has the next scan hash this file again, though it looks unchanged: somebody got other bytes than were promised.
    pub fn doubt(&self, file: FileId) {
        if let Some(back) = self.listing().back(file) {
            // Bounded by what is on offer, since whoever doubts does so by number.
            locked(&self.0.doubted).insert(back.identity);
        }
    }

    /// Opens a file of the current listing for reading. Never leaves the folder, follows no link, waits for nobody.
    ///
    /// # Errors
    /// When there is no such file, or it is not the one that was hashed.
    pub fn open_file(&self, file: FileId) -> Result<Source, ServeError> {
        let listing = self.listing();
        let (Some(entry), Some(back)) = (listing.by_id(file), listing.back(file)) else {
            return Err(ServeError::Unknown);
        };
        let (folder, last) = folder_of(&self.0.root, &entry.name).map_err(|error| NoWay::from(error).into_served())?;
        let (opened, metadata) = open_regular(&folder, last).map_err(NoWay::into_served)?;
        if Identity::of(&metadata) != back.identity {
            return Err(ServeError::Changed);
        }
        Ok(Source::new(opened, entry.clone(), &metadata))
    }
}

impl Listing {
    /// Which catalogue this is, never zero once anything was scanned. It is made from the entries: the same ones have
    /// the same generation after a restart too, and others another.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The files, by name.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The file of that name.
    #[must_use]
    pub fn find(&self, name: &FileName) -> Option<&Entry> {
        let index = self.entries.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
        self.entries.get(index)
    }

    /// The file of that number.
    #[must_use]
    pub fn by_id(&self, file: FileId) -> Option<&Entry> {
        self.entries.get(*self.by_id.get(&file)?)
    }

    /// The values of a file's chunks: as many as [`arq::chunks::Chunking::count`] says.
    #[must_use]
    pub fn chunks(&self, file: FileId) -> Option<&[[u8; 32]]> {
        Some(&self.back(file)?.values)
    }

    fn back(&self, file: FileId) -> Option<&Back> {
        self.backs.get(*self.by_id.get(&file)?)
    }

    fn new(mut files: Vec<(FileName, Back)>) -> Self {
        files.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut listing = Listing::default();
        let mut all = blake3::Hasher::new();
        for (index, (name, back)) in files.into_iter().enumerate() {
            let Some(hash) = arq::chunks::Chunking::new(back.identity.size()).merge(&back.values) else { continue };
            let mut file = number(&name, back.identity.size(), &hash);
            while listing.by_id.contains_key(&file) {
                file.0 = file.0.wrapping_add(1);
            }
            listing.by_id.insert(file, index);
            all.update(&file.0.to_be_bytes()).update(&back.identity.modified().to_be_bytes());
            let (size, modified) = (back.identity.size(), back.identity.modified());
            listing.entries.push(Entry { file, size, modified, hash, name });
            listing.backs.push(back);
        }
        listing.generation = first_eight(&all).max(1);
        listing
    }
}

/// A file's number: made from what it is, so that a restarted server knows a file by the number its clients remember,
/// and a changed file has another one.
fn number(name: &FileName, size: u64, hash: &[u8; 32]) -> FileId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&size.to_be_bytes()).update(hash).update(name.as_str().as_bytes());
    FileId(first_eight(&hasher))
}

fn first_eight(hasher: &blake3::Hasher) -> u64 {
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_be_bytes(bytes)
}

/// What a panic in another thread left is still whole: every change here is one assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl NoWay {
    fn into_served(self) -> ServeError {
        match self {
            NoWay::Missing => ServeError::Vanished,
            NoWay::Irregular => ServeError::Changed,
            NoWay::Refused(error) => ServeError::Unreadable(error),
        }
    }
}
