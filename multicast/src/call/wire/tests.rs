//! Any bytes are a datagram or not, and a datagram is written in one way only.

use proptest::prelude::*;

use super::*;
use crate::call::{MEMBERS, NAME, TEXT};

fn longest_entry() -> Datagram {
    let stamp = (0..u32::try_from(MEMBERS).unwrap() + 1).map(|origin| (origin, u32::MAX)).collect();
    let body = EntryBody::Cast(vec![b'x'; TEXT]);
    let entry = Entry { number: 1 << 40, origin: 9, seq: 1, stamp, name: vec![0xff; NAME], body };
    Datagram::Group { session: u64::MAX, body: GroupBody::Entry(entry) }
}

fn seat() -> Seat {
    Seat { member: 3, key: 0x0123_4567_89ab_cdef }
}

fn welcome() -> Welcome {
    Welcome {
        client: 1,
        seat: seat(),
        session: 2,
        base: 3,
        order: Order::Causal,
        group: Some("[ff15::1:5]:5007".parse().unwrap()),
        heartbeat: Duration::from_millis(500),
        silence: Duration::from_secs(3),
    }
}

/// One of every kind.
fn examples() -> Vec<Datagram> {
    let cookie = Cookie { issued: 1, mac: [2; 16] };
    let entry = |body| GroupBody::Entry(Entry { number: 7, origin: 0, seq: 2, stamp: vec![], name: vec![], body });
    let group = |body| Datagram::Group { session: 5, body };
    let seated = |body| Datagram::Seat(seat(), body);
    vec![
        Datagram::Join { client: 1, name: b"2".to_vec(), cookie: None },
        Datagram::Join { client: 1, name: vec![0; NAME], cookie: Some(cookie) },
        Datagram::Retry { client: 1, cookie },
        Datagram::Welcome(welcome()),
        Datagram::Welcome(Welcome { group: None, ..welcome() }),
        Datagram::Refuse { client: 1 },
        seated(Body::Report(Held::new(5, 5, std::iter::empty()))),
        seated(Body::Report(Held::new(5, 261, [7, 9, 261].into_iter()))),
        seated(Body::Cast { seq: 1, stamp: vec![(0, 1), (4, 2)], text: b"hello".to_vec() }),
        seated(Body::Line { seq: 1, text: vec![0xff; TEXT] }),
        seated(Body::LineAck { seq: 1 }),
        seated(Body::Answer { call: 1, text: vec![] }),
        seated(Body::Leave),
        seated(Body::Beat { newest: 9, admitted: 0 }),
        seated(Body::Gone { why: Why::Closed, newest: 9 }),
        group(entry(EntryBody::Join(3))),
        group(entry(EntryBody::Leave(3, Why::Silent))),
        group(GroupBody::Call { call: 1, within: Duration::from_millis(500), text: b"who?".to_vec() }),
        longest_entry(),
    ]
}

#[test]
fn what_was_written_is_read_back() {
    let mut kinds = std::collections::BTreeSet::new();
    for datagram in examples() {
        let bytes = datagram.encode();
        assert_eq!(decode(&bytes).as_ref(), Ok(&datagram));
        assert_eq!(codec::what_of(&bytes), datagram.what());
        assert!(bytes.len() <= LONGEST, "{} bytes", bytes.len());
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "{datagram:?} cut to {cut}");
        }
        for extra in [&[0][..], &[0; 4]] {
            let mut longer = [&bytes[..bytes.len() - 4], extra].concat();
            seal(&mut longer);
            assert!(decode(&longer).is_err(), "{datagram:?} and {} bytes", extra.len());
        }
        kinds.insert(bytes[4]);
    }
    assert_eq!(kinds.len(), 14, "one of every kind");
}

#[test]
fn a_welcome_that_would_keep_its_member_busy_without_end_is_refused() {
    let (zero, tick) = (Duration::ZERO, Duration::from_millis(1));
    let refused = |welcome: Welcome| decode(&Datagram::Welcome(welcome).encode()).unwrap_err();
    assert_eq!(refused(Welcome { heartbeat: zero, ..welcome() }), DecodeError::BadField("heartbeat"));
    assert_eq!(refused(Welcome { silence: zero, ..welcome() }), DecodeError::BadField("heartbeat"));
    assert_eq!(
        refused(Welcome { heartbeat: tick * 2, silence: tick, ..welcome() }),
        DecodeError::BadField("heartbeat")
    );
    assert_eq!(refused(Welcome { base: MOST_SAID + 1, ..welcome() }), DecodeError::BadField("base"));
    assert_eq!(refused(Welcome { base: u64::MAX, ..welcome() }), DecodeError::BadField("base"));
    assert!(
        decode(&Datagram::Welcome(Welcome { heartbeat: tick, silence: tick, base: MOST_SAID, ..welcome() }).encode())
            .is_ok()
    );
}

#[test]
fn nothing_a_stranger_is_sent_is_longer_than_what_it_sent() {
    let longest = [
        Datagram::Retry { client: 1, cookie: Cookie { issued: 0, mac: [0; 16] } },
        Datagram::Welcome(welcome()),
        Datagram::Refuse { client: 1 },
    ];
    for answer in longest {
        assert!(answer.encode().len() <= JOIN, "{answer:?}");
    }
}

#[test]
fn a_raw_line_is_never_taken_for_a_datagram() {
    for line in ["Hello", "", "ÆGC\u{1}", "GC"] {
        assert!(!is_framed(line.as_bytes()), "{line}");
        assert_eq!(decode(line.as_bytes()), Err(DecodeError::Foreign));
    }
    assert!(String::from_utf8(MAGIC.to_vec()).is_err());
}

#[test]
fn a_report_says_what_is_missing() {
    let held = Held::new(10, 15, [12, 15].into_iter());
    assert_eq!(held.missing().collect::<Vec<_>>(), [11, 13, 14]);
    assert_eq!(Held::new(10, 10, std::iter::empty()).missing().count(), 0);
    assert_eq!(Held::new(0, 1_000, std::iter::empty()).newest, super::super::WINDOW);
}

proptest! {
    #[test]
    fn any_bytes_are_a_datagram_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0_u8..16) {
        let mut sealed = [&MAGIC[..], &[kind], &bytes].concat();
        seal(&mut sealed);
        for bytes in [bytes, sealed] {
            if let Ok(datagram) = decode(&bytes) {
                prop_assert_eq!(datagram.encode(), bytes);
            }
        }
    }

    #[test]
    fn a_damaged_datagram_is_none(which in 0..19_usize, at in any::<prop::sample::Index>(), bits in 1_u8..) {
        let mut bytes = examples()[which].encode();
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn a_field_changed_before_sealing_is_another_datagram_or_none(
        which in 0..19_usize, at in any::<prop::sample::Index>(), bits in 1_u8..
    ) {
        let mut bytes = examples()[which].encode();
        bytes.truncate(bytes.len() - 4);
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        seal(&mut bytes);
        if let Ok(datagram) = decode(&bytes) {
            prop_assert_eq!(datagram.encode(), bytes);
        }
    }
}
