//! The real binaries, as a person or a script runs them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command as Process, Output, Stdio};

use assert_cmd::Command;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

fn client(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_udp-transfer-client")).args(args).output().unwrap()
}

/// The same in the classic mode, which most of these tests are about.
fn classic(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_udp-transfer-client")).env("CASTLAB_MODE", "classic").args(args).output().unwrap()
}

fn server(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_udp-transfer-server")).args(args).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The one JSON object on stdout.
fn json(output: &Output) -> Value {
    assert_eq!(stdout(output).lines().count(), 1, "exactly one object: {}", stdout(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A running server and its folder; stopped when dropped.
struct Served {
    process: Child,
    lines: BufReader<std::process::ChildStdout>,
    address: String,
    folder: TempDir,
}

impl Served {
    fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hello.txt"), "hello\n").unwrap();
        std::fs::write(folder.path().join("empty"), "").unwrap();
        let mut process = Process::new(env!("CARGO_BIN_EXE_udp-transfer-server"))
            .arg("--root")
            .arg(folder.path())
            .args(["--classic", "--bind", "127.0.0.1:0"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut banner = String::new();
        lines.read_line(&mut banner).unwrap();
        let address = banner.strip_prefix("[server] listening on ").unwrap().split(',').next().unwrap().to_owned();
        Served { process, lines, address, folder }
    }

    /// Asks it to finish, as Ctrl-C does; its exit code, the rest of its stdout, and its stderr.
    fn stop(mut self, signal: Signal) -> (i32, String, String) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
        let (mut rest, mut log) = (String::new(), String::new());
        self.lines.read_to_string(&mut rest).unwrap();
        self.process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.process.wait().unwrap().code().unwrap(), rest, log)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn help_begins_with_examples_and_says_why_loopback() {
    for (output, example) in [
        (client(&["-h"]), "udp-transfer-client -s 127.0.0.1 get video.mp4  "),
        (client(&["get", "--help"]), "--silence"),
        (server(&["--help"]), "asks nobody to prove their address"),
    ] {
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains(example), "{}", stdout(&output));
    }
    assert!(stdout(&client(&["--version"])).starts_with("udp-transfer-client "));
}

#[test]
fn wrong_arguments_end_with_2_and_say_what_is_meant() {
    for (output, word) in [
        (client(&[]), "Usage"),
        (client(&["list"]), "no server is named"),
        (client(&["-s", "127.0.0.1", "get"]), "<FILE>"),
        (client(&["-s", "127.0.0.1", "get", "../x"]), "no `..`"),
        (classic(&["-s", "127.0.0.1", "get", "../x"]), "no path in it"),
        (client(&["-s", "127.0.0.1", "get", "x", "-P", "0"]), "256"),
        (client(&["-s", "127.0.0.1", "get", "x", "-m", "telepathy"]), "classic"),
        (client(&["-s", "127.0.0.1", "get", "x", "--silence", "0s"]), "more than zero"),
        (classic(&["-s", "127.0.0.1", "get", "x", "--expect-size", "1", "--reference", "y"]), "cannot be used with"),
        (client(&["-s", "a b", "list"]), "NAME:PORT"),
        (server(&[]), "--root"),
        (client(&["-s", "127.0.0.1", "get", "x", "--all"]), "cannot be used with"),
        (client(&["-s", "127.0.0.1", "get", "x", "x"]), "named twice"),
        (client(&["-s", "127.0.0.1", "get", "a", "b", "-m", "classic"]), "one file"),
        (client(&["-s", "127.0.0.1", "get", "x", "--impair", "loss"]), "loss=5%"),
        (client(&["-s", "127.0.0.1", "get", "x", "-l", "900"]), "1200"),
        (client(&["-s", "127.0.0.1", "get", "x", "-m", "classic", "--impair", "loss=1%"]), "-m raw"),
        (client(&["-s", "127.0.0.1", "get", "x", "--expect-size", "1"]), "-m classic"),
        (server(&["--root", ".", "-C", "telepathy"]), "newreno"),
        (server(&["--root", ".", "--classic", "-l", "70000"]), "65507"),
        (server(&["--root", ".", "--classic", "-b", "10parsecs"]), "unit of rate"),
    ] {
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(word), "{word}: {}", stderr(&output));
    }
}

#[test]
fn a_server_that_cannot_be_set_up_ends_with_3_and_names_what() {
    let missing = server(&["--root", "/nonexistent", "--classic", "--bind", "127.0.0.1:0"]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(
        stderr(&missing).contains("NOT-FOUND") && stderr(&missing).contains("/nonexistent"),
        "{}",
        stderr(&missing)
    );
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let taken = server(&["--root", "/", "--classic", "--bind", &address, "--json"]);
    assert_eq!(taken.status.code(), Some(3));
    assert_eq!(json(&taken)["error"]["code"], "PORT-IN-USE");
}

#[test]
fn list_and_get_and_the_servers_summary() {
    let served = Served::start(&[]);
    let listed = classic(&["--server", &served.address, "list"]);
    assert_eq!((listed.status.code(), stdout(&listed)), (Some(0), "empty\nhello.txt\n"));
    assert_eq!(json(&classic(&["-s", &served.address, "list", "--json"]))["files"][1], "hello.txt");

    let output = tempfile::tempdir().unwrap();
    let got = classic(&["-s", &served.address, "get", "hello.txt", "-P", "3", "-o", text(output.path())]);
    assert_eq!(got.status.code(), Some(0), "{}", stderr(&got));
    assert!(stdout(&got).contains("[WHOLE] 3 of 3 clients have every byte (18 B)"), "{}", stdout(&got));
    for client in 1..=3 {
        let path = output.path().join(format!("Cliente{client}-Prueba3.txt"));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "hello\n");
    }

    let again = classic(&["-s", &served.address, "get", "hello.txt", "-P", "3", "-o", text(output.path()), "--json"]);
    assert_eq!((again.status.code(), json(&again)["error"]["code"].clone()), (Some(3), "FILE-EXISTS".into()));
    let reference = served.folder.path().join("hello.txt");
    let forced = classic(&[
        "--json",
        "-s",
        &served.address,
        "get",
        "hello.txt",
        "-P",
        "3",
        "-o",
        text(output.path()),
        "--force",
        "--reference",
        text(&reference),
    ]);
    let report = json(&forced);
    assert_eq!(forced.status.code(), Some(0));
    assert_eq!((report["verdict"]["code"].clone(), report["total"]["lost_bytes"].clone()), ("WHOLE".into(), 0.into()));
    assert_eq!(report["clients"][2]["result"], "whole");

    let (code, summary, log) = served.stop(Signal::SIGINT);
    assert_eq!(code, 0);
    assert!(summary.contains("6 transfers (36 B sent)"), "{summary}");
    for logged in ["LIST", "!CONFIG :hello.txt :3", "TRANSFER", "sent 6 of 6 bytes of hello.txt"] {
        assert!(log.contains(logged), "{logged}: {log}");
    }
}

#[test]
fn a_server_stopped_by_sigterm_ends_with_0_and_its_events_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.jsonl");
    let served = Served::start(&["--events", text(&events)]);
    let (code, _, _) = served.stop(Signal::SIGTERM);
    assert_eq!(code, 0);
    let records = std::fs::read_to_string(&events).unwrap();
    assert!(records.lines().next().unwrap().contains("\"event\":\"started\""), "{records}");
    assert!(records.lines().last().unwrap().contains("\"event\":\"finished\""), "{records}");
}

#[test]
fn a_file_the_server_has_not_and_a_server_that_is_not_there() {
    let served = Served::start(&[]);
    let output = tempfile::tempdir().unwrap();
    let missing = classic(&["-s", &served.address, "get", "nothing", "-o", text(output.path()), "--json"]);
    assert_eq!((missing.status.code(), json(&missing)["error"]["code"].clone()), (Some(3), "CONFIG-REFUSED".into()));
    let address = served.address.clone();
    served.stop(Signal::SIGINT);
    let dead = classic(&["-s", &address, "get", "hello.txt", "-o", text(output.path())]);
    assert_eq!(dead.status.code(), Some(4));
    assert!(stderr(&dead).contains(&address) && stderr(&dead).contains("try:"), "{}", stderr(&dead));
    let dead = classic(&["-s", &address, "list", "--json"]);
    assert_eq!((dead.status.code(), json(&dead)["error"]["code"].clone()), (Some(4), "REFUSED".into()));
    assert_eq!(std::fs::read_dir(output.path()).unwrap().count(), 0);
}

#[test]
fn an_output_folder_that_cannot_be_is_told() {
    let served = Served::start(&[]);
    let file = served.folder.path().join("hello.txt");
    let failed = classic(&["-s", &served.address, "get", "hello.txt", "-o", text(&file)]);
    assert_eq!(failed.status.code(), Some(3));
    assert!(stderr(&failed).contains("cannot open the output folder"), "{}", stderr(&failed));
}

#[test]
fn the_menu_works_from_a_pipe() {
    let served = Served::start(&[]);
    let output = tempfile::tempdir().unwrap();
    let menu = |args: &[&str], typed: &str| {
        Command::new(env!("CARGO_BIN_EXE_udp-transfer-client"))
            .env("CASTLAB_MODE", "classic")
            .args(["menu", "-o", text(output.path())])
            .args(args)
            .write_stdin(typed)
            .output()
            .unwrap()
    };
    let session = format!("{}\n!LIST\n!CONFIG :hello.txt :2\nwhat?\n!START\n!DISCONNECT\n!LIST\n", served.address);
    let all = menu(&[], &session);
    assert_eq!(all.status.code(), Some(0), "{}", stderr(&all));
    for shown in
        ["Server address", "empty\nhello.txt\n", "Config set", "is no command", "2 of 2 clients", "Disconnected"]
    {
        assert!(stdout(&all).contains(shown), "{shown}: {}", stdout(&all));
    }
    assert_eq!(std::fs::read_to_string(output.path().join("Cliente2-Prueba2.txt")).unwrap(), "hello\n");

    // The end of the input is a disconnect; the exit code is the last command's.
    let again = menu(&["-s", &served.address], "!CONFIG :hello.txt :2\n!START\n");
    assert_eq!(again.status.code(), Some(3));
    assert!(stdout(&again).contains("FILE-EXISTS"), "{}", stdout(&again));
    assert_eq!(menu(&["-s", &served.address], "!START").status.code(), Some(2));
    assert_eq!(menu(&[], "").status.code(), Some(0));
    assert_eq!(menu(&[], "not a host\n").status.code(), Some(2));

    let structured =
        json(&menu(&["-s", &served.address, "--json", "--force"], "!LIST\n!CONFIG :hello.txt :1\n!START\n"));
    assert_eq!(structured["commands"][0]["files"][0], "empty");
    assert_eq!(structured["commands"][2]["verdict"]["code"], "WHOLE");
}

#[test]
fn ctrl_c_ends_a_client_with_130_and_what_it_has() {
    // A server of the original that takes the configuration and then sends one datagram.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let output = tempfile::tempdir().unwrap();
    let process = Process::new(env!("CARGO_BIN_EXE_udp-transfer-client"))
        .env("CASTLAB_MODE", "classic")
        .args(["-s", &address, "get", "a.bin", "--expect-size", "100", "--silence", "1h", "--json", "-o"])
        .arg(output.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut buffer = [0; 100];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"!CONFIG :a.bin :1");
    socket.send_to(b"Config set", from).unwrap();
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"TRANSFER");
    socket.send_to(&[7; 60], from).unwrap();
    kill(Pid::from_raw(process.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let ended = process.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{}", stderr(&ended));
    assert_eq!(json(&ended)["verdict"]["code"], "INTERRUPTED");
}

#[test]
fn a_reader_who_leaves_early_is_no_error() {
    let served = Served::start(&[]);
    let mut process = Process::new(env!("CARGO_BIN_EXE_udp-transfer-client"))
        .env("CASTLAB_MODE", "classic")
        .args(["-s", &served.address, "list"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(process.stdout.take());
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

#[test]
fn the_simulator_prints_the_table_and_runs_one_scenario() {
    let simulate = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_udp-transfer-sim")).args(args).output().unwrap();
    let table = simulate(&["--runs", "2", "--blocks", "20", "--modes", "raw,selective-repeat", "--loss", "0%,30%"]);
    let text = String::from_utf8(table.stdout).unwrap();
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("selective-repeat") && line.contains("30%") && line.contains("2/2"))
    );

    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("run.jsonl");
    let scenario = "stop-and-wait | 3 blocks | there: delay=10ms,drop=block:1 | back: delay=10ms";
    let run = simulate(&["run", scenario, "--events", events.to_str().unwrap()]);
    assert_eq!(run.status.code(), Some(0));
    assert!(String::from_utf8(run.stdout).unwrap().contains("4 sent, 1 of them again"));
    assert!(std::fs::read_to_string(&events).unwrap().lines().count() > 10);
    let contest = simulate(&["congestion", "--json"]);
    let rows =
        serde_json::from_slice::<serde_json::Value>(&contest.stdout).unwrap()["rows"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 21, "seven paths, three congestion controls");
    assert!(rows.iter().any(|row| row["congestion"] == "bbr" && row["line_used_permille"].as_u64() > Some(900)));
    assert_eq!(simulate(&["run", "tcp"]).status.code(), Some(2));
    assert_eq!(simulate(&["--loss", "200%"]).status.code(), Some(2));
}
