//! A source's identity and numbers for one run, and when it reports its totals.

use std::time::Duration;

use events::Time;

use crate::payload::Kind;
use crate::rtcp::{Report, Totals, ntp};
use crate::rtp::{self, ticks};
use crate::tally::Count;

/// From one report to the next: what RFC 3550 section 6.2 allows at least.
const BETWEEN: Duration = Duration::from_secs(5);

/// Numbers the messages of one run.
#[derive(Debug)]
pub(super) struct Numbering {
    ssrc: u32,
    /// Where the timestamps begin (RFC 3550 section 5.1: at random).
    offset: u32,
    next: u64,
    cname: String,
    name: String,
    next_report: Option<Time>,
}

impl Numbering {
    /// A new run: a random identity, numbers from 0.
    pub(super) fn begin(cname: String, name: String) -> Self {
        Numbering { ssrc: rand::random(), offset: rand::random(), next: 0, cname, name, next_report: None }
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The header of the next message.
    pub(super) fn write_header(&mut self, to: &mut Vec<u8>, kind: Kind, now: Time) {
        rtp::write_header(to, kind, self.ssrc, self.next, self.timestamp(now));
        self.next += 1;
    }

    /// When the next report is due: at the start, then every five seconds, whether anything is sent or not.
    pub(super) fn poll_timeout(&self) -> Time {
        self.next_report.unwrap_or(Time::ZERO)
    }

    /// A report of `sent` so far, when it is time for one.
    pub(super) fn report_if_due(&mut self, now: Time, sent: Count) -> Option<Vec<u8>> {
        if now < self.poll_timeout() {
            return None;
        }
        self.next_report = Some(now + BETWEEN);
        Some(self.report(now, sent, false))
    }

    /// A report of `sent` so far; `bye` says that it is the last.
    pub(super) fn report(&self, now: Time, sent: Count, bye: bool) -> Vec<u8> {
        let low = |count: u64| u32::try_from(count & u64::from(u32::MAX)).unwrap_or(0);
        let totals = Totals {
            packets: low(sent.datagrams),
            octets: low(sent.bytes),
            timestamp: self.timestamp(now),
            ntp: ntp(now),
        };
        let (cname, name) = (Some(self.cname.clone()), Some(self.name.clone()));
        Report { ssrc: self.ssrc, totals: Some(totals), cname, name, bye }.encode()
    }

    fn timestamp(&self, now: Time) -> u32 {
        self.offset.wrapping_add(ticks(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_due_at_the_start_and_then_every_five_seconds() {
        let mut numbering = Numbering::begin("sender1@192.0.2.7".into(), "sender1".into());
        let mut reported = Vec::new();
        // Nothing is sent meanwhile: only time goes by.
        for _ in 0..3 {
            let due = numbering.poll_timeout();
            assert!(numbering.report_if_due(due, Count::default()).is_some());
            assert!(numbering.report_if_due(due, Count::default()).is_none(), "once");
            reported.push(due);
        }
        assert_eq!(reported, [0, 5, 10].map(|seconds| Time::from_nanos(seconds * 1_000_000_000)));
    }
}
