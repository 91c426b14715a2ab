//! One group a receiver listens to: its messages, and the reports of its sources on the next port.

use std::task::{Context, Poll};

use events::Event;
use labkit::batch::Incoming;
use labkit::interface::{Choice, Interface};
use labkit::{Failure, Session};

use super::Framing;
use crate::membership::Change;
use crate::{Group, Membership};

/// The receive buffer for reports, in bytes: they are few and small.
const REPORTS: usize = 64 << 10;
/// How often a free pair of ports is looked for.
const TRIES: usize = 8;

/// Which socket of an ear something came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// That of the messages.
    Messages,
    /// That of the reports.
    Reports,
}

impl Which {
    /// Both.
    pub(super) const ALL: [Which; 2] = [Which::Messages, Which::Reports];
}

/// A group's sockets.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) messages: Membership,
    reports: Option<Membership>,
}

impl Ear {
    /// Opens the sockets; nothing is joined yet. Without the one for reports it is only less that is known; where any
    /// port will do, one is looked for that has the next one free.
    pub(super) fn open(group: &Group, choice: &Choice, buffer: usize, framing: Framing) -> Result<Self, Failure> {
        let mut ear = Ear::open_once(group, choice, buffer, framing)?;
        for _ in 0..TRIES {
            if group.port() != 0 || ear.reports.is_some() || framing == Framing::Raw {
                break;
            }
            ear = Ear::open_once(group, choice, buffer, framing)?;
        }
        Ok(ear)
    }

    fn open_once(group: &Group, choice: &Choice, buffer: usize, framing: Framing) -> Result<Self, Failure> {
        let messages = Membership::open(group, choice, buffer)?;
        let port = messages.group().port().checked_add(1).filter(|_| framing != Framing::Raw);
        let reports = port.and_then(|port| {
            let group = group.on_port(port);
            Membership::open(&group, choice, REPORTS)
                .inspect_err(|failure| tracing::info!("totals of senders cannot be heard: {}", failure.message))
                .ok()
        });
        Ok(Ear { messages, reports })
    }

    pub(super) fn group(&self) -> &Group {
        self.messages.group()
    }

    pub(super) fn join(&mut self) -> Result<(), Failure> {
        self.messages.rejoin()?;
        // Memberships are counted per socket: where one of the first kind was allowed, so is one of the second.
        if let Some(Err(failure)) = self.reports.as_mut().map(Membership::rejoin) {
            tracing::info!("totals of senders cannot be heard: {}", failure.message);
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.messages.leave();
        if let Some(reports) = &mut self.reports {
            reports.leave();
        }
    }

    /// What happened to its interfaces.
    pub(super) fn follow(&mut self, all: &[Interface]) -> Vec<Change> {
        if let Some(reports) = &mut self.reports {
            let _ = reports.follow(all);
        }
        self.messages.follow(all)
    }

    pub(super) fn poll_ready(&self, which: Which, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match (which, &self.reports) {
            (Which::Messages, _) => self.messages.poll_ready(context),
            (Which::Reports, Some(reports)) => reports.poll_ready(context),
            (Which::Reports, None) => Poll::Pending,
        }
    }

    pub(super) fn receive(&self, which: Which, into: &mut Incoming) -> std::io::Result<usize> {
        match (which, &self.reports) {
            (Which::Reports, Some(reports)) => reports.receive_batch(into),
            _ => self.messages.receive_batch(into),
        }
    }

    pub(super) fn receive_rest(&self, which: Which, into: &mut Incoming) -> std::io::Result<usize> {
        match (which, &self.reports) {
            (Which::Reports, Some(reports)) => reports.receive_rest(into),
            (Which::Reports, None) => Err(std::io::ErrorKind::WouldBlock.into()),
            (Which::Messages, _) => self.messages.receive_rest(into),
        }
    }

    pub(super) fn tell_joined(&self, session: &Session) {
        let group = self.group();
        for interface in self.messages.interfaces() {
            session.recorder.tell(|| Event::Joined { group: group.to_string(), interface: interface.name.clone() });
            let only = group.source().map(|source| format!(" for {source} alone")).unwrap_or_default();
            session.output.line(format!(
                "Joined multicast group {} on {}{only}",
                group.address(),
                group.describe(interface)
            ));
        }
    }

    pub(super) fn tell_left(&self, session: &Session) {
        for interface in self.messages.interfaces() {
            session
                .recorder
                .tell(|| Event::Left { group: self.group().to_string(), interface: interface.name.clone() });
        }
    }
}
