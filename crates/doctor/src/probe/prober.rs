//! The conversation of the probe, in any time: what is heard goes in, what to send comes out.

use core::net::SocketAddr;
use core::time::Duration;

use events::Time;

use super::{Heard, Kind, Message, Name, Path};

/// How many other copies are remembered.
const MOST_PEERS: usize = 16;
/// How many datagrams one peer may cause, whatever it sends: four a round would do.
const MOST_CAUSED: u32 = 1_000;

/// How many times as many rounds where a way seems shut: the other side may only be slow.
const MORE: u32 = 4;

/// How a probe goes.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who we are: a random number, not 0.
    pub id: u64,
    /// The name we go by.
    pub name: Name,
    /// How many rounds to go on once somebody was met; four times as many where a way seems shut.
    pub rounds: u32,
    /// How long a round is.
    pub interval: Duration,
    /// How long to wait for somebody.
    pub patience: Duration,
    /// The address of the other copy, where the user named it: then it is asked even if no multicast comes through.
    pub peer: Option<SocketAddr>,
}

/// One side of the probe.
///
/// Call [`Prober::handle`] with each message that came and [`Prober::handle_timeout`] when [`Prober::poll_timeout`] is
/// due; send what they return; stop when [`Prober::is_over`], which is to be asked whenever the time-out is due.
#[derive(Clone, Debug)]
pub struct Prober {
    config: Config,
    round: u32,
    due: Time,
    /// When to stop waiting for somebody.
    alone_until: Time,
    /// The round in which somebody was met first.
    met: Option<u32>,
    named_asked: u32,
    peers: Vec<Peer>,
}

#[derive(Clone, Debug)]
struct Peer {
    id: u64,
    address: SocketAddr,
    name: Name,
    /// Its multicasts and unicasts, as we hear them.
    multicast: Listening,
    unicast: Listening,
    /// Ours, as it tells that it heard them.
    told: Option<(Path, Path)>,
    /// How many unicasts went to it.
    sent: u32,
    /// The round in which it was met.
    since: u32,
}

/// Numbered messages that come: the first number, the last, how many.
#[derive(Clone, Copy, Debug, Default)]
struct Listening {
    first: u32,
    last: u32,
    heard: u32,
}

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: Destination,
    /// What; whoever sends it puts its own port in.
    pub message: Message,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To everybody in the group.
    Group,
    /// To one.
    Peer(SocketAddr),
}

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// To the group.
    Multicast,
    /// To us alone.
    Unicast,
}

impl Prober {
    /// Begins at `now`.
    #[must_use]
    pub fn new(now: Time, config: Config) -> Self {
        let alone_until = now + config.patience;
        Prober { config, round: 0, due: now, alone_until, met: None, named_asked: 0, peers: Vec::new() }
    }

    /// When [`Prober::handle_timeout`] is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Time {
        if self.has_met() { self.due } else { self.due.min(self.alone_until) }
    }

    /// Whether all is said. Counted in rounds of our own, so that a machine that was busy still hears what came.
    #[must_use]
    pub fn is_over(&self, now: Time) -> bool {
        let Some(met) = self.met else { return now >= self.alone_until };
        let (done, wanted) = (self.round.saturating_sub(met), self.config.rounds);
        // The last round has its time too.
        done > wanted && now >= self.due && (self.all_ways_work() || done > wanted.saturating_mul(MORE))
    }

    fn all_ways_work(&self) -> bool {
        self.heard().iter().all(|one| {
            [one.multicast_to, one.multicast_from, one.unicast_to, one.unicast_from].into_iter().all(Path::works)
        })
    }

    /// Whether any other copy was met.
    #[must_use]
    pub fn has_met(&self) -> bool {
        self.met.is_some()
    }

    /// A new round: the hello, and a question to the peer that the user named.
    pub fn handle_timeout(&mut self, now: Time) -> Vec<Transmit> {
        if now < self.due || self.is_over(now) {
            return Vec::new();
        }
        self.round = self.round.saturating_add(1);
        self.due = now + self.config.interval;
        let hello = self.message(Kind::Hello, 0, self.round, (Path::default(), Path::default()));
        let mut out = vec![Transmit { to: Destination::Group, message: hello }];
        out.extend(self.config.peer.and_then(|address| self.ask_named(address)));
        out
    }

    fn ask_named(&mut self, address: SocketAddr) -> Option<Transmit> {
        if let Some(known) = self.peers.iter().position(|peer| peer.address.ip() == address.ip()) {
            return self.say(known, Kind::Ask);
        }
        self.named_asked = self.named_asked.saturating_add(1);
        let message = self.message(Kind::Ask, 0, self.named_asked, (Path::default(), Path::default()));
        Some(Transmit { to: Destination::Peer(address), message })
    }

    /// Takes a message that came from `from`; at most one goes out for it.
    pub fn handle(&mut self, now: Time, from: SocketAddr, by: By, message: &Message) -> Option<Transmit> {
        let expected = if message.kind == Kind::Hello { By::Multicast } else { By::Unicast };
        let for_us =
            message.to == self.config.id || (message.to == 0 && matches!(message.kind, Kind::Hello | Kind::Ask));
        if message.id == self.config.id || by != expected || !for_us || self.is_over(now) {
            return None;
        }
        let known = self.meet(from, message)?;
        self.note(known, message);
        match message.kind {
            Kind::Hello => self.say(known, Kind::Answer),
            Kind::Answer => self.say(known, Kind::Ask),
            Kind::Ask => self.say(known, Kind::Reply),
            Kind::Reply => None,
        }
    }

    /// The place of whoever said `message`; `None` when there is no room for one more.
    fn meet(&mut self, from: SocketAddr, message: &Message) -> Option<usize> {
        let mut address = from;
        address.set_port(message.port);
        if let Some(known) = self.peers.iter().position(|peer| peer.id == message.id) {
            return Some(known);
        }
        if self.peers.len() == MOST_PEERS {
            return None;
        }
        self.met.get_or_insert(self.round);
        // Asked by its address before its number was known: those questions count.
        let asked = self.config.peer.is_some_and(|peer| peer.ip() == from.ip());
        self.peers.push(Peer {
            id: message.id,
            address,
            name: message.name,
            multicast: Listening::default(),
            unicast: Listening::default(),
            told: None,
            sent: if asked { self.named_asked } else { 0 },
            since: self.round,
        });
        Some(self.peers.len() - 1)
    }

    fn note(&mut self, known: usize, message: &Message) {
        let peer = &mut self.peers[known];
        if message.kind == Kind::Hello {
            peer.multicast.hear(message.number);
            return;
        }
        peer.unicast.hear(message.number);
        if message.to == self.config.id {
            peer.told = Some((message.multicast, message.unicast));
        }
    }

    fn say(&mut self, known: usize, kind: Kind) -> Option<Transmit> {
        let peer = &mut self.peers[known];
        if peer.sent >= MOST_CAUSED {
            return None;
        }
        peer.sent += 1;
        let (to, number, id) = (Destination::Peer(peer.address), peer.sent, peer.id);
        let heard = (peer.multicast.path(), peer.unicast.path());
        Some(Transmit { to, message: self.message(kind, id, number, heard) })
    }

    fn message(&self, kind: Kind, to: u64, number: u32, (multicast, unicast): (Path, Path)) -> Message {
        Message { kind, port: 0, id: self.config.id, to, number, multicast, unicast, name: self.config.name }
    }

    /// What passed between us and each other copy, in the order of meeting.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.peers.iter().map(|peer| self.heard_of(peer)).collect()
    }

    fn heard_of(&self, peer: &Peer) -> Heard {
        let hellos = self.round.saturating_sub(peer.since).max(1);
        let (multicast_to, unicast_to) = peer.told.unwrap_or_default();
        let all = |path: Path, sent: u32| if path.works() { path } else { Path { sent, heard: 0 } };
        Heard {
            address: peer.address.ip(),
            name: peer.name.as_str().to_owned(),
            multicast_to: all(multicast_to, hellos),
            multicast_from: all(peer.multicast.path(), hellos),
            unicast_to: all(unicast_to, peer.sent),
            unicast_from: all(peer.unicast.path(), hellos),
        }
    }
}

impl Listening {
    /// The same message twice (by two interfaces, or duplicated) counts once, and one that is late not at all.
    fn hear(&mut self, number: u32) {
        if number > self.last {
            if self.heard == 0 {
                self.first = number;
            }
            self.last = number;
            self.heard = self.heard.saturating_add(1);
        }
    }

    fn path(self) -> Path {
        match self.heard {
            0 => Path::default(),
            heard => Path { sent: (self.last - self.first).saturating_add(1), heard },
        }
    }
}

#[cfg(test)]
mod tests;
