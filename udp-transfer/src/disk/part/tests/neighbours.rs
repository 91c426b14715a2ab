//! Names that are taken, and who else is in the folder.

use super::*;

#[test]
fn a_name_that_is_taken_is_kept_or_replaced_as_told() {
    let (root, folder) = folder();
    let file = wanted(MIB + 1, 1);
    fs::write(root.path().join("a"), "precious").unwrap();
    assert_eq!(code(file.begin(&folder, Existing::Keep)), (Exit::Setup, "FILE-EXISTS"));
    assert_eq!(listed(&root), ["a"], "not even a part is made");

    let mut part = file.begin(&folder, Existing::Replace).unwrap();
    file.write(&mut part, 0..MIB as u64);
    drop(part);
    assert_eq!(
        fs::read(root.path().join("a")).unwrap(),
        b"precious",
        "nothing is replaced before there is a better one"
    );
    file.complete(file.begin(&folder, Existing::Replace).unwrap()).unwrap();
    assert!(fs::read(root.path().join("a")).unwrap() == file.bytes);
    assert_eq!(listed(&root), ["a"]);
}

#[test]
fn only_ordinary_files_are_ever_replaced() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "precious").unwrap();
    type Make<'a> = &'a dyn Fn(&Path);
    let kinds: [(&str, Make<'_>); 4] = [
        ("folder", &|path| fs::create_dir(path).unwrap()),
        ("link", &|path| symlink(outside.path().join("precious"), path).unwrap()),
        ("dangling link", &|path| symlink(outside.path().join("not yet"), path).unwrap()),
        ("FIFO", &|path| rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap()),
    ];
    let file = wanted(10, 1);
    for (kind, make) in kinds {
        let (root, folder) = folder();
        make(&root.path().join("a"));
        assert_eq!(code(file.begin(&folder, Existing::Keep)), (Exit::Setup, "FILE-EXISTS"), "{kind}");
        assert_eq!(code(file.begin(&folder, Existing::Replace)), (Exit::Setup, "NOT-A-FILE"), "{kind}");
        assert!(!folder.holds(&name("a"), 8, *blake3::hash(b"precious").as_bytes(), &mut unwatched).unwrap(), "{kind}");

        // And where it takes the name after all was asked.
        let (root, folder) = self::folder();
        let part = file.begin(&folder, Existing::Replace).unwrap();
        make(&root.path().join("a"));
        assert_eq!(code(file.complete(part)), (Exit::Partial, "NOT-A-FILE"), "{kind}");
        assert_eq!(listed(&root), ["a", "a.part"], "{kind}");

        // A part that is none of ours is not written to.
        let (root, folder) = self::folder();
        make(&root.path().join("a.part"));
        assert_eq!(code(file.begin(&folder, Existing::Keep)), (Exit::Setup, "PART-IN-THE-WAY"), "{kind}");
        assert_eq!(listed(&root), ["a.part"], "{kind}");
    }
    assert_eq!(fs::read(outside.path().join("precious")).unwrap(), b"precious");
    assert!(!outside.path().join("not yet").exists());
}

#[test]
fn a_part_that_has_another_name_too_is_not_written_to() {
    let (root, folder) = folder();
    fs::write(root.path().join("precious"), "precious").unwrap();
    fs::hard_link(root.path().join("precious"), root.path().join("a.part")).unwrap();
    assert_eq!(code(wanted(10, 1).begin(&folder, Existing::Keep)), (Exit::Setup, "PART-IN-THE-WAY"));
    assert_eq!(fs::read(root.path().join("precious")).unwrap(), b"precious");
}

#[test]
fn a_file_that_takes_the_name_meanwhile_is_not_replaced() {
    let (root, folder) = folder();
    let file = wanted(10, 1);
    let part = file.begin(&folder, Existing::Keep).unwrap();
    fs::write(root.path().join("a"), "precious").unwrap();
    assert_eq!(code(file.complete(part)), (Exit::Partial, "FILE-EXISTS"));
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"precious");
    assert!(fs::read(root.path().join("a.part")).unwrap() == file.bytes);

    // In the last moment, too, when all was asked: the system itself says no.
    let (opened, ..) = Place::make(&folder.dir, root.path(), &name("a")).unwrap().open_part().unwrap();
    let place = Place::make(&folder.dir, root.path(), &name("a")).unwrap();
    assert_eq!(code(place.rename(&opened, Existing::Keep)), (Exit::Partial, "FILE-EXISTS"));
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"precious");
}

#[test]
fn two_clients_never_write_one_part() {
    let (root, folder) = folder();
    let file = wanted(10, 1);
    let first = file.begin(&folder, Existing::Keep).unwrap();
    let another = Folder::open(root.path()).unwrap();
    assert_eq!(code(file.begin(&another, Existing::Keep)), (Exit::Setup, "PART-IN-USE"));
    assert_eq!(code(file.begin(&folder, Existing::Replace)), (Exit::Setup, "PART-IN-USE"));
    file.complete(first).unwrap();
    assert_eq!(code(file.begin(&another, Existing::Keep)), (Exit::Setup, "FILE-EXISTS"));
}

#[test]
fn of_many_clients_that_begin_finish_and_give_up_one_ends_with_the_file() {
    const TURNS: u32 = 300;
    let (root, folder) = folder();
    let file = wanted(2_000, 1);
    let refused = |failure: &Failure| assert!(matches!(failure.code, "PART-IN-USE" | "FILE-EXISTS"), "{failure}");
    let gives_up = || {
        for _ in 0..TURNS {
            file.begin(&folder, Existing::Keep).map(drop).unwrap_or_else(|failure| refused(&failure));
        }
    };
    // Until it has the file, or another has: when all have given up, one of those left comes to it.
    let goes_on = || {
        loop {
            match file.begin(&folder, Existing::Keep) {
                Ok(part) => break file.complete(part).map(|_| 1).unwrap(),
                Err(failure) if failure.code == "FILE-EXISTS" => break 0,
                Err(failure) => refused(&failure),
            }
        }
    };
    let done: u32 = std::thread::scope(|scope| {
        scope.spawn(gives_up);
        [scope.spawn(goes_on), scope.spawn(goes_on)].map(|client| client.join().unwrap()).iter().sum()
    });
    assert_eq!((done, listed(&root)), (1, vec!["a".to_owned()]));
    assert!(fs::read(root.path().join("a")).unwrap() == file.bytes);
}

#[test]
fn folders_are_made_as_the_name_says_and_through_no_link() {
    let outside = tempfile::tempdir().unwrap();
    let (root, folder) = folder();
    let file = wanted(10, 1);
    let begin = |text: &str| folder.begin(&name(text), file.size(), file.hash, Existing::Keep);
    file.complete(begin("x/y/z").unwrap()).unwrap();
    file.complete(begin("x/y/w").unwrap()).unwrap();
    assert!(fs::read(folder.path_of(&name("x/y/z"))).unwrap() == file.bytes);

    symlink(outside.path(), root.path().join("link")).unwrap();
    symlink(outside.path(), root.path().join("x/link")).unwrap();
    symlink("nowhere", root.path().join("dangling")).unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    for text in ["link/a", "x/link/a", "x/link/b/c", "dangling/a", "file/a"] {
        assert_eq!(code(begin(text)), (Exit::Setup, "NOT-A-FOLDER"), "{text}");
        assert!(!folder.holds(&name(text), 10, file.hash, &mut unwatched).unwrap(), "{text}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(code(begin("x")), (Exit::Setup, "FILE-EXISTS"));
}

#[test]
fn a_folder_that_is_moved_meanwhile_keeps_its_file_and_one_that_is_removed_is_told() {
    let (root, folder) = folder();
    let file = wanted(10, 1);
    let begin = |folder: &Folder, text| folder.begin(&name(text), file.size(), file.hash, Existing::Keep);
    let part = begin(&folder, "d/a").unwrap();
    fs::rename(root.path().join("d"), root.path().join("moved")).unwrap();
    file.complete(part).unwrap();
    assert!(root.path().join("moved/a").exists());

    let part = begin(&folder, "d/a").unwrap();
    fs::remove_dir_all(root.path().join("d")).unwrap();
    let failure = file.complete(part).unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::CheckFailed, "PART-GONE"));
    assert!(failure.message.contains("its folder was removed"), "{failure}");

    let removed = Folder::open(&root.path().join("new")).unwrap();
    fs::remove_dir(root.path().join("new")).unwrap();
    for text in ["a", "d/a"] {
        assert_eq!(code(begin(&removed, text)), (Exit::Setup, "FOLDER-GONE"), "{text}");
    }
}

#[test]
fn a_part_that_is_removed_or_replaced_meanwhile_is_told_and_theirs_is_left_alone() {
    let file = wanted(10, 1);
    for replaced in [false, true] {
        let (root, folder) = folder();
        let part = file.begin(&folder, Existing::Keep).unwrap();
        fs::remove_file(root.path().join("a.part")).unwrap();
        if replaced {
            fs::write(root.path().join("a.part"), "theirs").unwrap();
        }
        assert_eq!(code(file.complete(part)), (Exit::CheckFailed, "PART-GONE"));
        assert_eq!(listed(&root).len(), usize::from(replaced));
        assert!(!replaced || fs::read(root.path().join("a.part")).unwrap() == b"theirs");
    }
}

#[test]
fn a_part_given_up_before_anything_was_written_is_removed_and_a_written_one_kept() {
    let (root, folder) = folder();
    let file = wanted(3 * MIB, 1);
    let mut part = file.begin(&folder, Existing::Keep).unwrap();
    drop(file.begin(&folder, Existing::Keep).err());
    file.write(&mut part, 0..1);
    drop(part);
    assert_eq!(listed(&root), ["a.part"]);
    let metadata = fs::metadata(root.path().join("a.part")).unwrap();
    assert_eq!(metadata.len(), 1);
    let taken = std::os::unix::fs::MetadataExt::blocks(&metadata) * 512;
    assert!(taken < MIB as u64, "room that was reserved is given back: {taken} bytes are still taken");
    fs::remove_file(root.path().join("a.part")).unwrap();
    drop(file.begin(&folder, Existing::Keep).unwrap());
    assert!(listed(&root).is_empty());
}

#[test]
fn nothing_that_came_from_the_network_can_be_executed() {
    let (root, folder) = folder();
    let file = wanted(2 * MIB, 1);
    fs::write(root.path().join("a.part"), "left").unwrap();
    fs::set_permissions(root.path().join("a.part"), fs::Permissions::from_mode(0o6755)).unwrap();
    file.complete(file.begin(&folder, Existing::Keep).unwrap()).unwrap();
    let mode = |text: &str| fs::metadata(root.path().join(text)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("a"), 0o644);
    let part = folder.begin(&name("b"), file.size(), file.hash, Existing::Keep).unwrap();
    file.complete(part).unwrap();
    assert_eq!(mode("b") & !0o666, 0);
}

#[test]
fn sizes_no_disk_has_are_refused_before_a_byte_is_asked_for() {
    let (root, folder) = folder();
    for size in [u64::MAX, 1 << 63, (1 << 63) - 1, 1 << 60] {
        let failure = folder.begin(&name("a"), size, [0; 32], Existing::Keep).unwrap_err();
        assert!(matches!(failure.code, "TOO-LARGE" | "DISK-FULL"), "{size}: {failure}");
        assert_eq!((failure.exit, listed(&root).len()), (Exit::Setup, 0), "{failure}");
    }
    fs::write(root.path().join("a.part"), "left").unwrap();
    assert!(folder.begin(&name("a"), 1 << 60, [0; 32], Existing::Keep).is_err());
    assert_eq!(fs::read(root.path().join("a.part")).unwrap(), b"left", "what was there is there");
}

#[test]
fn the_longest_names_have_a_part_too_and_names_of_parts_are_none() {
    let (root, folder) = folder();
    let file = wanted(10, 1);
    let begin = |text: &str| folder.begin(&name(text), file.size(), file.hash, Existing::Keep);
    // 250 bytes and the ending are 255; three bytes a character make an end that is none.
    for text in ["x".repeat(250), "x".repeat(251), "x".repeat(255), "…".repeat(85), format!("{}y", "x".repeat(254))] {
        let mut part = begin(&text).unwrap();
        part.write_run(0, &file.bytes[..3]).unwrap();
        drop(part);
        assert_eq!(begin(&text).unwrap().left_behind(), 3, "the same part is found again");
        file.complete(begin(&text).unwrap()).unwrap();
    }
    assert_eq!(listed(&root).len(), 5);
    assert!(listed(&root).iter().all(|name| !name.ends_with(".part")));
    assert_eq!(code(begin("b.part")), (Exit::Setup, "NAME"));
    assert_eq!(code(begin("x/b.part")), (Exit::Setup, "NAME"));
}

#[test]
fn a_missing_folder_is_made_and_a_file_in_its_place_is_told() {
    let root = tempfile::tempdir().unwrap();
    let file = wanted(10, 1);
    let folder = Folder::open(&root.path().join("new/inner")).unwrap();
    file.complete(file.begin(&folder, Existing::Keep).unwrap()).unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    let failure = Folder::open(&root.path().join("file")).unwrap_err();
    assert!(failure.message.contains("file"), "{failure}");
}

#[test]
fn a_file_over_4_gib_is_written_at_any_offset() {
    let (root, folder) = folder();
    let size = (5 << 30) + 1;
    // Sparse: room is for the whole to be reserved, which a small disk may not have.
    match folder.begin(&name("a"), size, [0; 32], Existing::Keep) {
        Ok(mut part) => {
            part.write_run(size - 3, b"end").unwrap();
            assert_eq!(fs::metadata(root.path().join("a.part")).unwrap().len(), size);
        }
        Err(failure) => assert_eq!(failure.code, "DISK-FULL", "{failure}"),
    }
}
