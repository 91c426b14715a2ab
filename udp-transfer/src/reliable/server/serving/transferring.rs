//! Transfers from their opening to their row in the summary.

use std::time::Duration;

use arq::policy::Policy;
use arq::wire::{BLOCK_OVERHEAD, Datagram, Envelope};
use arq::{Body, CloseReason, Layout, Open, Outcome, Packet, PacketNumber, Sender, SenderConfig, Verdict};
use events::{Event, Time};
use labkit::text;
use labkit::units::{show_bytes, show_duration};

use super::{Due, Serving, Stage};
use crate::disk::offer::ServeError;
use crate::reliable::server::Sent;
use crate::reliable::server::sessions;
use crate::reliable::server::transfer::{Key, PEER, Transfer};

/// How many ended transfers the summary lists; all are counted.
const LISTED: usize = 1_000;

impl Serving {
    pub(super) async fn on_packet(&mut self, now: Time, envelope: Envelope, body: Body) {
        let key = Key { session: envelope.to, flow: envelope.flow };
        if !self.transfers.contains_key(&key) {
            // A report of a transfer that is over is not answered: its client is silent soon.
            let Body::Open(open) = &body else { return };
            if let Err(reason) = self.begin(now, key, open) {
                self.refuse(key, reason).await;
                return;
            }
        }
        let Some(transfer) = self.transfers.get_mut(&key) else { return };
        let packet = Packet::plain(envelope.number, body);
        match transfer.sender.handle(now, PEER, &packet) {
            Verdict::Taken | Verdict::Ignored(_) => {}
            Verdict::Store(_) => tracing::error!("a sender asked to store a block: a fault of ours"),
        }
        // Who sends many datagrams has no more turns for it.
        if !transfer.has_more {
            self.drain(key).await;
        }
    }

    pub(super) async fn refuse(&mut self, key: Key, reason: CloseReason) {
        let Some(session) = self.sessions.get(&key.session) else { return };
        let envelope = Envelope { to: session.client, flow: key.flow, number: PacketNumber(1) };
        self.outgoing.send(session.address, &Datagram::Transfer(envelope, Body::Close(reason), &[])).await;
    }

    pub(super) fn begin(&mut self, now: Time, key: Key, open: &Open) -> Result<(), CloseReason> {
        let rate = self.rate_for(&open.policy, open.rate);
        let session = self.sessions.get_mut(&key.session).ok_or(CloseReason::Protocol)?;
        if self.stage != Stage::Open {
            return Err(CloseReason::ShuttingDown);
        }
        if session.transfers >= self.config.limits.per_session || !session.opens.take(now) {
            return Err(CloseReason::Busy);
        }
        let source = self.catalogue.open(now, open.file).map_err(|error| match error {
            ServeError::Unknown => CloseReason::Changed, // It was listed once, or nobody could know its number.
            ServeError::Vanished => CloseReason::NotFound,
            ServeError::Changed => CloseReason::Changed,
            ServeError::Unreadable(error) => {
                tracing::warn!("{}: cannot read it: {error}", session.address);
                CloseReason::Storage
            }
        })?;
        if source.entry().hash != open.hash {
            return Err(CloseReason::Changed);
        }
        let block = session.datagram.saturating_sub(u16::try_from(BLOCK_OVERHEAD).unwrap_or(u16::MAX));
        let layout = Layout::new(source.entry().size, block);
        let config = SenderConfig {
            peer: PEER,
            policy: open.policy,
            layout,
            congestion: open.congestion.unwrap_or(self.config.congestion),
            rate,
            ecn: self.config.ecn && open.ecn,
            seed: rand::random(),
            listened_to: self.config.packets,
        };
        session.transfers += 1;
        self.begun += 1;
        let transfer = Transfer {
            number: self.begun,
            sender: Sender::new(now, config),
            source,
            layout,
            mode: open.policy.to_string(),
            to: session.address,
            client: session.client,
            flow: key.flow,
            begun: now,
            held: layout.blocks() - open.report.count_missing(layout.blocks()).min(layout.blocks()),
            due: None,
            has_more: false,
            problem: None,
            is_told: false,
            can_cut: self.config.offload,
        };
        let name = transfer.source.entry().name.to_string();
        tracing::debug!("{}: transfer {} of {name}, {} held", transfer.to, transfer.number, transfer.held);
        self.session
            .recorder
            .tell_in(self.begun, || Event::Phase { name: format!("transfer of {name} to {}", transfer.to) });
        self.transfers.insert(key, transfer);
        Ok(())
    }

    /// What the client asks for, and at most what we allow.
    pub(super) fn rate_for(&self, policy: &Policy, asked: u64) -> Option<u64> {
        let asked = (asked > 0).then_some(asked);
        match (asked, self.config.bitrate) {
            // In raw mode nothing slows down for others: unasked, RFC 8085 section 3.1 has us keep to a modest rate.
            (None, Some(most)) if !policy.is_reliable() => Some(most.min(SenderConfig::RAW_RATE)),
            (asked, most) => asked.into_iter().chain(most).min(),
        }
    }

    /// Sends what a transfer has to send, and sees whether it is over.
    pub(super) async fn drain(&mut self, key: Key) {
        let Some(transfer) = self.transfers.get_mut(&key) else { return };
        transfer.has_more = transfer.drain(&self.session, &mut self.run, &mut self.outgoing).await;
        let outcome = transfer.sender.outcome();
        // Behind whoever is due already: transfers that have more to send take turns.
        let due = if transfer.has_more { Some(self.session.clock.now()) } else { transfer.sender.poll_timeout() };
        self.timers.set(Due::Transfer(key), &mut transfer.due, due);
        if let Some(outcome) = outcome.filter(|_| !transfer.is_told) {
            transfer.is_told = true;
            let sent = account(transfer, outcome, self.session.clock.now());
            self.note(&sent, outcome);
            let brought = sent.blocks > 0 && !matches!(outcome, Outcome::Failed(_));
            self.linger(key, brought);
        }
        if outcome.is_some() && due.is_none() {
            self.forget(key);
        }
    }

    /// A transfer is over: it makes room for another, the sooner if it brought anything, and answers its client's last
    /// questions as long as there is room for that.
    pub(super) fn linger(&mut self, key: Key, brought: bool) {
        let Some(session) = self.sessions.get_mut(&key.session) else { return };
        session.transfers = session.transfers.saturating_sub(1);
        if brought {
            session.opens.give_back();
        }
        session.lingering.push_back(key.flow);
        if session.lingering.len() > sessions::LINGERING
            && let Some(flow) = session.lingering.front().copied()
        {
            self.forget(Key { session: key.session, flow });
        }
    }

    pub(super) fn forget(&mut self, key: Key) {
        if let Some(mut transfer) = self.transfers.remove(&key) {
            self.timers.set(Due::Transfer(key), &mut transfer.due, None);
        }
        if let Some(session) = self.sessions.get_mut(&key.session) {
            session.lingering.retain(|flow| *flow != key.flow);
        }
    }

    /// One line and one row for each transfer.
    pub(super) fn note(&mut self, sent: &Sent, outcome: Outcome) {
        let elapsed = Duration::from_nanos(sent.elapsed_ns);
        let blocks = sent.blocks.saturating_mul(u64::from(sent.block));
        tracing::info!(
            "{}: {} ({}, {}): {}{}; {} blocks sent, {} of them again, in {}",
            sent.to,
            text::show(sent.file.as_bytes(), 200),
            show_bytes(sent.size),
            sent.mode,
            if outcome.is_complete() { "complete" } else { "not complete" },
            sent.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default(),
            sent.blocks,
            sent.sent_again,
            show_duration(elapsed),
        );
        self.session
            .recorder
            .tell_in(sent.transfer, || Event::Finished { outcome: sent.outcome, reason: sent.reason.clone() });
        self.served.transfers += 1;
        self.served.complete += u64::from(outcome.is_complete());
        self.served.bytes = self.served.bytes.saturating_add(blocks);
        self.served.blocks += sent.blocks;
        self.served.sent_again += sent.sent_again;
        if self.served.last.len() == LISTED {
            self.served.last.pop_front();
        }
        self.served.last.push_back(sent.clone());
    }
}

pub(super) fn account(transfer: &Transfer, outcome: Outcome, now: Time) -> Sent {
    let (blocks, sent_again) = transfer.sender.counts();
    let (ecn, marked) = transfer.sender.ecn();
    let (how, reason) = transfer.ending(outcome);
    Sent {
        transfer: transfer.number,
        to: transfer.to.to_string(),
        file: transfer.source.entry().name.to_string(),
        mode: transfer.mode.clone(),
        size: transfer.layout.size(),
        blocks,
        sent_again,
        ecn: ecn.name(),
        marked,
        block: transfer.layout.block(),
        elapsed_ns: u64::try_from(transfer.elapsed(now).as_nanos()).unwrap_or(u64::MAX),
        outcome: how,
        reason,
    }
}
