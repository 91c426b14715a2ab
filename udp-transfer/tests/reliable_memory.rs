//! What strangers cost a server: measured in a process where nothing else runs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "reliable/hand.rs"]
#[expect(dead_code, reason = "shared with the tests of hostile peers")]
mod hand;
#[path = "reliable/setup.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod setup;

use arq::SessionId;
use arq::wire::{Cookie, Datagram, Handshake};
use hand::Hand;
use netsim::Random;
use setup::{Running, folder};

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_answered_with_more_than_was_sent_and_nothing_is_kept_of_100_000_forged_hellos() {
    let root = folder();
    std::fs::write(root.path().join("a"), "a").unwrap();
    let server = Running::start(root.path());
    let hand = Hand::new(server.address).await;
    hand.until_worked_off().await;
    let mut random = Random::new(1);
    let (mut sent, mut datagram) = (0_u64, Vec::new());
    let mut before = resident();
    for n in 0..101_000_u32 {
        if n == 1_000 {
            before = resident(); // Warm by now.
        }
        datagram.clear();
        let client = SessionId(random.number());
        // Every second one with a cookie that was never given out.
        let cookie = (n % 2 == 0).then(|| Cookie { issued: random.number() >> 1, mac: [7; 32] });
        Datagram::Handshake(Handshake::Hello { client, datagram: 1_200, cookie }).encode(&mut datagram);
        sent += hand.socket.send_to(&datagram, server.address).await.unwrap() as u64;
        if n % 50 == 0 {
            hand.until_worked_off().await;
            sent += 1_200;
        }
    }
    let after = resident();
    assert!(after < before + (1 << 20), "{before} bytes before, {after} after");
    // What came back to this address is in the socket's buffer or was dropped there; the server counts what it sent.
    let served = server.stop().await;
    let counts = served.datagrams;
    assert!(counts.received >= 100_000, "{counts:?}");
    assert_eq!(served.sessions, 0);
    assert!(counts.unproven_received <= sent + 1_200_000, "{counts:?}");
    assert!(counts.unproven_sent * 10 < counts.unproven_received, "far less goes out than came in: {counts:?}");
}
