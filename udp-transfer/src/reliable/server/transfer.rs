//! One transfer at a server: a sender, an open file, and nothing of the file in memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arq::wire::{self, BLOCK_OVERHEAD, Datagram, Envelope};
use arq::{BlockNumber, Body, CloseReason, Codepoint, Flow, Layout, Outcome, PacketNumber, Peer, Sender, SessionId};
use events::Time;
use labkit::{Session, batch};

use crate::disk::offer::{ServeError, Source};
use crate::reliable::outgoing::Outgoing;

/// Which transfer: the server's id of its session, and the client's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) session: SessionId,
    pub(super) flow: Flow,
}

/// Every transfer has one peer, so its number says nothing.
pub(super) const PEER: Peer = Peer(0);

/// How many full batches are gathered before their blocks are read, at once where they are consecutive: some 256 KB, so
/// that they stay in the processor's cache until they are sent.
const RUN_BATCHES: usize = 4;

/// How many runs one transfer sends before the others, and what has come, have their turn: some 1 MB.
const RUNS_A_TURN: usize = 4;

/// A transfer under way.
pub(super) struct Transfer {
    pub(super) number: u64,
    pub(super) sender: Sender,
    pub(super) source: Arc<Source>,
    pub(super) layout: Layout,
    pub(super) mode: String,
    pub(super) to: SocketAddr,
    /// The client's id of the session.
    pub(super) client: SessionId,
    pub(super) flow: Flow,
    pub(super) begun: Time,
    /// How many blocks the client said at the start that it holds.
    pub(super) held: u64,
    /// When it is in the queue of timers for.
    pub(super) due: Option<Time>,
    /// Its last turn ended before all was sent that may leave: it waits for its next one.
    pub(super) has_more: bool,
    /// What went wrong with the file.
    pub(super) problem: Option<String>,
    pub(super) is_told: bool,
    /// Whether the kernel cuts batches for this path.
    pub(super) can_cut: bool,
}

/// What all transfers share: room for one run.
#[derive(Debug, Default)]
pub(super) struct Run {
    blocks: Vec<(PacketNumber, BlockNumber, Codepoint)>,
    bytes: Vec<u8>,
    /// Datagrams ready to leave, one behind the other.
    batch: Vec<u8>,
}

impl Transfer {
    /// **Drain before you feed**: sends what may leave now, run by run, but no more than a turn's worth. Tells whether
    /// more may leave: a rate beyond what the machine sends would else never let anybody else have a turn.
    pub(super) async fn drain(&mut self, session: &Session, run: &mut Run, outgoing: &mut Outgoing) -> bool {
        for _ in 0..RUNS_A_TURN {
            run.blocks.clear();
            // The clock is looked at once for all of them: it costs as much as the machine does.
            let (now, mut words) = (session.clock.now(), 0);
            while run.blocks.len() < RUN_BATCHES * self.in_batch() {
                let Some(out) = self.sender.poll_transmit(now) else { break };
                match out.packet.body {
                    Body::Block(block, _) => run.blocks.push((out.packet.number, block, out.packet.ecn)),
                    body => {
                        words += 1;
                        let envelope = self.envelope(out.packet.number);
                        outgoing.send(self.to, &Datagram::Transfer(envelope, body, &[])).await;
                    }
                }
            }
            self.tell(session);
            if run.blocks.is_empty() && words == 0 {
                return false;
            }
            if let Err(error) = self.send_blocks(run, outgoing).await {
                self.problem.get_or_insert(error.to_string());
                let reason = match error {
                    ServeError::Changed | ServeError::Vanished => CloseReason::Changed,
                    ServeError::Unknown => CloseReason::NotFound,
                    ServeError::Unreadable(_) => CloseReason::Storage,
                };
                self.sender.close(session.clock.now(), reason);
            }
        }
        true
    }

    /// Consecutive blocks are read at once; datagrams leave in batches, whether their blocks are consecutive or not. A batch
    /// has one header, and so the same ECN bits for all of it.
    async fn send_blocks(&mut self, run: &mut Run, outgoing: &mut Outgoing) -> Result<(), ServeError> {
        let block = usize::from(self.layout.block());
        let most_in_batch = self.in_batch() * self.datagram();
        run.batch.clear();
        let mut rest = run.blocks.as_slice();
        let mut ecn = Codepoint::NotEct;
        while let Some(&(_, first, _)) = rest.first() {
            let following = rest.iter().zip(first.0..).take_while(|((_, block, _), n)| block.0 == *n).count();
            let (now, later) = rest.split_at(following.max(1));
            rest = later;
            let room = now.len() * block;
            if run.bytes.len() < room {
                run.bytes.resize(room, 0);
            }
            let read = self.source.read_run(self.layout, first, now.len() as u64, &mut run.bytes)?;
            self.source.check_unchanged()?;
            let bytes = run.bytes.get(..read).unwrap_or_default();
            for (&(number, block_number, codepoint), payload) in now.iter().zip(bytes.chunks(block)) {
                if codepoint != ecn {
                    self.send_batch(&mut run.batch, ecn, outgoing).await;
                    ecn = codepoint;
                }
                wire::encode_block(&mut run.batch, self.envelope(number), block_number, payload);
                // Only the last datagram of a batch may be shorter than the others.
                if payload.len() < block || run.batch.len() >= most_in_batch {
                    self.send_batch(&mut run.batch, ecn, outgoing).await;
                }
            }
        }
        self.send_batch(&mut run.batch, ecn, outgoing).await;
        Ok(())
    }

    async fn send_batch(&mut self, datagrams: &mut Vec<u8>, ecn: Codepoint, outgoing: &mut Outgoing) {
        outgoing.send_batch(self.to, datagrams, self.datagram(), ecn, &mut self.can_cut).await;
        datagrams.clear();
    }

    /// How long a full datagram is.
    fn datagram(&self) -> usize {
        usize::from(self.layout.block()) + BLOCK_OVERHEAD
    }

    /// How many full datagrams the kernel takes at once.
    fn in_batch(&self) -> usize {
        (batch::LONGEST / self.datagram()).clamp(1, batch::SEGMENTS)
    }

    fn envelope(&self, number: PacketNumber) -> Envelope {
        Envelope { to: self.client, flow: self.flow, number }
    }

    /// **Deaf events**: what the machine tells goes to whoever listens.
    fn tell(&mut self, session: &Session) {
        while let Some(told) = self.sender.poll_event() {
            session.recorder.tell_in(self.number, || told.event(&self.to.to_string()));
        }
    }

    /// How long it has been running.
    pub(super) fn elapsed(&self, now: Time) -> Duration {
        now - self.begun
    }

    /// How it ended, in the words of a log.
    pub(super) fn ending(&self, outcome: Outcome) -> (events::Outcome, Option<String>) {
        let reason = self.problem.clone();
        match outcome {
            Outcome::Complete => (events::Outcome::Complete, None),
            Outcome::Holes(holes) => (events::Outcome::Partial, Some(format!("{holes} blocks did not arrive"))),
            Outcome::Failed(failure) => (events::Outcome::Failed, reason.or_else(|| Some(failure.to_string()))),
        }
    }
}
