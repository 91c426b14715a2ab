//! A member against a network that repeats and forges.

use proptest::prelude::*;

use super::*;
use crate::call::Order;
use crate::call::wire::{EntryBody, Seat};

const NOW: Time = Time::from_nanos(1_000_000_000);

/// A member that was let in, and what it was told then.
fn inside() -> (Member, Welcome) {
    let mut member = Member::new(NOW, MemberConfig { name: b"a".to_vec(), seed: 3 });
    let join = member.poll_transmit().unwrap();
    let Ok(Datagram::Join { client, .. }) = wire::decode(&join) else { panic!("a join") };
    let welcome = Welcome {
        client,
        seat: Seat { member: 1, key: 5 },
        session: 6,
        base: 0,
        order: Order::Total,
        group: None,
        heartbeat: Duration::from_millis(500),
        silence: Duration::from_secs(3),
    };
    member.handle(NOW, &Datagram::Welcome(Welcome { client: client ^ 1, ..welcome }).encode());
    assert!(member.welcome().is_none(), "a welcome of somebody else's");
    member.handle(NOW, &Datagram::Welcome(welcome).encode());
    assert_eq!(member.poll_event(), Some(MemberEvent::Welcomed(welcome)));
    (member, welcome)
}

fn events(member: &mut Member) -> Vec<MemberEvent> {
    std::iter::from_fn(|| member.poll_event()).collect()
}

fn call(session: u64, call: u64) -> Vec<u8> {
    let body = GroupBody::Call { call, within: Duration::from_secs(1), text: b"?".to_vec() };
    Datagram::Group { session, body }.encode()
}

#[test]
fn a_call_repeated_is_asked_once_and_its_answer_sent_again() {
    let (mut member, _) = inside();
    (0..5).for_each(|_| member.handle(NOW, &call(6, 1)));
    assert_eq!(events(&mut member).len(), 1);
    while member.poll_transmit().is_some() {}
    assert!(member.answer(1, b"yes"));
    member.handle(NOW, &call(6, 1));
    assert!(events(&mut member).is_empty());
    let answers = std::iter::from_fn(|| member.poll_transmit());
    let is_answer = |bytes: &Vec<u8>| wire::decode(bytes).is_ok_and(|datagram| datagram.what() == "answer");
    assert_eq!(answers.filter(is_answer).count(), 2);
}

#[test]
fn what_the_hub_did_not_say_changes_nothing() {
    let (mut member, welcome) = inside();
    let forged = Seat { key: 4, ..welcome.seat };
    for body in [Body::Gone { why: Why::Closed, newest: 0 }, Body::Beat { newest: 99, admitted: 9 }] {
        member.handle(NOW, &Datagram::Seat(forged, body).encode());
    }
    member.handle(NOW, &call(7, 1));
    let entry = Entry { number: 1, origin: 0, seq: 1, stamp: vec![], name: vec![], body: EntryBody::Cast(vec![]) };
    member.handle(NOW, &Datagram::Group { session: 7, body: GroupBody::Entry(entry) }.encode());
    assert!(events(&mut member).iter().all(|event| *event == MemberEvent::Foreign(None)));
    assert!(member.welcome().is_some() && member.is_settled());
}

#[test]
fn on_the_group_only_what_the_hub_says_to_all_is_taken() {
    let (mut member, welcome) = inside();
    member.handle_group(NOW, b"a raw line of anybody");
    member.handle_group(NOW, &Datagram::Seat(welcome.seat, Body::Gone { why: Why::Closed, newest: 0 }).encode());
    assert!(events(&mut member).iter().all(|event| matches!(event, MemberEvent::Foreign(_))));
    member.handle_group(NOW, &call(6, 1));
    assert!(matches!(events(&mut member)[..], [MemberEvent::Asked { call: 1, .. }]));
}

#[test]
fn a_silent_hub_is_noticed_and_what_was_not_said_is_told() {
    let (mut member, _) = inside();
    member.cast(NOW, b"lost?").unwrap();
    member.handle_timeout(NOW + Duration::from_secs(3));
    assert_eq!(events(&mut member), [MemberEvent::Lost(Why::Silent, 1)]);
    assert_eq!(member.cast(NOW, b"x"), Err(Refused::Outside));
}

#[test]
fn what_is_on_its_way_is_bounded() {
    let (mut member, _) = inside();
    let said = (0..99).take_while(|_| member.cast(NOW, b"x").is_ok()).count();
    assert_eq!(said, crate::call::CASTS);
    assert_eq!(member.cast(NOW, &[0; TEXT + 1]), Err(Refused::TooLong));
    assert!((0..9_999).any(|_| member.post(NOW, b"x") == Err(Refused::Full)));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(datagrams in prop::collection::vec((0_u8..16, prop::collection::vec(any::<u8>(), 0..120), any::<bool>()), 1..40)) {
        let (mut member, welcome) = inside();
        for (i, (kind, bytes, from_hub)) in datagrams.into_iter().enumerate() {
            let mine = [&welcome.seat.member.to_be_bytes()[..], &welcome.seat.key.to_be_bytes()].concat();
            let head = match (from_hub, kind) {
                (true, 13..) => welcome.session.to_be_bytes().to_vec(),
                (true, _) => mine,
                (false, _) => vec![],
            };
            let mut datagram = [&wire::MAGIC[..], &[kind], &head, &bytes].concat();
            wire::seal(&mut datagram);
            let now = NOW + Duration::from_millis(i as u64);
            member.handle(now, &datagram);
            member.handle(now, &bytes);
            prop_assert!(std::iter::from_fn(|| member.poll_transmit()).count() < 100);
            events(&mut member);
        }
        member.leave(NOW);
    }
}
