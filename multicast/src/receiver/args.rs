//! What may be typed to the receiver, and the banner it begins with.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::Parser;
use labkit::flags::switch;
use labkit::interface::Choice;
use labkit::program::VERSION;
use labkit::units::{self, show_bytes};
use labkit::{Common, Exit, Failure, Program, Session};

use netsim::Impairment;

use super::{Config, Filter, Framing, Receiver, SOURCES, Script};
use crate::{Group, Membership, block};

/// Join a multicast group, tell what is heard and from whom, leave
#[derive(Parser, Debug)]
#[command(
    name = "multicast-receiver",
    version,
    before_help = "Examples:
  multicast-receiver                               join 224.1.1.1:5007 on every usable interface, until Ctrl-C
  multicast-receiver -I lo --duration 10s          ten seconds of what senders on this machine send with -I lo
  multicast-receiver '[ff15::1:5]:5007' -I eth0 -c 3   leave after three messages to an IPv6 group
  multicast-receiver 192.0.2.7,232.1.1.1 239.1.1.1:6000   one source of the first group, and a second group
  multicast-receiver -I lo --script '0s join, 5s leave, 8s join, 12s quit'   and what the absence cost",
    after_help = "A raw datagram does not say what it is: text, JSON and binary are told apart by a look at the bytes.
A numbered one (RTP, RFC 3550) does, and also whether one before it is missing.
While it runs: keys j l p q (join, leave, print, quit) on a terminal; else lines on standard input: join [GROUP],
leave [GROUP], print, quit.
Ends with 0, or with 4 when the duration is over and nobody was heard, or with 6 when fewer than --count were."
)]
pub struct ReceiverArgs {
    /// The groups, as [SOURCE,]GROUP[:PORT] or [IPV6]:PORT
    #[arg(value_name = "[SOURCE,]GROUP[:PORT]", default_value = Group::DEFAULT, env = "CASTLAB_GROUP", hide_env_values = true)]
    groups: Vec<String>,

    /// Where to join: NAME, ADDRESS, INDEX or all (every usable one)
    #[arg(
        short = 'I',
        long,
        value_name = "INTERFACE",
        default_value = "all",
        env = "CASTLAB_INTERFACE",
        hide_env_values = true
    )]
    interface: Choice,

    /// Leave after this long [default: at Ctrl-C]
    #[arg(
        short = 't',
        long,
        visible_alias = "time",
        value_parser = units::positive_duration,
        env = "CASTLAB_DURATION",
        hide_env_values = true
    )]
    duration: Option<Duration>,

    /// Leave after so many messages
    #[arg(short, long, value_name = "N", env = "CASTLAB_COUNT", hide_env_values = true)]
    count: Option<NonZeroU64>,

    /// Receive buffer to ask the kernel for
    #[arg(long, value_name = "SIZE", value_parser = units::bytes, default_value = "4MiB", env = "CASTLAB_RCVBUF", hide_env_values = true)]
    rcvbuf: u64,

    /// What is a message: ours by their header and anything else as it is, RTP of anybody and nothing else, or anything
    #[arg(long, value_enum, default_value_t, env = "CASTLAB_FRAMING", hide_env_values = true)]
    framing: Framing,

    /// Tell each numbered message once
    #[arg(value_parser = switch(), long, env = "CASTLAB_DEDUPE", hide_env_values = true)]
    dedupe: bool,

    /// Tell each numbered message once and in order; one that is missing is waited for 200 ms
    #[arg(value_parser = switch(), long, env = "CASTLAB_ORDERED", hide_env_values = true)]
    ordered: bool,

    /// When to join and leave, in times from the start: '0s join, 5s leave, 8s join, 12s quit'
    #[arg(long, value_name = "STEPS", env = "CASTLAB_SCRIPT", hide_env_values = true)]
    script: Option<Script>,

    /// Spoil what comes in: loss=2%,delay=20ms,reorder=1%,…
    #[arg(long, value_name = "WHAT", env = "CASTLAB_IMPAIR", hide_env_values = true)]
    impair: Option<Impairment>,

    /// Where the choices of --impair come from [default: another one each time, told at the start]
    #[arg(long, value_name = "N", env = "CASTLAB_SEED", hide_env_values = true)]
    seed: Option<u64>,

    #[command(flatten)]
    common: Common,
}

impl ReceiverArgs {
    /// What is meant.
    ///
    /// # Errors
    /// When a group is none, or the buffer is larger than the kernel can be asked for.
    pub fn config(&self) -> Result<Config, Failure> {
        let receive_buffer = i32::try_from(self.rcvbuf).ok().and_then(|bytes| usize::try_from(bytes).ok());
        Ok(Config {
            groups: self.groups.iter().map(|group| Group::parse(group)).collect::<Result<Vec<Group>, Failure>>()?,
            interface: self.interface.clone(),
            duration: self.duration,
            count: self.count,
            receive_buffer: receive_buffer.ok_or_else(|| {
                Failure::usage("--rcvbuf: the kernel counts to less than 2 GiB").hint("4MiB is plenty here")
            })?,
            sources: SOURCES,
            framing: self.framing,
            filter: match (self.ordered, self.dedupe) {
                (true, _) => Filter::Ordered,
                (false, true) => Filter::Dedupe,
                (false, false) => Filter::None,
            },
            impair: self
                .impair
                .clone()
                .map(|impairment| (impairment, self.seed.unwrap_or(rand::random::<u32>().into()))),
            script: self.script.clone(),
            listens_to_stdin: true,
        })
    }
}

impl Program for ReceiverArgs {
    const ROLE: &'static str = "multicast-receiver";

    fn common(&self) -> &Common {
        &self.common
    }

    async fn run(self, session: Session) -> Result<Exit, Failure> {
        let config = self.config()?;
        let output = session.output.clone();
        let receiver = Receiver::join(&config, session)?;
        receiver.memberships().for_each(banner);
        if let Some((_, seed)) = &config.impair {
            tracing::info!("--impair with --seed {seed} does the same again");
        }
        let summary = receiver.run().await?;
        output.result(summary.to_string());
        output.json(&summary.to_json());
        Ok(summary.exit())
    }
}

fn banner(membership: &Membership) {
    let (group, buffer) = (membership.group(), membership.buffer());
    let on: Vec<String> = membership.interfaces().iter().map(|interface| group.describe(interface)).collect();
    let granted = show_bytes(u64::try_from(buffer.granted).unwrap_or(u64::MAX));
    tracing::info!(
        "multicast-receiver {VERSION}: {group} on {}; receive buffer of {granted} granted, {} asked for",
        on.join(", "),
        show_bytes(u64::try_from(buffer.asked).unwrap_or(u64::MAX))
    );
    if buffer.is_short() {
        tracing::warn!(
            "the receive buffer is smaller than asked for; on the host: `sysctl -w net.core.rmem_max={}` [UDP-RCVBUF]",
            buffer.asked
        );
    }
    for note in block::notes(group.address()) {
        tracing::info!("{note}");
    }
}
