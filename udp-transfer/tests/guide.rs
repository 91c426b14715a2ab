//! What the guide shows is what the programs print, numbers aside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

const GUIDE: &str = include_str!("../README.md");

/// The first fenced block after the line that holds `after`.
fn shown(after: &str) -> &'static str {
    let (_, rest) = GUIDE.split_once(after).unwrap();
    let (_, block) = rest.split_once("```text\n").unwrap();
    block.split_once("\n```").unwrap().0
}

/// The words of a text without its numbers, their units and the lines of its tables.
fn words(text: &str) -> Vec<String> {
    let is_word = |word: &&str| !["B", "KiB", "MiB", "GiB", "s", "ms", "µs", "ns", "%", "-"].contains(word);
    text.split(|c: char| c.is_whitespace() || c.is_ascii_digit() || ".,;()<─═│┌┐└┘╞╡/".contains(c))
        .filter(|word| !word.is_empty())
        .filter(is_word)
        .map(str::to_owned)
        .collect()
}

/// A server with a file of 16 MiB; stopped when dropped.
struct Server {
    process: Child,
    address: String,
    _stdout: BufReader<ChildStdout>,
    _root: tempfile::TempDir,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("video.mp4"), vec![7; 16 << 20]).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_udp-transfer-server"))
            .args(["--classic", "--bind", "127.0.0.1:0", "--root"])
            .arg(root.path())
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut banner = String::new();
        stdout.read_line(&mut banner).unwrap();
        let address = banner.strip_prefix("[server] listening on ").unwrap().split(',').next().unwrap().to_owned();
        Server { process, address, _stdout: stdout, _root: root }
    }

    fn get(&self, args: &[&str]) -> String {
        let output = tempfile::tempdir().unwrap();
        let got = Command::new(env!("CARGO_BIN_EXE_udp-transfer-client"))
            .args(["-s", &self.address, "get", "video.mp4", "-m", "classic", "-P", "5", "--silence", "500ms", "-o"])
            .arg(output.path())
            .args(args)
            .output()
            .unwrap();
        String::from_utf8(got.stdout).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn five_clients_with_small_buffers_lose_as_the_guide_shows() {
    let printed = Server::start(&[]).get(&["--rcvbuf", "64KiB"]);
    assert_eq!(words(&printed), words(shown("## What you see")));
}

#[test]
fn a_server_that_takes_its_time_is_received_whole_as_the_guide_shows() {
    let printed = Server::start(&["--bitrate", "50M"]).get(&[]);
    assert_eq!(words(&printed), words(shown("The same with a server that takes its time")));
}

/// All fenced blocks.
fn blocks() -> impl Iterator<Item = &'static str> {
    GUIDE.split("```text\n").skip(1).map(|rest| rest.split_once("\n```").unwrap().0)
}

#[test]
fn a_file_comes_whole_over_a_network_that_loses_as_the_guide_shows() {
    let server = Server::start(&[]);
    let output = tempfile::tempdir().unwrap();
    let got = Command::new(env!("CARGO_BIN_EXE_udp-transfer-client"))
        .current_dir(output.path())
        .args(["-s", &server.address, "get", "video.mp4", "--impair", "loss=2%", "--seed", "7", "-o", "whole"])
        .output()
        .unwrap();
    let printed = String::from_utf8(got.stdout).unwrap();
    assert_eq!(
        words(&comparable(&printed)),
        words(&comparable(shown("udp-transfer-client --server 127.0.0.1 get video.mp4 --impair")))
    );
}

/// Without the hash, which is that of another file, and the advice of a machine whose limits are others.
fn comparable(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.ends_with("  whole/video.mp4"));
    lines.map(|line| line.split("; more with:").next().unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_ladders_and_the_tables_are_those_the_machines_are_held_to() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ladders");
    let drawn: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let ladders: Vec<&str> = blocks().filter(|block| block.lines().next().unwrap().contains(" blocks | ")).collect();
    assert!(ladders.len() >= 6, "{} ladders", ladders.len());
    for ladder in ladders {
        assert!(drawn.iter().any(|text| text.trim_end() == ladder), "no file in tests/ladders has\n{ladder}");
    }
    for table in [include_str!("tables/mode-loss.txt"), include_str!("tables/congestion.txt")] {
        let name = table.lines().next().unwrap();
        assert!(blocks().any(|block| block == table.trim_end()), "no file in tests/tables has the table of {name}");
    }
}

#[test]
fn the_guide_knows_every_code_a_run_can_end_with() {
    for code in [
        "NO-ANSWER",
        "CONFIG-REFUSED",
        "NO-DATA",
        "FILE-EXISTS",
        "UDP-RCVBUF",
        "UDP-LOSS",
        "SIZE-UNKNOWN",
        "WRONG-BYTES",
    ] {
        assert!(GUIDE.contains(&format!("| `{code}` |")), "{code}");
    }
}
