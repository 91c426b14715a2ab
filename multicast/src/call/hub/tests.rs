//! The hub against strangers, forgers, those who vanish, and clocks that step.

use proptest::prelude::*;

use super::*;
use crate::call::wire::{self, Seat, Welcome};
use crate::call::{Member, MemberConfig, MemberEvent};

fn hub(members: usize) -> Hub {
    Hub::new(HubConfig { members, ..HubConfig::new(crate::call::Secret([7; 32])) })
}

fn address(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

fn seconds(n: u64) -> Time {
    Time::from_nanos(n * 1_000_000_000)
}

/// Everything that goes out, datagrams decoded.
fn sent(hub: &mut Hub) -> Vec<(Destination, Datagram)> {
    std::iter::from_fn(|| hub.poll_transmit()).map(|(to, bytes)| (to, wire::decode(&bytes).unwrap())).collect()
}

fn joins(client: u64, name: &str, cookie: Option<wire::Cookie>) -> Vec<u8> {
    Datagram::Join { client, name: name.as_bytes().to_vec(), cookie }.encode()
}

/// Goes through the door from `address(port)`.
fn join(hub: &mut Hub, now: Time, port: u16, name: &str) -> Option<Welcome> {
    hub.handle(now, address(port), &joins(port.into(), name, None));
    let retry = sent(hub).into_iter().find_map(|(_, datagram)| match datagram {
        Datagram::Retry { cookie, .. } => Some(cookie),
        _ => None,
    });
    hub.handle(now, address(port), &joins(port.into(), name, retry));
    sent(hub).into_iter().find_map(|(to, datagram)| match datagram {
        Datagram::Welcome(welcome) if to == Destination::One(address(port)) => Some(welcome),
        _ => None,
    })
}

fn names(hub: &Hub) -> Vec<String> {
    hub.present(seconds(0)).into_iter().map(|one| String::from_utf8_lossy(&one.name).into_owned()).collect()
}

#[test]
fn nobody_is_let_in_without_its_cookie() {
    let mut hub = hub(9);
    hub.handle(seconds(1), address(1), &joins(1, "a", None));
    let answers = sent(&mut hub);
    let [(_, Datagram::Retry { cookie, .. })] = answers[..] else { panic!("{answers:?}") };
    for (port, client) in [(2, 1), (1, 2)] {
        hub.handle(seconds(1), address(port), &joins(client, "a", Some(cookie)));
        assert!(matches!(sent(&mut hub)[..], [(_, Datagram::Retry { .. })]), "of another address or client");
    }
    hub.handle(seconds(60), address(1), &joins(1, "a", Some(cookie)));
    assert!(matches!(sent(&mut hub)[..], [(_, Datagram::Retry { .. })]), "too old");
    assert!(hub.present(seconds(60)).is_empty());
}

#[test]
fn a_join_said_twice_is_one_member() {
    let mut hub = hub(9);
    let welcome = join(&mut hub, seconds(1), 1, "a").unwrap();
    hub.handle(seconds(1), address(1), &joins(1, "a", None));
    assert!(matches!(sent(&mut hub)[..], [(_, Datagram::Welcome(again))] if again == welcome));
    assert_eq!(hub.present(seconds(1)).len(), 1);
}

#[test]
fn two_of_one_name_are_told_apart_and_no_name_is_too_strange() {
    let mut hub = hub(9);
    for (port, name) in [(1, "2"), (2, "2"), (3, ""), (4, "2#2"), (5, "\u{202e}\n")] {
        join(&mut hub, seconds(0), port, name).unwrap();
    }
    let names = names(&hub);
    assert_eq!(names, ["2", "2#2", "#3", "2#2#4", "\u{202e}\n"]);
}

#[test]
fn the_table_is_bounded_and_a_seat_is_free_again_once_its_member_is_silent() {
    let mut hub = hub(2);
    assert!(join(&mut hub, seconds(0), 1, "a").is_some() && join(&mut hub, seconds(0), 2, "b").is_some());
    assert!(join(&mut hub, seconds(0), 3, "c").is_none());
    assert!(std::iter::from_fn(|| hub.poll_event()).any(|event| matches!(event, HubEvent::TurnedAway { .. })));
    hub.handle_timeout(seconds(3));
    let gone = |event: &HubEvent| matches!(event, HubEvent::Said(entry) if entry.body.what() == "leave");
    assert_eq!(std::iter::from_fn(|| hub.poll_event()).filter(gone).count(), 2);
    assert!(join(&mut hub, seconds(3), 3, "c").is_some());
}

#[test]
fn a_forged_member_says_nothing_and_harms_nobody() {
    let mut hub = hub(9);
    let welcome = join(&mut hub, seconds(0), 1, "a").unwrap();
    let wrong_key = Seat { key: welcome.seat.key ^ 1, ..welcome.seat };
    for (seat, port) in [(wrong_key, 1), (welcome.seat, 2), (Seat { member: 9, key: 0 }, 1)] {
        let text = b"forged".to_vec();
        for body in [Body::Leave, Body::Line { seq: 1, text: text.clone() }, Body::Answer { call: 1, text }] {
            let bytes = Datagram::Seat(seat, body).encode();
            hub.handle(seconds(0), address(port), &bytes);
            let answers: usize = std::iter::from_fn(|| hub.poll_transmit()).map(|(_, answer)| answer.len()).sum();
            assert!(answers <= bytes.len());
        }
    }
    assert_eq!(hub.present(seconds(0)).len(), 1);
    assert!(std::iter::from_fn(|| hub.poll_event()).all(|event| !matches!(event, HubEvent::Line { .. })));
}

#[test]
fn a_call_ends_at_its_deadline_and_names_who_vanished_or_kept_silent() {
    let mut hub = hub(9);
    let (one, two) = (join(&mut hub, seconds(0), 1, "a").unwrap(), join(&mut hub, seconds(0), 2, "b").unwrap());
    join(&mut hub, seconds(0), 3, "c").unwrap();
    let call = hub.call(seconds(0), b"?", Duration::from_secs(2)).unwrap();
    let mut say = |welcome: Welcome, port, body| {
        hub.handle(seconds(1), address(port), &Datagram::Seat(welcome.seat, body).encode());
    };
    say(one, 1, Body::Answer { call, text: b"yes".to_vec() });
    say(one, 1, Body::Answer { call, text: b"no".to_vec() });
    say(one, 1, Body::Answer { call: 99, text: b"no".to_vec() });
    say(two, 2, Body::Leave);
    hub.handle_timeout(seconds(2));
    let result = std::iter::from_fn(|| hub.poll_event()).find_map(|event| match event {
        HubEvent::Called(result) => Some(result),
        _ => None,
    });
    let result = result.unwrap();
    assert_eq!(result.answers.iter().map(|one| one.text.clone()).collect::<Vec<_>>(), [b"yes"]);
    let missing: Vec<_> = result.missing.iter().map(|one| (one.name.clone(), one.why)).collect();
    assert_eq!(missing, [(b"b".to_vec(), Some(Why::Left)), (b"c".to_vec(), None)]);
}

#[test]
fn a_member_that_takes_nothing_does_not_stop_the_others_for_ever() {
    let mut hub = hub(9);
    let welcome = join(&mut hub, seconds(0), 1, "a").unwrap();
    while hub.cast(seconds(0), b"x").is_ok() {}
    assert!(hub.history.newest() >= crate::call::HISTORY as u64);
    // It is there, and says so, and never that it has anything.
    for second in 0..13 {
        let report = Body::Report(wire::Held::new(welcome.base, welcome.base, std::iter::empty()));
        hub.handle(seconds(second), address(1), &Datagram::Seat(welcome.seat, report).encode());
        drop(sent(&mut hub));
    }
    assert!(hub.present(seconds(13)).is_empty());
    assert!(hub.cast(seconds(13), b"y").is_ok());
}

#[test]
fn a_member_that_takes_one_message_now_and_then_does_not_hold_the_others_up_for_ever() {
    let mut hub = hub(9);
    let welcome = join(&mut hub, seconds(0), 1, "a").unwrap();
    while hub.cast(seconds(0), b"x").is_ok() {}
    // Each time it is one message further, of a hundred and more that it lacks.
    for second in 0..13 {
        let have = welcome.base + second;
        let report = Body::Report(wire::Held::new(have, have, std::iter::empty()));
        hub.handle(seconds(second), address(1), &Datagram::Seat(welcome.seat, report).encode());
        drop(sent(&mut hub));
    }
    assert!(hub.present(seconds(13)).is_empty());
    assert!(hub.cast(seconds(13), b"y").is_ok());
}

#[test]
fn a_clock_that_steps_back_only_makes_it_wait() {
    let mut hub = hub(9);
    let welcome = join(&mut hub, seconds(100), 1, "a").unwrap();
    hub.call(seconds(100), b"?", Duration::from_secs(1)).unwrap();
    for second in [5, 0, 100] {
        hub.handle_timeout(seconds(second));
        hub.handle(seconds(second), address(1), &Datagram::Seat(welcome.seat, Body::LineAck { seq: 1 }).encode());
    }
    assert_eq!(hub.present(seconds(0)).len(), 1);
}

/// Datagrams of every kind, from bytes.
fn any_datagram() -> impl Strategy<Value = Vec<u8>> {
    (0_u8..16, prop::collection::vec(any::<u8>(), 0..160), 0_u8..4).prop_map(|(kind, bytes, form)| match form {
        0 => bytes,
        1 => joins(u64::from(kind % 3), "x", None),
        2 => Datagram::Seat(Seat { member: u32::from(kind % 3) + 1, key: 0 }, Body::Leave).encode(),
        _ => {
            let mut sealed = [&wire::MAGIC[..], &[kind], &bytes].concat();
            wire::seal(&mut sealed);
            sealed
        }
    })
}

proptest! {
    /// No reflector: an address that has proved nothing gets no more bytes than came from it, whatever it sends. (The
    /// operator answers everybody here, at length.)
    #[test]
    fn an_unproven_address_gets_no_more_than_it_sent(datagrams in prop::collection::vec(any_datagram(), 1..40)) {
        let mut hub = hub(9);
        join(&mut hub, seconds(0), 1, "a").unwrap();
        let stranger = address(2);
        let (mut came, mut went) = (0, 0);
        for (i, datagram) in datagrams.iter().enumerate() {
            came += datagram.len();
            hub.handle(Time::from_nanos(i as u64), stranger, datagram);
            while let Some(event) = hub.poll_event() {
                if let HubEvent::RawLine { from, .. } = event {
                    let _ = hub.post_raw(from, &[b'x'; 100]) || hub.post_raw(from, b"short");
                }
            }
            let to_stranger = |(to, bytes): (Destination, Vec<u8>)| (to == Destination::One(stranger)).then_some(bytes.len());
            went += std::iter::from_fn(|| hub.poll_transmit()).filter_map(to_stranger).sum::<usize>();
            prop_assert!(went <= came, "{went} bytes for {came}");
        }
        prop_assert_eq!(hub.present(seconds(0)).len(), 1);
    }

    /// Whatever a member in good standing sends, the hub stays within its bounds and goes on.
    #[test]
    fn a_mad_member_is_survived(bodies in prop::collection::vec((5_u8..15, prop::collection::vec(any::<u8>(), 0..80)), 1..60)) {
        let mut hub = hub(9);
        let mad = join(&mut hub, seconds(0), 1, "mad").unwrap();
        for (i, (kind, bytes)) in bodies.iter().enumerate() {
            let mut datagram = [&wire::MAGIC[..], &[*kind], &mad.seat.member.to_be_bytes(), &mad.seat.key.to_be_bytes(), bytes].concat();
            wire::seal(&mut datagram);
            hub.handle(Time::from_nanos(i as u64 * 1_000_000), address(1), &datagram);
            prop_assert!(std::iter::from_fn(|| hub.poll_transmit()).count() < 200);
            while hub.poll_event().is_some() {}
        }
        prop_assert!(join(&mut hub, seconds(1), 2, "sane").is_some());
    }
}

#[test]
fn a_member_the_hub_forgot_joins_again() {
    let (mut first, mut second) = (hub(9), hub(9));
    let mut member = Member::new(seconds(0), MemberConfig { name: b"a".to_vec(), seed: 1 });
    let mut now = seconds(0);
    let mut welcomes = 0;
    for round in 0..20 {
        // The server is started again in mid-run.
        let hub = if round < 5 { &mut first } else { &mut second };
        while let Some(bytes) = member.poll_transmit() {
            hub.handle(now, address(1), &bytes);
        }
        while let Some((_, bytes)) = hub.poll_transmit() {
            member.handle(now, &bytes);
        }
        let welcomed = |event: &MemberEvent| matches!(event, MemberEvent::Welcomed(_));
        welcomes += std::iter::from_fn(|| member.poll_event()).filter(welcomed).count();
        now += Duration::from_millis(500);
        member.handle_timeout(now);
    }
    assert_eq!(welcomes, 2);
    assert_eq!(second.present(now).len(), 1);
}
