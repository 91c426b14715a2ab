//! Receivers that are told what to do while they run: joining, leaving, and what the absence cost. The real binaries, on
//! loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;

/// A group of this test's own: `last` is unique in this file, the port is free.
fn group(last: u8) -> String {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("239.255.53.{last}:{port}")
}

/// A program that runs: it is written to and read from line by line.
struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(cargo_bin(program));
        command.args(args).env_remove("RUST_LOG").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Running { child, input, lines: BufReader::new(output) }
    }

    fn read_until(&mut self, word: &str) -> String {
        let mut read = String::new();
        while !read.contains(word) {
            assert!(self.lines.read_line(&mut read).unwrap() > 0, "ended before '{word}': {read}");
        }
        read
    }

    /// Types a line and waits for what it brings about.
    fn tell(&mut self, line: &str, answer: &str) -> String {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        self.read_until(answer)
    }

    /// What it still says once its input has ended, and its exit code.
    fn end(mut self) -> (String, i32) {
        drop(self.input.take());
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code().unwrap())
    }
}

#[test]
fn who_leaves_and_comes_back_is_told_what_that_cost() {
    let group = group(1);
    let mut receiver = Running::start("multicast-receiver", &["-I", "lo", &group]);
    let mut printed = receiver.read_until("Listening");
    let send = ["-I", "lo", "-i", "0", "--framing", "rtp", "--name", "sender1", &group, "-"];
    let mut sender = Running::start("multicast-sender", &send);
    sender.tell("one", "Sent text 1 ");
    printed += &receiver.read_until("Received text 1 ");
    printed += &receiver.tell("leave", "Left multicast group");
    sender.tell("two", "Sent text 2 ");
    sender.tell("three", "Sent text 3 ");
    printed += &receiver.tell("nonsense\njoin", "Joined multicast group");
    sender.tell("four", "Sent text 4 ");
    printed += &receiver.read_until("Received text 4 ");
    assert!(receiver.tell("print", "So far").contains(": 2 heard, from 1 sources, 0 missing"));
    assert_eq!(sender.end().1, 0);
    printed += &receiver.tell("q", "Leaving");
    let (told, code) = receiver.end();
    printed += &told;
    assert_eq!(code, 0, "{told}");
    assert_eq!(words(&printed), words(transcript("## Numbered messages")), "the guide shows what is really printed");
    assert!(told.contains("(left): 2 messages missed"), "{told}");
    assert!(told.contains("Verdict: 2 messages heard, from 1 source in "), "{told}");
    assert!(told.contains("; none missing; 2 while away"), "{told}");
}

/// The words of each line, without numbers, units and rules: what must stay the same from run to run.
fn words(text: &str) -> Vec<Vec<&str>> {
    let is_word = |word: &&str| word.len() > 2 && word.chars().all(|c| c.is_ascii_alphabetic());
    text.lines()
        .map(|line| line.split_whitespace().map(|word| word.trim_matches(|c| ":;()".contains(c))).filter(is_word))
        .map(|line| line.filter(|word| !["KiB", "MiB"].contains(word)).collect())
        .filter(|line: &Vec<&str>| !line.is_empty())
        .collect()
}

/// The first fenced block after `heading` in the guide.
fn transcript(heading: &str) -> &'static str {
    let (_, rest) = include_str!("../README.md").split_once(heading).unwrap();
    let (_, block) = rest.split_once("```text\n").unwrap();
    block.split_once("\n```").unwrap().0
}

#[test]
fn the_guide_shows_what_the_comparison_prints() {
    let output = run("multicast-sender", &["--cast", "compare", "-i", "1ms"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    let shown = words(transcript("### Three ways"));
    assert_eq!(words(&printed)[..shown.len()], shown);
}

#[test]
fn one_of_two_groups_is_left_by_its_name() {
    let (first, second) = (group(2), group(3));
    let mut receiver = Running::start("multicast-receiver", &["-I", "lo", &first, &second]);
    receiver.read_until(&format!("Listening on multicast group {second}"));
    receiver.tell(&format!("leave {first}"), &format!("Left multicast group {first}"));
    for group in [&first, &second] {
        let text = format!("to {group}");
        let sent = run("multicast-sender", &["-I", "lo", "--text", &text, group]);
        assert_eq!(sent.status.code(), Some(0));
    }
    assert!(!receiver.read_until(&format!("to {second}")).contains(&format!("to {first}")));
    receiver.tell("quit", "Leaving");
    assert_eq!(receiver.end().1, 0);
}

fn run(program: &str, args: &[&str]) -> Output {
    Command::new(cargo_bin(program)).args(args).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (program, args) in [
        ("multicast-receiver", &["-I", "lo", "--script", "5s jump"][..]),
        ("multicast-receiver", &["-I", "lo", "--script", "5s join, 1s leave"]),
        ("multicast-receiver", &["-I", "lo", "--impair", "loss=lots"]),
        ("multicast-receiver", &["-I", "lo", "--framing", "avi"]),
        ("multicast-receiver", &["-I", "lo", "fd00::1,239.1.1.1"]),
        ("multicast-sender", &["-I", "lo", "--bitrate", "0"]),
        ("multicast-sender", &["-I", "lo", "--length", "10", "--framing", "rtp"]),
        ("multicast-sender", &["-I", "lo", "--length", "70000", "--framing", "raw"]),
        ("multicast-sender", &["-I", "lo", "--length", "0", "--framing", "raw", "-b", "1M"]),
        ("multicast-sender", &["-I", "lo", "--text", "a", "--text", "", "--framing", "raw", "-b", "max"]),
        ("multicast-sender", &["-I", "lo", "--batch", "65"]),
        ("multicast-sender", &["-I", "lo", "-b", "1M", "-"]),
        ("multicast-sender", &["-I", "lo", "127.0.0.1,239.1.1.1"]),
    ] {
        let output = run(program, args);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
    }
}

#[test]
fn a_load_prints_no_line_for_each_message() {
    let group = group(4);
    let mut receiver = Running::start("multicast-receiver", &["-I", "lo", "-c", "5000", &group]);
    receiver.read_until("Listening");
    let sent = run("multicast-sender", &["-I", "lo", "-b", "8M", "-l", "100", "-c", "5000", &group]);
    assert!(String::from_utf8_lossy(&sent.stdout).contains("Verdict: 5000 datagrams"));
    let (told, code) = receiver.end();
    assert_eq!(code, 0, "{told}");
    assert!(told.contains(" more in that second"), "{told}");
    assert!(told.lines().count() < 1000, "{}", told.lines().count());
    assert!(told.contains("Verdict: 5000 messages heard, from 1 source"), "{told}");
}

#[test]
fn the_three_ways_are_measured_side_by_side() {
    let args = ["--cast", "compare", "--receivers", "7", "-c", "20", "-i", "0", "-l", "64", "--json"];
    let output = run("multicast-sender", &args);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let casts = told["casts"].as_array().unwrap();
    let put_out: Vec<(&str, u64, u64)> = casts
        .iter()
        .map(|cast| {
            (cast["cast"].as_str().unwrap(), cast["datagrams"].as_u64().unwrap(), cast["bytes"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(put_out, [("unicast", 140, 8_960), ("broadcast", 20, 1_280), ("multicast", 20, 1_280)]);
    for cast in casts {
        assert_eq!((cast["heard"].as_u64(), cast["receivers"].as_array().unwrap().len()), (Some(140), 7), "{cast}");
    }
    assert_eq!(output.status.code(), Some(0), "{told}");
    let refused = run("multicast-sender", &["--cast", "unicast", "-l", "15"]);
    assert_eq!(refused.status.code(), Some(2));
}
