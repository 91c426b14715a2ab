//! A client made by hand, that says what it should not.

use std::net::SocketAddr;

use arq::wire::{self, Cookie, Datagram, Envelope, Handshake, Request};
use arq::{Flow, PacketNumber, SessionId};
use tokio::net::UdpSocket;

/// A client made by hand.
pub(crate) struct Hand {
    pub(crate) socket: UdpSocket,
    pub(crate) server: SocketAddr,
}

impl Hand {
    pub(crate) async fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        Hand { socket, server }
    }

    pub(crate) async fn send(&self, datagram: &Datagram<'_>) -> usize {
        let mut bytes = Vec::new();
        datagram.encode(&mut bytes);
        self.socket.send_to(&bytes, self.server).await.unwrap()
    }

    pub(crate) async fn receive<T>(&self, take: impl Fn(Datagram<'_>) -> Option<T>) -> T {
        let mut buffer = vec![0; 65_536];
        loop {
            let (length, _) = self.socket.recv_from(&mut buffer).await.unwrap();
            if let Some(taken) = wire::decode(&buffer[..length]).ok().and_then(&take) {
                return taken;
            }
        }
    }

    /// The server's answer to a question that everybody in a session may ask: whether it knows us.
    pub(crate) async fn cookie(&self, client: SessionId) -> Cookie {
        self.send(&Datagram::Handshake(Handshake::Hello { client, datagram: 1_200, cookie: None })).await;
        self.receive(|datagram| match datagram {
            Datagram::Handshake(Handshake::Retry { client: to, cookie, .. }) if to == client => Some(cookie),
            _ => None,
        })
        .await
    }

    pub(crate) async fn session(&self, client: SessionId) -> SessionId {
        let cookie = Some(self.cookie(client).await);
        self.send(&Datagram::Handshake(Handshake::Hello { client, datagram: 1_200, cookie })).await;
        self.receive(|datagram| match datagram {
            Datagram::Handshake(Handshake::Accept { server, .. }) => Some(server),
            _ => None,
        })
        .await
    }

    pub(crate) async fn ask(&self, to: SessionId, flow: u32, request: Request) {
        self.send(&Datagram::Request(Envelope { to, flow: Flow(flow), number: PacketNumber::NONE }, request)).await;
    }

    /// Whether everything sent so far was worked off: the server answers a hello in the order of what came.
    pub(crate) async fn until_worked_off(&self) {
        self.cookie(SessionId(rand::random())).await;
    }
}
