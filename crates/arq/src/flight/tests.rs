//! Sendings and reports, worked off by hand.

use super::*;

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

/// A flight with blocks 0 to `blocks`, sent one each millisecond, so that block `n` travels in packet `n + 1`.
fn flight(blocks: u64) -> Flight {
    let mut flight = Flight::new(true);
    for block in 0..blocks {
        assert_eq!(flight.send(at(block), BlockNumber(block), Codepoint::Ect0).0, block + 1);
    }
    flight
}

fn report(here: &[(u64, u64)], newest: u64) -> Report {
    let mut held = RangeSet::new();
    for &(start, end) in here {
        held.insert_range(BlockRange::new(start, end)).unwrap();
    }
    Report::of(&held, PacketNumber(newest), Duration::ZERO, 100)
}

fn lost(flight: &Flight) -> Vec<u64> {
    flight.lost.iter().flat_map(|range| range.start.0..range.end.0).collect()
}

const LONG: Duration = Duration::from_secs(1);
const ANY: BlockNumber = BlockNumber(u64::MAX);

#[test]
fn a_block_is_lost_when_three_later_packets_have_arrived() {
    let mut flight = flight(6);
    let settled = flight.settle(&report(&[(0, 1), (2, 4)], 4));
    assert_eq!((settled.arrived, settled.newest_sent, flight.len()), (3, at(3), 3));
    assert_eq!(flight.lose(at(10), PacketNumber(4), ANY, LONG).count, 0, "two later packets are not enough");
    flight.settle(&report(&[(0, 1), (2, 5)], 5));
    let losses = flight.lose(at(10), PacketNumber(5), ANY, LONG);
    assert_eq!((losses.count, losses.oldest_sent, lost(&flight)), (1, Some(at(1)), vec![1]));
    assert_eq!(flight.len(), 1, "block 5 may still come");
}

#[test]
fn or_when_time_has_passed() {
    let mut flight = flight(2);
    flight.settle(&report(&[(1, 2)], 2));
    let delay = Duration::from_millis(9);
    assert_eq!(flight.lose(at(5), PacketNumber(2), ANY, delay).next, Some(at(9)));
    assert_eq!(flight.lose(at(9), PacketNumber(2), ANY, delay).count, 1);
}

#[test]
fn a_lost_re_sending_is_noticed_like_any_other() {
    let mut flight = flight(5);
    flight.settle(&report(&[(1, 5)], 5));
    assert_eq!(flight.lose(at(9), PacketNumber(5), ANY, LONG).count, 1);
    assert_eq!(flight.send(at(10), BlockNumber(0), Codepoint::Ect0), PacketNumber(6));
    for block in 5..8 {
        flight.send(at(10), BlockNumber(block), Codepoint::Ect0);
    }
    flight.settle(&report(&[(1, 8)], 9));
    assert_eq!(flight.lose(at(20), PacketNumber(9), ANY, LONG).count, 1);
    assert_eq!(lost(&flight), [0]);
}

#[test]
fn a_cut_report_is_no_evidence_about_what_lies_behind_the_cut() {
    let mut flight = flight(8);
    let losses = flight.lose(at(9), PacketNumber(8), BlockNumber(4), LONG);
    assert_eq!((losses.count, lost(&flight)), (4, vec![0, 1, 2, 3]));
    assert_eq!(flight.len(), 3, "blocks 4 to 7 were not lost, but 4 is no longer on the way");
    flight.settle(&report(&[(4, 5)], 8));
    assert_eq!(flight.len(), 3);
}

#[test]
fn a_late_block_makes_patient_and_is_not_sent_again() {
    let mut flight = flight(6);
    flight.settle(&report(&[(1, 5)], 5));
    flight.lose(at(9), PacketNumber(5), ANY, LONG);
    let late = report(&[(0, 5)], 5);
    flight.settle(&late);
    assert_eq!(flight.next_lost(&late), None);
    assert_eq!(flight.patience, Flight::PATIENCE + 1);
}

#[test]
fn what_is_settled_is_forgotten() {
    let mut flight = flight(1_000);
    flight.settle(&report(&[(0, 999)], 999));
    flight.lose(at(1_000), PacketNumber(999), ANY, LONG);
    assert_eq!((flight.sendings.len(), flight.blocks.len(), flight.len()), (1, 1, 1));
    assert_eq!(flight.sent_at(PacketNumber(999)), None, "forgotten");
    assert!(!flight.is_unsent(PacketNumber(1_000)) && flight.is_unsent(PacketNumber(1_001)));
}

#[test]
fn a_skipped_number_is_nobodys() {
    let mut flight = flight(1);
    flight.skip(at(1));
    flight.send(at(2), BlockNumber(1), Codepoint::Ect0);
    assert!(flight.is_unsent(PacketNumber(2)) && !flight.is_unsent(PacketNumber(3)));
}
