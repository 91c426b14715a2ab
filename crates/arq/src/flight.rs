//! What is on the way: which packet carried which block when, and which blocks have to go again.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use events::Time;

use crate::{BlockNumber, BlockRange, Codepoint, PacketNumber, RangeSet, Report};

/// The bookkeeping of one window.
///
/// Two logs, each a ring that is filled at one end and emptied at the other, so that nothing is allocated once they have
/// their size: the sendings by packet number, and the blocks by block number. A report is worked off by walking the
/// sendings up to the newest one it knows of, and each sending is walked past once.
#[derive(Debug)]
pub(crate) struct Flight {
    /// The sendings from packet number `first_sending` on.
    sendings: VecDeque<Sending>,
    first_sending: u64,
    /// The blocks from number `floor` on, as far as any has been sent.
    blocks: VecDeque<Carrier>,
    floor: u64,
    on_the_way: u64,
    landed: u64,
    /// Blocks that were lost and have not been sent again.
    lost: RangeSet,
    /// How many later packets must have arrived before a missing one is lost.
    patience: u64,
    /// Whether patience may grow.
    learns: bool,
}

#[derive(Clone, Copy, Debug)]
struct Sending {
    cargo: Cargo,
    sent: Time,
}

/// What a packet number was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cargo {
    Block(BlockNumber),
    /// A packet that is not sent again when it is lost.
    Other,
    /// No packet has this number, on purpose: who reports it lies (RFC 9000 section 21.4).
    Skipped,
}

/// The packet that carries a block at the moment; [`PacketNumber::NONE`] when none does.
#[derive(Clone, Copy, Debug, Default)]
struct Carrier {
    number: PacketNumber,
    /// It was sent again because it was taken for lost.
    again: bool,
    /// It has left the network, but the reports have not come to it yet: see [`Flight::lose`].
    landed: bool,
    /// It was sent at least once so that no router may mark it: nobody knows how the one that arrives came.
    unmarkable: bool,
}

/// What a report changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// How many blocks that were on the way have arrived.
    pub(crate) arrived: u64,
    /// How many of them had landed before.
    pub(crate) landed: u64,
    /// How many of them were sent so that routers may mark them.
    pub(crate) markable: u64,
    /// Which packet carried the newest of them, and when that was sent.
    pub(crate) newest: PacketNumber,
    pub(crate) newest_sent: Time,
}

/// What was found to be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// How many blocks.
    pub(crate) count: u64,
    /// How many of them had landed, which is now known to be wrong.
    pub(crate) not_landed: u64,
    /// How many have landed: left the network, though the reports have not come to them yet.
    pub(crate) landed: u64,
    /// When the first and the last of them were sent.
    pub(crate) oldest_sent: Option<Time>,
    pub(crate) newest_sent: Time,
    /// When the next one is lost, if it does not arrive until then.
    pub(crate) next: Option<Time>,
}

impl Flight {
    /// RFC 9002 section 6.1.1, `kPacketThreshold`; RFC 5681 section 3.2, three duplicate ACKs.
    const PATIENCE: u64 = 3;
    /// How far patience may grow on a path that reorders.
    const MOST_PATIENCE: u64 = 20;

    /// Nothing is on the way yet. Whether a path reorders can be learned only where each block is sent again for
    /// reasons of its own: `learns`.
    pub(crate) fn new(learns: bool) -> Self {
        Flight {
            sendings: VecDeque::new(),
            first_sending: 1,
            blocks: VecDeque::new(),
            floor: 0,
            on_the_way: 0,
            landed: 0,
            lost: RangeSet::new(),
            patience: Self::PATIENCE,
            learns,
        }
    }

    /// How many blocks are on the way.
    pub(crate) fn len(&self) -> u64 {
        self.on_the_way
    }

    /// Whether the fate of any sent block is still open.
    pub(crate) fn is_open(&self) -> bool {
        self.on_the_way + self.landed > 0
    }

    /// How many sendings are remembered: what this bookkeeping costs.
    pub(crate) fn remembered(&self) -> u64 {
        self.sendings.len() as u64
    }

    /// The oldest packet that is remembered, or the next.
    pub(crate) fn first_remembered(&self) -> PacketNumber {
        PacketNumber(self.first_sending)
    }

    /// The lowest block that has not been reported as part of the whole.
    pub(crate) fn floor(&self) -> BlockNumber {
        BlockNumber(self.floor)
    }

    /// The number the next packet gets.
    pub(crate) fn next_number(&self) -> PacketNumber {
        PacketNumber(self.first_sending + self.sendings.len() as u64)
    }

    /// A packet without a block is sent.
    pub(crate) fn send_other(&mut self, now: Time) -> PacketNumber {
        let number = self.next_number();
        self.sendings.push_back(Sending { cargo: Cargo::Other, sent: now });
        number
    }

    /// A packet is sent of which nothing will be asked: raw mode remembers no sendings at all.
    pub(crate) fn send_untracked(&mut self) -> PacketNumber {
        let number = self.next_number();
        self.first_sending += 1;
        number
    }

    /// Leaves one number out.
    pub(crate) fn skip(&mut self, now: Time) {
        self.sendings.push_back(Sending { cargo: Cargo::Skipped, sent: now });
    }

    /// A block is sent, in a packet of its own, which routers may mark or not.
    pub(crate) fn send(&mut self, now: Time, block: BlockNumber, ecn: Codepoint) -> PacketNumber {
        let number = self.next_number();
        self.sendings.push_back(Sending { cargo: Cargo::Block(block), sent: now });
        let again = self.lost.contains(block);
        if again {
            // Taking a block out never fails below the cap, and at the cap it is merely sent once too often.
            let _ = self.lost.remove(block);
        }
        let Some(index) = self.index(block) else { return number };
        if self.blocks.len() <= index {
            self.blocks.resize(index + 1, Carrier::default());
        }
        if let Some(carrier) = self.blocks.get_mut(index) {
            let unmarkable = carrier.unmarkable || !ecn.may_be_marked();
            let before = std::mem::replace(carrier, Carrier { number, again, landed: false, unmarkable });
            self.take_off(before);
            self.on_the_way += 1;
        }
        number
    }

    /// When the packet `number` was sent; none when it never was, or so long ago that it is forgotten.
    pub(crate) fn sent_at(&self, number: PacketNumber) -> Option<Time> {
        self.sending(number).map(|sending| sending.sent)
    }

    /// Whether the number belongs to no packet: not used yet, or skipped.
    pub(crate) fn is_unsent(&self, number: PacketNumber) -> bool {
        number >= self.next_number() || self.sending(number).is_some_and(|sending| sending.cargo == Cargo::Skipped)
    }

    /// Takes from the way whatever the report says is here.
    pub(crate) fn settle(&mut self, report: &Report) -> Settled {
        let mut settled = Settled::default();
        while self.floor < report.floor.0 {
            let Some(carrier) = self.blocks.pop_front() else {
                self.floor = report.floor.0;
                break;
            };
            self.arrived(carrier, report.newest, &mut settled);
            self.floor += 1;
        }
        if self.lost.first().is_some_and(|first| first < report.floor) {
            self.be_more_patient();
            self.lost.remove_below(report.floor);
        }
        for offset in 0..self.sendings_up_to(report.newest) {
            let Some(block) = self.carried_by(offset).filter(|&block| report.has(block)) else { continue };
            if let Some(carrier) = self.index(block).and_then(|index| self.blocks.get_mut(index)) {
                let carrier = std::mem::take(carrier);
                self.arrived(carrier, report.newest, &mut settled);
            }
        }
        settled
    }

    /// Finds what is lost, by what the receiver said when `newest` was the newest packet it had, about blocks below
    /// `limit`. A block is lost when a packet sent [`Self::PATIENCE`] or more after its last sending has arrived
    /// (RFC 9002 section 6.1.1), or a later one has arrived and `delay` has passed since its sending (section 6.1.2).
    ///
    /// A block at or above `limit`, of which a cut report says nothing, has either arrived or is lost by then: which, a
    /// later report will tell. It no longer counts as on the way, or a window full of such blocks would never move on.
    pub(crate) fn lose(&mut self, now: Time, newest: PacketNumber, limit: BlockNumber, delay: Duration) -> Losses {
        let mut losses = Losses::default();
        for offset in 0..self.sendings_up_to(newest) {
            let Some(block) = self.carried_by(offset) else { continue };
            let number = self.first_sending + offset as u64;
            let sent = self.sendings.get(offset).map_or(now, |sending| sending.sent);
            let is_over = number + self.patience <= newest.0 || sent + delay <= now;
            if is_over && block < limit {
                self.mark_lost(block, sent, &mut losses);
            } else if is_over {
                losses.landed += self.mark_landed(block);
            } else if number < newest.0 {
                losses.next = Some(losses.next.map_or(sent + delay, |next| next.min(sent + delay)));
            }
        }
        self.forget_up_to(newest);
        losses
    }

    /// Takes everything on the way for lost: what go-back-n does.
    pub(crate) fn lose_all(&mut self) -> Losses {
        let mut losses = Losses::default();
        for offset in 0..self.sendings.len() {
            let Some(block) = self.carried_by(offset) else { continue };
            let sent = self.sendings.get(offset).map_or(Time::ZERO, |sending| sending.sent);
            self.mark_lost(block, sent, &mut losses);
        }
        losses
    }

    /// The receiver lacks these blocks, whatever we thought.
    pub(crate) fn queue_again(&mut self, range: BlockRange) {
        let _ = self.lost.insert_range(range); // Over the cap, the next report will speak of them again.
    }

    /// The lowest block that has to go again, by what `report` knows. Blocks that arrived after all are passed over, and
    /// make us more patient: the path reorders.
    pub(crate) fn next_lost(&mut self, report: &Report) -> Option<BlockNumber> {
        loop {
            let block = self.lost.first()?;
            if !report.has(block) {
                return Some(block);
            }
            let _ = self.lost.remove(block); // The lowest block of a set never splits a range.
            self.be_more_patient();
        }
    }

    /// Whether any block waits to be sent again.
    pub(crate) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// The block that has been on the way for longest.
    pub(crate) fn oldest(&self) -> Option<BlockNumber> {
        (0..self.sendings.len()).find_map(|offset| self.carried_by(offset))
    }

    fn arrived(&mut self, carrier: Carrier, newest: PacketNumber, settled: &mut Settled) {
        if carrier.number == PacketNumber::NONE {
            return;
        }
        if carrier.again && carrier.number > newest {
            // It is here although its second sending is not: the first was late, not lost (RFC 9002 section 6.1.1).
            self.be_more_patient();
        }
        self.take_off(carrier);
        if carrier.number > newest {
            // It is off the way; but that this sending brought it is nothing the receiver has said.
            return;
        }
        settled.arrived += 1;
        settled.landed += u64::from(carrier.landed);
        settled.markable += u64::from(!carrier.unmarkable);
        // Of a block that is here although its second sending is not, we do not know when the first was sent any more.
        let is_newest = carrier.number > settled.newest && carrier.number <= newest;
        if let Some(sending) = self.sending(carrier.number).filter(|_| is_newest) {
            (settled.newest, settled.newest_sent) = (carrier.number, sending.sent);
        }
    }

    fn mark_lost(&mut self, block: BlockNumber, sent: Time, losses: &mut Losses) {
        if let Some(place) = self.index(block).and_then(|index| self.blocks.get_mut(index)) {
            let unmarkable = place.unmarkable;
            let carrier = std::mem::replace(place, Carrier { unmarkable, ..Carrier::default() });
            self.take_off(carrier);
            losses.count += 1;
            losses.not_landed += u64::from(carrier.landed);
            losses.oldest_sent = Some(losses.oldest_sent.map_or(sent, |oldest| oldest.min(sent)));
            losses.newest_sent = losses.newest_sent.max(sent);
        }
        self.queue_again(BlockRange { start: block, end: BlockNumber(block.0 + 1) });
    }

    /// How many blocks that makes: one, or none if it was known before.
    fn mark_landed(&mut self, block: BlockNumber) -> u64 {
        let carrier = self.index(block).and_then(|index| self.blocks.get_mut(index));
        let Some(carrier) = carrier.filter(|carrier| !carrier.landed) else { return 0 };
        carrier.landed = true;
        self.on_the_way -= 1;
        self.landed += 1;
        1
    }

    /// A packet carries its block no longer.
    fn take_off(&mut self, carrier: Carrier) {
        if carrier.landed {
            self.landed -= 1;
        } else if carrier.number != PacketNumber::NONE {
            self.on_the_way -= 1;
        }
    }

    /// Drops the sendings nobody will ask for again: those up to `newest` that carry nothing any more.
    pub(crate) fn forget_up_to(&mut self, newest: PacketNumber) {
        while self.first_sending <= newest.0 && !self.sendings.is_empty() && self.carried_by(0).is_none() {
            self.sendings.pop_front();
            self.first_sending += 1;
        }
    }

    fn be_more_patient(&mut self) {
        if self.learns {
            self.patience = (self.patience + 1).min(Self::MOST_PATIENCE);
        }
    }

    /// The block the sending at `offset` still carries, if it has neither arrived nor been sent again since.
    fn carried_by(&self, offset: usize) -> Option<BlockNumber> {
        let Cargo::Block(block) = self.sendings.get(offset)?.cargo else { return None };
        let carrier = self.blocks.get(self.index(block)?)?;
        (carrier.number.0 == self.first_sending + offset as u64).then_some(block)
    }

    fn index(&self, block: BlockNumber) -> Option<usize> {
        usize::try_from(block.0.checked_sub(self.floor)?).ok()
    }

    fn sending(&self, number: PacketNumber) -> Option<Sending> {
        let offset = usize::try_from(number.0.checked_sub(self.first_sending)?).ok()?;
        self.sendings.get(offset).copied()
    }

    /// How many of the sendings we remember have numbers up to `newest`.
    fn sendings_up_to(&self, newest: PacketNumber) -> usize {
        let count = (newest.0 + 1).saturating_sub(self.first_sending);
        usize::try_from(count).unwrap_or(usize::MAX).min(self.sendings.len())
    }
}
