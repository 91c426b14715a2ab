//! The server of the reliable modes: one socket and one loop; clients, sessions and transfers are plain structs in tables,
//! with one queue of timers. A thousand clients are a thousand structs, not a thousand stacks.

pub mod limits;

mod catalogue;
mod serving;
mod sessions;
mod timers;
mod transfer;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arq::congestion::Choice;
use events::{Event, Outcome};
use labkit::socket::{self, Buffer};
use labkit::{Failure, Session, Udp};
use serde::Serialize;

use crate::classic;
use crate::classic::server::PORT;
use crate::disk::offer::Offer;
use limits::Limits;
use serving::Serving;

/// What to serve, and how much of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder: all regular files below it.
    pub root: PathBuf,
    /// Address and port; port 0 takes any.
    pub bind: SocketAddr,
    /// What others may take of us.
    pub limits: Limits,
    /// The most each transfer may send, in bits per second; none for no limit.
    pub bitrate: Option<u64>,
    /// How windows are found where a client does not ask otherwise.
    pub congestion: Choice,
    /// The longest datagram we take part in, in bytes of UDP payload.
    pub largest: u16,
    /// How long transfers may go on after we are asked to finish.
    pub grace: Duration,
    /// Receive and send buffer to ask the kernel for, in bytes.
    pub buffer: usize,
    /// Whether the kernel may cut many datagrams from one.
    pub offload: bool,
    /// Whether routers may mark blocks instead of dropping them (ECN).
    pub ecn: bool,
    /// Whether each packet is an event.
    pub packets: bool,
    /// Speak the classic protocol as well: to loopback only, unless it says otherwise.
    pub classic: Option<classic::server::Config>,
}

impl Config {
    /// Serves `root` on port 6969 of every address.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Config {
            root: root.into(),
            bind: (Ipv4Addr::UNSPECIFIED, PORT).into(),
            limits: Limits::default(),
            bitrate: None,
            congestion: Choice::default(),
            largest: super::gauge::LARGEST,
            grace: Duration::from_secs(5),
            buffer: 8 << 20,
            offload: true,
            ecn: true,
            packets: false,
            classic: None,
        }
    }
}

/// A server that is bound, and serves once it is run.
#[derive(Debug)]
pub struct Server {
    socket: Arc<Udp>,
    local: SocketAddr,
    receive_buffer: Buffer,
    offer: Offer,
    config: Config,
    classic: Option<classic::server::Speaker>,
}

/// What a server did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Served {
    /// Sessions begun.
    pub sessions: u64,
    /// Sessions refused: a limit said no.
    pub refused: u64,
    /// Transfers ended.
    pub transfers: u64,
    /// Transfers that ended with every byte at the client.
    pub complete: u64,
    /// Bytes of files sent, each as often as it was sent.
    pub bytes: u64,
    /// Blocks sent, and how many of them not for the first time.
    pub blocks: u64,
    /// See [`Served::blocks`].
    pub sent_again: u64,
    /// Datagrams that came, and what they were worth.
    pub datagrams: Datagrams,
    /// The last transfers, in the order they ended.
    pub last: VecDeque<Sent>,
    /// What was done in the classic protocol, where that was spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classic: Option<classic::server::Served>,
}

/// Datagrams, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Datagrams {
    /// All that came.
    pub received: u64,
    /// All that were sent.
    pub sent: u64,
    /// All that the network did not take.
    pub untaken: u64,
    /// No datagram of ours: a wrong checksum, or something else altogether.
    pub garbage: u64,
    /// Of ours, but of no session there is, or from another address than its client's.
    pub strangers: u64,
    /// Bytes received from addresses that had not been proven, and bytes sent there: never more.
    pub unproven_received: u64,
    /// See [`Datagrams::unproven_received`].
    pub unproven_sent: u64,
}

/// What came of one transfer.
#[derive(Clone, Debug, Serialize)]
pub struct Sent {
    /// Which one, counted from 1.
    pub transfer: u64,
    /// To whom.
    pub to: String,
    /// The file's name.
    pub file: String,
    /// The mode.
    pub mode: String,
    /// The file's size in bytes.
    pub size: u64,
    /// Blocks sent.
    pub blocks: u64,
    /// How many of them not for the first time.
    pub sent_again: u64,
    /// What was found out about marks on the path (ECN), and how many blocks came marked.
    pub ecn: &'static str,
    /// See [`Sent::ecn`].
    pub marked: u64,
    /// How many bytes a block has.
    pub block: u16,
    /// How long it took, in nanoseconds.
    pub elapsed_ns: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where it is not plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Server {
    /// Opens the folder and binds the socket. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When the folder cannot be read, the port is taken, or the address is not ours.
    pub fn bind(config: Config) -> Result<Self, Failure> {
        let offer = Offer::open(&config.root)?;
        let socket = socket::bind_udp(config.bind)?;
        let local = socket::local(&socket)?;
        let failed = |error: std::io::Error| Failure::io("prepare the socket on", local, &error);
        let receive_buffer = socket::receive_buffer(&socket, config.buffer).map_err(failed)?;
        socket::send_buffer(&socket, config.buffer).map_err(failed)?;
        let socket = Arc::new(Udp::new(socket).map_err(failed)?);
        let classic = config.classic.clone();
        let classic =
            classic.map(|classic| classic::server::Speaker::new(classic, socket.clone(), local)).transpose()?;
        Ok(Server { socket, local, receive_buffer, offer, config, classic })
    }

    /// The address it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves until the session is asked to finish; then transfers under way have the grace time to end.
    ///
    /// # Errors
    /// When the folder cannot be listed, or the socket fails for good.
    pub async fn run(self, session: &Session) -> Result<Served, Failure> {
        session.tell_started(Some(self.local.to_string()), None);
        let classic = if self.classic.is_some() { "; also the classic protocol" } else { "" };
        session.output.line(format!(
            "[server] listening on {}, serving {}{classic}",
            self.local,
            self.offer.path().display()
        ));
        if self.receive_buffer.is_short() {
            tracing::info!(
                "receive buffer: asked {}, granted {}; more clients at once with: sysctl -w net.core.rmem_max={}",
                labkit::units::show_bytes(self.receive_buffer.asked as u64),
                labkit::units::show_bytes(self.receive_buffer.granted as u64),
                self.receive_buffer.asked
            );
        }
        let served = Serving::new(self, session.clone()).run().await;
        session.recorder.tell(|| Event::Finished { outcome: Outcome::Complete, reason: None });
        served
    }
}
