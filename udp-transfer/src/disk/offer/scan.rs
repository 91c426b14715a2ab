//! A walk through the folder: what is there, what of it can be on offer, and which of that must be hashed.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use arq::catalogue::FileName;
use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, DirEntry, Metadata, MetadataExt, ReadDir};

use super::{Back, Listing};
use crate::disk::hashing::{Hashing, NoHash};
use crate::disk::identity::Identity;
use crate::disk::walk::{NoWay, folder_of, open_regular};

/// How many entries of all folders a scan looks at: a bound on its time.
pub(super) const MOST_ENTRIES: usize = 200_000;
/// How many files are on offer: a bound on memory, some 300 bytes each besides the values of its chunks.
pub(super) const MOST_FILES: usize = 20_000;
/// How deep folders are looked into: a bound on open handles, two each.
pub(super) const DEEPEST: usize = 32;
/// What is hashed goes on offer after this many bytes at the latest (about a second's work), not only at the end.
const PUBLISH_EVERY: u64 = 4 << 30;

/// Told how many bytes were hashed, and how many must be in all; may say to stop.
pub type ScanProgress<'a> = dyn FnMut(u64, u64) -> ControlFlow<()> + 'a;

/// What a scan found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Files on offer now.
    pub offered: usize,
    /// Files that were hashed, because they are new or changed.
    pub hashed: usize,
    /// Files that were on offer before and are not any more, or not as they were.
    pub dropped: usize,
    /// What is not on offer.
    pub passed_over: PassedOver,
    /// Whether it was told to stop before all was hashed: what was not is not on offer.
    pub is_stopped: bool,
}

/// What is in the folder and not on offer, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// Files and folders whose name begins with a dot.
    pub hidden: usize,
    /// Files that are being written by a client: `NAME.part`.
    pub partial: usize,
    /// Links, wherever they lead.
    pub links: usize,
    /// Devices, sockets, FIFOs.
    pub special: usize,
    /// Names no text can carry safely, or too long.
    pub unnameable: usize,
    /// Folders on another file system.
    pub mounts: usize,
    /// Folders deeper than we look.
    pub deep: usize,
    /// Files and folders we may not read.
    pub unreadable: usize,
    /// Files that changed while they were hashed.
    pub changing: usize,
    /// Whether there was more than a scan looks at or a listing holds.
    pub is_cut: bool,
}

impl PassedOver {
    /// Each reason that occurred, with how often: `2 links`. Empty when everything is on offer.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let counts = [
            (self.hidden, "hidden"),
            (self.partial, "partial"),
            (self.links, "links"),
            (self.special, "special files"),
            (self.unnameable, "with a name that is not safe to show"),
            (self.mounts, "on another file system"),
            (self.deep, "too deep"),
            (self.unreadable, "not readable"),
            (self.changing, "changing just now"),
        ];
        let counted = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        counted.chain(self.is_cut.then(|| format!("all beyond {MOST_FILES} files"))).collect()
    }
}

/// Scans, and publishes what can be on offer: at once what is known, then what is hashed.
pub(super) fn scan(
    root: &Dir,
    before: &Listing,
    doubted: &HashSet<Identity>,
    progress: &mut ScanProgress<'_>,
    publish: &mut dyn FnMut(Listing),
) -> io::Result<Scan> {
    let mut walk = Walk::through(root)?;
    let known = before.backs.iter().filter(|back| !doubted.contains(&back.identity));
    let mut known: HashMap<Identity, Back> = known.map(|back| (back.identity, back.clone())).collect();
    let (mut ready, mut pending) = (Vec::new(), Vec::new());
    for (name, identity) in std::mem::take(&mut walk.files) {
        match known.get(&identity) {
            Some(back) => ready.push((name, back.clone())),
            None => pending.push((name, identity)),
        }
    }
    // The small ones first: most of the folder is on offer soon.
    pending.sort_by_key(|(_, identity)| identity.size());
    let mut scan = Scan { passed_over: walk.passed_over, ..Scan::default() };
    let (mut done, mut published) = (0_u64, 0_u64);
    let total = pending.iter().fold(0_u64, |sum, (_, identity)| sum.saturating_add(identity.size()));
    let mut hashing = Hashing::default();
    if !pending.is_empty() {
        publish(Listing::new(ready.clone()));
    }
    for (name, identity) in pending {
        if let Some(back) = known.get(&identity) {
            // The same file under another name.
            ready.push((name, back.clone()));
            done = done.saturating_add(identity.size());
            continue;
        }
        let mut stepped = |bytes: u64| {
            done = done.saturating_add(bytes);
            progress(done, total)
        };
        match hash(root, &name, &mut hashing, &mut stepped) {
            Ok(back) => {
                scan.hashed += 1;
                known.insert(back.identity, back.clone());
                ready.push((name, back));
            }
            Err(NotHashed::Gone) => {}
            Err(NotHashed::Changing) => scan.passed_over.changing += 1,
            Err(NotHashed::Unreadable) => scan.passed_over.unreadable += 1,
            Err(NotHashed::Stopped) => {
                scan.is_stopped = true;
                break;
            }
        }
        if done.saturating_sub(published) >= PUBLISH_EVERY {
            published = done;
            publish(Listing::new(ready.clone()));
        }
    }
    let after = Listing::new(ready);
    scan.offered = after.entries.len();
    scan.dropped = before.entries.iter().filter(|entry| after.by_id(entry.file).is_none()).count();
    publish(after);
    Ok(scan)
}

enum NotHashed {
    Gone,
    Changing,
    Unreadable,
    Stopped,
}

/// Hashes one file, as it is when it is opened; it must be the same afterwards.
fn hash(
    root: &Dir,
    name: &FileName,
    hashing: &mut Hashing,
    progress: &mut crate::disk::Progress<'_>,
) -> Result<Back, NotHashed> {
    let (folder, last) = folder_of(root, name).map_err(NoWay::from)?;
    let (file, metadata) = open_regular(&folder, last)?;
    let identity = Identity::of(&metadata);
    let values = hashing.whole(&file, identity.size(), progress).map_err(|error| match error {
        NoHash::Short => NotHashed::Changing,
        NoHash::Stopped => NotHashed::Stopped,
        NoHash::Unreadable(_) => NotHashed::Unreadable,
    })?;
    let after = Metadata::from_file(&file).map_err(|_| NotHashed::Unreadable)?;
    if Identity::of(&after) != identity {
        return Err(NotHashed::Changing);
    }
    Ok(Back { identity, values: Arc::from(values) })
}

impl From<NoWay> for NotHashed {
    fn from(no_way: NoWay) -> Self {
        match no_way {
            NoWay::Missing => NotHashed::Gone,
            NoWay::Irregular => NotHashed::Changing,
            NoWay::Refused(_) => NotHashed::Unreadable,
        }
    }
}

/// A walk, folder in folder, depth first: one handle for each level it is in.
struct Walk {
    device: u64,
    looked_at: usize,
    files: Vec<(FileName, Identity)>,
    passed_over: PassedOver,
}

/// One folder the walk is in.
struct Level {
    folder: Dir,
    entries: ReadDir,
    /// Its name from the root on, ending in `/`; empty for the root.
    prefix: String,
}

impl Walk {
    fn through(root: &Dir) -> io::Result<Self> {
        let device = root.dir_metadata()?.dev();
        let mut walk = Walk { device, looked_at: 0, files: Vec::new(), passed_over: PassedOver::default() };
        let mut levels = vec![Level { folder: root.try_clone()?, entries: root.entries()?, prefix: String::new() }];
        while let Some(level) = levels.last_mut() {
            // A folder that cannot be read on is as good as read.
            let Some(Ok(entry)) = level.entries.next() else {
                levels.pop();
                continue;
            };
            if walk.looked_at == MOST_ENTRIES || walk.files.len() == MOST_FILES {
                walk.passed_over.is_cut = true;
                break;
            }
            walk.looked_at += 1;
            let deeper = walk.look_at(level, &entry);
            if let Some(deeper) = deeper {
                if levels.len() < DEEPEST { levels.push(deeper) } else { walk.passed_over.deep += 1 }
            }
        }
        Ok(walk)
    }

    /// Takes an entry if it is a file, counts it if it is neither that nor a folder, opens it if it is a folder.
    fn look_at(&mut self, level: &Level, entry: &DirEntry) -> Option<Level> {
        let raw = entry.file_name();
        let passed = &mut self.passed_over;
        let Ok(name) = FileName::new(&format!("{}{}", level.prefix, raw.to_str().unwrap_or("\0"))) else {
            passed.unnameable += 1;
            return None;
        };
        // Of the entry itself: a link is a link, wherever it leads.
        let Ok(metadata) = entry.metadata() else { return None };
        let kind = metadata.file_type();
        let last = name.parts().last().unwrap_or_default();
        if last.starts_with('.') {
            passed.hidden += 1;
        } else if kind.is_symlink() {
            passed.links += 1;
        } else if kind.is_file() && last.ends_with(".part") {
            passed.partial += 1;
        } else if kind.is_file() {
            self.files.push((name, Identity::of(&metadata)));
        } else if !kind.is_dir() {
            passed.special += 1;
        } else if metadata.dev() != self.device {
            passed.mounts += 1;
        } else {
            return self.enter(level, &name);
        }
        None
    }

    fn enter(&mut self, level: &Level, name: &FileName) -> Option<Level> {
        let opened = level.folder.open_dir_nofollow(name.parts().last().unwrap_or_default());
        let opened = opened.and_then(|folder| {
            let entries = folder.entries()?;
            Ok((folder.dir_metadata()?.dev(), Level { folder, entries, prefix: format!("{}/", name.as_str()) }))
        });
        match opened {
            // What was looked at may be something else by now.
            Ok((device, deeper)) if device == self.device => return Some(deeper),
            Ok(_) => self.passed_over.mounts += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => self.passed_over.unreadable += 1,
        }
        None
    }
}
