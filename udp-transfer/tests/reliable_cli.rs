//! The real binaries in the reliable modes: as a person runs them, and as a crash ends them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// A running server; killed when dropped.
struct Server {
    process: Child,
    lines: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(root: &Path, bind: &str, more: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_udp-transfer-server"))
            .arg("--root")
            .arg(root)
            .args(["--bind", bind])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut banner = String::new();
        lines.read_line(&mut banner).unwrap();
        let address = banner.strip_prefix("[server] listening on ").unwrap().split(',').next().unwrap().to_owned();
        Server { process, lines, address }
    }

    fn stop(mut self, signal: Signal) -> (i32, String) {
        send(&self.process, signal);
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        (self.process.wait().unwrap().code().unwrap(), rest)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn send(process: &Child, signal: Signal) {
    kill(Pid::from_raw(process.id().try_into().unwrap()), signal).unwrap();
}

fn client(server: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udp-transfer-client"));
    command.args(["--server", server, "--no-progress"]).args(args);
    command
}

fn run(server: &str, args: &[&str]) -> Output {
    client(server, args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn folder_with(name: &str, bytes: &[u8]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join(name), bytes).unwrap();
    root
}

fn noise(length: usize) -> Vec<u8> {
    let mut random = netsim::Random::new(9);
    (0..length / 8).flat_map(|_| random.number().to_le_bytes()).collect()
}

#[test]
fn list_get_and_the_servers_summary() {
    let root = folder_with("hello.txt", b"hello\n");
    std::fs::create_dir(root.path().join("folder")).unwrap();
    std::fs::write(root.path().join("folder/a b"), "ab").unwrap();
    let server = Server::start(root.path(), "127.0.0.1:0", &[]);
    let hash = blake3::hash(b"hello\n").to_hex();

    let listed = run(&server.address, &["list"]);
    assert_eq!(listed.status.code(), Some(0), "{}", text(&listed.stderr));
    assert!(text(&listed.stdout).contains("folder/a b") && text(&listed.stdout).contains(hash.as_str()));
    let listed: Value = serde_json::from_slice(&run(&server.address, &["list", "--json"]).stdout).unwrap();
    assert_eq!(listed["files"][1]["blake3"], hash.as_str());

    let output = tempfile::tempdir().unwrap();
    let to = output.path().to_str().unwrap();
    let got = run(&server.address, &["get", "hello.txt", "-o", to]);
    assert_eq!(got.status.code(), Some(0), "{}", text(&got.stderr));
    assert!(text(&got.stdout).contains("[WHOLE] 1 of 1 verified"), "{}", text(&got.stdout));
    assert!(text(&got.stdout).contains(&format!("{hash}  {to}/hello.txt")), "as b3sum prints it");
    let all = run(&server.address, &["get", "--all", "-o", to, "-P", "2", "--json"]);
    let report: Value = serde_json::from_slice(&all.stdout).unwrap();
    assert_eq!((all.status.code(), &report["files"][1]["result"]), (Some(0), &Value::from("already")));
    let of_all = report["total"]["elapsed_ns"].as_u64().unwrap();
    let over = |file: &Value| file["begun_ns"].as_u64().unwrap() + file["elapsed_ns"].as_u64().unwrap();
    assert!(report["files"].as_array().unwrap().iter().all(|file| over(file) <= of_all), "{report}");
    assert_eq!(std::fs::read(output.path().join("folder/a b")).unwrap(), b"ab");
    let missing = run(&server.address, &["get", "nothing", "-o", to, "--json"]);
    let report: Value = serde_json::from_slice(&missing.stdout).unwrap();
    assert_eq!((missing.status.code(), &report["verdict"]["code"]), (Some(3), &Value::from("NOT-FOUND")));

    let (code, summary) = server.stop(Signal::SIGINT);
    assert_eq!(code, 0);
    assert!(summary.contains("2 transfers, 2 of them complete"), "{summary}");
}

#[test]
fn both_protocols_on_one_port() {
    let root = folder_with("hello.txt", b"hello\n");
    let server = Server::start(root.path(), "0.0.0.0:0", &["--classic"]);
    let address = server.address.replace("0.0.0.0", "127.0.0.1");
    let output = tempfile::tempdir().unwrap();
    let to = output.path().to_str().unwrap();
    assert_eq!(text(&run(&address, &["list", "-m", "classic"]).stdout), "hello.txt\n");
    for mode in ["classic", "selective-repeat"] {
        let got = run(&address, &["get", "hello.txt", "-m", mode, "-o", to]);
        assert_eq!(got.status.code(), Some(0), "{mode}: {}", text(&got.stderr));
    }
    assert_eq!(std::fs::read(output.path().join("Cliente1-Prueba1.txt")).unwrap(), b"hello\n");
    assert_eq!(std::fs::read(output.path().join("hello.txt")).unwrap(), b"hello\n");
    let (code, summary) = server.stop(Signal::SIGTERM);
    assert_eq!(code, 0);
    assert!(summary.contains("classic: 4 commands, 1 transfers"), "{summary}");
}

#[test]
fn sigkill_of_either_side_and_ctrl_c_lose_nothing() {
    let original = noise(8 << 20);
    let root = folder_with("a.bin", &original);
    let output = tempfile::tempdir().unwrap();
    let (part, to) = (output.path().join("a.bin.part"), output.path().to_str().unwrap().to_owned());
    let mut server = Server::start(root.path(), "127.0.0.1:0", &[]);
    let address = server.address.clone();
    let slow = ["get", "a.bin", "-b", "100M", "-o", &to, "--json"];
    let until = |bytes: u64, process: &mut Child| {
        while std::fs::metadata(&part).map_or(0, |metadata| metadata.len()) < bytes {
            assert!(process.try_wait().unwrap().is_none(), "it ended before {bytes} bytes had come");
            std::thread::yield_now();
        }
    };
    for at in [1_500_000, 3_000_000] {
        let mut process = client(&address, &slow).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until(at, &mut process);
        send(&process, Signal::SIGKILL);
        process.wait().unwrap();
    }
    let mut process = client(&address, &slow).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    until(4_500_000, &mut process);
    send(&process, Signal::SIGINT);
    let ended = process.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((ended.status.code(), &report["verdict"]["code"]), (Some(130), &Value::from("INTERRUPTED")));
    assert!(report["verdict"]["hint"].as_str().unwrap().contains("a.bin.part"), "{report}");

    let mut process = client(&address, &slow).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    until(6_000_000, &mut process);
    send(&server.process, Signal::SIGKILL);
    server.process.wait().unwrap();
    server = Server::start(root.path(), &address, &[]);
    let ended = process.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{report}");
    assert!(report["files"][0]["resumed_bytes"].as_u64().unwrap() >= 4 << 20, "{report}");
    assert!(std::fs::read(output.path().join("a.bin")).unwrap() == original);
    drop(server);
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let root = folder_with("hello.txt", b"hello\n");
    let server = Server::start(root.path(), "127.0.0.1:0", &[]);
    let mut process = client(&server.address, &["list"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(process.stdout.take());
    assert_eq!(process.wait().unwrap().code(), Some(0));
}
