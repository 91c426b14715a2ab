//! Whatever the network does, the group keeps what its order promises; and the checker sees when it would not.
//!
//! `CASTLAB_SEEDS=10000` runs more seeds than the ordinary 1,000; `CASTLAB_SEED=17` runs that one alone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "group/world.rs"]
mod world;

use events::{Event, Record};
use multicast::call::Order;
use multicast::call::check::Promise;
use netsim::Random;
use world::{Outcomes, Scenario, World, judge};

/// Each seed meets one of these.
const LINKS: [&str; 4] = [
    "delay=2ms,loss=5%",
    "delay=5ms,jitter=3ms,loss=20%,duplicate=5%,reorder=10%",
    "delay=1ms,burst=2%:5,reorder=20%:2,duplicate=20%",
    "delay=3ms,loss=10%,corrupt=5%,reorder=5%:8",
];

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("CASTLAB_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CASTLAB_SEEDS").unwrap_or(1_000),
    }
}

fn run(order: Order, seed: u64, link: &str, unsteady: bool) -> Outcomes {
    let (impairment, members) = (link.parse().unwrap(), 4 + usize::try_from(seed % 3).unwrap());
    World::new(Scenario { order, impairment, seed, members, messages: 4, unsteady }).run()
}

fn every_seed_keeps_its_promises(order: Order) {
    let mut said = 0;
    for seed in seeds() {
        let link = LINKS[usize::try_from(seed).unwrap() % LINKS.len()];
        let outcomes = run(order, seed, link, true);
        let report = judge(&outcomes.logs, order);
        let replay = format!("CASTLAB_SEED={seed} cargo test -p multicast --test group_orders {order}");
        assert_eq!(report.violations(), 0, "{report}\nto see it again: {replay}");
        assert!(report.deliveries > outcomes.said, "{report}");
        said += outcomes.said;
    }
    assert!(said > seeds().count() * 10, "only {said} messages were said");
}

#[test]
fn none() {
    every_seed_keeps_its_promises(Order::None);
}

#[test]
fn fifo() {
    every_seed_keeps_its_promises(Order::Fifo);
}

#[test]
fn causal() {
    every_seed_keeps_its_promises(Order::Causal);
}

#[test]
fn total() {
    every_seed_keeps_its_promises(Order::Total);
}

#[test]
fn a_weaker_order_does_break_what_a_stronger_one_promises() {
    // Else the runs above would prove nothing: the network must have tried.
    for (weak, strong, promise) in [
        (Order::None, Order::Fifo, Promise::Fifo),
        (Order::Fifo, Order::Causal, Promise::Causal),
        (Order::Causal, Order::Total, Promise::Total),
    ] {
        let broken = (0..40).filter(|seed| judge(&run(weak, *seed, LINKS[1], false).logs, strong).count(promise) > 0);
        let broken = broken.count();
        assert!(broken >= 10, "{weak} broke {promise} in {broken} of 40 runs only");
    }
}

#[test]
fn a_stronger_order_waits_longer() {
    let mean = |order| {
        let nanos: u128 = (0..100).map(|seed| run(order, seed, "delay=5ms,loss=3%", false).mean_delay.as_nanos()).sum();
        nanos / 100
    };
    let delays: Vec<u128> = Order::ALL.into_iter().map(mean).collect();
    println!("mean time from said to handed out, in ns, none to total: {delays:?}");
    assert!(delays.is_sorted(), "{delays:?}");
}

/// One way to spoil a log; none where it has nothing to spoil that way.
type Spoil = fn(&mut [Vec<Record>], &mut Random) -> Option<Promise>;

fn casts(log: &[Record]) -> Vec<usize> {
    let is_cast = |record: &Record| matches!(&record.event, Event::Delivered { what, .. } if what == "cast");
    log.iter().enumerate().filter(|(_, record)| is_cast(record)).map(|(index, _)| index).collect()
}

fn pick<'a>(logs: &'a mut [Vec<Record>], random: &mut Random) -> Option<(&'a mut Vec<Record>, Vec<usize>)> {
    let which = usize::try_from(random.below(logs.len() as u64)).unwrap();
    let casts = casts(&logs[which]);
    (!casts.is_empty()).then(|| (&mut logs[which], casts))
}

fn one_of(indices: &[usize], random: &mut Random) -> usize {
    indices[usize::try_from(random.below(indices.len() as u64)).unwrap()]
}

fn number(record: &Record) -> (u64, u64) {
    let Event::Delivered { number, .. } = record.event else { panic!("a delivery") };
    (record.flow.unwrap(), number)
}

fn twice(logs: &mut [Vec<Record>], random: &mut Random) -> Option<Promise> {
    let (log, casts) = pick(logs, random)?;
    let again = log[one_of(&casts, random)].clone();
    let at = casts.last()? + 1;
    log.insert(at, again);
    Some(Promise::NoDuplicates)
}

fn invented(logs: &mut [Vec<Record>], random: &mut Random) -> Option<Promise> {
    let (log, casts) = pick(logs, random)?;
    let at = one_of(&casts, random);
    let mut record = log[at].clone();
    let Event::Delivered { number, .. } = &mut record.event else { panic!("a delivery") };
    *number += 1_000;
    log.insert(at, record);
    Some(Promise::NoCreation)
}

fn altered(logs: &mut [Vec<Record>], random: &mut Random) -> Option<Promise> {
    let (log, casts) = pick(logs, random)?;
    let at = one_of(&casts, random);
    let Event::Delivered { bytes, .. } = &mut log[at].event else { panic!("a delivery") };
    *bytes += 1;
    Some(Promise::NoCreation)
}

fn forgotten(logs: &mut [Vec<Record>], random: &mut Random) -> Option<Promise> {
    let (log, casts) = pick(logs, random)?;
    log.remove(one_of(&casts, random));
    Some(Promise::Agreement)
}

/// Two of one speaker change places.
fn overtaken(logs: &mut [Vec<Record>], random: &mut Random) -> Option<Promise> {
    let (log, casts) = pick(logs, random)?;
    let first = one_of(&casts, random);
    let speaker = log[first].flow;
    let second = *casts.iter().find(|index| **index > first && log[**index].flow == speaker)?;
    log.swap(first, second);
    Some(Promise::Fifo)
}

/// An answer changes places with what it answers: what its speaker saw right before saying it.
fn before_its_cause(logs: &mut [Vec<Record>], random: &mut Random) -> Option<Promise> {
    let (cause, effect) = a_cause(logs, random)?;
    let (log, casts) = pick(logs, random)?;
    // In its speaker's own log, it would no longer be an answer.
    if log.iter().any(|record| matches!(record.event, Event::Sent { .. }) && record.flow == Some(effect.0)) {
        return None;
    }
    let find = |id| casts.iter().copied().find(|index| number(&log[*index]) == id);
    let (cause, effect) = (find(cause)?, find(effect)?);
    log.swap(cause, effect);
    Some(Promise::Causal)
}

/// A message, and one that its speaker said after seeing it, of another speaker.
fn a_cause(logs: &[Vec<Record>], random: &mut Random) -> Option<((u64, u64), (u64, u64))> {
    let log = &logs[usize::try_from(random.below(logs.len() as u64)).unwrap()];
    let cause = one_of(&Some(casts(log)).filter(|casts| !casts.is_empty())?, random);
    let effect = log[cause..].iter().find_map(|record| match &record.event {
        Event::Sent { what, number: Some(number), .. } if what == "cast" && record.flow != log[cause].flow => {
            Some((record.flow?, *number))
        }
        _ => None,
    });
    Some((number(&log[cause]), effect?))
}

/// A speaker sees its own before it says it.
fn before_it_is_said(logs: &mut [Vec<Record>], random: &mut Random) -> Option<Promise> {
    let (log, casts) = pick(logs, random)?;
    let said = |record: &Record| match &record.event {
        Event::Sent { what, number: Some(number), .. } if what == "cast" => Some((record.flow?, *number)),
        _ => None,
    };
    let (at, id) = log.iter().enumerate().find_map(|(at, record)| Some((at, said(record)?)))?;
    let seen = casts.into_iter().find(|index| number(&log[*index]) == id)?;
    let record = log.remove(seen);
    log.insert(at, record);
    Some(Promise::NoCreation)
}

/// Two neighbours change places at one process.
fn turned(logs: &mut [Vec<Record>], random: &mut Random) -> Option<Promise> {
    let (log, casts) = pick(logs, random)?;
    let at = usize::try_from(random.below(casts.len() as u64)).unwrap();
    let (first, second) = (casts[at], *casts.get(at + 1)?);
    log.swap(first, second);
    Some(Promise::Total)
}

#[test]
fn the_checker_finds_every_violation_put_in_on_purpose() {
    const SPOILS: [(&str, Spoil, Order); 8] = [
        ("twice", twice, Order::None),
        ("invented", invented, Order::None),
        ("altered", altered, Order::None),
        ("before it is said", before_it_is_said, Order::None),
        ("forgotten", forgotten, Order::None),
        ("overtaken", overtaken, Order::Fifo),
        ("before its cause", before_its_cause, Order::Causal),
        ("turned", turned, Order::Total),
    ];
    for (name, spoil, order) in SPOILS {
        let mut spoiled = 0;
        for seed in 0..200 {
            let mut logs = run(Order::Total, seed, LINKS[1], false).logs;
            let mut random = Random::stream(seed, 3);
            if let Some(promise) = (0..20).find_map(|_| spoil(&mut logs, &mut random)) {
                let report = judge(&logs, order);
                assert!(report.count(promise) > 0, "{name}, seed {seed}: {report}");
                spoiled += 1;
            }
        }
        println!("{name}: found in all {spoiled} spoiled logs");
        assert!(spoiled >= 50, "{name}: only {spoiled} logs could be spoiled so");
    }
}
