//! The yardstick: a file over plain TCP, by the shortest sender and receiver there can be. The sender hands the file to
//! the kernel (`sendfile`), the receiver writes what comes, and syncs it as the reliable modes do; nobody verifies.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Subcommand;
use labkit::target::{self, Family, Target};
use labkit::units::positive_duration;
use labkit::{Clock, Exit, Failure, Session, Shutdown};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

/// How much goes between two looks at whether to stop.
const PIECE: u64 = 4 << 20;
/// What a receiver reads at once at most.
const BUFFER: usize = 256 << 10;
/// How many are served at once; one more is turned away.
const MOST: usize = 256;
/// How long nothing may come or go before a transfer is given up.
const STUCK: Duration = Duration::from_secs(10);

/// What may be typed after `castlab bench matrix-tcp`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Which side.
    #[command(subcommand)]
    side: Side,
}

#[derive(Subcommand, Clone, Debug)]
enum Side {
    /// Send a file to whoever connects
    Serve(Serve),
    /// Fetch it, several times at once
    Get(Get),
}

#[derive(clap::Args, Clone, Debug)]
struct Serve {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Address and port to listen on
    #[arg(long, value_name = "ADDR:PORT", env = "CASTLAB_BIND", hide_env_values = true)]
    bind: SocketAddr,
}

#[derive(clap::Args, Clone, Debug)]
struct Get {
    /// Who sends
    #[arg(short, long, value_name = "HOST:PORT", env = "CASTLAB_SERVER", hide_env_values = true)]
    server: Target,

    /// How often at once
    #[arg(short = 'P', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256), env = "CASTLAB_PARALLEL", hide_env_values = true)]
    parallel: u16,

    /// The folder files land in, made where it is not there
    #[arg(short, long, value_name = "DIR", env = "CASTLAB_OUTPUT", hide_env_values = true)]
    output: PathBuf,

    /// How long all of it may take
    #[arg(short = 'W', long, value_name = "TIME", default_value = "2m", value_parser = positive_duration, env = "CASTLAB_DEADLINE", hide_env_values = true)]
    deadline: Duration,
}

/// What a sender sent to one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sent {
    pub(super) to: String,
    pub(super) bytes: u64,
}

/// What a receiver got.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Got {
    pub(super) client: u16,
    pub(super) bytes: u64,
    pub(super) elapsed_ns: u64,
    pub(super) client_port: u16,
    pub(super) server_port: u16,
    pub(super) problem: Option<String>,
}

/// Runs one side.
///
/// # Errors
/// When the file or the port cannot be opened, or nobody is there.
pub async fn run(args: Args, session: &Session) -> Result<Exit, Failure> {
    match args.side {
        Side::Serve(serve) => serve.run(session).await,
        Side::Get(get) => get.run(session).await,
    }
}

impl Serve {
    async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let failed = |error: io::Error| Failure::io("open", self.file.display(), &error);
        let size = File::open(&self.file).and_then(|file| file.metadata()).map_err(failed)?.len();
        let listening = |error: io::Error| Failure::io("listen on TCP", self.bind, &error);
        let listener = tokio::net::TcpListener::bind(self.bind).await.map_err(listening)?;
        let local = listener.local_addr().map_err(listening)?;
        session.tell_started(Some(local.to_string()), None);
        let sent = Arc::new(Mutex::new(Vec::new()));
        let mut serving = JoinSet::new();
        while let Some(accepted) = session.shutdown.or(listener.accept()).await {
            while serving.try_join_next().is_some() {}
            // Who is gone before it was accepted is served no more, nor is one too many.
            let Ok((stream, peer)) = accepted else { continue };
            if serving.len() == MOST {
                continue;
            }
            let (path, sent, shutdown) = (self.file.clone(), sent.clone(), session.shutdown.clone());
            serving.spawn_blocking(move || {
                let bytes = send(&path, size, stream, &shutdown);
                sent.lock().unwrap_or_else(PoisonError::into_inner).push(Sent { to: peer.to_string(), bytes });
            });
        }
        while serving.join_next().await.is_some() {}
        let last = std::mem::take(&mut *sent.lock().unwrap_or_else(PoisonError::into_inner));
        session.output.json(&serde_json::json!({ "last": last }));
        Ok(Exit::Done)
    }
}

/// Sends the size, then the file, and tells how much of it the kernel took.
fn send(path: &Path, size: u64, stream: tokio::net::TcpStream, shutdown: &Shutdown) -> u64 {
    let mut sent = 0;
    let try_send = || -> io::Result<()> {
        let (file, mut stream) = (File::open(path)?, blocking(stream)?);
        stream.write_all(&size.to_be_bytes())?;
        while sent < size && !shutdown.is_requested() {
            match io::copy(&mut (&file).take(PIECE), &mut stream)? {
                0 => break,
                more => sent += more,
            }
        }
        Ok(())
    };
    if let Err(error) = try_send() {
        tracing::info!("{}: {error}", path.display());
    }
    sent
}

/// For a thread of its own, and never waiting longer than anybody would.
fn blocking(stream: tokio::net::TcpStream) -> io::Result<TcpStream> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(STUCK))?;
    stream.set_write_timeout(Some(STUCK))?;
    Ok(stream)
}

impl Get {
    async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let until = session.clock.elapsed() + self.deadline;
        let addresses = target::resolve(&self.server, 0, Family::Any).await?;
        let Some(&server) = addresses.first() else { return Err(Failure::usage("the server has no address")) };
        std::fs::create_dir_all(&self.output)
            .map_err(|error| Failure::io("make the folder", self.output.display(), &error))?;
        session.tell_started(None, None);
        let mut fetching = JoinSet::new();
        for client in 1..=self.parallel {
            let one = One {
                client,
                path: self.output.join(format!("Cliente{client}-Prueba{}.bin", self.parallel)),
                server,
                clock: session.clock,
                until,
                shutdown: session.shutdown.clone(),
            };
            fetching.spawn(async move { one.fetch().await });
        }
        let mut got: Vec<Got> = Vec::new();
        while let Some(ended) = fetching.join_next().await {
            got.push(ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
        }
        got.sort_by_key(|got| got.client);
        let all_well = got.iter().all(|got| got.problem.is_none());
        session.output.json(&serde_json::json!({ "clients": got }));
        session.output.result(format!(
            "{} of {} fetched",
            got.iter().filter(|got| got.problem.is_none()).count(),
            got.len()
        ));
        Ok(if all_well { Exit::Done } else { Exit::Partial })
    }
}

/// One of those who fetch.
struct One {
    client: u16,
    path: PathBuf,
    server: SocketAddr,
    clock: Clock,
    until: Duration,
    shutdown: Shutdown,
}

impl One {
    async fn fetch(self) -> Got {
        let begun = self.clock.elapsed();
        let (client, clock, server_port) = (self.client, self.clock, self.server.port());
        let mut got = Got { client, bytes: 0, elapsed_ns: 0, client_port: 0, server_port, problem: None };
        let connecting = tokio::time::timeout(STUCK, tokio::net::TcpStream::connect(self.server)).await;
        let fetched = match connecting {
            Ok(Ok(stream)) => {
                got.client_port = stream.local_addr().map_or(0, |local| local.port());
                let receiving = tokio::task::spawn_blocking(move || {
                    let mut bytes = 0;
                    (self.receive(stream, &mut bytes).map_err(|error| error.to_string()), bytes)
                });
                let (ended, bytes) =
                    receiving.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                got.bytes = bytes;
                ended
            }
            Ok(Err(error)) => Err(format!("cannot connect to {}: {error}", self.server)),
            Err(_) => Err(format!("cannot connect to {}: no answer", self.server)),
        };
        got.elapsed_ns = u64::try_from((clock.elapsed() - begun).as_nanos()).unwrap_or(u64::MAX);
        got.problem = fetched.err();
        got
    }

    /// Writes what comes, until it is as much as was announced.
    fn receive(&self, stream: tokio::net::TcpStream, bytes: &mut u64) -> io::Result<()> {
        let mut stream = blocking(stream)?;
        let mut size = [0; 8];
        stream.read_exact(&mut size)?;
        let size = u64::from_be_bytes(size);
        let mut file = File::create(&self.path)?;
        let mut buffer = vec![0; BUFFER];
        while *bytes < size {
            if self.shutdown.is_requested() {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "stopped before the end"));
            }
            if self.clock.elapsed() > self.until {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "not done in time"));
            }
            match stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    file.write_all(&buffer[..read])?;
                    *bytes += read as u64;
                }
            }
        }
        file.sync_all()
    }
}
