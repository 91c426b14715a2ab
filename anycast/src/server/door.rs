//! Who comes in: accepts connections, hands each to a task while there is room, and turns the others away with a word.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::Protocol;
use super::replica::Replica;
use super::serving::{Connection, drain};
use crate::greeting::BUSY;
use crate::http;

/// How many are turned away politely at once; beyond that, they are reset.
pub(super) const TURNED_AWAY_AT_ONCE: usize = 256;

/// How long a polite refusal may take.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

/// How long to wait before accepting again when the system is out of descriptors or memory.
const PAUSE_WHEN_EXHAUSTED: Duration = Duration::from_millis(100);

/// One listener's door.
pub(super) struct Door {
    replica: Arc<Replica>,
    protocol: Protocol,
    slots: Arc<Semaphore>,
    refusing: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Ends after this many connections.
    pub(super) limit: Option<u64>,
    /// Whether this is the door beside the main one, whose answers are not counted.
    pub(super) is_beside: bool,
}

impl Door {
    pub(super) fn new(replica: Arc<Replica>, protocol: Protocol, at_once: usize, tasks: TaskTracker) -> Self {
        Door {
            replica,
            protocol,
            slots: Arc::new(Semaphore::new(at_once)),
            refusing: Arc::new(Semaphore::new(TURNED_AWAY_AT_ONCE)),
            tasks,
            limit: None,
            is_beside: false,
        }
    }

    /// Lets people in until the replica stops or the limit is reached.
    pub(super) async fn keep(self, listener: TcpListener) {
        let mut flow = 0;
        while self.limit.is_none_or(|limit| flow < limit) {
            let Some((stream, peer)) = self.replica.stop.or(accept(&listener)).await else { break };
            let Ok(slot) = self.slots.clone().try_acquire_owned() else {
                self.turn_away(stream, peer);
                continue;
            };
            let connection = Connection {
                stream,
                peer,
                flow,
                protocol: self.protocol,
                is_beside: self.is_beside,
                replica: self.replica.clone(),
            };
            self.tasks.spawn(async move {
                connection.serve().await;
                drop(slot);
            });
            flow += 1;
        }
    }

    fn turn_away(&self, mut stream: TcpStream, peer: SocketAddr) {
        let (name, most) = (&self.replica.config.name, self.replica.config.max_connections);
        if self.replica.count_refused() {
            tracing::warn!("{peer} and maybe others are turned away: {most} connections are open (--max-connections)");
        }
        let Ok(permit) = self.refusing.clone().try_acquire_owned() else {
            reset(stream);
            return;
        };
        let word = format!("{BUSY}{name} has {most} connections open and takes no more\n");
        let bytes = match self.protocol {
            Protocol::Greeting => word.into_bytes(),
            Protocol::Http => http::response(http::Status(503), &word, false, false, false),
            Protocol::Hello => Vec::new(), // The protocol has no word for it.
        };
        self.tasks.spawn(async move {
            let refuse = async {
                stream.write_all(&bytes).await?;
                stream.shutdown().await?;
                drain(&mut stream).await;
                io::Result::Ok(())
            };
            // Whoever does not take the refusal in time, or at all, is gone anyway.
            let _ = tokio::time::timeout(REFUSAL_LIMIT, refuse).await;
            drop(permit);
        });
    }
}

/// Closes with a reset: no wait, nothing kept.
pub(super) fn reset(stream: TcpStream) {
    // Where it does not work, the close is an ordinary one.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

/// The next connection. A peer that gave up, or a system out of descriptors, is no reason to end a server.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut told = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port())),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if !told {
                    tracing::warn!("cannot accept connections for now: {error}");
                }
                told = true;
                tokio::time::sleep(PAUSE_WHEN_EXHAUSTED).await;
            }
        }
    }
}
