//! Delivery rate: how fast bytes arrived over the last round trip, measured anew by each report.

use std::collections::VecDeque;
use std::time::Duration;

use events::Time;

use crate::PacketNumber;
use crate::congestion::Sample;

/// Measures the delivery rate as draft-ietf-ccwg-bbr section 4.1 (before: draft-cheng-iccrg-delivery-rate-estimation) does:
/// what arrived between the sending of a packet and the report on it, over the longer of the time the sending of that
/// took and the time its arrival took. The longer one, because neither a burst of sendings nor a burst of reports makes a
/// path faster than it is.
///
/// The draft keeps six numbers with each packet. They change only when a report comes, so here all packets sent between two
/// reports share one [`Mark`].
#[derive(Debug)]
pub(crate) struct Delivery {
    delivered: u64,
    /// When the last of them were reported.
    delivered_at: Time,
    /// When the packet was sent from whose sending on the next sample counts.
    first_sent: Time,
    lost: u64,
    marked: u64,
    /// What was counted as delivered before its time, and turned out to be lost.
    owed: u64,
    /// Until so much has been delivered, the sender did not send all it might have; zero when it did.
    limited_until: u64,
    marks: VecDeque<Mark>,
    /// Something changed since the last mark.
    is_stale: bool,
}

/// How things stood when the packets from number `first` on were sent.
#[derive(Clone, Copy, Debug)]
struct Mark {
    first: PacketNumber,
    delivered: u64,
    delivered_at: Time,
    first_sent: Time,
    lost: u64,
    marked: u64,
    in_flight: u64,
    is_limited: bool,
}

impl Delivery {
    /// Nothing was sent yet.
    pub(crate) fn new() -> Self {
        Delivery {
            delivered: 0,
            delivered_at: Time::ZERO,
            first_sent: Time::ZERO,
            lost: 0,
            marked: 0,
            owed: 0,
            limited_until: 0,
            marks: VecDeque::new(),
            is_stale: true,
        }
    }

    /// How many marks are kept.
    #[cfg(test)]
    pub(crate) fn marks(&self) -> usize {
        self.marks.len()
    }

    /// Packet `number` is sent, with `in_flight` bytes on the way before it.
    pub(crate) fn on_sent(&mut self, now: Time, number: PacketNumber, in_flight: u64) {
        if in_flight == 0 {
            // After a pause the clocks begin anew: the pause was not the path's doing.
            (self.first_sent, self.delivered_at, self.is_stale) = (now, now, true);
        }
        if self.is_stale {
            self.is_stale = false;
            self.marks.push_back(Mark {
                first: number,
                delivered: self.delivered,
                delivered_at: self.delivered_at,
                first_sent: self.first_sent,
                lost: self.lost,
                marked: self.marked,
                in_flight,
                is_limited: self.limited_until > 0,
            });
        }
    }

    /// There was room on the path and nothing to send: what arrives until all that is on the way has, says nothing of how
    /// much more the path could have carried.
    pub(crate) fn on_limited(&mut self, in_flight: u64) {
        self.is_stale |= self.limited_until == 0;
        self.limited_until = (self.delivered + in_flight).max(1);
    }

    /// Bytes are lost, of which some had been taken for landed.
    pub(crate) fn on_lost(&mut self, bytes: u64, not_landed: u64) {
        self.lost += bytes;
        self.owed += not_landed;
        self.is_stale = true;
    }

    /// Bytes are reported as marked: a router had a queue.
    pub(crate) fn on_marked(&mut self, bytes: u64) {
        self.marked = self.marked.saturating_add(bytes);
        self.is_stale = true;
    }

    /// Bytes have left the network, and most of them have arrived: a later report will tell. Were they counted only then,
    /// they would come in a heap, and the path would look faster than it is.
    pub(crate) fn on_landed(&mut self, now: Time, bytes: u64) {
        if bytes > 0 {
            self.delivered += bytes;
            (self.delivered_at, self.is_stale) = (now, true);
        }
    }

    /// Of packets before number `first` nothing is remembered, so nobody will ask for a sample of them: a receiver that speaks of
    /// packets and never of blocks cannot make marks pile up.
    pub(crate) fn forget_before(&mut self, first: PacketNumber) {
        let later = self.marks.partition_point(|mark| mark.first <= first);
        self.marks.drain(..later.saturating_sub(1));
    }

    /// Bytes have arrived that had not landed before; the newest of the packets that carried them is `newest`, sent at `sent`, with datagrams of
    /// `datagram` bytes. No sample comes of packets older than one that arrived before.
    pub(crate) fn on_arrived(
        &mut self,
        now: Time,
        bytes: u64,
        (newest, sent): (PacketNumber, Time),
        datagram: u64,
    ) -> Option<Sample> {
        let paid = self.owed.min(bytes);
        self.owed -= paid;
        self.delivered += bytes - paid;
        self.delivered_at = now;
        self.is_stale = true;
        if self.delivered > self.limited_until {
            self.limited_until = 0;
        }
        let later = self.marks.partition_point(|mark| mark.first <= newest);
        let mark = *self.marks.get(later.checked_sub(1)?)?;
        self.marks.drain(..later - 1);
        self.first_sent = self.first_sent.max(sent);
        let (sending, arriving) = (sent - mark.first_sent, now - mark.delivered_at);
        Some(Sample {
            delivered: self.delivered - mark.delivered,
            delivered_before: mark.delivered,
            lost: self.lost - mark.lost,
            marked: self.marked - mark.marked,
            interval: sending.max(arriving).max(Duration::from_nanos(1)),
            in_flight: mark.in_flight + (newest.0 + 1 - mark.first.0).saturating_mul(datagram),
            round_trip: now - sent,
            is_limited: mark.is_limited,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Time {
        Time::from_nanos(micros * 1_000)
    }

    /// Sends packets of 1 000 bytes, numbered from 1, `apart` microseconds from one another.
    fn sent(delivery: &mut Delivery, numbers: std::ops::RangeInclusive<u64>, apart: u64) {
        for number in numbers {
            delivery.on_sent(at(number * apart), PacketNumber(number), (number - 1) * 1_000);
        }
    }

    fn arrive(delivery: &mut Delivery, now: u64, packets: u64, newest: u64, apart: u64) -> Sample {
        delivery.on_arrived(at(now), packets * 1_000, (PacketNumber(newest), at(newest * apart)), 1_000).unwrap()
    }

    #[test]
    fn an_even_flow_has_the_rate_it_has() {
        let mut delivery = Delivery::new();
        sent(&mut delivery, 1..=100, 100);
        let mut sample = arrive(&mut delivery, 10_100, 1, 1, 100);
        for number in 101..=400_u64 {
            delivery.on_sent(at(number * 100), PacketNumber(number), 99_000);
            sample = arrive(&mut delivery, number * 100, 1, number - 99, 100);
        }
        assert_eq!(sample.rate(), 10_000_000, "a thousand bytes each tenth of a millisecond: {sample:?}");
        assert_eq!((sample.round_trip, sample.in_flight), (Duration::from_micros(9_900), 100_000));
    }

    #[test]
    fn reports_that_come_in_a_heap_do_not_make_the_path_faster() {
        let mut delivery = Delivery::new();
        sent(&mut delivery, 1..=100, 100);
        // Half of it is reported at once, and then the other half with the same newest but one moment later.
        let first = arrive(&mut delivery, 20_000, 50, 50, 100);
        let second = arrive(&mut delivery, 20_001, 50, 100, 100);
        assert!(first.rate() <= 2_700_000, "{first:?}");
        assert!(second.rate() <= 10_100_000, "never faster than it was sent: {second:?}");
    }

    #[test]
    fn a_pause_is_not_held_against_the_path() {
        let mut delivery = Delivery::new();
        sent(&mut delivery, 1..=10, 100);
        arrive(&mut delivery, 2_000, 10, 10, 100);
        delivery.on_limited(0);
        for number in 10_001..=10_010_u64 {
            delivery.on_sent(at(number * 100), PacketNumber(number), (number - 10_001) * 1_000);
        }
        let sample = delivery.on_arrived(at(1_002_000), 10_000, (PacketNumber(10_010), at(1_001_000)), 1_000).unwrap();
        assert!(sample.is_limited);
        assert_eq!((sample.delivered, sample.interval), (10_000, Duration::from_micros(1_900)));
        // What follows while there is enough to send is not limited any more.
        delivery.on_sent(at(1_003_000), PacketNumber(10_011), 0);
        let sample = delivery.on_arrived(at(1_004_000), 1_000, (PacketNumber(10_011), at(1_003_000)), 1_000).unwrap();
        assert!(!sample.is_limited);
    }

    #[test]
    fn what_was_lost_meanwhile_is_told() {
        let mut delivery = Delivery::new();
        sent(&mut delivery, 1..=10, 100);
        delivery.on_lost(3_000, 0);
        let sample = arrive(&mut delivery, 3_000, 7, 10, 100);
        assert_eq!((sample.lost, sample.delivered, sample.delivered_before), (3_000, 7_000, 0));
    }

    #[test]
    fn a_late_packet_gives_no_sample_and_marks_do_not_pile_up() {
        let mut delivery = Delivery::new();
        for number in 1..=1_000_u64 {
            delivery.on_sent(at(number * 100), PacketNumber(number), 5_000);
            delivery.on_lost(1, 0);
            if number > 5 {
                arrive(&mut delivery, number * 100 + 50, 1, number - 5, 100);
            }
        }
        assert!(delivery.marks.len() <= 8, "{}", delivery.marks.len());
        assert!(delivery.on_arrived(at(200_000), 1_000, (PacketNumber(3), at(300)), 1_000).is_none());
    }

    #[test]
    fn marks_of_forgotten_packets_are_forgotten_and_the_one_in_force_stays() {
        let mut delivery = Delivery::new();
        for number in 1..=100_u64 {
            delivery.on_sent(at(number * 100), PacketNumber(number), 5_000);
            delivery.on_lost(1, 0);
            delivery.forget_before(PacketNumber(number));
            assert_eq!(delivery.marks.len(), 1);
        }
        let newest = (PacketNumber(100), at(10_000));
        assert!(delivery.on_arrived(at(10_050), 1_000, newest, 1_000).is_some());
    }
}
