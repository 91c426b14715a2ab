//! What may be typed to the sender, and the banner it begins with.

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use clap::Parser;
use events::Event;
use labkit::flags::switch;
use labkit::interface::Choice;
use labkit::program::VERSION;
use labkit::{Common, Exit, Failure, Program, Session, units};

use super::list::List;
use super::{Config, Framing, Item, Rate, Sender};
use crate::compare::{self, Way};
use crate::{Group, Outgoing, Reach, block, payload, rtp};

/// The interval where none is typed: for people to follow.
const LONG: Duration = Duration::from_secs(1);
/// The same with `--cast`, and how many messages: enough to measure, in half a second.
const CAST: (u64, Duration) = (100, Duration::from_millis(5));

/// Send messages to a multicast group, one datagram each
#[derive(Parser, Debug)]
#[command(
    name = "multicast-sender",
    version,
    before_help = "Examples:
  multicast-sender -I lo --name sender1           three payloads to 224.1.1.1:5007: text, JSON, 16 random bytes
  multicast-sender -I lo --text hello -c 10 -i 500ms   a text, ten times
  date | multicast-sender -I lo 239.1.1.1:6000 -  each line of standard input
  multicast-sender -I lo -b 50M -l 1400 -t 10s -c 0   a load of 50 Mbit/s for ten seconds
  multicast-sender --cast compare --receivers 50  one message to 50: by unicast, broadcast and multicast",
    after_help = "Raw payloads have no header, no number, no answer; numbered ones are RTP (RFC 3550), and receivers know \
what they missed. A receiver that has not joined yet hears nothing: --delay waits for it."
)]
pub struct SenderArgs {
    /// The group, as GROUP[:PORT] or [IPV6]:PORT
    #[arg(value_name = "GROUP[:PORT]", default_value = Group::DEFAULT, env = "CASTLAB_GROUP", hide_env_values = true)]
    group: String,

    /// The same as --stdin
    #[arg(value_name = "-", value_parser = ["-"], hide_possible_values = true)]
    dash: Option<String>,

    /// The one interface to send through: NAME, ADDRESS or INDEX [default: the one the group is routed to]
    #[arg(short = 'I', long, value_name = "INTERFACE", env = "CASTLAB_INTERFACE", hide_env_values = true)]
    interface: Option<Choice>,

    /// How often to send the whole list; 0 is until Ctrl-C [default: 1, with --cast 100]
    #[arg(short, long, value_name = "N", env = "CASTLAB_COUNT", hide_env_values = true)]
    count: Option<u64>,

    /// raw, or numbered in RTP packets [default: raw, and rtp where the list is sent more than once or as a load]
    #[arg(long, value_enum, env = "CASTLAB_FRAMING", hide_env_values = true)]
    framing: Option<Framing>,

    /// Send as a load, at so many bits of payload a second (64K, 10M, 1G), or max; --interval is not looked at then
    #[arg(short, long, value_name = "RATE", env = "CASTLAB_BITRATE", hide_env_values = true)]
    bitrate: Option<Rate>,

    /// Send datagrams of this length, of nothing in particular, instead of a list
    #[arg(short, long, value_name = "BYTES", env = "CASTLAB_LENGTH", hide_env_values = true)]
    length: Option<usize>,

    /// End after this long
    #[arg(
        short = 't',
        long,
        visible_alias = "time",
        value_parser = units::positive_duration,
        env = "CASTLAB_DURATION",
        hide_env_values = true
    )]
    duration: Option<Duration>,

    /// How many datagrams of a load go in one system call at most: the kernel cuts them apart
    #[arg(
        long,
        value_name = "N",
        default_value_t = 64,
        value_parser = clap::value_parser!(u8).range(1..=64),
        env = "CASTLAB_BATCH",
        hide_env_values = true
    )]
    batch: u8,

    /// From one datagram to the next; 0 is at once [default: 1s, with --cast 5ms]
    #[arg(short, long, value_parser = units::duration, env = "CASTLAB_INTERVAL", hide_env_values = true)]
    interval: Option<Duration>,

    /// Before the first datagram, so that receivers can join
    #[arg(long, default_value = "0s", value_parser = units::duration, env = "CASTLAB_DELAY", hide_env_values = true)]
    delay: Duration,

    /// How many links it may cross; 1 is this link only
    #[arg(long, default_value_t = 1, env = "CASTLAB_TTL", hide_env_values = true)]
    ttl: u8,

    /// Receivers on this machine shall not hear it
    #[arg(value_parser = switch(), long, env = "CASTLAB_NO_LOOPBACK", hide_env_values = true)]
    no_loopback: bool,

    /// Where the random bytes come from: one seed, the same bytes [default: a new one, told at the start]
    #[arg(long, value_name = "N", env = "CASTLAB_SEED", hide_env_values = true)]
    seed: Option<u64>,

    /// Measure what it costs to reach --receivers on this machine that way, or all three ways: 100 messages, 5 ms apart,
    /// unless --count and --interval say otherwise
    #[arg(long, value_name = "WAY", value_enum, env = "CASTLAB_CAST", hide_env_values = true)]
    cast: Option<Cast>,

    /// How many receivers --cast makes, 1 to 100
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(compare::RECEIVERS)),
        env = "CASTLAB_RECEIVERS",
        hide_env_values = true
    )]
    receivers: u16,

    #[command(flatten)]
    list: List,

    #[command(flatten)]
    common: Common,
}

/// What `--cast` measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Cast {
    Unicast,
    Broadcast,
    Multicast,
    /// All three, one after the other
    Compare,
}

impl SenderArgs {
    /// What `--cast` is to measure.
    fn comparison(&self, cast: Cast) -> Result<compare::Config, Failure> {
        let IpAddr::V4(group) = Group::parse(&self.group)?.address() else {
            return Err(Failure::usage("--cast measures on the loopback interface, which carries no IPv6 multicast")
                .hint(format!("an IPv4 group, such as {}", Group::DEFAULT)));
        };
        let length = self.length.unwrap_or(100);
        if !(compare::SHORTEST..=payload::LONGEST_V4).contains(&length) {
            let (from, to) = (compare::SHORTEST, payload::LONGEST_V4);
            return Err(Failure::usage(format!("--length {length}: with --cast a message has {from} to {to} bytes")));
        }
        let messages = self.count.unwrap_or(CAST.0);
        if messages == 0 {
            return Err(Failure::usage("--count 0: a comparison needs an end").hint("--count 1 or more"));
        }
        Ok(compare::Config {
            ways: match cast {
                Cast::Unicast => vec![Way::Unicast],
                Cast::Broadcast => vec![Way::Broadcast],
                Cast::Multicast => vec![Way::Multicast],
                Cast::Compare => Way::ALL.to_vec(),
            },
            receivers: self.receivers,
            messages,
            interval: self.interval.unwrap_or(CAST.1),
            length,
            group,
        })
    }

    /// What is meant.
    ///
    /// # Errors
    /// When the group is none, a payload cannot be had, or standard input would have to be read twice.
    pub fn config(&self) -> Result<Config, Failure> {
        let (group, dash) = match self.group.as_str() {
            "-" => (Group::DEFAULT, true),
            group => (group, self.dash.is_some()),
        };
        let (name, group) = (self.common.node(), Group::parse(group)?);
        if let Some(source) = group.source() {
            return Err(Failure::usage(format!("{group}: a sender is the source itself"))
                .hint(format!("to send from {source}, name it with -I")));
        }
        let framing = self.framing.unwrap_or_else(|| self.usual_framing());
        let items = self.items(&name, dash, framing)?;
        if items.contains(&Item::Stdin) && self.bitrate.is_some() {
            return Err(Failure::usage("--bitrate is for a load, and lines of standard input come when they come")
                .hint("leave --bitrate out; --interval keeps lines apart"));
        }
        if items.contains(&Item::Stdin) && self.count() != 1 {
            return Err(Failure::usage("standard input can be sent once only, and --count asks for more")
                .hint("leave --count out, or send --text or --binary-file again and again"));
        }
        let classic = Config::classic(group, &name);
        Ok(Config {
            interface: self.interface.clone(),
            items,
            rounds: NonZeroU64::new(self.count()),
            interval: self.interval.unwrap_or(LONG),
            delay: self.delay,
            reach: Reach { ttl: self.ttl, loopback: !self.no_loopback },
            seed: self.seed.unwrap_or(classic.seed),
            framing,
            rate: self.bitrate,
            duration: self.duration,
            batch: self.batch.into(),
            ..classic
        })
    }

    /// Once through the list is the lab as it was; whoever sends more wants to know what was missed.
    fn usual_framing(&self) -> Framing {
        if self.count() == 1 && self.bitrate.is_none() && self.length.is_none() { Framing::Raw } else { Framing::Rtp }
    }

    /// How often the list goes out; 0 is without end.
    fn count(&self) -> u64 {
        self.count.unwrap_or(1)
    }

    fn items(&self, name: &str, dash: bool, framing: Framing) -> Result<Vec<Item>, Failure> {
        let Some(length) = self.length else { return self.list.items(name, dash) };
        let header = if framing == Framing::Rtp { rtp::HEADER } else { 0 };
        match length.checked_sub(header) {
            Some(length) => Ok(vec![Item::Filler(length)]),
            None => Err(Failure::usage(format!("--length {length}: the RTP header alone takes {header} bytes"))
                .hint(format!("--length {header} or more, or --framing raw"))),
        }
    }
}

impl Program for SenderArgs {
    const ROLE: &'static str = "multicast-sender";

    fn common(&self) -> &Common {
        &self.common
    }

    async fn run(self, session: Session) -> Result<Exit, Failure> {
        if let Some(cast) = self.cast {
            let config = self.comparison(cast)?;
            session.tell_started(None, None);
            let output = session.output.clone();
            let compared = compare::run(&config, &session).await?;
            output.result(compared.to_string());
            output.json(&compared.to_json());
            session.recorder.tell(|| Event::Finished { outcome: compared.outcome(), reason: None });
            return Ok(compared.exit());
        }
        let config = self.config()?;
        let (output, reach, delay, framing) = (session.output.clone(), config.reach, config.delay, config.framing);
        let seed = config.items.contains(&Item::Random).then_some(config.seed);
        let sender = Sender::open(config, session)?;
        banner(sender.outgoing(), reach);
        if framing == Framing::Rtp {
            tracing::info!("messages are numbered (RTP); totals go to the port after the group's");
        }
        if let Some(seed) = seed {
            tracing::info!("--seed {seed} sends the same random bytes again");
        }
        if !delay.is_zero() {
            tracing::info!("the first datagram goes out in {}", units::show_duration(delay));
        }
        let sent = sender.run().await?;
        output.result(sent.to_string());
        output.json(&sent.to_json());
        Ok(sent.exit())
    }
}

fn banner(outgoing: &Outgoing, reach: Reach) {
    let (group, interface) = (outgoing.group(), outgoing.interface());
    tracing::info!(
        "multicast-sender {VERSION}: to {group} from {} through {}; TTL {} ({}), loopback {}",
        outgoing.source(),
        group.describe(interface),
        reach.ttl,
        how_far(reach.ttl),
        if reach.loopback { "on (receivers on this machine hear it too)" } else { "off" },
    );
    if interface.flags.loopback && !reach.loopback {
        tracing::warn!(
            "{} is this machine: what goes through it is heard here, whatever --no-loopback",
            interface.name
        );
    }
    for note in block::notes(group.address()) {
        tracing::info!("{note}");
    }
}

fn how_far(ttl: u8) -> &'static str {
    match ttl {
        0 => "this machine only",
        1 => "this link only",
        _ => "as far as routers carry it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(line: &[&str]) -> Result<Config, Failure> {
        SenderArgs::try_parse_from(["multicast-sender", "--name", "sender1"].iter().chain(line)).unwrap().config()
    }

    #[test]
    fn the_defaults_are_the_classic_lab() {
        let config = config(&[]).unwrap();
        assert_eq!(config.group.to_string(), "224.1.1.1:5007");
        assert_eq!(config.items, super::super::classic("sender1", "temp", "22.29"));
        assert_eq!((config.rounds, config.interval), (NonZeroU64::new(1), Duration::from_secs(1)));
        assert_eq!((config.delay, config.reach), (Duration::ZERO, Reach { ttl: 1, loopback: true }));
    }

    #[test]
    fn a_dash_is_standard_input_with_or_without_a_group() {
        for line in [&["-"][..], &["239.1.1.1", "-"], &["--stdin"]] {
            assert_eq!(config(line).unwrap().items, [Item::Stdin], "{line:?}");
        }
        assert_eq!(config(&["-", "-c", "2"]).unwrap_err().code, "USAGE");
    }

    #[test]
    fn a_comparison_has_defaults_of_its_own_and_keeps_to_what_was_typed() {
        let measured = |line: &[&str]| {
            let args =
                SenderArgs::try_parse_from(["multicast-sender", "--cast", "compare"].iter().chain(line)).unwrap();
            args.comparison(args.cast.unwrap()).map(|config| (config.messages, config.interval))
        };
        assert_eq!(measured(&[]), Ok((100, Duration::from_millis(5))));
        assert_eq!(measured(&["-c", "1", "-i", "1s"]), Ok((1, Duration::from_secs(1))));
        assert_eq!(measured(&["-c", "0"]).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn zero_rounds_are_until_stopped() {
        assert_eq!(config(&["-c", "0"]).unwrap().rounds, None);
    }
}
