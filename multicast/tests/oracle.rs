//! The tracker against an oracle: ten thousand seeded streams with loss, duplicates, reordering, absences and restarts in
//! virtual time. The oracle knows what was sent and when, and counts from the whole list of arrivals; the tracker sees
//! them one by one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use events::Time;
use multicast::rtcp::{Report, Totals};
use multicast::rtp::{self, Number};
use multicast::track::{Counts, Tracker};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const STREAMS: u64 = 10_000;
/// Between two messages, in nanoseconds.
const APART: u64 = 1_000_000;

/// What happens to one stream.
#[derive(Debug)]
struct Scenario {
    messages: u64,
    loss: f64,
    duplicates: f64,
    /// How far a message may be overtaken, in messages.
    spread: u64,
    /// Messages sent before we join.
    joined: u64,
    /// Messages sent when we leave, and when we are back.
    away: Option<(u64, u64)>,
    /// Whether a total is told when we join, when we are back, and at the end.
    told: (bool, bool, bool),
    /// The first sequence number of a foreign stream, whose numbers have 16 bits only.
    foreign: Option<u16>,
}

impl Scenario {
    fn draw(random: &mut StdRng) -> Self {
        let messages = random.random_range(1..400);
        let joined = if random.random() { 0 } else { random.random_range(0..messages) };
        let leaves = random.random_range(joined..=messages);
        Scenario {
            messages,
            loss: [0.0, 0.01, 0.2, 0.7][random.random_range(0..4)],
            duplicates: [0.0, 0.01, 0.3][random.random_range(0..3)],
            spread: [0, 0, 3, 40][random.random_range(0..4)],
            joined,
            away: random.random_bool(0.3).then(|| (leaves, random.random_range(leaves..=messages))),
            told: random.random(),
            foreign: random.random_bool(0.2).then(|| random.random()),
        }
    }

    /// Every arrival: when, which message, when it was sent. Nothing arrives before we join or while we are away.
    fn arrivals(&self, random: &mut StdRng) -> Vec<(u64, u64)> {
        let mut arrivals = Vec::new();
        for number in 0..self.messages {
            if random.random_bool(self.loss) {
                continue;
            }
            for _ in 0..1 + usize::from(random.random_bool(self.duplicates)) {
                let delay = random.random_range(0..=self.spread * APART);
                arrivals.push(((number + 1) * APART + delay, number));
            }
        }
        arrivals.sort_unstable();
        let back = self.away.map_or((0, 0), |(left, back)| (left * APART + APART / 2, back * APART + APART / 2));
        arrivals.retain(|&(at, _)| at > self.joined * APART && !(back.0..back.1).contains(&at));
        arrivals
    }
}

/// What the tracker must say, from everything at once.
fn oracle(scenario: &Scenario, arrivals: &[(u64, u64)]) -> Counts {
    let numbers: Vec<u64> = arrivals.iter().map(|&(_, number)| number).collect();
    let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
    let (mut seen, mut late, mut gaps) = (BTreeSet::new(), 0, 0);
    let told = |is_told: bool, total: u64| is_told && scenario.foreign.is_none() && total <= scenario.messages;
    let back_at = scenario.away.map(|(_, back)| back * APART + APART / 2);
    let mut absent = 0..0;
    let mut is_back = false;
    let told_back = scenario.away.map(|(_, back)| back).filter(|&back| told(scenario.told.1, back));
    let told_end = told(scenario.told.2, scenario.messages).then_some(scenario.messages);
    // The first total told before the first message: from there on it was ours to hear.
    let heard_by = |time: Option<u64>| arrivals.first().is_none_or(|&(at, _)| time.is_some_and(|time| at >= time));
    let joined_at = told(scenario.told.0, scenario.joined)
        .then_some(scenario.joined)
        .or(told_back.filter(|_| heard_by(back_at)))
        .or(told_end.filter(|_| arrivals.is_empty()));
    for &(at, number) in arrivals {
        let highest: Option<u64> = seen.last().copied();
        if !is_back && back_at.is_some_and(|back| at >= back) && highest.is_none_or(|highest| number > highest) {
            is_back = true;
            if let Some(highest) = highest {
                absent = highest + 1..told_back.map_or(number, |back| back.clamp(highest + 1, number));
            }
        }
        match highest {
            _ if !seen.insert(number) => {}
            Some(highest) if number < highest => {
                late += 1;
                if absent.contains(&number) {
                    absent.end = number;
                }
            }
            Some(highest) => {
                gaps += u64::from(number > highest + 1 && !(absent.start == highest + 1 && absent.end >= number))
            }
            None => gaps += u64::from(joined_at.is_some_and(|total| total < number)),
        }
    }
    let first = distinct.first().copied();
    let base = match (first, joined_at) {
        (Some(first), Some(told)) => first.min(told),
        (first, told) => first.or(told).unwrap_or(0),
    };
    let next = distinct.last().map_or(base, |last| last + 1);
    let distinct = u64::try_from(distinct.len()).unwrap();
    let received = u64::try_from(numbers.len()).unwrap();
    // Back, and nothing but totals told since.
    if let (false, Some(highest), Some(end), Some(_)) = (is_back, seen.last(), told_back.or(told_end), scenario.away) {
        absent = highest + 1..end.max(highest + 1);
    }
    let away = absent.end - absent.start;
    let last_known = if is_back { next } else { next + away };
    Counts {
        received,
        bytes: received * 10,
        in_order: distinct - late,
        gaps,
        late,
        duplicates: received - distinct,
        lost: next - base - if is_back { away } else { 0 } - distinct,
        tail: told_end.or(told_back).or(joined_at).map_or(0, |total| total.saturating_sub(last_known)),
        before: if scenario.foreign.is_none() { base } else { 0 },
        away,
        ..Counts::default()
    }
}

fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

/// Plays the arrivals to a tracker, with totals where the scenario tells them.
fn play(tracker: &mut Tracker<u64>, key: u64, scenario: &Scenario, arrivals: &[(u64, u64)]) -> Counts {
    let total = |sent: u64| {
        let totals = Totals { packets: u32::try_from(sent).unwrap(), ..Totals::default() };
        Report { totals: Some(totals), cname: Some(format!("source{}", key / 2)), ..Report::default() }
    };
    let (left, back) =
        scenario.away.map_or((u64::MAX, u64::MAX), |(l, b)| (l * APART + APART / 2, b * APART + APART / 2));
    if scenario.told.0 && scenario.foreign.is_none() {
        assert_eq!(tracker.report(key, &total(scenario.joined), at(scenario.joined * APART)), None);
    }
    let mut is_away = false;
    let mut was_away = false;
    let mut steps = arrivals.iter().peekable();
    loop {
        let next = steps.peek().map_or(u64::MAX - 1, |&&(time, _)| time);
        if !is_away && !was_away && left <= next && scenario.away.is_some() {
            tracker.leave(|&one| one == key);
            is_away = true;
        }
        if is_away && back <= next {
            tracker.rejoin(0, |&one| one == key);
            (is_away, was_away) = (false, true);
            if scenario.told.1 && scenario.foreign.is_none() {
                let _ = tracker.report(key, &total(scenario.away.unwrap().1), at(back));
            }
        }
        let Some(&(time, number)) = steps.next() else { break };
        let sent = rtp::ticks(at((number + 1) * APART));
        let number = match scenario.foreign {
            Some(first) => Number::Short(first.wrapping_add(u16::try_from(number).unwrap())),
            None => Number::Full(number),
        };
        let _ = tracker.hear(key, number, 10, sent, at(time));
    }
    // Of a foreign stream no message of which came, nobody knows that its numbers are short.
    if scenario.told.2 && !(scenario.foreign.is_some() && arrivals.is_empty()) {
        let _ = tracker.report(key, &total(scenario.messages), at(1 << 40));
    }
    tracker.rows().iter().find(|row| row.key == key).map_or(Counts::default(), |row| row.stream.counts())
}

#[test]
fn ten_thousand_streams_are_counted_exactly() {
    for seed in 0..STREAMS {
        let mut random = StdRng::seed_from_u64(seed);
        let scenario = Scenario::draw(&mut random);
        let arrivals = scenario.arrivals(&mut random);
        let mut tracker = Tracker::new(2);
        let counts = play(&mut tracker, seed, &scenario, &arrivals);
        let expected = oracle(&scenario, &arrivals);
        assert_eq!(counts, expected, "seed {seed}: {scenario:?}\n{arrivals:?}");
        let told_all = scenario.told.2 && scenario.foreign.is_none();
        if told_all {
            let Counts { received, duplicates, lost, before, away, tail, .. } = counts;
            let accounted = received - duplicates + lost + before + away + tail;
            assert_eq!(accounted, scenario.messages, "seed {seed}: {scenario:?}");
        }
        assert_eq!(jitter(&arrivals), tracker.rows().first().map_or(0, |row| row.stream.jitter().as_nanos()), "{seed}");
    }
}

/// RFC 3550 appendix A.8 once more, on signed numbers of any size.
fn jitter(arrivals: &[(u64, u64)]) -> u128 {
    let ticks = |nanos: u64| i64::from(rtp::ticks(at(nanos)));
    let transits: Vec<i64> = arrivals.iter().map(|&(time, number)| ticks(time) - ticks((number + 1) * APART)).collect();
    let scaled = transits.windows(2).fold(0, |sum: i64, pair| sum + (pair[1] - pair[0]).abs() - ((sum + 8) >> 4));
    u128::try_from(scaled >> 4).unwrap() * 1_000_000_000 / u128::from(rtp::CLOCK_RATE)
}

#[test]
fn a_source_started_again_is_a_stream_of_its_own_and_is_told() {
    for seed in 0..1000 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut tracker = Tracker::new(4);
        for key in [0, 1] {
            let scenario = Scenario { foreign: None, told: (true, true, true), ..Scenario::draw(&mut random) };
            let arrivals = scenario.arrivals(&mut random);
            let expected = oracle(&scenario, &arrivals);
            let counts = play(&mut tracker, key, &scenario, &arrivals);
            assert_eq!((counts.received, counts.lost, counts.late), (expected.received, expected.lost, expected.late));
        }
        let restarted: Vec<bool> = tracker.rows().iter().map(|row| row.restarted).collect();
        assert_eq!(restarted, [false, true], "seed {seed}");
    }
}

#[test]
fn a_foreign_stream_that_begins_anew_is_told_and_what_was_lost_before_stays_counted() {
    for seed in 0..1000 {
        let mut random = StdRng::seed_from_u64(seed);
        let first: u16 = random.random();
        // Anywhere but near where the stream was, on either side.
        let second = first.wrapping_add(random.random_range(5_000..60_000));
        let mut tracker: Tracker<u8> = Tracker::new(1);
        let (mut received, mut lost, mut time) = (0, 0, Duration::ZERO);
        for start in [first, second] {
            let mut skipped = 0;
            for number in 0..200 {
                // The first two of a run and its last one come, so that what is lost lies between.
                if (2..199).contains(&number) && random.random_bool(0.2) {
                    skipped += 1;
                    continue;
                }
                time += Duration::from_millis(1);
                let _ = tracker.hear(0, Number::Short(start.wrapping_add(number)), 1, 0, Time::ZERO + time);
                received += 1;
            }
            lost += skipped;
        }
        let counts = tracker.total();
        let expected = Counts {
            received,
            bytes: received,
            in_order: received,
            gaps: counts.gaps,
            lost,
            restarts: 1,
            ..Counts::default()
        };
        assert_eq!(counts, expected, "seed {seed}: from {first} to {second}");
    }
}
