//! `castlab doctor`: why nothing arrives. Looks, tries on this machine alone, and on request talks with another copy.

mod gather;
pub(crate) mod netlink;
mod probe;
pub(crate) mod proc;
mod question;
mod report;
mod trial;

use std::net::IpAddr;
use std::time::Duration;

use events::Event;
use labkit::interface::Choice;
use labkit::{Exit, Failure, Session, units};

use question::Subject;

/// What may be typed after `castlab doctor`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "What is sent where. Without GROUP and -I nothing leaves the machine: 224.1.1.1:5007 is joined and sent to on lo.
With either, the group is joined on each interface meant (the kernel reports that to the link, as for any receiver) and
sent to with a TTL of 0: at most 3 datagrams an interface, which the receivers on this machine hear and nobody else.
With --probe, 64 bytes go to the group every --interval, and one back for each that comes, never a larger one: for at
most --deadline, and --count rounds once another copy was met (four times as many where a way seems shut). With --peer, one to that address every
round too, and an empty one at the start, whose refusal tells that nobody listens there.
Ends with 0 when no fault was found, 1 when one was, 4 when the only one is that --probe met nobody, 130 when interrupted.
Each code is explained in multicast/DOCTOR.md."
)]
pub struct Args {
    /// What to look at; SOURCE is the sender you wait for [default: 224.1.1.1:5007]
    #[arg(value_name = "[SOURCE,]GROUP[:PORT]")]
    pub group: Option<String>,

    /// The interface meant: NAME, ADDRESS, INDEX or all (every usable one) [default: all]
    #[arg(short = 'I', long, value_name = "INTERFACE", env = "CASTLAB_INTERFACE", hide_env_values = true)]
    pub interface: Option<Choice>,

    /// Also ask whether payloads of this length fit
    #[arg(short, long, value_name = "SIZE", value_parser = units::bytes, env = "CASTLAB_LENGTH", hide_env_values = true)]
    pub length: Option<u64>,

    /// Talk with a second copy elsewhere, started the same way: unicast and multicast, both ways
    #[arg(value_parser = labkit::flags::switch(), long, env = "CASTLAB_PROBE", hide_env_values = true)]
    pub probe: bool,

    /// The address of the other copy's machine: it is then asked by unicast even where no multicast comes through
    #[arg(long, value_name = "ADDRESS", env = "CASTLAB_PEER", hide_env_values = true)]
    pub peer: Option<IpAddr>,

    /// How many links the probe's multicast may cross
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..), env = "CASTLAB_TTL", hide_env_values = true)]
    pub ttl: u8,

    /// Rounds of the probe once another copy was met
    #[arg(short, long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100), env = "CASTLAB_COUNT", hide_env_values = true)]
    pub count: u32,

    /// How long a round of the probe is: at least 10ms
    #[arg(short, long, default_value = "250ms", value_parser = interval, env = "CASTLAB_INTERVAL", hide_env_values = true)]
    pub interval: Duration,

    /// How long to wait for another copy
    #[arg(short = 'W', long, default_value = "30s", value_parser = units::positive_duration, env = "CASTLAB_DEADLINE", hide_env_values = true)]
    pub deadline: Duration,
}

/// Faster would be load, not a probe.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = units::positive_duration(text)?;
    if interval < Duration::from_millis(10) {
        return Err("a round takes at least 10ms".to_owned());
    }
    Ok(interval)
}

/// Looks, tries, judges and tells.
///
/// # Errors
/// When the group is none, or the kernel does not list its interfaces.
pub async fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let subject = Subject::parse(args.group.as_deref())?;
    if args.peer.is_some_and(|peer| !args.probe || peer.is_ipv4() != subject.group.address().is_ipv4()) {
        return Err(Failure::usage("--peer is an address of the group's family, and goes with --probe"));
    }
    session.tell_started(None, None);
    session.recorder.tell(|| Event::Phase { name: "facts".to_owned() });
    let mut facts = gather::facts(args, &subject).await?;
    session.recorder.tell(|| Event::Phase { name: "trials".to_owned() });
    let asked = subject.asked || args.probe || args.interface.is_some();
    facts.trials = trial::all(&facts, &subject.group, asked, session).await;
    if args.probe && !facts.working().is_empty() {
        session.recorder.tell(|| Event::Phase { name: "probe".to_owned() });
        session.output.line(format!("Probing {}; start the same on the other machine", facts.target()));
        facts.probe = probe::run(args, &facts, &subject.group, session).await?;
    }
    let findings = ::doctor::examine(&facts);
    Ok(report::tell(&facts, &findings, session.shutdown.was_interrupted(), session))
}
