//! Writes a first corpus for each target: one of every kind of datagram, some names, some impairments.

use std::path::Path as FilePath;
use std::time::Duration;

use arq::catalogue::{Entry, FileName};
use arq::handshake::Door;
use arq::wire::{Cookie, Datagram, Envelope, Handshake, Reply, Request};
use arq::{
    BlockNumber, BlockRange, Body, CloseReason, FileId, Flow, Open, PacketNumber, Policy, RangeSet, Report, SessionId,
};
use doctor::probe::{Kind, Message, Name, Path};
use events::{Event, Record, Time};

fn main() -> std::io::Result<()> {
    let datagrams: Vec<Vec<u8>> = datagrams().iter().map(unsealed).collect();
    write("datagram", &datagrams)?;
    let framed: Vec<Vec<u8>> = datagrams
        .iter()
        .map(|datagram| [&u16::try_from(datagram.len()).expect("short").to_be_bytes(), datagram.as_slice()].concat())
        .collect();
    let conversations: Vec<Vec<u8>> = (0..4).map(|mode| [&[mode], framed.concat().as_slice()].concat()).collect();
    write("conversation", &conversations)?;
    write("handshake", &[framed.concat()])?;
    write("file_name", &["notes.txt", "a/b/c", "../x", "C:x", "…"].map(|name| name.as_bytes().to_vec()))?;
    let impairments = [
        "none",
        "loss=5%,delay=20ms,jitter=2ms,reorder=1%:2,duplicate=1%,corrupt=0.1%,rate=10mbit,queue=64KiB",
        "burst=1%:8,blackout=2s@5s/7s,drop=block:3,drop=report:1",
    ];
    write("impairment", &impairments.map(|text| text.as_bytes().to_vec()))?;
    let record = Record::new(Time::ZERO, "server1", Event::Phase { name: "transfer".into() });
    write("probe", &[probe()])?;
    let rules = r#"{"nftables": [{"chain": {"family": "inet", "table": "f", "name": "c", "hook": "input", "prio": 0, "policy": "drop"}},
        {"rule": {"family": "inet", "table": "f", "chain": "c", "handle": 4, "expr": [{"match": {"op": "==", "left":
        {"payload": {"protocol": "udp", "field": "dport"}}, "right": {"set": [5007, {"range": [6000, 6010]}]}}}, {"jump": {"target": "c"}}]}}]}"#;
    write("ruleset", &[rules.as_bytes().to_vec()])?;
    write("record", &[record.to_line().into_bytes()])
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
    bytes.truncate(bytes.len() - arq::wire::CHECKSUM);
    bytes
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
    let name = FileName::new("folder/notes.txt").expect("a name");
    let entry = Entry { file: FileId(1), size: 6_400, modified: 0, hash: [1; 32], name: name.clone() };
    let cookie = Cookie { issued: 1 << 39, mac: [2; 32] };
    let (file, hash, policy) = (FileId(1), [1; 32], Policy::SELECTIVE_REPEAT);
    vec![
        Datagram::Handshake(Handshake::Hello { client, datagram: 1_200, cookie: None }),
        Datagram::Handshake(Handshake::Hello { client, datagram: 1_200, cookie: Some(cookie) }),
        Datagram::Handshake(Handshake::Retry { client, cookie }),
        Datagram::Handshake(Door::accept(client, SessionId(9), 1_200)),
        Datagram::Handshake(Door::refuse(client, arq::wire::Refusal::Busy, Duration::from_secs(5))),
        Datagram::Handshake(Handshake::Gone { session: SessionId(9) }),
        Datagram::Transfer(numbered, Body::Open(Open { file, hash, policy, rate: 0, congestion: None, report: Report::default() }), &[]),
        Datagram::Transfer(numbered, Body::Report(report), &[]),
        Datagram::Transfer(numbered, Body::Block(BlockNumber(2), 100), &[5; 100]),
        Datagram::Transfer(numbered, Body::Done { again: 3, heard: true }, &[]),
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
