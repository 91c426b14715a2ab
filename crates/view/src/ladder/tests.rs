//! Ladders of a few records each.

use events::{Cause, Event, Outcome, Record, Time};

use super::*;

fn sent(millis: u64, node: &str, peer: &str, number: u64) -> Record {
    let event = Event::Sent { peer: peer.into(), what: "block".into(), number: Some(number), bytes: 1 };
    Record::new(Time::from_nanos(millis * 1_000_000), node, event)
}

fn received(millis: u64, node: &str, peer: &str, number: u64) -> Record {
    let (name, elapsed_ns) = (None, None);
    let event =
        Event::Received { peer: peer.into(), what: "block".into(), number: Some(number), bytes: 1, name, elapsed_ns };
    Record::new(Time::from_nanos(millis * 1_000_000), node, event)
}

/// Without the head line and the times, which say the same as the test.
fn drawn(records: &[Record]) -> Vec<String> {
    let text = ladder(records).unwrap();
    text.lines().skip(1).map(|line| line.chars().skip(13).collect()).collect()
}

#[test]
fn a_message_that_never_arrives_ends_mid_way() {
    let records = [sent(0, "a", "b", 1), sent(1, "a", "b", 2), received(10, "b", "a", 2)];
    assert_eq!(
        drawn(&records),
        [
            "├── block 1 ─────✗                             │",
            "├── block 2 ─────╮                             │",
            "│                ╰────────────────────────────▶│",
        ]
    );
}

#[test]
fn of_two_sendings_the_one_that_can_have_arrived_did() {
    // Block 0 shows that a message takes 10 ms: so what arrives at 30 is the first sending of block 1, not the second.
    let way = [sent(0, "a", "b", 0), received(10, "b", "a", 0)];
    let twice = [sent(20, "a", "b", 1), sent(25, "a", "b", 1), received(30, "b", "a", 1)];
    let lines = drawn(&[&way[..], &twice[..]].concat());
    assert!(lines[2].contains('╮') && lines[3].contains('✗'), "{lines:#?}");
    // Unless the first one is known to be lost.
    let (peer, what) = ("b".to_owned(), "block".to_owned());
    let lost = Event::Dropped { peer, what, number: Some(1), bytes: 1, cause: Cause::Impaired };
    let lost = [Record::new(Time::from_nanos(20_000_000), "a", lost)];
    let lines = drawn(&[&way[..], &twice[..1], &lost[..], &twice[1..]].concat());
    assert!(lines[2].contains('✗') && lines[3].contains('╮'), "{lines:#?}");
}

#[test]
fn what_arrives_twice_is_drawn_twice() {
    let records = [sent(0, "a", "b", 1), received(10, "b", "a", 1), received(11, "b", "a", 1)];
    assert_eq!(drawn(&records)[2], "│                       •────────── block 1 ──▶│");
}

#[test]
fn the_record_of_one_end_alone_is_drawn_too() {
    let records = [sent(0, "client", "10.0.0.1:6969", 1), received(10, "client", "10.0.0.1:6969", 2)];
    let lines = drawn(&records);
    assert!(lines[0].starts_with("├── block 1 ───") && lines[0].contains('▶'), "{lines:#?}");
    assert!(lines[1].starts_with('│') && lines[1].contains("block 2"), "{lines:#?}");
}

#[test]
fn a_server_stands_on_the_left() {
    let records = [sent(0, "client1", "server", 1), received(10, "server", "client1", 1)];
    let text = ladder(&records).unwrap();
    let head = text.lines().next().unwrap();
    assert!(head.find("server") < head.find("client1"), "{head}");
}

#[test]
fn timers_and_endings_stand_beside_their_end() {
    let records = [
        sent(0, "a", "b", 1),
        received(10, "b", "a", 1),
        Record::new(
            Time::from_nanos(50_000_000),
            "a",
            Event::Expired { what: "probe".into(), peer: None, after_ns: 50_000_000 },
        ),
        Record::new(Time::from_nanos(60_000_000), "b", Event::Finished { outcome: Outcome::Complete, reason: None }),
    ];
    let lines = drawn(&records);
    assert!(lines[2].starts_with("│ time-out 50 ms "));
    assert!(lines[3].ends_with("│  complete"));
}

#[test]
fn what_is_no_ladder_is_said_so() {
    assert_eq!(ladder(&[]), Err(LadderError::NothingHappened));
    let three = [sent(0, "a", "b", 1), sent(0, "b", "c", 1), sent(0, "c", "a", 1)];
    assert_eq!(ladder(&three).unwrap_err().to_string(), "a ladder has two ends, and here are 3: a, b, c");
}

#[test]
fn names_of_any_length_stand_above_their_ends() {
    let (long, longer) = ("a".repeat(1_000), "b".repeat(70_000));
    let records = [sent(0, &long, &longer, 1), received(10, &longer, &long, 1)];
    let text = ladder(&records).unwrap();
    let head = text.lines().next().unwrap();
    assert!(head.contains("aaa…") && head.contains("bbb…") && head.chars().count() < 200, "{head}");
}

#[test]
fn more_lanes_than_a_terminal_shows_are_refused() {
    let at_once = |count: u64| {
        let leave = (0..count).map(|number| sent(0, "a", "b", number));
        leave.chain((0..count).map(|number| received(10, "b", "a", number))).collect::<Vec<_>>()
    };
    let text = ladder(&at_once(MOST_LANES as u64)).unwrap();
    assert!(text.lines().all(|line| line.chars().count() < 500));
    assert_eq!(ladder(&at_once(MOST_LANES as u64 + 1)), Err(LadderError::TooWide));
}
