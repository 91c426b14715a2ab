//! `castlab bench matrix` over loopback, with the real programs and tiny files: every mode, both tables, both figures,
//! and what it says when it cannot.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn matrix(words: &str) -> Command {
    let mut command = Command::new(cargo_bin("castlab"));
    command.args(["bench", "matrix"]).args(words.split_whitespace()).env_remove("RUST_LOG");
    command
}

/// The programs it runs are of another package, which a test of this one does not build.
fn has_programs() -> bool {
    let missing = ["udp-transfer-server", "udp-transfer-client"].iter().find(|name| !cargo_bin(name).is_file());
    if let Some(name) = missing {
        // Past the test harness, which keeps what a test prints to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED {name} is not built: cargo test --workspace builds it");
    }
    missing.is_none()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn every_mode_with_one_and_two_clients_fills_the_tables_and_the_figures() {
    if !has_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output =
        matrix("--clients 1,2 --sizes 64K --rounds 2 --silence 300ms --json -o").arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("round 1: classic, 1 × 64.0 KiB; about "), "{}", stderr(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json, serde_json::from_str::<Value>(&read(folder.path(), "report.json")).unwrap());
    let schema: Value = serde_json::from_str(include_str!("../udp-transfer/matrix.schema.json")).unwrap();
    let errors: Vec<String> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&json).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    check_rows(json["rows"].as_array().unwrap());
    assert_eq!(json["cells"].as_array().unwrap().len(), 2 * 6);
    assert_eq!(read(folder.path(), "report.csv").lines().count(), 1 + (1 + 2) * 6 * 2);
    let markdown = read(folder.path(), "report.md");
    assert!(markdown.contains("### 64.0 KiB, 2 clients") && markdown.contains("](loss.svg)"), "{markdown}");
    for (figure, label) in
        [("throughput.svg", "throughput of each client (MB/s)"), ("loss.svg", "bytes that did not come (%)")]
    {
        let svg = read(folder.path(), figure);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let texts: Vec<&str> = document.descendants().filter_map(|node| node.text()).collect();
        for wanted in [label, "clients at once", "go-back-n:64", "file of 64.0 KiB"] {
            assert!(texts.contains(&wanted), "{figure}: {wanted}: {texts:?}");
        }
        assert!(texts.iter().any(|text| text.contains("n = 2 rounds")), "{texts:?}");
        assert!(
            texts.iter().any(|text| text.starts_with("$ castlab bench matrix --clients 1,2 --sizes 64K")),
            "{texts:?}"
        );
    }
    let again = matrix("--clients 1 --sizes 1K -o").arg(folder.path()).output().unwrap();
    assert_eq!(again.status.code(), Some(3));
    assert!(stderr(&again).contains("FILE-EXISTS") && stderr(&again).contains("--force"), "{}", stderr(&again));
}

/// Every client of every run is there once, and those of modes that lose nothing have every byte.
fn check_rows(rows: &[Value]) {
    assert_eq!(rows.len(), (1 + 2) * 6 * 2);
    for row in rows {
        let is_reliable = !["classic", "raw"].contains(&row["mode"].as_str().unwrap());
        if is_reliable {
            assert_eq!((row["success"].as_str(), row["lost_bytes"].as_u64()), (Some("yes"), Some(0)), "{row}");
        }
        assert_ne!(row["success"], "wrong", "{row}");
        assert!(row["sent_bytes"].as_u64().unwrap() >= 65_536, "{row}");
        assert!(row["client_port"].is_u64() && row["server_port"].is_u64() && row["problem"].is_null(), "{row}");
        assert!(row["elapsed_ns"].as_u64().unwrap() > 0, "{row}");
    }
    let both = rows.iter().filter(|row| row["clients"] == 2 && row["mode"] == "tcp" && row["round"] == 1);
    let numbers: Vec<&Value> = both.clone().map(|row| &row["client"]).collect();
    assert_eq!(numbers, [1, 2]);
    let ports: Vec<&Value> = both.map(|row| &row["client_port"]).collect();
    assert_ne!(ports[0], ports[1], "each has a port of its own");
}

#[test]
fn by_a_command_of_the_users_each_client_runs_alone() {
    if !has_programs() {
        return;
    }
    // What `ip netns exec NAME` or `docker exec -i NAME` would be; the programs are found by their names there.
    let path = cargo_bin("castlab").parent().unwrap().display().to_string();
    let via = format!("env PATH={path}:/usr/bin:/bin");
    let modes = "--modes classic,selective-repeat,tcp --silence 300ms";
    let output = matrix(&format!("--clients 2 --sizes 20K --rounds 1 {modes} --json -q"))
        .args(["--server-via", &via, "--client-via", &format!("{via},{via}")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = json["rows"].as_array().unwrap();
    assert!(rows.len() == 6 && rows.iter().all(|row| row["success"] == "yes"), "{json}");
    assert_eq!(json["host"]["elsewhere"], true);
}

#[test]
fn stopped_half_way_it_tells_what_it_has() {
    if !has_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // The second run would wait for its client's silence for a minute.
    let mut child = matrix("--clients 1 --sizes 1K --rounds 1 --modes tcp,classic --silence 60s --events")
        .arg(folder.path().join("events.jsonl"))
        .arg("-o")
        .arg(folder.path().join("report"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let second = "round 1: classic, clients: 1, 1024 bytes";
    while !std::fs::read_to_string(folder.path().join("events.jsonl")).is_ok_and(|events| events.contains(second)) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before the second run");
        std::thread::yield_now();
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("[INTERRUPTED] stopped before the end: 1 of 2 runs were made"), "{told}");
    let markdown = read(&folder.path().join("report"), "report.md");
    assert!(
        markdown.contains("**Partial: stopped before the end") && markdown.contains("| tcp | 1 | 1 | yes |"),
        "{markdown}"
    );
    assert!(read(&folder.path().join("report"), "loss.svg").contains("Partial: stopped"));
}

#[test]
fn what_is_missing_or_makes_no_sense_is_said_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().display().to_string();
    for (words, code, said) in [
        (format!("--bin-dir {empty}"), 3, "there is no udp-transfer-server in"),
        (format!("--bin-dir {empty} --modes tcp"), 3, "there is no castlab in"),
        ("--scratch /no/such/folder --modes tcp".to_owned(), 3, "/no/such/folder"),
        ("--clients 1,1".to_owned(), 2, "--clients says 1 twice"),
        ("--modes pigeon".to_owned(), 2, "and classic, tcp"),
        (
            "--modes tcp --clients 1 --sizes 1K --server-via castlab-no-such-command".to_owned(),
            3,
            "cannot run castlab-no-such-command",
        ),
    ] {
        let output = matrix(&words).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{words}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{words}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{words}");
    }
}
