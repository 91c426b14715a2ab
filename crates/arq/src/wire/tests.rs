//! Any value is read back as it was, and any bytes give a value or a reason.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::catalogue::{Entry, FileName};
use crate::congestion::Choice;
use crate::policy::Reporting;
use crate::{BlockNumber, BlockRange, CloseReason, Ecn, FileId, Marks, Open, Policy, RangeSet, Report};

fn encode(datagram: &Datagram<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    datagram.encode(&mut bytes);
    bytes
}

fn reports() -> impl Strategy<Value = Report> {
    let ranges = prop::collection::vec((0_u64..2_000, 1_u64..9), 0..90);
    (ranges, any::<[u64; 3]>(), any::<u32>(), any::<u32>()).prop_map(|(ranges, [newest, ect0, ce], delay, credit)| {
        let mut held = RangeSet::new();
        for (start, length) in ranges {
            held.insert_range(BlockRange::new(start, start + length)).unwrap();
        }
        let report = Report::of(&held, PacketNumber(newest), Duration::from_micros(delay.into()), credit);
        Report { marks: Marks { ect0, ce }, ..report }
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let delayed = (1_u32.., 0_u64..=1_000_000).prop_map(|(every, delay)| {
        let report = Reporting::Delayed { every, delay: Duration::from_micros(delay) };
        Policy { report, ..Policy::SELECTIVE_REPEAT }
    });
    let windows = (1..=Policy::LARGEST_WINDOW).prop_map(Policy::go_back_n);
    prop_oneof![Just(Policy::RAW), Just(Policy::STOP_AND_WAIT), windows, delayed]
}

fn names() -> impl Strategy<Value = FileName> {
    "[a-zçß€😀 .]{1,60}(/[a-z]{1,9}){0,3}".prop_filter_map("a name", |text| FileName::new(&text).ok())
}

fn entries() -> impl Strategy<Value = Entry> {
    (any::<[u64; 3]>(), any::<[u8; 32]>(), names()).prop_map(|([file, size, modified], hash, name)| Entry {
        file: FileId(file),
        size,
        modified,
        hash,
        name,
    })
}

fn reasons() -> impl Strategy<Value = CloseReason> {
    prop::sample::select(CloseReason::ALL.to_vec())
}

fn handshakes() -> impl Strategy<Value = Handshake> {
    let (id, cookie) = (any::<u64>().prop_map(SessionId), any::<(u64, [u8; 32])>());
    let cookie = cookie.prop_map(|(issued, mac)| Cookie { issued, mac });
    let refusal = prop::sample::select(Refusal::ALL.to_vec());
    let length = 1_200_u16..2_000;
    prop_oneof![
        (id.clone(), length.clone(), proptest::option::of(cookie.clone()))
            .prop_map(|(client, datagram, cookie)| Handshake::Hello { client, datagram, cookie }),
        (id.clone(), id.clone(), cookie).prop_map(|(client, server, cookie)| Handshake::Retry {
            client,
            server,
            cookie
        }),
        (id.clone(), id.clone(), length).prop_map(|(client, server, datagram)| Handshake::Accept {
            client,
            server,
            datagram
        }),
        id.clone().prop_map(|session| Handshake::Gone { session }),
        (id, refusal, any::<u16>()).prop_map(|(client, reason, retry_after)| Handshake::Refuse {
            client,
            reason,
            retry_after
        }),
    ]
}

fn controls() -> impl Strategy<Value = Option<Choice>> {
    prop::sample::select(vec![None, Some(Choice::NewReno), Some(Choice::Cubic), Some(Choice::Bbr)])
}

fn bodies() -> impl Strategy<Value = Body> {
    prop_oneof![
        (any::<(u64, [u8; 32], u64, bool)>(), policies(), controls(), reports()).prop_map(
            |((file, hash, rate, ecn), policy, congestion, report)| {
                Body::Open(Open { file: FileId(file), hash, policy, rate, congestion, ecn, report })
            }
        ),
        reports().prop_map(Body::Report),
        (any::<(u64, bool)>(), prop::sample::select(Ecn::ALL.to_vec())).prop_map(|((again, heard), ecn)| Body::Done {
            again,
            heard,
            ecn
        }),
        reasons().prop_map(Body::Close),
    ]
}

fn requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        any::<(u64, u64)>().prop_map(|(generation, from)| Request::List { generation, from }),
        names().prop_map(Request::Find),
        any::<(u64, u32)>().prop_map(|(file, from)| Request::Chunks { file: FileId(file), from }),
    ]
}

fn replies() -> impl Strategy<Value = Reply> {
    prop_oneof![
        (any::<[u64; 3]>(), prop::collection::vec(entries(), 0..9))
            .prop_map(|([generation, total, from], entries)| { Reply::Page { generation, total, from, entries } }),
        entries().prop_map(Reply::Found),
        (any::<(u64, u32, u32)>(), any::<Vec<[u8; 32]>>())
            .prop_map(|((file, total, from), values)| { Reply::Chunks { file: FileId(file), total, from, values } }),
        reasons().prop_map(Reply::Deny),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        (to, flow, number) in (any::<u64>(), any::<u32>(), 1_u64..),
        (handshake, body, request, reply) in (handshakes(), bodies(), requests(), replies()),
        (block, payload) in (any::<u64>(), prop::collection::vec(any::<u8>(), 1..1_500)),
    ) {
        let numbered = Envelope { to: SessionId(to), flow: Flow(flow), number: PacketNumber(number) };
        let unnumbered = Envelope { number: PacketNumber::NONE, ..numbered };
        let length = u16::try_from(payload.len()).unwrap();
        let datagrams = [
            Datagram::Handshake(handshake),
            Datagram::Transfer(numbered, Body::Block(BlockNumber(block), length), &payload),
            Datagram::Transfer(numbered, body, &[]),
            Datagram::Request(unnumbered, request),
            Datagram::Reply(unnumbered, reply),
            Datagram::Leave(unnumbered),
        ];
        let mut batch = Vec::new();
        for datagram in &datagrams {
            let bytes = encode(datagram);
            let decoded = decode(&bytes);
            prop_assert_eq!(decoded.as_ref(), Ok(datagram));
            datagram.encode(&mut batch);
            prop_assert!(batch.ends_with(&bytes), "a datagram in a batch is the same datagram");
            if let Datagram::Transfer(_, body, _) = datagram {
                prop_assert_eq!(about(body).bytes, bytes.len() as u64, "{}", body.kind());
            }
        }
    }

    /// Random bytes never get past the checksum: so it is made right, and everything behind it is tried.
    #[test]
    fn any_bytes_give_a_value_or_a_reason_and_only_one_encoding_is_taken(
        kind in prop::sample::select(vec![1_u8, 2, 3, 4, 5, 16, 17, 18, 32, 33, 34, 35, 48, 0, 255]),
        handshake in any::<bool>(),
        mut bytes in prop::collection::vec(any::<u8>(), 0..1_300),
        zeros in 0_usize..1_300,
    ) {
        prop_assert!(decode(&bytes).is_err() || bytes.len() > 4);
        // Zeros make counts, paddings and packet numbers come out right often enough.
        for byte in bytes.iter_mut().skip(9).take(zeros) {
            *byte = 0;
        }
        if handshake {
            bytes.splice(0..bytes.len().min(6), [b'C', b'L', b'A', b'B', 1, kind % 6]);
        } else if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        seal(&mut bytes, 0);
        if let Ok(datagram) = decode(&bytes) {
            prop_assert_eq!(encode(&datagram), bytes);
        }
    }

    #[test]
    fn a_datagram_that_was_changed_is_refused(
        body in bodies(), at in any::<prop::sample::Index>(), bits in 1_u8..,
    ) {
        let envelope = Envelope { to: SessionId(1), flow: Flow(2), number: PacketNumber(3) };
        let mut bytes = encode(&Datagram::Transfer(envelope, body, &[]));
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        prop_assert_eq!(decode(&bytes), Err(DecodeError::Checksum));
    }
}

#[test]
fn every_prefix_and_every_extension_of_a_datagram_is_refused() {
    let envelope = Envelope { to: SessionId(1), flow: Flow(2), number: PacketNumber(3) };
    let bytes = encode(&Datagram::Transfer(envelope, Body::Report(Report::default()), &[]));
    for length in 0..bytes.len() - 4 {
        let mut prefix = bytes[..length].to_vec();
        assert!(decode(&prefix).is_err());
        seal(&mut prefix, 0);
        assert!(decode(&prefix).is_err(), "{length} bytes with a right checksum");
    }
    let mut extended = bytes[..bytes.len() - 4].to_vec();
    extended.push(0);
    seal(&mut extended, 0);
    assert_eq!(decode(&extended), Err(DecodeError::TooLong));
}

#[test]
fn a_full_report_and_a_full_open_fit_the_smallest_datagram() {
    let mut held = RangeSet::new();
    for block in 0..200 {
        held.insert(BlockNumber(2 * block + 1)).unwrap();
    }
    let report = Report::of(&held, PacketNumber(1), Duration::ZERO, 1);
    assert_eq!(report.missing.len(), Report::MOST_RANGES);
    let (file, hash, policy, congestion) = (FileId(1), [0; 32], Policy::RAW, Some(Choice::Cubic));
    let open = Open { file, hash, policy, rate: 0, congestion, ecn: true, report };
    assert!(about(&Body::Open(open)).bytes <= u64::from(crate::limits::SMALLEST_DATAGRAM));
}

#[test]
fn a_page_holds_as_many_entries_as_fit_and_no_more() {
    let entry = |n: u64| Entry {
        file: FileId(n),
        size: n,
        modified: 0,
        hash: [0; 32],
        name: FileName::new(&format!("file-{n:0>20}")).unwrap(),
    };
    let all: Vec<Entry> = (0..100).map(entry).collect();
    let count = fitting(1_200, all.iter().map(Entry::encoded_length));
    assert_eq!(count, 13);
    let envelope = Envelope { to: SessionId(1), flow: Flow(2), number: PacketNumber::NONE };
    let length = |count: usize| {
        let entries = all[..count].to_vec();
        encode(&Datagram::Reply(envelope, Reply::Page { generation: 1, total: 100, from: 0, entries })).len()
    };
    assert!(length(count) <= 1_200 && length(count + 1) > 1_200);
}

#[test]
fn another_version_is_told_apart_from_nonsense() {
    let hello = Handshake::Hello { client: SessionId(7), datagram: 1_200, cookie: None };
    let mut bytes = encode(&Datagram::Handshake(hello));
    bytes.truncate(bytes.len() - 4);
    bytes[4] = 9;
    seal(&mut bytes, 0);
    assert_eq!(decode(&bytes), Err(DecodeError::OtherVersion { version: 9, client: SessionId(7) }));
}
