//! A session with a server: made by the handshake, made again when the server forgot it, and the questions asked in it.

use std::net::SocketAddr;
use std::time::Duration;

use arq::handshake::{ClientConfig, Session as Agreed, Unanswered};
use arq::wire::{self, Datagram, Envelope, Refusal, Reply, Request};
use arq::{Ask, CloseReason, Flow, NoReply, PacketNumber};
use events::Event;
use labkit::socket::Buffer;
use labkit::{Clock, Exit, Failure, Session};

use super::Asking;
use super::handshaking::{Early, NoSession, shake_hands};
use crate::reliable::gauge;
use crate::reliable::port::{Port, Tallies};

/// How long a server may be silent before it is asked whether it still knows us.
pub(super) const QUIET: Duration = Duration::from_secs(3);
/// How long to wait before a busy server is asked again.
pub(super) const BUSY_AGAIN: Duration = Duration::from_millis(150);
/// How long at least to wait after a refusal that says when to ask again, even where it says at once.
const REFUSED_AGAIN: Duration = Duration::from_secs(1);
/// How often it is asked in all.
pub(super) const BUSY_TIMES: u32 = 200;

/// One socket and one session on it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) port: Port,
    pub(super) agreed: Agreed,
    pub(super) clock: Clock,
    next_flow: u32,
    /// What was asked with the handshake, until it is asked for.
    early: Option<Early>,
    buffer: Vec<u8>,
}

impl Connection {
    /// Shakes hands with the server. `which` tells the connections of one run apart; what will be asked `first` is asked
    /// with the handshake, and costs no round trip of its own.
    pub(super) async fn open(
        server: SocketAddr,
        asking: &Asking,
        which: u64,
        first: Option<Request>,
        session: &Session,
    ) -> Result<Self, Failure> {
        let clock = session.clock;
        let mut port = Port::open(server, asking, which, clock)?;
        let lengths = asking.length.map_or_else(|| gauge::lengths(server.ip(), port.mtu()), |length| vec![length]);
        let begun = clock.now();
        let mut buffer = Vec::with_capacity(usize::from(u16::MAX));
        let mut early = first.map(|request| Early::new(request, Flow(1)));
        loop {
            match shake_hands(&mut port, &lengths, true, early.as_mut(), &mut buffer, clock).await {
                Ok(agreed) => {
                    session.recorder.tell(|| Event::Connected {
                        peer: server.to_string(),
                        elapsed_ns: Some(u64::try_from((clock.now() - begun).as_nanos()).unwrap_or(u64::MAX)),
                    });
                    return Ok(Connection { port, agreed, clock, next_flow: 2, early, buffer });
                }
                Err(NoSession::Unanswered(Unanswered::Refused { reason: Refusal::Busy, retry_after }))
                    if clock.now() - begun + retry_after < ClientConfig::PATIENCE =>
                {
                    let retry_after = retry_after.max(REFUSED_AGAIN);
                    tracing::info!("{server} is busy; asking again in {} s", retry_after.as_secs());
                    tokio::time::sleep(retry_after).await;
                }
                Err(error) => return Err(error.into_failure(server)),
            }
        }
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.port.server
    }

    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.port.local()
    }

    pub(super) fn receive_buffer(&self) -> Buffer {
        self.port.receive_buffer
    }

    pub(super) fn tallies(&self) -> Tallies {
        self.port.tallies()
    }

    /// A number for a transfer or a question, never used before in this session.
    pub(super) fn new_flow(&mut self) -> Flow {
        let flow = Flow(self.next_flow);
        self.next_flow = self.next_flow.wrapping_add(1).max(1);
        flow
    }

    pub(super) async fn send(&mut self, datagram: &Datagram<'_>) {
        self.buffer.clear();
        datagram.encode(&mut self.buffer);
        self.port.send(&self.buffer).await;
    }

    /// Asks until the answer comes. A server that forgot us is asked in a new session.
    pub(super) async fn ask(&mut self, request: Request) -> Result<Reply, NoReply> {
        for _ in 0..BUSY_TIMES {
            match self.ask_once(&request).await {
                Err(NoReply::Denied(CloseReason::Busy)) => tokio::time::sleep(BUSY_AGAIN).await,
                answer => return answer,
            }
        }
        Err(NoReply::Denied(CloseReason::Busy))
    }

    async fn ask_once(&mut self, request: &Request) -> Result<Reply, NoReply> {
        let (mut flow, mut ask) = self.begin(request);
        let mut renew_at = self.clock.now() + QUIET;
        // Once a question: a server that always says so is asked again after a silence, and not as fast as it answers.
        let mut may_be_gone = true;
        loop {
            let now = self.clock.now();
            if ask.poll_transmit(now) {
                let envelope = Envelope { to: self.agreed.server, flow, number: PacketNumber::NONE };
                self.send(&Datagram::Request(envelope, request.clone())).await;
            }
            if let Some(outcome) = ask.take_outcome() {
                return outcome;
            }
            let until = ask.poll_timeout().map(|due| due.min(renew_at));
            if self.port.wait(until).await.is_err() {
                return Err(NoReply::Silence);
            }
            let now = self.clock.now();
            while let Some((datagram, _)) = self.port.poll() {
                match wire::decode(datagram) {
                    Ok(Datagram::Reply(envelope, reply))
                        if envelope.to == self.agreed.client && envelope.flow == flow =>
                    {
                        ask.handle(reply);
                    }
                    Ok(Datagram::Handshake(handshake)) if may_be_gone && self.agreed.is_gone_by(&handshake) => {
                        (may_be_gone, renew_at) = (false, now);
                    }
                    Ok(_) | Err(_) => {}
                }
            }
            if renew_at <= now {
                self.renew().await.map_err(|_| NoReply::Silence)?;
                flow = self.new_flow();
                ask = Ask::new(self.clock.now(), self.agreed.rtt);
                renew_at = self.clock.now() + QUIET * 4;
            }
            ask.handle_timeout(now);
        }
    }

    /// A question, or the one that went out with the handshake, where it is the same.
    fn begin(&mut self, request: &Request) -> (Flow, Ask) {
        match self.early.take() {
            Some(Early { request: asked, flow, sent: Some((sent, server)) })
                if asked == *request && server == self.agreed.server =>
            {
                (flow, Ask::sent(sent, self.agreed.rtt))
            }
            _ => (self.new_flow(), Ask::new(self.clock.now(), self.agreed.rtt)),
        }
    }

    /// Shakes hands again on the same socket: the server was restarted, or nothing came through for long.
    async fn renew(&mut self) -> Result<(), NoSession> {
        let lengths = [self.agreed.datagram];
        let agreed = shake_hands(&mut self.port, &lengths, false, None, &mut self.buffer, self.clock).await?;
        self.replace(agreed).await;
        Ok(())
    }

    /// Goes on in another session, and leaves this one in case the server still knows it.
    pub(super) async fn replace(&mut self, agreed: Agreed) {
        self.leave().await;
        let rtt = agreed.rtt.or(self.agreed.rtt);
        self.agreed = Agreed { rtt, ..agreed };
    }

    /// Tells the server that it may forget us.
    pub(super) async fn leave(&mut self) {
        let envelope = Envelope { to: self.agreed.server, flow: Flow(0), number: PacketNumber::NONE };
        self.send(&Datagram::Leave(envelope)).await;
    }

    /// What it means that a question had no answer.
    pub(super) fn unanswered(&self, what: &str, error: NoReply) -> Failure {
        let server = self.server();
        match error {
            NoReply::Silence => {
                Failure::new(Exit::NobodyAnswered, "PEER-SILENT", format!("{server} fell silent: {what} had {error}"))
                    .hint("is the server still running? what has come is kept; run it again to go on")
            }
            NoReply::Denied(CloseReason::Busy) => {
                Failure::new(Exit::Deadline, "SERVER-BUSY", format!("{server} is still hashing its files"))
                    .hint("try again in a while; the server's log says how far it is")
            }
            NoReply::Denied(CloseReason::NotFound) => {
                Failure::new(Exit::Setup, "NOT-FOUND", format!("{server} has no such file: {what}"))
                    .hint("`list` shows the files it has")
            }
            NoReply::Denied(reason) => {
                Failure::new(Exit::Partial, "SERVER-DENIED", format!("{server} denied {what}: {reason}"))
            }
        }
    }

    /// The server says what makes no sense.
    pub(super) fn nonsense(&self, what: &str) -> Failure {
        Failure::new(
            Exit::CheckFailed,
            "PROTOCOL",
            format!("{} broke the rules of the protocol: {what}", self.server()),
        )
    }
}
