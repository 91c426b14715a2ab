//! Who comes in: accepts connections, serves each at once, or in a task while there is room, and turns the others away with a
//! word.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use labkit::Failure;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::Protocol;
use super::replica::Replica;
use super::serving::{Connection, drain};
use crate::greeting::BUSY;
use crate::http;
use crate::stream::Stream;

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
    let_in: AtomicU64,
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
            let_in: AtomicU64::default(),
        }
    }

    /// Opens it: as many let people in as there are processors, or one where they are to be counted out. They end when the
    /// replica stops or the limit is reached.
    pub(super) fn open(self, listener: Listener) -> JoinSet<()> {
        let most = std::thread::available_parallelism().map_or(1, NonZero::get);
        let keepers = if self.limit.is_some() { 1 } else { most };
        let shared = (Arc::new(self), Arc::new(listener));
        std::iter::repeat_n(shared, keepers).map(|(door, listener)| async move { door.keep(&listener).await }).collect()
    }

    /// Lets people in.
    async fn keep(&self, listener: &Listener) {
        while self.limit.is_none_or(|limit| self.let_in.load(Ordering::Relaxed) < limit) {
            let Some((stream, peer)) = self.replica.stop.or(listener.accept()).await else { break };
            let Ok(slot) = self.slots.clone().try_acquire_owned() else {
                self.turn_away(stream, peer);
                continue;
            };
            let connection = Connection {
                stream,
                peer,
                flow: self.let_in.fetch_add(1, Ordering::Relaxed),
                protocol: self.protocol,
                is_beside: self.is_beside,
                local: listener.local(),
                replica: self.replica.clone(),
            };
            let mut served = Box::pin(async move {
                connection.serve().await;
                drop(slot);
            });
            // Whoever can be served without a wait is served here and now; a task is for those who must be waited for. As in
            // a task, a panic is the end of one connection.
            let at_once = poll_fn(|cx| Poll::Ready(catch_unwind(AssertUnwindSafe(|| served.as_mut().poll(cx))))).await;
            if matches!(at_once, Ok(Poll::Pending)) {
                self.tasks.spawn(served);
            }
        }
    }

    fn turn_away(&self, mut stream: Stream, peer: SocketAddr) {
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
pub(super) fn reset(stream: Stream) {
    // Where it does not work, the close is an ordinary one.
    let _ = stream.socket().and_then(|socket| socket.set_linger(Some(Duration::ZERO)));
    drop(stream);
}

/// Where connections come in. Not the runtime's own, which has every connection watched before anybody tried to read it.
pub(super) struct Listener {
    listener: AsyncFd<std::net::TcpListener>,
    /// The address it is bound to.
    pub(super) address: SocketAddr,
}

impl Listener {
    pub(super) fn adopt(listener: TcpListener) -> Result<Self, Failure> {
        let address = listener.local_addr().map_err(|error| Failure::io("read", "the listener's address", &error))?;
        #[expect(deprecated, reason = "its successor is an unsafe function; a listener keeps what that asks for")]
        let watch = |listener| AsyncFd::with_interest(listener, Interest::READABLE);
        let listener = listener
            .into_std()
            .and_then(watch)
            .map_err(|error| Failure::io("wait for connections to", address, &error))?;
        Ok(Listener { listener, address })
    }

    /// The address every connection comes in at, where that is one.
    fn local(&self) -> Option<SocketAddr> {
        Some(self.address).filter(|address| !address.ip().is_unspecified())
    }

    /// The next connection. A peer that gave up, or a system out of descriptors, is no reason to end a server.
    async fn accept(&self) -> (Stream, SocketAddr) {
        let mut told = false;
        loop {
            let accepted = self.listener.async_io(Interest::READABLE, std::net::TcpListener::accept).await;
            match accepted.and_then(|(stream, peer)| Ok((Stream::accepted(stream)?, peer))) {
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
}
