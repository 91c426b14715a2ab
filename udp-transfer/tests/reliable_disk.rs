//! A client whose disk is full, or may not be written to: what it says, how it ends, and that nothing is lost by it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "disk_faults/namespace.rs"]
#[expect(dead_code, reason = "shared with the tests of the disk itself")]
mod namespace;
#[path = "reliable/setup.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod setup;

use std::path::Path;
use std::process::Command;

use labkit::Exit;
use namespace::{READ_ONLY_DISK, SMALL_DISK, inside};
use setup::{Running, bytes, config, folder, get, named};

fn run(command: &str, args: &[&str], path: &Path) {
    assert!(Command::new(command).args(args).arg(path).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_is_told_before_a_byte_travels_and_with_room_it_comes() {
    let Some(output) = inside("a_disk_without_room_is_told_before_a_byte_travels_and_with_room_it_comes", &SMALL_DISK)
    else {
        return;
    };
    let root = folder();
    let original = bytes(20 << 20, 1);
    std::fs::write(root.path().join("a.bin"), &original).unwrap();
    std::fs::write(output.join("precious"), "mine").unwrap();
    let server = Running::start(root.path());
    let fetched = config(server.address, named("a.bin"), &output);
    let full = get(&fetched).await;
    let verdict = full.verdict();
    assert_eq!((verdict.exit, verdict.code), (Exit::Setup, "DISK-FULL"), "{}", full.text());
    assert!(verdict.hint.is_some(), "what to do: {}", full.text());
    assert!(!output.join("a.bin").exists(), "a name that says it is whole");
    assert_eq!(full.rows[0].fetched, 0);
    assert_eq!(std::fs::read(output.join("precious")).unwrap(), b"mine");

    run("mount", &["-o", "remount,size=64m"], &output);
    let whole = get(&fetched).await;
    assert_eq!(whole.verdict().exit, Exit::Done, "{}", whole.text());
    assert!(std::fs::read(output.join("a.bin")).unwrap() == original);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_may_not_be_written_to_is_named_and_keeps_what_it_has() {
    let Some(output) = inside("a_folder_that_may_not_be_written_to_is_named_and_keeps_what_it_has", &READ_ONLY_DISK)
    else {
        return;
    };
    let root = folder();
    for name in ["new", "there", "begun"] {
        std::fs::write(root.path().join(name), bytes(5_000, 1)).unwrap();
    }
    let server = Running::start(root.path());
    for name in ["new", "begun"] {
        let report = get(&config(server.address, named(name), &output)).await;
        let verdict = report.verdict();
        assert_eq!((verdict.exit, verdict.code), (Exit::Setup, "READ-ONLY"), "{name}: {}", report.text());
        assert!(verdict.text.contains(output.to_str().unwrap()), "which folder: {}", verdict.text);
    }
    let taken = get(&config(server.address, named("there"), &output)).await.verdict();
    assert_eq!((taken.exit, taken.code), (Exit::Setup, "FILE-EXISTS"), "{}", taken.text);
    assert_eq!(std::fs::read(output.join("there")).unwrap(), b"precious\n");
    assert_eq!(std::fs::read(output.join("begun.part")).unwrap(), b"begun\n");
    server.stop().await;
}
