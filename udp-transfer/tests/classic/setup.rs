//! Servers, clients and files for the tests of the classic mode: port 0, no sleeps.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use labkit::target::{Family, Target};
use labkit::{Common, Failure, Session, Shutdown};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use udp_transfer::FileName;
use udp_transfer::classic::client::{self, Asking, Options, Size};
use udp_transfer::classic::server::{Config, Served, Server};
use udp_transfer::report::Report;

/// Long enough that no test waits for it, short enough that one that hangs ends.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// For tests in which silence itself is the subject.
pub(super) const SHORT: Duration = Duration::from_millis(200);

pub(super) fn session(node: &str) -> Session {
    let flags = Common { name: Some(node.to_owned()), quiet: true, ..Common::default() };
    Session::new("test", &flags, Shutdown::manual()).unwrap()
}

/// `length` bytes, no two windows of which are alike for long.
pub(super) fn bytes(length: usize) -> Vec<u8> {
    (0..length as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56).to_le_bytes()[0]).collect()
}

pub(super) fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) session: Session,
    pub(super) task: JoinHandle<Result<Served, Failure>>,
    pub(super) root: TempDir,
}

impl Running {
    pub(super) fn start(files: &[(&str, &[u8])]) -> Self {
        Self::start_with(files, |config| config)
    }

    pub(super) fn start_with(files: &[(&str, &[u8])], change: impl FnOnce(Config) -> Config) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(root.path().join(name), bytes).unwrap();
        }
        let config = Config { bind: "127.0.0.1:0".parse().unwrap(), ..Config::new(root.path()) };
        let (server, session) = (Server::bind(change(config)).unwrap(), session("server"));
        let address = server.local_addr();
        let task = tokio::spawn({
            let session = session.clone();
            async move { server.run(&session).await }
        });
        Running { address, session, task, root }
    }

    pub(super) async fn stop(self) -> Served {
        self.session.shutdown.request();
        self.task.await.unwrap().unwrap()
    }
}

/// A socket that asks by hand, and gives up waiting in the end.
pub(super) struct Raw {
    pub(super) socket: tokio::net::UdpSocket,
    pub(super) server: SocketAddr,
}

impl Raw {
    pub(super) async fn new(server: SocketAddr) -> Self {
        Raw { socket: tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap(), server }
    }

    pub(super) async fn say(&self, text: impl AsRef<[u8]>) {
        self.socket.send_to(text.as_ref(), self.server).await.unwrap();
    }

    pub(super) async fn hear(&self) -> Vec<u8> {
        let mut buffer = vec![0; 70_000];
        let received = tokio::time::timeout(LONG, self.socket.recv_from(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(received.1, self.server, "the answer comes from the port that was asked");
        buffer.truncate(received.0);
        buffer
    }

    pub(super) async fn ask(&self, text: &str) -> String {
        self.say(text).await;
        String::from_utf8(self.hear().await).unwrap()
    }
}

pub(super) fn config(server: SocketAddr, file: &str, clients: u16, output: &Path) -> client::Config {
    client::Config {
        asking: Asking {
            server: Target { host: server.ip().to_string(), port: Some(server.port()) },
            family: Family::Any,
            deadline: LONG,
        },
        file: name(file),
        clients,
        options: Options { output: output.to_owned(), silence: SHORT, ..Options::default() },
    }
}

pub(super) fn told(config: client::Config, size: u64) -> client::Config {
    client::Config { options: Options { size: Size::Told(size), ..config.options }, ..config }
}

pub(super) async fn get(config: &client::Config) -> Report {
    client::get(config, &session("client")).await.unwrap()
}

pub(super) fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
