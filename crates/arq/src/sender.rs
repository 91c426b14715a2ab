//! The sending end of a transfer: it decides which block goes when, and knows when all of them have arrived.

mod config;
mod ending;
mod marking;
mod recovery;

#[cfg(test)]
mod tests;

use events::Time;

pub use config::SenderConfig;

use crate::congestion::{Acked, Congestion};
use crate::delivery::Delivery;
use crate::flight::Flight;
use crate::limits;
use crate::pacing::Pacer;
use crate::policy::{Resend, Window};
use crate::told::Teller;
use crate::{
    BlockNumber, Body, CloseReason, Codepoint, Ecn, Failure, Outcome, Outgoing, Packet, PacketNumber, Peer, Report,
    Rtt, Told, Verdict, Violation, Why, wire,
};
use ending::Ending;
use marking::Marking;

/// The sending end of one transfer to one receiver, in every mode.
///
/// It holds no byte of the file, no socket, no clock and no generator: whoever drives it passes in packets and the time,
/// and reads the blocks it names. **Drain before you feed**: after every `handle` or `handle_timeout`, call
/// [`poll_transmit`](Sender::poll_transmit) until it gives none and [`poll_event`](Sender::poll_event) until it gives
/// none, then read [`outcome`](Sender::outcome) and [`poll_timeout`](Sender::poll_timeout); only then feed it again.
/// Time never goes backwards.
///
/// **Deaf events**: what it tells changes nothing of what it does. Unless somebody asked to listen, nothing is even kept.
///
/// It begins when the receiver's first report is handed to it, whatever that says: blocks the receiver holds already are
/// not sent. It is over when `outcome` is there, and may be thrown away when then `poll_timeout` gives none: until then
/// it still answers the receiver's last questions.
#[derive(Debug)]
pub struct Sender {
    config: SenderConfig,
    blocks: u64,
    congestion: Box<dyn Congestion>,
    flight: Flight,
    rtt: Rtt,
    delivery: Delivery,
    pacer: Pacer,
    marking: Marking,
    teller: Teller,
    /// The first block that has never been sent.
    next_new: BlockNumber,
    /// What the receiver said last, and in which of its packets; none before it said anything.
    latest: Option<(PacketNumber, Report)>,
    /// The first report had more holes than it could tell: from here on, nothing is sent before a later one tells more.
    unknown_from: Option<BlockNumber>,
    /// When a missing block counts as lost, if nothing comes before.
    loss_due: Option<Time>,
    /// When pacing lets the next packet go, if pacing is what holds it.
    pace_due: Option<Time>,
    /// How many probes may leave whatever the window says.
    probes: u8,
    /// How often in a row the probe timer ran out.
    backoff: u32,
    /// When the last block was sent.
    last_sent: Time,
    /// When the peer was last heard.
    last_heard: Time,
    /// The newest packet known to have been dealt with.
    newest: PacketNumber,
    /// When the newest packet known to have arrived was sent.
    arrived_sent: Time,
    /// Whether it was congestion control that last held a packet back.
    window_limited: bool,
    skip_in: u64,
    skips: u64,
    ending: Ending,
    sent: u64,
    sent_again: u64,
}

impl Sender {
    /// A sender that waits for its receiver's first report.
    #[must_use]
    pub fn new(now: Time, config: SenderConfig) -> Self {
        Sender {
            blocks: config.layout.blocks(),
            congestion: config.controller(),
            flight: Flight::new(config.policy.resend == Resend::Missing),
            rtt: Rtt::new(),
            delivery: Delivery::new(),
            pacer: Pacer::new(),
            marking: Marking::new(config.heeds_marks()),
            teller: Teller::new(config.listened_to),
            next_new: BlockNumber(0),
            latest: None,
            unknown_from: None,
            loss_due: None,
            pace_due: None,
            probes: 0,
            backoff: 0,
            last_sent: now,
            last_heard: now,
            newest: PacketNumber::NONE,
            arrived_sent: Time::ZERO,
            window_limited: false,
            skip_in: config.next_skip(0),
            skips: 0,
            ending: Ending::default(),
            sent: 0,
            sent_again: 0,
            config,
        }
    }

    /// Takes a packet that came from `from`.
    pub fn handle(&mut self, now: Time, from: Peer, packet: &Packet) -> Verdict {
        if from != self.config.peer {
            return Verdict::Ignored(Why::Foreign);
        }
        self.teller.tell(Told::Received(wire::about(&packet.body)));
        match &packet.body {
            Body::Open(open) => self.on_report(now, packet.number, &open.report),
            Body::Report(report) => self.on_report(now, packet.number, report),
            Body::Close(reason) => self.on_close(now, *reason),
            Body::Block(..) | Body::Done { .. } => Verdict::Ignored(Why::Misplaced),
        }
    }

    /// Does whatever is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.outcome().is_some() {
            self.ending.stop_if_due(now);
            return;
        }
        if self.idle_due() <= now {
            self.on_silence(now);
            return;
        }
        self.ending.repeat_if_due(now);
        if self.loss_due.is_some_and(|due| due <= now) {
            self.find_losses(now, self.arrived_sent);
        }
        if self.probe_due().is_some_and(|due| due <= now) {
            self.on_probe_timeout(now);
        }
    }

    /// The next packet to send, if there is one and it may leave now.
    pub fn poll_transmit(&mut self, now: Time) -> Option<Outgoing> {
        if let Some(body) = self.next_word(now) {
            let number = if self.is_reliable() { self.flight.send_other(now) } else { self.flight.send_untracked() };
            self.ending.said(now, number);
            return Some(self.out(Packet::plain(number, body)));
        }
        if self.outcome().is_some() {
            return None;
        }
        let block = self.next_block(now)?;
        let again = block < self.next_new;
        self.next_new = self.next_new.max(BlockNumber(block.0 + 1));
        let (number, ecn) = if self.is_reliable() {
            self.maybe_skip(now);
            let number = self.flight.next_number();
            self.delivery.on_sent(now, number, self.in_flight());
            let ecn = self.marking.send(number);
            (self.flight.send(now, block, ecn), ecn)
        } else {
            (self.flight.send_untracked(), Codepoint::NotEct)
        };
        self.sent += 1;
        self.sent_again += u64::from(again);
        self.last_sent = now;
        if let Some(rate) = self.rate() {
            self.pacer.on_sent(now, self.config.datagram(), rate);
        }
        let body = Body::Block(block, self.config.layout.length(block));
        Some(self.out(Packet { number, body, ecn }))
    }

    /// When to call [`handle_timeout`](Sender::handle_timeout) and then [`poll_transmit`](Sender::poll_transmit), if
    /// nothing comes before; none when this sender has no more to say.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.outcome().is_some() {
            return self.ending.until();
        }
        let timers = [Some(self.idle_due()), self.ending.due(), self.loss_due, self.probe_due(), self.pace_due];
        timers.into_iter().flatten().min()
    }

    /// What happened since the last call, if somebody listens.
    pub fn poll_event(&mut self) -> Option<Told> {
        self.teller.poll()
    }

    /// How the transfer ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.ending.outcome()
    }

    /// Ends the transfer from this side, and tells the peer why.
    pub fn close(&mut self, now: Time, reason: CloseReason) {
        self.fail(now, Failure::Closed(reason), Some(reason));
    }

    /// How many blocks were sent, and how many of them not for the first time.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.sent, self.sent_again)
    }

    /// What is known of marks on the path, and how many blocks were marked.
    #[must_use]
    pub fn ecn(&self) -> (Ecn, u64) {
        (self.marking.state(), self.marking.marked())
    }

    /// The round-trip time as known by now.
    #[must_use]
    pub fn rtt(&self) -> &Rtt {
        &self.rtt
    }

    /// The lowest block the receiver is not known to hold.
    #[must_use]
    pub fn floor(&self) -> BlockNumber {
        self.latest.as_ref().map_or(BlockNumber(0), |(_, report)| report.floor)
    }

    fn on_report(&mut self, now: Time, number: PacketNumber, report: &Report) -> Verdict {
        match self.outcome() {
            Some(Outcome::Failed(_)) => {
                self.ending.answer_closed();
                return Verdict::Ignored(Why::Ended);
            }
            Some(Outcome::Complete | Outcome::Holes(_)) => {
                self.ending.answer();
                return Verdict::Taken;
            }
            None => {}
        }
        if let Err(violation) = self.check(report) {
            self.fail(now, Failure::Violation(violation), Some(CloseReason::Protocol));
            return Verdict::Taken;
        }
        self.last_heard = now;
        // The path is alive: whatever the back-off had grown to, the next probe is due a plain time-out after the last.
        self.backoff = 0;
        let is_latest = self.latest.as_ref().is_none_or(|(latest, _)| *latest < number);
        if is_latest {
            self.know_more(report);
            let (latest, said) = self.latest.get_or_insert_default();
            *latest = number;
            said.copy_from(report);
        }
        if self.is_reliable() {
            self.work_off(now, report, is_latest);
        } else {
            self.on_raw_report(now, report);
        }
        Verdict::Taken
    }

    /// A report must fit the file and itself, and may only speak of packets that were sent.
    fn check(&self, report: &Report) -> Result<(), Violation> {
        if !report.is_consistent() {
            Err(Violation::Inconsistent)
        } else if report.seen.0 > self.blocks {
            Err(Violation::NoSuchBlock(report.seen))
        } else if report.newest != PacketNumber::NONE && self.flight.is_unsent(report.newest) {
            Err(Violation::UnsentPacket(report.newest))
        } else {
            Ok(())
        }
    }

    /// A receiver that resumes with more holes than one report can tell speaks of them by and by.
    fn know_more(&mut self, report: &Report) {
        let first = self.latest.is_none();
        if first || self.unknown_from.is_some() {
            self.unknown_from = report.is_cut().then_some(report.seen.max(self.unknown_from.unwrap_or_default()));
        }
    }

    /// What a report means in the reliable modes: a round-trip time, arrivals, losses.
    fn work_off(&mut self, now: Time, report: &Report, is_latest: bool) {
        if report.newest > self.newest {
            self.newest = report.newest;
            // RFC 9002 section 5.1: only for a newest that is new. And only for news: what a sign of life repeats, long
            // after the report that said it first was lost, would make a round trip of the receiver's patience.
            if let Some(sent) = self.flight.sent_at(report.newest).filter(|_| report.delay < limits::OLD_NEWS) {
                self.rtt.add(now - sent, report.delay);
            }
        }
        let (in_flight, arrived_before) = (self.in_flight(), self.arrived_sent);
        let settled = self.flight.settle(report);
        self.arrived_sent = self.arrived_sent.max(settled.newest_sent);
        self.heed_marks(now, report, is_latest, &settled);
        if settled.arrived > 0 {
            let (datagram, newest) = (self.config.datagram(), (settled.newest, settled.newest_sent));
            let (bytes, fresh) = (settled.arrived * datagram, (settled.arrived - settled.landed) * datagram);
            self.congestion.on_acked(&Acked {
                now,
                bytes,
                sample: self.delivery.on_arrived(now, fresh, newest, self.config.datagram()),
                sent: settled.newest_sent,
                in_flight,
                window_limited: self.window_limited,
                rtt: self.rtt,
            });
        }
        if report.floor.0 >= self.blocks {
            self.finish(now, Outcome::Complete);
            return;
        }
        self.find_losses(now, arrived_before);
        if self.flight.remembered() > limits::MOST_REMEMBERED {
            let violation = Violation::NothingSettled(self.flight.remembered());
            self.fail(now, Failure::Violation(violation), Some(CloseReason::Protocol));
            return;
        }
        if is_latest {
            self.reconcile(report);
        }
    }

    /// Which block may leave now, if any.
    fn next_block(&mut self, now: Time) -> Option<BlockNumber> {
        self.pace_due = None;
        if self.probes > 0 {
            self.probes -= 1;
            if let Some(block) = self.probe() {
                return Some(block);
            }
        }
        let block = self.block_to_repeat().or_else(|| self.new_block()).filter(|_| self.policy_has_room());
        let Some(block) = block else {
            self.window_limited = false;
            self.pacer.pause();
            self.delivery.on_limited(self.in_flight());
            return None;
        };
        self.window_limited = true;
        if self.in_flight().saturating_add(self.config.datagram()) > self.congestion.window() {
            self.pacer.pause();
            return None;
        }
        self.pace_due = self.pacer.waits_until(now);
        self.pace_due.is_none().then_some(block)
    }

    fn block_to_repeat(&mut self) -> Option<BlockNumber> {
        let (_, latest) = self.latest.as_ref().filter(|_| self.flight.has_lost())?;
        self.flight.next_lost(latest)
    }

    /// The lowest block that was never sent, is not held by the receiver, and is not out of reach.
    fn new_block(&self) -> Option<BlockNumber> {
        let (_, latest) = self.latest.as_ref()?;
        // What was once reported as part of the whole is not sent again, even if a later report took it back.
        let block = latest.first_missing(self.next_new.max(self.flight.floor()));
        let known = self.unknown_from.is_none_or(|unknown_from| block < unknown_from);
        let in_reach = !self.is_reliable() || block.0 < self.flight.floor().0.saturating_add(limits::REACH);
        // Sendings are forgotten by what a receiver says of packets: one that speaks only of blocks is sent no more.
        let remembers_little = self.flight.remembered() < 2 * limits::REACH;
        (block.0 < self.blocks && known && in_reach && remembers_little).then_some(block)
    }

    /// Whether the mode and the receiver allow one more block on the way.
    fn policy_has_room(&self) -> bool {
        let credit = self.latest.as_ref().map_or(0, |(_, report)| u64::from(report.credit));
        match self.config.policy.window {
            Window::Unlimited => true,
            Window::Blocks(window) => self.flight.len() < credit.min(u64::from(window)),
            Window::Congestion => self.flight.len() < credit,
        }
    }

    /// Bytes on the way.
    fn in_flight(&self) -> u64 {
        self.flight.len() * self.config.datagram()
    }

    /// How fast packets may leave, in bytes per second.
    fn rate(&self) -> Option<u64> {
        let rates = [self.congestion.rate(&self.rtt), self.config.highest_rate()];
        rates.into_iter().flatten().min()
    }

    fn is_reliable(&self) -> bool {
        self.config.policy.is_reliable()
    }

    /// Leaves out a packet number now and then, so that a receiver which reports what it has not seen is found out.
    fn maybe_skip(&mut self, now: Time) {
        self.skip_in = self.skip_in.saturating_sub(1);
        if self.skip_in == 0 {
            self.skips += 1;
            self.skip_in = self.config.next_skip(self.skips);
            self.flight.skip(now);
        }
    }

    fn out(&mut self, packet: Packet) -> Outgoing {
        self.teller.tell(Told::Sent(wire::about(&packet.body)));
        Outgoing { to: self.config.peer, packet }
    }
}
