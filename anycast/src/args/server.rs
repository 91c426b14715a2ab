//! What may be typed after `anycast-server`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use labkit::flags::switch;
use labkit::units::{duration, positive_duration};
use labkit::{Common, Exit, Failure, Program, Session, socket};

use super::at_least_one;
use crate::answer::Form;
use crate::server::Protocol;
use crate::{greeting, report, server};

/// Answer every TCP connection with who we are, and close
#[derive(Parser, Clone, Debug)]
#[command(
    name = "anycast-server",
    version,
    before_help = "Examples:
  anycast-server --name server1                      a replica on port 5000
  anycast-server --name server1 --http 0.0.0.0:8080  and GET / and GET /health beside it
  anycast-server --bind '[::]:5000' --protocol hello Hello Internet, IPv4 and IPv6 on one socket
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

    /// What it speaks there
    #[arg(long, value_enum, default_value_t, env = "CASTLAB_PROTOCOL", hide_env_values = true)]
    pub protocol: Protocol,

    /// Also answer HTTP there: GET / and GET /health
    #[arg(long, value_name = "ADDR:PORT", env = "CASTLAB_HTTP", hide_env_values = true)]
    pub http: Option<SocketAddr>,

    /// How a greeting says who we are
    #[arg(long, value_enum, default_value_t, env = "CASTLAB_ANSWER", hide_env_values = true)]
    pub answer: Form,

    /// The language of our goodbye, in Hello Internet
    #[arg(long, value_name = "NAME", default_value = "Rust", env = "CASTLAB_LANGUAGE", hide_env_values = true)]
    pub language: String,

    /// Name the client's language in our goodbye, in Hello Internet
    #[arg(value_parser = switch(), long, env = "CASTLAB_CHALLENGE", hide_env_values = true)]
    pub challenge: bool,

    /// Connections served at once; others are turned away with a word
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one, env = "CASTLAB_MAX_CONNECTIONS", hide_env_values = true)]
    pub max_connections: usize,

    /// How long one connection (of HTTP, one request) may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_duration, env = "CASTLAB_TIMEOUT", hide_env_values = true)]
    pub timeout: Duration,

    /// When asked to stop, go on serving for so long, not healthy
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration, env = "CASTLAB_DRAIN", hide_env_values = true)]
    pub drain: Duration,

    /// Serve one connection, then end
    #[arg(value_parser = switch(), short = '1', long, env = "CASTLAB_ONE_OFF", hide_env_values = true)]
    pub one_off: bool,

    /// Wait so long before each answer
    #[arg(help_heading = "Misbehave on purpose", long, value_name = "TIME", default_value = "0s", value_parser = duration, env = "CASTLAB_SLOW", hide_env_values = true)]
    pub slow: Duration,

    /// After N answers, reset every connection and be unhealthy
    #[arg(
        help_heading = "Misbehave on purpose",
        long,
        value_name = "N",
        env = "CASTLAB_FAIL_AFTER",
        hide_env_values = true
    )]
    pub fail_after: Option<u64>,

    /// Reset every connection and be unhealthy
    #[arg(help_heading = "Misbehave on purpose", value_parser = switch(), long, conflicts_with = "fail_after", env = "CASTLAB_REFUSE", hide_env_values = true)]
    pub refuse: bool,

    /// The common options.
    #[command(flatten)]
    pub common: Common,
}

impl ServerArgs {
    fn config(&self, name: &str) -> Result<server::Config, Failure> {
        let check = |flag: &str, text: &str| {
            greeting::check_name(text).map_err(|reason| Failure::usage(format!("{flag}: {reason}")))
        };
        check("--name", name)?;
        check("--language", &self.language)?;
        Ok(server::Config {
            name: name.to_owned(),
            protocol: self.protocol,
            form: self.answer,
            language: self.language.clone(),
            challenge: self.challenge,
            max_connections: self.max_connections,
            deadline: self.timeout,
            connections: self.one_off.then_some(1),
            drain: self.drain,
            slow: self.slow,
            fail_after: if self.refuse { Some(0) } else { self.fail_after },
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
        let http = self.http.map(socket::listen_tcp).transpose()?;
        let served = server::run_beside(listener, http, config, &session).await?;
        report::tell_served(served, &session);
        Ok(Exit::Done)
    }
}
