//! Who comes in: the handshake, the limits, and what is none of ours.

use std::net::SocketAddr;

use arq::SessionId;
use arq::handshake::{Answer, Door};
use arq::wire::{self, Datagram, DecodeError, Refusal};
use events::{Cause, Event, Time};
use labkit::text;

use super::{BACK_SOON, Due, Serving, Stage};
use crate::classic::command::may_be_answered;
use crate::reliable::server::sessions::{self, ACCEPT_AGAIN};

impl Serving {
    /// The first is told, then every doubling, never each.
    pub(super) fn on_garbage(&mut self, bytes: &[u8], from: SocketAddr, error: DecodeError) {
        self.served.datagrams.garbage += 1;
        let count = self.served.datagrams.garbage;
        if count.is_power_of_two() {
            tracing::warn!(
                "{from}: no datagram of ours ({error}): {} bytes, {}; {count} such so far",
                bytes.len(),
                text::hex(bytes, 16)
            );
            self.session.recorder.tell(|| Event::Dropped {
                peer: from.to_string(),
                what: "garbage".to_owned(),
                number: Some(count),
                bytes: bytes.len() as u64,
                cause: Cause::Foreign,
            });
        }
    }

    pub(super) async fn on_handshake(
        &mut self,
        now: Time,
        length: usize,
        from: SocketAddr,
        handshake: &wire::Handshake,
    ) {
        match self.door.handle(now, &address_bytes(from), handshake) {
            Answer::Ignore => {}
            Answer::Send(answer) => self.answer_unproven(length, from, answer).await,
            Answer::Proven { client, server, datagram } => {
                let answer = match self.let_in(now, from, client, server, datagram) {
                    Some(answer) => answer,
                    None => return,
                };
                self.outgoing.send(from, &Datagram::Handshake(answer)).await;
            }
        }
    }

    /// Whoever speaks of a session that is no more, as after a restart, is told so. Of one that is another address's, not.
    pub(super) async fn say_gone(&mut self, length: usize, from: SocketAddr, session: SessionId) {
        if !self.sessions.contains_key(&session) && may_be_answered(from, self.local.port()) {
            self.answer_unproven(length, from, wire::Handshake::Gone { session }).await;
        }
    }

    pub(super) async fn answer_unproven(&mut self, length: usize, from: SocketAddr, answer: wire::Handshake) {
        let mut bytes = 0;
        let datagram = Datagram::Handshake(answer);
        self.outgoing
            .send_built(from, |to| {
                datagram.encode(to);
                bytes = to.len();
            })
            .await;
        self.served.datagrams.unproven_received += length as u64;
        self.served.datagrams.unproven_sent += bytes as u64;
    }

    /// Lets a proven client in, if there is room.
    pub(super) fn let_in(
        &mut self,
        now: Time,
        from: SocketAddr,
        client: SessionId,
        server: SessionId,
        datagram: u16,
    ) -> Option<wire::Handshake> {
        if let Some(session) = self.sessions.get_mut(&server) {
            let again = session.address == from && now - session.accepted >= ACCEPT_AGAIN;
            session.accepted = if again { now } else { session.accepted };
            return again.then(|| Door::accept(client, server, session.datagram));
        }
        if self.stage != Stage::Open {
            return Some(Door::refuse(client, Refusal::ShuttingDown, BACK_SOON));
        }
        if let Err(no_place) = self.places.enter(now, from.ip()) {
            self.served.refused += 1;
            if self.served.refused.is_power_of_two() {
                tracing::warn!(
                    "{from}: refused ({no_place:?}); {} so far: see --max-sessions and --max-per-address",
                    self.served.refused
                );
            }
            return Some(Door::refuse(client, Refusal::Busy, no_place.retry_after()));
        }
        self.served.sessions += 1;
        tracing::debug!("{from}: session {server}, datagrams of {datagram} bytes");
        self.session.recorder.tell(|| Event::Connected { peer: from.to_string(), elapsed_ns: None });
        let session = self.sessions.entry(server).or_insert(sessions::Session::new(now, from, client, datagram));
        let over_at = session.over_at();
        self.timers.set(Due::Session(server), &mut session.due, Some(over_at));
        Some(Door::accept(client, server, datagram))
    }
}

/// What a cookie is bound to.
fn address_bytes(address: SocketAddr) -> Vec<u8> {
    let mut bytes = match address.ip().to_canonical() {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    bytes.extend_from_slice(&address.port().to_be_bytes());
    bytes
}
