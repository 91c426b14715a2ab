//! The probe on real sockets: one lane an interface, each with a socket that sends to the group and one for unicast.

use std::net::{IpAddr, SocketAddr};

use doctor::Facts;
use doctor::facts::{Interface, Probe};
use doctor::probe::{By, Config, Destination, Message, Name, Prober, Transmit};
use events::{Event, Time};
use labkit::interface::Choice;
use labkit::{Clock, Failure, Session};
use multicast::{Group, Membership, Outgoing, Reach};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Args, proc};

/// The receive buffer asked for, in bytes; a probe is a few datagrams a second.
const BUFFER: usize = 1 << 18;
/// How many datagrams may wait for us: more are dropped, as a network would.
const WAITING: usize = 256;

/// The sockets on one interface.
struct Lane {
    interface: Interface,
    outgoing: Outgoing,
    unicast: std::sync::Arc<UdpSocket>,
    port: u16,
}

/// A datagram that came.
type Came = (By, SocketAddr, Result<Message, doctor::probe::BadMessage>);

/// Talks with the other copies until all is said; `None` where no interface lets us.
///
/// # Errors
/// When the group is none.
pub(super) async fn run(
    args: &Args,
    facts: &Facts,
    group: &Group,
    session: &Session,
) -> Result<Option<Probe>, Failure> {
    let group = Group::new(group.address(), group.port())?;
    let mut lanes = Vec::new();
    let mut readers = JoinSet::new();
    let (told, mut came) = mpsc::channel(WAITING);
    for interface in facts.working() {
        match open(interface, &group, args) {
            Ok((membership, lane)) => {
                session.recorder.tell(|| Event::Joined { group: group.to_string(), interface: interface.name.clone() });
                readers.spawn(read_group(membership, told.clone()));
                readers.spawn(read_unicast(lane.unicast.clone(), told.clone()));
                lanes.push(lane);
            }
            // The trial met the same, and a rule explains it.
            Err(failure) => tracing::warn!("not probed through {}: {}", interface.name, failure.message),
        }
    }
    if lanes.is_empty() {
        return Ok(None);
    }
    let before = proc::filtered();
    let mut probing = Probing { prober: prober(args, &group, session), lanes, group, session };
    let peer = args.peer.map(|peer| SocketAddr::from((peer, probing.group.port())));
    let refusal = refusal(peer);
    tokio::pin!(refusal);
    let mut refused = false;
    let stop = session.shutdown.requested();
    tokio::pin!(stop);
    loop {
        let now = session.clock.now();
        if probing.prober.is_over(now) {
            break;
        }
        let due = probing.prober.poll_timeout().since(now);
        tokio::select! {
            Some((by, from, message)) = came.recv() => probing.hear(by, from, message).await,
            () = tokio::time::sleep(due) => probing.speak().await,
            () = &mut refusal, if !refused => refused = true,
            () = &mut stop => break,
        }
    }
    let (heard, filtered) = (probing.prober.heard(), proc::filtered().saturating_sub(before));
    Ok(Some(Probe { peer: args.peer, refused, heard, filtered }))
}

fn open(interface: &Interface, group: &Group, args: &Args) -> Result<(Membership, Lane), Failure> {
    Ok((Membership::join(group, &Choice::Index(interface.index), BUFFER)?, Lane::open(interface, group, args)?))
}

fn prober(args: &Args, group: &Group, session: &Session) -> Prober {
    let config = Config {
        id: rand::random_range(1..=u64::MAX),
        name: Name::new(&session.node),
        rounds: args.count,
        interval: args.interval,
        patience: args.deadline,
        peer: args.peer.map(|peer| SocketAddr::from((peer, group.port()))),
    };
    Prober::new(session.clock.now(), config)
}

impl Lane {
    fn open(interface: &Interface, group: &Group, args: &Args) -> Result<Self, Failure> {
        let outgoing =
            Outgoing::open(group, Some(&Choice::Index(interface.index)), Reach { ttl: args.ttl, loopback: true })?;
        let bind = |port| {
            // The address the hello comes from is the one that answers go to.
            let mut address = outgoing.source();
            address.set_port(port);
            let socket = std::net::UdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket)
        };
        // The group's own port passes the same rules of a firewall; where it is taken, any other does.
        let unicast = bind(group.port()).or_else(|_| bind(0));
        let unicast = unicast.map_err(|error| Failure::io("bind UDP on", &interface.name, &error))?;
        let port = labkit::socket::local(&unicast)?.port();
        Ok(Lane { interface: interface.clone(), outgoing, unicast: unicast.into(), port })
    }

    fn leads_to(&self, peer: SocketAddr) -> bool {
        let scope = match peer {
            SocketAddr::V6(peer) => peer.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        match scope {
            0 => self.interface.addresses.iter().any(|own| own.covers(peer.ip())),
            index => self.interface.index == index,
        }
    }
}

async fn read_group(membership: Membership, told: mpsc::Sender<Came>) {
    let mut buffer = [0; doctor::probe::LENGTH + 1];
    while let Ok((length, from)) = membership.receive(&mut buffer).await {
        let message = Message::decode(&buffer[..length]);
        if told.send((By::Multicast, from, message)).await.is_err() {
            return;
        }
    }
}

async fn read_unicast(socket: std::sync::Arc<UdpSocket>, told: mpsc::Sender<Came>) {
    let mut buffer = [0; doctor::probe::LENGTH + 1];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let message = Message::decode(&buffer[..length]);
        if told.send((By::Unicast, from, message)).await.is_err() {
            return;
        }
    }
}

/// Resolves once the peer's machine says that nobody listens there: only a connected socket is told (udp(7)).
async fn refusal(peer: Option<SocketAddr>) {
    if let Some(peer) = peer {
        let any: IpAddr = if peer.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
        if let Ok(socket) = UdpSocket::bind((any, 0)).await
            && socket.connect(peer).await.is_ok()
            && socket.send(b"").await.is_ok()
            && socket.recv(&mut [0; 1]).await.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
        {
            return;
        }
    }
    std::future::pending().await
}

struct Probing<'a> {
    prober: Prober,
    lanes: Vec<Lane>,
    group: Group,
    session: &'a Session,
}

impl Probing<'_> {
    fn now(&self) -> Time {
        let clock: Clock = self.session.clock;
        clock.now()
    }

    async fn speak(&mut self) {
        for out in self.prober.handle_timeout(self.now()) {
            self.send(out).await;
        }
    }

    async fn hear(&mut self, by: By, from: SocketAddr, message: Result<Message, doctor::probe::BadMessage>) {
        let message = match message {
            Ok(message) => message,
            Err(reason) => return tracing::debug!("from {from}: {reason}"),
        };
        let had_met = self.prober.has_met();
        let answer = self.prober.handle(self.now(), from, by, &message);
        let (what, number) = (message.kind.label().to_owned(), Some(message.number.into()));
        self.session.recorder.tell(|| Event::Received {
            peer: from.to_string(),
            what,
            number,
            bytes: doctor::probe::LENGTH as u64,
            name: Some(message.name.as_str().to_owned()),
            elapsed_ns: None,
        });
        if !had_met && self.prober.has_met() {
            let name = labkit::text::show(message.name.as_str().as_bytes(), 20);
            self.session.output.line(format!("Met {name} at {}", from.ip()));
        }
        if let Some(out) = answer {
            self.send(out).await;
        }
    }

    /// Puts the port of each lane in, so that the answer finds the socket that hears it.
    async fn send(&self, out: Transmit) {
        match out.to {
            Destination::Group => {
                for lane in &self.lanes {
                    let bytes = Message { port: lane.port, ..out.message }.encode();
                    let sent = lane.outgoing.send(&bytes).await.map_err(|failure| failure.message);
                    self.tell(&self.group, &out.message, sent);
                }
            }
            Destination::Peer(peer) => {
                let lane = self.lanes.iter().find(|lane| lane.leads_to(peer)).or(self.lanes.first());
                let Some(lane) = lane else { return };
                let bytes = Message { port: lane.port, ..out.message }.encode();
                let sent = lane.unicast.send_to(&bytes, peer).await.map(|_| ()).map_err(|error| error.to_string());
                self.tell(&peer, &out.message, sent);
            }
        }
    }

    fn tell(&self, to: &impl ToString, message: &Message, sent: Result<(), String>) {
        let what = message.kind.label().to_owned();
        match sent {
            Ok(()) => self.session.recorder.tell(|| Event::Sent {
                peer: to.to_string(),
                what,
                number: Some(message.number.into()),
                bytes: doctor::probe::LENGTH as u64,
            }),
            Err(reason) => {
                tracing::debug!("to {}: {reason}", to.to_string());
                self.session.recorder.tell(|| Event::Failed { what, peer: Some(to.to_string()), reason });
            }
        }
    }
}
