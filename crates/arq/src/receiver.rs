//! The receiving end of a transfer: it says which blocks to store, and how things stand.

mod config;
mod ending;
mod shelf;

#[cfg(test)]
mod tests;

use events::Time;

pub use config::ReceiverConfig;

use crate::limits;
use crate::policy::{Accept, Reporting};
use crate::told::Teller;
use crate::{
    BlockNumber, Body, CloseReason, Codepoint, Failure, Marks, Open, Outcome, Outgoing, Packet, PacketNumber, Peer,
    RangeSet, Report, Told, Verdict, Why, wire,
};
use ending::Ending;
use shelf::{Place, Shelf};

/// The receiving end of one transfer from one sender, in every mode.
///
/// It holds no byte of the file. When a block comes that is wanted, [`handle`](Receiver::handle) answers
/// [`Verdict::Store`]; whoever drives it writes the bytes at their offset, at once or later, and then calls
/// [`stored`](Receiver::stored). **Store before you report**: no report claims a block before that, and none makes the
/// sender believe it lost while it waits for the disk.
///
/// **Drain before you feed** and **Deaf events** hold as for [`Sender`](crate::Sender).
///
/// It speaks first, by asking for the file with what it holds already. It is over when `outcome` is there, and may be
/// thrown away when then `poll_timeout` gives none: until then it makes sure that the sender knows.
#[derive(Debug)]
pub struct Receiver {
    config: ReceiverConfig,
    blocks: u64,
    shelf: Shelf,
    teller: Teller,
    next_number: PacketNumber,
    /// The sender has answered, so it has our request.
    opened: bool,
    /// How many blocks were stored since the last report.
    unreported: u32,
    /// When the next report is due.
    report_due: Option<Time>,
    /// When the peer was last heard, and when we last said something.
    last_heard: Time,
    last_said: Time,
    ending: Ending,
    duplicates: u64,
    out_of_order: u64,
    marks: Marks,
    /// A block came marked, and no report has said so.
    unreported_mark: bool,
}

impl Receiver {
    /// A receiver that will ask for the file at once.
    #[must_use]
    pub fn new(now: Time, config: ReceiverConfig) -> Self {
        let blocks = config.layout.blocks();
        let mut receiver = Receiver {
            blocks,
            shelf: Shelf::new(config.held.clone()),
            teller: Teller::new(config.listened_to),
            next_number: PacketNumber(1),
            opened: false,
            unreported: 0,
            report_due: Some(now),
            last_heard: now,
            last_said: now,
            ending: Ending::default(),
            duplicates: 0,
            out_of_order: 0,
            marks: Marks::default(),
            unreported_mark: false,
            config,
        };
        if receiver.shelf.held().len() >= blocks {
            receiver.had_it_all_along();
        }
        receiver
    }

    /// Takes a packet that came from `from`.
    pub fn handle(&mut self, now: Time, from: Peer, packet: &Packet) -> Verdict {
        if from != self.config.peer {
            return Verdict::Ignored(Why::Foreign);
        }
        self.teller.tell(Told::Received(wire::about(&packet.body)));
        let verdict = match packet.body {
            Body::Block(block, length) => self.on_block(now, packet.number, block, length, packet.ecn),
            Body::Done { again, heard, ecn } => self.on_done(now, packet.number, heard, (again, ecn)),
            Body::Close(reason) => self.on_close(now, reason),
            Body::Open(_) | Body::Report(_) => Verdict::Ignored(Why::Misplaced),
        };
        if let Verdict::Ignored(why) = verdict {
            self.duplicates += u64::from(why == Why::Duplicate);
            self.out_of_order += u64::from(why == Why::OutOfOrder);
            self.teller.tell(Told::Refused(wire::about(&packet.body)));
        }
        verdict
    }

    /// The disk has taken a block that [`handle`](Receiver::handle) gave out to be stored. Blocks may be stored in any
    /// order; one that was never given out is not believed.
    pub fn stored(&mut self, now: Time, block: BlockNumber) {
        let Some(place) = self.shelf.stored(block) else { return };
        if self.outcome().is_some() {
            return;
        }
        if self.shelf.held().len() >= self.blocks {
            self.complete(now);
            return;
        }
        self.unreported += 1;
        match self.config.policy.report {
            Reporting::Never => {}
            Reporting::EveryBlock => self.report_due = Some(now),
            // RFC 5681 section 4.2: at once when there is a gap before or behind it, else every second one or after a
            // while. Who asks for fewer reports than TCP gives is told only of gaps that come or go.
            Reporting::Delayed { every, delay } => {
                let at_once = match place {
                    Place::InOrder => false,
                    Place::BesideGap => every <= 2,
                    Place::MakesOrEndsGap => true,
                };
                // RFC 9000 section 13.2.1: a mark is told at once as well.
                let at_once = at_once || self.unreported_mark;
                let due = if at_once || self.unreported >= every { now } else { now + delay };
                self.report_due = Some(self.report_due.map_or(due, |earlier| earlier.min(due)));
            }
        }
    }

    /// Does whatever is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.outcome().is_some() {
            self.repeat_last_words(now);
            return;
        }
        if self.idle_due() <= now {
            self.on_silence(now);
            return;
        }
        if self.ending.stragglers_until().is_some_and(|until| until <= now) {
            self.end_with_holes(now);
            return;
        }
        if self.keepalive_due() <= now {
            self.report_due = Some(now);
        }
    }

    /// The next packet to send, if there is one.
    pub fn poll_transmit(&mut self, now: Time) -> Option<Outgoing> {
        if let Some(reason) = self.ending.take_close() {
            return Some(self.out(now, Body::Close(reason)));
        }
        if self.report_due.is_none_or(|due| due > now) {
            return None;
        }
        self.report_due = None;
        self.unreported = 0;
        self.unreported_mark = false;
        let delay = self.shelf.newest_at().map(|came| now - came).unwrap_or_default();
        let report = Report::of(self.shelf.held(), self.shelf.newest(), delay, self.config.credit);
        let report = Report { marks: self.marks, ..report };
        let body = if self.opened {
            Body::Report(report)
        } else {
            let ReceiverConfig { file, hash, policy, rate, congestion, ecn, .. } = self.config;
            Body::Open(Open { file, hash, policy, rate, congestion, ecn, report })
        };
        Some(self.out(now, body))
    }

    /// When to call [`handle_timeout`](Receiver::handle_timeout) and then [`poll_transmit`](Receiver::poll_transmit), if
    /// nothing comes before; none when this receiver has no more to say.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.outcome().is_some() {
            return self.ending.due();
        }
        let timers =
            [Some(self.idle_due()), Some(self.keepalive_due()), self.report_due, self.ending.stragglers_until()];
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

    /// Changes how many blocks may be on the way: zero asks the sender to pause.
    pub fn grant(&mut self, now: Time, credit: u32) {
        self.config.credit = credit;
        self.report_due = Some(now);
    }

    /// Ends the transfer from this side, and tells the peer why.
    pub fn close(&mut self, now: Time, reason: CloseReason) {
        self.fail(now, Failure::Closed(reason), Some(reason));
    }

    /// The blocks that are stored.
    #[must_use]
    pub fn held(&self) -> &RangeSet {
        self.shelf.held()
    }

    /// How many blocks came that were here already, and how many were thrown away for coming out of order.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.duplicates, self.out_of_order)
    }

    /// How many blocks came with which codepoint.
    #[must_use]
    pub fn marks(&self) -> Marks {
        self.marks
    }

    fn on_block(
        &mut self,
        now: Time,
        number: PacketNumber,
        block: BlockNumber,
        length: u16,
        ecn: Codepoint,
    ) -> Verdict {
        if block.0 >= self.blocks || length != self.config.layout.length(block) {
            return Verdict::Ignored(Why::Misplaced);
        }
        if self.outcome().is_some() {
            // The sender does not know yet that it is over.
            self.answer(now);
            return Verdict::Ignored(Why::Ended);
        }
        self.heard(now);
        if self.shelf.has_or_expects(block) {
            return self.throw_away(now, number, Why::Duplicate);
        }
        if self.config.policy.accept == Accept::InOrder && block != self.shelf.next_in_order() {
            return self.throw_away(now, number, Why::OutOfOrder);
        }
        let room = usize::try_from(self.config.credit).unwrap_or(usize::MAX).max(1);
        if !self.shelf.expect(now, number, block, room) {
            return Verdict::Ignored(Why::NoRoom);
        }
        self.marks.count(ecn);
        self.unreported_mark |= ecn == Codepoint::Ce;
        Verdict::Store(block)
    }

    /// A block that is not kept is answered at once all the same: it may be here because our last report was lost.
    fn throw_away(&mut self, now: Time, number: PacketNumber, why: Why) -> Verdict {
        self.shelf.note(now, number);
        if self.config.policy.is_reliable() {
            self.report_due = Some(now);
        }
        Verdict::Ignored(why)
    }

    fn heard(&mut self, now: Time) {
        self.last_heard = now;
        if !self.opened {
            self.opened = true;
            self.report_due = None;
        }
    }

    /// When to say how things stand although nothing came: so that a sender whose packets, or whose answers, were all
    /// lost knows at once when the path is back. In raw mode it is the only sign of life there is.
    fn keepalive_due(&self) -> Time {
        if !self.opened {
            return self.last_said + self.config.open_again();
        }
        let since = if self.config.policy.is_reliable() { self.last_said.max(self.last_heard) } else { self.last_said };
        since + limits::KEEPALIVE
    }

    fn out(&mut self, now: Time, body: Body) -> Outgoing {
        self.last_said = now;
        let number = self.next_number;
        self.next_number = number.next();
        self.teller.tell(Told::Sent(wire::about(&body)));
        Outgoing { to: self.config.peer, packet: Packet::plain(number, body) }
    }
}
