//! Small logs whose verdict is plain to see.

use events::Time;

use super::*;

/// What a process does: says its n-th message, or hands out the n-th of another.
enum Did {
    Says(u64),
    Sees(u64, u64),
}
use Did::{Says, Sees};

/// Positions are those of the total order in which the messages are first listed.
fn judge(order: Order, logs: &[(u64, &[Did])]) -> Report {
    let mut checker = Checker::new();
    let place = |origin, seq| origin * 100 + seq;
    for (log, (member, did)) in logs.iter().enumerate() {
        let mut tell = |flow, event| {
            let record = Record { flow, ..Record::new(Time::ZERO, member.to_string(), event) };
            checker.read(log, &record).unwrap();
        };
        tell(Some(*member), Event::Connected { peer: "hub".into(), elapsed_ns: None });
        tell(Some(0), delivered(0, *member, "join", Some(*member), 0));
        for did in *did {
            match *did {
                Says(seq) => {
                    let (peer, what) = ("group".to_owned(), "cast".to_owned());
                    tell(Some(*member), Event::Sent { peer, what, number: Some(seq), bytes: 1 });
                }
                Sees(origin, seq) => tell(Some(origin), delivered(origin, seq, "cast", None, place(origin, seq))),
            }
        }
        tell(None, Event::Finished { outcome: Outcome::Complete, reason: None });
    }
    checker.judge(order)
}

fn delivered(origin: u64, number: u64, what: &str, about: Option<u64>, position: u64) -> Event {
    let bytes = u64::from(what == "cast");
    Event::Delivered { peer: origin.to_string(), what: what.into(), number, bytes, position: Some(position), about }
}

/// The promises broken, joins aside: here each member sees its own only.
fn broken(report: &Report) -> Vec<Promise> {
    let of_casts = |violation: &&Violation| violation.message.origin != 0;
    let mut promises: Vec<Promise> = report.told().iter().filter(of_casts).map(|one| one.promise).collect();
    promises.sort();
    promises.dedup();
    promises
}

#[test]
fn each_promise_is_missed_where_it_is_broken_and_only_there() {
    // 1 says two things; 2 answers after seeing the first.
    let one: &[Did] = &[Says(1), Sees(1, 1), Says(2), Sees(1, 2), Sees(2, 1)];
    let two: &[Did] = &[Sees(1, 1), Says(1), Sees(1, 2), Sees(2, 1)];
    for (name, three, expected) in [
        ("well", &[Sees(1, 1), Sees(1, 2), Sees(2, 1)][..], &[][..]),
        ("concurrent, turned", &[Sees(1, 1), Sees(2, 1), Sees(1, 2)], &[Promise::Total]),
        ("answer before question", &[Sees(2, 1), Sees(1, 1), Sees(1, 2)], &[Promise::Causal, Promise::Total]),
        (
            "second before first",
            &[Sees(1, 2), Sees(1, 1), Sees(2, 1)],
            &[Promise::Fifo, Promise::Causal, Promise::Total],
        ),
        ("twice", &[Sees(1, 1), Sees(1, 2), Sees(2, 1), Sees(2, 1)], &[Promise::NoDuplicates, Promise::Fifo]),
        ("never said", &[Sees(1, 1), Sees(1, 2), Sees(2, 1), Sees(2, 2)], &[Promise::NoCreation, Promise::Agreement]),
        ("one is missing", &[Sees(1, 1), Sees(1, 2)], &[Promise::Agreement]),
    ] {
        let report = judge(Order::Total, &[(1, one), (2, two), (3, three)]);
        assert_eq!(broken(&report), expected, "{name}: {report}");
        let none = judge(Order::None, &[(1, one), (2, two), (3, three)]);
        assert!(broken(&none).iter().all(|promise| promise.is_of(Order::None)), "{name}: {none}");
    }
}

#[test]
fn a_circle_that_no_two_make_alone_is_found() {
    let report = judge(
        Order::Total,
        &[
            (1, &[Says(1), Sees(1, 1), Sees(2, 1)]),
            (2, &[Says(1), Sees(2, 1), Sees(3, 1)]),
            (3, &[Says(1), Sees(3, 1), Sees(1, 1)]),
        ],
    );
    assert_eq!(report.count(Promise::Total), 1, "{report}");
}

#[test]
fn who_left_early_is_not_asked_for_what_came_later_and_that_is_said() {
    let mut checker = Checker::new();
    let tell = |checker: &mut Checker, log, flow, event| {
        checker.read(log, &Record { flow, ..Record::new(Time::ZERO, "n", event) }).unwrap();
    };
    for member in [1, 2] {
        let log = usize::try_from(member).unwrap();
        tell(&mut checker, log, Some(member), Event::Connected { peer: "hub".into(), elapsed_ns: None });
    }
    tell(&mut checker, 1, Some(9), delivered(9, 1, "cast", None, 1));
    tell(&mut checker, 1, Some(0), delivered(0, 1, "leave", Some(2), 2));
    let report = checker.judge(Order::None);
    assert_eq!(report.violations(), 0, "{report}");
    assert!(report.to_string().contains("agreement was not asked of"), "{report}");
    assert!(report.to_string().contains("Without a log"), "{report}");
}
