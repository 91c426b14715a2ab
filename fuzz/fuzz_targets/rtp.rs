//! Any bytes are a numbered message or not, a report or not, and whatever they say is counted without harm.
#![no_main]

use events::Time;
use libfuzzer_sys::fuzz_target;
use multicast::rtcp::Report;
use multicast::rtp::Packet;
use multicast::track::Tracker;

fuzz_target!(|bytes: &[u8]| {
    let mut tracker = Tracker::new(4);
    for (place, datagram) in bytes.chunks(40).enumerate() {
        let now = Time::from_nanos(place as u64);
        if let Ok(packet) = Packet::decode(datagram) {
            let _ = tracker.hear(packet.ssrc, packet.number, packet.payload.len(), packet.timestamp, now);
        }
        if let Ok(report) = Report::decode(datagram) {
            assert_eq!(Report::decode(&report.encode()).map(|again| again.ssrc), Ok(report.ssrc));
            let _ = tracker.report(report.ssrc, &report, now);
        }
        if place % 7 == 3 {
            tracker.rejoin(place, |_| true);
        }
    }
    let counts = tracker.total();
    let sorted = counts.in_order + counts.late + counts.duplicates + counts.stale + counts.implausible;
    assert_eq!(counts.received, sorted);
    assert!(tracker.len() <= 4);
});
