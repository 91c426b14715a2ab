//! A replica: greets everybody who connects and closes, with a bound on how many at once and how long each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events::{Event, Outcome};
use labkit::{Failure, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::greeting;

/// How much a peer may still send while it closes: enough for any request meant for another protocol.
const DRAIN_AT_MOST: u64 = 64 * 1024;

/// How long to wait before accepting again when the system is out of descriptors or memory.
const PAUSE_WHEN_EXHAUSTED: Duration = Duration::from_millis(100);

/// What a replica does.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name it greets with.
    pub name: String,
    /// How many connections it serves at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// How long one connection may take, from accept to close.
    pub deadline: Duration,
    /// Ends after this many connections; `None`: when asked to.
    pub connections: Option<u64>,
}

/// What a replica did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Served {
    /// Connections greeted in full.
    pub greeted: u64,
    /// Connections that broke or took too long before the greeting was out.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    greeted: AtomicU64,
    failed: AtomicU64,
}

/// Serves `listener` until the session is asked to finish (or the configured number of connections is reached), then
/// lets the open connections end.
///
/// # Errors
/// When the listener does not tell its address.
pub async fn run(listener: TcpListener, config: Config, session: &Session) -> Result<Served, Failure> {
    let local = listener.local_addr().map_err(|error| Failure::io("read", "the listener's address", &error))?;
    session.tell_started(Some(local.to_string()), None);
    session.output.line(format!("[server] listening on {local}"));

    let (slots, tasks) = (Arc::new(Semaphore::new(config.max_connections)), TaskTracker::new());
    let (config, counters) = (Arc::new(config), Arc::new(Counters::default()));
    for flow in 0..config.connections.unwrap_or(u64::MAX) {
        let accepted = async {
            let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
            (accept(&listener).await, slot)
        };
        let Some(((stream, peer), slot)) = session.shutdown.or(accepted).await else { break };
        let connection = Connection { stream, peer, flow, config: config.clone(), session: session.clone() };
        let counters = counters.clone();
        tasks.spawn(async move {
            let counter = if connection.serve().await { &counters.greeted } else { &counters.failed };
            counter.fetch_add(1, Ordering::Relaxed);
            drop(slot);
        });
    }
    drop(listener); // Whoever connects from now on is refused at once instead of waiting for us.
    tasks.close();
    tasks.wait().await; // Each task is bounded by its deadline.

    let served =
        Served { greeted: counters.greeted.load(Ordering::Relaxed), failed: counters.failed.load(Ordering::Relaxed) };
    session.recorder.tell(|| Event::Finished { outcome: Outcome::Complete, reason: None });
    Ok(served)
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

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    flow: u64,
    config: Arc<Config>,
    session: Session,
}

impl Connection {
    /// Greets and closes; whether the greeting went out.
    async fn serve(mut self) -> bool {
        let peer = self.peer.to_string();
        self.session.recorder.tell_in(self.flow, || Event::Connected { peer: peer.clone(), elapsed_ns: None });
        let deadline = self.config.deadline;
        let problem = match tokio::time::timeout(deadline, self.greet_and_close()).await {
            Ok(Ok(bytes)) => {
                self.session.output.line(format!("[server] greeted {peer}"));
                self.session.recorder.tell_in(self.flow, || Event::Sent {
                    peer,
                    what: "greeting".to_owned(),
                    number: None,
                    bytes,
                });
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("not done within {}", labkit::units::show_duration(deadline)),
        };
        tracing::debug!(%peer, "greeting failed: {problem}");
        self.session.recorder.tell_in(self.flow, || Event::Failed {
            what: "greet".to_owned(),
            peer: Some(peer),
            reason: problem,
        });
        false
    }

    async fn greet_and_close(&mut self) -> io::Result<u64> {
        let greeting = greeting::encode(&self.config.name);
        self.stream.write_all(&greeting).await?;
        self.stream.shutdown().await?;
        self.drain().await;
        Ok(greeting.len() as u64)
    }

    /// Reads what the peer still sends until it closes too. Closing over unread bytes would send a reset, and a reset
    /// takes the greeting with it when the peer has not read it yet (RFC 1122 section 4.2.2.13).
    async fn drain(&mut self) {
        let mut rest = (&mut self.stream).take(DRAIN_AT_MOST);
        // Whatever happens now, the greeting is out.
        let _ =
            tokio::time::timeout(self.config.deadline / 2, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    }
}
