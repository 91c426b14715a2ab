//! The handshake over bad links, and against those who want to misuse the server.

use std::collections::HashMap;
use std::time::Duration;

use arq::SessionId;
use arq::handshake::{Answer, Client, ClientConfig, Door};
use arq::wire::{self, Cookie, Datagram, DecodeError, Handshake};
use events::Time;
use netsim::{Link, Random};

fn encode(handshake: Handshake) -> Vec<u8> {
    let mut bytes = Vec::new();
    Datagram::Handshake(handshake).encode(&mut bytes);
    bytes
}

/// What a server's edge does with a datagram from an address it does not know.
fn respond(door: &Door, now: Time, address: &[u8], datagram: &[u8]) -> Option<(Vec<u8>, bool)> {
    match wire::decode(datagram) {
        Ok(Datagram::Handshake(handshake)) => match door.handle(now, address, &handshake) {
            Answer::Send(answer) => Some((encode(answer), false)),
            Answer::Proven { client, server, datagram } => Some((encode(Door::accept(client, server, datagram)), true)),
            Answer::Ignore => None,
        },
        Err(DecodeError::OtherVersion { client, .. }) => {
            Door::other_version(client, datagram.len()).map(|answer| (encode(answer), false))
        }
        Ok(_) | Err(_) => None,
    }
}

#[test]
fn at_30_percent_loss_each_way_a_session_begins() {
    let door = Door::new([7; 32], 1_472);
    let (mut failed, mut slowest, seeds) = (0, Duration::ZERO, 10_000);
    for seed in 0..seeds {
        let lossy = || "delay=10ms,loss=30%".parse().unwrap();
        let (mut there, mut back) = (Link::new(lossy(), 2 * seed), Link::new(lossy(), 2 * seed + 1));
        let lengths = vec![1_472, 1_200];
        let config = ClientConfig { client: SessionId(seed), lengths, patience: ClientConfig::PATIENCE };
        let mut client = Client::new(Time::ZERO, config);
        let mut now = Time::ZERO;
        loop {
            while let Some(hello) = client.poll_transmit(now) {
                let bytes = encode(hello);
                let _ = there.handle(now, "hello", bytes.len(), bytes);
            }
            let due = [there.poll_timeout(), back.poll_timeout(), client.poll_timeout()];
            let Some(next) = due.into_iter().flatten().min().filter(|_| client.outcome().is_none()) else { break };
            now = next;
            while let Some(arrival) = there.poll(now) {
                if let Some((answer, _)) = respond(&door, now, &seed.to_be_bytes(), &arrival.packet) {
                    let _ = back.handle(now, "answer", answer.len(), answer);
                }
            }
            while let Some(arrival) = back.poll(now) {
                if let Ok(Datagram::Handshake(answer)) = wire::decode(&arrival.packet) {
                    client.handle(now, &answer);
                }
            }
            if client.poll_timeout().is_some_and(|due| due <= now) {
                client.handle_timeout(now);
            }
        }
        match client.outcome() {
            Some(Ok(_)) => slowest = slowest.max(now - Time::ZERO),
            Some(Err(_)) => failed += 1,
            None => panic!("seed {seed}: it never ended"),
        }
    }
    println!("{failed} of {seeds} handshakes failed at 30 % loss each way; the slowest took {slowest:?}");
    assert!(failed * 2_000 <= seeds, "{failed} of {seeds}");
}

#[test]
fn no_address_gets_more_bytes_than_it_sent_before_it_is_proven() {
    let door = Door::new([7; 32], 8_952);
    let mut random = Random::new(1);
    let (mut sent, mut got): (HashMap<u64, u64>, HashMap<u64, u64>) = (HashMap::new(), HashMap::new());
    for n in 0..100_000_u64 {
        let now = Time::from_nanos(1_000_000_000 + n * 1_000);
        let address = random.below(1_000);
        let client = SessionId(random.number());
        let mut mac = [0; 32];
        mac.fill_with(|| u8::try_from(random.below(256)).unwrap());
        let cookie = Cookie { issued: now.as_nanos() - random.below(20_000_000_000).min(now.as_nanos()), mac };
        let hello = |cookie| encode(Handshake::Hello { client, datagram: 1_200, cookie });
        let mut bytes = match random.below(8) {
            0..4 => hello(None),
            4 => hello(Some(cookie)),
            5 => encode(Handshake::Retry { client, server: client, cookie }),
            6 => encode(Door::accept(client, SessionId(1), 1_200)),
            _ => (0..random.below(1_500)).map(|_| u8::try_from(random.below(256)).unwrap()).collect(),
        };
        if random.below(10) == 0 && bytes.len() > 8 {
            // Another version, or a shorter copy, with a right checksum.
            bytes[4] = 9;
            bytes.truncate(bytes.len() - 4 - usize::try_from(random.below(2)).unwrap() * 3);
            wire::seal(&mut bytes, 0);
        }
        *sent.entry(address).or_default() += bytes.len() as u64;
        if let Some((answer, proven)) = respond(&door, now, &address.to_be_bytes(), &bytes) {
            assert!(!proven, "nobody here has seen a cookie");
            assert!(answer.len() < bytes.len(), "{} bytes for {}", answer.len(), bytes.len());
            *got.entry(address).or_default() += answer.len() as u64;
        }
    }
    let total = |of: &HashMap<u64, u64>| of.values().sum::<u64>();
    println!("{} bytes came from unproven addresses, {} went there", total(&sent), total(&got));
    assert!(got.iter().all(|(address, got)| *got <= sent[address]));
    assert!(total(&got) * 10 <= total(&sent));
}

/// The server keeps nothing between two hellos: there is nowhere to keep it.
#[test]
fn a_door_is_a_key_and_a_number() {
    assert!(size_of::<Door>() <= 34);
    fn takes_itself_unchanged(door: &Door) -> Answer {
        door.handle(Time::ZERO, b"", &Handshake::Hello { client: SessionId(1), datagram: 1_200, cookie: None })
    }
    assert!(!std::mem::needs_drop::<Door>(), "and owns no memory elsewhere");
    let _ = takes_itself_unchanged(&Door::new([0; 32], 1_200));
}
