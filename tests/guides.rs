//! What the guides show is what the programs print: every transcript is run again and compared, numbers aside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use assert_cmd::cargo::cargo_bin;

/// A program of the lab, with nothing of this shell's in its way.
fn program(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin(name));
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
    command
}

/// The first fenced block after the line that holds `after`, in one of our guides.
fn transcript(guide: &str, after: &str) -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(guide)).unwrap();
    let (_, rest) = text.split_once(after).unwrap_or_else(|| panic!("{guide} lacks {after:?}"));
    let (_, block) = rest.split_once("```text\n").unwrap();
    block.split_once("\n```").unwrap().0.to_owned()
}

/// The text with every number, with its unit, replaced by `#`, and every run of space or rule by one: what must stay
/// the same from run to run.
fn shape(text: &str) -> String {
    text.trim().lines().map(shape_of_line).collect::<Vec<_>>().join("\n")
}

fn shape_of_line(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split([' ', '─', '═']).filter(|word| !word.is_empty()) {
        let is_unit =
            ["ns", "µs", "ms", "s", "B", "KiB", "MiB", "GiB"].contains(&word.trim_end_matches([',', ')', ';', '.']));
        match words.last_mut() {
            Some(last) if is_unit && last.ends_with('#') => *last += word.trim_start_matches(char::is_alphabetic),
            _ => words.push(without_digits(word)),
        }
    }
    words.join(" ")
}

fn without_digits(word: &str) -> String {
    let mut shaped = String::new();
    for character in word.chars() {
        match character {
            '0'..='9' if shaped.ends_with('#') => {}
            '0'..='9' => shaped.push('#'),
            '.' if shaped.ends_with('#') => {}
            other => shaped.push(other),
        }
    }
    shaped
}

#[test]
fn numbers_and_spaces_do_not_change_the_shape_and_words_do() {
    assert_eq!(shape("a  12.5 ms, 3 of 4 │ ──"), shape("a 417 µs, 10 of 4   │ ─"));
    assert_eq!(shape("in 1.5 s."), shape("in 20 ms."));
    assert_ne!(shape("3 received"), shape("3 lost"));
}

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let output = program("castlab", &[]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let shown = transcript("README.md", "$ cargo run --release");
    let ((printed, told), (shown, _)) = (without_the_loss(&printed), without_the_loss(&shown));
    assert_eq!(shape(&printed), shape(&shown));
    let (lost, nothing) = ("  raw UDP lost ", "  This time nothing was lost: ");
    assert!(told.starts_with(lost) || told.starts_with(nothing), "{told}");
}

/// What the demo prints without the line that ends act 3, and that line: whether raw UDP loses, and where, is a matter of
/// the machine. So is whether a client has the file whole.
fn without_the_loss(printed: &str) -> (String, String) {
    let (before, after) = printed.split_once("\n\n4 · ").unwrap();
    let (before, line) = before.rsplit_once('\n').unwrap();
    (format!("{}\n\n4 · {after}", before.replace(" yes ", " in part ")), line.to_owned())
}

/// A server that is stopped when the test is over, and the address it says it listens on.
struct Server(Child, String);

impl Server {
    fn start(name: &str, args: &[&str], says: &str) -> Self {
        let mut child = program(name, args).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix(says).unwrap_or_else(|| panic!("{line}")).to_owned();
        // The rest of what it prints is nobody's: let it run full into a reader that ends with it.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Server(child, address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_anycast_guide_shows_what_the_client_prints() {
    let servers: Vec<Server> = (1..=3)
        .map(|n| {
            let name = format!("server{n}");
            Server::start("anycast-server", &["--bind", "127.0.0.1:0", "--name", &name], "[server] listening on ")
        })
        .collect();
    // Bound and not listening: refuses connections for as long as it is held.
    let nobody = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    nobody.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let nobody = nobody.local_addr().unwrap().as_socket().unwrap().to_string();
    let args = [&servers[0].1, &servers[1].1, &servers[2].1, &nobody, "-c", "12", "--seed", "3"];
    let output = program("anycast-client", &args).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(shape(&printed), shape(&transcript("anycast/README.md", "## What you see")));
}

#[test]
fn the_anycast_guide_shows_what_hello_internet_prints() {
    let args = ["--bind", "127.0.0.1:0", "--protocol", "hello", "--challenge", "--language", "Ada"];
    let server = Server::start("anycast-server", &args, "[server] listening on ");
    let output = program("anycast-client", &[&server.1, "--protocol", "hello"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        shape(&printed),
        shape(&transcript("anycast/README.md", "$ anycast-client 127.0.0.1:5000 --protocol hello"))
    );
}
