//! The real binaries, as a user runs them: help, exit codes, JSON, pipes, signals.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use events::{Event, Reader};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn command(binary: &str, args: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin(binary));
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn client(args: &[&str]) -> Output {
    command("anycast-client", args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A real server on a port of its own choosing, stopped when the test is over.
struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let mut command = command("anycast-server", &["--bind", "127.0.0.1:0"]);
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("[server] listening on ").expect(&line).to_owned();
        Server { child, stdout, address }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// What it printed after the first line, and its exit code.
    fn stop(mut self, signal: Signal) -> (String, Option<i32>) {
        self.signal(signal);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone when the test stopped it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn help_begins_with_examples_and_names_the_variables() {
    for binary in ["anycast-server", "anycast-client"] {
        for flag in ["-h", "--help"] {
            let help = text(&command(binary, &[flag]).output().unwrap().stdout);
            assert!(help.starts_with(&format!("Examples:\n  {binary} ")), "{help}");
            assert!(help.contains("[env: CASTLAB_EVENTS]"), "{help}");
        }
        let version = text(&command(binary, &["-V"]).output().unwrap().stdout);
        assert_eq!(version, format!("{binary} {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn a_client_prints_what_the_server_of_the_course_printed() {
    let server = Server::start(&["--name", "server3"]);
    let output = client(&[&server.address, "-c", "3"]);
    assert_eq!(output.status.code(), Some(0));
    let stdout = text(&output.stdout);
    assert_eq!(stdout.lines().filter(|line| line.starts_with("Received: Hello from server3 ")).count(), 3, "{stdout}");
    assert!(stdout.contains("3 of 3 connections answered by 1 replica"), "{stdout}");
    let (rest, code) = server.stop(Signal::SIGTERM);
    assert_eq!(code, Some(0));
    assert!(rest.ends_with("[server] server3 greeted 3 connections\n"), "{rest}");
}

#[test]
fn json_is_one_object_and_events_are_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("client.jsonl"), folder.path().join("server.jsonl"));
    let server = Server::start(&["--name", "a", "--events", theirs.to_str().unwrap()]);
    let output = client(&[
        &server.address,
        "-c",
        "2",
        "--json",
        "--seed",
        "5",
        "--name",
        "me",
        "--events",
        ours.to_str().unwrap(),
    ]);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["answered"], &result["seed"]), (&2.into(), &5.into()));
    assert_eq!(result["replicas"][0]["name"], "a");
    assert!(result["replicas"][0]["latency_p99_ns"].as_u64().unwrap() > 0);
    server.stop(Signal::SIGINT);
    let read = |path| -> Vec<Event> {
        Reader::new(BufReader::new(std::fs::File::open(path).unwrap())).map(|record| record.unwrap().event).collect()
    };
    let received = read(&ours)
        .into_iter()
        .filter(|event| matches!(event, Event::Received { name: Some(name), .. } if name == "a"));
    assert_eq!(received.count(), 2);
    let sent = read(&theirs).into_iter().filter(|event| matches!(event, Event::Sent { bytes: 13, .. }));
    assert_eq!(sent.count(), 2);
}

#[test]
fn a_stream_of_json_ends_with_the_result() {
    let server = Server::start(&[]);
    let output = client(&[&server.address, "--json-stream"]);
    let lines: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["event"], "started");
    assert_eq!(lines.last().unwrap()["answered"], 1);
}

#[test]
fn wrong_arguments_exit_with_2_and_say_which() {
    for (args, word) in [
        (&["--pick", "best"][..], "best"),
        (&["a:0"], "a:0"),
        (&["-c", "many"], "many"),
        (&["--timeout", "0s"], "zero"),
        (&["-4", "-6"], "--ipv6"),
        (&["--concurrency", "0"], "from 1"),
    ] {
        let output = client(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(word), "{args:?}: {}", text(&output.stderr));
        let output = client(&[args, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(2));
        let error: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(error["error"]["code"], "USAGE");
    }
    let mut from_the_environment = command("anycast-client", &["-c", "many"]);
    let output = from_the_environment.env("CASTLAB_JSON", "1").output().unwrap();
    assert!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["error"].is_object());
    let output = command("anycast-server", &["--name", "a\nb", "--bind", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_taken_port_an_unknown_name_and_an_unwritable_file_exit_with_3() {
    let server = Server::start(&[]);
    let output = command("anycast-server", &["--bind", &server.address]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let shown = text(&output.stderr);
    assert!(shown.contains("PORT-IN-USE") && shown.contains(&server.address) && shown.contains("try:"), "{shown}");

    let name = "x".repeat(64);
    let output = client(&[&name, "--json"]);
    assert_eq!(output.status.code(), Some(3));
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["error"]["code"], "NAME-UNRESOLVED");

    let output = client(&[&server.address, "--events", "/no/such/folder/events.jsonl"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("/no/such/folder/events.jsonl"));
}

#[test]
fn one_target_without_an_address_does_not_stop_the_others() {
    let server = Server::start(&["--name", "alive"]);
    let output = client(&[&"x".repeat(64), &server.address]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("cannot resolve"));
}

#[test]
fn nobody_there_exits_with_4_and_names_the_first_cause() {
    let held = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    held.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = held.local_addr().unwrap().as_socket().unwrap().to_string();
    let output = client(&[&address]);
    assert_eq!(output.status.code(), Some(4));
    let stdout = text(&output.stdout);
    assert!(stdout.contains("0 of 1 connections") && stdout.contains("refused") && stdout.contains("try:"), "{stdout}");
}

#[test]
fn a_reader_that_leaves_early_is_success() {
    let server = Server::start(&[]);
    let mut running = command("anycast-client", &[&server.address, "-c", "0", "-i", "1ms"]);
    let mut child = running.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // The reader is gone with the line above; a client that would go on for ever ends by itself.
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let server = Server::start(&[]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command("anycast-client", &[&server.address]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(text(&output.stderr).contains("DISK-FULL"), "{}", text(&output.stderr));
}

#[test]
fn ctrl_c_ends_with_the_summary_and_130() {
    let server = Server::start(&["--name", "a"]);
    let mut running = command("anycast-client", &[&server.address, "-c", "1000", "-i", "1h"]);
    let mut child = running.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("Received: ") {
        line.clear();
        stdout.read_line(&mut line).unwrap();
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest.contains("1 of 1 connections answered"), "{rest}");
}

#[test]
fn who_fails_at_once_each_time_can_be_stopped_all_the_same() {
    // No connection can go to the broadcast address, and the system says so without waiting.
    let output = Command::new("timeout")
        .args(["--signal=KILL", "60"])
        .arg(cargo_bin("anycast-client"))
        .args(["255.255.255.255:5000", "-c", "0", "--concurrency", "2", "--deadline", "200ms", "-q"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn watching_ends_at_its_deadline_with_what_it_saw() {
    let server = Server::start(&["--name", "a"]);
    let output = client(&[&server.address, "--watch", "-i", "5ms", "-W", "300ms", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["watched"]["moves"], &result["watched"]["failed"]), (&0.into(), &0.into()), "{result}");
}

#[test]
fn what_cannot_go_together_is_a_usage_error() {
    for args in [
        &["--source-port", "4000", "--concurrency", "2"][..],
        &["--hold", "3", "--watch"],
        &["--path", "no-slash"],
        &["--language", "a\nb"],
    ] {
        assert_eq!(client(args).status.code(), Some(2), "{args:?}");
    }
    let both = command("anycast-server", &["--refuse", "--fail-after", "3"]).output().unwrap();
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn kept_connections_are_told_in_json_and_nobody_to_keep_them_exits_with_4() {
    let server = Server::start(&["--name", "keeper", "--protocol", "http"]);
    let output = client(&[&server.address, "--hold", "3", "-i", "1ms", "-c", "4", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["connections"], &result["broken"]), (&3.into(), &0.into()));
    assert_eq!(result["replicas"][0]["name"], "keeper");
    let greeter = Server::start(&[]);
    assert_eq!(client(&[&greeter.address, "--hold", "2"]).status.code(), Some(4));
}

#[test]
fn a_full_and_a_json_greeting_say_more_and_are_understood() {
    for form in ["full", "json"] {
        let server = Server::start(&["--name", "server1", "--answer", form]);
        let output = client(&[&server.address]);
        let shown = text(&output.stdout);
        assert!(shown.contains("process") && shown.contains("│ server1 "), "{shown}");
    }
}
