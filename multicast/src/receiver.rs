//! The receiver: joins, listens, tells what it hears and from whom, leaves, and joins again when it is told to.

mod args;
mod command;
mod ear;
mod hearing;
mod keys;
mod losses;
mod stay;
mod streams;
mod summary;
mod teller;

use std::io;
use std::num::NonZeroU64;
use std::time::Duration;

use events::{Event, Time, Unit};
use labkit::interface::{self, Choice};
use labkit::{Failure, Session};
use netsim::Impairment;

pub use args::ReceiverArgs;
pub use command::{Action, Command, Script};
pub use hearing::{Foreign, Key};
pub use losses::{Advice, Losses};
pub use stay::Absence;
pub use summary::{Ended, Summary};

use crate::tally::Row;
use crate::{Group, Membership, payload, silence};
use ear::{Ear, Which};
use keys::Keys;
use stay::Stay;

/// How many sources are remembered. More than any lab has, and a few megabytes when somebody forges them.
pub const SOURCES: usize = 10_000;
/// The receive buffer asked for, in bytes: a second of 32 Mbit/s while we do something else.
pub const RECEIVE_BUFFER: usize = 4 << 20;

/// Room for the largest datagram and one byte more, so that nothing is cut off unseen; not a power of two, so that the
/// datagrams of a batch do not all fall on the same lines of the processor's cache.
const LONGEST: usize = (payload::LONGEST_V6 + 1).next_multiple_of(64) + 64;
/// How many batches are still taken after leaving: no receive buffer holds more, so this ends what cannot happen.
const DRAIN: usize = 1 << 16;
/// How often we look whether an interface went or came.
const LOOK: Duration = Duration::from_secs(1);

/// How messages are told apart from other datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Framing {
    /// Ours by their header; everything else is raw.
    #[default]
    Auto,
    /// RTP of anybody; everything else is foreign.
    Rtp,
    /// Whatever comes is a message, as it is.
    Raw,
}

/// Which messages are told. Counted are all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// As they come.
    #[default]
    None,
    /// Each once.
    Dedupe,
    /// Each once, and in order.
    Ordered,
}

/// What a receiver is asked to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// The groups to join.
    pub groups: Vec<Group>,
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
    /// What is a message.
    pub framing: Framing,
    /// Which messages are told.
    pub filter: Filter,
    /// What is done to datagrams on purpose, and the seed of it.
    pub impair: Option<(Impairment, u64)>,
    /// When to join and leave; `None` is to join at once.
    pub script: Option<Script>,
    /// Whether standard input is listened to for commands.
    pub listens_to_stdin: bool,
}

impl Config {
    /// Listens to `group` on every usable interface until asked to stop.
    #[must_use]
    pub fn new(group: Group) -> Self {
        Config {
            groups: vec![group],
            interface: Choice::All,
            duration: None,
            count: None,
            receive_buffer: RECEIVE_BUFFER,
            sources: SOURCES,
            framing: Framing::Auto,
            filter: Filter::None,
            impair: None,
            script: None,
            listens_to_stdin: false,
        }
    }

    /// Whether it was told when to be content, by time or by number.
    #[must_use]
    pub fn has_goal(&self) -> bool {
        self.duration.is_some() || self.count.is_some() || self.script_ends()
    }

    fn script_ends(&self) -> bool {
        self.script.iter().flat_map(|script| script.steps()).any(|(_, command)| command.action == Action::Quit)
    }

    /// Whether the script joins at once, or there is none.
    fn joins_at_once(&self) -> bool {
        self.script.is_none()
    }
}

/// A receiver that has joined.
#[derive(Debug)]
pub struct Receiver {
    ears: Vec<Ear>,
    config: Config,
    session: Session,
}

impl Receiver {
    /// Joins, unless a script says when. Once this returns, what is sent to the groups is heard, even before
    /// [`Receiver::run`] is called.
    ///
    /// # Errors
    /// Those of [`Membership::join`], and `USAGE` when no group is named.
    pub fn join(config: &Config, session: Session) -> Result<Self, Failure> {
        if config.groups.is_empty() {
            return Err(Failure::usage("a receiver needs a group").hint(format!("the usual one is {}", Group::DEFAULT)));
        }
        let open = |group: &Group| Ear::open(group, &config.interface, config.receive_buffer, config.framing);
        let mut ears = config.groups.iter().map(open).collect::<Result<Vec<Ear>, Failure>>()?;
        if config.joins_at_once() {
            ears.iter_mut().try_for_each(Ear::join)?;
        }
        let groups = ears.iter().map(|ear| ear.group().clone()).collect();
        let receiver = Receiver { ears, config: Config { groups, ..config.clone() }, session };
        receiver.tell_begun();
        Ok(receiver)
    }

    /// The first group, with its port where port 0 was asked for.
    #[must_use]
    pub fn group(&self) -> &Group {
        self.membership().group()
    }

    /// What it joined the first group with.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        &self.ears[0].messages
    }

    /// What it joined each group with.
    pub fn memberships(&self) -> impl Iterator<Item = &Membership> {
        self.ears.iter().map(|ear| &ear.messages)
    }

    /// Listens until the duration is over, the count is reached or the session is asked to finish; then leaves.
    ///
    /// # Errors
    /// When the socket fails, which no datagram can make it do, or an interface that was joined before cannot be joined
    /// again when a command asks for it.
    pub async fn run(mut self) -> Result<Summary, Failure> {
        let mut stay = Stay::begin(&self);
        let ended = self.listen(&mut stay).await?;
        self.ears.iter_mut().for_each(Ear::leave);
        if ended != Ended::Count {
            self.drain(&mut stay);
        }
        stay.hearing.end(self.session.clock.now());
        self.tell_ended();
        let silence = match stay.hearing.messages() {
            0 => Some(self.explain_silence()?),
            _ => None,
        };
        let summary = self.summary(stay, ended, silence);
        self.tell_finished(&summary);
        Ok(summary)
    }

    async fn listen(&mut self, stay: &mut Stay) -> Result<Ended, Failure> {
        let stop = self.session.shutdown.requested();
        tokio::pin!(stop);
        let mut keys = self.config.listens_to_stdin.then(Keys::listen);
        let mut first = 0;
        loop {
            let now = self.session.clock.now();
            if let Some(ended) = self.handle_timeouts(stay, now)? {
                return Ok(ended);
            }
            let due = stay.poll_timeout().map_or(LOOK, |due| due - now);
            tokio::select! {
                biased;
                () = &mut stop => return Ok(Ended::Stopped),
                command = next_command(&mut keys) => {
                    if self.obey(stay, &command)? {
                        return Ok(Ended::Stopped);
                    }
                }
                ready = ready(&self.ears, first) => {
                    let (place, ear, which) = ready.map_err(|error| self.receive_failure(&error))?;
                    first = place + 1;
                    if self.take_in(stay, ear, which)? {
                        return Ok(Ended::Count);
                    }
                }
                () = tokio::time::sleep(due) => {}
            }
        }
    }

    /// Takes a batch in. Gives whether there were as many messages as wanted.
    fn take_in(&self, stay: &mut Stay, ear: usize, which: Which) -> Result<bool, Failure> {
        match self.ears[ear].receive(which, &mut stay.incoming) {
            Ok(_) => Ok(self.hear_batch(stay, ear, which)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(self.receive_failure(&error)),
        }
    }

    fn hear_batch(&self, stay: &mut Stay, ear: usize, which: Which) -> bool {
        let now = self.session.clock.now();
        let Stay { incoming, hearing, .. } = stay;
        for (bytes, source) in incoming.datagrams() {
            match which {
                Which::Messages => hearing.handle(ear, source, bytes, now),
                Which::Reports => hearing.handle_report(ear, source, bytes, now),
            }
            if self.config.count.is_some_and(|count| hearing.messages() >= count.get()) {
                return true;
            }
        }
        if which == Which::Messages {
            stay.note_drops(ear);
        }
        false
    }

    /// Takes what came before we left and is still in the receive buffers: when we read says nothing about when it came.
    fn drain(&self, stay: &mut Stay) {
        for ear in 0..self.ears.len() {
            self.drain_one(stay, ear);
        }
    }

    fn drain_one(&self, stay: &mut Stay, ear: usize) {
        for which in Which::ALL {
            for _ in 0..DRAIN {
                let got = self.ears[ear].receive_rest(which, &mut stay.incoming);
                if got.is_err() || self.hear_batch(stay, ear, which) {
                    break;
                }
            }
        }
    }

    /// Does what is due. Gives how it ends, where it does.
    fn handle_timeouts(&mut self, stay: &mut Stay, now: Time) -> Result<Option<Ended>, Failure> {
        stay.hearing.handle_timeout(now);
        while let Some(command) = stay.next_step(now) {
            if self.obey(stay, &command)? {
                return Ok(Some(Ended::Script));
            }
        }
        if stay.look_is_due(now) {
            self.look(stay, now)?;
        }
        if self.config.count.is_some_and(|count| stay.hearing.messages() >= count.get()) {
            return Ok(Some(Ended::Count));
        }
        if stay.deadline.is_some_and(|deadline| deadline <= now) {
            let after_ns = self.config.duration.map_or(0, nanos);
            self.session.recorder.tell(|| Event::Expired { what: "duration".into(), peer: None, after_ns });
            return Ok(Some(Ended::Duration));
        }
        Ok(None)
    }

    /// Does what it is told. Gives whether that is to end.
    fn obey(&mut self, stay: &mut Stay, command: &Command) -> Result<bool, Failure> {
        let now = self.session.clock.now();
        let meant = |ear: &Ear| command.means(ear.group());
        match command.action {
            Action::Quit => return Ok(true),
            Action::Print => self.session.output.line(self.progress(stay)),
            Action::Join => {
                for ear in (0..self.ears.len()).filter(|&ear| meant(&self.ears[ear])).collect::<Vec<_>>() {
                    self.rejoin(stay, ear, now)?;
                }
            }
            Action::Leave => {
                for ear in (0..self.ears.len()).filter(|&ear| meant(&self.ears[ear])).collect::<Vec<_>>() {
                    self.leave(stay, ear, now);
                }
            }
        }
        Ok(false)
    }

    fn rejoin(&mut self, stay: &mut Stay, ear: usize, now: Time) -> Result<(), Failure> {
        if self.ears[ear].messages.is_joined() {
            return Ok(());
        }
        stay.come_back(ear, now);
        self.ears[ear].join()?;
        self.ears[ear].tell_joined(&self.session);
        Ok(())
    }

    fn leave(&mut self, stay: &mut Stay, ear: usize, now: Time) {
        if !self.ears[ear].messages.is_joined() {
            return;
        }
        self.ears[ear].tell_left(&self.session);
        self.ears[ear].leave();
        self.session.output.line(format!("Left multicast group {}", self.ears[ear].group()));
        self.drain_one(stay, ear);
        stay.go_away(ear, now, "left");
    }

    /// Joins on interfaces that are back or new: the kernel forgets a membership with its interface.
    fn look(&mut self, stay: &mut Stay, now: Time) -> Result<(), Failure> {
        let all = interface::all()?;
        for ear in 0..self.ears.len() {
            if !self.ears[ear].messages.is_joined() {
                continue;
            }
            for change in self.ears[ear].follow(&all) {
                self.tell_change(ear, &change);
            }
            match (self.ears[ear].messages.interfaces().is_empty(), stay.is_away(ear)) {
                (true, false) => stay.go_away(ear, now, "the interface was down"),
                (false, true) => stay.come_back(ear, now),
                _ => {}
            }
        }
        Ok(())
    }

    fn explain_silence(&self) -> Result<Failure, Failure> {
        Ok(silence::explain(self.group(), self.membership().interfaces(), &interface::all()?))
    }

    fn receive_failure(&self, error: &io::Error) -> Failure {
        Failure::io("receive from", self.group(), error)
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
        for (name, value) in summary.figures() {
            let name = name.to_owned();
            self.session.recorder.tell(|| Event::Measured { name, value, unit: Unit::Count, peer: None });
        }
        let reason = summary.silence.as_ref().map(|silence| silence.message.clone());
        self.session.recorder.tell(|| Event::Finished { outcome: summary.outcome(), reason });
    }
}

/// The next command; never, where nobody gives any.
async fn next_command(keys: &mut Option<Keys>) -> Command {
    match keys {
        Some(keys) => keys.next().await,
        None => std::future::pending().await,
    }
}

/// Which socket has something: its place among all of them, its ear, and which of the two. The look begins at place
/// `first`, so that each gets its turn whatever comes to the others.
async fn ready(ears: &[Ear], first: usize) -> io::Result<(usize, usize, Which)> {
    let sockets = ears.len() * Which::ALL.len();
    std::future::poll_fn(|context| {
        for place in (0..sockets).map(|place| (first + place) % sockets) {
            let (ear, which) = (place / Which::ALL.len(), Which::ALL[place % Which::ALL.len()]);
            if let std::task::Poll::Ready(ready) = ears[ear].poll_ready(which, context) {
                return std::task::Poll::Ready(ready.map(|()| (place, ear, which)));
            }
        }
        std::task::Poll::Pending
    })
    .await
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
