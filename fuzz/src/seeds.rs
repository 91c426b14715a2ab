//! Writes a first corpus for each target: one of every kind of datagram, some names, some impairments.

use std::path::Path as FilePath;
use std::time::Duration;

use anycast::answer::{Answer, Form};
use anycast::hello;
use anycast::http::{self, Status};
use arq::catalogue::{Entry, FileName};
use arq::handshake::Door;
use arq::wire::{Cookie, Datagram, Envelope, Handshake, Reply, Request};
use arq::{
    BlockNumber, BlockRange, Body, CloseReason, Ecn, FileId, Flow, Marks, Open, PacketNumber, Policy, RangeSet, Report,
    SessionId,
};
use doctor::probe::{Kind, Message, Name, Path};
use events::{Event, Record, Time};
use multicast::call::{Order, wire as group};
use multicast::payload::Kind as Payload;
use multicast::rtcp::{self, Totals};
use multicast::rtp;

fn main() -> std::io::Result<()> {
    let datagrams: Vec<Vec<u8>> = datagrams().iter().map(unsealed).collect();
    write("datagram", &datagrams)?;
    let framed_all = framed(&datagrams);
    let conversations: Vec<Vec<u8>> = (0..4).map(|mode| [&[mode], framed_all.as_slice()].concat()).collect();
    write("conversation", &conversations)?;
    write("handshake", &[framed_all])?;
    write("file_name", &["notes.txt", "a/b/c", "../x", "C:x", "…"].map(|name| name.as_bytes().to_vec()))?;
    let impairments = [
        "none",
        "loss=5%,delay=20ms,jitter=2ms,reorder=1%:2,duplicate=1%,corrupt=0.1%,rate=10mbit,queue=64KiB",
        "burst=1%:8,blackout=2s@5s/7s,drop=block:3,drop=report:1",
    ];
    write("impairment", &impairments.map(|text| text.as_bytes().to_vec()))?;
    write("rtp", &numbered())?;
    let record = Record::new(Time::ZERO, "server1", Event::Phase { name: "transfer".into() });
    write("probe", &[probe()])?;
    let rules = r#"{"nftables": [{"chain": {"family": "inet", "table": "f", "name": "c", "hook": "input", "prio": 0, "policy": "drop"}},
        {"rule": {"family": "inet", "table": "f", "chain": "c", "handle": 4, "expr": [{"match": {"op": "==", "left":
        {"payload": {"protocol": "udp", "field": "dport"}}, "right": {"set": [5007, {"range": [6000, 6010]}]}}}, {"jump": {"target": "c"}}]}}]}"#;
    write("ruleset", &[rules.as_bytes().to_vec()])?;
    write("http", &spoken_to_a_web_server())?;
    write("hello", &said_in_hello())?;
    write("record", &[record.to_line().into_bytes()])?;
    let group: Vec<Vec<u8>> = group().iter().map(|datagram| without(datagram.encode(), 4)).collect();
    write("group_datagram", &group)?;
    let lines = [group, vec![b"Hello".to_vec(), b"Client 7: Hello".to_vec()]].concat();
    write("group_hub", &[framed(&lines)])?;
    write("group_member", &(0..4).map(|order| [&[order], framed(&lines).as_slice()].concat()).collect::<Vec<_>>())
}

/// One after another, each with its length before it.
fn framed(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let length = |datagram: &Vec<u8>| u16::try_from(datagram.len()).expect("short").to_be_bytes();
    datagrams.iter().flat_map(|datagram| [&length(datagram), datagram.as_slice()].concat()).collect()
}

/// A message of ours, one of somebody's with 16 bits of number, and a report.
fn numbered() -> Vec<Vec<u8>> {
    let mut ours = Vec::new();
    rtp::write_header(&mut ours, Payload::Text, 7, 70_000, 90_000);
    ours.extend_from_slice(b"hello, fuzzer, hello");
    let theirs = [&[0x80, 96, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 9][..], &[b'x'; 28]].concat();
    let totals = Some(Totals { packets: 9, ..Totals::default() });
    let report = rtcp::Report { ssrc: 7, totals, cname: Some("a".into()), bye: false, name: None }.encode();
    vec![[ours.clone(), theirs.clone()].concat(), [theirs, ours.clone(), ours].concat(), report]
}

/// What browsers, load balancers and strangers ask, and what is answered.
fn spoken_to_a_web_server() -> Vec<Vec<u8>> {
    let browser = "GET /?x=1#y HTTP/1.1\r\nHost: a\r\nAccept: text/html,application/json\r\nConnection: close\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let asked = http::request("/health", "[::1]:80", true);
    let answered = http::response(Status(503), "draining\n", false, false, false);
    vec![browser.into(), post.into(), "HEAD / HTTP/1.0\r\n\r\n".into(), asked, answered, chunked.into()]
}

/// Messages and greetings, each behind the length of its pieces.
fn said_in_hello() -> Vec<Vec<u8>> {
    let answer = Answer {
        address: Some(([127, 0, 0, 1], 5_000).into()),
        process: Some(7),
        count: Some(3),
        ..Answer::named("a")
    };
    let greetings = [Form::Plain, Form::Full, Form::Json].map(|form| answer.line(form));
    let messages =
        [hello::hello("Rust"), hello::goodbye("Ada", None), hello::goodbye("Ada", Some("Rust")), "Busy: a\n".into()];
    greetings.iter().chain(&messages).map(|text| [b"\x05", text.as_bytes()].concat()).collect()
}

fn write(target: &str, seeds: &[Vec<u8>]) -> std::io::Result<()> {
    let folder = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&folder)?;
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number:02}")), seed)?;
    }
    Ok(())
}

/// One of each kind, to the right one.
fn probe() -> Vec<u8> {
    let path = Path { sent: 4, heard: 3 };
    let message = |kind, to, multicast, unicast| {
        Message { kind, port: 5007, id: 9, to, number: 2, multicast, unicast, name: Name::new("right") }.encode()
    };
    let none = Path::default();
    let hello = message(Kind::Hello, 0, none, none);
    let others = [Kind::Answer, Kind::Ask, Kind::Reply].map(|kind| message(kind, 1, path, path));
    [&hello[..], others.concat().as_slice(), &message(Kind::Ask, 0, none, none)].concat()
}

/// Without the checksum, which the targets put behind.
fn unsealed(datagram: &Datagram<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    datagram.encode(&mut bytes);
    without(bytes, arq::wire::CHECKSUM)
}

fn without(mut bytes: Vec<u8>, last: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - last);
    bytes
}

/// One of every kind, of the seat and session that the targets use.
fn group() -> Vec<group::Datagram> {
    use group::{Body, Datagram as D, Entry, EntryBody, GroupBody, Held, Seat, Welcome, Why};
    let cookie = group::Cookie { issued: 1, mac: [2; 16] };
    let seat = Seat { member: 3, key: 7 };
    let welcome = Welcome {
        client: 1,
        seat,
        session: 5,
        base: 0,
        order: Order::Causal,
        group: Some(([239, 255, 20, 1], 20_001).into()),
        heartbeat: Duration::from_millis(500),
        silence: Duration::from_secs(3),
    };
    let text = || b"hello".to_vec();
    let entry = |number, stamp, body| {
        let entry = Entry { number, origin: 0, seq: 2, stamp, name: b"2".to_vec(), body };
        D::Group { session: 5, body: GroupBody::Entry(entry) }
    };
    let bodies = [
        Body::Report(Held::new(5, 9, [7, 9].into_iter())),
        Body::Cast { seq: 1, stamp: vec![(0, 1), (4, 2)], text: text() },
        Body::Line { seq: 1, text: text() },
        Body::LineAck { seq: 1 },
        Body::Answer { call: 1, text: text() },
        Body::Leave,
        Body::Beat { newest: 9, admitted: 1 },
        Body::Gone { why: Why::Unknown, newest: 0 },
    ];
    let mut datagrams = vec![
        D::Join { client: 1, name: b"2".to_vec(), cookie: None },
        D::Join { client: 1, name: b"2".to_vec(), cookie: Some(cookie) },
        D::Retry { client: 1, cookie },
        D::Welcome(welcome),
        D::Refuse { client: 1 },
        entry(2, vec![(1, 1)], EntryBody::Cast(text())),
        entry(1, vec![], EntryBody::Join(3)),
        entry(3, vec![], EntryBody::Leave(3, Why::Silent)),
        D::Group { session: 5, body: GroupBody::Call { call: 1, within: Duration::from_secs(1), text: text() } },
    ];
    datagrams.extend(bodies.map(|body| D::Seat(seat, body)));
    datagrams
}

fn datagrams() -> Vec<Datagram<'static>> {
    let numbered = Envelope { to: SessionId(1), flow: Flow(20), number: PacketNumber(3) };
    let plain = Envelope { number: PacketNumber::NONE, ..numbered };
    let client = SessionId(7);
    let mut held = RangeSet::new();
    for start in [0, 5, 9] {
        held.insert_range(BlockRange::new(start, start + 2)).expect("three ranges");
    }
    let report = Report::of(&held, PacketNumber(2), Duration::from_millis(1), 32);
    let report = Report { marks: Marks { ect0: 1, ce: 1 }, ..report };
    let name = FileName::new("folder/notes.txt").expect("a name");
    let entry = Entry { file: FileId(1), size: 6_400, modified: 0, hash: [1; 32], name: name.clone() };
    let cookie = Cookie { issued: 1 << 39, mac: [2; 32] };
    let (file, hash, policy) = (FileId(1), [1; 32], Policy::SELECTIVE_REPEAT);
    vec![
        Datagram::Handshake(Handshake::Hello { client, datagram: 1_200, cookie: None }),
        Datagram::Handshake(Handshake::Hello { client, datagram: 1_200, cookie: Some(cookie) }),
        Datagram::Handshake(Handshake::Retry { client, server: client, cookie }),
        Datagram::Handshake(Door::accept(client, SessionId(9), 1_200)),
        Datagram::Handshake(Door::refuse(client, arq::wire::Refusal::Busy, Duration::from_secs(5))),
        Datagram::Handshake(Handshake::Gone { session: SessionId(9) }),
        Datagram::Transfer(
            numbered,
            Body::Open(Open { file, hash, policy, rate: 0, congestion: None, ecn: true, report: Report::default() }),
            &[],
        ),
        Datagram::Transfer(numbered, Body::Report(report), &[]),
        Datagram::Transfer(numbered, Body::Block(BlockNumber(2), 100), &[5; 100]),
        Datagram::Transfer(numbered, Body::Done { again: 3, heard: true, ecn: Ecn::Capable }, &[]),
        Datagram::Transfer(numbered, Body::Close(CloseReason::Stopped), &[]),
        Datagram::Request(plain, Request::List { generation: 0, from: 0 }),
        Datagram::Request(plain, Request::Find(name)),
        Datagram::Request(plain, Request::Chunks { file, from: 0 }),
        Datagram::Reply(plain, Reply::Page { generation: 1, total: 1, from: 0, entries: vec![entry.clone()] }),
        Datagram::Reply(plain, Reply::Found(entry)),
        Datagram::Reply(plain, Reply::Chunks { file, total: 2, from: 0, values: vec![[3; 32], [4; 32]] }),
        Datagram::Reply(plain, Reply::Deny(CloseReason::NotFound)),
        Datagram::Leave(plain),
    ]
}
