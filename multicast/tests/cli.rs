//! The real binaries as a user runs them: help, results, errors, exit codes, Ctrl-C, pipes. Always on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A group of this test's own: `last` is unique in this file, the port is free.
fn group(last: u8) -> String {
    format!("239.255.51.{last}:{}", free_port())
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin(program));
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(program: &str, args: &[&str]) -> Output {
    command(program, args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// One JSON object is all there is on stdout.
fn one_object(output: &Output) -> Value {
    let text = stdout(output);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// A program that runs, its output read line by line.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(program: &str, args: &[&str]) -> Self {
        let mut child = command(program, args).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, lines }
    }

    /// A receiver that has joined.
    fn receiver(args: &[&str]) -> Self {
        let mut receiver = Running::start("multicast-receiver", args);
        receiver.read_until("Listening on multicast group");
        receiver
    }

    fn read_until(&mut self, word: &str) -> String {
        let mut read = String::new();
        while !read.contains(word) {
            assert!(self.lines.read_line(&mut read).unwrap() > 0, "ended before '{word}': {read}");
        }
        read
    }

    fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    }

    /// What it still says, and its exit code.
    fn end(mut self) -> (String, i32) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code().unwrap())
    }
}

#[test]
fn help_begins_with_examples_and_names_the_environment() {
    for program in ["multicast-sender", "multicast-receiver"] {
        let short = run(program, &["-h"]);
        assert_eq!(short.status.code(), Some(0));
        let text = stdout(&short);
        assert!(text.starts_with("Examples:\n"), "{text}");
        assert!(text.lines().skip(1).take_while(|line| !line.is_empty()).filter(|l| l.contains(program)).count() >= 3);
        for flag in text.split("\n      --").skip(1).chain(text.split("\n  -").skip(1)) {
            let name = flag.split_whitespace().next().unwrap();
            let described = flag.split("\n  ").next().unwrap_or(flag);
            let is_own = ["h,", "V,"].contains(&name);
            assert!(is_own || flag.contains("CASTLAB_"), "{program} --{name}: {described}");
        }
        assert!(stdout(&run(program, &["-V"])).starts_with(program));
    }
}

#[test]
fn two_senders_and_two_receivers_as_in_the_lab() {
    let group = group(1);
    let receive = ["-I", "lo", "-c", "6", group.as_str()];
    let receivers = [Running::receiver(&receive), Running::receiver(&receive)];
    for (name, sensor) in [("sender1", "temp"), ("sender2", "humidity")] {
        let sent = run("multicast-sender", &["-I", "lo", "-i", "0", "--name", name, "--sensor", sensor, &group]);
        assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
        assert!(stdout(&sent).contains("Verdict: 3 datagrams handed to the network"), "{}", stdout(&sent));
    }
    for receiver in receivers {
        let (told, code) = receiver.end();
        assert_eq!(code, 0, "{told}");
        for word in [
            "48 bytes: Hello, this is a multicast message from sender1.",
            "34 bytes: {\"sensor\": \"temp\", \"value\": 22.29}",
            "38 bytes: {\"sensor\": \"humidity\", \"value\": 22.29}",
            "Received binary from 127.0.0.1:",
            "\nLeaving multicast group and closing socket.\n",
            "Verdict: 6 messages heard, from 2 sources in",
        ] {
            assert!(told.contains(word), "'{word}' in: {told}");
        }
    }
}

/// A line of a transcript without what differs from run to run: ports.
fn without_ports(line: &str) -> String {
    let mut parts = line.split_inclusive(':');
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_address = kept.ends_with("127.0.0.1:") || kept.ends_with("224.1.1.1:");
        kept.push_str(if is_address { part.trim_start_matches(|c: char| c.is_ascii_digit()) } else { part });
    }
    kept
}

#[test]
fn the_guide_shows_what_is_really_printed() {
    // The transcripts of numbered messages are held by tests/run_time.rs.
    let (guide, _) = include_str!("../README.md").split_once("## Numbered messages").unwrap();
    let group = format!("224.1.1.1:{}", free_port());
    let receiver = Running::receiver(&["-I", "lo", "-c", "6", &group]);
    let send = ["-I", "lo", "-i", "0", &group];
    let first = run("multicast-sender", &[&send[..], &["--name", "sender1", "--seed", "7"]].concat());
    let second = ["--name", "sender2", "--sensor", "humidity", "--seed", "8"];
    run("multicast-sender", &[&send[..], &second].concat());
    let printed = receiver.end().0 + &stdout(&first);
    let printed: Vec<String> = printed.lines().map(without_ports).collect();
    let shown: Vec<&str> =
        guide.lines().filter(|l| ["Received", "Sent", "Leaving"].iter().any(|w| l.starts_with(w))).collect();
    assert_eq!(shown.len(), 6 + 1 + 3, "{shown:?}");
    for line in shown {
        assert!(printed.contains(&without_ports(line)), "'{line}' in: {printed:#?}");
    }
}

#[test]
fn joining_is_told_in_the_words_of_the_lab() {
    let group = group(2);
    let mut receiver = Running::start("multicast-receiver", &["-I", "127.0.0.1", &group]);
    let told = receiver.read_until("Listening");
    let address = group.split(':').next().unwrap();
    assert_eq!(
        told,
        format!("Joined multicast group {address} on lo (127.0.0.1)\nListening on multicast group {group}\n")
    );
    receiver.interrupt();
    let (rest, code) = receiver.end();
    assert!(rest.starts_with("Leaving multicast group and closing socket.\nVerdict: in "), "{rest}");
    assert!(rest.contains(" nobody was heard on "), "{rest}");
    assert_eq!(code, 0, "it was to listen until stopped");
}

#[test]
fn an_interrupted_goal_is_130_with_its_summary() {
    let group = group(3);
    let mut receiver = Running::receiver(&["-I", "lo", "--duration", "1h", &group]);
    let mut sender = Running::start("multicast-sender", &["-I", "lo", "-i", "1h", "-c", "9", &group]);
    sender.read_until("Sent text");
    receiver.read_until("Received text");
    for running in [receiver, sender] {
        running.interrupt();
        let (rest, code) = running.end();
        assert_eq!(code, 130, "{rest}");
        assert!(rest.contains("Verdict: 1 "), "{rest}");
    }
}

#[test]
fn a_sender_without_end_is_stopped_with_success() {
    let mut sender = Running::start("multicast-sender", &["-I", "lo", "-c", "0", "-i", "10ms", &group(4)]);
    for _ in 0..2 {
        sender.read_until("Sent binary");
    }
    sender.interrupt();
    let (rest, code) = sender.end();
    assert_eq!(code, 0, "{rest}");
    assert!(rest.contains("Verdict: "), "{rest}");
}

#[test]
fn a_delay_can_be_interrupted_too() {
    let sender =
        Running::start("multicast-sender", &["-I", "lo", "--delay", "1h", "--events", "/dev/stdout", &group(5)]);
    let mut sender = sender;
    sender.read_until("\"started\"");
    sender.interrupt();
    let (rest, code) = sender.end();
    assert_eq!(code, 130, "{rest}");
    assert!(rest.contains("Verdict: 0 datagrams"), "{rest}");
}

#[test]
fn each_line_of_standard_input_is_a_message() {
    let group = group(6);
    let receiver = Running::receiver(&["-I", "lo", "-c", "4", &group]);
    let mut sender = Running::start("multicast-sender", &["-I", "lo", "-i", "0", &group, "-"]);
    let mut typed = sender.child.stdin.take().unwrap();
    typed.write_all(b"first line\n{\"a\": 1}\n\n").unwrap();
    sender.read_until("0 bytes: (empty)");
    typed.write_all(b"\xff last").unwrap();
    drop(typed);
    let (told, code) = sender.end();
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("Verdict: 4 datagrams"), "{told}");
    let (heard, _) = receiver.end();
    for word in ["10 bytes: first line", "Received JSON", "0 bytes: (empty)", "Received binary"] {
        assert!(heard.contains(word), "{heard}");
    }
}

#[test]
fn a_sender_that_waits_for_a_line_stops_at_once() {
    let mut sender = Running::start("multicast-sender", &["-I", "lo", "-i", "0", &group(7), "-"]);
    let mut typed = sender.child.stdin.take().unwrap();
    typed.write_all(b"one\n").unwrap();
    sender.read_until("Sent text");
    sender.interrupt();
    let (rest, code) = sender.end();
    assert_eq!(code, 130, "{rest}");
    drop(typed);
}

#[test]
fn flags_are_sent_in_the_order_typed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bytes");
    std::fs::write(&file, [0, 1, 2]).unwrap();
    let file = file.to_str().unwrap();
    let group = group(8);
    let args =
        ["-I", "lo", "-i", "0", &group, "--text", "a", "--binary-file", file, "--json-value", "[]", "--text", "b"];
    let sent = run("multicast-sender", &args);
    let told: Vec<String> = stdout(&sent)
        .lines()
        .filter_map(|line| line.strip_prefix("Sent ")?.split(' ').next().map(str::to_owned))
        .collect();
    assert_eq!(told, ["text", "binary", "JSON", "text"]);
}

#[test]
fn json_is_one_object_even_where_the_events_cannot_be_written() {
    let args = ["--cast", "unicast", "--receivers", "1", "-c", "1", "--json", "--events", "/dev/full"];
    let output = Command::new(cargo_bin("multicast-sender")).args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert_eq!(one_object(&output)["complete"], true);
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write events to /dev/full"), "{output:?}");
}

#[test]
fn json_is_one_object_with_the_counts() {
    let group = group(9);
    let sent = run("multicast-sender", &["-I", "lo", "-i", "0", "--json", "--seed", "7", &group]);
    let object = one_object(&sent);
    assert_eq!((object["datagrams"].as_u64(), object["seed"].as_u64()), (Some(3), Some(7)));
    assert_eq!(object["binary"]["bytes"], 16);
    let heard = run("multicast-receiver", &["-I", "lo", "--duration", "1ms", "--json", &group]);
    assert_eq!(heard.status.code(), Some(4));
    let object = one_object(&heard);
    assert_eq!((&object["messages"], &object["error"]["code"]), (&0.into(), &"MC-IFACE".into()));
    assert!(object["error"]["hint"].is_string());
}

#[test]
fn what_cannot_be_is_refused_with_a_code_and_a_hint() {
    let holder = UdpSocket::bind("0.0.0.0:0").unwrap();
    let held = format!("224.1.1.1:{}", holder.local_addr().unwrap().port());
    let folder = tempfile::tempdir().unwrap();
    let big = folder.path().join("big");
    std::fs::write(&big, vec![0; 65_508]).unwrap();
    let big = big.to_str().unwrap();
    for (program, args, exit, code) in [
        ("multicast-receiver", &["-I", "lo", "192.0.2.7"][..], 2, "MC-ADDR"),
        ("multicast-receiver", &["-I", "lo", "group.example:5007"], 2, "MC-ADDR"),
        ("multicast-receiver", &["-I", "nosuch0"], 3, "MC-IFACE"),
        ("multicast-receiver", &["-I", "4000000000"], 3, "MC-IFACE"),
        ("multicast-receiver", &["-I", "lo", &held], 3, "PORT-IN-USE"),
        ("multicast-receiver", &["-I", "lo", "--duration", "soon"], 2, "USAGE"),
        ("multicast-receiver", &["-I", "lo", "--rcvbuf", "4GiB"], 2, "USAGE"),
        ("multicast-receiver", &["-I", "lo", "--no-such-flag"], 2, "USAGE"),
        ("multicast-sender", &["-I", "lo", "127.0.0.1:5007"], 2, "MC-ADDR"),
        ("multicast-sender", &["-I", "nosuch0"], 3, "MC-IFACE"),
        ("multicast-sender", &["-I", "all"], 2, "USAGE"),
        ("multicast-sender", &["-I", "lo", "--json-value", "{"], 2, "USAGE"),
        ("multicast-sender", &["-I", "lo", "--binary-file", big], 2, "TOO-LONG"),
        ("multicast-sender", &["-I", "lo", "--binary-file", "/nowhere"], 3, "NOT-FOUND"),
        ("multicast-sender", &["-I", "lo", "--ttl", "256"], 2, "USAGE"),
        ("multicast-sender", &["-I", "lo", "-", "-c", "2"], 2, "USAGE"),
    ] {
        let text = run(program, args);
        assert_eq!(text.status.code(), Some(exit), "{args:?}: {}", stderr(&text));
        assert!(text.stdout.is_empty(), "{}", stdout(&text));
        let json = run(program, &[args, &["--json"]].concat());
        assert_eq!(json.status.code(), Some(exit));
        let object = one_object(&json);
        assert_eq!(object["error"]["code"], code, "{args:?}");
        assert!(object["error"]["hint"].is_string(), "{object}");
    }
}

#[test]
fn an_interface_named_twice_must_be_the_same() {
    let output = run("multicast-sender", &["-I", "lo", "[ff02::1%eth9]:5007", "--json"]);
    assert_eq!((output.status.code(), &one_object(&output)["error"]["code"]), (Some(2), &"USAGE".into()));
}

#[test]
fn a_line_too_long_for_a_datagram_ends_the_run_and_says_so() {
    let mut sender = Running::start("multicast-sender", &["-I", "lo", "-i", "0", &group(11), "-", "--json"]);
    let mut typed = sender.child.stdin.take().unwrap();
    typed.write_all(b"fine\n").unwrap();
    typed.write_all(&[b'x'; 70_000]).unwrap();
    let (told, code) = sender.end();
    assert_eq!(code, 6, "{told}");
    let object: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(object["error"]["code"], "TOO-LONG");
    assert!(object["error"]["message"].as_str().unwrap().contains("1 sent before"), "{object}");
}

#[test]
fn the_environment_stands_for_flags_and_flags_win() {
    let group = group(12);
    let mut sender = command("multicast-sender", &["--count", "1"]);
    sender.env("CASTLAB_GROUP", &group).env("CASTLAB_INTERFACE", "lo").env("CASTLAB_INTERVAL", "0");
    sender.env("CASTLAB_NAME", "of-the-environment").env("CASTLAB_COUNT", "1000").env("CASTLAB_TEXT", "hello");
    let sent = sender.output().unwrap();
    let told = stdout(&sent);
    assert!(told.starts_with(&format!("Sent text to {group}, 5 bytes: hello\n")), "{told}{}", stderr(&sent));
    assert!(told.contains("Verdict: 1 datagram handed"), "{told}");
}

#[test]
fn the_environment_turns_a_flag_on_as_people_write_it() {
    let group = group(14);
    for (value, is_on) in [("1", true), ("true", true), ("0", false), ("", false)] {
        let mut sender = command("multicast-sender", &["-I", "lo", "-i", "0", &group]);
        let sent = sender.env("CASTLAB_JSON", value).env("CASTLAB_NO_LOOPBACK", value).output().unwrap();
        assert_eq!(sent.status.code(), Some(0), "{value}: {}", stderr(&sent));
        assert_eq!(serde_json::from_str::<Value>(&stdout(&sent)).is_ok(), is_on, "{value}");
        assert_eq!(stderr(&sent).contains("loopback off"), is_on, "{value}");
    }
}

#[test]
fn the_banner_names_interface_ttl_loopback_and_block() {
    let port = free_port();
    let sent = run("multicast-sender", &["-I", "lo", "-i", "0", &format!("224.1.1.1:{port}"), "--no-loopback"]);
    let told = stderr(&sent);
    for word in
        ["through lo (127.0.0.1)", "TTL 1 (this link only)", "loopback off", "RESERVED block (RFC 5771)", "whatever"]
    {
        assert!(told.contains(word), "'{word}' in: {told}");
    }
}

#[test]
fn a_reader_who_has_seen_enough_is_success() {
    let mut sender = Running::start("multicast-sender", &["-I", "lo", "-c", "0", "-i", "1ms", &group(13)]);
    let mut first = String::new();
    sender.lines.read_line(&mut first).unwrap();
    assert!(first.starts_with("Sent text"), "{first}");
    drop(sender.lines);
    assert_eq!(sender.child.wait().unwrap().code(), Some(0));
}
