//! What the guide of the group shows is what the programs print, numbers aside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "group/programs.rs"]
mod programs;

use nix::sys::signal::Signal;
use programs::{Running, run, text};

const GUIDE: &str = include_str!("../GROUP.md");

/// The first fenced block after the line that holds `after`.
fn shown(after: &str) -> &'static str {
    let (_, rest) = GUIDE.split_once(after).unwrap();
    let (_, block) = rest.split_once("```text\n").unwrap();
    block.split_once("\n```").unwrap().0
}

/// A text without its numbers, their units and the lines of its tables.
fn words(text: &str) -> Vec<String> {
    let is_word = |word: &&str| !["s", "ms", "µs", "ns"].contains(word);
    text.split(|c: char| c.is_whitespace() || c.is_ascii_digit() || ".:─═│┌┐└┘╞╡;".contains(c))
        .filter(|word| !word.is_empty())
        .filter(is_word)
        .map(str::to_owned)
        .collect()
}

/// The first lines of what was printed, as many as the guide shows.
fn same(printed: &str, shown: &str) {
    let first: Vec<&str> = printed.lines().take(shown.lines().count()).collect();
    assert_eq!(words(&first.join("\n")), words(shown), "{printed}");
}

#[test]
fn a_conversation_as_the_guide_shows_it() {
    let (mut server, address) = Running::server(&[]);
    let mut one = Running::client(&address, "1", &[]);
    server.until("Client 1 joined");
    let mut two = Running::client(&address, "2", &[]);
    server.until("Client 2 joined");
    two.type_line("Hello");
    server.until("Message from Client 2");
    server.type_line("Hello yourself");
    two.until("Message from Server");
    server.type_line("/group Listen, everybody");
    one.until("Listen, everybody");
    one.type_line("/group I listen");
    two.until("I listen");
    server.until("I listen");
    server.close_input();
    same(&server.printed, shown("## What you see"));
    same(&two.printed, shown("And Client 2:"));
}

#[test]
fn a_call_as_the_guide_shows_it() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let args =
        ["call", "Ready?", "--deadline", "1500ms", "--members", "1,2,3,4", "--max-wait", "8s", "--bind", &address];
    let mut call = Running::start("group-server", &args);
    call.until("listening");
    let mut client = |name: &str, args: &[&str]| {
        let client = Running::start("group-client", &[&["--server", &address, "--name", name], args].concat());
        call.until(&format!("Client {name} joined"));
        client
    };
    let _one = client("1", &["--reply", "yes"]);
    let _two = client("2", &["--reply", "in a minute"]);
    let _three = client("3", &[]);
    let (printed, code) = call.end();
    same(&printed, shown("## A group call"));
    assert_eq!(code, Some(6));
}

#[test]
fn a_checked_run_as_the_guide_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["server", "1", "2"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let (mut server, address) =
        Running::server(&["--events", &files[0], "--impair", "loss=15%,duplicate=10%,reorder=10%"]);
    let mut one = Running::client(&address, "1", &["--events", &files[1]]);
    let mut two = Running::client(&address, "2", &["--events", &files[2]]);
    for number in 0..10 {
        one.type_line(&format!("/group {number}"));
        two.type_line(&format!("/group {number}"));
    }
    for name in ["1", "2"] {
        while !server.printed.contains(&format!("Client {name} to all: 9")) {
            server.until("to all: 9");
        }
    }
    server.signal(Signal::SIGINT);
    server.end();
    assert_eq!((one.end().1, two.end().1), (Some(0), Some(0)));
    let checked = run("group-server", &["check-order", &files[0], &files[1], &files[2]]);
    same(&text(&checked.stdout), shown("## Check it"));
}

#[test]
fn the_guide_knows_every_code_of_its_own() {
    for code in ["NOBODY-ANSWERED", "NOBODY-HERE", "BAD-EVENTS", "NO-ORDER", "NOTHING-SAID"] {
        assert!(GUIDE.contains(&format!("| `{code}` |")), "{code}");
    }
}
