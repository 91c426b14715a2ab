//! The sender: hands messages to a group, one datagram each, and never learns who hears them.

mod args;
mod list;
mod load;
mod numbering;
pub(crate) mod stdin;
mod summary;

use std::num::NonZeroU64;
use std::time::Duration;

use events::{Event, Outcome};
use labkit::interface::Choice;
use labkit::{Exit, Failure, Session};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Interval, MissedTickBehavior};

pub use args::SenderArgs;
pub use load::Rate;
pub use summary::Sent;

use load::Load;
use numbering::Numbering;

use crate::payload::{self, Kind, Message, RANDOM_BYTES};
use crate::tally::Counts;
use crate::{Group, Outgoing, Reach};

/// How messages go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// As they are: no header, no number.
    #[default]
    Raw,
    /// Numbered, each in an RTP packet (RFC 3550), with reports on the next port.
    Rtp,
}

/// What a sender sends, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The same bytes every time.
    Fixed(Message),
    /// Random bytes, new ones every time.
    Random,
    /// A datagram per line of standard input, until it ends.
    Stdin,
    /// So many bytes of nothing in particular.
    Filler(usize),
}

/// What a sender is asked to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// The group to send to.
    pub group: Group,
    /// Through which interface; `None` lets the kernel's route decide.
    pub interface: Option<Choice>,
    /// What to send.
    pub items: Vec<Item>,
    /// How often to send the whole list; `None` is until asked to stop.
    pub rounds: Option<NonZeroU64>,
    /// From one datagram to the next.
    pub interval: Duration,
    /// Before the first.
    pub delay: Duration,
    /// How far.
    pub reach: Reach,
    /// Where the random bytes come from: one seed, the same bytes.
    pub seed: u64,
    /// With numbers, or without.
    pub framing: Framing,
    /// As much as this a second, many datagrams at a time; `None` keeps to the interval.
    pub rate: Option<Rate>,
    /// End after so long.
    pub duration: Option<Duration>,
    /// How many datagrams go out in one system call at most, 1 to 64.
    pub batch: usize,
}

impl Config {
    /// The three payloads of the lab, once, a second apart, in the name of `name`.
    #[must_use]
    pub fn classic(group: Group, name: &str) -> Self {
        Config {
            group,
            interface: None,
            items: classic(name, "temp", "22.29"),
            rounds: Some(NonZeroU64::MIN),
            interval: Duration::from_secs(1),
            delay: Duration::ZERO,
            reach: Reach::default(),
            seed: rand::random::<u32>().into(),
            framing: Framing::Raw,
            rate: None,
            duration: None,
            batch: labkit::batch::SEGMENTS,
        }
    }

    /// The longest payload a message to the group may carry, in bytes.
    #[must_use]
    pub fn longest(&self) -> usize {
        let longest = if self.group.address().is_ipv4() { payload::LONGEST_V4 } else { payload::LONGEST_V6 };
        longest - if self.framing == Framing::Rtp { crate::rtp::HEADER } else { 0 }
    }
}

/// A text in the name of `name`, a reading of `sensor`, and random bytes.
#[must_use]
pub fn classic(name: &str, sensor: &str, value: &str) -> Vec<Item> {
    vec![Item::Fixed(Message::greeting(name)), Item::Fixed(Message::reading(sensor, value)), Item::Random]
}

/// A sender whose socket is open.
#[derive(Debug)]
pub struct Sender {
    outgoing: Outgoing,
    config: Config,
    session: Session,
    pace: Option<Interval>,
    random: StdRng,
    counts: Counts,
    numbering: Option<Numbering>,
    told_of_fragments: bool,
}

impl Sender {
    /// Opens the socket; nothing is sent yet.
    ///
    /// # Errors
    /// Those of [`Outgoing::open`], and `TOO-LONG` when a payload fits no datagram.
    pub fn open(config: Config, session: Session) -> Result<Self, Failure> {
        check_load(&config)?;
        for item in &config.items {
            match item {
                Item::Fixed(message) => check_length(message, &config, Exit::Usage)?,
                Item::Filler(length) => check_length(&Message::binary(vec![0; *length]), &config, Exit::Usage)?,
                Item::Random | Item::Stdin => {}
            }
        }
        let outgoing = Outgoing::open(&config.group, config.interface.as_ref(), config.reach)?;
        session.tell_started(Some(outgoing.source().to_string()), Some(config.seed));
        let cname = format!("{}@{}", session.node, outgoing.source().ip());
        let numbering = Numbering::begin(cname, session.node.clone());
        Ok(Sender {
            numbering: (config.framing == Framing::Rtp).then_some(numbering),
            outgoing,
            session,
            pace: pace(config.interval),
            random: StdRng::seed_from_u64(config.seed),
            config,
            counts: Counts::default(),
            told_of_fragments: false,
        })
    }

    /// Its socket, with the interface and the address it sends from.
    #[must_use]
    pub fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// Sends everything, or until the session is asked to finish.
    ///
    /// # Errors
    /// When the operating system refuses a datagram or standard input cannot be read; the message says how many were
    /// sent before.
    pub async fn run(mut self) -> Result<Sent, Failure> {
        let shutdown = self.session.shutdown.clone();
        let started = self.session.clock.now();
        let done = match shutdown.or(tokio::time::sleep(self.config.delay)).await {
            Some(()) => self.send_until_over(&shutdown).await,
            None => None,
        };
        self.report_end().await;
        if let Some(Err(failure)) = done {
            let sent = self.counts.all().datagrams;
            return Err(Failure { message: format!("{} ({sent} sent before)", failure.message), ..failure });
        }
        let sent = Sent {
            group: self.config.group.clone(),
            interface: self.outgoing.interface().name.clone(),
            source: self.outgoing.source(),
            reach: self.config.reach,
            seed: self.config.seed,
            framing: self.config.framing,
            ssrc: self.numbering.as_ref().map(Numbering::ssrc),
            counts: self.counts,
            elapsed: self.session.clock.now() - started,
            complete: done.is_some(),
            endless: self.config.rounds.is_none(),
            interrupted: shutdown.was_interrupted(),
        };
        let outcome = if sent.exit() == Exit::Interrupted { Outcome::Interrupted } else { Outcome::Complete };
        self.session.recorder.tell(|| Event::Finished { outcome, reason: None });
        Ok(sent)
    }

    /// All of it, or as much as there is time for: `None` when somebody stopped it.
    async fn send_until_over(&mut self, shutdown: &labkit::Shutdown) -> Option<Result<(), Failure>> {
        self.report_if_due().await;
        let duration = self.config.duration.unwrap_or(Duration::MAX);
        let sending = async {
            match self.config.rate {
                Some(rate) => self.send_load(rate).await,
                None => self.send_all().await,
            }
        };
        // Time being over is as good an end as any.
        let limited = async { tokio::time::timeout(duration, sending).await.unwrap_or(Ok(())) };
        shutdown.or(limited).await
    }

    /// Everything at once or at a rate, many datagrams at a time.
    async fn send_load(&mut self, rate: Rate) -> Result<(), Failure> {
        let began = self.session.clock.now();
        let mut load = Load::new(rate, &self.config, began);
        loop {
            let now = self.session.clock.now();
            let is_over = self.config.duration.is_some_and(|duration| now - began >= duration);
            if is_over || self.session.shutdown.is_requested() {
                return Ok(());
            }
            if let Some(wait) = load.wait(now) {
                self.while_reporting(tokio::time::sleep(wait)).await;
                continue;
            }
            if !load.fill(&mut self.numbering, &mut self.random, now) {
                return Ok(());
            }
            self.note_fragments(load.size());
            self.outgoing.send_many(load.bytes(), load.size()).await?;
            for (kind, bytes) in load.messages() {
                self.counts.add(kind, bytes);
                let number = self.counts.all().datagrams;
                self.tell_sent(kind, number, bytes);
            }
            if self.report_if_due().await {
                let sent = self.counts.all().datagrams;
                self.session.output.line(format!("Sent {sent} datagrams to {} so far", self.config.group));
            }
        }
    }

    /// Waits for `something`, and tells the totals meanwhile whenever it is time to: receivers shall know that we are
    /// still here, however slowly we send.
    async fn while_reporting<T>(&mut self, something: impl Future<Output = T>) -> T {
        tokio::pin!(something);
        loop {
            let due = self.numbering.as_ref().map(|numbering| numbering.poll_timeout() - self.session.clock.now());
            tokio::select! {
                biased;
                done = &mut something => return done,
                () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => {
                    self.report_if_due().await;
                }
            }
        }
    }

    /// Tells the totals, when it is time to. Gives whether it was.
    async fn report_if_due(&mut self) -> bool {
        let now = self.session.clock.now();
        let counts = self.counts.all();
        let Some(report) = self.numbering.as_mut().and_then(|numbering| numbering.report_if_due(now, counts)) else {
            return false;
        };
        self.outgoing.send_report(&report).await;
        true
    }

    /// Says that this is the end. Nobody can ask for it again, so it is said three times.
    async fn report_end(&mut self) {
        let (now, counts) = (self.session.clock.now(), self.counts.all());
        if let Some(numbering) = &self.numbering {
            let report = numbering.report(now, counts, true);
            for _ in 0..3 {
                self.outgoing.send_report(&report).await;
            }
        }
    }

    async fn send_all(&mut self) -> Result<(), Failure> {
        let mut round = 0;
        while self.config.rounds.is_none_or(|rounds| round < rounds.get()) {
            round += 1;
            for item in self.config.items.clone() {
                match item {
                    Item::Fixed(message) => self.send(&message).await?,
                    Item::Random => {
                        let bytes: [u8; RANDOM_BYTES] = self.random.random();
                        self.send(&Message::binary(bytes)).await?;
                    }
                    Item::Stdin => self.send_lines().await?,
                    Item::Filler(length) => self.send(&Message::binary(vec![0; length])).await?,
                }
            }
        }
        Ok(())
    }

    async fn send_lines(&mut self) -> Result<(), Failure> {
        let mut lines = stdin::lines(std::io::stdin(), self.config.longest());
        while let Some(line) = self.while_reporting(lines.recv()).await {
            let line = line.map_err(|error| Failure::io("read", "standard input", &error))?;
            let message = Message::guess(line);
            let exit = if self.counts.all().datagrams == 0 { Exit::Usage } else { Exit::Partial };
            check_length(&message, &self.config, exit)?;
            self.send(&message).await?;
        }
        Ok(())
    }

    /// Waits for its turn, then hands one datagram to the network and tells.
    async fn send(&mut self, message: &Message) -> Result<(), Failure> {
        if let Some(mut pace) = self.pace.take() {
            self.while_reporting(pace.tick()).await;
            self.pace = Some(pace);
        }
        let Message { kind, bytes } = message;
        let now = self.session.clock.now();
        match &mut self.numbering {
            None => {
                self.note_fragments(bytes.len());
                self.outgoing.send(bytes).await?;
            }
            Some(numbering) => {
                let mut datagram = Vec::with_capacity(crate::rtp::HEADER + bytes.len());
                numbering.write_header(&mut datagram, *kind, now);
                datagram.extend_from_slice(bytes);
                self.note_fragments(datagram.len());
                self.outgoing.send(&datagram).await?;
            }
        }
        self.counts.add(*kind, bytes.len());
        let number = self.counts.all().datagrams;
        self.tell_sent(*kind, number, bytes.len());
        self.tell_line(*kind, number, bytes);
        self.report_if_due().await;
        Ok(())
    }

    fn tell_sent(&self, kind: Kind, number: u64, bytes: usize) {
        self.session.recorder.tell(|| Event::Sent {
            peer: self.config.group.to_string(),
            what: kind.what().to_owned(),
            number: Some(number),
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        });
    }

    fn tell_line(&self, kind: Kind, number: u64, bytes: &[u8]) {
        let number = if self.numbering.is_some() { format!(" {number}") } else { String::new() };
        let (label, length, shown) = (kind.label(), bytes.len(), payload::show(kind, bytes));
        self.session.output.line(format!("Sent {label}{number} to {}, {length} bytes: {shown}", self.config.group));
    }

    /// Says, once, that a datagram does not fit one packet: losing one piece loses it all.
    fn note_fragments(&mut self, bytes: usize) {
        let Some(mtu) = self.outgoing.mtu() else { return };
        let is_v6 = !self.config.group.address().is_ipv4();
        match payload::fragments(bytes, mtu, is_v6) {
            Some(pieces) if pieces > 1 && !self.told_of_fragments => {
                self.told_of_fragments = true;
                tracing::warn!(
                    "a datagram of {bytes} bytes is split in {pieces} on {} (MTU {mtu}); one lost piece loses it all; \
                     {} bytes fit in one [UDP-MTU]",
                    self.outgoing.interface().name,
                    mtu.saturating_sub(if is_v6 { 48 } else { 28 })
                );
            }
            _ => {}
        }
    }
}

/// A load of datagrams without a byte has no bits a second, and would be sent by no system call that takes many.
fn check_load(config: &Config) -> Result<(), Failure> {
    let is_empty = |item: &Item| match item {
        Item::Fixed(message) => message.bytes.is_empty(),
        Item::Filler(length) => *length == 0,
        Item::Random | Item::Stdin => false,
    };
    if config.rate.is_none() || config.framing == Framing::Rtp || !config.items.iter().any(is_empty) {
        return Ok(());
    }
    Err(Failure::usage("a load of datagrams without a byte has no bits a second")
        .hint("a payload of a byte or more, --framing rtp, or -i 0 instead of --bitrate"))
}

fn check_length(message: &Message, config: &Config, exit: Exit) -> Result<(), Failure> {
    let (length, longest) = (message.bytes.len(), config.longest());
    if length <= longest {
        return Ok(());
    }
    let (shown, label) = (payload::show(Kind::Text, message.bytes.get(..20).unwrap_or_default()), message.kind.label());
    // A line that is too long is cut where it is known to be: it may be longer still.
    let message = format!("a {label} of {length} bytes or more ('{shown}…') fits no datagram: at most {longest} bytes");
    Err(Failure::new(exit, "TOO-LONG", message).hint("send it in pieces; 1,472 bytes or less fit an Ethernet frame"))
}

/// `None` is as fast as the network takes them.
fn pace(interval: Duration) -> Option<Interval> {
    if interval.is_zero() {
        return None;
    }
    let mut pace = tokio::time::interval(interval);
    // Two lines typed in haste are still an interval apart.
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(pace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let group = Group::parse("224.1.1.1").unwrap();
        Config { items: vec![Item::Fixed(Message::text(text))], ..Config::classic(group, "sender1") }
    }

    #[test]
    fn the_longest_payload_of_each_family_is_the_limit() {
        let v4 = config("");
        let v6 = Config { group: Group::parse("ff15::1:5").unwrap(), ..v4.clone() };
        for (config, longest) in [(v4, 65_507), (v6, 65_527)] {
            let check = |length| check_length(&Message::text("x".repeat(length)), &config, Exit::Usage);
            assert_eq!(check(longest), Ok(()));
            let failure = check(longest + 1).unwrap_err();
            assert_eq!((failure.exit, failure.code), (Exit::Usage, "TOO-LONG"));
            assert!(failure.message.contains(&longest.to_string()), "{failure}");
        }
    }

    #[test]
    fn the_classic_list_is_text_reading_and_random_bytes() {
        let Config { items, .. } = Config::classic(Group::parse("224.1.1.1").unwrap(), "sender1");
        assert_eq!(items[0], Item::Fixed(Message::text("Hello, this is a multicast message from sender1.")));
        assert_eq!(items[1], Item::Fixed(Message::json(r#"{"sensor": "temp", "value": 22.29}"#).unwrap()));
        assert_eq!(items[2..], [Item::Random]);
    }

    #[test]
    fn one_seed_gives_the_same_bytes() {
        let draw = |seed| StdRng::seed_from_u64(seed).random::<[u8; RANDOM_BYTES]>();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
