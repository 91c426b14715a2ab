//! Hello Internet, with programs in other languages that were written from the protocol's words alone. Where one of those
//! languages is missing, the test says so in a line that begins with SKIPPED.

use std::io::Write;
use std::process::Stdio;

use anycast::client::{self, Protocol};
use anycast::server;
use anycast::tally::Who;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::setup::{Replica, ask, config, named};

fn speaking(language: &str, challenge: bool) -> server::Config {
    server::Config {
        protocol: server::Protocol::Hello,
        language: language.to_owned(),
        challenge,
        ..named("hello server")
    }
}

fn peer(name: &str) -> String {
    format!("{}/tests/peers/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Whether these programs are on this machine; says so loudly where not.
fn has(test: &str, programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let found = std::process::Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
        !found.is_ok_and(|output| output.status.success())
    });
    if let Some(missing) = missing {
        // Past the test harness, which would keep it to itself.
        let line = format!("SKIPPED {test}: no {missing} on this machine\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    missing.is_none()
}

/// What their client prints when it talks to our server.
async fn their_client(program: &[&str], challenge: bool) -> String {
    let replica = Replica::start_with(speaking("Rust", challenge));
    let port = replica.address.port().to_string();
    let output = Command::new(program[0]).args(&program[1..]).args(["127.0.0.1", &port]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(replica.stop().await.greeted, 1);
    String::from_utf8(output.stdout).unwrap()
}

/// What our client makes of their server, which says on its first line that it listens, and where.
async fn their_server(program: &[&str]) -> (client::Asked, String) {
    let mut child = Command::new(program[0])
        .args(&program[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    let port: u16 = told.next_line().await.unwrap().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    let hello = client::Config { protocol: Protocol::Hello, ..config(&[([127, 0, 0, 1], port).into()]) };
    let asked = ask(hello).await;
    let heard = told.next_line().await.unwrap().unwrap_or_default();
    (asked, heard)
}

fn who(asked: &client::Asked) -> Option<&Who> {
    asked.tally.replicas().next().map(|(who, _)| who)
}

#[tokio::test]
async fn our_client_and_our_server_understand_each_other() {
    for challenge in [false, true] {
        let replica = Replica::start_with(speaking("Ada", challenge));
        let asked = ask(client::Config { protocol: Protocol::Hello, ..config(&[replica.address]) }).await;
        assert_eq!(who(&asked), Some(&Who::Named("Ada".into(), replica.address)));
    }
}

#[tokio::test]
async fn the_bytes_are_exactly_those_of_the_protocol() {
    for (challenge, goodbye) in [(false, "Goodbye in Rust"), (true, "Goodbye C++ from Rust")] {
        let replica = Replica::start_with(speaking("Rust", challenge));
        let mut stream = TcpStream::connect(replica.address).await.unwrap();
        stream.write_all(b"Hello in C++").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, goodbye);
    }
}

#[tokio::test]
async fn a_hello_in_pieces_is_one_hello() {
    let replica = Replica::start_with(speaking("Rust", true));
    let mut stream = TcpStream::connect(replica.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in [&b"He"[..], b"llo in", b" ", b"Perl"] {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "Goodbye Perl from Rust");
}

#[tokio::test]
async fn a_stranger_gets_a_goodbye_too_and_silence_gets_nothing() {
    let replica = Replica::start_with(speaking("Rust", true));
    let mut stream = TcpStream::connect(replica.address).await.unwrap();
    stream.write_all(b"Bonjour\xff").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "Goodbye in Rust", "nobody to name");
    drop(stream);
    let mut silent = TcpStream::connect(replica.address).await.unwrap();
    silent.shutdown().await.unwrap();
    answer.clear();
    silent.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "");
    let served = replica.stop().await;
    assert_eq!((served.greeted, served.failed), (1, 1));
}

#[tokio::test]
async fn a_client_in_python_talks_to_our_server() {
    if !has("a_client_in_python_talks_to_our_server", &["python3"]) {
        return;
    }
    let client = peer("hello_client.py");
    assert_eq!(
        their_client(&["python3", &client], false).await,
        "Sending \"Hello in Python\"\nReceived: \"Goodbye in Rust\"\n"
    );
    assert!(their_client(&["python3", &client], true).await.ends_with("Received: \"Goodbye Python from Rust\"\n"));
}

#[tokio::test]
async fn our_client_talks_to_a_server_in_python() {
    if !has("our_client_talks_to_a_server_in_python", &["python3"]) {
        return;
    }
    let server = peer("hello_server.py");
    for mode in ["plain", "challenge"] {
        let (asked, heard) = their_server(&["python3", &server, mode]).await;
        assert!(matches!(who(&asked), Some(Who::Named(name, _)) if name == "Python"), "{mode}: {asked:?}");
        assert!(heard.starts_with("Received: \"Hello in Rust\" from 127.0.0.1:"), "{heard}");
    }
}

#[tokio::test]
async fn a_client_in_shell_and_netcat_talks_to_our_server() {
    if !has("a_client_in_shell_and_netcat_talks_to_our_server", &["nc"]) {
        return;
    }
    let client = peer("hello_client.sh");
    assert_eq!(
        their_client(&["sh", &client], true).await,
        "Sending \"Hello in Shell\"\nReceived: \"Goodbye Shell from Rust\"\n"
    );
}
