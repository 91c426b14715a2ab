//! The classic client: configures, then asks for the file by several sub-clients at once, each from its own port.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use events::Event;
use labkit::target::{Family, Target};
use labkit::{Exit, Failure, Session, target};
use tokio::task::JoinSet;

use super::asking::{self, Asked};
use super::command::{self, Command, MOST_CLIENTS};
use super::server::PORT;
use super::sub_client::SubClient;
use crate::FileName;
use crate::landing::{Existing, Folder, Landing};
use crate::progress::{Progress, Show};
use crate::report::{Client, Report};

/// How long a server that may not know `SIZE` is waited for: the original does not, and need not answer at all.
const WAIT_FOR_SIZE: Duration = Duration::from_secs(1);

/// The receive buffer asked for when nobody says otherwise, in bytes.
const RECEIVE_BUFFER: usize = 8 << 20;

/// Whom to ask, and how patiently.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The server: a name or an address; port 6969 where none is given.
    pub server: Target,
    /// Which of its addresses are wanted.
    pub family: Family,
    /// How long the answer to a command may take.
    pub deadline: Duration,
}

/// What to fetch, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whom to ask.
    pub asking: Asking,
    /// The file.
    pub file: FileName,
    /// How many sub-clients at once, from 1 to [`MOST_CLIENTS`].
    pub clients: u16,
    /// How it is received and written.
    pub options: Options,
}

/// How files are received and written.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder the sub-clients' files go to.
    pub output: PathBuf,
    /// What to do with files that are there already.
    pub existing: Existing,
    /// How long nothing may come before a transfer counts as over.
    pub silence: Duration,
    /// The receive buffer to ask for, in bytes.
    pub receive_buffer: usize,
    /// How the file's size is known.
    pub size: Size,
    /// How progress is shown.
    pub show: Show,
}

/// How the client knows how many bytes there are. The classic protocol does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// By asking the server, which knows our `SIZE` or does not.
    #[default]
    Ask,
    /// Somebody told us: so many bytes.
    Told(u64),
    /// The original lies here: its size is known, and its bytes can be compared.
    Reference(PathBuf),
}

impl Config {
    /// Fetches `file` from `server` once, into the current folder, as the original does.
    #[must_use]
    pub fn new(server: Target, file: FileName) -> Self {
        let asking = Asking { server, family: Family::Any, deadline: Duration::from_secs(3) };
        Config { asking, file, clients: 1, options: Options::default() }
    }
}

impl Default for Options {
    /// As the original: the current folder, and over after 5 s of silence; but nothing is overwritten.
    fn default() -> Self {
        Options {
            output: PathBuf::from("."),
            existing: Existing::Keep,
            silence: Duration::from_secs(5),
            receive_buffer: RECEIVE_BUFFER,
            size: Size::Ask,
            show: Show::Nothing,
        }
    }
}

/// The files a server offers, as it names them: one a line of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Who answered.
    pub server: SocketAddr,
    /// The lines of the answer.
    pub lines: Vec<String>,
}

/// Asks which files there are.
///
/// # Errors
/// When the name does not resolve, or nobody answers.
pub async fn list(asking: &Asking, session: &Session) -> Result<Listed, Failure> {
    let addresses = resolve(asking, session).await?;
    let asked = asking::first_to_answer(&addresses, &Command::List, asking.deadline, session).await?;
    let text = String::from_utf8_lossy(&asked.answer);
    // A C program ends its text with a zero, some put several names on a line of their own ending.
    let lines = text.split(['\n', '\r', '\0']).filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    Ok(Listed { server: asked.server, lines })
}

/// Says which file the next transfers shall be of, and gives who took it.
///
/// # Errors
/// When the name does not resolve, nobody answers, or the server says what is wrong.
pub async fn configure(
    asking: &Asking,
    file: &FileName,
    clients: u16,
    session: &Session,
) -> Result<SocketAddr, Failure> {
    let addresses = resolve(asking, session).await?;
    let command = Command::Config { name: file.clone(), clients };
    let Asked { server, answer } = asking::first_to_answer(&addresses, &command, asking.deadline, session).await?;
    if command::is_config_set(&answer) {
        return Ok(server);
    }
    let said = labkit::text::show(answer.trim_ascii(), 200);
    Err(Failure::new(
        Exit::Setup,
        "CONFIG-REFUSED",
        format!("{server} does not take !CONFIG :{file} :{clients}; it says {said:?}"),
    )
    .hint("`list` shows the files it has"))
}

/// Fetches a file with all sub-clients at once.
///
/// Their files are created before anything is asked, so that nobody waits for a transfer that cannot be kept; those of
/// sub-clients that got nothing are removed again.
///
/// # Errors
/// When the output folder or a file in it cannot be written, the name does not resolve, nobody answers, or the server
/// refuses the configuration. What goes wrong later is told in the report, client by client.
pub async fn get(config: &Config, session: &Session) -> Result<Report, Failure> {
    check(config)?;
    let landings = prepare(config)?;
    let told = told_size(config)?;
    let server = configure(&config.asking, &config.file, config.clients, session).await?;
    let size = match told {
        Some(size) => Some(size),
        None => ask_size(server, config, session).await,
    };
    let report = Report {
        server,
        file: config.file.clone(),
        mode: "classic",
        size,
        clients: fetch(config, server, size, landings, session).await?,
    };
    for client in &report.clients {
        tell(client, &report, session);
    }
    Ok(report)
}

fn check(config: &Config) -> Result<(), Failure> {
    match config.clients {
        1..=MOST_CLIENTS => Ok(()),
        _ => Err(Failure::usage(format!("from 1 to {MOST_CLIENTS} clients at once"))),
    }
}

async fn resolve(asking: &Asking, session: &Session) -> Result<Vec<SocketAddr>, Failure> {
    let addresses = target::resolve(&asking.server, PORT, asking.family).await?;
    session.recorder.tell(|| Event::Resolved {
        target: asking.server.to_string(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
    });
    Ok(addresses)
}

/// `Cliente<i>-Prueba<N>.<ext>`, as in the original.
fn landing_name(file: &FileName, client: u16, clients: u16) -> Result<FileName, Failure> {
    let extension = file.extension().map(|extension| format!(".{extension}")).unwrap_or_default();
    FileName::parse(&format!("Cliente{client}-Prueba{clients}{extension}"))
        .map_err(|error| Failure::usage(format!("no file can be named after {file}: {error}")))
}

fn prepare(config: &Config) -> Result<Vec<Landing>, Failure> {
    let folder = Folder::open(&config.options.output)?;
    (1..=config.clients)
        .map(|client| folder.create(landing_name(&config.file, client, config.clients)?, config.options.existing))
        .collect()
}

fn told_size(config: &Config) -> Result<Option<u64>, Failure> {
    match &config.options.size {
        Size::Ask => Ok(None),
        Size::Told(size) => Ok(Some(*size)),
        Size::Reference(path) => match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Err(Failure::usage(format!("{} is no file to compare with", path.display()))),
            Err(error) => Err(Failure::io("read the reference", path.display(), &error)),
        },
    }
}

/// The size as our own server tells it. Asked from a socket of its own, so that a late answer is taken for nothing else.
async fn ask_size(server: SocketAddr, config: &Config, session: &Session) -> Option<u64> {
    let command = Command::Size { name: config.file.clone() };
    let patience = config.asking.deadline.min(WAIT_FOR_SIZE);
    let size =
        asking::ask(server, &command, patience, session).await.ok().and_then(|answer| command::read_size(&answer));
    if size.is_none() {
        tracing::info!("{server} does not tell sizes: what is lost cannot be counted");
    }
    size
}

/// All sub-clients at once, a thread each; their sockets are ready before the first of them asks.
async fn fetch(
    config: &Config,
    server: SocketAddr,
    size: Option<u64>,
    landings: Vec<Landing>,
    session: &Session,
) -> Result<Vec<Client>, Failure> {
    let mut prepared = Vec::new();
    for (client, landing) in (1..).zip(landings) {
        prepared.push(SubClient::prepare(client, &config.options, server, size, landing, session)?);
    }
    let counters = prepared.iter().map(SubClient::progress).collect();
    let progress = Progress::new(config.options.show, size, counters);
    let mut ticks = tokio::time::interval(progress.interval());
    ticks.tick().await; // The first is at once.

    let mut running: JoinSet<Client> = prepared.into_iter().fold(JoinSet::new(), |mut running, client| {
        running.spawn_blocking(move || client.run());
        running
    });
    let mut clients = Vec::new();
    while !running.is_empty() {
        tokio::select! {
            _ = ticks.tick() => progress.tick(),
            Some(ended) = running.join_next() => match ended {
                Ok(client) => clients.push(client),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
        }
    }
    progress.finish();
    clients.sort_unstable_by_key(|client: &Client| client.client);
    Ok(clients)
}

/// The events of one sub-client, once it has ended.
fn tell(client: &Client, report: &Report, session: &Session) {
    let (flow, recorder) = (client.client.into(), &session.recorder);
    let peer = SocketAddr::new(report.server.ip(), client.server_port.unwrap_or(report.server.port())).to_string();
    recorder.tell_in(flow, || Event::Received {
        peer: peer.clone(),
        what: "file".to_owned(),
        number: None,
        bytes: client.bytes,
        name: None,
        elapsed_ns: Some(client.elapsed_ns),
    });
    for (name, value, unit) in client.figures(report.size) {
        recorder.tell_in(flow, || Event::Measured { name: name.to_owned(), value, unit, peer: Some(peer.clone()) });
    }
    let reason = client.problem.as_ref().map(|problem| problem.message.clone());
    recorder.tell_in(flow, || Event::Finished { outcome: client.outcome(), reason });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_as_in_the_original() {
        let named = |file, client, clients| {
            landing_name(&FileName::parse(file).unwrap(), client, clients).unwrap().as_str().to_owned()
        };
        assert_eq!(named("video 100MB.mp4", 3, 10), "Cliente3-Prueba10.mp4");
        assert_eq!(named("README", 1, 1), "Cliente1-Prueba1");
        let long = FileName::parse(&format!("a.{}", "x".repeat(253))).unwrap();
        assert_eq!(landing_name(&long, 1, 1).unwrap_err().exit, Exit::Usage);
    }
}
