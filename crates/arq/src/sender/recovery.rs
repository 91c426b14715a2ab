//! What a sender does about silence and loss.

use events::Time;

use super::Sender;
use crate::congestion::Lost;
use crate::flight::Losses;
use crate::limits;
use crate::policy::Resend;
use crate::{BlockNumber, BlockRange, Report, Told};

impl Sender {
    /// Looks for blocks that are lost by what the receiver said last. Before that, the newest packet known to have
    /// arrived had been sent at `arrived_before`.
    pub(super) fn find_losses(&mut self, now: Time, arrived_before: Time) {
        let Some((_, latest)) = &self.latest else { return };
        if self.config.policy.resend == Resend::TheOne {
            // Stop-and-wait knows only its timer; but what has arrived need not be remembered.
            self.flight.forget_up_to(self.newest);
            self.delivery.forget_before(self.flight.first_remembered());
            return;
        }
        let limit = if latest.is_cut() { latest.seen } else { BlockNumber(u64::MAX) };
        let losses = self.flight.lose(now, self.newest, limit, self.rtt.loss_delay());
        self.loss_due = losses.next;
        self.delivery.forget_before(self.flight.first_remembered());
        self.delivery.on_landed(now, losses.landed * self.config.datagram());
        if losses.count > 0 {
            self.on_losses(now, &losses, arrived_before);
            if self.config.policy.resend == Resend::WholeWindow {
                // The receiver has thrown away what came behind the gap.
                self.flight.lose_all();
                self.loss_due = None;
            }
        }
    }

    fn on_losses(&mut self, now: Time, losses: &Losses, arrived_before: Time) {
        // RFC 9002 section 7.6: everything sent over three time-outs was lost, and nothing in between arrived.
        let span = losses.oldest_sent.map(|oldest| losses.newest_sent - oldest).unwrap_or_default();
        let nothing_between = losses.oldest_sent.is_some_and(|oldest| oldest > arrived_before);
        let patience = self.rtt.probe_timeout(self.config.policy.longest_report_delay()) * 3;
        let bytes = losses.count * self.config.datagram();
        self.delivery.on_lost(bytes, losses.not_landed * self.config.datagram());
        self.congestion.on_lost(&Lost {
            now,
            bytes,
            sent: losses.newest_sent,
            persistent: self.rtt.is_known() && nothing_between && span > patience,
            rtt: self.rtt,
        });
        self.teller.tell(Told::Measured("lost", losses.count, events::Unit::Count));
    }

    /// When to ask by a probe what became of the blocks on the way: RFC 9002 section 6.2.1.
    pub(super) fn probe_due(&self) -> Option<Time> {
        (self.flight.is_open() && self.loss_due.is_none()).then(|| self.last_sent + self.probe_timeout())
    }

    fn probe_timeout(&self) -> std::time::Duration {
        let plain = self.rtt.probe_timeout(self.config.policy.longest_report_delay());
        let doubled = plain.saturating_mul(1 << self.backoff.min(16));
        doubled.min(limits::LONGEST_BACKOFF.max(plain))
    }

    /// Nobody answered: go back, or send one packet that demands an answer.
    pub(super) fn on_probe_timeout(&mut self, now: Time) {
        self.teller.tell(Told::Expired("probe", self.probe_timeout()));
        self.backoff += 1;
        self.probes = 1;
        match self.config.policy.resend {
            Resend::TheOne => {
                self.flight.lose_all();
            }
            Resend::WholeWindow => {
                let losses = self.flight.lose_all();
                self.on_losses(now, &losses, self.arrived_sent);
            }
            Resend::Missing | Resend::Nothing => {}
        }
        // Should there be nothing to probe with, the timer still moves on.
        self.last_sent = now;
    }

    /// The block a probe carries: one that has to go anyway, or else the one that has been on the way for longest
    /// (RFC 9002 section 6.2.4).
    pub(super) fn probe(&mut self) -> Option<BlockNumber> {
        self.block_to_repeat()
            .or_else(|| self.new_block().filter(|_| self.policy_has_room()))
            .or_else(|| self.flight.oldest())
    }

    /// With nothing on the way and nothing left to send, whatever the receiver still misses has to go again. It happens
    /// only when a receiver takes back what it said. Below the floor there is no taking back: who wants that, asks anew.
    pub(super) fn reconcile(&mut self, report: &Report) {
        if self.flight.is_open() || self.flight.has_lost() || self.new_block().is_some() || self.unknown_from.is_some()
        {
            return;
        }
        let floor = self.flight.floor();
        let behind = BlockRange { start: report.seen, end: self.next_new };
        for &hole in report.missing.iter().chain((!report.is_cut()).then_some(&behind)) {
            self.flight.queue_again(BlockRange { start: hole.start.max(floor), end: hole.end.min(self.next_new) });
        }
    }
}
