//! Sessions: who has proven an address, and what it was called.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use arq::{Flow, SessionId, limits};
use events::Time;

use super::limits::Bucket;

/// A client whose address is proven.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) address: SocketAddr,
    /// The client's id: what we send is sent to it.
    pub(super) client: SessionId,
    pub(super) datagram: u16,
    /// When it was last heard.
    pub(super) heard: Time,
    /// Whether it has said anything but hello.
    pub(super) has_spoken: bool,
    /// When it was last told that it is let in.
    pub(super) accepted: Time,
    /// How many transfers it has that are not over.
    pub(super) transfers: usize,
    /// Those that are over, and still answer a client's last questions; the oldest first.
    pub(super) lingering: VecDeque<Flow>,
    /// Since when it waits for an answer that needs a look at the folder.
    pub(super) waiting: Option<Time>,
    /// What it may still open: each costs a look at the disk and a line in the log. One that brought bytes is given back.
    pub(super) opens: Bucket,
    /// When it is in the queue of timers for.
    pub(super) due: Option<Time>,
}

/// After being let in, a client has this long to say something: else it never meant to.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// The same hello again is answered no more often than this: one of them was lost, or somebody replays it.
pub(super) const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// How many transfers a session may open a second that bring nothing.
const OPENS: u32 = 100;

/// How many ended transfers of a session still answer. Of more than these, no client asks.
pub(super) const LINGERING: usize = 8;

impl Session {
    pub(super) fn new(now: Time, address: SocketAddr, client: SessionId, datagram: u16) -> Self {
        Session {
            address,
            client,
            datagram,
            heard: now,
            has_spoken: false,
            accepted: now,
            transfers: 0,
            lingering: VecDeque::new(),
            waiting: None,
            opens: Bucket::new(now, OPENS),
            due: None,
        }
    }

    /// When it is over, if nothing comes before.
    pub(super) fn over_at(&self) -> Time {
        self.heard + if self.has_spoken { limits::IDLE } else { FIRST_WORD }
    }
}

/// All of them, by the server's id.
pub(super) type Sessions = HashMap<SessionId, Session>;
