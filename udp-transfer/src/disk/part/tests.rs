//! Resume of every kind; names that are taken and who else is in the folder in [`neighbours`].

#![expect(clippy::single_range_in_vec_init, reason = "a list of ranges may have one")]

mod neighbours;

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{PermissionsExt, symlink};

use arq::BlockNumber;
use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;

use super::*;
use crate::disk::unwatched;

const MIB: usize = 1 << 20;

/// A file to fetch: its bytes, its hash, the values of its chunks.
struct Wanted {
    bytes: Vec<u8>,
    hash: [u8; 32],
    values: Vec<[u8; 32]>,
}

fn wanted(size: usize, seed: u32) -> Wanted {
    let step = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) % 256;
    let bytes: Vec<u8> = (0..u32::try_from(size).unwrap()).map(|i| u8::try_from(step(i)).unwrap()).collect();
    let chunking = Chunking::new(size as u64);
    let values = (0..chunking.count()).map(|index| {
        let mut hasher = chunking.hasher(index);
        hasher.update(&bytes[in_memory(chunking.range(index))]);
        hasher.finish()
    });
    Wanted { hash: *blake3::hash(&bytes).as_bytes(), values: values.collect(), bytes }
}

fn in_memory(range: Range<u64>) -> Range<usize> {
    usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()
}

impl Wanted {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn begin(&self, folder: &Folder, existing: Existing) -> Result<Part, Failure> {
        folder.begin(&name("a"), self.size(), self.hash, existing)
    }

    /// Writes these bytes, in runs of a length that meets no chunk's end.
    fn write(&self, part: &mut Part, range: Range<u64>) {
        let mut offset = range.start;
        for run in self.bytes[in_memory(range)].chunks(100_007) {
            part.write_run(offset, run).unwrap();
            offset += run.len() as u64;
        }
    }

    /// Writes what is not right yet, and finishes.
    fn complete(&self, mut part: Part) -> Result<Finished, Failure> {
        let right = part.recheck(&self.values, &mut unwatched)?;
        let mut offset = 0;
        for range in right.iter().cloned().chain([self.size()..self.size()]) {
            self.write(&mut part, offset..range.start);
            offset = range.end;
        }
        part.finish(&mut unwatched)
    }
}

fn name(text: &str) -> FileName {
    FileName::new(text).unwrap()
}

fn folder() -> (TempDir, Folder) {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::open(root.path()).unwrap();
    (root, folder)
}

fn listed(root: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(root.path()).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn code<T>(result: Result<T, Failure>) -> (Exit, &'static str) {
    match result {
        Ok(_) => panic!("it went well"),
        Err(failure) => {
            assert!(failure.hint.is_some(), "{failure}");
            (failure.exit, failure.code)
        }
    }
}

#[test]
fn whole_files_get_their_name_and_nothing_else_is_left() {
    for size in [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7] {
        let (root, folder) = folder();
        let file = wanted(size, 1);
        let mut part = file.begin(&folder, Existing::Keep).unwrap();
        assert_eq!(listed(&root), ["a.part"]);
        file.write(&mut part, 0..file.size());
        let finished = part.finish(&mut unwatched).unwrap();
        assert_eq!(finished, Finished { path: root.path().join("a"), size: file.size() });
        assert_eq!(listed(&root), ["a"]);
        assert!(fs::read(root.path().join("a")).unwrap() == file.bytes, "{size}");
        assert!(folder.holds(&name("a"), file.size(), file.hash, &mut unwatched).unwrap());
        assert!(!folder.holds(&name("a"), file.size(), [0; 32], &mut unwatched).unwrap());
        assert!(!folder.holds(&name("b"), file.size(), file.hash, &mut unwatched).unwrap());
    }
}

#[test]
fn the_order_of_the_runs_does_not_matter_nor_that_some_come_twice() {
    let (root, folder) = folder();
    let file = wanted(3 * MIB + 7, 2);
    let mut part = file.begin(&folder, Existing::Keep).unwrap();
    let runs: Vec<Range<u64>> =
        (0..file.size()).step_by(50_001).map(|start| start..(start + 50_001).min(file.size())).collect();
    // Back to front, each third twice, and at last the first again.
    for (index, run) in runs.iter().rev().chain(runs.first()).enumerate() {
        for _ in 0..=usize::from(index % 3 == 0) {
            file.write(&mut part, run.clone());
        }
    }
    part.finish(&mut unwatched).unwrap();
    assert!(fs::read(root.path().join("a")).unwrap() == file.bytes);
}

#[test]
fn what_is_hashed_on_the_way_is_what_was_written_last() {
    // In order, but for bytes that came wrong first: before, in the middle of, and after what was hashed by then.
    let places = [0, 30_000, 100_000, MIB as u64 - 10];
    for (at, is_beside) in places.into_iter().flat_map(|at| [(at, false), (at, true)]) {
        let (root, folder) = folder();
        let file = wanted(MIB + 7, 2);
        let mut part = file.begin(&folder, Existing::Keep).unwrap();
        if is_beside {
            part.hash_beside();
        }
        part.write_run(at, [0xaa; 5]).unwrap();
        for start in (0..file.size()).step_by(20_000) {
            file.write(&mut part, start..(start + 20_000).min(file.size()));
            if start == 60_000 {
                part.write_run(at, [0xbb; 5]).unwrap();
            }
        }
        // What was written last at that place: by the loop, unless it had been there already.
        assert_eq!(part.verify(&mut unwatched).is_err(), at < 80_000, "{at}");
        file.write(&mut part, at..at + 5);
        part.finish(&mut unwatched).unwrap();
        assert!(fs::read(root.path().join("a")).unwrap() == file.bytes, "{at}");
    }
}

#[test]
fn a_thread_beside_finds_the_same_in_whatever_order_it_is_written() {
    let (root, folder) = folder();
    let file = wanted(9 * MIB + 5, 4);
    let mut part = file.begin(&folder, Existing::Keep).unwrap();
    part.hash_beside();
    let starts = (0..file.size()).step_by(700_000);
    let (late, early): (Vec<u64>, Vec<u64>) = starts.partition(|start| start % 3 == 0);
    for start in early.into_iter().chain(late.into_iter().rev()) {
        file.write(&mut part, start..(start + 700_000).min(file.size()));
    }
    // Every chunk was hashed on the way, by its bytes or from the file: at the end nothing is left to read.
    let mut read = 0;
    part.verify(&mut |bytes| {
        read += bytes;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(read, 0);
    part.finish(&mut unwatched).unwrap();
    assert!(fs::read(root.path().join("a")).unwrap() == file.bytes);
}

#[test]
fn what_a_thread_beside_still_hashes_does_not_keep_the_next_client_out() {
    let (_root, folder) = folder();
    let file = wanted(5 * MIB, 4);
    for upto in (1..=5).map(|n| n * MIB as u64) {
        let mut part = file.begin(&folder, Existing::Keep).unwrap();
        part.hash_beside();
        file.write(&mut part, 0..upto);
    }
    file.complete(file.begin(&folder, Existing::Keep).unwrap()).unwrap();
}

#[test]
fn without_verification_nothing_is_read_again_and_what_never_came_is_still_told() {
    let (root, folder) = folder();
    let file = wanted(3 * MIB, 2);
    let mut read = |bytes| panic!("{bytes} bytes were hashed");
    let mut part = Wanted { hash: [0; 32], ..wanted(3 * MIB, 2) }.begin(&folder, Existing::Keep).unwrap().unverified();
    file.write(&mut part, 0..MIB as u64);
    assert_eq!(code(part.verify(&mut read)), (Exit::Partial, "INCOMPLETE"));
    file.write(&mut part, MIB as u64..file.size());
    part.finish(&mut read).unwrap();
    assert!(fs::read(root.path().join("a")).unwrap() == file.bytes);
}

#[test]
fn chunks_are_hashed_as_they_fill_and_not_again_at_the_end() {
    let (_root, folder) = folder();
    let file = wanted(3 * MIB, 2);
    let mut part = file.begin(&folder, Existing::Keep).unwrap();
    file.write(&mut part, 0..file.size());
    file.write(&mut part, 10..11);
    let mut again = 0;
    let mut count = |bytes| {
        again += bytes;
        ControlFlow::Continue(())
    };
    part.finish(&mut count).unwrap();
    assert_eq!(again, MIB as u64, "only the chunk that was written to after it was full");
}

#[test]
fn a_killed_run_goes_on_where_it_stood() {
    let file = wanted(5 * MIB + 7, 3);
    for (kept, right) in [(0, 0), (1, 0), (MIB - 1, 0), (MIB, 1), (3 * MIB + 99, 3), (5 * MIB, 5), (5 * MIB + 7, 6)] {
        let (root, folder) = folder();
        let mut part = file.begin(&folder, Existing::Keep).unwrap();
        file.write(&mut part, 0..kept as u64);
        // What a kill leaves: nothing is tidied up.
        fs::copy(root.path().join("a.part"), root.path().join("copy")).unwrap();
        drop(part);
        fs::rename(root.path().join("copy"), root.path().join("a.part")).unwrap();

        let mut part = file.begin(&folder, Existing::Keep).unwrap();
        assert_eq!(part.left_behind(), kept as u64);
        let found = part.recheck(&file.values, &mut unwatched).unwrap();
        let end = part.chunking().range(right).start;
        assert_eq!(found, if end == 0 { vec![] } else { vec![0..end] }, "{kept}");
        file.write(&mut part, end..file.size());
        part.finish(&mut unwatched).unwrap();
        assert!(fs::read(root.path().join("a")).unwrap() == file.bytes);
    }
}

#[test]
fn wrong_chunks_are_found_wherever_they_are() {
    let (root, folder) = folder();
    let file = wanted(6 * MIB + 7, 4);
    let mut left = file.bytes.clone();
    left[0] ^= 1;
    left[3 * MIB + 500] ^= 1;
    left[6 * MIB] ^= 1;
    fs::write(root.path().join("a.part"), left).unwrap();
    let mut part = file.begin(&folder, Existing::Keep).unwrap();
    let right = part.recheck(&file.values, &mut unwatched).unwrap();
    let mib = MIB as u64;
    assert_eq!(right, [mib..3 * mib, 4 * mib..6 * mib]);

    let layout = Layout::new(file.size(), 1_167);
    let held = whole_blocks(&right, layout);
    for block in 0..layout.blocks() {
        let start = layout.offset(BlockNumber(block));
        let end = start + u64::from(layout.length(BlockNumber(block)));
        let is_right = right.iter().any(|range| range.start <= start && end <= range.end);
        assert_eq!(held.contains(BlockNumber(block)), is_right, "block {block}");
    }
    // As a transfer would: whole blocks, also into chunks that are right.
    for missing in held.gaps(BlockNumber(layout.blocks())) {
        for block in missing.start.0..missing.end.0 {
            let start = layout.offset(BlockNumber(block));
            file.write(&mut part, start..start + u64::from(layout.length(BlockNumber(block))));
        }
    }
    part.finish(&mut unwatched).unwrap();
    assert!(fs::read(root.path().join("a")).unwrap() == file.bytes);
}

#[test]
fn the_last_short_block_of_a_file_is_held_when_its_chunk_is_right() {
    let layout = Layout::new(2_500, 1_000);
    assert_eq!(whole_blocks(&[0..2_500], layout).len(), 3);
    assert_eq!(whole_blocks(&[0..2_400], layout).len(), 2);
    assert_eq!(whole_blocks(&[1_500..2_500], layout).len(), 1);
    assert_eq!(whole_blocks(&[1_001..1_999], layout).len(), 0);
    assert_eq!(whole_blocks(&[], Layout::new(0, 1_000)).len(), 0);
}

#[test]
fn what_was_left_of_another_version_or_is_garbage_costs_time_only() {
    let file = wanted(3 * MIB + 7, 5);
    let other = wanted(3 * MIB + 7, 6);
    let longer = [&file.bytes[..], &[9; 2 * MIB]].concat();
    let longer_other = [&other.bytes[..], &[9; 2 * MIB]].concat();
    for left in [other.bytes.clone(), vec![0; 3 * MIB + 7], vec![7; 100], longer, longer_other, Vec::new()] {
        let (root, folder) = folder();
        fs::write(root.path().join("a.part"), &left).unwrap();
        let part = file.begin(&folder, Existing::Keep).unwrap();
        assert_eq!(fs::read(root.path().join("a.part")).unwrap().len(), left.len(), "nothing is cut before it must");
        file.complete(part).unwrap();
        assert!(fs::read(root.path().join("a")).unwrap() == file.bytes, "{} bytes left", left.len());
    }
}

#[test]
fn a_part_left_behind_may_be_completed_without_rechecking() {
    let (root, folder) = folder();
    let file = wanted(2 * MIB, 5);
    fs::write(root.path().join("a.part"), &file.bytes[..MIB + 5]).unwrap();
    let mut part = file.begin(&folder, Existing::Keep).unwrap();
    file.write(&mut part, MIB as u64..file.size());
    part.finish(&mut unwatched).unwrap();
    assert_eq!(listed(&root), ["a"]);
}

#[test]
fn a_wrong_hash_keeps_the_part_and_gives_no_file() {
    let (root, folder) = folder();
    let (file, lie) = (wanted(2 * MIB, 7), wanted(2 * MIB, 8));
    let mut part = folder.begin(&name("a"), file.size(), lie.hash, Existing::Keep).unwrap();
    file.write(&mut part, 0..file.size());
    let failure = part.finish(&mut unwatched).unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::Integrity, "HASH-MISMATCH"));
    assert!(failure.message.contains(&root.path().join("a").display().to_string()), "{failure}");
    assert_eq!(listed(&root), ["a.part"]);
    assert!(fs::read(root.path().join("a.part")).unwrap() == file.bytes, "kept to be looked at, or repaired");
}

#[test]
fn one_wrong_block_is_found_and_repaired() {
    let (root, folder) = folder();
    let file = wanted(3 * MIB, 9);
    let mut part = file.begin(&folder, Existing::Keep).unwrap();
    file.write(&mut part, 0..file.size());
    part.write_run(MIB as u64 + 17, b"wrong").unwrap();
    assert_eq!(code(part.verify(&mut unwatched)), (Exit::Integrity, "HASH-MISMATCH"));
    let right = part.recheck(&file.values, &mut unwatched).unwrap();
    assert_eq!(right, [0..MIB as u64, 2 * MIB as u64..3 * MIB as u64]);
    file.write(&mut part, MIB as u64..2 * MIB as u64);
    part.finish(&mut unwatched).unwrap();
    assert!(fs::read(root.path().join("a")).unwrap() == file.bytes);
}

#[test]
fn values_that_are_not_of_this_file_are_refused() {
    let (_root, folder) = folder();
    let (file, other) = (wanted(2 * MIB, 1), wanted(2 * MIB, 2));
    let mut part = file.begin(&folder, Existing::Keep).unwrap();
    for values in [&other.values[..], &file.values[..1], &[]] {
        assert_eq!(code(part.recheck(values, &mut unwatched)), (Exit::Integrity, "CHUNK-VALUES"));
    }
}

#[test]
fn what_never_came_is_told_and_kept() {
    let (root, folder) = folder();
    let file = wanted(2 * MIB + 1, 1);
    let mut part = file.begin(&folder, Existing::Keep).unwrap();
    file.write(&mut part, 0..MIB as u64);
    assert_eq!(code(part.finish(&mut unwatched)), (Exit::Partial, "INCOMPLETE"));
    assert_eq!(listed(&root), ["a.part"]);

    let mut part = file.begin(&folder, Existing::Keep).unwrap();
    file.write(&mut part, 2 * MIB as u64..file.size());
    let hole = part.finish(&mut unwatched);
    assert_eq!(code(hole), (Exit::Integrity, "HASH-MISMATCH"), "a hole reads as zeros: the hash tells");
}

#[test]
fn bytes_beyond_the_end_are_not_written() {
    let (root, folder) = folder();
    let file = wanted(100, 1);
    let mut part = file.begin(&folder, Existing::Keep).unwrap();
    for (offset, length) in [(100, 1), (0, 101), (99, 2), (u64::MAX, 1), (u64::MAX - 5, 100)] {
        let written = part.write_run(offset, vec![0; length]);
        assert_eq!(written.unwrap_err().code, "BEYOND-END", "{offset}");
    }
    part.write_run(100, []).unwrap();
    assert_eq!(fs::metadata(root.path().join("a.part")).unwrap().len(), 0);
}

#[test]
fn hashing_can_be_stopped_and_nothing_is_lost() {
    let (root, folder) = folder();
    let file = wanted(3 * MIB, 1);
    fs::write(root.path().join("a.part"), &file.bytes).unwrap();
    let mut stop = |_| ControlFlow::Break(());
    let mut part = file.begin(&folder, Existing::Keep).unwrap();
    for stopped in [part.recheck(&file.values, &mut stop).map(drop), part.verify(&mut stop)] {
        let failure = stopped.unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Interrupted, "INTERRUPTED"));
    }
    drop(part);
    assert!(fs::read(root.path().join("a.part")).unwrap() == file.bytes);
}
