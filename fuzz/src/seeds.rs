//! Writes a first corpus for each target: one of every kind of datagram, some names, some impairments.

use std::path::Path;
use std::time::Duration;

use arq::catalogue::{Entry, FileName};
use arq::handshake::Door;
use arq::wire::{Cookie, Datagram, Envelope, Handshake, Reply, Request};
use arq::{
    BlockNumber, BlockRange, Body, CloseReason, FileId, Flow, Open, PacketNumber, Policy, RangeSet, Report, SessionId,
};
use events::{Event, Record, Time};
use multicast::payload::Kind;
use multicast::rtcp::{self, Totals};
use multicast::rtp;

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
    write("rtp", &numbered())?;
    let record = Record::new(Time::ZERO, "server1", Event::Phase { name: "transfer".into() });
    write("record", &[record.to_line().into_bytes()])
}

/// A message of ours, one of somebody's with 16 bits of number, and a report.
fn numbered() -> Vec<Vec<u8>> {
    let mut ours = Vec::new();
    rtp::write_header(&mut ours, Kind::Text, 7, 70_000, 90_000);
    ours.extend_from_slice(b"hello, fuzzer, hello");
    let theirs = [&[0x80, 96, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 9][..], &[b'x'; 28]].concat();
    let totals = Some(Totals { packets: 9, ..Totals::default() });
    let report = rtcp::Report { ssrc: 7, totals, cname: Some("a".into()), bye: false, name: None }.encode();
    vec![[ours.clone(), theirs.clone()].concat(), [theirs, ours.clone(), ours].concat(), report]
}

fn write(target: &str, seeds: &[Vec<u8>]) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&folder)?;
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number:02}")), seed)?;
    }
    Ok(())
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
        Datagram::Transfer(numbered, Body::Open(Open { file, hash, policy, rate: 0, report: Report::default() }), &[]),
        Datagram::Transfer(numbered, Body::Report(report), &[]),
        Datagram::Transfer(numbered, Body::Block(BlockNumber(2), 100), &[5; 100]),
        Datagram::Transfer(numbered, Body::Done, &[]),
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
