//! The loop that drives it all: whatever is due next happens next.

use std::collections::VecDeque;

use arq::wire::{self, Datagram, Envelope};
use arq::{
    BlockNumber, Body, Codepoint, FileId, Flow, Layout, Outgoing, PacketNumber, Peer, Receiver, ReceiverConfig, Sender,
    SenderConfig, SessionId, Told, Verdict,
};
use events::{Cause, Event, Record, Time};
use netsim::{Arrival, Fate, Link, Random};

use super::{Disk, Run, Scenario};
use crate::marks::{hand_in, rewritten};

const SENDER: &str = "sender";
const RECEIVER: &str = "receiver";

/// The peers' numbers for each other.
const THE_OTHER: Peer = Peer(7);

/// An encoded datagram, and the ECN bits outside of it.
type Sealed = (Vec<u8>, Codepoint);

pub(super) struct World<'a> {
    scenario: &'a Scenario,
    now: Time,
    sender: Sender,
    receiver: Receiver,
    forward: Link<Sealed>,
    backward: Link<Sealed>,
    source: Disk,
    target: Disk,
    /// Blocks the target's disk has not taken yet, and when it will have.
    writing: VecDeque<(Time, BlockNumber, Vec<u8>)>,
    last_numbers: [PacketNumber; 2],
    run: Run,
}

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        // The last block is one byte long, or all of them are.
        let short = u64::from(scenario.block) - 1;
        let size = (scenario.blocks * u64::from(scenario.block)).saturating_sub(short);
        let layout = Layout::new(size, scenario.block);
        let source = Disk::full(layout, scenario.seed);
        let mut target = Disk::empty(layout);
        for block in scenario.held.iter().flat_map(|range| range.start.0..range.end.0).map(BlockNumber) {
            target.write(block, source.read(block));
        }
        let seed = |use_of_it| Random::stream(scenario.seed, use_of_it).number();
        let policy = scenario.policy;
        World {
            scenario,
            now: Time::ZERO,
            sender: Sender::new(
                Time::ZERO,
                SenderConfig {
                    peer: THE_OTHER,
                    policy,
                    layout,
                    congestion: scenario.congestion,
                    rate: scenario.rate,
                    ecn: scenario.ecn,
                    seed: seed(1),
                    listened_to: scenario.listen,
                },
            ),
            receiver: Receiver::new(
                Time::ZERO,
                ReceiverConfig {
                    peer: THE_OTHER,
                    policy,
                    layout,
                    file: FileId(1),
                    hash: [0; 32],
                    rate: 0,
                    congestion: None,
                    ecn: scenario.ecn,
                    held: scenario.held.clone(),
                    credit: scenario.credit,
                    rtt: None,
                    listened_to: scenario.listen,
                },
            ),
            forward: Link::new(scenario.forward.clone(), seed(2)),
            backward: Link::new(scenario.backward.clone(), seed(3)),
            source,
            target,
            writing: VecDeque::new(),
            last_numbers: [PacketNumber::NONE; 2],
            run: Run { blocks: layout.blocks(), trace: 0xcbf2_9ce4_8422_2325, ..Run::default() },
        }
    }

    pub(super) fn run(mut self) -> Run {
        self.drain_receiver();
        while let Some(next) = self.next_due().filter(|&next| next <= Time::ZERO + self.scenario.limit) {
            self.now = next;
            self.step();
        }
        self.run.sender = self.sender.outcome();
        self.run.receiver = self.receiver.outcome();
        (self.run.blocks_sent, self.run.sent_again) = self.sender.counts();
        (self.run.ecn, self.run.marked) = self.sender.ecn();
        self.run.held = self.receiver.held().clone();
        self.run.intact = self.source.equals(&self.target);
        self.run.stored_twice = self.target.written_twice();
        self.run.forward = self.forward.tally();
        self.run.backward = self.backward.tally();
        self.run
    }

    fn next_due(&self) -> Option<Time> {
        let disk = self.writing.front().map(|(due, ..)| *due);
        let due = [
            self.forward.poll_timeout(),
            self.backward.poll_timeout(),
            disk,
            self.sender.poll_timeout(),
            self.receiver.poll_timeout(),
        ];
        due.into_iter().flatten().min()
    }

    /// Everything that is due now. After each thing a machine is fed, it is drained.
    fn step(&mut self) {
        let now = self.now;
        while let Some(arrival) = self.forward.poll(now) {
            self.at_receiver(arrival);
            self.drain_receiver();
        }
        while let Some(arrival) = self.backward.poll(now) {
            self.at_sender(arrival);
            self.drain_sender();
        }
        while self.writing.front().is_some_and(|(due, ..)| *due <= now) {
            if let Some((_, block, bytes)) = self.writing.pop_front() {
                self.store(block, &bytes);
                self.drain_receiver();
            }
        }
        if self.sender.poll_timeout().is_some_and(|due| due <= now) {
            self.sender.handle_timeout(now);
            self.drain_sender();
            self.must_move_on(self.sender.poll_timeout(), SENDER);
        }
        if self.receiver.poll_timeout().is_some_and(|due| due <= now) {
            self.receiver.handle_timeout(now);
            self.drain_receiver();
            self.must_move_on(self.receiver.poll_timeout(), RECEIVER);
        }
    }

    fn at_receiver(&mut self, arrival: Arrival<Sealed>) {
        let (bytes, ecn) = as_it_came(arrival);
        let Ok(Datagram::Transfer(envelope, body, payload)) = wire::decode(&bytes) else { return };
        let packet = arq::Packet { number: envelope.number, body, ecn };
        if let Verdict::Store(block) = self.receiver.handle(self.now, THE_OTHER, &packet) {
            if self.scenario.disk_takes.is_zero() {
                self.store(block, payload);
            } else {
                self.writing.push_back((self.now + self.scenario.disk_takes, block, payload.to_vec()));
            }
        }
    }

    fn at_sender(&mut self, arrival: Arrival<Sealed>) {
        let (bytes, ecn) = as_it_came(arrival);
        let Ok(Datagram::Transfer(envelope, body, _)) = wire::decode(&bytes) else { return };
        let packet = arq::Packet { number: envelope.number, body, ecn };
        let verdict = self.sender.handle(self.now, THE_OTHER, &packet);
        if matches!(verdict, Verdict::Store(_)) {
            self.run.broken.push(format!("a sender asked to store: {verdict:?}"));
        }
    }

    fn store(&mut self, block: BlockNumber, bytes: &[u8]) {
        self.target.write(block, bytes);
        let (last, now) = (self.run.last_stored, self.now - Time::ZERO);
        let (from, until) = self.run.longest_pause;
        if now - last > until - from {
            self.run.longest_pause = (last, now);
        }
        self.run.last_stored = now;
        self.receiver.stored(self.now, block);
    }

    fn drain_sender(&mut self) {
        while let Some(outgoing) = self.sender.poll_transmit(self.now) {
            self.tell(SENDER);
            self.must_be_fresh(0, outgoing.packet.number);
            let bytes = self.encode(&outgoing);
            let (kind, length, ecn) = (outgoing.packet.body.kind(), bytes.len(), outgoing.packet.ecn);
            let fate = hand_in(&mut self.forward, self.now, kind, length, (bytes, ecn), ecn);
            self.tell_loss(SENDER, RECEIVER, &outgoing, fate);
        }
        self.tell(SENDER);
        if self.sender.poll_transmit(self.now).is_some() || self.sender.poll_event().is_some() {
            self.run.broken.push("a drained sender had more to say".to_owned());
        }
    }

    fn drain_receiver(&mut self) {
        while let Some(outgoing) = self.receiver.poll_transmit(self.now) {
            self.tell(RECEIVER);
            self.must_be_fresh(1, outgoing.packet.number);
            self.must_be_true(&outgoing.packet.body);
            let bytes = self.encode(&outgoing);
            let (kind, length, ecn) = (outgoing.packet.body.kind(), bytes.len(), outgoing.packet.ecn);
            let fate = hand_in(&mut self.backward, self.now, kind, length, (bytes, ecn), ecn);
            self.tell_loss(RECEIVER, SENDER, &outgoing, fate);
        }
        self.tell(RECEIVER);
        if self.receiver.poll_transmit(self.now).is_some() || self.receiver.poll_event().is_some() {
            self.run.broken.push("a drained receiver had more to say".to_owned());
        }
        if self.receiver.outcome().is_some() && self.run.time.is_zero() {
            self.run.time = self.now - Time::ZERO;
        }
    }

    fn encode(&mut self, outgoing: &Outgoing) -> Vec<u8> {
        let envelope = Envelope { to: SessionId(0xcafe), flow: Flow(1), number: outgoing.packet.number };
        let mut bytes = Vec::with_capacity(usize::from(self.scenario.block) + wire::BLOCK_OVERHEAD);
        match outgoing.packet.body {
            Body::Block(block, _) => wire::encode_block(&mut bytes, envelope, block, self.source.read(block)),
            Body::Open(_) | Body::Report(_) | Body::Done { .. } | Body::Close(_) => {
                Datagram::Transfer(envelope, outgoing.packet.body.clone(), &[]).encode(&mut bytes);
            }
        }
        self.run.datagrams += 1;
        // FNV-1a over the time and the checksum at the end of the datagram, which stands for all of it.
        let tail = bytes.last_chunk::<4>().copied().unwrap_or_default();
        for byte in self.now.as_nanos().to_be_bytes().into_iter().chain(tail) {
            self.run.trace = (self.run.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        bytes
    }

    /// What the machines told, in the common vocabulary.
    fn tell(&mut self, node: &str) {
        loop {
            let (told, peer) = if node == SENDER {
                (self.sender.poll_event(), RECEIVER)
            } else {
                (self.receiver.poll_event(), SENDER)
            };
            let Some(told) = told else { return };
            self.record(node, &told, peer);
        }
    }

    fn record(&mut self, node: &str, told: &Told, peer: &str) {
        self.run.records.push(Record::new(self.now, node, told.event(peer)));
    }

    /// A loss we made is told by the link, at the end that sent the packet.
    fn tell_loss(&mut self, node: &str, peer: &str, outgoing: &Outgoing, fate: Fate) {
        if fate.arrives() || !self.scenario.listen {
            return;
        }
        let body = &outgoing.packet.body;
        let (peer, what) = (peer.to_owned(), body.kind().to_owned());
        let event = Event::Dropped { peer, what, number: body.ordinal(), bytes: 0, cause: Cause::Impaired };
        self.run.records.push(Record::new(self.now, node, event));
    }

    /// A packet number is never used twice, and never falls.
    fn must_be_fresh(&mut self, end: usize, number: PacketNumber) {
        if number <= self.last_numbers[end] {
            self.run.broken.push(format!("packet number {number} after {}", self.last_numbers[end]));
        }
        self.last_numbers[end] = number;
    }

    /// Store before you report. Looked at: the blocks around the floor, which was looked at before, and the newest.
    fn must_be_true(&mut self, body: &Body) {
        let (Body::Report(report) | Body::Open(arq::Open { report, .. })) = body else { return };
        let around = |at: BlockNumber| at.0.saturating_sub(16)..(at.0 + 16).min(report.seen.0);
        let mut claimed = around(report.floor).chain(around(report.seen)).map(BlockNumber);
        if let Some(block) = claimed.find(|&block| report.has(block) && !self.target.has(block)) {
            self.run.broken.push(format!("block {block} was reported before it was stored"));
        }
    }

    /// A machine that has been asked to do what is due must not ask for the same moment again.
    fn must_move_on(&mut self, due: Option<Time>, node: &str) {
        if due.is_some_and(|due| due <= self.now) {
            self.run.broken.push(format!("the {node} does not move on at {}", self.now));
            self.now = Time::MAX;
        }
    }
}

fn as_it_came(arrival: Arrival<Sealed>) -> Sealed {
    let (mut bytes, ecn) = arrival.packet;
    if let Some(damage) = arrival.damage {
        damage.apply(&mut bytes);
    }
    (bytes, rewritten(ecn, arrival.ecn))
}
