//! Numbered messages on the loopback interface: what a receiver knows it missed, and why.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use events::{Event, Record, Time};
use labkit::interface::Choice;
use labkit::{Common, Exit, Session, Shutdown};
use multicast::payload::{Kind, Message};
use multicast::receiver::{self, Ended, Filter, Framing, Losses, Receiver, Summary};
use multicast::rtcp::{Report, Totals};
use multicast::sender::{self, Item, Rate, Sender, Sent};
use multicast::{Group, Outgoing, Reach, rtp};
use socket2::{Domain, Socket, Type};

fn lo() -> Choice {
    Choice::Address(Ipv4Addr::LOCALHOST.into())
}

fn group(last: u8) -> Group {
    Group::new([239, 255, 52, last].into(), 0).unwrap()
}

fn session(events: Option<&Path>) -> Session {
    let flags =
        Common { name: Some("sender1".into()), quiet: true, events: events.map(Path::to_owned), ..Common::default() };
    Session::new("test", &flags, Shutdown::manual()).unwrap()
}

fn config(last: u8) -> receiver::Config {
    receiver::Config { interface: lo(), ..receiver::Config::new(group(last)) }
}

/// Listens until everything that was sent before is heard.
async fn heard_so_far(receiver: receiver::Config, send: impl AsyncFnOnce(&Group)) -> Summary {
    let session = session(None);
    let receiver = Receiver::join(&receiver, session.clone()).unwrap();
    send(receiver.group()).await;
    session.shutdown.request();
    receiver.run().await.unwrap()
}

fn numbered(group: &Group) -> sender::Config {
    sender::Config {
        interface: Some(lo()),
        interval: Duration::ZERO,
        framing: sender::Framing::Rtp,
        ..sender::Config::classic(group.clone(), "sender1")
    }
}

async fn send(config: sender::Config) -> Sent {
    Sender::open(config, session(None)).unwrap().run().await.unwrap()
}

/// Sends messages of any number, as somebody might.
struct Forger(Outgoing);

impl Forger {
    fn new(group: &Group) -> Self {
        Forger(Outgoing::open(group, Some(&lo()), Reach::default()).unwrap())
    }

    async fn message(&self, ssrc: u32, number: u64) {
        let mut bytes = Vec::new();
        rtp::write_header(&mut bytes, Kind::Text, ssrc, number, 0);
        bytes.extend_from_slice(number.to_string().as_bytes());
        self.0.send(&bytes).await.unwrap();
    }

    async fn messages(&self, numbers: &[u64]) {
        for &number in numbers {
            self.message(7, number).await;
        }
    }

    async fn bye(&self, packets: u32) {
        let totals = Some(Totals { packets, ..Totals::default() });
        self.0.send_report(&Report { ssrc: 7, totals, bye: true, ..Report::default() }.encode()).await;
    }
}

#[tokio::test]
async fn a_sender_is_known_by_name_and_its_end_is_heard() {
    let summary = heard_so_far(config(1), async |group| {
        send(sender::Config { rounds: NonZeroU64::new(5), ..numbered(group) }).await;
    })
    .await;
    let rows = summary.tracker.rows();
    assert_eq!((rows.len(), rows[0].name.as_deref(), rows[0].bye), (1, Some("sender1"), true));
    assert_eq!(rows[0].cname.as_deref(), Some("sender1@127.0.0.1"));
    let counts = rows[0].stream.counts();
    assert_eq!((counts.received, counts.in_order, counts.lost, counts.tail, counts.before), (15, 15, 0, 0, 0));
    assert_eq!((summary.tally.total().text.datagrams, summary.tally.total().json.bytes), (5, 5 * 34));
    assert!(summary.verdict().ends_with("; none missing"), "{}", summary.verdict());
}

#[tokio::test]
async fn a_load_is_numbered_and_counted_to_the_message() {
    let summary = heard_so_far(config(2), async |group| {
        let items = vec![Item::Filler(80)];
        let config = sender::Config { items, rounds: NonZeroU64::new(1000), rate: Some(Rate::Max), ..numbered(group) };
        assert_eq!(send(config).await.counts.binary.datagrams, 1000);
    })
    .await;
    assert_eq!((summary.tally.total().binary.datagrams, summary.losses), (1000, Losses::default()));
    assert_eq!(summary.tracker.total().bytes, 80_000);
}

#[tokio::test]
async fn what_is_missing_is_known_at_both_ends_and_between() {
    let summary = heard_so_far(config(3), async |group| {
        let forger = Forger::new(group);
        forger.messages(&[5, 6, 9, 7, 7]).await;
        forger.bye(14).await;
    })
    .await;
    let counts = summary.tracker.total();
    assert_eq!((counts.before, counts.lost, counts.tail, counts.late, counts.duplicates), (5, 1, 4, 1, 1));
    assert_eq!((summary.losses.network, summary.losses.at_the_tail), (5, 4));
    assert!(summary.verdict().contains("5 missing (5: the network); 5 sent before we joined"), "{}", summary.verdict());
    assert_eq!(summary.advice().unwrap().code, "UDP-LOSS");
}

#[tokio::test]
async fn what_our_own_buffer_dropped_is_told_from_what_the_network_lost() {
    let small = receiver::Config { receive_buffer: 30_000, ..config(4) };
    let summary = heard_so_far(small, async |group| {
        let items = vec![Item::Filler(100)];
        send(sender::Config { items, rounds: NonZeroU64::new(2000), rate: Some(Rate::Max), ..numbered(group) }).await;
    })
    .await;
    let heard = summary.tally.total().all().datagrams;
    assert!(heard < 2000, "30 kB hold no 2000 messages");
    assert_eq!((summary.losses.receive_buffer, summary.losses.network), (2000 - heard, 0));
    let advice = summary.advice().unwrap();
    assert_eq!(advice.code, "UDP-RCVBUF");
    assert!(summary.to_string().ends_with(&format!(" [UDP-RCVBUF]\n  try: {}", advice.command)), "{summary}");
}

#[tokio::test]
async fn what_was_dropped_on_purpose_is_told_apart() {
    let impair = Some(("drop=message:2,drop=message:4".parse().unwrap(), 1));
    let summary = heard_so_far(receiver::Config { impair, ..config(5) }, async |group| {
        Forger::new(group).messages(&[0, 1, 2, 3, 5, 6]).await;
    })
    .await;
    assert_eq!((summary.losses.impaired, summary.losses.network, summary.impaired), (2, 1, 2));
}

#[tokio::test]
async fn formats_that_are_not_ours_are_counted_apart() {
    let rtp = receiver::Config { framing: Framing::Rtp, ..config(6) };
    let summary = heard_so_far(rtp, async |group| {
        let forger = Forger::new(group);
        for stranger in [&b"Hello"[..], b"", &[0x80; 11], &[0x80, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0; 60_000]] {
            forger.0.send(stranger).await.unwrap();
        }
        forger.0.send(&[0x80, 0, 0, 1, 0, 0, 0, 0, 9, 9, 9, 9, b'x']).await.unwrap();
        forger.0.send_report(b"no report").await;
        forger.messages(&[0]).await;
    })
    .await;
    assert_eq!((summary.foreign.formats, summary.foreign.reports), (5, 1));
    assert_eq!((summary.tally.total().all().datagrams, summary.tracker.len()), (2, 2), "RTP of anybody, and ours");
    assert!(summary.to_string().contains("Passed over: 5 of another format, 1 on the port of reports"), "{summary}");
}

#[tokio::test]
async fn raw_and_numbered_messages_on_one_group_are_told_apart() {
    let summary = heard_so_far(config(7), async |group| {
        Forger::new(group).messages(&[0, 2]).await;
        send(sender::Config { framing: sender::Framing::Raw, ..numbered(group) }).await;
    })
    .await;
    assert_eq!((summary.tally.total().all().datagrams, summary.tracker.total().received), (5, 2));
    let raw = heard_so_far(receiver::Config { framing: Framing::Raw, ..config(8) }, async |group| {
        Forger::new(group).messages(&[0, 2]).await;
    })
    .await;
    assert_eq!((raw.tally.total().all().datagrams, raw.tracker.len()), (2, 0));
}

#[tokio::test]
async fn two_thousand_forged_streams_take_no_more_than_their_room() {
    let summary = heard_so_far(receiver::Config { sources: 50, ..config(9) }, async |group| {
        let forger = Forger::new(group);
        for ssrc in 0..2_000 {
            forger.message(ssrc, 0).await;
        }
    })
    .await;
    let heard = summary.tally.total().all().datagrams;
    assert_eq!((summary.tracker.len(), summary.tracker.forgotten()), (50, heard - 50));
    assert_eq!(summary.tracker.total().received, heard);
}

/// The numbers told, in the order they were told.
async fn told(last: u8, filter: Filter, numbers: &[u64]) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let session = session(Some(&path));
    let receiver = Receiver::join(&receiver::Config { filter, ..config(last) }, session.clone()).unwrap();
    Forger::new(receiver.group()).messages(numbers).await;
    session.shutdown.request();
    let summary = receiver.run().await.unwrap();
    assert_eq!(summary.tracker.total().received, u64::try_from(numbers.len()).unwrap(), "all are counted");
    numbers_in(&path)
}

/// The numbers of the messages told in recorded events, from 0.
fn numbers_in(events: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(events).unwrap();
    let number = |line: &str| match Record::from_line(line).unwrap().event {
        Event::Received { number, .. } => number.map(|number| number - 1),
        _ => None,
    };
    text.lines().filter_map(number).collect()
}

#[tokio::test]
async fn duplicates_are_left_out_and_order_is_made_where_that_is_asked_for() {
    let numbers = [0, 2, 1, 1, 5, 2, 4];
    assert_eq!(told(10, Filter::None, &numbers).await, numbers);
    assert_eq!(told(11, Filter::Dedupe, &numbers).await, [0, 2, 1, 5, 4]);
    assert_eq!(told(12, Filter::Ordered, &numbers).await, [0, 1, 2, 4, 5]);
}

#[tokio::test]
async fn a_leap_that_the_next_message_confirms_is_told_from_its_first_message_on() {
    assert_eq!(told(19, Filter::Ordered, &[0, 1, 90_000, 90_001]).await, [0, 1, 90_000, 90_001]);
    assert_eq!(told(20, Filter::Ordered, &[90_000, 90_001, 3, 4, 5]).await, [90_000, 90_001, 3, 4, 5], "began anew");
    assert_eq!(told(21, Filter::Ordered, &[0, 1, 90_000, 2, 3]).await, [0, 1, 2, 3], "a stray stays one");
}

#[tokio::test]
async fn what_waits_of_a_stream_that_is_followed_no_more_is_told_before_it_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let session = session(Some(&path));
    let config = receiver::Config { filter: Filter::Ordered, sources: 1, ..config(22) };
    let receiver = Receiver::join(&config, session.clone()).unwrap();
    let forger = Forger::new(receiver.group());
    // The third waits for the second when the other stream takes its place.
    forger.messages(&[0, 2]).await;
    forger.message(8, 0).await;
    session.shutdown.request();
    receiver.run().await.unwrap();
    assert_eq!(numbers_in(&path), [0, 2, 0]);
}

#[tokio::test]
async fn reports_without_end_do_not_keep_messages_waiting() {
    let config = receiver::Config { count: Some(NonZeroU64::MIN), ..config(23) };
    let receiver = Receiver::join(&config, session(None)).unwrap();
    let forger = Forger::new(receiver.group());
    // More than two batches, if the buffer of reports has room for them; then the message that ends it.
    for _ in 0..200 {
        forger.0.send_report(b"no report").await;
    }
    forger.messages(&[0]).await;
    // So that the receiver knows of both sockets that something came.
    tokio::task::yield_now().await;
    let summary = receiver.run().await.unwrap();
    assert!(
        summary.foreign.reports <= 64,
        "{} reports were read before the message had its turn",
        summary.foreign.reports
    );
}

#[tokio::test]
async fn a_receiver_of_others_that_says_goodbye_is_no_source() {
    let summary = heard_so_far(config(24), async |group| {
        let forger = Forger::new(group);
        forger.0.send_report(&Report { ssrc: 9, bye: true, ..Report::default() }.encode()).await;
        forger.messages(&[0]).await;
        forger.0.send_report(&Report { ssrc: 7, bye: true, ..Report::default() }.encode()).await;
    })
    .await;
    let streams: Vec<(u32, bool)> = summary.tracker.rows().iter().map(|row| (row.key.ssrc, row.bye)).collect();
    assert_eq!(streams, [(7, true)], "the end of a stream that was heard is its end, with totals or without");
}

#[tokio::test]
async fn what_impair_still_holds_back_at_the_end_came_when_it_would_have_come_out() {
    let impair = Some(("delay=3600s".parse().unwrap(), 1));
    let summary = heard_so_far(receiver::Config { impair, ..config(25) }, async |group| {
        Forger::new(group).messages(&[0, 1]).await;
    })
    .await;
    let rows = summary.tracker.rows();
    assert_eq!((rows.len(), rows[0].stream.counts().received), (1, 2));
    let stayed = rows[0].last - summary.joined;
    assert!(stayed < Duration::from_secs(2 * 3600), "booked {stayed:?} after the joining");
}

#[tokio::test]
async fn one_source_alone_is_heard_where_it_is_named() {
    let named = Group::parse(&format!("127.0.0.2,{}:0", group(13).address()));
    assert!(named.is_err(), "no port 0 by hand");
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let named = Group::parse(&format!("127.0.0.2,{}:{port}", group(13).address())).unwrap();
    let summary = heard_so_far(receiver::Config { groups: vec![named], ..config(13) }, async |group| {
        for host in [2, 1, 2] {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
            socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).unwrap();
            socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
            socket.send_to(&[host], &group.socket_address(0).into()).unwrap();
        }
    })
    .await;
    let hosts: Vec<String> = summary.tally.rows().iter().map(|row| row.source.ip().to_string()).collect();
    assert_eq!(hosts, ["127.0.0.2", "127.0.0.2"]);
}

#[tokio::test]
async fn several_groups_are_heard_by_one_receiver() {
    let first = Receiver::join(&config(14), session(None)).unwrap().group().clone();
    let groups = vec![first.clone(), group(15).on_port(first.port())];
    let config = receiver::Config { groups, count: NonZeroU64::new(6), ..config(14) };
    let receiver = Receiver::join(&config, session(None)).unwrap();
    let joined: Vec<Group> = receiver.memberships().map(|one| one.group().clone()).collect();
    for group in &joined {
        send(numbered(group)).await;
    }
    let summary = receiver.run().await.unwrap();
    assert_eq!((summary.ended, summary.exit()), (Ended::Count, Exit::Done));
    let of: Vec<usize> = summary.tracker.rows().iter().map(|row| row.key.group).collect();
    assert_eq!((of.len(), summary.groups), (2, joined), "one stream for each group");
}

#[tokio::test]
async fn a_script_says_when_to_join() {
    let script = Some("1h join".parse().unwrap());
    let summary = heard_so_far(receiver::Config { script, ..config(16) }, async |group| {
        Forger::new(group).messages(&[0]).await;
    })
    .await;
    assert_eq!(summary.tally.total().all().datagrams, 0, "nobody joined yet");
    let script = Some("0s join, 0s quit".parse().unwrap());
    let receiver = Receiver::join(&receiver::Config { script, ..config(17) }, session(None)).unwrap();
    let summary = receiver.run().await.unwrap();
    assert_eq!((summary.ended, summary.joined > Time::ZERO), (Ended::Script, true));
}

#[tokio::test]
async fn a_header_leaves_less_room_for_the_payload() {
    let message = |length| vec![Item::Fixed(Message::binary(vec![0; length]))];
    let open = |length| {
        Sender::open(sender::Config { items: message(length), ..numbered(&group(18).on_port(9)) }, session(None))
    };
    assert!(open(65_507 - rtp::HEADER).is_ok());
    assert_eq!(open(65_507 - rtp::HEADER + 1).unwrap_err().code, "TOO-LONG");
}
