//! Peers that mean no good: the server answers nobody more than it was sent, remembers nobody it does not know, and goes
//! on serving the others.

use arq::handshake::Door;
use arq::wire::{self, Datagram, Envelope, Handshake, Reply, Request};
use arq::{Body, CloseReason, FileId, Flow, Open, PacketNumber, Policy, Report, SessionId};
use labkit::Exit;
use netsim::Random;
use udp_transfer::reliable::client::{self, Asking};

use crate::hand::Hand;
use crate::setup::{Running, bytes, config, folder, get, named, session};

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_worth_nothing_to_others_and_one_session_to_its_owner() {
    let root = folder();
    let server = Running::start(root.path());
    let (owner, thief) = (Hand::new(server.address).await, Hand::new(server.address).await);
    let client = SessionId(42);
    let cookie = Some(owner.cookie(client).await);
    let hello = Datagram::Handshake(Handshake::Hello { client, datagram: 1_200, cookie });
    thief.send(&hello).await;
    thief.send(&Datagram::Handshake(Handshake::Hello { client, datagram: 1_300, cookie })).await;
    thief.until_worked_off().await;
    for _ in 0..1_000 {
        owner.send(&hello).await;
    }
    owner.until_worked_off().await;
    // From an earlier run of the server: another key.
    let stale = Door::new([9; 32], 1_200);
    let answer = stale.handle(
        events::Time::from_nanos(u64::MAX / 4),
        b"",
        &Handshake::Hello { client, datagram: 1_200, cookie: None },
    );
    let arq::handshake::Answer::Send(Handshake::Retry { cookie, .. }) = answer else { panic!("{answer:?}") };
    owner
        .send(&Datagram::Handshake(Handshake::Hello { client: SessionId(43), datagram: 1_200, cookie: Some(cookie) }))
        .await;
    owner.until_worked_off().await;
    let served = server.stop().await;
    assert_eq!(served.sessions, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_answers_its_own_address_only() {
    let root = folder();
    std::fs::write(root.path().join("a"), "a").unwrap();
    let server = Running::start(root.path());
    let (owner, thief) = (Hand::new(server.address).await, Hand::new(server.address).await);
    let id = owner.session(SessionId(42)).await;
    thief.ask(id, 1, Request::List { generation: 0, from: 0 }).await;
    thief.send(&Datagram::Leave(Envelope { to: id, flow: Flow(0), number: PacketNumber::NONE })).await;
    thief.until_worked_off().await;
    owner.ask(SessionId(id.0 ^ 1), 1, Request::List { generation: 0, from: 0 }).await;
    owner.ask(id, 7, Request::List { generation: 0, from: 0 }).await;
    let flow = owner
        .receive(|datagram| match datagram {
            Datagram::Reply(envelope, Reply::Page { .. } | Reply::Deny(_)) => Some(envelope.flow),
            _ => None,
        })
        .await;
    assert_eq!(flow, Flow(7), "the thief neither ended the session nor was answered in it");
    let served = server.stop().await;
    assert!(served.datagrams.strangers >= 3, "{:?}", served.datagrams);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_of_a_session_that_is_no_more_is_told_so_with_fewer_bytes_and_a_leaver_is_not() {
    let root = folder();
    let server = Running::start(root.path());
    let hand = Hand::new(server.address).await;
    hand.until_worked_off().await;
    let (gone, other) = (SessionId(7), SessionId(8));
    let envelope = |to| Envelope { to, flow: Flow(1), number: PacketNumber(1) };
    hand.send(&Datagram::Leave(envelope(gone))).await;
    let shortest = hand
        .send(&Datagram::Transfer(envelope(other), Body::Done { again: 0, heard: true, ecn: arq::Ecn::Unused }, &[]))
        .await;
    let told = hand
        .receive(|datagram| match datagram {
            Datagram::Handshake(handshake) => Some(handshake),
            _ => None,
        })
        .await;
    assert_eq!(told, Handshake::Gone { session: other }, "nothing was said to the leaver");
    let mut answer = Vec::new();
    Datagram::Handshake(told).encode(&mut answer);
    assert!(answer.len() < shortest);
    server.stop().await;
}

/// What a server says to who has proven an address.
type Welcome = fn(SessionId, SessionId, u16) -> Handshake;

/// A server that welcomes everybody so, knows nobody afterwards, and counts the hellos it has.
async fn forgetful(
    socket: tokio::net::UdpSocket,
    welcome: Welcome,
    hellos: std::sync::Arc<std::sync::atomic::AtomicU32>,
) {
    let (door, mut buffer) = (Door::new([1; 32], 1_200), vec![0; 65_536]);
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let answer = match wire::decode(&buffer[..length]) {
            Ok(Datagram::Handshake(handshake)) => {
                hellos.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                match door.handle(events::Time::ZERO, b"anybody", &handshake) {
                    arq::handshake::Answer::Send(answer) => answer,
                    arq::handshake::Answer::Proven { client, server, datagram } => welcome(client, server, datagram),
                    arq::handshake::Answer::Ignore => continue,
                }
            }
            Ok(Datagram::Request(envelope, _)) => Handshake::Gone { session: envelope.to },
            _ => continue,
        };
        let mut bytes = Vec::new();
        Datagram::Handshake(answer).encode(&mut bytes);
        socket.send_to(&bytes, from).await.unwrap();
    }
}

/// How many hellos a client sends to such a server in a second.
async fn hellos_in_a_second(welcome: Welcome) -> u32 {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (address, hellos) = (socket.local_addr().unwrap(), std::sync::Arc::default());
    let server = tokio::spawn(forgetful(socket, welcome, std::sync::Arc::clone(&hellos)));
    let output = folder();
    let asking = config(address, named("a"), output.path()).asking;
    let asking = Asking { deadline: Some(std::time::Duration::from_secs(1)), length: Some(1_200), ..asking };
    let ended = client::list(&asking, &session("client")).await.unwrap_err();
    assert_eq!(ended.exit, Exit::Deadline, "{ended}");
    server.abort();
    hellos.load(std::sync::atomic::Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgets_or_refuses_everybody_is_not_asked_as_fast_as_it_answers() {
    // Two for the first session, two for the one asked for when that was gone; each may be repeated on a slow machine.
    let hellos = hellos_in_a_second(Door::accept).await;
    assert!(hellos <= 8, "{hellos} hellos to one that forgets");
    // Two, though it says that it may be asked again at once.
    let refuse = |client, _, _| Door::refuse(client, wire::Refusal::Busy, std::time::Duration::ZERO);
    let hellos = hellos_in_a_second(refuse).await;
    assert!(hellos <= 8, "{hellos} hellos to one that refuses");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_what_was_never_sent_end_the_transfer_and_nothing_else() {
    let root = folder();
    std::fs::write(root.path().join("a"), bytes(1 << 20, 1)).unwrap();
    let server = Running::start(root.path());
    let output = folder();
    let honest = get(&config(server.address, named("a"), output.path())).await;
    assert_eq!(honest.verdict().exit, Exit::Done);
    let hand = Hand::new(server.address).await;
    let id = hand.session(SessionId(42)).await;
    hand.ask(id, 1, Request::Find(arq::catalogue::FileName::new("a").unwrap())).await;
    let entry = hand
        .receive(|datagram| match datagram {
            Datagram::Reply(_, Reply::Found(entry)) => Some(entry),
            _ => None,
        })
        .await;
    let transfer = |flow: u32, number: u64, body: Body| {
        Datagram::Transfer(Envelope { to: id, flow: Flow(flow), number: PacketNumber(number) }, body, &[])
    };
    let open = |report: Report, file: FileId, hash: [u8; 32]| {
        Body::Open(Open { file, hash, policy: Policy::SELECTIVE_REPEAT, rate: 0, congestion: None, ecn: true, report })
    };
    let report = |newest: u64| Report { newest: PacketNumber(newest), credit: 4, ..Report::default() };
    let closed = |flow: u32| {
        let hand = &hand;
        async move {
            hand.receive(|datagram| match datagram {
                Datagram::Transfer(envelope, Body::Close(reason), _) if envelope.flow == Flow(flow) => Some(reason),
                _ => None,
            })
            .await
        }
    };
    hand.send(&transfer(2, 1, open(report(0), entry.file, entry.hash))).await;
    hand.send(&transfer(2, 2, Body::Report(report(1_000_000)))).await;
    assert_eq!(closed(2).await, CloseReason::Protocol, "packets that were never sent");
    hand.send(&transfer(3, 1, open(report(0), entry.file, [1; 32]))).await;
    assert_eq!(closed(3).await, CloseReason::Changed, "another hash than it has");
    hand.send(&transfer(4, 1, open(report(0), FileId(entry.file.0 ^ 1), entry.hash))).await;
    assert_eq!(closed(4).await, CloseReason::Changed, "a file that is not on offer");
    let beyond = Report { floor: arq::BlockNumber(u64::MAX), seen: arq::BlockNumber(u64::MAX), ..report(0) };
    hand.send(&transfer(5, 1, open(beyond, entry.file, entry.hash))).await;
    assert_eq!(closed(5).await, CloseReason::Protocol, "blocks behind the end");
    server.stop().await;
}

/// The server's answer to who asks for `a`, by hand, in a session.
async fn entry_of_a(hand: &Hand, id: SessionId) -> arq::catalogue::Entry {
    hand.ask(id, 1, Request::Find(arq::catalogue::FileName::new("a").unwrap())).await;
    hand.receive(|datagram| match datagram {
        Datagram::Reply(_, Reply::Found(entry)) => Some(entry),
        _ => None,
    })
    .await
}

/// On one thread, so that the server begins when both datagrams are with it.
#[tokio::test]
async fn a_rate_beyond_all_measure_does_not_make_the_server_deaf() {
    let root = folder();
    std::fs::write(root.path().join("a"), bytes(32 << 20, 1)).unwrap();
    let server = Running::start(root.path());
    let output = folder();
    assert_eq!(get(&config(server.address, named("a"), output.path())).await.verdict().exit, Exit::Done);
    let hand = Hand::new(server.address).await;
    let id = hand.session(SessionId(42)).await;
    let entry = entry_of_a(&hand, id).await;
    let open = Open {
        file: entry.file,
        hash: entry.hash,
        policy: Policy::RAW,
        rate: u64::MAX,
        congestion: None,
        ecn: true,
        report: Report { credit: u32::MAX, ..Report::default() },
    };
    let open = Datagram::Transfer(Envelope { to: id, flow: Flow(2), number: PacketNumber(1) }, Body::Open(open), &[]);
    for datagram in [open, Datagram::Leave(Envelope { to: id, flow: Flow(0), number: PacketNumber::NONE })] {
        let mut bytes = Vec::new();
        datagram.encode(&mut bytes);
        hand.socket.try_send_to(&bytes, server.address).unwrap();
    }
    hand.until_worked_off().await;
    let served = server.stop().await;
    let sent = &served.last[1];
    let all = sent.size / u64::from(sent.block);
    assert!(sent.blocks < all / 4, "heard of the end after {} of {all} blocks", sent.blocks);
}

/// On one thread: the server works off what is sent in one go before anything is earned back.
#[tokio::test]
async fn who_opens_and_closes_without_end_is_told_to_wait() {
    let root = folder();
    std::fs::write(root.path().join("a"), bytes(100_000, 1)).unwrap();
    let server = Running::start(root.path());
    let begun = server.session.clock.now();
    let hand = Hand::new(server.address).await;
    let id = hand.session(SessionId(42)).await;
    let entry = loop {
        // It is busy until it has looked at its files.
        hand.ask(id, 1, Request::Find(arq::catalogue::FileName::new("a").unwrap())).await;
        let answer = hand.receive(|datagram| match datagram {
            Datagram::Reply(_, Reply::Found(entry)) => Some(Some(entry)),
            Datagram::Reply(_, _) => Some(None),
            _ => None,
        });
        if let Some(entry) = answer.await {
            break entry;
        }
    };
    let report = Report { credit: 1, ..Report::default() };
    for flow in 0..1_000_u32 {
        let open = Open {
            file: entry.file,
            hash: entry.hash,
            policy: Policy::SELECTIVE_REPEAT,
            rate: 0,
            congestion: None,
            ecn: true,
            report: report.clone(),
        };
        for (number, body) in (1..).zip([Body::Open(open), Body::Close(CloseReason::Stopped)]) {
            let envelope = Envelope { to: id, flow: Flow(flow + 2), number: PacketNumber(number) };
            hand.send(&Datagram::Transfer(envelope, body, &[])).await;
        }
        if flow % 50 == 0 {
            hand.until_worked_off().await;
        }
    }
    hand.until_worked_off().await;
    let seconds = (server.session.clock.now() - begun).as_secs() + 1;
    let served = server.stop().await;
    // A second's worth at once, and as many each second.
    let most = 100 + 100 * seconds;
    assert!((100..=most).contains(&served.transfers), "{} of {most}", served.transfers);
}

/// A server that offers `a`, and whenever it is asked for it has too many transfers already.
async fn always_busy(socket: tokio::net::UdpSocket) {
    let (door, mut buffer, mut client) = (Door::new([1; 32], 1_200), vec![0; 65_536], SessionId(0));
    let answer_to = |envelope: Envelope, to, number| Envelope { to, number: PacketNumber(number), ..envelope };
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let answer = match wire::decode(&buffer[..length]) {
            Ok(Datagram::Handshake(handshake)) => match door.handle(events::Time::ZERO, b"anybody", &handshake) {
                arq::handshake::Answer::Send(answer) => Datagram::Handshake(answer),
                arq::handshake::Answer::Proven { client: who, server, datagram } => {
                    client = who;
                    Datagram::Handshake(Door::accept(who, server, datagram))
                }
                arq::handshake::Answer::Ignore => continue,
            },
            Ok(Datagram::Request(envelope, Request::Find(name))) => {
                let entry = arq::catalogue::Entry { file: FileId(1), size: 5_000, hash: [1; 32], modified: 0, name };
                Datagram::Reply(answer_to(envelope, client, 0), Reply::Found(entry))
            }
            Ok(Datagram::Transfer(envelope, Body::Open(_), _)) => {
                Datagram::Transfer(answer_to(envelope, client, 1), Body::Close(CloseReason::Busy), &[])
            }
            _ => continue,
        };
        let mut bytes = Vec::new();
        answer.encode(&mut bytes);
        socket.send_to(&bytes, from).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_told_to_wait_with_its_transfer_waits() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let server = tokio::spawn(always_busy(socket));
    let output = folder();
    let mut patient = config(address, named("a"), output.path());
    patient.asking.deadline = Some(std::time::Duration::from_secs(2));
    patient.asking.length = Some(1_200);
    let report = get(&patient).await;
    assert_eq!(report.verdict().code, "DEADLINE", "{}", report.text());
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_by_the_thousand_neither_stops_a_transfer_nor_the_server() {
    let root = folder();
    let original = bytes(8 << 20, 1);
    std::fs::write(root.path().join("a"), &original).unwrap();
    let server = Running::start(root.path());
    let (address, output) = (server.address, folder());
    let fetched = tokio::spawn({
        let config = config(address, named("a"), output.path());
        async move { get(&config).await }
    });
    let hand = Hand::new(address).await;
    let mut random = Random::new(5);
    let mut valid = Vec::new();
    Datagram::Handshake(Handshake::Hello { client: SessionId(1), datagram: 1_200, cookie: None }).encode(&mut valid);
    let mut sent = 0_u64;
    while sent < 20_000 || !fetched.is_finished() {
        let length = usize::try_from(random.below(2_000)).unwrap();
        let garbage = match random.below(3) {
            0 => bytes(length, random.number()),
            1 => {
                let mut mutated = valid.clone();
                let at = usize::try_from(random.below(valid.len() as u64)).unwrap();
                mutated[at] ^= 1 << random.below(8);
                mutated
            }
            // Right checksum, random inside: a session that does not exist, a kind there is not.
            _ => {
                let mut sealed = bytes(length.max(30), random.number());
                sealed[0] = u8::try_from(random.below(50)).unwrap();
                wire::seal(&mut sealed, 0);
                sealed
            }
        };
        hand.socket.send_to(&garbage, address).await.unwrap();
        sent += 1;
        assert!(sent < 50_000_000, "the transfer never ends");
    }
    let report = fetched.await.unwrap();
    assert_eq!(report.verdict().exit, Exit::Done, "{}", report.text());
    assert!(std::fs::read(output.path().join("a")).unwrap() == original);
    let served = server.stop().await;
    assert!(served.datagrams.garbage > 1_000, "{:?}", served.datagrams);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_refuse_with_a_reason_and_places_that_are_left_are_free_again() {
    let root = folder();
    let limits = udp_transfer::reliable::Limits { per_address: 2, ..Default::default() };
    let server = Running::start_with(root.path(), |config| udp_transfer::reliable::server::Config { limits, ..config });
    let mut hands = Vec::new();
    for _ in 0..3 {
        hands.push(Hand::new(server.address).await);
    }
    let first = hands[0].session(SessionId(1)).await;
    hands[1].session(SessionId(2)).await;
    let refused = |hand: usize| {
        let hand = &hands[hand];
        async move {
            let client = SessionId(9);
            let cookie = Some(hand.cookie(client).await);
            hand.send(&Datagram::Handshake(Handshake::Hello { client, datagram: 1_200, cookie })).await;
            hand.receive(|datagram| match datagram {
                Datagram::Handshake(Handshake::Refuse { .. }) => Some(true),
                Datagram::Handshake(Handshake::Accept { .. }) => Some(false),
                _ => None,
            })
            .await
        }
    };
    assert!(refused(2).await);
    hands[0].send(&Datagram::Leave(Envelope { to: first, flow: Flow(0), number: PacketNumber::NONE })).await;
    hands[0].until_worked_off().await;
    assert!(!refused(2).await);
    let served = server.stop().await;
    assert_eq!((served.sessions, served.refused), (3, 1));
}
