//! Files over QUIC with crate quinn, at the setting that was fastest of those tried: a runtime of one thread, and windows no
//! larger than the path needs. The client writes its name for a file into a stream, the server the file.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use quinn::congestion::{BbrConfig, CubicConfig};
use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::PrivatePkcs8KeyDer;
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TransportConfig};
use socket2::{Domain, Protocol, Socket, Type};

/// Read and written at once.
const PIECE: usize = 1 << 20;
/// Parts of a stream that are taken at once: each is what one datagram carried.
const CHUNKS: usize = 256;
/// Asked of the kernel for each socket.
const BUFFER: usize = 8 << 20;
/// The longest name of a file.
const NAME: usize = 255;
/// A peer that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(20);

/// How long we take to say goodbye.
const FAREWELL: Duration = Duration::from_millis(2);

/// Moves files over QUIC, for a benchmark.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
    /// In bytes: what may be on its way at once
    #[arg(long, global = true, default_value_t = 2 << 20)]
    window: u32,
    /// How the sender finds its window
    #[arg(long, global = true, value_enum, default_value_t = Control::Cubic)]
    congestion: Control,
}

#[derive(Subcommand)]
enum What {
    /// Serve the files of a folder
    Serve {
        bind: SocketAddr,
        #[arg(long)]
        root: PathBuf,
        /// Where to write our certificate, for clients to trust
        #[arg(long)]
        certificate: PathBuf,
    },
    /// Fetch one
    Get {
        server: SocketAddr,
        name: String,
        #[arg(long)]
        output: PathBuf,
        #[arg(long)]
        certificate: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Control {
    Bbr,
    Cubic,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let transport = transport(args.window, args.congestion)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.what {
            What::Serve { bind, root, certificate } => serve(bind, &root, &certificate, transport).await,
            What::Get { server, name, output, certificate } => {
                get(server, &name, &output, &certificate, transport).await
            }
        }
    })
}

fn transport(window: u32, control: Control) -> Result<Arc<TransportConfig>> {
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(window.into());
    transport.receive_window(window.into());
    transport.send_window(window.into());
    transport.max_idle_timeout(Some(SILENCE.try_into()?));
    match control {
        Control::Bbr => transport.congestion_controller_factory(Arc::new(BbrConfig::default())),
        Control::Cubic => transport.congestion_controller_factory(Arc::new(CubicConfig::default())),
    };
    Ok(Arc::new(transport))
}

fn socket(bind: SocketAddr) -> Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(bind), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.bind(&bind.into()).with_context(|| format!("cannot bind {bind}"))?;
    Ok(socket.into())
}

fn endpoint(bind: SocketAddr, server: Option<ServerConfig>) -> Result<Endpoint> {
    let runtime = Arc::new(quinn::TokioRuntime);
    Ok(Endpoint::new(EndpointConfig::default(), server, socket(bind)?, runtime)?)
}

async fn serve(bind: SocketAddr, root: &Path, certificate: &Path, transport: Arc<TransportConfig>) -> Result<()> {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let der = own.cert.der().clone();
    fs::write(certificate, &der).with_context(|| format!("cannot write {}", certificate.display()))?;
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let mut config = ServerConfig::with_single_cert(vec![der], key.into())?;
    config.transport_config(transport);
    let endpoint = endpoint(bind, Some(config))?;
    while let Some(incoming) = endpoint.accept().await {
        let root = root.to_owned();
        tokio::spawn(async move {
            if let Err(error) = answer(incoming, &root).await {
                eprintln!("{error:#}");
            }
        });
    }
    Ok(())
}

async fn answer(incoming: Incoming, root: &Path) -> Result<()> {
    let connection: Connection = incoming.await?;
    let (mut answer, mut question) = connection.accept_bi().await?;
    let name = String::from_utf8(question.read_to_end(NAME).await?)?;
    if Path::new(&name).components().count() != 1 || name.starts_with('.') {
        bail!("{name:?} is no name of a file here");
    }
    let mut file = File::open(root.join(&name)).with_context(|| format!("cannot open {name:?}"))?;
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            break;
        }
        answer.write_all(&piece[..length]).await?;
    }
    answer.finish()?;
    // The client closes, once it has everything.
    connection.closed().await;
    Ok(())
}

async fn get(
    server: SocketAddr,
    name: &str,
    output: &Path,
    certificate: &Path,
    transport: Arc<TransportConfig>,
) -> Result<()> {
    let mut roots = RootCertStore::empty();
    let der = fs::read(certificate).with_context(|| format!("cannot read {}", certificate.display()))?;
    roots.add(der.into())?;
    let mut config = ClientConfig::with_root_certificates(Arc::new(roots))?;
    config.transport_config(transport);
    let any: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    let mut endpoint = endpoint(any, None)?;
    endpoint.set_default_client_config(config);

    let connection = endpoint.connect(server, "localhost")?.await.with_context(|| format!("cannot reach {server}"))?;
    let (mut question, mut answer) = connection.open_bi().await?;
    question.write_all(name.as_bytes()).await?;
    question.finish()?;
    let mut file = File::create(output).with_context(|| format!("cannot create {}", output.display()))?;
    let (mut chunks, mut piece) = (vec![Default::default(); CHUNKS], Vec::with_capacity(2 * PIECE));
    while let Some(count) = answer.read_chunks(&mut chunks).await? {
        for chunk in &mut chunks[..count] {
            piece.extend_from_slice(&std::mem::take(chunk));
        }
        if piece.len() >= PIECE {
            file.write_all(&piece)?;
            piece.clear();
        }
    }
    file.write_all(&piece)?;
    connection.close(0u32.into(), b"");
    // Long enough to say so: the file is here, and waiting until nobody can ask again is not what is measured.
    let _ = tokio::time::timeout(FAREWELL, endpoint.wait_idle()).await;
    Ok(())
}
