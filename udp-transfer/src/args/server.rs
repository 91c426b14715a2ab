//! What may be typed after `udp-transfer-server`.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use arq::congestion::Choice;
use clap::Parser;
use labkit::flags::switch;
use labkit::units::{bitrate, bytes, duration};
use labkit::{Common, Exit, Failure, Program, Session};

use crate::classic;
use crate::classic::command::{LARGEST_DATAGRAM, MOST_CLIENTS};
use crate::classic::server::PORT;
use crate::reliable::Limits;
use crate::reliable::server::{Config, Server};
use crate::served;

/// Serve the files of a folder over datagrams
#[derive(Parser, Clone, Debug)]
#[command(
    name = "udp-transfer-server",
    version,
    before_help = "Examples:
  udp-transfer-server --root files                          on port 6969 of every address
  udp-transfer-server --root files -b 200M                  each transfer at 200 Mbit/s
  udp-transfer-server --root files --classic                also the old protocol",
    after_help = "The classic protocol asks nobody to prove their address: one small datagram with a forged sender makes \
the server send a whole file to somebody who never asked, as fast as it can. So only clients on this machine are obeyed \
in it, unless --allow-reflection says that everybody who can reach the port is trusted. In the reliable modes every \
client proves its address first, and until it has, it gets no more bytes than it sent."
)]
pub struct ServerArgs {
    /// The folder whose files are served; links and hidden files are not
    #[arg(long, value_name = "DIR", env = "CASTLAB_ROOT", hide_env_values = true)]
    pub root: PathBuf,

    /// Address and port to listen on; port 6969 where none is given
    #[arg(long, value_name = "ADDR[:PORT]", default_value = "0.0.0.0:6969", value_parser = bind_address, env = "CASTLAB_BIND", hide_env_values = true)]
    pub bind: SocketAddr,

    /// Bit/s of each transfer at most [default: what the path takes; classic: what the socket takes]
    #[arg(short, long, value_name = "N[KMG]", value_parser = bitrate, env = "CASTLAB_BITRATE", hide_env_values = true)]
    pub bitrate: Option<u64>,

    /// How windows are found: bbr, cubic, newreno, fixed:BYTES
    #[arg(short = 'C', long, value_name = "NAME", default_value_t, env = "CASTLAB_CONGESTION", hide_env_values = true)]
    pub congestion: Choice,

    /// Sessions at once; as many may come within a second
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=1_000_000), env = "CASTLAB_MAX_SESSIONS", hide_env_values = true)]
    pub max_sessions: u32,

    /// Sessions of one address at once, which many people behind one router share; as many may come within a second
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000_000), env = "CASTLAB_MAX_PER_ADDRESS", hide_env_values = true)]
    pub max_per_address: u32,

    /// How long transfers may go on after Ctrl-C
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration, env = "CASTLAB_GRACE", hide_env_values = true)]
    pub grace: Duration,

    /// Receive and send buffer to ask the kernel for
    #[arg(long, value_name = "BYTES", default_value = "8MiB", value_parser = buffer, env = "CASTLAB_RCVBUF", hide_env_values = true)]
    pub rcvbuf: usize,

    /// Hand the kernel each datagram by itself, as where it cannot cut many from one (GSO): for measuring
    #[arg(long, value_parser = switch(), env = "CASTLAB_NO_OFFLOAD", hide_env_values = true)]
    pub no_offload: bool,

    /// Send nothing that routers may mark instead of dropping it (ECN)
    #[arg(long, value_parser = switch(), env = "CASTLAB_NO_ECN", hide_env_values = true)]
    pub no_ecn: bool,

    /// With --events: tell each packet, as ladders want it
    #[arg(long, value_parser = switch(), env = "CASTLAB_PACKETS", hide_env_values = true)]
    pub packets: bool,

    /// Speak the classic protocol as well (LIST, !CONFIG, TRANSFER)
    #[arg(long, value_parser = switch(), env = "CASTLAB_CLASSIC", hide_env_values = true)]
    pub classic: bool,

    /// Classic: obey other machines too, which can then have files sent to forged addresses
    #[arg(long, value_parser = switch(), env = "CASTLAB_ALLOW_REFLECTION", hide_env_values = true)]
    pub allow_reflection: bool,

    /// Bytes of the file a classic datagram carries; datagrams of at most N bytes in the other modes
    #[arg(short, long, value_name = "N", default_value_t = LARGEST_DATAGRAM, value_parser = length, env = "CASTLAB_LENGTH", hide_env_values = true)]
    pub length: usize,

    /// Classic: transfers at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_CLIENTS)), env = "CASTLAB_MAX_TRANSFERS", hide_env_values = true)]
    pub max_transfers: u16,

    /// The common options.
    #[command(flatten)]
    pub common: Common,
}

fn bind_address(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse().or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT)));
    with_port.map_err(|_| "an address looks like 127.0.0.1:6969, 0.0.0.0 or [::1]:6969".to_owned())
}

fn length(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(length @ 1..=LARGEST_DATAGRAM) => Ok(length),
        _ => Err(format!("a datagram carries from 1 to {LARGEST_DATAGRAM} bytes")),
    }
}

fn buffer(text: &str) -> Result<usize, String> {
    // The kernel takes a C int and doubles it (socket(7)).
    match bytes(text)? {
        bytes @ 1..=0x3fff_ffff => usize::try_from(bytes).map_err(|error| error.to_string()),
        _ => Err("from 1 byte to just under 1 GiB".to_owned()),
    }
}

impl ServerArgs {
    fn config(&self) -> Config {
        let classic = self.classic.then(|| classic::server::Config {
            bind: self.bind,
            allow_reflection: self.allow_reflection,
            length: self.length,
            bitrate: self.bitrate.and_then(NonZeroU64::new),
            max_transfers: self.max_transfers.into(),
            ..classic::server::Config::new(&self.root)
        });
        let usual = Limits::default();
        let limits = Limits {
            sessions: self.max_sessions.try_into().unwrap_or(usize::MAX),
            per_address: self.max_per_address.try_into().unwrap_or(usize::MAX),
            // Who has room for so many lets them come at once.
            handshakes: usual.handshakes.max(self.max_sessions),
            handshakes_per_address: usual.handshakes_per_address.max(self.max_per_address),
            ..usual
        };
        Config {
            bind: self.bind,
            limits,
            bitrate: self.bitrate,
            congestion: self.congestion,
            largest: u16::try_from(self.length).unwrap_or(u16::MAX),
            grace: self.grace,
            buffer: self.rcvbuf,
            offload: !self.no_offload,
            ecn: !self.no_ecn,
            packets: self.packets,
            classic,
            ..Config::new(&self.root)
        }
    }
}

impl Program for ServerArgs {
    const ROLE: &'static str = "udp-transfer-server";

    fn common(&self) -> &Common {
        &self.common
    }

    fn is_one_loop(&self) -> bool {
        true
    }

    async fn run(self, session: Session) -> Result<Exit, Failure> {
        let served = Server::bind(self.config())?.run(&session).await?;
        served::tell_all(&served, &session);
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_well_formed_and_help_says_why_loopback() {
        ServerArgs::command().debug_assert();
        let help = ServerArgs::command().render_help().to_string();
        assert!(help.starts_with("Examples:\n") && help.contains("forged sender"), "{help}");
    }

    #[test]
    fn who_has_room_for_many_lets_them_come_at_once() {
        let limits = |flags: &[&str]| {
            let words = ["udp-transfer-server", "--root", "files"].iter().chain(flags);
            ServerArgs::try_parse_from(words).unwrap().config().limits
        };
        assert_eq!(limits(&[]), Limits::default());
        assert_eq!(
            limits(&["--max-per-address", "2"]).handshakes_per_address,
            Limits::default().handshakes_per_address
        );
        let many = limits(&["--max-per-address", "1000", "--max-sessions", "5000"]);
        assert_eq!((many.handshakes_per_address, many.handshakes), (1_000, 5_000));
    }

    #[test]
    fn the_port_of_the_original_where_none_is_given() {
        assert_eq!(bind_address("0.0.0.0"), Ok("0.0.0.0:6969".parse().unwrap()));
        assert_eq!(bind_address("::1"), Ok("[::1]:6969".parse().unwrap()));
        assert_eq!(bind_address("127.0.0.1:7"), Ok("127.0.0.1:7".parse().unwrap()));
        assert!(bind_address("localhost").is_err());
    }
}
