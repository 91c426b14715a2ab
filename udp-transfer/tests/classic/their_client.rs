//! A client of the original, by hand, and our server.

use std::num::NonZeroU64;

use events::Outcome;
use udp_transfer::classic::command::LARGEST_DATAGRAM;
use udp_transfer::classic::server::Config;

use super::setup::*;

#[tokio::test]
async fn a_client_of_the_original_is_served_to_the_letter() {
    let content = bytes(2 * LARGEST_DATAGRAM + 5);
    let server = Running::start(&[("a.bin", &content), ("b.txt", b"b")]);
    let control = Raw::new(server.address).await;
    assert_eq!(control.ask("LIST").await, "a.bin\nb.txt\n");
    assert_eq!(control.ask("!CONFIG :a.bin :2").await, "Config set");
    for _ in 0..2 {
        let sub_client = Raw::new(server.address).await;
        sub_client.say("TRANSFER").await;
        let mut received = Vec::new();
        let mut lengths = Vec::new();
        while received.len() < content.len() {
            let datagram = sub_client.hear().await;
            lengths.push(datagram.len());
            received.extend(datagram);
        }
        assert_eq!(lengths, [LARGEST_DATAGRAM, LARGEST_DATAGRAM, 5]);
        assert_eq!(received, content);
    }
    let served = server.stop().await;
    assert_eq!((served.transfers, served.commands, served.nonsense), (2, 4, 0));
}

#[tokio::test]
async fn the_newest_configuration_of_a_host_counts_whichever_port_it_came_from() {
    let server = Running::start(&[("a", b"aaa"), ("b", b"bbb")]);
    let (first, second, third) =
        (Raw::new(server.address).await, Raw::new(server.address).await, Raw::new(server.address).await);
    assert_eq!(first.ask("!CONFIG :a :1").await, "Config set");
    assert_eq!(second.ask("!CONFIG :b :1").await, "Config set");
    assert_eq!(third.ask("TRANSFER").await, "bbb");
    assert_eq!(first.ask("TRANSFER").await, "bbb");
    assert_eq!(first.ask("!CONFIG :missing :1").await, "Error: no such file");
    assert_eq!(first.ask("TRANSFER").await, "bbb", "a configuration that is refused changes nothing");
}

#[tokio::test]
async fn what_is_wrong_with_a_command_is_said_in_few_bytes() {
    let server = Running::start_with(&[("a", b"a")], |config| Config { max_transfers: 4, ..config });
    std::fs::create_dir(server.root.path().join("folder")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", server.root.path().join("link")).unwrap();
    let raw = Raw::new(server.address).await;
    for (question, answer) in [
        ("HELLO", "Unknown command"),
        ("!CONFIG a 5", "Error: write !CONFIG :NAME :CLIENTS"),
        ("!CONFIG :a :0", "Error: CLIENTS is a number from 1 to 256"),
        ("!CONFIG :a :5", "Error: at most 4 clients at once"),
        ("!CONFIG :../a :1", "Error: a file name has no path in it"),
        ("!CONFIG :/etc/passwd :1", "Error: a file name has no path in it"),
        ("!CONFIG :.. :1", "Error: '.' and '..' are folders"),
        ("!CONFIG :folder :1", "Error: not a regular file"),
        ("!CONFIG :link :1", "Error: not a regular file"),
        ("!CONFIG :b :1", "Error: no such file"),
        ("SIZE :link", "Error: not a regular file"),
        ("SIZE :a", "Size 1"),
    ] {
        assert_eq!(raw.ask(question).await, answer, "{question}");
    }
}

#[tokio::test]
async fn neither_answers_nor_floods_of_nonsense_are_answered() {
    let server = Running::start(&[("a", b"a")]);
    let raw = Raw::new(server.address).await;
    for answer in ["Config set", "Unknown command", "Error: no such file", "Size 7"] {
        raw.say(answer).await;
    }
    assert_eq!(raw.ask("LIST").await, "a\n", "the first thing heard answers the first question");
    for _ in 0..100 {
        raw.say([0xff; 20]).await;
    }
    raw.say("LIST").await;
    let mut complaints = 0;
    while raw.hear().await != b"a\n" {
        complaints += 1;
    }
    assert!(complaints <= 20, "{complaints} answers: at most ten in each second, and this took no two");
    assert_eq!(server.stop().await.nonsense, 104);
}

#[tokio::test]
async fn transfers_at_once_are_bounded_and_need_a_configuration() {
    let content = bytes(100_000);
    // So slow that it is under way for as long as the test takes.
    let slow = |config| Config { max_transfers: 2, length: 100, bitrate: NonZeroU64::new(1_000), ..config };
    let server = Running::start_with(&[("a", &content)], slow);
    let (one, two, three) =
        (Raw::new(server.address).await, Raw::new(server.address).await, Raw::new(server.address).await);
    one.say("TRANSFER").await; // Nothing is configured yet.
    assert_eq!(one.ask("!CONFIG :a :2").await, "Config set");
    one.say("TRANSFER").await;
    assert_eq!(one.hear().await, content[..100]);
    two.say("TRANSFER").await;
    assert_eq!(two.hear().await, content[..100]);
    three.say("TRANSFER").await; // Two are under way in all.
    assert_eq!(three.ask("LIST").await, "a\n", "a refusal sends nothing: whatever came there would be the file");
    let served = server.stop().await;
    assert_eq!((served.transfers, served.refused), (2, 2));
    assert!(served.last.iter().all(|sent| sent.outcome == Outcome::Interrupted), "{:?}", served.last);
}

#[tokio::test]
async fn a_file_that_goes_or_shrinks_meanwhile_ends_the_transfer_with_that_reason() {
    let content = bytes(100_000);
    let slow = |config| Config { length: 100, bitrate: NonZeroU64::new(100_000), ..config };
    let server = Running::start_with(&[("a", &content), ("b", b"b")], slow);
    let raw = Raw::new(server.address).await;
    assert_eq!(raw.ask("!CONFIG :a :1").await, "Config set");
    raw.say("TRANSFER").await;
    raw.hear().await;
    std::fs::OpenOptions::new().write(true).open(server.root.path().join("a")).unwrap().set_len(50).unwrap();
    // The first read took 16 datagrams; the second finds the end.
    for _ in 1..16 {
        raw.hear().await;
    }
    let gone = Raw::new(server.address).await;
    assert_eq!(gone.ask("!CONFIG :b :1").await, "Config set");
    std::fs::remove_file(server.root.path().join("b")).unwrap();
    gone.say("TRANSFER").await;
    assert_eq!(gone.ask("LIST").await, "a\n", "commands are obeyed in turn");
    let served = server.stop().await;
    let of = |file: &str| served.last.iter().find(|sent| sent.file == name(file)).unwrap().clone();
    assert_eq!(of("b").reason.as_deref(), Some("no such file"));
    assert_eq!(of("b").outcome, Outcome::Failed);
    assert_eq!(of("a").outcome, Outcome::Partial);
    assert!(of("a").reason.unwrap().contains("shrank"));
}
