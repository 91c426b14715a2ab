//! Disks that are full, and folders that may not be written to: each test runs itself once more inside a user and mount
//! namespace, where it has a small disk of its own, or no rights over files, without root. Where the machine refuses
//! that, the test says so on the real stderr in one line that begins with SKIPPED, which can be counted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::single_range_in_vec_init, reason = "a list of ranges may have one")]

#[path = "disk_faults/namespace.rs"]
mod namespace;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use arq::catalogue::FileName;
use arq::chunks::Chunking;
use labkit::{Exit, Failure};
use udp_transfer::disk::offer::Offer;
use udp_transfer::disk::part::{Existing, Finished, Folder, Part};
use udp_transfer::disk::unwatched;

use namespace::{NO_RIGHTS, READ_ONLY_DISK, SMALL_DISK, inside};

const MIB: u64 = 1 << 20;

fn name(text: &str) -> FileName {
    FileName::new(text).unwrap()
}

/// A file of `size` bytes that is the same each time, the values of its chunks, and its hash.
fn wanted(size: u64) -> (Vec<u8>, Vec<[u8; 32]>, [u8; 32]) {
    let bytes: Vec<u8> = (0..size).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect();
    let chunking = Chunking::new(size);
    let values = (0..chunking.count()).map(|index| {
        let range = chunking.range(index);
        let mut hasher = chunking.hasher(index);
        hasher.update(&bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]);
        hasher.finish()
    });
    let values: Vec<_> = values.collect();
    let hash = chunking.merge(&values).unwrap();
    (bytes, values, hash)
}

/// Writes `bytes` from `from` on, until it goes wrong.
fn write(part: &mut Part, bytes: &[u8], from: u64) -> Result<(), Failure> {
    let mut offset = from;
    for run in bytes[usize::try_from(from).unwrap()..].chunks(60_000) {
        part.write_run(offset, run)?;
        offset += run.len() as u64;
    }
    Ok(())
}

fn fill(path: &Path) -> u64 {
    let (file, mut size) = (File::create(path).unwrap(), 0);
    while let Ok(more) = file.write_at(&[0; 4_096], size) {
        size += more as u64;
    }
    size
}

fn assert_whole(finished: Result<Finished, Failure>, bytes: &[u8]) {
    assert!(fs::read(finished.unwrap().path).unwrap() == bytes);
}

#[test]
fn a_disk_that_is_too_small_is_told_before_anything_is_asked_for() {
    let Some(root) = inside("a_disk_that_is_too_small_is_told_before_anything_is_asked_for", &SMALL_DISK) else {
        return;
    };
    let folder = Folder::open(&root).unwrap();
    let too_large = folder.begin(&name("a"), 16 * MIB, [0; 32], Existing::Keep).unwrap_err();
    assert_eq!((too_large.exit, too_large.code), (Exit::Setup, "DISK-FULL"), "{too_large}");
    assert!(too_large.message.contains("16.0 MiB") && too_large.message.contains("a.part"), "{too_large}");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);

    fs::write(root.join("a.part"), vec![1; 3 << 20]).unwrap();
    assert_eq!(folder.begin(&name("a"), 16 * MIB, [0; 32], Existing::Keep).unwrap_err().code, "DISK-FULL");
    assert_eq!(fs::read(root.join("a.part")).unwrap(), vec![1; 3 << 20], "what was left is still there");

    // Room that is reserved is reserved: two files of 5 MiB do not fit, and the second is told so at once.
    fs::remove_file(root.join("a.part")).unwrap();
    let (bytes, _, hash) = wanted(5 * MIB);
    let mut first = folder.begin(&name("a"), 5 * MIB, hash, Existing::Keep).unwrap();
    assert_eq!(folder.begin(&name("b"), 5 * MIB, hash, Existing::Keep).unwrap_err().code, "DISK-FULL");
    fill(&root.join("others"));
    write(&mut first, &bytes, 0).unwrap();
    assert_whole(first.finish(&mut unwatched), &bytes);
}

#[test]
fn a_disk_that_fills_up_meanwhile_ends_it_and_with_room_again_it_goes_on() {
    let Some(root) = inside("a_disk_that_fills_up_meanwhile_ends_it_and_with_room_again_it_goes_on", &SMALL_DISK)
    else {
        return;
    };
    let folder = Folder::open(&root).unwrap();
    let (bytes, values, hash) = wanted(6 * MIB + 5);
    let begin = || folder.begin(&name("a"), 6 * MIB + 5, hash, Existing::Keep);
    let mut part = begin().unwrap();
    // As if the file system could not reserve: the room is given back, and somebody else takes most of it.
    File::options().write(true).open(root.join("a.part")).unwrap().set_len(0).unwrap();
    fs::write(root.join("theirs"), vec![0; 5 << 20]).unwrap();
    let full = write(&mut part, &bytes, 0).unwrap_err();
    assert_eq!((full.exit, full.code), (Exit::Partial, "DISK-FULL"), "{full}");
    assert!(full.message.contains("a.part"), "{full}");
    drop(part);
    assert!(fs::metadata(root.join("a.part")).unwrap().len() >= 2 * MIB);
    assert!(!root.join("a").exists());
    assert_eq!(begin().unwrap_err().code, "DISK-FULL", "and it is told at once the next time");

    fs::remove_file(root.join("theirs")).unwrap();
    let mut part = begin().unwrap();
    let right = part.recheck(&values, &mut unwatched).unwrap();
    assert!(right.len() == 1 && right[0].start == 0 && right[0].end >= 2 * MIB, "{right:?}");
    write(&mut part, &bytes, right[0].end).unwrap();
    assert_whole(part.finish(&mut unwatched), &bytes);
}

#[test]
fn a_read_only_disk_is_told_and_can_still_be_offered() {
    let Some(root) = inside("a_read_only_disk_is_told_and_can_still_be_offered", &READ_ONLY_DISK) else { return };
    let folder = Folder::open(&root).unwrap();
    for text in ["a", "begun", "folder/a"] {
        let failure = folder.begin(&name(text), 100, [0; 32], Existing::Keep).unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Setup, "READ-ONLY"), "{text}: {failure}");
    }
    assert_eq!(folder.begin(&name("there"), 100, [0; 32], Existing::Keep).unwrap_err().code, "FILE-EXISTS");
    assert_eq!(folder.begin(&name("there"), 100, [0; 32], Existing::Replace).unwrap_err().code, "READ-ONLY");
    let offer = Offer::open(&root).unwrap();
    assert_eq!(offer.rescan(&mut |_, _| std::ops::ControlFlow::Continue(())).unwrap().offered, 1);
}

#[test]
fn a_folder_we_may_not_write_to_is_told_at_the_start_and_at_the_end() {
    let Some(root) = inside("a_folder_we_may_not_write_to_is_told_at_the_start_and_at_the_end", &NO_RIGHTS) else {
        return;
    };
    let may_write = |yes: bool| {
        fs::set_permissions(&root, fs::Permissions::from_mode(if yes { 0o755 } else { 0o555 })).unwrap();
    };
    let folder = Folder::open(&root).unwrap();
    let (bytes, values, hash) = wanted(3 * MIB);
    let begin = || folder.begin(&name("a"), 3 * MIB, hash, Existing::Keep);
    may_write(false);
    let failure = begin().unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::Setup, "PERMISSION"), "{failure}");

    may_write(true);
    let mut part = begin().unwrap();
    write(&mut part, &bytes, 0).unwrap();
    may_write(false);
    let failure = part.finish(&mut unwatched).unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::Partial, "PERMISSION"), "{failure}");
    assert!(!root.join("a").exists());

    may_write(true);
    let mut part = begin().unwrap();
    assert_eq!(part.recheck(&values, &mut unwatched).unwrap(), [0..3 * MIB], "all of it was kept");
    assert_whole(part.finish(&mut unwatched), &bytes);
}

#[test]
fn files_and_folders_we_may_not_read_are_counted_and_not_offered() {
    let Some(root) = inside("files_and_folders_we_may_not_read_are_counted_and_not_offered", &NO_RIGHTS) else {
        return;
    };
    for text in ["closed/a", "open/a", "open/secret"] {
        fs::create_dir_all(root.join(text).parent().unwrap()).unwrap();
        fs::write(root.join(text), text).unwrap();
    }
    let mode = |text: &str, mode| fs::set_permissions(root.join(text), fs::Permissions::from_mode(mode)).unwrap();
    let mut all = |_, _| std::ops::ControlFlow::Continue(());
    mode("closed", 0o000);
    mode("open/secret", 0o000);
    let offer = Offer::open(&root).unwrap();
    let scan = offer.rescan(&mut all).unwrap();
    assert_eq!((scan.offered, scan.passed_over.unreadable), (1, 2), "{scan:?}");

    // Closed after it was hashed: whoever has it open reads on, and nobody opens it again.
    let file = offer.listing().entries()[0].file;
    let source = offer.open_file(file).unwrap();
    mode("open", 0o000);
    let refused = offer.open_file(file).unwrap_err();
    assert!(refused.to_string().contains("cannot be read"), "{refused}");
    assert!(source.check_unchanged().is_ok());
    for text in ["closed", "open"] {
        mode(text, 0o755);
    }
    mode("open/secret", 0o644);
    assert_eq!(offer.rescan(&mut all).unwrap().offered, 3);
}
