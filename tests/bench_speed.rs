//! `castlab bench speed`, as people run it: our own programs on loopback with a tiny file, what is skipped, and what is wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

const SCHEMA: &str = include_str!("../src/bench/speed/results.schema.json");

fn bench(args: &[&str]) -> Output {
    let mut command = Command::new(cargo_bin("castlab"));
    command.args(["bench", "speed", "--patience", "0s"]).args(args).env_remove("RUST_LOG").output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn our_own_programs_are_measured_and_every_byte_of_them_compared() {
    let only = "castlab-plain,castlab-unverified";
    let output = bench(&["--path", "lo", "--only", only, "--size", "1MiB", "--rounds", "1", "--json"]);
    let results: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    assert!(output.status.success(), "{results:#}");
    jsonschema::validate(&serde_json::from_str(SCHEMA).unwrap(), &results).unwrap();
    assert_eq!(results["outcome"], "complete");

    let scenarios = results["scenarios"].as_array().unwrap();
    let runs = |name: &str, contender: &str| {
        let scenario = scenarios.iter().find(|one| one["name"] == name).unwrap();
        let row = scenario["rows"].as_array().unwrap().iter().find(|row| row["contender"] == contender).unwrap();
        row["runs"].as_array().unwrap().clone()
    };
    for contender in ["castlab", "castlab-unverified"] {
        let runs = runs("lo", contender);
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0]["bytes"], 1 << 20);
        assert!(runs[0]["bits_per_second"].as_f64().unwrap() > 0.0);
        assert!(runs[0]["sender_cpu_ns"].as_u64().unwrap() > 0 && runs[0]["receiver_cpu_ns"].as_u64().unwrap() > 0);
    }
    let five = &runs("lo-5", "castlab")[0];
    assert_eq!(five["bytes"], 5 << 18, "five clients, a quarter of the size each");
    assert!(five["fairness"].as_f64().unwrap() > 0.2);
    // What was not measured is not judged: nobody's peer was there.
    assert!(
        results["targets"].as_array().unwrap().iter().all(|one| !one["wanted"].as_str().unwrap().contains("nginx"))
    );
}

#[test]
fn the_table_is_for_people_and_compares_with_an_older_result() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.json");
    let args = ["--quick", "--path", "lo", "--only", "castlab-classic", "--size", "256KiB", "--rounds", "1"];
    let first = bench(&[&args[..], &["--json"]].concat());
    std::fs::write(&old, &first.stdout).unwrap();
    let output = bench(&[&args[..], &["--compare", old.to_str().unwrap()]].concat());
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    for expected in ["Gbit/s", "CPU s/GB", "castlab -m classic", "before", "change", "1 runs: "] {
        assert!(said.contains(expected), "no {expected:?} in {said}");
    }
    assert!(said.contains("1/1 lo-classic: castlab -m classic, round 1"), "progress is told: {said}");
}

#[test]
fn a_path_that_this_user_may_not_set_up_is_skipped_and_said() {
    // Somebody without rights must be able to start it, wherever it was built.
    let folder = tempfile::tempdir().unwrap();
    let castlab = folder.path().join("castlab");
    std::fs::copy(cargo_bin("castlab"), &castlab).unwrap();
    for name in ["udp-transfer-server", "udp-transfer-client"] {
        std::fs::write(folder.path().join(name), "nobody starts this").unwrap();
    }
    open_to_all(folder.path());
    let rights = ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"];
    let mut command = Command::new("setpriv");
    command.args(if nix::unistd::geteuid().is_root() { &rights[..] } else { &[] }).arg(&castlab);
    let Ok(output) = command.args(["bench", "speed", "--path", "veth", "--only", "castlab", "--size", "1MiB"]).output()
    else {
        std::io::stderr().write_all(b"SKIPPED bench speed without rights: setpriv is not installed\n").unwrap();
        return;
    };
    let said = said(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("SKIPPED path veth"), "{said}");
    assert!(said.contains("cannot make a network namespace") && said.contains("as root"), "{said}");
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn wrong_questions_are_refused_with_what_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = bench(&["--only", "nobody"]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(said(&nobody).contains("nginx-b3sum"), "{}", said(&nobody));
    let nowhere = bench(&["--path", "moon"]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(said(&nowhere).contains("relay-loss"), "{}", said(&nowhere));
    assert_eq!(bench(&["--size", "0"]).status.code(), Some(2));
    let missing = bench(&["--only", "castlab", "--bin-dir", folder.path().to_str().unwrap()]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(said(&missing).contains("cargo build --release -p udp-transfer"), "{}", said(&missing));
}
