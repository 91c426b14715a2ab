//! What may be typed after `castlab bench matrix`, and what of it makes no sense.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use labkit::Failure;
use labkit::flags::switch;
use labkit::units::{bitrate, bytes, positive_duration};
use view::chart::MOST_SERIES;

use super::mode::Mode;
use super::plan::{Cell, Plan};

/// The most of each list: beyond, no table is read and no figure can be.
const MOST_COUNTS: usize = 12;
const MOST_SIZES: usize = 6;
/// The most clients at once: what a server of the classic protocol serves.
const MOST_CLIENTS: i64 = 256;
const LARGEST: u64 = 16 << 30;
/// What each raw transfer is sent at where nobody says: the pace of a gigabit link.
pub(super) const RAW_BITRATE: u64 = 1_000_000_000;

/// What may be typed after `castlab bench matrix`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    before_help = "Examples:
  castlab bench matrix -o report                                   tables and figures of the defaults
  castlab bench matrix --clients 1,2 --sizes 1M --rounds 1         a quick look
  castlab bench matrix --modes selective-repeat,tcp --sizes 250M   two of them, one size",
    after_help = "Each run is a fresh udp-transfer-server and one udp-transfer-client with so many clients at once; \
tcp is a bare sender and receiver of a file. Runs take turns: every round has each of them once. Each file that comes is \
compared with the source; what classic and raw lose is their column, in the other modes it ends with exit code 1. Ctrl-C \
ends it with a report of what was measured. In containers: scripts/lab udp-transfer matrix."
)]
pub struct Args {
    /// How many clients at once
    #[arg(long, value_name = "N,…", default_value = "1,5,10", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=MOST_CLIENTS), env = "CASTLAB_CLIENTS", hide_env_values = true)]
    pub clients: Vec<u16>,

    /// How large the file is; K, M, G are 1024-based
    #[arg(long, value_name = "BYTES,…", default_value = "10M,100M", value_delimiter = ',', value_parser = size, env = "CASTLAB_SIZES", hide_env_values = true)]
    pub sizes: Vec<u64>,

    /// How the bytes travel: classic, raw, stop-and-wait, go-back-n:N, selective-repeat, tcp
    #[arg(
        long,
        value_name = "MODE,…",
        default_value = "classic,raw,stop-and-wait,go-back-n:64,selective-repeat,tcp",
        value_delimiter = ',',
        env = "CASTLAB_MODES",
        hide_env_values = true
    )]
    pub modes: Vec<Mode>,

    /// How often each is measured
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100), env = "CASTLAB_ROUNDS", hide_env_values = true)]
    pub rounds: u16,

    /// Write report.md, report.csv, report.json, throughput.svg and loss.svg to DIR, made where it is not there
    #[arg(short, long, value_name = "DIR", env = "CASTLAB_OUTPUT", hide_env_values = true)]
    pub output: Option<PathBuf>,

    /// Replace a report that is there already
    #[arg(long, value_parser = switch(), env = "CASTLAB_FORCE", hide_env_values = true)]
    pub force: bool,

    /// Bit/s of each raw and classic transfer [default: raw 1G; classic as fast as the socket takes it]
    #[arg(short, long, value_name = "N[KMG]", value_parser = bitrate, env = "CASTLAB_BITRATE", hide_env_values = true)]
    pub bitrate: Option<u64>,

    /// Receive buffer the clients ask the kernel for [default: their own]
    #[arg(long, value_name = "BYTES", value_parser = buffer, env = "CASTLAB_RCVBUF", hide_env_values = true)]
    pub rcvbuf: Option<u64>,

    /// Classic: how long nothing may come before a transfer counts as over; not counted as time
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = positive_duration, env = "CASTLAB_SILENCE", hide_env_values = true)]
    pub silence: Duration,

    /// How long each run may take
    #[arg(short = 'W', long, value_name = "TIME", default_value = "2m", value_parser = positive_duration, env = "CASTLAB_DEADLINE", hide_env_values = true)]
    pub deadline: Duration,

    /// Where the programs are [default: beside castlab]
    #[arg(long, value_name = "DIR", env = "CASTLAB_BIN_DIR", hide_env_values = true)]
    pub bin_dir: Option<PathBuf>,

    /// Where the files lie meanwhile [default: /dev/shm where it has room, else the temporary folder]
    #[arg(long, value_name = "DIR", env = "CASTLAB_SCRATCH", hide_env_values = true)]
    pub scratch: Option<PathBuf>,

    /// Run the server by this command: `ip netns exec a`, `docker exec -i NAME`; it must see the same --scratch
    #[arg(long, value_name = "COMMAND", env = "CASTLAB_SERVER_VIA", hide_env_values = true)]
    pub server_via: Option<String>,

    /// Run the clients by these commands, in turn, each client alone
    #[arg(long, value_name = "COMMAND,…", value_delimiter = ',', env = "CASTLAB_CLIENT_VIA", hide_env_values = true)]
    pub client_via: Vec<String>,

    /// The server's name or address, as the clients know it
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1", env = "CASTLAB_SERVER_HOST", hide_env_values = true)]
    pub server_host: String,
}

fn size(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        size @ 1..=LARGEST => Ok(size),
        _ => Err("from 1 byte to 16 GiB".to_owned()),
    }
}

fn buffer(text: &str) -> Result<u64, String> {
    // The kernel takes a C int and doubles it (socket(7)).
    match bytes(text)? {
        size @ 1..=0x3fff_ffff => Ok(size),
        _ => Err("from 1 byte to just under 1 GiB".to_owned()),
    }
}

impl Args {
    /// What is to be measured, in which order.
    ///
    /// # Errors
    /// When a list is too long, or says something twice.
    pub fn plan(&self) -> Result<Plan, Failure> {
        check_list("--clients", &self.clients, MOST_COUNTS)?;
        check_list("--sizes", &self.sizes, MOST_SIZES)?;
        check_list("--modes", &self.modes, MOST_SERIES)?;
        if self.server_host.is_empty() || self.server_host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Failure::usage("--server-host is a name or an address"));
        }
        let is_blank = |command: &String| command.trim().is_empty();
        if self.server_via.as_ref().is_some_and(is_blank) || self.client_via.iter().any(is_blank) {
            return Err(Failure::usage("--server-via and --client-via take a command").hint("leave it out to run here"));
        }
        let mut cells = Vec::new();
        for &size in &self.sizes {
            for &clients in &self.clients {
                cells.extend(self.modes.iter().map(|&mode| Cell { mode, clients, size }));
            }
        }
        Ok(Plan::new(cells, self.rounds))
    }

    /// The command that measures the same again, without what is true of this machine alone.
    #[must_use]
    pub fn command(&self) -> String {
        let mut command = format!(
            "castlab bench matrix --clients {} --sizes {} --modes {} --rounds {}",
            list(&self.clients),
            self.sizes.iter().map(|&size| written_size(size)).collect::<Vec<_>>().join(","),
            list(&self.modes),
            self.rounds
        );
        let mut add = |flag: &str, value: String| {
            // Writing to a string does not fail.
            let _ = write!(command, " --{flag} {value}");
        };
        if let Some(rate) = self.bitrate {
            add("bitrate", rate.to_string());
        }
        if let Some(size) = self.rcvbuf {
            add("rcvbuf", written_size(size));
        }
        if self.silence != Duration::from_secs(1) {
            add("silence", format!("{}ms", self.silence.as_millis()));
        }
        if self.is_elsewhere() {
            add("server-via", "…".to_owned());
            add("client-via", "…".to_owned());
        }
        command
    }

    /// Whether server or clients run by a command of the user's: in a container, say.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.server_via.is_some() || !self.client_via.is_empty()
    }
}

fn check_list<T: PartialEq + std::fmt::Display>(flag: &str, items: &[T], most: usize) -> Result<(), Failure> {
    if items.is_empty() || items.len() > most {
        return Err(Failure::usage(format!("{flag} takes from 1 to {most} values, not {}", items.len()))
            .hint("several runs of fewer values make several reports"));
    }
    let twice = items.iter().enumerate().find(|(n, item)| items[..*n].contains(item));
    match twice {
        Some((_, item)) => Err(Failure::usage(format!("{flag} says {item} twice")).hint("--rounds measures it again")),
        None => Ok(()),
    }
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A size as it is typed: `10M` where it is a whole number of them.
fn written_size(size: u64) -> String {
    let unit =
        [(30, "G"), (20, "M"), (10, "K")].into_iter().find(|(shift, _)| size > 0 && size.trailing_zeros() >= *shift);
    unit.map_or_else(|| size.to_string(), |(shift, unit)| format!("{}{unit}", size >> shift))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &str) -> Result<Args, String> {
        let words = std::iter::once("matrix").chain(words.split_whitespace());
        Alone::try_parse_from(words).map(|alone| alone.args).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_one_five_and_ten_clients_in_every_mode() {
        let args = parse("").unwrap();
        assert_eq!(args.clients, [1, 5, 10]);
        assert_eq!(args.sizes, [10 << 20, 100 << 20]);
        assert_eq!(args.plan().unwrap().runs().len(), 3 * 2 * 6 * 3);
        assert_eq!(
            args.command(),
            "castlab bench matrix --clients 1,5,10 --sizes 10M,100M --modes \
             classic,raw,stop-and-wait,go-back-n:64,selective-repeat,tcp --rounds 3"
        );
    }

    #[test]
    fn the_command_says_whatever_changes_the_figures() {
        let args = parse("--clients 2 --sizes 1500,1K --modes tcp --rounds 1 -b 5M --rcvbuf 64K --silence 1500ms");
        assert_eq!(
            args.unwrap().command(),
            "castlab bench matrix --clients 2 --sizes 1500,1K --modes tcp --rounds 1 --bitrate 5000000 --rcvbuf 64K \
             --silence 1500ms"
        );
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (words, said) in [
            ("--clients 0", "1..=256"),
            ("--clients 1,x", "invalid digit"),
            ("--sizes 0", "from 1 byte"),
            ("--sizes 20G", "16 GiB"),
            ("--sizes 10parsecs", "unit of size"),
            ("--modes telepathy", "classic, tcp"),
            ("--rounds 0", "1..=100"),
            ("--deadline 0s", "more than zero"),
        ] {
            let error = parse(words).unwrap_err();
            assert!(error.contains(said), "{words}: {error}");
        }
        for (words, said) in [
            ("--clients 1,1", "--clients says 1 twice"),
            ("--modes raw,raw", "--modes says raw twice"),
            ("--sizes 1,2,3,4,5,6,7", "from 1 to 6 values, not 7"),
            ("--server-host=", "--server-host is a name"),
            ("--client-via=,", "take a command"),
        ] {
            let failure = parse(words).unwrap().plan().unwrap_err();
            assert!(failure.message.contains(said) && failure.exit == labkit::Exit::Usage, "{words}: {failure}");
        }
    }
}
