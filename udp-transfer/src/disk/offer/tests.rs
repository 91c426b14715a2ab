//! Hostile trees, and files that change at the wrong moment.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::time::{Duration, UNIX_EPOCH};

use arq::chunks::Chunking;
use arq::{BlockNumber, Layout};
use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;

use super::*;

fn all(_: u64, _: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn fifo(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}

/// A folder with one file `a`, scanned.
fn one_file(content: &[u8]) -> (TempDir, Offer, FileId) {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), content).unwrap();
    let offer = Offer::open(root.path()).unwrap();
    offer.rescan(&mut all).unwrap();
    let file = id(&offer, "a").unwrap();
    (root, offer, file)
}

fn id(offer: &Offer, name: &str) -> Option<FileId> {
    offer.listing().find(&FileName::new(name).unwrap()).map(|entry| entry.file)
}

fn names(offer: &Offer) -> Vec<String> {
    offer.listing().entries().iter().map(|entry| entry.name.to_string()).collect()
}

fn read_all(source: &Source) -> Result<Vec<u8>, ServeError> {
    let layout = Layout::new(source.entry().size, 1_000);
    let mut buffer = vec![0; usize::try_from(source.entry().size).unwrap()];
    let read = source.read_run(layout, BlockNumber(0), layout.blocks(), &mut buffer)?;
    source.check_unchanged()?;
    buffer.truncate(read);
    Ok(buffer)
}

#[test]
fn only_regular_files_that_can_be_named_are_offered() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "s").unwrap();
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("folder/inner")).unwrap();
    fs::create_dir_all(at(".hidden")).unwrap();
    fs::create_dir_all(at("empty")).unwrap();
    for name in
        ["b", "folder/b", "folder/inner/c", "Grüße ✓", "-rf", "a.part", ".profile", ".hidden/x", "folder/d.part"]
    {
        fs::write(at(name), name).unwrap();
    }
    for name in [&b"two\nlines"[..], b"bad\xff", b"back\\slash", b"\x1b[2J", "a\u{202e}b".as_bytes()] {
        fs::write(root.path().join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
    }
    symlink(outside.path().join("secret"), at("out")).unwrap();
    symlink(outside.path(), at("out folder")).unwrap();
    symlink("b", at("inside")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    symlink("loop", at("loop")).unwrap();
    symlink("..", at("folder/up")).unwrap();
    symlink("/dev/zero", at("zero")).unwrap();
    fifo(&at("fifo"));
    let _held = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();

    let offer = Offer::open(root.path()).unwrap();
    assert_eq!((names(&offer).len(), offer.listing().generation()), (0, 0), "nothing before the first scan");
    let scan = offer.rescan(&mut all).unwrap();
    assert_eq!(names(&offer), ["-rf", "Grüße ✓", "b", "folder/b", "folder/inner/c"]);
    let passed_over =
        PassedOver { hidden: 2, partial: 2, links: 7, special: 2, unnameable: 5, ..PassedOver::default() };
    assert_eq!(scan, Scan { offered: 5, hashed: 5, passed_over, ..Scan::default() });
    assert_eq!(scan.passed_over.reasons()[2], "7 links");

    for entry in offer.listing().entries() {
        let source = offer.open_file(entry.file).unwrap();
        let bytes = read_all(&source).unwrap();
        assert_eq!(bytes, entry.name.as_str().as_bytes(), "each file says its name");
        assert_eq!(entry.hash, *blake3::hash(&bytes).as_bytes());
    }
    assert!(matches!(offer.open_file(FileId(1)), Err(ServeError::Unknown)));
}

#[test]
fn devices_and_other_file_systems_are_passed_over() {
    let offer = Offer::open(Path::new("/dev")).unwrap();
    let scan = offer.rescan(&mut all).unwrap();
    assert!(scan.passed_over.special > 0, "{scan:?}");
    assert!(id(&offer, "null").is_none() && id(&offer, "zero").is_none());
    assert!(!names(&offer).iter().any(|name| name.starts_with("shm/")));
}

#[test]
fn folders_are_looked_into_so_deep_and_no_deeper() {
    let root = tempfile::tempdir().unwrap();
    let mut deep = root.path().to_owned();
    for _ in 0..scan::DEEPEST + 3 {
        fs::write(deep.join("f"), "").unwrap();
        deep.push("d");
        fs::create_dir(&deep).unwrap();
    }
    let offer = Offer::open(root.path()).unwrap();
    let scan = offer.rescan(&mut all).unwrap();
    assert_eq!((scan.offered, scan.passed_over.deep), (scan::DEEPEST, 1));
}

#[test]
fn a_huge_folder_costs_no_more_than_the_bound() {
    let root = tempfile::tempdir().unwrap();
    // Names of one file: the bound is on names, and it is hashed once.
    let first = root.path().join("0");
    fs::write(&first, "x").unwrap();
    for index in 1..=scan::MOST_FILES {
        let folder = root.path().join((index % 7).to_string() + "d");
        fs::create_dir_all(&folder).unwrap();
        if fs::hard_link(&first, folder.join(index.to_string())).is_err() {
            // As many names as the file system gives one file.
            fs::write(folder.join(index.to_string()), "x").unwrap();
        }
    }
    let offer = Offer::open(root.path()).unwrap();
    let scan = offer.rescan(&mut all).unwrap();
    assert_eq!((scan.offered, scan.passed_over.is_cut), (scan::MOST_FILES, true));
    let ids: BTreeSet<u64> = offer.listing().entries().iter().map(|entry| entry.file.0).collect();
    assert_eq!(ids.len(), scan::MOST_FILES, "each name has a number of its own");
}

#[test]
fn chunk_values_merge_to_the_hash_and_are_made_once() {
    let content: Vec<u8> = (0..3_500_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let (root, offer, file) = one_file(&content);
    let listing = offer.listing();
    let (entry, values) = (listing.by_id(file).unwrap(), listing.chunks(file).unwrap());
    assert_eq!(values.len(), 4);
    assert_eq!(Chunking::new(entry.size).merge(values), Some(entry.hash));
    assert_eq!(entry.hash, *blake3::hash(&content).as_bytes());

    fs::write(root.path().join("b"), "new").unwrap();
    let mut told = Vec::new();
    let scan = offer
        .rescan(&mut |done, total| {
            told.push((done, total));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((scan.offered, scan.hashed, scan.dropped), (2, 1, 0));
    assert_eq!(told, [(3, 3)], "only what is new is hashed");
    assert_eq!(id(&offer, "a"), Some(file));
}

#[test]
fn numbers_and_generations_follow_the_content_over_a_restart() {
    let (root, offer, file) = one_file(b"one");
    let generation = offer.listing().generation();
    offer.rescan(&mut all).unwrap();
    assert_eq!(offer.listing().generation(), generation, "nothing changed");

    let restarted = Offer::open(root.path()).unwrap();
    restarted.rescan(&mut all).unwrap();
    assert_eq!((id(&restarted, "a"), restarted.listing().generation()), (Some(file), generation));

    fs::write(root.path().join("a"), "two").unwrap();
    let held = offer.listing();
    let scan = offer.rescan(&mut all).unwrap();
    assert_eq!((scan.hashed, scan.dropped), (1, 1));
    assert_ne!(id(&offer, "a"), Some(file));
    assert_ne!(offer.listing().generation(), generation);
    assert!(matches!(offer.open_file(file), Err(ServeError::Unknown)));
    assert_eq!(held.generation(), generation, "whoever pages through the old listing still can");

    fs::remove_file(root.path().join("a")).unwrap();
    assert_eq!(offer.rescan(&mut all).unwrap().dropped, 1);
    assert_eq!(names(&offer).len(), 0);
}

#[test]
fn a_scan_that_is_stopped_offers_what_was_hashed_and_the_next_goes_on() {
    let root = tempfile::tempdir().unwrap();
    for (name, size) in [("large", 3 << 20), ("middle", 2 << 20), ("small", 5)] {
        File::create(root.path().join(name)).unwrap().set_len(size).unwrap();
    }
    let offer = Offer::open(root.path()).unwrap();
    let scan = offer
        .rescan(&mut |done, _| if done > 2 << 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        .unwrap();
    assert!(scan.is_stopped);
    assert_eq!(names(&offer), ["small"], "the small ones first");
    assert_eq!(offer.rescan(&mut all).unwrap().hashed, 2);
    assert_eq!(names(&offer), ["large", "middle", "small"]);
}

#[test]
fn a_file_that_changes_while_it_is_hashed_waits_for_the_next_scan() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("growing");
    fs::write(&path, vec![0; 3 << 20]).unwrap();
    let offer = Offer::open(root.path()).unwrap();
    for change in ["grown", "cut"] {
        let mut changed = false;
        let scan = offer
            .rescan(&mut |_, _| {
                if !std::mem::replace(&mut changed, true) {
                    let file = File::options().append(true).open(&path).unwrap();
                    file.set_len(if change == "cut" { 1 << 20 } else { 4 << 20 }).unwrap();
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!((scan.offered, scan.passed_over.changing), (0, 1), "{change}");
    }
    assert_eq!(offer.rescan(&mut all).unwrap().offered, 1);
}

#[test]
fn a_file_that_is_written_to_while_open_is_noticed() {
    type Change = (&'static str, fn(&File));
    let changes: [Change; 5] = [
        ("overwritten", |file| file.write_all_at(b"X", 0).unwrap()),
        ("grown", |file| file.set_len(9_000).unwrap()),
        ("cut", |file| file.set_len(10).unwrap()),
        ("emptied", |file| file.set_len(0).unwrap()),
        ("touched", |file| file.set_modified(UNIX_EPOCH + Duration::from_secs(7)).unwrap()),
    ];
    for (what, change) in changes {
        let (root, offer, file) = one_file(&[1; 5_000]);
        let source = offer.open_file(file).unwrap();
        assert_eq!(read_all(&source).unwrap(), [1; 5_000]);
        change(&File::options().write(true).open(root.path().join("a")).unwrap());
        assert!(matches!(source.check_unchanged(), Err(ServeError::Changed)), "{what}");
        assert!(matches!(read_all(&source), Err(ServeError::Changed)), "{what}");
        assert!(matches!(offer.open_file(file), Err(ServeError::Changed)), "{what}: and not opened again");
    }
}

#[test]
fn an_overwritten_file_whose_time_is_set_back_is_noticed() {
    let (root, offer, file) = one_file(&[1; 5_000]);
    let source = offer.open_file(file).unwrap();
    let writer = File::options().write(true).open(root.path().join("a")).unwrap();
    let before = writer.metadata().unwrap().modified().unwrap();
    writer.write_all_at(b"X", 0).unwrap();
    writer.set_modified(before).unwrap();
    assert!(matches!(source.check_unchanged(), Err(ServeError::Changed)));
    let scan = offer.rescan(&mut all).unwrap();
    assert_eq!(scan.hashed, 1);
}

#[test]
fn a_file_that_is_removed_or_replaced_while_open_is_served_to_its_end() {
    for replaced in [false, true] {
        let (root, offer, file) = one_file(&[1; 5_000]);
        let source = offer.open_file(file).unwrap();
        if replaced {
            fs::write(root.path().join("new"), [2; 5_000]).unwrap();
            fs::rename(root.path().join("new"), root.path().join("a")).unwrap();
        } else {
            fs::remove_file(root.path().join("a")).unwrap();
        }
        assert_eq!(read_all(&source).unwrap(), [1; 5_000]);
        let again = offer.open_file(file);
        match replaced {
            true => assert!(matches!(again, Err(ServeError::Changed))),
            false => assert!(matches!(again, Err(ServeError::Vanished))),
        }
    }
}

#[test]
fn blocks_are_read_by_position_and_what_is_not_there_is_left_out() {
    let content: Vec<u8> = (0..2_500_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let (_root, offer, file) = one_file(&content);
    let source = offer.open_file(file).unwrap();
    let layout = Layout::new(2_500, 1_000);
    let mut buffer = [0; 3_000];
    for (first, count, range) in [(0, 1, 0..1_000), (1, 1, 1_000..2_000), (1, 9, 1_000..2_500), (2, 1, 2_000..2_500)] {
        let read = source.read_run(layout, BlockNumber(first), count, &mut buffer).unwrap();
        assert_eq!(buffer[..read], content[range]);
    }
    assert_eq!(source.read_run(layout, BlockNumber(3), 5, &mut buffer).unwrap(), 0);
    assert_eq!(source.read_run(layout, BlockNumber(u64::MAX), u64::MAX, &mut buffer).unwrap(), 0);
    let no_room = source.read_run(layout, BlockNumber(0), 2, &mut buffer[..1_999]);
    assert!(matches!(no_room, Err(ServeError::Unreadable(_))), "a buffer too small is no reason to panic");
}

#[test]
fn a_link_that_takes_the_place_of_a_folder_or_file_leads_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir_in(outside.path()).unwrap();
    fs::create_dir(root.path().join("d")).unwrap();
    fs::write(root.path().join("d/f"), "f").unwrap();
    let offer = Offer::open(root.path()).unwrap();
    offer.rescan(&mut all).unwrap();
    let file = id(&offer, "d/f").unwrap();
    // The very same file, by a way that leads out: only the link can be what is refused.
    fs::rename(root.path().join("d"), outside.path().join("d")).unwrap();
    symlink(outside.path().join("d"), root.path().join("d")).unwrap();
    assert!(matches!(offer.open_file(file), Err(ServeError::Changed)));
    fs::remove_file(root.path().join("d")).unwrap();
    assert!(matches!(offer.open_file(file), Err(ServeError::Vanished)));
    fs::write(root.path().join("d"), "a file in the place of a folder").unwrap();
    assert!(matches!(offer.open_file(file), Err(ServeError::Changed)));
    fs::remove_file(root.path().join("d")).unwrap();
    fs::create_dir(root.path().join("d")).unwrap();
    fifo(&root.path().join("d/f"));
    assert!(matches!(offer.open_file(file), Err(ServeError::Changed)), "and a FIFO keeps nobody waiting");
}

#[test]
fn whoever_swaps_files_folders_and_links_gets_nothing_from_outside() {
    const SWAPS: u32 = 3_000;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("f"), "canary").unwrap();
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    for folder in ["d", "spare"] {
        fs::create_dir(at(folder)).unwrap();
        fs::write(at(folder).join("f"), "inside").unwrap();
    }
    symlink(outside.path(), at("link")).unwrap();
    symlink(outside.path().join("f"), at("f link")).unwrap();
    fifo(&at("fifo"));
    let offer = Offer::open(root.path()).unwrap();
    offer.rescan(&mut all).unwrap();
    let swapping = std::thread::spawn({
        let root = root.path().to_owned();
        move || {
            let swap = |one: &str, other: &str| {
                let (one, other) = (root.join(one), root.join(other));
                rustix::fs::renameat_with(CWD, &one, CWD, &other, rustix::fs::RenameFlags::EXCHANGE)
            };
            for turn in 0..SWAPS {
                let (one, other) = [("d", "link"), ("spare/f", "f link"), ("spare/f", "fifo")][turn as usize % 3];
                swap(one, other).unwrap();
                swap(one, other).unwrap();
            }
        }
    });
    while !swapping.is_finished() {
        for entry in offer.listing().entries() {
            if let Ok(bytes) = offer.open_file(entry.file).and_then(|source| read_all(&source)) {
                assert_eq!(bytes, b"inside");
            }
        }
        offer.rescan(&mut all).unwrap();
        let canary = *blake3::hash(b"canary").as_bytes();
        assert!(offer.listing().entries().iter().all(|entry| entry.hash != canary));
    }
    swapping.join().unwrap();
}

#[test]
fn a_doubted_file_is_hashed_again() {
    let (_root, offer, file) = one_file(b"one");
    offer.doubt(FileId(1));
    assert_eq!(offer.rescan(&mut all).unwrap().hashed, 0);
    offer.doubt(file);
    assert_eq!(offer.rescan(&mut all).unwrap().hashed, 1);
    assert_eq!(id(&offer, "a"), Some(file));
}

#[test]
fn an_empty_file_and_one_over_4_gib_are_offered_whole() {
    let (root, offer, file) = one_file(b"");
    assert_eq!(read_all(&offer.open_file(file).unwrap()).unwrap(), b"");
    assert_eq!(offer.listing().by_id(file).unwrap().hash, *blake3::hash(b"").as_bytes());

    let size = (4 << 30) + 3;
    let large = File::create(root.path().join("sparse")).unwrap();
    large.set_len(size).unwrap();
    large.write_all_at(b"end", size - 3).unwrap();
    // Its hashing can be stopped, and is tested elsewhere: here it is only begun.
    let scan = offer.rescan(&mut |_, total| {
        assert_eq!(total, size);
        ControlFlow::Break(())
    });
    assert_eq!((scan.unwrap().is_stopped, offer.listing().entries().len()), (true, 1));
    let metadata = cap_std::fs::Metadata::from_file(&large).unwrap();
    let entry = Entry { size, ..offer.listing().by_id(file).unwrap().clone() };
    let source = Source::new(File::open(root.path().join("sparse")).unwrap(), entry, &metadata);
    let layout = Layout::new(size, 1_167);
    let last = BlockNumber(layout.blocks() - 1);
    let mut buffer = [0; 1_167];
    let read = source.read_run(layout, last, 1, &mut buffer).unwrap();
    assert!(buffer[..read].ends_with(b"end"));
}

#[test]
fn a_folder_that_is_none_is_told_by_its_name() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    for (path, code) in [(root.path().join("missing"), "NOT-FOUND"), (file, "NOT-A-FOLDER")] {
        let failure = Offer::open(&path).unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
        assert!(failure.message.contains(&path.display().to_string()), "{failure}");
    }
}

#[test]
fn a_root_that_is_removed_empties_the_offer_and_harms_nobody() {
    let (root, offer, file) = one_file(b"one");
    root.close().unwrap();
    match offer.rescan(&mut all) {
        Ok(scan) => assert_eq!((scan.offered, scan.dropped), (0, 1)),
        Err(failure) => assert_eq!(failure.code, "NOT-FOUND", "{failure}"),
    }
    assert!(offer.open_file(file).is_err());
}
