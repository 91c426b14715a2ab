//! The receiver: joins, listens, tells what it hears and from whom, leaves.

mod args;
mod summary;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU64;
use std::time::Duration;

use events::{Event, Unit};
use labkit::interface::{self, Choice};
use labkit::{Failure, Session};

pub use args::ReceiverArgs;
pub use summary::{Ended, Summary};

use crate::payload;
use crate::tally::{Row, Tally};
use crate::{Group, Membership, silence};

/// How many sources are remembered. More than any lab has, and a few megabytes when somebody forges them.
pub const SOURCES: usize = 10_000;
/// The receive buffer asked for, in bytes: a second of 32 Mbit/s while we do something else.
pub const RECEIVE_BUFFER: usize = 4 << 20;

/// The largest datagram and one byte more, so that nothing is cut off unseen.
const LONGEST: usize = payload::LONGEST_V6 + 1;
/// How many datagrams are still taken after leaving: no receive buffer holds more, so this ends what cannot happen.
const DRAIN: usize = 1 << 20;

/// What a receiver is asked to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// The group to join.
    pub group: Group,
    /// Where.
    pub interface: Choice,
    /// When to leave; `None` is when asked to.
    pub duration: Option<Duration>,
    /// Leave after so many messages.
    pub count: Option<NonZeroU64>,
    /// The receive buffer to ask for, in bytes.
    pub receive_buffer: usize,
    /// How many sources to remember.
    pub sources: usize,
}

impl Config {
    /// Listens to `group` on every usable interface until asked to stop.
    #[must_use]
    pub fn new(group: Group) -> Self {
        Config {
            group,
            interface: Choice::All,
            duration: None,
            count: None,
            receive_buffer: RECEIVE_BUFFER,
            sources: SOURCES,
        }
    }

    /// Whether it was told when to be content, by time or by number.
    #[must_use]
    pub fn has_goal(&self) -> bool {
        self.duration.is_some() || self.count.is_some()
    }
}

/// A receiver that has joined.
#[derive(Debug)]
pub struct Receiver {
    membership: Membership,
    config: Config,
    session: Session,
}

impl Receiver {
    /// Joins. Once this returns, what is sent to the group is heard, even before [`Receiver::run`] is called.
    ///
    /// # Errors
    /// Those of [`Membership::join`].
    pub fn join(config: &Config, session: Session) -> Result<Self, Failure> {
        let membership = Membership::join(&config.group, &config.interface, config.receive_buffer)?;
        let config = Config { group: membership.group().clone(), ..config.clone() };
        let receiver = Receiver { membership, config, session };
        receiver.tell_joined();
        Ok(receiver)
    }

    /// The group, with its port where port 0 was asked for.
    #[must_use]
    pub fn group(&self) -> &Group {
        self.membership.group()
    }

    /// What it joined with.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Listens until the duration is over, the count is reached or the session is asked to finish; then leaves.
    ///
    /// # Errors
    /// When the socket fails, which no datagram can make it do.
    pub async fn run(self) -> Result<Summary, Failure> {
        let joined = self.session.clock.now();
        let mut tally = Tally::new(self.config.sources);
        let mut buffer = vec![0; LONGEST];
        let ended = self.listen(&mut tally, &mut buffer).await?;
        let rest = self.membership.leave().map_err(|error| self.receive_failure(&error))?;
        if ended != Ended::Count {
            self.drain(&rest, &mut tally, &mut buffer);
        }
        self.tell_left();
        let silence = match tally.total().all().datagrams {
            0 => Some(self.explain_silence()?),
            _ => None,
        };
        let summary = Summary {
            group: self.group().clone(),
            interfaces: self.membership.interfaces().iter().map(|interface| interface.name.clone()).collect(),
            buffer: self.membership.buffer(),
            has_goal: self.config.has_goal(),
            wanted: self.config.count,
            interrupted: self.session.shutdown.was_interrupted(),
            elapsed: self.session.clock.now() - joined,
            joined,
            ended,
            tally,
            silence,
        };
        self.tell_finished(&summary);
        Ok(summary)
    }

    async fn listen(&self, tally: &mut Tally, buffer: &mut [u8]) -> Result<Ended, Failure> {
        let deadline = wait(self.config.duration);
        let stop = self.session.shutdown.requested();
        tokio::pin!(deadline, stop);
        loop {
            tokio::select! {
                received = self.membership.receive(buffer) => {
                    let (length, source) = received.map_err(|error| self.receive_failure(&error))?;
                    self.hear(tally, source, &buffer[..length]);
                    if self.config.count.is_some_and(|count| tally.total().all().datagrams >= count.get()) {
                        return Ok(Ended::Count);
                    }
                }
                () = &mut deadline => {
                    let after_ns = self.config.duration.map_or(0, nanos);
                    self.session.recorder.tell(|| Event::Expired { what: "duration".into(), peer: None, after_ns });
                    return Ok(Ended::Duration);
                }
                () = &mut stop => return Ok(Ended::Stopped),
            }
        }
    }

    /// Takes what came before we left and is still in the receive buffer: when we read says nothing about when it came.
    fn drain(&self, rest: &UdpSocket, tally: &mut Tally, buffer: &mut [u8]) {
        for _ in 0..DRAIN {
            if self.config.count.is_some_and(|count| tally.total().all().datagrams >= count.get()) {
                return;
            }
            match rest.recv_from(buffer) {
                Ok((length, source)) => self.hear(tally, source, &buffer[..length]),
                Err(_) => return,
            }
        }
    }

    fn hear(&self, tally: &mut Tally, source: SocketAddr, payload: &[u8]) {
        let kind = payload::classify(payload);
        let heard = tally.hear(source, kind, payload.len(), self.session.clock.now());
        if let (Some(forgot), 1) = (heard.forgot, tally.forgotten()) {
            tracing::warn!(
                "more than {} sources: the one idle longest is forgotten, {forgot} first; their messages stay in the total",
                tally.sources()
            );
        }
        self.session.recorder.tell_in(heard.flow, || Event::Received {
            peer: source.to_string(),
            what: kind.what().to_owned(),
            number: Some(heard.number),
            bytes: bytes(payload.len()),
            name: None,
            elapsed_ns: None,
        });
        let (label, length, shown) = (kind.label(), payload.len(), payload::show(kind, payload));
        self.session.output.line(format!("Received {label} from {source}, {length} bytes: {shown}"));
    }

    fn explain_silence(&self) -> Result<Failure, Failure> {
        Ok(silence::explain(self.group(), self.membership.interfaces(), &interface::all()?))
    }

    fn receive_failure(&self, error: &io::Error) -> Failure {
        Failure::io("receive from", self.group(), error)
    }

    fn tell_joined(&self) {
        let (session, group) = (&self.session, self.group());
        session.tell_started(Some(group.to_string()), None);
        for interface in self.membership.interfaces() {
            session.recorder.tell(|| Event::Joined { group: group.to_string(), interface: interface.name.clone() });
            session.output.line(format!("Joined multicast group {} on {}", group.address(), group.describe(interface)));
        }
        session.output.line(format!("Listening on multicast group {group}"));
    }

    fn tell_left(&self) {
        let (session, group) = (&self.session, self.group().to_string());
        for interface in self.membership.interfaces() {
            session.recorder.tell(|| Event::Left { group: group.clone(), interface: interface.name.clone() });
        }
        session.output.line("Leaving multicast group and closing socket.");
    }

    fn tell_finished(&self, summary: &Summary) {
        for Row { source, flow, counts, .. } in summary.tally.rows() {
            self.session.recorder.tell_in(flow, || Event::Measured {
                name: "messages".into(),
                value: counts.all().datagrams,
                unit: Unit::Count,
                peer: Some(source.to_string()),
            });
        }
        let reason = summary.silence.as_ref().map(|silence| silence.message.clone());
        self.session.recorder.tell(|| Event::Finished { outcome: summary.outcome(), reason });
    }
}

/// Over after `duration`; never, where there is none.
async fn wait(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
