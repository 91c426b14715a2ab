//! The group client: a member that says and hears what is for all, writes to the server alone, and answers calls.

mod args;
mod classic;
mod config;
mod script;
mod summary;
mod tell;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use events::{Event, Time};
use labkit::{Failure, Session, socket};
use tokio::sync::mpsc;

pub use args::ClientArgs;
pub use config::Config;
pub use summary::{Ended, Summary};

use crate::Membership;
use crate::call::{Member, MemberConfig, Why};
use crate::group_io::gate::{BUFFER, Gate};
use crate::group_io::typed::Typed;
use crate::group_io::{next_line, wait};

/// How long what was said may take to arrive before leaving.
const FLUSH: Duration = Duration::from_secs(2);

/// A client that is about to join.
#[derive(Debug)]
pub struct Client {
    config: Config,
    session: Session,
    gate: Gate,
    member: Member,
    membership: Option<Membership>,
    lines: Option<mpsc::Receiver<io::Result<Vec<u8>>>>,
    /// Somebody sits there, and sees a prompt.
    is_person: bool,
    /// A line that waits for its turn; no other is read meanwhile.
    held: Option<Typed>,
    /// When the script goes on.
    pause: Option<Time>,
    /// Calls that wait for what is typed next.
    asked: VecDeque<u64>,
    /// Since when it has not been a member.
    outside: Option<Time>,
    /// When the lines ended.
    ended: Option<Time>,
    /// By when it leaves, whatever has not arrived.
    leaving: Option<(Ended, Time)>,
    over: Option<(Why, bool)>,
    hinted: bool,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    member: Option<u32>,
    lines: u64,
    messages: u64,
    said: u64,
    seen: u64,
    /// Of these, its own.
    own_seen: u64,
    answered: u64,
    foreign: u64,
}

impl Client {
    /// Opens its socket; it begins to join once it runs.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub fn open(config: Config, session: Session) -> Result<Self, Failure> {
        let socket = socket::bind_udp(any_port(config.server))?;
        session.tell_started(Some(socket::local(&socket)?.to_string()), None);
        let gate = Gate::new(socket, config.impairment.clone(), &session);
        let now = session.clock.now();
        let member = Member::new(now, MemberConfig { name: config.name.clone(), seed: config.seed });
        Ok(Client {
            config,
            session,
            gate,
            member,
            membership: None,
            lines: None,
            is_person: false,
            held: None,
            pause: None,
            asked: VecDeque::new(),
            outside: Some(now),
            ended: None,
            leaving: None,
            over: None,
            hinted: false,
            counts: Counts::default(),
        })
    }

    /// Reads what is typed at `lines`; `is_person` says whether somebody sits there.
    #[must_use]
    pub fn with_lines(self, lines: mpsc::Receiver<io::Result<Vec<u8>>>, is_person: bool) -> Self {
        Client { lines: Some(lines), is_person, ..self }
    }

    /// Joins and runs until its script is done, the server ends, its time is over or the session is asked to finish.
    ///
    /// # Errors
    /// When the socket fails, which no datagram can make it do.
    pub async fn run(mut self) -> Result<Summary, Failure> {
        let started = self.session.clock.now();
        let ended = self.serve().await?;
        let has_goal = self.config.duration.is_some() || (self.ended.is_some() && self.counts.lines > 0);
        let summary = Summary {
            server: self.config.server,
            member: self.counts.member,
            elapsed: self.session.clock.now() - started,
            lines: self.counts.lines,
            messages: self.counts.messages,
            said: self.counts.said,
            seen: self.counts.seen,
            answered: self.counts.answered,
            foreign: self.counts.foreign,
            ended,
            complete: self.over.is_none_or(|(_, complete)| complete),
            interrupted: has_goal && self.session.shutdown.was_interrupted(),
        };
        self.session.recorder.tell(|| Event::Finished { outcome: summary.outcome(), reason: None });
        Ok(summary)
    }

    async fn serve(&mut self) -> Result<Ended, Failure> {
        let (mut buffer, mut group_buffer) = (vec![0; BUFFER], vec![0; BUFFER]);
        let (stop, duration) = (self.session.shutdown.requested(), wait(self.config.duration));
        tokio::pin!(stop, duration);
        loop {
            self.settle().await;
            if let Some((why, _)) = self.over {
                let ended = self.leaving.map_or(Ended::Done, |(ended, _)| ended);
                return Ok(if why == Why::Closed { Ended::ServerEnded } else { ended });
            }
            if let Some(ended) = self.is_done() {
                self.leave(ended);
                continue;
            }
            let nap = self.nap();
            let reads = self.leaving.is_none() && self.held.is_none() && self.lines.is_some();
            let may_end = self.leaving.is_none();
            tokio::select! {
                received = self.gate.receive(&mut buffer) => match received {
                    Ok((length, from)) if from == self.config.server => {
                        self.member.handle(self.session.clock.now(), &buffer[..length]);
                    }
                    Ok(_) => self.counts.foreign += 1,
                    Err(error) if is_harmless(&error) => {}
                    Err(error) => return Err(Failure::io("receive from", self.config.server, &error)),
                },
                Ok((length, _)) = receive(self.membership.as_ref(), &mut group_buffer) => {
                    self.member.handle_group(self.session.clock.now(), &group_buffer[..length]);
                }
                () = tokio::time::sleep(nap) => self.member.handle_timeout(self.session.clock.now()),
                line = next_line(&mut self.lines), if reads => self.read(line),
                () = &mut duration, if may_end => self.leave(Ended::Duration),
                () = &mut stop, if may_end => self.leave(Ended::Stopped),
            }
        }
    }

    /// Drains the member, and lets the script go on.
    async fn settle(&mut self) {
        loop {
            let now = self.session.clock.now();
            while let Some(event) = self.member.poll_event() {
                self.tell(event);
            }
            self.retry_held();
            self.leave_when_settled(now);
            while let Some(bytes) = self.member.poll_transmit() {
                self.gate.send(now, self.config.server, bytes).await;
            }
            self.gate.flush(now).await;
            let Some(event) = self.member.poll_event() else { return };
            self.tell(event);
        }
    }

    fn nap(&self) -> Duration {
        let now = self.session.clock.now();
        let machines = [self.member.poll_timeout(), self.gate.poll_timeout()];
        // What is past of these was looked at, and says no more when to wake: who is no member now cannot go on, however
        // long its pause is over.
        let patience = self.ended.map(|ended| ended + self.config.deadline);
        let entry = self.outside.map(|since| since + self.config.max_wait);
        let leaving = self.leaving.map(|(_, limit)| limit);
        let limits = [patience, entry, leaving, self.pause].into_iter().flatten().filter(|limit| *limit > now);
        match machines.into_iter().flatten().chain(limits).min() {
            Some(next) => next - now,
            None => Duration::from_secs(3600),
        }
    }

    /// Leaves, once what was said has arrived.
    fn leave(&mut self, ended: Ended) {
        let limit = if ended == Ended::NeverIn { Duration::ZERO } else { FLUSH };
        self.leaving.get_or_insert((ended, self.session.clock.now() + limit));
    }

    fn leave_when_settled(&mut self, now: Time) {
        if let Some((_, limit)) = self.leaving
            && (self.member.is_settled() || self.member.welcome().is_none() || limit <= now)
            && !self.member.is_over()
        {
            self.member.leave(now);
            while let Some(event) = self.member.poll_event() {
                self.tell(event);
            }
        }
    }
}

/// Any port, of the family that reaches `server`; for a server on this machine, on the loopback interface only.
fn any_port(server: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match (server.ip().is_loopback(), server.ip()) {
        (true, ip) => ip,
        (false, IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
        (false, IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
    };
    (ip, 0).into()
}

/// What an earlier datagram of ours met: nobody there yet, say.
fn is_harmless(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset | io::ErrorKind::HostUnreachable
    )
}

async fn receive(membership: Option<&Membership>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match membership {
        Some(membership) => membership.receive(buffer).await,
        None => std::future::pending().await,
    }
}
