//! The demo as a newcomer runs it: it ends well, says so in words and in JSON, and leaves a readable record.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::BufReader;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use events::{Event, Reader};
use serde_json::Value;

fn castlab(args: &[&str]) -> Output {
    Command::new(cargo_bin("castlab")).args(args).env_remove("RUST_LOG").output().unwrap()
}

#[test]
fn without_a_word_it_plays_every_lab_and_ends_well() {
    let output = castlab(&[]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    for title in ["Anycast", "Multicast", "File transfer"] {
        assert!(shown.contains(title), "{shown}");
    }
    let score = shown.lines().last().unwrap();
    let (met, rest) = score.split_once(" of ").unwrap();
    assert!(rest.starts_with(&format!("{met} things happened as they must")), "{score}");
    assert_eq!(shown.matches('✓').count().to_string(), met);
}

#[test]
fn in_json_every_expectation_is_there_and_met() {
    let output = castlab(&["demo", "--json", "--seed", "7"]);
    let score: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(score["outcome"], "complete");
    let expectations = score["expectations"].as_array().unwrap();
    for lab in ["anycast", "multicast", "udp-transfer"] {
        assert!(expectations.iter().any(|one| one["act"] == lab), "{lab}");
    }
    assert!(expectations.iter().all(|one| one["met"] == true), "{score}");
}

#[test]
fn its_events_tell_every_program_inside_it_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.jsonl");
    let output = castlab(&["--events", path.to_str().unwrap(), "-q"]);
    assert_eq!(output.status.code(), Some(0));
    let records: Vec<_> =
        Reader::new(BufReader::new(std::fs::File::open(&path).unwrap())).map(Result::unwrap).collect();
    let started: Vec<&str> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Started { role, .. } => Some(role.as_str()),
            _ => None,
        })
        .collect();
    for role in [
        "castlab",
        "anycast-server",
        "anycast-client",
        "multicast-sender",
        "multicast-receiver",
        "udp-transfer-server",
        "udp-transfer-client",
    ] {
        assert!(started.contains(&role), "{role}: {started:?}");
    }
    assert!(records.is_sorted_by_key(|record| record.time), "times run backwards");
}

#[test]
fn wrong_words_are_a_usage_error() {
    assert_eq!(castlab(&["dance"]).status.code(), Some(2));
    assert_eq!(castlab(&["demo", "--seed", "x"]).status.code(), Some(2));
}
