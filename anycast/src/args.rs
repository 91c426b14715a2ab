//! What may be typed, and what it means.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use labkit::flags::switch;
use labkit::target::{Family, Target};
use labkit::units::{duration, positive_duration};
use labkit::{Common, Exit, Failure, Program, Session, socket};

use crate::chooser::Pick;
use crate::{client, greeting, report, server};

/// Answer every TCP connection with who we are, and close
#[derive(Parser, Clone, Debug)]
#[command(
    name = "anycast-server",
    version,
    before_help = "Examples:
  anycast-server --name server1                      a replica on port 5000
  anycast-server --bind '[::]:5000'                  IPv4 and IPv6 on one socket
  anycast-server --bind 127.0.0.1:5001 --name b -1   greet one client, then end"
)]
pub struct ServerArgs {
    /// Address and port to listen on; `[::]` takes IPv4 too
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "0.0.0.0:5000",
        env = "CASTLAB_BIND",
        hide_env_values = true
    )]
    pub bind: SocketAddr,

    /// Connections served at once; more wait in the kernel's queue
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = at_least_one, env = "CASTLAB_MAX_CONNECTIONS", hide_env_values = true)]
    pub max_connections: usize,

    /// How long one connection may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_duration, env = "CASTLAB_TIMEOUT", hide_env_values = true)]
    pub timeout: Duration,

    /// Serve one connection, then end
    #[arg(value_parser = switch(), short = '1', long, env = "CASTLAB_ONE_OFF", hide_env_values = true)]
    pub one_off: bool,

    /// The common options.
    #[command(flatten)]
    pub common: Common,
}

/// Ask one of several replicas, go on to the next when it fails, and tally who answered
#[derive(Parser, Clone, Debug)]
#[command(
    name = "anycast-client",
    version,
    before_help = "Examples:
  anycast-client server1:5000 server2:5000 server3:5000   one of the three, at random
  anycast-client server:5000 -c 100 --concurrency 10      a hundred connections to one name
  anycast-client localhost:5000 -c 5 -i 1s --pick first   as most programs do it"
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

    /// How many connections to make; 0: until stopped
    #[arg(short, long, value_name = "N", default_value_t = 1, env = "CASTLAB_COUNT", hide_env_values = true)]
    pub count: u64,

    /// How many of them at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one, env = "CASTLAB_CONCURRENCY", hide_env_values = true)]
    pub concurrency: usize,

    /// Time from the start of one connection to the start of the next
    #[arg(short, long, value_name = "TIME", default_value = "0s", value_parser = duration, env = "CASTLAB_INTERVAL", hide_env_values = true)]
    pub interval: Duration,

    /// How a candidate is picked
    #[arg(long, value_enum, default_value_t, env = "CASTLAB_PICK", hide_env_values = true)]
    pub pick: Pick,

    /// Where random choices come from [default: a new one each run, told]
    #[arg(long, value_name = "N", env = "CASTLAB_SEED", hide_env_values = true)]
    pub seed: Option<u64>,

    /// How many candidates to try for one connection
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = at_least_one, env = "CASTLAB_TRIES", hide_env_values = true)]
    pub tries: usize,

    /// How long one try may take, from connect to greeting
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = positive_duration, env = "CASTLAB_TIMEOUT", hide_env_values = true)]
    pub timeout: Duration,

    /// How long the whole run may take
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

/// More connections at once than descriptors a process may ever have.
const MOST_AT_ONCE: usize = 100_000;

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=MOST_AT_ONCE) => Ok(n),
        _ => Err(format!("a number from 1 to {MOST_AT_ONCE}")),
    }
}

impl ServerArgs {
    fn config(&self, name: &str) -> Result<server::Config, Failure> {
        greeting::check_name(name).map_err(|reason| Failure::usage(format!("--name: {reason}")))?;
        Ok(server::Config {
            name: name.to_owned(),
            max_connections: self.max_connections,
            deadline: self.timeout,
            connections: self.one_off.then_some(1),
        })
    }
}

impl Program for ServerArgs {
    const ROLE: &'static str = "anycast-server";

    fn common(&self) -> &Common {
        &self.common
    }

    async fn run(self, session: Session) -> Result<Exit, Failure> {
        let config = self.config(&session.node)?;
        let listener = socket::listen_tcp(self.bind)?;
        let served = server::run(listener, config, &session).await?;
        report::tell_served(served, &session);
        Ok(Exit::Done)
    }
}

impl ClientArgs {
    fn config(&self) -> client::Config {
        client::Config {
            targets: self.targets.clone(),
            port: self.port,
            family: Family::from_flags(self.ipv4, self.ipv6),
            pick: self.pick,
            seed: self.seed.unwrap_or_else(rand::random),
            count: (self.count > 0).then_some(self.count),
            concurrency: self.concurrency,
            interval: self.interval,
            tries: self.tries,
            timeout: self.timeout,
            deadline: self.deadline,
        }
    }
}

impl Program for ClientArgs {
    const ROLE: &'static str = "anycast-client";

    fn common(&self) -> &Common {
        &self.common
    }

    async fn run(self, session: Session) -> Result<Exit, Failure> {
        let config = self.config();
        let asked = client::run(config.clone(), &session).await?;
        report::tell_asked(&asked, &config, &session);
        Ok(asked.exit())
    }
}
