//! Servers, clients and files for the tests.

use std::net::SocketAddr;
use std::path::Path;

use arq::catalogue::FileName;
use arq::policy::Policy;
use labkit::target::Target;
use labkit::{Common, Failure, Session, Shutdown};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use udp_transfer::reliable::client::{self, Asking, Config, Report, Wanted};
use udp_transfer::reliable::server::{self, Served, Server};
use udp_transfer::reliable::{Impaired, Limits};

pub(crate) fn session(node: &str) -> Session {
    let flags = Common { name: Some(node.to_owned()), quiet: true, ..Common::default() };
    Session::new("test", &flags, Shutdown::manual()).unwrap()
}

/// `length` bytes of that seed, no two windows of which are alike for long.
pub(crate) fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut random = netsim::Random::new(seed);
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| random.number().to_le_bytes()).collect();
    bytes.truncate(length);
    bytes
}

pub(crate) fn name(text: &str) -> FileName {
    FileName::new(text).unwrap()
}

pub(crate) fn named(text: &str) -> Wanted {
    Wanted::Named(vec![name(text)])
}

/// Every mode whose transfers end whole.
pub(crate) fn reliable_modes() -> [Policy; 3] {
    [Policy::STOP_AND_WAIT, Policy::go_back_n(16), Policy::SELECTIVE_REPEAT]
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) session: Session,
    pub(crate) task: JoinHandle<Result<Served, Failure>>,
}

impl Running {
    pub(crate) fn start(root: &Path) -> Self {
        Self::start_with(root, |config| config)
    }

    pub(crate) fn start_with(root: &Path, change: impl FnOnce(server::Config) -> server::Config) -> Self {
        let limits = Limits {
            per_address: 10_000,
            sessions: 10_000,
            handshakes: 100_000,
            handshakes_per_address: 100_000,
            ..Limits::default()
        };
        let config = server::Config { bind: "127.0.0.1:0".parse().unwrap(), limits, ..server::Config::new(root) };
        let (server, session) = (Server::bind(change(config)).unwrap(), session("server"));
        let address = server.local_addr();
        let task = tokio::spawn({
            let session = session.clone();
            async move { server.run(&session).await }
        });
        Running { address, session, task }
    }

    pub(crate) async fn stop(self) -> Served {
        self.session.shutdown.request();
        self.task.await.unwrap().unwrap()
    }
}

pub(crate) fn config(server: SocketAddr, wanted: Wanted, output: &Path) -> Config {
    let target = Target { host: server.ip().to_string(), port: Some(server.port()) };
    Config::new(Asking::new(target), wanted, output)
}

pub(crate) async fn get(config: &Config) -> Report {
    client::get(config, &session("client")).await.unwrap()
}

pub(crate) fn impaired(what: &str, seed: u64) -> Option<Impaired> {
    Some(Impaired { impairment: what.parse().unwrap(), seed })
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}
