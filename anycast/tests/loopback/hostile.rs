//! Peers that mean no good, or no better: hordes, mutes, drips and floods. Nothing leaks, and the next one is served.

use std::time::Duration;

use anycast::client;
use anycast::server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::setup::{LONG, Replica, ask, config, misbehaving, named};

#[tokio::test]
async fn one_too_many_is_turned_away_with_a_word() {
    let replica = Replica::start_with(server::Config { max_connections: 1, ..named("full") });
    let mut inside = TcpStream::connect(replica.address).await.unwrap();
    let mut greeting = [0; 16];
    inside.read_exact(&mut greeting).await.unwrap();
    let mut outside = TcpStream::connect(replica.address).await.unwrap();
    let mut word = String::new();
    outside.read_to_string(&mut word).await.unwrap();
    assert_eq!(word, "Busy: full has 1 connections open and takes no more\n");
    let asked = ask(config(&[replica.address])).await;
    assert_eq!(asked.tally.answers(), 0, "a refusal is no answer");
    assert!(asked.tally.first_failure().unwrap().contains("it has no room"), "{:?}", asked.tally.first_failure());
    drop((inside, outside));
    let served = replica.stop().await;
    assert_eq!((served.greeted, served.refused), (1, 2));
}

#[tokio::test]
async fn a_full_replica_costs_a_client_a_try_and_not_its_answer() {
    let full = Replica::start_with(server::Config { max_connections: 1, ..named("full") });
    let free = Replica::start("free");
    let mut inside = TcpStream::connect(full.address).await.unwrap();
    inside.read_exact(&mut [0]).await.unwrap();
    let first = client::Config { pick: anycast::chooser::Pick::First, ..config(&[full.address, free.address]) };
    let asked = ask(first).await;
    assert_eq!((asked.tally.answers(), asked.tally.failures()), (1, 1));
    drop(inside);
}

/// How many descriptors this process has open.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn a_horde_that_holds_on_is_bounded_and_leaves_nothing_behind() {
    const HORDE: usize = 150;
    let most = 20;
    let replica = Replica::start_with(server::Config { max_connections: most, ..named("besieged") });
    let mut horde = Vec::new();
    let (mut greeted, mut refused) = (0, 0);
    for _ in 0..HORDE {
        let mut stream = TcpStream::connect(replica.address).await.unwrap();
        let mut first = [0];
        match stream.read(&mut first).await {
            Ok(1) if first == *b"H" => greeted += 1,
            _ => refused += 1, // a word, or a reset when too many are being turned away
        }
        horde.push(stream);
    }
    assert_eq!((greeted, refused), (most, HORDE - most));
    let before = descriptors();
    assert!(before >= HORDE, "{before}");
    drop(horde);
    // The slots are free as soon as the replica has seen them go.
    while ask(config(&[replica.address])).await.tally.answers() == 0 {}
    let served = replica.stop().await;
    assert!(served.greeted > most as u64 && served.refused >= (HORDE - most) as u64, "{served:?}");
    // Other tests run in this process too, but none of them has hundreds.
    assert!(descriptors() < HORDE, "{} descriptors are still open", descriptors());
}

#[tokio::test]
async fn a_peer_that_sends_a_byte_at_a_time_is_cut_off_in_every_protocol() {
    for protocol in [server::Protocol::Hello, server::Protocol::Http] {
        let deadline = Duration::from_millis(50);
        let replica = Replica::start_with(server::Config { protocol, deadline, ..named("patient") });
        let mut drip = TcpStream::connect(replica.address).await.unwrap();
        // It is cut off when a write fails or the stream ends; without the deadline this would go on for ever.
        let mut buffer = [0; 256];
        loop {
            let wrote = drip.write_all(if protocol == server::Protocol::Hello { b"H" } else { b"G" }).await;
            if wrote.is_err() {
                break;
            }
            let read = tokio::time::timeout(Duration::from_millis(5), drip.read(&mut buffer)).await;
            if matches!(read, Ok(Ok(0) | Err(_))) {
                break;
            }
        }
        // In Hello Internet a pause after a first letter may look like the end of a message; HTTP has an end.
        let most = u64::from(protocol == server::Protocol::Hello);
        assert!(replica.stop().await.greeted <= most, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_drip_of_a_server_is_given_up_by_the_client() {
    let drip = misbehaving(|mut stream| async move {
        while stream.write_all(b"H").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    for protocol in [client::Protocol::Greeting, client::Protocol::Hello, client::Protocol::Http] {
        let timeout = Duration::from_millis(60);
        let asked = ask(client::Config { protocol, timeout, ..config(&[drip]) }).await;
        // In Hello Internet, whatever came before patience ended is the answer; it names nobody.
        assert!(asked.tally.replicas().all(|(who, _)| matches!(who, anycast::tally::Who::Unnamed(_))), "{protocol:?}");
    }
}

#[tokio::test]
async fn gigabytes_are_not_read() {
    for protocol in [client::Protocol::Greeting, client::Protocol::Hello, client::Protocol::Http] {
        let flood =
            misbehaving(|mut stream| async move { while stream.write_all(&[b'a'; 65_536]).await.is_ok() {} }).await;
        let asked = ask(client::Config { protocol, timeout: LONG, ..config(&[flood]) }).await;
        assert!(asked.tally.answers() + asked.tally.unanswered() == 1, "{protocol:?}");
    }
}

#[tokio::test]
async fn resetting_on_purpose_counts_as_failed_and_the_next_replica_serves() {
    let (bad, good) =
        (Replica::start_with(server::Config { fail_after: Some(2), ..named("bad") }), Replica::start("good"));
    let first =
        client::Config { pick: anycast::chooser::Pick::First, count: Some(5), ..config(&[bad.address, good.address]) };
    let asked = ask(first).await;
    assert_eq!((asked.tally.answers(), asked.tally.failures()), (5, 3));
    let (bad, good) = (bad.stop().await, good.stop().await);
    assert_eq!((bad.greeted, bad.failed, good.greeted), (2, 3, 3));
}
