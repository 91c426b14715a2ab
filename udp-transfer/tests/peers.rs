//! Ours against a server and a client of the original, written in Python from its description (`tests/peers/`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "what is skipped is said")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Whether there is a Python to run the peers with; says so loudly where there is none.
fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("SKIPPED: python3 is not here, so the peers of the original did not run");
    }
    found
}

fn peer(name: &str) -> String {
    format!("{}/tests/peers/{name}.py", env!("CARGO_MANIFEST_DIR"))
}

/// Three files; none has more datagrams than any receive buffer takes, so that nothing can be lost.
fn files() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..150_000_u32).flat_map(u32::to_le_bytes).take(150_000).collect();
    std::fs::write(folder.path().join("video 1.mp4"), content).unwrap();
    std::fs::write(folder.path().join("note.txt"), "hello\n").unwrap();
    folder
}

fn text(output: &[u8]) -> &str {
    std::str::from_utf8(output).unwrap()
}

/// A server process and the first line it prints; killed when dropped.
struct Running {
    process: Child,
    first_line: String,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut first_line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut first_line).unwrap();
        Running { process, first_line }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn our_client_fetches_from_a_server_of_the_original() {
    if !has_python() {
        return;
    }
    let (folder, output) = (files(), tempfile::tempdir().unwrap());
    let server = Running::start(Command::new("python3").arg(peer("server")).arg(folder.path()));
    let address = format!("127.0.0.1:{}", server.first_line.trim());
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_udp-transfer-client"))
            .args(["-s", &address, "-m", "classic"])
            .args(args)
            .current_dir(output.path())
            .output()
            .unwrap()
    };
    let listed = run(&["list"]);
    assert_eq!(text(&listed.stdout), "note.txt\nvideo 1.mp4\n");

    let got = run(&["get", "video 1.mp4", "-P", "5", "--silence", "300ms"]);
    assert_eq!(got.status.code(), Some(0), "{}", text(&got.stderr));
    assert!(text(&got.stdout).contains("SIZE-UNKNOWN"), "{}", text(&got.stdout));
    let content = std::fs::read(folder.path().join("video 1.mp4")).unwrap();
    for client in 1..=5 {
        assert_eq!(std::fs::read(output.path().join(format!("Cliente{client}-Prueba5.mp4"))).unwrap(), content);
    }

    let reference = folder.path().join("note.txt");
    let proven = run(&["get", "note.txt", "--reference", reference.to_str().unwrap()]);
    assert_eq!(proven.status.code(), Some(0), "{}", text(&proven.stderr));
    assert!(text(&proven.stdout).contains("[WHOLE]"), "{}", text(&proven.stdout));

    let refused = run(&["get", "nothing"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(text(&refused.stderr).contains("File not found"), "{}", text(&refused.stderr));
}

#[test]
fn a_client_of_the_original_fetches_from_our_server() {
    if !has_python() {
        return;
    }
    let (folder, output) = (files(), tempfile::tempdir().unwrap());
    let server = Running::start(
        Command::new(env!("CARGO_BIN_EXE_udp-transfer-server"))
            .args(["--classic", "--bind", "127.0.0.1:0", "--root"])
            .arg(folder.path()),
    );
    let port = server.first_line.split(&[':', ','][..]).nth(1).unwrap();
    let got = Command::new("python3")
        .arg(peer("client"))
        .args(["127.0.0.1", port, "video 1.mp4", "5"])
        .arg(output.path())
        .arg("0.3")
        .output()
        .unwrap();
    assert!(got.status.success(), "{}", text(&got.stderr));
    let lines: Vec<&str> = text(&got.stdout).lines().collect();
    assert_eq!(lines[..2], ["note.txt|video 1.mp4|", "Config set"]);
    let content = std::fs::read(folder.path().join("video 1.mp4")).unwrap();
    for client in 1..=5 {
        assert!(lines[client + 1].starts_with(&format!("{client} 150000 ")), "{}", lines[client + 1]);
        assert_eq!(std::fs::read(output.path().join(format!("Cliente{client}-Prueba5.mp4"))).unwrap(), content);
    }
}
