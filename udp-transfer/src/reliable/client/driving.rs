//! Drives a receiver to its end: packets and time go in, reports come out, blocks go to the disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arq::handshake::{Client, Unanswered};
use arq::wire::{self, Datagram, Envelope, Handshake};
use arq::{BlockNumber, CloseReason, Flow, Layout, Outcome, Packet, Peer, Receiver, Verdict};
use events::Time;
use labkit::{Failure, Session};

use super::connection::{Connection, QUIET};
use super::handshaking::new_handshake;
use super::resting::Resting;
use super::writing::Writer;
use crate::disk::part::Part;

/// The one peer there is.
pub(super) const PEER: Peer = Peer(0);
/// At least so many datagrams are taken before the timers have their turn, where as many are there; and what came with the last.
const BATCH: usize = 256;

/// How driving ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The machine says so.
    Outcome(Outcome),
    /// The server had forgotten us, and knows us again: under another name, in a session where nothing was asked yet.
    Renewed,
    /// Somebody stopped it.
    Interrupted,
    /// It took too long.
    Late,
    /// The disk or the socket would not.
    Failed(Failure),
}

/// One transfer, and what it is driven with.
pub(super) struct Driving<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) receiver: Receiver,
    pub(super) part: &'a mut Part,
    pub(super) layout: Layout,
    pub(super) flow: Flow,
    pub(super) session: &'a Session,
    /// Which row of the report, for events.
    pub(super) number: u64,
    pub(super) until: Option<Time>,
    /// How many bytes are here.
    pub(super) progress: &'a AtomicU64,
    /// How many blocks are stored at once at most: so many a report speaks of.
    pub(super) at_once: u64,
    /// How many blocks were here when it began.
    pub(super) held_before: u64,
    /// The server says that it does not know this session.
    pub(super) is_forgotten: bool,
    /// Where nothing else of this process waits for its thread: when to rest.
    pub(super) resting: Option<Resting>,
}

impl Driving<'_> {
    pub(super) async fn run(&mut self) -> Ended {
        let mut writer = Writer::new(self.layout);
        let mut heard = self.now();
        let mut reviving: Option<Client> = None;
        let mut refusals = self.connection.port.refusals();
        loop {
            self.drain(self.now()).await;
            if let Some(outcome) = self.receiver.outcome() {
                return Ended::Outcome(outcome);
            }
            let now = self.now();
            if self.session.shutdown.is_requested() {
                self.close(CloseReason::Stopped).await;
                return Ended::Interrupted;
            }
            if self.until.is_some_and(|until| until <= now) {
                self.close(CloseReason::Stopped).await;
                return Ended::Late;
            }
            // The server may have been restarted: while this session is waited for, another one is asked for.
            if reviving.is_none()
                && (now - heard >= QUIET || self.is_forgotten || self.connection.port.refusals() > refusals)
            {
                refusals = self.connection.port.refusals();
                reviving = Some(new_handshake(&[self.connection.agreed.datagram], now));
            }
            if let Some(hello) = reviving.as_mut().and_then(|client| client.poll_transmit(now)) {
                self.connection.send(&Datagram::Handshake(hello)).await;
            }
            if let Err(ended) = self.wait(heard, reviving.as_ref()).await {
                return ended;
            }
            let now = self.now();
            if self.receiver.poll_timeout().is_some_and(|due| due <= now) {
                self.receiver.handle_timeout(now);
                self.drain(now).await;
            }
            match self.take_batch(&mut writer, &mut reviving).await {
                Ok(true) => (heard, reviving, self.is_forgotten) = (self.now(), None, false),
                Ok(false) => {}
                Err(failure) => {
                    self.close(CloseReason::Storage).await;
                    return Ended::Failed(failure);
                }
            }
            let Some(client) = &mut reviving else { continue };
            client.handle_timeout(self.now());
            match client.outcome() {
                Some(Ok(agreed)) => {
                    self.connection.replace(agreed).await;
                    return Ended::Renewed;
                }
                // It is on its way back, or full; the machine's own patience says when to give up.
                Some(Err(Unanswered::Refused { .. } | Unanswered::Silence(_))) => {
                    (reviving, heard, self.is_forgotten) = (None, self.now(), false);
                }
                None => {}
            }
        }
    }

    /// After the end, until the sender knows of it, or will not be told.
    pub(super) async fn say_goodbye(&mut self) {
        loop {
            self.drain(self.now()).await;
            let Some(due) = self.receiver.poll_timeout().filter(|_| !self.is_forgotten) else { return };
            let waited = tokio::select! {
                waited = self.connection.port.wait(Some(due)) => waited,
                () = self.session.shutdown.requested() => return,
            };
            if waited.is_err() {
                return;
            }
            let mut writer = Writer::new(self.layout);
            if self.take_batch(&mut writer, &mut None).await.is_err() {
                return;
            }
            if due <= self.now() {
                self.receiver.handle_timeout(self.now());
            }
        }
    }

    fn now(&self) -> Time {
        self.connection.clock.now()
    }

    async fn wait(&mut self, heard: Time, reviving: Option<&Client>) -> Result<(), Ended> {
        let revive = reviving.map_or(Some(heard + QUIET), Client::poll_timeout);
        let until = [self.receiver.poll_timeout(), self.until, revive].into_iter().flatten().min();
        let server = self.connection.server();
        tokio::select! {
            waited = self.connection.port.wait(until) => waited.map_err(|error| {
                Ended::Failed(Failure::io("exchange datagrams with", server, &error))
            }),
            () = self.session.shutdown.requested() => Ok(()),
        }
    }

    /// Takes what has come. True when some of it was of this transfer.
    async fn take_batch(&mut self, writer: &mut Writer, reviving: &mut Option<Client>) -> Result<bool, Failure> {
        let mut of_ours = false;
        // What lies there has come by now: to look at the clock for each would cost more than the machine takes for it.
        let mut now = self.now();
        let (mut taken, mut all) = (0, false);
        // What was received with the last of them goes along: its room is for others then.
        while taken < BATCH || self.connection.port.has_received() {
            let Some((bytes, ecn)) = self.connection.port.poll() else {
                all = true;
                break;
            };
            taken += 1;
            let (number, body, payload) = match wire::decode(bytes) {
                Ok(Datagram::Transfer(envelope, body, payload))
                    if envelope.to == self.connection.agreed.client && envelope.flow == self.flow =>
                {
                    (envelope.number, body, payload)
                }
                Ok(Datagram::Handshake(handshake)) => {
                    // Believed where blocks have come meanwhile: else a server that always says so would have us
                    // shake hands for ever, as fast as it answers. After a silence we ask anyway.
                    let came = self.receiver.held().len() > self.held_before;
                    self.is_forgotten |= came && self.connection.agreed.is_gone_by(&handshake);
                    revive(reviving, now, &handshake);
                    continue;
                }
                // A straggler of an earlier flow, or damage: as good as lost.
                Ok(_) | Err(_) => continue,
            };
            of_ours = true;
            match self.receiver.handle(now, PEER, &Packet { number, body, ecn }) {
                Verdict::Store(block) if writer.takes(block) => writer.add(block, payload),
                Verdict::Store(block) => {
                    // What is before it goes to the disk first; its bytes lie in the socket's buffer as long.
                    store(writer, self.part, &mut self.receiver, now)?;
                    writer.add(block, payload);
                    now = self.now();
                }
                Verdict::Taken | Verdict::Ignored(_) => {}
            }
            if writer.count() >= self.at_once {
                store(writer, self.part, &mut self.receiver, now)?;
            }
            self.drain(now).await;
        }
        self.connection.port.give_room_back();
        now = self.now();
        store(writer, self.part, &mut self.receiver, now)?;
        self.drain(self.now()).await;
        let held = self.receiver.held().len().saturating_mul(u64::from(self.layout.block()));
        self.progress.store(held.min(self.layout.size()), Ordering::Relaxed);
        if let Some(rest) = self.rest(taken).filter(|_| all) {
            // Not the runtime's: its timers know milliseconds, and it wakes for each datagram whoever waits for something else.
            std::thread::sleep(rest);
        }
        // Other transfers of this process want their turn even while this one never has to wait.
        tokio::task::yield_now().await;
        Ok(of_ours)
    }

    fn rest(&mut self, taken: usize) -> Option<Duration> {
        let now = self.now();
        self.resting.as_mut()?.after(now, taken)
    }

    /// **Drain before you feed.**
    async fn drain(&mut self, now: Time) {
        while let Some(out) = self.receiver.poll_transmit(now) {
            let envelope = Envelope { to: self.connection.agreed.server, flow: self.flow, number: out.packet.number };
            self.connection.send(&Datagram::Transfer(envelope, out.packet.body, &[])).await;
        }
        while let Some(told) = self.receiver.poll_event() {
            let server = self.connection.server();
            self.session.recorder.tell_in(self.number, || told.event(&server.to_string()));
        }
    }

    async fn close(&mut self, reason: CloseReason) {
        let now = self.now();
        self.receiver.close(now, reason);
        self.drain(now).await;
    }
}

fn revive(reviving: &mut Option<Client>, now: Time, handshake: &Handshake) {
    if let Some(client) = reviving {
        client.handle(now, handshake);
    }
}

/// **Store before you report**: a run is written, and only then are its blocks reported.
fn store(writer: &mut Writer, part: &mut Part, receiver: &mut Receiver, now: Time) -> Result<(), Failure> {
    for block in writer.flush(part)? {
        receiver.stored(now, BlockNumber(block));
    }
    Ok(())
}

/// How long the server may be silent, for messages.
pub(super) const SILENCE: Duration = arq::limits::IDLE;
