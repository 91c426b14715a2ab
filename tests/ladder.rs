//! `castlab ladder` draws what any program recorded, and says what it cannot draw.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use events::{Event, Record, Time};

fn ladder(args: &[&Path]) -> Output {
    Command::new(cargo_bin("castlab")).arg("ladder").args(args).env_remove("RUST_LOG").output().unwrap()
}

fn sent(at: u64, node: &str, peer: &str, what: &str) -> Record {
    let event = Event::Sent { peer: peer.into(), what: what.into(), number: Some(0), bytes: 10 };
    Record::new(Time::from_nanos(at * 1_000_000), node, event)
}

fn received(at: u64, node: &str, peer: &str, what: &str) -> Record {
    let event = Event::Received {
        peer: peer.into(),
        what: what.into(),
        number: Some(0),
        bytes: 10,
        name: None,
        elapsed_ns: None,
    };
    Record::new(Time::from_nanos(at * 1_000_000), node, event)
}

fn file(folder: &Path, name: &str, records: &[Record]) -> PathBuf {
    let path = folder.join(name);
    let lines: Vec<String> = records.iter().map(Record::to_line).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

#[test]
fn the_files_of_both_ends_make_one_drawing() {
    let folder = tempfile::tempdir().unwrap();
    let ours = [sent(7_000, "client", "server", "hello"), received(7_020, "client", "server", "retry")];
    let theirs = [received(7_010, "server", "client", "hello"), sent(7_010, "server", "client", "retry")];
    let (ours, theirs) = (file(folder.path(), "a.jsonl", &ours), file(folder.path(), "b.jsonl", &theirs));
    let output = ladder(&[&ours, &theirs]);
    let drawn = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(drawn.contains("server") && drawn.contains("client") && drawn.contains("hello 0"), "{drawn}");
    assert!(drawn.contains('▶') && drawn.contains('◀'), "both arrived: {drawn}");
    assert!(drawn.contains(" 0.0 ") && drawn.contains(" 20.0 "), "from the first message on: {drawn}");
}

#[test]
fn two_ends_of_one_machine_are_told_apart_by_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let started = |role: &str| {
        let event = Event::Started { role: role.into(), version: "1".into(), local: None, seed: None };
        Record::new(Time::ZERO, "laptop", event)
    };
    let ours = [started("udp-transfer-client"), sent(1, "laptop", "127.0.0.1:6969", "open")];
    let theirs = [started("udp-transfer-server"), received(10, "laptop", "127.0.0.1:40000", "open")];
    let (ours, theirs) = (file(folder.path(), "a.jsonl", &ours), file(folder.path(), "b.jsonl", &theirs));
    let output = ladder(&[&ours, &theirs]);
    let drawn = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(drawn.lines().next().unwrap().contains("server") && drawn.contains('◀'), "{drawn}");
}

#[test]
fn three_ends_are_too_many_until_two_are_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let records =
        [sent(0, "a", "b", "x"), received(1, "b", "a", "x"), sent(2, "c", "a", "x"), received(3, "a", "c", "x")];
    let path = file(folder.path(), "three.jsonl", &records);
    let output = ladder(&[&path]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("NO-LADDER") && said.contains("--between"), "{said}");
    assert_eq!(ladder(&[&path, Path::new("--between"), Path::new("a")]).status.code(), Some(2));
}

#[test]
fn what_is_no_record_of_events_is_said_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "\nhello\n").unwrap();
    let output = ladder(&[&path]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("line 2"));
    assert_eq!(ladder(&[Path::new("/no/such/file")]).status.code(), Some(3));
    std::fs::write(&path, "").unwrap();
    assert_eq!(ladder(&[&path]).status.code(), Some(3), "nothing happened");
}

#[test]
fn nothing_in_a_file_moves_the_cursor_of_whoever_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = "a\u{1b}[2J\u{202e}\nb";
    let reason = Some("\u{1b}]0;owned\u{7}".to_owned());
    let finished = Event::Finished { outcome: events::Outcome::Failed, reason };
    let records = [
        sent(0, hostile, "server", hostile),
        received(1, "server", hostile, hostile),
        Record::new(Time::from_nanos(2_000_000), hostile, finished),
    ];
    let output = ladder(&[&file(folder.path(), "hostile.jsonl", &records)]);
    let drawn = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!drawn.contains(['\u{1b}', '\u{7}', '\u{202e}']) && drawn.contains("\\u{1b}"), "{drawn:?}");
    assert_eq!(drawn.lines().count(), 4, "{drawn:?}");
    let three = [sent(0, hostile, "b", "x"), sent(1, "b", "c", "x"), sent(2, "c", "b", "x")];
    std::fs::write(folder.path().join("no.jsonl"), "{\"event\": \"\u{1b}[2J\"}\n").unwrap();
    for path in [file(folder.path(), "three.jsonl", &three), folder.path().join("no.jsonl")] {
        let output = ladder(&[&path]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{said:?}");
        assert!(!said.contains("\u{1b}[2J"), "{said:?}");
    }
}
