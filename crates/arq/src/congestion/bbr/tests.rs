//! The controller alone, fed with samples by hand: what it believes, and above all what it does not.

use proptest::prelude::*;

use super::super::tests::{at, rtt};
use super::*;

const DATAGRAM: u64 = 1_000;

/// A path as its samples show it.
struct Path {
    bbr: Bbr,
    now: Time,
    delivered: u64,
}

impl Path {
    fn new() -> Self {
        Path { bbr: Bbr::new(DATAGRAM), now: at(1_000), delivered: 0 }
    }

    /// One round trip of `millis` in which `bytes` arrive and `lost` are lost; the sender had more to send, or not.
    fn round(&mut self, millis: u64, bytes: u64, lost: u64, is_limited: bool) {
        self.now += Duration::from_millis(millis);
        let in_flight = bytes + lost;
        if lost > 0 {
            let (now, sent) = (self.now, self.now);
            self.bbr.on_lost(&Lost { now, bytes: lost, sent, persistent: false, rtt: rtt(millis) });
        }
        // Ten reports a round trip.
        for part in 0..10 {
            let sample = Sample {
                delivered: bytes,
                delivered_before: self.delivered,
                lost,
                marked: 0,
                interval: Duration::from_millis(millis),
                in_flight,
                round_trip: Duration::from_millis(millis),
                is_limited,
            };
            let (now, sent) = (self.now, self.now);
            self.bbr.on_acked(&Acked {
                now,
                bytes: bytes / 10,
                sent,
                in_flight: in_flight - part * (bytes / 10),
                window_limited: !is_limited,
                rtt: rtt(millis),
                sample: Some(sample),
            });
        }
        self.delivered += bytes;
    }

    /// One report on a packet that took `millis`, within the round trip under way.
    fn late(&mut self, millis: u64, delivered: u64) {
        let round_trip = Duration::from_millis(millis);
        let sample = Sample {
            delivered,
            delivered_before: self.delivered - delivered,
            lost: 0,
            marked: 0,
            interval: round_trip,
            in_flight: delivered,
            round_trip,
            is_limited: false,
        };
        let (now, sent, rtt) = (self.now, self.now, rtt(millis));
        let (bytes, in_flight) = (DATAGRAM, delivered);
        self.bbr.on_acked(&Acked { now, bytes, sent, in_flight, window_limited: true, rtt, sample: Some(sample) });
    }

    /// Startup on a path of 10 MB/s and 20 ms, which is 200 kB, until it has left it.
    fn filled() -> Self {
        let mut path = Path::new();
        for bytes in [32_000, 64_000, 128_000, 200_000, 200_000, 200_000, 200_000, 200_000, 200_000] {
            path.round(20, bytes, 0, false);
        }
        assert!(path.bbr.is_full, "{:?}", path.bbr);
        path
    }
}

#[test]
fn the_window_begins_with_32_datagrams_and_doubles() {
    let mut path = Path::new();
    assert_eq!((path.bbr.window(), path.bbr.rate(&Rtt::new())), (32_000, None));
    let mut window = 32_000;
    for _ in 0..4 {
        path.round(20, window, 0, false);
        assert_eq!(path.bbr.window(), 2 * window);
        window *= 2;
    }
}

#[test]
fn a_queue_ends_startup_within_the_round_trip_and_a_heap_of_late_reports_does_not() {
    // Of 20 ms, 30 then: a quarter too much, in report after report, each a millisecond after the one before or with it.
    for (apart, ends) in [(1, true), (0, false)] {
        let mut path = Path::new();
        for bytes in [32_000, 64_000, 128_000, 200_000] {
            path.round(20, bytes, 0, false);
        }
        assert!(!path.bbr.is_full);
        for _ in 0..30 {
            path.now += Duration::from_millis(apart);
            path.late(30, 200_000);
        }
        assert_eq!(path.bbr.is_full, ends, "reports {apart} ms apart: {:?}", path.bbr);
    }
}

#[test]
fn a_full_path_is_known_by_its_rate_and_its_length() {
    let path = Path::filled();
    assert_eq!((path.bbr.bandwidth(), path.bbr.pipe()), (10_000_000, 200_000));
    // A quarter more than the path holds, two milliseconds' worth, and three datagrams.
    assert!(path.bbr.window() <= 250_000 + 20_000 + 3_000, "{}", path.bbr.window());
    assert!((9_000_000..=12_500_000).contains(&path.bbr.rate(&rtt(20)).unwrap()), "{:?}", path.bbr.rate(&rtt(20)));
}

#[test]
fn one_early_loss_does_not_end_startup_and_neither_do_many_without_a_queue() {
    for lost in [1_000, 2_000, 6_000] {
        let mut path = Path::new();
        for bytes in [32_000_u64, 64_000, 128_000, 256_000, 512_000] {
            path.round(20, bytes - lost, lost, false);
        }
        assert!(!path.bbr.is_full, "{lost} bytes lost a round trip: {:?}", path.bbr);
    }
    let mut path = Path::new();
    for bytes in [32_000_u64, 64_000, 128_000, 256_000, 512_000] {
        path.round(20, bytes * 3 / 4, bytes / 4, false);
    }
    assert!(path.bbr.is_full, "a quarter is congestion whatever the delay says");
}

#[test]
fn rounds_with_too_little_to_send_say_nothing() {
    let mut path = Path::new();
    path.round(20, 32_000, 0, false);
    for _ in 0..20 {
        path.round(20, 5_000, 0, true);
    }
    assert!(!path.bbr.is_full, "startup does not end on them");
    assert_eq!(path.bbr.bandwidth(), 1_600_000, "and no rate is forgotten for them");
}

#[test]
fn two_percent_are_borne_where_no_queue_is_and_answered_where_one_is() {
    let mut path = Path::filled();
    for _ in 0..10 {
        path.round(20, 190_000, 10_000, false);
    }
    assert_eq!((path.bbr.slower, path.bbr.less), (u64::MAX, u64::MAX), "5 % and no queue");
    for _ in 0..10 {
        path.round(26, 190_000, 10_000, false);
    }
    assert!(path.bbr.slower < 10_000_000 && path.bbr.less < 250_000, "5 % behind a queue: {:?}", path.bbr);
}

#[test]
fn after_five_seconds_the_path_is_half_emptied_and_measured_anew() {
    // It became longer: by so little that a queue may be why, or by half.
    for (millis, least) in [(22, 9), (30, 2)] {
        let mut path = Path::filled();
        let mut emptied = 0;
        for _ in 0..300 {
            path.round(millis, (millis * 10_000).min(path.bbr.window()), 0, false);
            if let Phase::Empty(_) = path.bbr.phase {
                emptied += 1;
                assert!(path.bbr.window() <= path.bbr.pipe() * 51 / 100, "{:?}", path.bbr);
            }
        }
        assert!((least..40).contains(&emptied), "{emptied} round trips of {millis} ms");
        assert_eq!(path.bbr.model.least(), Some(Duration::from_millis(millis)), "{:?}", path.bbr);
        assert_ne!(path.bbr.phase, Phase::Crowd, "nobody else is there: {:?}", path.bbr);
    }
}

#[test]
fn a_queue_that_never_empties_is_a_crowd_and_it_does_as_the_crowd_does() {
    let mut path = Path::filled();
    let mut crowded = false;
    for round in 0..200 {
        // Twenty to thirty milliseconds of somebody else's queue.
        path.round(40 + round % 10, 100_000, 0, false);
        crowded |= path.bbr.phase == Phase::Crowd;
    }
    assert!(crowded, "{:?}", path.bbr);
}

#[test]
fn a_queue_that_goes_when_we_leave_was_ours_and_the_rate_too_high() {
    let mut path = Path::filled();
    let mut most = 0;
    for _ in 0..400 {
        // The path has become ten times slower: what is on the way takes as long as 1 MB/s takes for it.
        let on_the_way = path.bbr.window();
        path.round((on_the_way / 1_000).max(20), on_the_way, 0, false);
        assert_ne!(path.bbr.phase, Phase::Crowd, "{:?}", path.bbr);
        most = path.bbr.window();
    }
    assert!(most <= 40_000, "{most} where 20 000 fit: {:?}", path.bbr);
}

#[test]
fn persistent_congestion_forgets_everything() {
    let mut path = Path::filled();
    path.bbr.on_lost(&Lost { now: path.now, bytes: 200_000, sent: path.now, persistent: true, rtt: rtt(20) });
    assert_eq!((path.bbr.window(), path.bbr.bandwidth()), (4_000, 0));
}

prop_compose! {
    /// Any report there may be, of a path that may be anything.
    fn report()(
        step in 0_u64..10_000_000_000,
        delivered in prop_oneof![0_u64..1_000_000, Just(u64::MAX / 4)],
        lost in prop_oneof![0_u64..1_000_000, Just(u64::MAX / 4)],
        marked in prop_oneof![Just(0), 0_u64..1_000_000, Just(u64::MAX)],
        interval in prop_oneof![1_u64..1_000_000_000, Just(1), Just(u64::MAX)],
        round_trip in prop_oneof![0_u64..1_000_000_000, Just(u64::MAX)],
        in_flight in prop_oneof![0_u64..10_000_000, Just(u64::MAX)],
        (is_limited, is_old, persistent) in (any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.05)),
    ) -> (u64, Option<Sample>, u64, bool) {
        let sample = Sample {
            delivered,
            delivered_before: step,
            lost,
            marked,
            interval: Duration::from_nanos(interval),
            in_flight,
            round_trip: Duration::from_nanos(round_trip),
            is_limited,
        };
        (step, (!is_old).then_some(sample), lost, persistent)
    }
}

proptest! {
    /// Whatever is reported, it always sends something, no more than three times what it believes the path holds, or than ever
    /// arrived, or than CUBIC allows in a crowd; and no arithmetic overflows.
    #[test]
    fn no_report_leaves_it_without_a_rate_or_without_a_bound(reports in prop::collection::vec(report(), 1..200)) {
        let mut bbr = Bbr::new(DATAGRAM);
        let mut now = at(1);
        let mut arrived = 0_u64;
        for (step, sample, lost, persistent) in reports {
            now += Duration::from_nanos(step);
            let bytes = sample.map_or(1_000, |sample| sample.delivered.min(1_000_000));
            arrived += bytes;
            let in_flight = sample.map_or(0, |sample| sample.in_flight);
            bbr.on_acked(&Acked { now, bytes, sent: now, in_flight, window_limited: true, rtt: rtt(step % 5_000), sample });
            if let Some(bytes) = sample.map(|sample| sample.marked).filter(|&marked| marked > 0) {
                bbr.on_marked(&Marked { now, bytes, sent: now, rtt: rtt(1) });
            }
            if lost > 0 {
                bbr.on_lost(&Lost { now, bytes: lost, sent: now, persistent, rtt: rtt(1) });
            }
            prop_assert!(bbr.window() >= 4 * DATAGRAM);
            let modelled = bbr.pipe().saturating_mul(3).saturating_add(bbr.heap()).saturating_add(32 * DATAGRAM);
            prop_assert!(bbr.window() <= modelled.max(arrived + 32 * DATAGRAM).max(bbr.crowd.as_ref().map_or(0, Crowd::window)), "{bbr:?}");
            let rate = bbr.rate(&rtt(1 + step % 5_000));
            prop_assert!(rate.is_some_and(|rate| rate > 0), "{rate:?} of {bbr:?}");
        }
    }
}
