//! Replicas, clients and misfits that the tests put together.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anycast::client::{self, Asked};
use anycast::server::{self, Served};
use labkit::target::Target;
use labkit::{Common, Session, Shutdown, socket};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn session(node: &str) -> Session {
    let flags = Common { name: Some(node.to_owned()), quiet: true, ..Common::default() };
    Session::new("test", &flags, Shutdown::manual()).unwrap()
}

/// A replica that is in no hurry.
pub(crate) fn named(name: &str) -> server::Config {
    server::Config { deadline: LONG, ..server::Config::named(name) }
}

pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    pub(crate) session: Session,
    pub(crate) running: JoinHandle<Served>,
}

impl Replica {
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(named(name))
    }

    pub(crate) fn start_with(config: server::Config) -> Self {
        let listener = socket::listen_tcp((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let (address, session) = (listener.local_addr().unwrap(), session(&config.name));
        let running = tokio::spawn({
            let session = session.clone();
            async move { server::run(listener, config, &session).await.unwrap() }
        });
        Replica { address, session, running }
    }

    pub(crate) async fn stop(self) -> Served {
        self.session.shutdown.request();
        self.running.await.unwrap()
    }
}

pub(crate) fn config(targets: &[SocketAddr]) -> client::Config {
    client::Config {
        targets: targets
            .iter()
            .map(|address| Target { host: address.ip().to_string(), port: Some(address.port()) })
            .collect(),
        seed: 7,
        timeout: LONG,
        ..client::Config::default()
    }
}

pub(crate) async fn ask(config: client::Config) -> Asked {
    client::run(config, &session("client")).await.unwrap()
}

/// An address that refuses connections for as long as it is held: bound, and not listening.
pub(crate) struct Dead(socket2::Socket);

impl Dead {
    pub(crate) fn bind() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        Dead(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }
}

/// A server that does with every connection what `serve` says.
pub(crate) async fn misbehaving<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}
