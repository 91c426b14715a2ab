//! The lecture's ladders are what the machines do: each file's first line is a scenario, the rest must come out of it.
//!
//! `UPDATE_LADDERS=1` writes them anew.

use std::path::Path;

use udp_transfer::sim::Scenario;
use view::ladder::ladder;

#[test]
fn every_ladder_is_what_happens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ladders");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        let first = text.lines().next().expect("a scenario in the first line");
        let scenario: Scenario = first.parse().expect("a scenario");
        let run = Scenario { listen: true, ..scenario }.run();
        assert!(run.broken.is_empty(), "{}: {run:#?}", file.display());
        let drawn = format!("{first}\n\n{}", ladder(&run.records).expect("two ends"));
        if std::env::var_os("UPDATE_LADDERS").is_some() {
            std::fs::write(&file, &drawn).expect("writing the ladder");
        } else {
            assert_eq!(drawn, text, "{}: UPDATE_LADDERS=1 writes it anew", file.display());
        }
    }
}
