//! The group server: hears its clients, answers one, tells all, and calls the group as one calls a procedure.

mod args;
mod config;
mod desk;
mod handle;
mod orders;
mod pending;
mod summary;
mod tell;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use events::{Event, Outcome, Time};
use labkit::interface::{self, Choice};
use labkit::target::Family;
use labkit::{Failure, Session, socket};
use socket2::SockRef;
use tokio::sync::{mpsc, oneshot};

pub use args::ServerArgs;
pub use config::{ADDRESS, Config, GROUP};
pub use handle::Handle;
pub use summary::{CallSummary, Summary};

use crate::call::{CallResult, Destination, Hub, HubConfig, Refused, Secret};
use crate::group_io::gate::{BUFFER, Gate};
use crate::group_io::seldom::Seldom;
use crate::group_io::typed::Typed;
use crate::group_io::{next_line, wait};
use handle::{Gathering, Request};
use pending::Pending;

/// How many requests of handles may wait.
const REQUESTS: usize = 64;

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    config: Config,
    session: Session,
    local: SocketAddr,
    gate: Gate,
    /// Where what is for all goes, with multicast.
    group: Option<SocketAddr>,
    hub: Hub,
    handle: Handle,
    requests: mpsc::Receiver<Request>,
    gatherings: Vec<Gathering>,
    /// Who waits for the answers of a call; none: the operator.
    callers: BTreeMap<u64, Option<oneshot::Sender<Result<CallResult, Refused>>>>,
    operator: Operator,
    counts: Counts,
}

/// What the operator is in the middle of.
#[derive(Debug, Default)]
struct Operator {
    lines: Option<mpsc::Receiver<io::Result<Vec<u8>>>>,
    /// Somebody sits there, and sees a prompt.
    is_person: bool,
    pending: Pending,
    /// A line that waits for its turn; no other is read meanwhile.
    held: Option<Typed>,
    /// When the script goes on.
    pause: Option<Time>,
    /// What strangers make us warn of.
    warnings: Seldom,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    joined: u64,
    lost: u64,
    lines: u64,
    casts: u64,
    foreign: u64,
    withheld: u64,
    calls: u64,
}

impl Server {
    /// Binds. Once this returns, clients can be heard, even before [`Server::run`] is called.
    ///
    /// # Errors
    /// When the address cannot be bound, the interface is not there, or the group is of another family.
    pub fn open(config: Config, session: Session) -> Result<Self, Failure> {
        let socket = socket::bind_udp(config.bind)?;
        let local = socket::local(&socket)?;
        let group = aim(&config, &socket)?;
        let hub = Hub::new(HubConfig {
            order: config.order,
            group,
            heartbeat: config.heartbeat,
            silence: config.silence,
            members: config.members,
            trusts_raw: config.classic,
            ..HubConfig::new(Secret(rand::random()))
        });
        let gate = Gate::new(socket, config.impairment.clone(), &session);
        let (sender, requests) = mpsc::channel(REQUESTS);
        session.tell_started(Some(local.to_string()), config.impairment.as_ref().map(|(_, seed)| *seed));
        session.recorder.tell(|| Event::Phase { name: format!("order {}", config.order) });
        Ok(Server {
            config,
            session,
            local,
            gate,
            group,
            hub,
            handle: Handle::new(sender),
            requests,
            gatherings: Vec::new(),
            callers: BTreeMap::new(),
            operator: Operator::default(),
            counts: Counts::default(),
        })
    }

    /// Where it listens, with its port where port 0 was asked for.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// What speaks to it while it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until the session is asked to finish or the duration is over; members get what was said to them, then
    /// good-bye.
    ///
    /// # Errors
    /// When the socket fails, which no datagram can make it do.
    pub async fn run(mut self) -> Result<Summary, Failure> {
        let started = self.session.clock.now();
        let ended_itself = self.serve().await?;
        let interrupted = self.config.duration.is_some() && !ended_itself && self.session.shutdown.was_interrupted();
        let outcome = if interrupted { Outcome::Interrupted } else { Outcome::Complete };
        self.session.recorder.tell(|| Event::Finished { outcome, reason: None });
        Ok(Summary {
            local: self.local,
            order: self.config.order,
            elapsed: self.session.clock.now() - started,
            joined: self.counts.joined,
            lost: self.counts.lost,
            raw_clients: self.hub.raw_clients().len(),
            lines: self.counts.lines,
            casts: self.counts.casts,
            calls: self.counts.calls,
            foreign: self.counts.foreign,
            withheld: self.counts.withheld,
            interrupted,
        })
    }

    /// Whether it ended by itself.
    async fn serve(&mut self) -> Result<bool, Failure> {
        let mut buffer = vec![0; BUFFER];
        let stop = self.session.shutdown.requested();
        let deadline = wait(self.config.duration);
        tokio::pin!(stop, deadline);
        let (mut closing, mut ended_itself) = (false, false);
        loop {
            self.settle().await;
            if !closing && self.is_to_quit() {
                (closing, ended_itself) = (true, true);
                self.hub.close(self.session.clock.now());
                continue;
            }
            if self.hub.is_over() && self.gate.poll_timeout().is_none() {
                return Ok(ended_itself);
            }
            let nap = self.nap();
            let reads = !closing && self.operator.held.is_none() && self.operator.lines.is_some();
            tokio::select! {
                received = self.gate.receive(&mut buffer) => match received {
                    Ok((length, from)) => self.hub.handle(self.session.clock.now(), from, &buffer[..length]),
                    Err(error) if is_harmless(&error) => {}
                    Err(error) => return Err(Failure::io("receive on", self.local, &error)),
                },
                () = tokio::time::sleep(nap) => self.hub.handle_timeout(self.session.clock.now()),
                Some(request) = self.requests.recv() => self.serve_request(request),
                line = next_line(&mut self.operator.lines), if reads => {
                    if self.read(line) {
                        (closing, ended_itself) = (true, true);
                        self.hub.close(self.session.clock.now());
                    }
                }
                () = &mut stop, if !closing => {
                    closing = true;
                    self.hub.close(self.session.clock.now());
                }
                () = &mut deadline, if !closing => {
                    (closing, ended_itself) = (true, true);
                    self.hub.close(self.session.clock.now());
                }
            }
        }
    }

    /// Drains the hub, and lets whoever waited go on.
    async fn settle(&mut self) {
        loop {
            let now = self.session.clock.now();
            while let Some(event) = self.hub.poll_event() {
                self.tell(event);
            }
            self.answer_gatherings();
            self.retry_held();
            while let Some((to, bytes)) = self.hub.poll_transmit() {
                match (to, self.group) {
                    (Destination::One(to), _) | (Destination::Group, Some(to)) => self.gate.send(now, to, bytes).await,
                    (Destination::Group, None) => {}
                }
            }
            self.gate.flush(now).await;
            let Some(event) = self.hub.poll_event() else { return };
            self.tell(event);
        }
    }

    fn nap(&self) -> Duration {
        let now = self.session.clock.now();
        // Where a script waits for its call, that wakes us up, however long its pause is over. A pause that ended since it was
        // looked at is looked at again at once.
        let pause = self.operator.pause.filter(|_| !self.script_waits());
        match [self.hub.poll_timeout(), self.gate.poll_timeout(), pause].into_iter().flatten().min() {
            Some(next) => next - now,
            None => Duration::from_secs(3600),
        }
    }

    fn serve_request(&mut self, request: Request) {
        let now = self.session.clock.now();
        // Whoever asked may be gone by now; then nobody misses the answer.
        match request {
            Request::Call(text, within, answer) => match self.hub.call(now, &text, within) {
                Ok(call) => self.called(call, &text, Some(answer)),
                Err(refused) => drop(answer.send(Err(refused))),
            },
            Request::Cast(text, answer) => drop(answer.send(self.hub.cast(now, &text).map(drop))),
            Request::Present(answer) => drop(answer.send(self.hub.present(now))),
            Request::Gather(gathering) => self.gatherings.push(gathering),
        }
    }

    fn answer_gatherings(&mut self) {
        if self.gatherings.is_empty() {
            return;
        }
        let present = self.hub.present(self.session.clock.now());
        self.gatherings.retain(|gathering| !gathering.done.is_closed());
        for complete in self.gatherings.extract_if(.., |one| one.is_complete(&present)).collect::<Vec<_>>() {
            let _ = complete.done.send(());
        }
    }
}

/// Pins what goes to the group to an interface, and gives its address.
fn aim(config: &Config, socket: &tokio::net::UdpSocket) -> Result<Option<SocketAddr>, Failure> {
    let Some(group) = &config.group else { return Ok(None) };
    let is_v4 = group.address().is_ipv4();
    if is_v4 != config.bind.is_ipv4() {
        return Err(Failure::usage(format!("{group} and {} are of different families", config.bind))
            .hint("bind to 0.0.0.0 for an IPv4 group, to [::] for an IPv6 group"));
    }
    let bound = (!config.bind.ip().is_unspecified()).then(|| Choice::Address(config.bind.ip()));
    let Some(choice) = config.interface.clone().or(bound) else { return Ok(Some(group.socket_address(0))) };
    let family = if is_v4 { Family::V4 } else { Family::V6 };
    let chosen = choice.select(&interface::all()?, family)?;
    let Some(chosen) = chosen.first() else { return Ok(Some(group.socket_address(0))) };
    let socket = SockRef::from(socket);
    let pinned = match chosen.v4.first() {
        Some(address) if is_v4 => {
            socket.set_multicast_if_v4(address).and_then(|()| socket.set_multicast_ttl_v4(config.ttl.into()))
        }
        _ => socket.set_multicast_if_v6(chosen.index).and_then(|()| socket.set_multicast_hops_v6(config.ttl.into())),
    };
    pinned.map_err(|error| Failure::io(&format!("send to {group} through"), &chosen.name, &error))?;
    Ok(Some(group.socket_address(chosen.index)))
}

/// What an earlier datagram of ours met; it says nothing about the socket.
fn is_harmless(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset | io::ErrorKind::HostUnreachable
    )
}
