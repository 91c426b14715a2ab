//! Who is measured: this program's transfers and what people would use instead. Each is a process that serves, commands
//! that fetch, and a way to read what they say.

mod castlab;
mod iperf;
mod others;
mod python;

use std::net::IpAddr;
use std::path::Path as FilePath;

use labkit::Failure;
use serde::Serialize;

use super::path::Route;
use super::process::{Ended, Launch};
use super::tools::Tools;

/// Somebody who moves bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contender {
    /// udp-transfer-server and udp-transfer-client.
    Castlab(Ours),
    /// nginx and curl, each into a file.
    Nginx,
    /// The same, and every file is hashed by b3sum afterwards.
    NginxHashed,
    /// iperf3's TCP with this congestion control, from memory to memory.
    Iperf(&'static str),
    /// iperf3's UDP, one datagram a call and no pace, from memory to memory.
    IperfUdp,
    /// UFTP by multicast.
    Uftp,
    /// The QUIC of crate quinn with this congestion control, file to file.
    Quic(&'static str),
    /// A plain server and client in Python: 65507-byte datagrams and nothing else.
    Python,
}

/// How our own programs are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ours {
    /// As they come: reliable, verified.
    Plain,
    /// Without comparing hashes.
    Unverified,
    /// With `-C cubic`.
    Cubic,
    /// Reliable, with a fixed window: `-m go-back-n:64`.
    GoBackN,
    /// Reliable, with one block at a time: `-m stop-and-wait`.
    StopAndWait,
    /// The old protocol.
    Classic,
    /// Small datagrams, one a system call: `--length 1400 --no-offload` on both sides.
    Single,
}

/// What a run needs to know to start somebody.
pub(super) struct Job<'a> {
    pub(super) tools: &'a Tools,
    pub(super) route: &'a Route,
    pub(super) port: u16,
    /// A folder for configuration and logs.
    pub(super) desk: &'a FilePath,
    /// The folder that is served, and the one that files land in.
    pub(super) root: &'a FilePath,
    pub(super) out: &'a FilePath,
    /// The file, and how many fetch it at once.
    pub(super) name: &'a str,
    pub(super) clients: u16,
    /// How long those go on that send no file.
    pub(super) seconds: u64,
}

impl Job<'_> {
    pub(super) fn address(&self) -> IpAddr {
        self.route.address
    }

    /// `ADDRESS:PORT` of the server.
    pub(super) fn target(&self) -> String {
        format!("{}:{}", self.route.address, self.port)
    }
}

/// What the programs themselves say of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Told {
    /// Bytes that arrived, of those that write no file.
    pub(super) bytes: Option<u64>,
    /// How fast, where it is not simply the size over the time it took; in bit/s.
    pub(super) rate: Option<f64>,
    /// When each client had its file, in seconds from the start of its command, where one command is several clients.
    pub(super) each: Vec<f64>,
}

/// A transfer of a server that sends and hears no more of it: its bytes, and when, in seconds of one clock.
#[derive(Clone, Copy, Debug)]
struct Sent {
    bytes: f64,
    began: f64,
    ended: f64,
}

/// How fast all of them, one for each client, were sent together: from the first start to the last end; in bit/s.
fn sent_rate(all: impl Iterator<Item = Option<Sent>>, clients: u16) -> Result<f64, String> {
    let all: Vec<Sent> = all.collect::<Option<_>>().ok_or("the server does not say what it sent, and when")?;
    if all.len() != usize::from(clients) {
        return Err(format!("the server tells of {} transfers to {clients} clients", all.len()));
    }
    let began = all.iter().map(|one| one.began).fold(f64::INFINITY, f64::min);
    let ended = all.iter().map(|one| one.ended).fold(f64::NEG_INFINITY, f64::max);
    let bytes: f64 = all.iter().map(|one| one.bytes).sum();
    if ended > began { Ok(bytes * 8.0 / (ended - began)) } else { Err("the server sent nothing".to_owned()) }
}

impl Contender {
    /// What `--only` and the JSON call it.
    pub(super) fn key(self) -> String {
        match self {
            Contender::Castlab(Ours::Plain) => "castlab".to_owned(),
            Contender::Castlab(ours) => format!("castlab-{}", ours.name()),
            Contender::Nginx => "nginx".to_owned(),
            Contender::NginxHashed => "nginx-b3sum".to_owned(),
            Contender::Iperf(control) => format!("iperf3-{control}"),
            Contender::IperfUdp => "iperf3-udp".to_owned(),
            Contender::Uftp => "uftp".to_owned(),
            Contender::Quic(control) => format!("quic-{control}"),
            Contender::Python => "python".to_owned(),
        }
    }

    /// Whether that is what `--only` wants: it, or its family. Where its key is its family's name too, `…-plain` is it alone.
    pub(super) fn is_wanted(self, wanted: &str) -> bool {
        let key = self.key();
        let family = key.split('-').next().unwrap_or_default();
        wanted == key || wanted == family || wanted.strip_suffix("-plain") == Some(&key)
    }

    /// What people read.
    pub(super) fn title(self) -> String {
        match self {
            Contender::Castlab(Ours::Plain) => "castlab".to_owned(),
            Contender::Castlab(ours) => format!("castlab {}", ours.flags().join(" ")),
            Contender::Nginx => "nginx + curl".to_owned(),
            Contender::NginxHashed => "nginx + curl, then b3sum".to_owned(),
            Contender::Iperf(control) => format!("iperf3 TCP {control} (memory)"),
            Contender::IperfUdp => "iperf3 UDP (memory)".to_owned(),
            Contender::Uftp => "UFTP".to_owned(),
            Contender::Quic(control) => format!("QUIC {control} (quinn)"),
            Contender::Python => "Python, system D".to_owned(),
        }
    }

    /// The programs it consists of.
    pub(super) fn needs(self) -> &'static [&'static str] {
        match self {
            Contender::Castlab(_) => &["udp-transfer-server", "udp-transfer-client"],
            Contender::Nginx => &["nginx", "curl"],
            Contender::NginxHashed => &["nginx", "curl", "b3sum"],
            Contender::Iperf(_) | Contender::IperfUdp => &["iperf3"],
            Contender::Uftp => &["uftp", "uftpd"],
            Contender::Quic(_) => &["quic-bulk"],
            Contender::Python => &["python3"],
        }
    }

    /// Contenders with the same name share one process that serves.
    pub(super) fn daemon_name(self) -> String {
        match self {
            Contender::Castlab(Ours::Classic) => "castlab-classic".to_owned(),
            Contender::Castlab(Ours::Single) => "castlab-no-offload".to_owned(),
            Contender::Castlab(_) => "castlab".to_owned(),
            Contender::Nginx | Contender::NginxHashed => "nginx".to_owned(),
            Contender::Iperf(_) | Contender::IperfUdp => "iperf3".to_owned(),
            Contender::Uftp | Contender::Quic(_) | Contender::Python => self.key(),
        }
    }

    /// Whether its daemon serves one run only: it tells at its end what it sent, or does not notice for long that a run is
    /// over.
    pub(super) fn serves_once(self) -> bool {
        matches!(
            self,
            Contender::Castlab(Ours::Classic) | Contender::Python | Contender::Iperf(_) | Contender::IperfUdp
        )
    }

    /// Whether the process that waits is the one that sends.
    pub(super) fn daemon_sends(self) -> bool {
        self != Contender::Uftp
    }

    /// Whether files land, to be compared with the source.
    pub(super) fn writes_files(self) -> bool {
        !matches!(self, Contender::Iperf(_) | Contender::IperfUdp)
    }

    /// Whether every byte must arrive.
    pub(super) fn is_reliable(self) -> bool {
        !matches!(self, Contender::Castlab(Ours::Classic) | Contender::Python | Contender::IperfUdp)
    }

    /// The process that waits. What it needs beside its arguments is written to the desk.
    pub(super) fn daemon(self, job: &Job<'_>) -> Result<Launch, Failure> {
        match self {
            Contender::Castlab(ours) => Ok(castlab::server(ours, job)),
            Contender::Nginx | Contender::NginxHashed => others::nginx(job),
            Contender::Iperf(_) | Contender::IperfUdp => Ok(iperf::server(job)),
            Contender::Uftp => Ok(others::uftpd(job)),
            Contender::Quic(control) => Ok(others::quic_server(control, job)),
            Contender::Python => python::server(job),
        }
    }

    /// The port its daemon waits on: `free`, but for those that cannot be told.
    pub(super) fn port(self, free: u16) -> u16 {
        if self == Contender::Uftp { others::UFTP_PORT } else { free }
    }

    /// What fetches: for each process that runs at the same time, its commands one after the other.
    pub(super) fn commands(self, job: &Job<'_>) -> Vec<Vec<Launch>> {
        match self {
            Contender::Castlab(ours) => castlab::clients(ours, job),
            Contender::Nginx => others::curl(job),
            Contender::NginxHashed => others::curl_and_b3sum(job),
            Contender::Iperf(control) => vec![vec![iperf::tcp(control, job)]],
            Contender::IperfUdp => vec![vec![iperf::udp(job)]],
            Contender::Uftp => vec![vec![others::uftp(job)]],
            Contender::Quic(control) => others::quic_clients(control, job),
            Contender::Python => vec![vec![python::client(job)]],
        }
    }

    /// Whose client makes its daemon ready to serve at once, with a small file: it may still hash what it offers, and only
    /// the reliable modes wait for that.
    pub(super) fn warmed_up_by(self) -> Option<Contender> {
        match self {
            Contender::Castlab(Ours::Classic) => Some(Contender::Castlab(Ours::Plain)),
            Contender::Castlab(_) | Contender::Nginx | Contender::NginxHashed | Contender::Quic(_) => Some(self),
            Contender::Iperf(_) | Contender::IperfUdp | Contender::Uftp | Contender::Python => None,
        }
    }

    /// What a run's commands said; `daemon` is what the daemon said at its end, where it did, of that many `clients`.
    pub(super) fn read(self, ended: &[Ended], daemon: &str, clients: u16) -> Result<Told, String> {
        match self {
            Contender::Castlab(Ours::Classic) => castlab::read_classic(daemon, clients),
            Contender::Castlab(_) => castlab::read(ended),
            Contender::Iperf(_) => iperf::read_tcp(&ended[0].stdout),
            Contender::IperfUdp => iperf::read_udp(&ended[0].stdout),
            Contender::Python => python::read(daemon, clients),
            Contender::Nginx | Contender::NginxHashed | Contender::Uftp | Contender::Quic(_) => Ok(Told::default()),
        }
    }
}

impl Ours {
    fn name(self) -> &'static str {
        match self {
            Ours::Plain => "plain",
            Ours::Unverified => "unverified",
            Ours::Cubic => "cubic",
            Ours::GoBackN => "go-back-n",
            Ours::StopAndWait => "stop-and-wait",
            Ours::Classic => "classic",
            Ours::Single => "no-offload",
        }
    }

    /// What it adds to `get`.
    fn flags(self) -> &'static [&'static str] {
        match self {
            Ours::Plain => &[],
            Ours::Unverified => &["--verify", "none"],
            Ours::Cubic => &["-C", "cubic"],
            Ours::GoBackN => &["-m", "go-back-n:64"],
            Ours::StopAndWait => &["-m", "stop-and-wait"],
            Ours::Classic => &["-m", "classic"],
            Ours::Single => &["--length", "1400", "--no-offload"],
        }
    }
}
