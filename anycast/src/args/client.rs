//! What may be typed after `anycast-client`.

use std::time::Duration;

use clap::Parser;
use labkit::flags::switch;
use labkit::target::{Family, Target};
use labkit::units::{duration, positive_duration};
use labkit::{Common, Exit, Failure, Program, Session, socket};

use super::at_least_one;
use crate::chooser::Pick;
use crate::client::{Protocol, holding};
use crate::{client, greeting, report};

/// How often a watcher asks, and how often a kept connection is asked, unless told otherwise.
const EVERY: Duration = Duration::from_millis(100);

/// Descriptors that are no connections: standard streams, the runtime's own, the events file.
const KEPT_BACK: usize = 64;

/// Ask one of several replicas, go on to the next when it fails, and tally who answered
#[derive(Parser, Clone, Debug)]
#[command(
    name = "anycast-client",
    version,
    before_help = "Examples:
  anycast-client server1:5000 server2:5000 server3:5000   one of the three, at random
  anycast-client server:5000 -c 100 --concurrency 10      a hundred connections to one name
  anycast-client localhost:5000 -c 5 -i 1s --pick first   as most programs do it
  anycast-client 192.0.2.1 --watch                        again and again; tell who answers when that changes
  anycast-client 192.0.2.1:8080 --hold 100                keep a hundred connections open; tell which break"
)]
pub struct ClientArgs {
    /// Whom to ask: names or addresses; all addresses of each are candidates
    #[arg(
        value_name = "TARGET[:PORT]",
        default_value = "127.0.0.1",
        env = "CASTLAB_TARGETS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub targets: Vec<Target>,

    /// The port of targets that name none
    #[arg(short, long, default_value_t = 5000, value_parser = clap::value_parser!(u16).range(1..), env = "CASTLAB_PORT", hide_env_values = true)]
    pub port: u16,

    /// What it speaks there
    #[arg(long, value_enum, default_value_t, env = "CASTLAB_PROTOCOL", hide_env_values = true)]
    pub protocol: Protocol,

    /// The path to ask for, with --protocol http
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = path, env = "CASTLAB_PATH", hide_env_values = true)]
    pub path: String,

    /// The language of our hello, in Hello Internet
    #[arg(long, value_name = "NAME", default_value = "Rust", env = "CASTLAB_LANGUAGE", hide_env_values = true)]
    pub language: String,

    /// How many connections to make; 0: until stopped [default: 1; with --watch or --hold: 0]
    #[arg(short, long, value_name = "N", env = "CASTLAB_COUNT", hide_env_values = true)]
    pub count: Option<u64>,

    /// How many of them at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one, env = "CASTLAB_CONCURRENCY", hide_env_values = true)]
    pub concurrency: usize,

    /// Time from the start of one connection to the start of the next [default: 0s; with --watch or --hold: 100ms]
    #[arg(short, long, value_name = "TIME", value_parser = duration, env = "CASTLAB_INTERVAL", hide_env_values = true)]
    pub interval: Option<Duration>,

    /// How a candidate is picked
    #[arg(long, value_enum, default_value_t, env = "CASTLAB_PICK", hide_env_values = true)]
    pub pick: Pick,

    /// What --pick sticky goes by; {} stands for the number of the connection [default: our name]
    #[arg(long, value_name = "TEXT", env = "CASTLAB_KEY", hide_env_values = true)]
    pub key: Option<String>,

    /// Tell each change of who answers instead of each answer; look names up again every second
    #[arg(value_parser = switch(), long, env = "CASTLAB_WATCH", hide_env_values = true)]
    pub watch: bool,

    /// Keep N connections open (over HTTP), ask on each every interval, and tell which break
    #[arg(long, value_name = "N", value_parser = at_least_one, conflicts_with_all = ["watch", "concurrency", "source_port"], env = "CASTLAB_HOLD", hide_env_values = true)]
    pub hold: Option<usize>,

    /// The port every connection comes from: a router that hashes ports then sends all of them one way
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), env = "CASTLAB_SOURCE_PORT", hide_env_values = true)]
    pub source_port: Option<u16>,

    /// Where random choices come from [default: a new one each run, told]
    #[arg(long, value_name = "N", env = "CASTLAB_SEED", hide_env_values = true)]
    pub seed: Option<u64>,

    /// How many candidates to try for one connection
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = at_least_one, env = "CASTLAB_TRIES", hide_env_values = true)]
    pub tries: usize,

    /// How long one try may take, from connect to greeting
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = positive_duration, env = "CASTLAB_TIMEOUT", hide_env_values = true)]
    pub timeout: Duration,

    /// How long the whole run may take; the ordinary end of --watch and --hold
    #[arg(short = 'W', long, value_name = "TIME", value_parser = positive_duration, env = "CASTLAB_DEADLINE", hide_env_values = true)]
    pub deadline: Option<Duration>,

    /// IPv4 addresses only
    #[arg(value_parser = switch(), short = '4', long = "ipv4", conflicts_with = "ipv6", env = "CASTLAB_IPV4", hide_env_values = true)]
    pub ipv4: bool,

    /// IPv6 addresses only
    #[arg(value_parser = switch(), short = '6', long = "ipv6", env = "CASTLAB_IPV6", hide_env_values = true)]
    pub ipv6: bool,

    /// The common options.
    #[command(flatten)]
    pub common: Common,
}

/// A path as it may stand in a request's first line.
fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && text.chars().all(|c| c.is_ascii_graphic()) && text.len() <= 1024 {
        Ok(text.to_owned())
    } else {
        Err("a path begins with / and holds no spaces".to_owned())
    }
}

impl ClientArgs {
    fn config(&self, node: &str) -> Result<client::Config, Failure> {
        greeting::check_name(&self.language).map_err(|reason| Failure::usage(format!("--language: {reason}")))?;
        if self.source_port.is_some() && self.concurrency > 1 {
            return Err(Failure::usage("--source-port allows one connection at a time, not --concurrency"));
        }
        let goes_on = self.watch || self.hold.is_some();
        let room = socket::raise_descriptors().saturating_sub(KEPT_BACK).max(1);
        let at_once = self.concurrency.max(self.hold.unwrap_or(1));
        if at_once > room {
            return Err(Failure::new(
                Exit::Setup,
                "DESCRIPTORS",
                format!("cannot have {at_once} connections at once: the system gives this process {room} descriptors"),
            )
            .hint("`ulimit -Hn` tells the limit; fewer at once, or several clients"));
        }
        Ok(client::Config {
            targets: self.targets.clone(),
            port: self.port,
            family: Family::from_flags(self.ipv4, self.ipv6),
            protocol: if self.hold.is_some() { Protocol::Http } else { self.protocol },
            path: self.path.clone(),
            language: self.language.clone(),
            pick: self.pick,
            key: self.key.clone().unwrap_or_else(|| node.to_owned()),
            seed: self.seed.unwrap_or_else(rand::random),
            count: match self.count {
                Some(0) => None,
                None if goes_on => None,
                some => some.or(Some(1)),
            },
            concurrency: self.concurrency,
            interval: self.interval.unwrap_or(if goes_on { EVERY } else { Duration::ZERO }),
            tries: self.tries,
            timeout: self.timeout,
            deadline: self.deadline,
            watch: self.watch,
            source_port: self.source_port,
        })
    }
}

impl Program for ClientArgs {
    const ROLE: &'static str = "anycast-client";

    fn common(&self) -> &Common {
        &self.common
    }

    async fn run(self, session: Session) -> Result<Exit, Failure> {
        let config = self.config(&session.node)?;
        if let Some(connections) = self.hold {
            let held = holding::run(config.clone(), connections, &session).await?;
            report::tell_held(&held, &config, &session);
            return Ok(held.exit());
        }
        let asked = client::run(config.clone(), &session).await?;
        report::tell_asked(&asked, &config, &session);
        Ok(asked.exit())
    }
}
