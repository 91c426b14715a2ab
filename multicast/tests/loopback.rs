//! Senders and receivers in one process on the loopback interface: real sockets, a group and port for each test, no
//! sleeps, because a receiver has joined once `join` returns.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use events::{Event, Outcome, Record};
use labkit::interface::Choice;
use labkit::{Common, Exit, Session, Shutdown};
use multicast::payload::{LONGEST_V4, Message};
use multicast::receiver::{self, Ended, Receiver, Summary};
use multicast::sender::{self, Item, Sender, Sent};
use multicast::tally::Count;
use multicast::{Group, Outgoing, Reach};
use socket2::{Domain, Socket, Type};

fn lo() -> Choice {
    Choice::Address(Ipv4Addr::LOCALHOST.into())
}

/// A group nobody else in these tests uses; port 0 lets the first receiver choose.
fn group(last: u8) -> Group {
    Group::new([239, 255, 50, last].into(), 0).unwrap()
}

fn session(node: &str, events: Option<&Path>) -> Session {
    let flags =
        Common { name: Some(node.into()), quiet: true, events: events.map(Path::to_owned), ..Common::default() };
    Session::new("test", &flags, Shutdown::manual()).unwrap()
}

fn join(group: &Group, count: u64) -> Receiver {
    join_with(receiver::Config { count: NonZeroU64::new(count), ..receiver::Config::new(group.clone()) })
}

fn join_with(config: receiver::Config) -> Receiver {
    Receiver::join(&receiver::Config { interface: lo(), ..config }, session("receiver", None)).unwrap()
}

fn classic(group: &Group, name: &str) -> sender::Config {
    sender::Config { interface: Some(lo()), interval: Duration::ZERO, ..sender::Config::classic(group.clone(), name) }
}

async fn send(config: sender::Config) -> Sent {
    Sender::open(config, session("sender", None)).unwrap().run().await.unwrap()
}

/// A socket of somebody else's making, joined on loopback.
fn stranger_joined(group: &Group) -> std::net::UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, group.port())).into()).unwrap();
    let std::net::IpAddr::V4(address) = group.address() else { panic!("IPv4") };
    socket.join_multicast_v4(&address, &Ipv4Addr::LOCALHOST).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.into()
}

fn outgoing(group: &Group) -> Outgoing {
    Outgoing::open(group, Some(&lo()), Reach::default()).unwrap()
}

fn by_source(summary: &Summary) -> Vec<(SocketAddr, u64)> {
    summary.tally.rows().iter().map(|row| (row.source, row.counts.all().datagrams)).collect()
}

#[tokio::test]
async fn the_three_payloads_are_on_the_wire_byte_for_byte() {
    let receiver = join(&group(1), 3);
    let stranger = stranger_joined(receiver.group());
    let config = sender::Config { seed: 7, ..classic(receiver.group(), "sender1") };
    send(config.clone()).await;
    let humid = sender::Config { items: sender::classic("sender2", "humidity", "22.29"), ..config };
    send(humid).await;
    let mut buffer = [0; 100];
    let mut next = || {
        let (length, _) = stranger.recv_from(&mut buffer).unwrap();
        buffer[..length].to_vec()
    };
    assert_eq!(next(), b"Hello, this is a multicast message from sender1.");
    assert_eq!(next(), br#"{"sensor": "temp", "value": 22.29}"#);
    let random = next();
    assert_eq!(random.len(), 16);
    assert_eq!(next(), b"Hello, this is a multicast message from sender2.");
    assert_eq!(next(), br#"{"sensor": "humidity", "value": 22.29}"#);
    assert_eq!(next(), random, "one seed, the same bytes");
}

#[tokio::test]
async fn every_receiver_hears_every_sender() {
    let one = join(&group(2), 6);
    let group = one.group().clone();
    let two = join(&group, 6);
    let (first, second, one, two) =
        tokio::join!(send(classic(&group, "sender1")), send(classic(&group, "sender2")), one.run(), two.run());
    let mut expected = vec![(first.source, 3), (second.source, 3)];
    expected.sort();
    for summary in [one.unwrap(), two.unwrap()] {
        let mut heard = by_source(&summary);
        heard.sort();
        assert_eq!(heard, expected);
        for row in summary.tally.rows() {
            let counts = row.counts;
            assert_eq!((counts.text.bytes, counts.json.bytes, counts.binary.bytes), (48, 34, 16));
        }
        assert_eq!((summary.ended, summary.exit()), (Ended::Count, Exit::Done));
    }
}

#[tokio::test]
async fn who_leaves_early_hears_less_and_nobody_else_notices() {
    let early = join(&group(3), 3);
    let group = early.group().clone();
    let late = join(&group, 6);
    send(classic(&group, "before")).await;
    let early = early.run().await.unwrap();
    send(classic(&group, "after")).await;
    let late = late.run().await.unwrap();
    assert_eq!((early.tally.total().all().datagrams, late.tally.total().all().datagrams), (3, 6));
    assert_eq!(by_source(&early), by_source(&late)[..1]);
}

#[tokio::test]
async fn what_was_sent_before_the_joining_is_gone() {
    let held = join(&group(4), 1);
    let group = held.group().clone();
    send(classic(&group, "too-early")).await;
    let receiver = join(&group, 3);
    let in_time = send(classic(&group, "in-time")).await;
    assert_eq!(by_source(&receiver.run().await.unwrap()), [(in_time.source, 3)]);
}

#[tokio::test]
async fn another_group_on_the_same_port_stays_out() {
    let one = join(&group(5), 3);
    let other = join(&group(6).on_port(one.group().port()), 3);
    let (ours, theirs) = (one.group().clone(), other.group().clone());
    let to_others = send(classic(&theirs, "theirs")).await;
    let to_us = send(classic(&ours, "ours")).await;
    assert_eq!(by_source(&one.run().await.unwrap()), [(to_us.source, 3)]);
    assert_eq!(by_source(&other.run().await.unwrap()), [(to_others.source, 3)]);
}

#[tokio::test]
async fn a_datagram_to_our_own_address_is_no_message_of_the_group() {
    let receiver = join(&group(7), 3);
    let unicast = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    unicast.send_to(b"to you alone", (Ipv4Addr::LOCALHOST, receiver.group().port())).unwrap();
    let sent = send(classic(receiver.group(), "sender1")).await;
    assert_eq!(by_source(&receiver.run().await.unwrap()), [(sent.source, 3)]);
}

#[tokio::test]
async fn nothing_a_stranger_sends_does_harm() {
    let payloads: [&[u8]; 6] =
        [b"", b"\xff\xfe\x00", b"\x1b[2J\x1b]0;owned\x07", &[b'['; 60_000], &[0; LONGEST_V4], b"{\"a\":"];
    let receiver = join(&group(8), 6);
    let stranger = outgoing(receiver.group());
    for payload in payloads {
        stranger.send(payload).await.unwrap();
    }
    let total = receiver.run().await.unwrap().tally.total();
    assert_eq!(total.text, Count { datagrams: 3, bytes: 60_005 }, "the empty one, the deep one, the cut one");
    assert_eq!(total.binary, Count { datagrams: 3, bytes: 3 + 14 + 65_507 });
}

#[tokio::test]
async fn what_came_before_the_leaving_is_counted_even_when_it_is_read_after() {
    let config = receiver::Config::new(group(9));
    let session = session("receiver", None);
    let receiver = Receiver::join(&receiver::Config { interface: lo(), ..config }, session.clone()).unwrap();
    let items = vec![Item::Fixed(Message::text("still in the buffer"))];
    let rounds = NonZeroU64::new(50);
    send(sender::Config { items, rounds, ..classic(receiver.group(), "sender1") }).await;
    session.shutdown.request();
    let summary = receiver.run().await.unwrap();
    assert_eq!((summary.ended, summary.tally.total().all().datagrams), (Ended::Stopped, 50));
    assert_eq!(summary.exit(), Exit::Done, "it had no goal but to listen");
}

#[tokio::test]
async fn silence_until_the_end_is_told_with_a_code() {
    let config = receiver::Config { duration: Some(Duration::from_millis(1)), ..receiver::Config::new(group(10)) };
    let summary = join_with(config).run().await.unwrap();
    assert_eq!((summary.ended, summary.exit()), (Ended::Duration, Exit::NobodyAnswered));
    assert_eq!(summary.silence.unwrap().code, "MC-IFACE");
}

#[tokio::test]
async fn fewer_than_were_wanted_is_partial() {
    let duration = Some(Duration::from_millis(1));
    let config = receiver::Config { duration, count: NonZeroU64::new(4), ..receiver::Config::new(group(15)) };
    let receiver = join_with(config);
    send(classic(receiver.group(), "sender1")).await;
    let summary = receiver.run().await.unwrap();
    assert_eq!((summary.tally.total().all().datagrams, summary.exit()), (3, Exit::Partial));
    assert!(summary.verdict().starts_with("3 of 4 messages heard"), "{}", summary.verdict());
}

#[tokio::test]
async fn more_sources_than_can_be_remembered_still_count() {
    let config = receiver::Config { sources: 2, count: NonZeroU64::new(3), ..receiver::Config::new(group(11)) };
    let receiver = join_with(config);
    let mut sources = Vec::new();
    for _ in 0..3 {
        let stranger = outgoing(receiver.group());
        stranger.send(b"x").await.unwrap();
        sources.push((stranger.source(), 1));
    }
    let summary = receiver.run().await.unwrap();
    assert_eq!(by_source(&summary), sources[1..]);
    assert_eq!((summary.tally.forgotten(), summary.tally.total().all().datagrams), (1, 3));
}

#[tokio::test]
async fn datagrams_keep_their_distance() {
    let receiver = join(&group(12), 3);
    let config = sender::Config { interval: Duration::from_millis(30), ..classic(receiver.group(), "sender1") };
    assert!(send(config).await.elapsed >= Duration::from_millis(60));
}

#[tokio::test]
async fn a_sender_names_the_interface_it_is_pinned_to() {
    let receiver = join(&group(13), 1);
    for choice in ["lo", "127.0.0.1"] {
        let outgoing = Outgoing::open(receiver.group(), choice.parse().ok().as_ref(), Reach::default()).unwrap();
        assert!(outgoing.interface().flags.loopback);
        assert_eq!(outgoing.source().ip(), Ipv4Addr::LOCALHOST);
        assert!(outgoing.mtu().is_some_and(|mtu| mtu >= 16_384), "loopback takes large packets: {:?}", outgoing.mtu());
    }
}

#[tokio::test]
async fn events_tell_the_whole_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let session = session("lab", Some(&path));
    let config = receiver::Config { interface: lo(), count: NonZeroU64::new(3), ..receiver::Config::new(group(14)) };
    let receiver = Receiver::join(&config, session.inner("multicast-receiver", "receiver1")).unwrap();
    let sender =
        Sender::open(classic(receiver.group(), "sender1"), session.inner("multicast-sender", "sender1")).unwrap();
    sender.run().await.unwrap();
    receiver.run().await.unwrap();

    let text = std::fs::read_to_string(&path).unwrap();
    let records: Vec<Record> = text.lines().map(|line| Record::from_line(line).unwrap()).collect();
    let of = |node: &str| records.iter().filter(|record| record.node == node).collect::<Vec<_>>();
    let names = |records: &[&Record]| {
        let told = |record: &&Record| match &record.event {
            Event::Started { .. } => "started".to_owned(),
            Event::Joined { .. } => "joined".to_owned(),
            Event::Left { .. } => "left".to_owned(),
            Event::Sent { what, number, .. } => format!("sent {what} {}", number.unwrap()),
            Event::Received { what, number, .. } => {
                format!("received {what} {} of {}", number.unwrap(), record.flow.unwrap())
            }
            Event::Measured { value, .. } => format!("measured {value}"),
            Event::Finished { outcome: Outcome::Complete, .. } => "finished".to_owned(),
            other => format!("{other:?}"),
        };
        records.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(names(&of("sender1")), ["started", "sent text 1", "sent json 2", "sent binary 3", "finished"]);
    assert_eq!(
        names(&of("receiver1")),
        [
            "started",
            "joined",
            "received text 1 of 1",
            "received json 2 of 1",
            "received binary 3 of 1",
            "left",
            "measured 3",
            "finished"
        ]
    );
}
