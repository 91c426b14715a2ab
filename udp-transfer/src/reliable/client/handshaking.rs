//! Asking a server for a session until there is one.

use std::net::SocketAddr;

use arq::handshake::{Client, ClientConfig, Session as Agreed, Unanswered};
use arq::wire::{self, Datagram, Envelope, Refusal, Request};
use arq::{Flow, PacketNumber, SessionId};
use events::Time;
use labkit::{Clock, Exit, Failure};

use crate::reliable::port::Port;

/// How often a host must say that nobody listens there before it is believed.
const REFUSALS: u64 = 2;

/// A question that goes out behind the hello which the server will accept, and not a round trip later.
#[derive(Debug)]
pub(super) struct Early {
    pub(super) request: Request,
    pub(super) flow: Flow,
    /// When it was last sent, and what the server was called then.
    pub(super) sent: Option<(Time, SessionId)>,
}

impl Early {
    pub(super) fn new(request: Request, flow: Flow) -> Self {
        Early { request, flow, sent: None }
    }

    /// As often as hellos are: whichever of them is accepted has it behind it.
    async fn follow(&mut self, port: &mut Port, server: SessionId, buffer: &mut Vec<u8>, now: Time) {
        buffer.clear();
        let envelope = Envelope { to: server, flow: self.flow, number: PacketNumber::NONE };
        Datagram::Request(envelope, self.request.clone()).encode(buffer);
        port.send(buffer).await;
        self.sent = Some((now, server));
    }
}

/// Why there is no session.
#[derive(Debug)]
pub(super) enum NoSession {
    Unanswered(Unanswered),
    NobodyListens,
    Socket(std::io::Error),
}

impl NoSession {
    pub(super) fn into_failure(self, server: SocketAddr) -> Failure {
        let nobody = |code, message| Failure::new(Exit::NobodyAnswered, code, message);
        match self {
            NoSession::NobodyListens => nobody("REFUSED", format!("nobody listens on UDP {server}"))
                .hint("is the server running, on that port?"),
            NoSession::Unanswered(error @ Unanswered::Silence(_)) => nobody("NO-ANSWER", format!("{server}: {error}"))
                .hint(
                    "is the server running (and not only with an older, classic protocol: -m classic)? a firewall may \
                     drop UDP; a path with small datagrams wants --length 1200",
                ),
            NoSession::Unanswered(error @ Unanswered::Refused { reason, .. }) => {
                let code = match reason {
                    Refusal::Busy => "SERVER-BUSY",
                    Refusal::Version => "OTHER-VERSION",
                    Refusal::ShuttingDown => "SERVER-STOPPED",
                };
                nobody(code, format!("{server} refused: {error}"))
            }
            NoSession::Socket(error) => Failure::io("exchange datagrams with", server, &error),
        }
    }
}

/// A handshake for a session under a fresh name.
pub(super) fn new_handshake(lengths: &[u16], now: Time) -> Client {
    let config =
        ClientConfig { client: SessionId(rand::random()), lengths: lengths.to_vec(), patience: ClientConfig::PATIENCE };
    Client::new(now, config)
}

/// Asks for a session until there is one, and `early` as soon as it can be asked. Where nobody listens, that ends it, if
/// `give_up`.
pub(super) async fn shake_hands(
    port: &mut Port,
    lengths: &[u16],
    give_up: bool,
    mut early: Option<&mut Early>,
    buffer: &mut Vec<u8>,
    clock: Clock,
) -> Result<Agreed, NoSession> {
    let mut client = new_handshake(lengths, clock.now());
    let refused_before = port.refusals();
    loop {
        if let Some(hello) = client.poll_transmit(clock.now()) {
            buffer.clear();
            Datagram::Handshake(hello).encode(buffer);
            port.send(buffer).await;
            if port.was_too_long() {
                client.too_long();
                continue;
            }
            if let (Some(early), Some(server)) = (early.as_deref_mut(), client.expected()) {
                early.follow(port, server, buffer, clock.now()).await;
            }
        }
        match client.outcome() {
            Some(Ok(agreed)) => return Ok(agreed),
            Some(Err(error)) => return Err(NoSession::Unanswered(error)),
            None => {}
        }
        port.wait(client.poll_timeout()).await.map_err(NoSession::Socket)?;
        // What comes after the end of the handshake is of the session.
        while client.outcome().is_none()
            && let Some((datagram, _)) = port.poll()
        {
            if let Ok(Datagram::Handshake(handshake)) = wire::decode(datagram) {
                client.handle(clock.now(), &handshake);
            }
        }
        if give_up && port.refusals() - refused_before >= REFUSALS && client.outcome().is_none() {
            return Err(NoSession::NobodyListens);
        }
        client.handle_timeout(clock.now());
    }
}
