//! A server at work: datagrams and timers go in, machines are drained, datagrams come out.

mod entrance;
mod transferring;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arq::handshake::Door;
use arq::wire::{self, Datagram, DecodeError, Envelope, Request};
use arq::{CloseReason, Outcome, PacketNumber, SessionId};
use events::Time;
use labkit::units::show_duration;
use labkit::{Failure, Session, Udp};

use super::catalogue::Catalogue;
use super::limits::Places;
use super::sessions::Sessions;
use super::timers::Timers;
use super::transfer::{Key, Run, Transfer};
use super::{Config, Served, Server};
use crate::classic::command::may_be_answered;
use crate::classic::server::Speaking;
use crate::reliable::outgoing::Outgoing;

/// How many datagrams are taken before timers have their turn.
const BATCH: usize = 256;
/// How often in a row receiving may fail before the server gives up, and how long it rests each time.
const FAILURES_IN_A_ROW: u32 = 100;
const REST: Duration = Duration::from_millis(10);
/// When a client that is refused because we go away may ask again.
const BACK_SOON: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Session(SessionId),
    Transfer(Key),
}

/// How long a server still works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// Nobody is let in any more; what runs may end until then.
    Closing(Time),
    /// Everybody was told.
    Closed,
}

pub(super) struct Serving {
    socket: Arc<Udp>,
    local: SocketAddr,
    config: Config,
    session: Session,
    catalogue: Catalogue,
    door: Door,
    places: Places,
    sessions: Sessions,
    transfers: HashMap<Key, Transfer>,
    timers: Timers<Due>,
    outgoing: Outgoing,
    run: Run,
    stage: Stage,
    begun: u64,
    served: Served,
    classic: Option<Speaking>,
}

/// What the loop woke up for.
enum Woken {
    Readable(io::Result<()>),
    Timer,
    Looked(Result<Option<crate::disk::offer::Scan>, Failure>),
    Shutdown,
    Classic,
}

impl Serving {
    pub(super) fn new(server: Server, session: Session) -> Self {
        let now = session.clock.now();
        let Server { socket, local, offer, config, classic, .. } = server;
        Serving {
            catalogue: Catalogue::new(offer, session.shutdown.clone()),
            // A new key for each run: cookies of an earlier one are worth nothing.
            door: Door::new(rand::random(), config.largest),
            places: Places::new(now, config.limits),
            sessions: Sessions::new(),
            transfers: HashMap::new(),
            timers: Timers::new(),
            outgoing: Outgoing::new(socket.clone()),
            run: Run::default(),
            stage: Stage::Open,
            begun: 0,
            served: Served::default(),
            classic: classic.map(|speaker| speaker.speak(session.clone())),
            socket,
            local,
            config,
            session,
        }
    }

    pub(super) async fn run(mut self) -> Result<Served, Failure> {
        self.catalogue.look(self.now());
        let mut buffer = vec![0; usize::from(u16::MAX)];
        let mut failures = 0;
        let ended = loop {
            self.do_what_is_due().await;
            if self.is_over() {
                break Ok(());
            }
            match self.wake().await {
                Woken::Timer | Woken::Classic => {}
                Woken::Shutdown => self.begin_closing(),
                Woken::Looked(Ok(scan)) => tell_scan(scan),
                Woken::Looked(Err(failure)) => break Err(failure),
                Woken::Readable(readable) => match readable {
                    Ok(()) => match self.take_batch(&mut buffer).await {
                        Ok(()) => failures = 0,
                        Err(error) if failures >= FAILURES_IN_A_ROW => {
                            break Err(Failure::io("receive on UDP", self.local, &error));
                        }
                        Err(error) => {
                            failures += 1;
                            tracing::debug!("receiving failed: {error}");
                            tokio::time::sleep(REST).await;
                        }
                    },
                    Err(error) => break Err(Failure::io("receive on UDP", self.local, &error)),
                },
            }
        };
        self.session.shutdown.request();
        self.catalogue.finish().await;
        if let Some(classic) = self.classic.take() {
            self.served.classic = Some(classic.finish().await);
        }
        (self.served.datagrams.sent, self.served.datagrams.untaken) = self.outgoing.counts();
        ended.map(|()| self.served)
    }

    async fn wake(&mut self) -> Woken {
        let now = self.now();
        let deadline = match self.stage {
            Stage::Closing(until) => Some(until),
            Stage::Open | Stage::Closed => None,
        };
        let due =
            self.timers.next().into_iter().chain(deadline).min().map_or(Duration::from_secs(3_600), |at| at - now);
        let is_open = self.stage == Stage::Open;
        tokio::select! {
            readable = self.socket.readable() => Woken::Readable(readable),
            () = tokio::time::sleep(due) => Woken::Timer,
            looked = self.catalogue.looked(self.session.clock) => Woken::Looked(looked),
            () = self.session.shutdown.requested(), if is_open => Woken::Shutdown,
            () = async { match &mut self.classic {
                Some(classic) => classic.ended().await,
                None => std::future::pending().await,
            } } => Woken::Classic,
        }
    }

    fn now(&self) -> Time {
        self.session.clock.now()
    }

    async fn take_batch(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..BATCH {
            match self.socket.try_take(|socket| socket.recv_from(buffer)) {
                Ok((length, from)) => self.handle(buffer.get(..length).unwrap_or_default(), from).await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // More may wait, and the runtime must get its turn to see signals and timers.
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn handle(&mut self, bytes: &[u8], from: SocketAddr) {
        self.served.datagrams.received += 1;
        let now = self.now();
        match wire::decode(bytes) {
            Ok(Datagram::Handshake(handshake)) => {
                if may_be_answered(from, self.local.port()) {
                    self.on_handshake(now, bytes.len(), from, &handshake).await;
                }
            }
            Ok(Datagram::Transfer(envelope, body, _)) => match self.is_of_session(now, envelope, from) {
                true => self.on_packet(now, envelope, body).await,
                false => self.say_gone(bytes.len(), from, envelope.to).await,
            },
            Ok(Datagram::Request(envelope, request)) => match self.is_of_session(now, envelope, from) {
                true => self.on_request(now, envelope, &request).await,
                false => self.say_gone(bytes.len(), from, envelope.to).await,
            },
            Ok(Datagram::Leave(envelope)) => {
                if self.is_of_session(now, envelope, from) {
                    self.end_session(now, envelope.to);
                }
            }
            Ok(Datagram::Reply(..)) => self.served.datagrams.strangers += 1,
            Err(DecodeError::OtherVersion { client, .. }) => {
                if let Some(answer) =
                    Door::other_version(client, bytes.len()).filter(|_| may_be_answered(from, self.local.port()))
                {
                    self.answer_unproven(bytes.len(), from, answer).await;
                }
            }
            Err(error) => match &mut self.classic {
                Some(classic) if is_text(bytes) => classic.handle(bytes, from).await,
                Some(_) | None => self.on_garbage(bytes, from, error),
            },
        }
    }

    /// Whether it belongs to a session, and comes from where that session's client is.
    fn is_of_session(&mut self, now: Time, envelope: Envelope, from: SocketAddr) -> bool {
        match self.sessions.get_mut(&envelope.to).filter(|session| session.address == from) {
            Some(session) => {
                session.heard = now;
                session.has_spoken = true;
                true
            }
            None => {
                self.served.datagrams.strangers += 1;
                false
            }
        }
    }

    async fn on_request(&mut self, now: Time, envelope: Envelope, request: &Request) {
        let Some(session) = self.sessions.get_mut(&envelope.to) else { return };
        let reply = self.catalogue.answer(now, request, session.datagram, &mut session.waiting);
        let (to, envelope) =
            (session.address, Envelope { to: session.client, flow: envelope.flow, number: PacketNumber::NONE });
        self.outgoing.send(to, &Datagram::Reply(envelope, reply)).await;
    }

    async fn do_what_is_due(&mut self) {
        // What is due by now: a timer that is due again at once waits for the next round.
        let round = self.now();
        for _ in 0..self.transfers.len() + self.sessions.len() {
            match self.timers.pop(round) {
                None => break,
                Some(Due::Transfer(key)) => {
                    let now = self.now();
                    if let Some(transfer) = self.transfers.get_mut(&key) {
                        transfer.due = None;
                        transfer.has_more = false;
                        transfer.sender.handle_timeout(now);
                        self.drain(key).await;
                    }
                }
                Some(Due::Session(id)) => self.see_session(round, id),
            }
        }
        if let Stage::Closing(until) = self.stage
            && (until <= self.now() || self.is_quiet())
        {
            self.close_all().await;
        }
    }

    /// A session's time is up, unless something came meanwhile.
    fn see_session(&mut self, now: Time, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.due = None;
        let over_at = session.over_at();
        if over_at > now || session.transfers > 0 {
            // A transfer has its own idea of silence.
            let again = over_at.max(now + Duration::from_secs(1));
            self.timers.set(Due::Session(id), &mut session.due, Some(again));
        } else {
            self.end_session(now, id);
        }
    }

    /// Forgets a session and all that is left of its transfers.
    fn end_session(&mut self, now: Time, id: SessionId) {
        let Some(mut session) = self.sessions.remove(&id) else { return };
        self.timers.set(Due::Session(id), &mut session.due, None);
        self.places.leave(session.address.ip());
        if session.transfers == 0 && session.lingering.is_empty() {
            return;
        }
        let keys: Vec<Key> = self.transfers.keys().filter(|key| key.session == id).copied().collect();
        for key in keys {
            let Some(mut transfer) = self.transfers.remove(&key) else { continue };
            self.timers.set(Due::Transfer(key), &mut transfer.due, None);
            if !transfer.is_told {
                transfer.problem = Some("the client left".to_owned());
                let outcome = transfer
                    .sender
                    .outcome()
                    .unwrap_or(Outcome::Failed(arq::Failure::ClosedByPeer(CloseReason::Stopped)));
                let sent = transferring::account(&transfer, outcome, now);
                self.note(&sent, outcome);
            }
        }
    }

    fn begin_closing(&mut self) {
        let running = self.running();
        if running > 0 {
            tracing::info!("{running} transfers under way have {} to end", show_duration(self.config.grace));
        }
        self.stage = Stage::Closing(self.now() + self.config.grace);
    }

    fn running(&self) -> usize {
        self.transfers.values().filter(|transfer| transfer.sender.outcome().is_none()).count()
    }

    fn is_quiet(&self) -> bool {
        self.running() == 0
    }

    /// Tells everybody who is still at it.
    async fn close_all(&mut self) {
        self.stage = Stage::Closed;
        let keys: Vec<Key> = self.transfers.keys().copied().collect();
        for key in keys {
            if let Some(transfer) = self.transfers.get_mut(&key).filter(|transfer| transfer.sender.outcome().is_none())
            {
                transfer.sender.close(self.session.clock.now(), CloseReason::ShuttingDown);
                self.drain(key).await;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.stage == Stage::Closed
    }
}

/// Commands of the classic protocol begin with a letter or `!`; nothing of ours does but `CLAB`.
fn is_text(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_graphic) && !bytes.starts_with(b"CLAB")
}

fn tell_scan(scan: Option<crate::disk::offer::Scan>) {
    let Some(scan) = scan.filter(|scan| scan.hashed + scan.dropped > 0) else { return };
    let passed = scan.passed_over.reasons();
    let passed = if passed.is_empty() { String::new() } else { format!("; not offered: {}", passed.join(", ")) };
    tracing::info!("{} files on offer, {} hashed now{passed}", scan.offered, scan.hashed);
}
