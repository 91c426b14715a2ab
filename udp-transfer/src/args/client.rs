//! What may be typed after `udp-transfer-client`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use arq::congestion::Choice;
use arq::limits::{LARGEST_DATAGRAM, SMALLEST_DATAGRAM};
use arq::policy::{Policy, Reporting};
use clap::{Args, Parser, Subcommand};
use labkit::flags::switch;
use labkit::target::{Family, Target};
use labkit::units::{bitrate, bytes, positive_duration};
use labkit::{Common, Exit, Failure, Program, Session};
use netsim::Impairment;

use crate::classic::client::{Options, Size};
use crate::classic::command::MOST_CLIENTS;
use crate::classic::{self, menu};
use crate::disk::part;
use crate::landing::Existing;
use crate::progress::Show;
use crate::reliable::Impaired;
use crate::reliable::client::{self as reliable, Reports, Verify, Wanted};
use crate::{FileName, lines, listing};

/// Fetch files over datagrams, whole or not at all; or as bare datagrams, and see what was lost
#[derive(Parser, Clone, Debug)]
#[command(
    name = "udp-transfer-client",
    version,
    before_help = "Examples:
  udp-transfer-client -s 127.0.0.1 list                     the files there are
  udp-transfer-client -s 127.0.0.1 get video.mp4            whole and verified
  udp-transfer-client -s 127.0.0.1 get --all -o copy -P 4   all, four at once",
    after_help = "Modes: selective-repeat (the default), go-back-n[:N], stop-and-wait, raw (numbered, and nothing twice), \
classic (the old protocol: bare datagrams; --silence, --expect-size and --reference are for it). A transfer that broke \
off goes on from NAME.part when it is run again. One file with -P N is fetched N times at once, as \
Cliente<i>-Prueba<N>.<ext>; of several files, N are fetched at once, each once."
)]
pub struct ClientArgs {
    /// The server; port 6969 where none is given
    #[arg(short, long, global = true, value_name = "HOST[:PORT]", env = "CASTLAB_SERVER", hide_env_values = true)]
    pub server: Option<Target>,

    /// How long all of it may take [default: as long as it takes]; classic: how long an answer may [default: 3s]
    #[arg(short = 'W', long, global = true, value_name = "TIME", value_parser = positive_duration, env = "CASTLAB_DEADLINE", hide_env_values = true)]
    pub deadline: Option<Duration>,

    /// How the bytes travel: selective-repeat, go-back-n:N, stop-and-wait, raw, classic
    #[arg(
        short,
        long,
        global = true,
        value_name = "MODE",
        default_value = "selective-repeat",
        env = "CASTLAB_MODE",
        hide_env_values = true
    )]
    pub mode: Mode,

    /// Spoil our own datagrams, both ways: loss=2%,delay=20ms,reorder=1%,…
    #[arg(long, global = true, value_name = "WHAT", env = "CASTLAB_IMPAIR", hide_env_values = true)]
    pub impair: Option<Impairment>,

    /// Where the choices of --impair come from [default: another one each time, told at the end]
    #[arg(long, global = true, value_name = "N", env = "CASTLAB_SEED", hide_env_values = true)]
    pub seed: Option<u64>,

    /// How long datagrams are: auto, as long as the way to the server carries whole; or bytes, in fragments if need be
    #[arg(
        short,
        long,
        global = true,
        value_name = "N|auto",
        default_value = "auto",
        env = "CASTLAB_LENGTH",
        hide_env_values = true
    )]
    pub length: Length,

    /// Receive buffer to ask the kernel for; a small one loses more
    #[arg(long, global = true, value_name = "BYTES", default_value = "8MiB", value_parser = receive_buffer, env = "CASTLAB_RCVBUF", hide_env_values = true)]
    pub rcvbuf: usize,

    /// Take datagrams from the kernel as they came, not many as one (GRO): for measuring
    #[arg(long, global = true, value_parser = switch(), env = "CASTLAB_NO_OFFLOAD", hide_env_values = true)]
    pub no_offload: bool,

    /// Do not ask the kernel how routers marked what comes (ECN): then the server has nothing marked
    #[arg(long, global = true, value_parser = switch(), env = "CASTLAB_NO_ECN", hide_env_values = true)]
    pub no_ecn: bool,

    /// IPv4 addresses only
    #[arg(
        short = '4',
        long = "ipv4",
        global = true,
        conflicts_with = "ipv6",
        env = "CASTLAB_IPV4",
        hide_env_values = true
    )]
    pub ipv4: bool,

    /// IPv6 addresses only
    #[arg(short = '6', long = "ipv6", global = true, env = "CASTLAB_IPV6", hide_env_values = true)]
    pub ipv6: bool,

    /// What to do.
    #[command(subcommand)]
    pub action: Action,

    /// The common options.
    #[command(flatten)]
    pub common: Common,
}

/// What a client can do.
#[derive(Subcommand, Clone, Debug)]
pub enum Action {
    /// Show the files the server has
    List,
    /// Fetch files
    Get(GetArgs),
    /// Type !LIST, !CONFIG :NAME :CLIENTS, !START, !DISCONNECT (classic)
    Menu(FetchArgs),
}

/// What `get` understands.
#[derive(Args, Clone, Debug)]
#[command(before_help = "Examples:
  udp-transfer-client -s HOST get video.mp4 -P 10           ten clients at once
  udp-transfer-client -s HOST get a.bin b.bin -o copy       whole or not at all
  udp-transfer-client -s HOST get a.bin -m go-back-n:8 --impair loss=5% --seed 7")]
pub struct GetArgs {
    /// Names, as `list` shows them
    #[arg(
        value_name = "FILE",
        required_unless_present = "all",
        conflicts_with = "all",
        env = "CASTLAB_FILE",
        hide_env_values = true
    )]
    pub files: Vec<String>,

    /// Every file there is, with its folders
    #[arg(long, value_parser = switch(), env = "CASTLAB_ALL", hide_env_values = true)]
    pub all: bool,

    /// Clients at once: so many copies of one file, or so many of several files
    #[arg(short = 'P', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_CLIENTS)), env = "CASTLAB_PARALLEL", hide_env_values = true)]
    pub parallel: u16,

    /// Bit/s to ask for; the server may allow less
    #[arg(short, long, value_name = "N[KMG]", value_parser = bitrate, env = "CASTLAB_BITRATE", hide_env_values = true)]
    pub bitrate: Option<u64>,

    /// How the server shall find its window: bbr, cubic, newreno [default: the server's own]
    #[arg(short = 'C', long, value_name = "NAME", value_parser = congestion, env = "CASTLAB_CONGESTION", hide_env_values = true)]
    pub congestion: Option<Choice>,

    /// When to report what came: batch (once for all that was here at once) or tcp (each second datagram, or after 40 ms)
    #[arg(long, value_name = "RULE", default_value = "batch", value_parser = reports, env = "CASTLAB_REPORT", hide_env_values = true)]
    pub report: Reports,

    /// What is compared before a file is kept: end (its hash, with the server's) or none
    #[arg(long, value_name = "WHAT", default_value = "end", value_parser = verify, env = "CASTLAB_VERIFY", hide_env_values = true)]
    pub verify: Verify,

    /// With --events: tell each packet, as ladders want it
    #[arg(long, value_parser = switch(), env = "CASTLAB_PACKETS", hide_env_values = true)]
    pub packets: bool,

    /// How it is received.
    #[command(flatten)]
    pub fetch: FetchArgs,
}

/// How files are received and written.
#[derive(Args, Clone, Debug)]
pub struct FetchArgs {
    /// The folder files land in, made where it is not there
    #[arg(short, long, value_name = "DIR", default_value = ".", env = "CASTLAB_OUTPUT", hide_env_values = true)]
    pub output: PathBuf,

    /// Classic: how long nothing may come before a transfer counts as over
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_duration, env = "CASTLAB_SILENCE", hide_env_values = true)]
    pub silence: Duration,

    /// Classic: the file's size, for a server that does not tell it
    #[arg(long, value_name = "BYTES", value_parser = bytes, conflicts_with = "reference", env = "CASTLAB_EXPECT_SIZE", hide_env_values = true)]
    pub expect_size: Option<u64>,

    /// Classic: the original, to take the size from and to compare with
    #[arg(long, value_name = "FILE", env = "CASTLAB_REFERENCE", hide_env_values = true)]
    pub reference: Option<PathBuf>,

    /// Replace files that are there already
    #[arg(long, env = "CASTLAB_FORCE", hide_env_values = true)]
    pub force: bool,
}

/// How the bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As bare datagrams, in the old protocol: what is lost is lost.
    Classic,
    /// As blocks, by one of the machines of `arq`.
    Blocks(Policy),
}

/// How long datagrams are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// As long as the path carries them.
    Auto,
    /// So long.
    Bytes(u16),
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "classic" => Ok(Mode::Classic),
            _ => text
                .parse()
                .map(Mode::Blocks)
                .map_err(|error: arq::policy::PolicyError| format!("{error}; and classic")),
        }
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("auto", _) => Ok(Length::Auto),
            (_, Ok(length @ SMALLEST_DATAGRAM..=LARGEST_DATAGRAM)) => Ok(Length::Bytes(length)),
            _ => Err(format!("auto, or from {SMALLEST_DATAGRAM} to {LARGEST_DATAGRAM} bytes")),
        }
    }
}

/// A window that never changes is for whoever answers for the path: the server.
fn congestion(text: &str) -> Result<Choice, String> {
    match text.parse().map_err(|error: arq::congestion::ChoiceError| error.to_string())? {
        Choice::Fixed { .. } => Err("a fixed window cannot be asked for: it is for the server's own -C".to_owned()),
        choice @ (Choice::NewReno | Choice::Cubic | Choice::Bbr) => Ok(choice),
    }
}

fn reports(text: &str) -> Result<Reports, String> {
    match text {
        "batch" => Ok(Reports::Batch),
        "tcp" => Ok(Reports::Tcp),
        _ => Err("batch or tcp".to_owned()),
    }
}

fn verify(text: &str) -> Result<Verify, String> {
    match text {
        "end" => Ok(Verify::Whole),
        "none" => Ok(Verify::Nothing),
        _ => Err("end or none".to_owned()),
    }
}

fn receive_buffer(text: &str) -> Result<usize, String> {
    // The kernel takes a C int and doubles it (socket(7)).
    match bytes(text)? {
        bytes @ 1..=0x3fff_ffff => usize::try_from(bytes).map_err(|error| error.to_string()),
        _ => Err("from 1 byte to just under 1 GiB".to_owned()),
    }
}

impl FetchArgs {
    fn options(&self, receive_buffer: usize, common: &Common) -> Options {
        let size = match (&self.reference, self.expect_size) {
            (Some(path), _) => Size::Reference(path.clone()),
            (None, Some(size)) => Size::Told(size),
            (None, None) => Size::Ask,
        };
        Options {
            output: self.output.clone(),
            existing: if self.force { Existing::Replace } else { Existing::Keep },
            silence: self.silence,
            receive_buffer,
            size,
            show: show(common),
        }
    }
}

fn show(common: &Common) -> Show {
    match (common.quiet || common.no_progress, std::io::stderr().is_terminal()) {
        (true, _) => Show::Nothing,
        (false, true) => Show::Bars,
        (false, false) => Show::Lines,
    }
}

/// How long the answer to a classic command may take where nobody says.
const CLASSIC_ANSWER: Duration = Duration::from_secs(3);

impl ClientArgs {
    fn named_server(&self) -> Result<Target, Failure> {
        self.server.clone().ok_or_else(|| {
            Failure::usage("no server is named").hint("--server HOST[:PORT], or CASTLAB_SERVER; `menu` asks for it")
        })
    }

    fn family(&self) -> Family {
        Family::from_flags(self.ipv4, self.ipv6)
    }

    fn classic_asking(&self) -> Result<classic::client::Asking, Failure> {
        if self.impair.is_some() {
            return Err(Failure::usage("--impair is not for the classic mode, whose datagrams are not ours to spoil")
                .hint("-m raw loses as much, and tells what"));
        }
        let deadline = self.deadline.unwrap_or(CLASSIC_ANSWER);
        Ok(classic::client::Asking { server: self.named_server()?, family: self.family(), deadline })
    }

    fn asking(&self) -> Result<reliable::Asking, Failure> {
        let impaired = self.impair.clone().map(|impairment| {
            let seed = self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
            if self.seed.is_none() {
                tracing::info!("the same losses again: --seed {seed}");
            }
            Impaired { impairment, seed }
        });
        let length = match self.length {
            Length::Auto => None,
            Length::Bytes(length) => Some(length),
        };
        Ok(reliable::Asking {
            family: self.family(),
            deadline: self.deadline,
            length,
            impaired,
            receive_buffer: self.rcvbuf,
            offload: !self.no_offload,
            ecn: !self.no_ecn,
            ..reliable::Asking::new(self.named_server()?)
        })
    }

    async fn list(&self, session: &Session) -> Result<Exit, Failure> {
        match self.mode {
            Mode::Classic => {
                let asking = self.classic_asking()?;
                session.tell_started(None, None);
                let listed = classic::client::list(&asking, session).await?;
                session.output.result(menu::list_text(&listed));
                session.output.json(&menu::list_json(&listed));
            }
            Mode::Blocks(_) => {
                let asking = self.asking()?;
                session.tell_started(None, asking.impaired.as_ref().map(|impaired| impaired.seed));
                let listed = reliable::list(&asking, session).await?;
                session.output.result(listing::text(&listed));
                session.output.json(&listing::json(&listed));
            }
        }
        Ok(Exit::Done)
    }

    async fn get(&self, args: &GetArgs, session: &Session) -> Result<Exit, Failure> {
        match self.mode {
            Mode::Classic => self.get_classic(args, session).await,
            Mode::Blocks(policy) => self.get_blocks(policy, args, session).await,
        }
    }

    async fn get_classic(&self, args: &GetArgs, session: &Session) -> Result<Exit, Failure> {
        let [file] = args.files.as_slice() else {
            return Err(
                Failure::usage("the classic protocol fetches one file").hint("name one, or leave -m classic out")
            );
        };
        let config = classic::client::Config {
            asking: self.classic_asking()?,
            file: FileName::parse(file).map_err(|error| Failure::usage(error.to_string()))?,
            clients: args.parallel,
            options: args.fetch.options(self.rcvbuf, &self.common),
        };
        session.tell_started(None, None);
        let report = classic::client::get(&config, session).await?;
        session.output.result(report.text());
        session.output.json(&report.to_json());
        Ok(report.verdict().exit)
    }

    async fn get_blocks(&self, policy: Policy, args: &GetArgs, session: &Session) -> Result<Exit, Failure> {
        let fetch = &args.fetch;
        if fetch.expect_size.is_some() || fetch.reference.is_some() {
            return Err(Failure::usage(
                "--expect-size and --reference are for -m classic: here every byte is verified",
            ));
        }
        if args.report == Reports::Tcp && !matches!(policy.report, Reporting::Delayed { .. }) {
            return Err(Failure::usage(format!("--report is for selective-repeat: {policy} has its own rule")));
        }
        let asking = self.asking()?;
        let seed = asking.impaired.as_ref().map(|impaired| impaired.seed);
        let config = reliable::Config {
            clients: args.parallel,
            policy,
            bitrate: args.bitrate,
            congestion: args.congestion,
            existing: if fetch.force { part::Existing::Replace } else { part::Existing::Keep },
            reports: args.report,
            verify: args.verify,
            show: show(&self.common),
            packets: args.packets,
            ..reliable::Config::new(asking, wanted(args)?, &fetch.output)
        };
        session.tell_started(None, seed);
        let report = reliable::get(&config, session).await?;
        session.output.result(report.text());
        session.output.json(&report.to_json());
        Ok(report.verdict().exit)
    }
}

fn wanted(args: &GetArgs) -> Result<Wanted, Failure> {
    if args.all {
        return Ok(Wanted::All);
    }
    let mut names = Vec::new();
    for file in &args.files {
        let shown = labkit::text::show(file.as_bytes(), 200);
        let name = arq::catalogue::FileName::new(file)
            .map_err(|error| Failure::usage(format!("{shown}: {error}")).hint("`list` shows the names there are"))?;
        if names.contains(&name) {
            return Err(Failure::usage(format!("{shown} is named twice")).hint("-P 2 makes two copies"));
        }
        names.push(name);
    }
    Ok(Wanted::Named(names))
}

impl Program for ClientArgs {
    const ROLE: &'static str = "udp-transfer-client";

    fn common(&self) -> &Common {
        &self.common
    }

    fn is_one_loop(&self) -> bool {
        match &self.action {
            Action::List => true,
            Action::Get(args) => args.parallel == 1,
            Action::Menu(_) => false,
        }
    }

    async fn run(self, session: Session) -> Result<Exit, Failure> {
        match &self.action {
            Action::List => self.list(&session).await,
            Action::Get(args) => self.get(args, &session).await,
            Action::Menu(args) => {
                let config = menu::Config {
                    server: self.server.clone(),
                    family: self.family(),
                    deadline: self.deadline.unwrap_or(CLASSIC_ANSWER),
                    options: args.options(self.rcvbuf, &self.common),
                };
                menu::run(config, lines::of_stdin(), &session).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_well_formed_and_help_begins_with_examples() {
        ClientArgs::command().debug_assert();
        assert!(ClientArgs::command().render_help().to_string().starts_with("Examples:\n"));
    }

    #[test]
    fn a_receive_buffer_is_what_the_kernel_can_take() {
        assert_eq!(receive_buffer("64KiB"), Ok(65_536));
        for text in ["0", "1GiB", "many"] {
            assert!(receive_buffer(text).is_err(), "{text}");
        }
    }
}
