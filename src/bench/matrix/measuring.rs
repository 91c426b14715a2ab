//! One run: a server, its clients, all at once, and what came of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use labkit::{Exit, Failure, Shutdown};

use super::args::{Args, RAW_BITRATE};
use super::mode::Mode;
use super::place::{NAME, Place};
use super::plan::{Cell, Plan, Run};
use super::process::{Ended, Process, Program, Via};
use super::reading;
use super::row::Row;
use crate::bench::received::{self, Compared};

/// What a datagram of the classic server carries, unless it is told otherwise.
const CLASSIC_LENGTH: usize = 65_507;
/// How much longer than its own deadline a client may take to say what it got.
const GRACE: Duration = Duration::from_secs(10);

/// What stays the same for all runs.
#[derive(Debug)]
pub(super) struct Bench {
    args: Args,
    programs: PathBuf,
    server_via: Via,
    /// One process for all clients where this is empty; else one each.
    client_via: Vec<Via>,
    pub(super) place: Place,
}

/// Some clients in one process.
struct Clients {
    first: u16,
    count: u16,
    output: PathBuf,
    process: Process,
}

impl Bench {
    /// Finds the programs and makes the files.
    pub(super) fn set_up(args: &Args, plan: &Plan) -> Result<Self, Failure> {
        let programs = programs(args)?;
        let most = plan.cells().iter().map(|cell| cell.clients).max().unwrap_or(1);
        let place = Place::make(args.scratch.as_deref(), &args.sizes, most)?;
        args.sizes.iter().try_for_each(|&size| place.make_source(size))?;
        Ok(Bench {
            args: args.clone(),
            programs,
            server_via: args.server_via.as_deref().map(Via::new).unwrap_or_default(),
            client_via: args.client_via.iter().map(|command| Via::new(command)).collect(),
            place,
        })
    }

    /// Makes one run, and compares what came with the source. None when `shutdown` is requested meanwhile.
    pub(super) async fn run(&self, cell: Cell, run: Run, shutdown: &Shutdown) -> Result<Option<Vec<Row>>, Failure> {
        let mut server = self.server(cell).start().await?;
        server.begin().await;
        let (server, port) = server.listening().await?;
        let fetched = self.fetch(cell, run, port, shutdown).await;
        let ended = server.stop().await;
        let Some(mut rows) = fetched? else { return Ok(None) };
        let ended = ended?;
        if ended.result.is_none() {
            let message =
                format!("the server of {} ended without a result ({}): {}", cell.mode, ended.status, ended.said);
            return Err(Failure::new(Exit::Setup, "PROGRAM", message));
        }
        reading::sent(cell.mode, &mut rows, ended.result.as_ref());
        self.place.clear()?;
        Ok(Some(rows))
    }

    async fn fetch(&self, cell: Cell, run: Run, port: u16, shutdown: &Shutdown) -> Result<Option<Vec<Row>>, Failure> {
        // A server hashes its files once, before anybody fetches: not what is measured here.
        if let Mode::Blocks(_) = cell.mode {
            let via = self.client_via.first().cloned().unwrap_or_default();
            let list =
                self.program(via, "udp-transfer-client", ["-s", &self.server_at(port), "list", "-W", "60s", "--json"]);
            let mut process = list.start().await?;
            process.begin().await;
            match shutdown.or(process.wait(Duration::from_secs(60) + GRACE)).await {
                None => return process.stop().await.map(|_| None),
                Some(Some(ended)) if ended.result.as_ref().is_some_and(|told| told["error"].is_null()) => {}
                Some(ended) => return Err(no_answer(cell, ended)),
            }
        }
        let mut all = Vec::new();
        for (process, (first, count)) in self.processes(cell.clients).into_iter().enumerate() {
            let output = self.place.output(process);
            let via = self.client_via.get(process % self.client_via.len().max(1)).cloned().unwrap_or_default();
            let process = self.client(cell, via, port, count, &output).start().await?;
            all.push(Clients { first, count, output, process });
        }
        // All are there: now, at once.
        for clients in &mut all {
            clients.process.begin().await;
        }
        let limit = self.args.deadline + self.args.silence + GRACE;
        let mut rows = Vec::new();
        let mut is_stopped = false;
        for mut clients in all {
            let ended = if is_stopped { None } else { shutdown.or(clients.process.wait(limit)).await };
            is_stopped |= ended.is_none();
            let ended = match ended.flatten() {
                Some(ended) => ended,
                None => clients.process.stop().await?,
            };
            let mut read = reading::clients(cell, run, clients.first, clients.count, ended.result.as_ref());
            if !is_stopped {
                read = self.judge(cell, clients.output, clients.first, clients.count, read).await?;
            }
            rows.append(&mut read);
        }
        Ok((!is_stopped).then_some(rows))
    }

    /// How many clients each process has: all in one, or each alone; and the first one's number.
    fn processes(&self, clients: u16) -> Vec<(u16, u16)> {
        if self.client_via.is_empty() { vec![(1, clients)] } else { (1..=clients).map(|client| (client, 1)).collect() }
    }

    fn program<'a>(&self, via: Via, name: &str, words: impl IntoIterator<Item = &'a str>) -> Program {
        // Elsewhere they are found as that place finds them.
        let path = if via == Via::default() { self.programs.join(name).display().to_string() } else { name.to_owned() };
        Program { via, words: std::iter::once(path).chain(words.into_iter().map(str::to_owned)).collect() }
    }

    fn server(&self, cell: Cell) -> Program {
        let bind = if self.args.is_elsewhere() { "0.0.0.0:0" } else { "127.0.0.1:0" };
        let via = self.server_via.clone();
        let (source, root) = (self.place.source(cell.size), self.place.root(cell.size));
        if cell.mode == Mode::Tcp {
            let words = ["bench", "matrix-tcp", "serve", &shown(&source), "--bind", bind, "--json-stream", "-q"];
            return self.program(via, "castlab", words);
        }
        let clients = (u32::from(cell.clients) + 1).to_string();
        let mut words = vec!["--bind", bind, "--json-stream", "-q", "--max-per-address", &clients];
        let (root, rate, at_once) =
            (shown(&root), self.args.bitrate.map(|rate| rate.to_string()), cell.clients.to_string());
        words.extend(["--root", &root]);
        if cell.mode == Mode::Classic {
            words.extend(["--classic", "--max-transfers", &at_once]);
            words.extend(self.args.is_elsewhere().then_some("--allow-reflection"));
            words.extend(rate.as_deref().into_iter().flat_map(|rate| ["-b", rate]));
        }
        self.program(via, "udp-transfer-server", words)
    }

    fn client(&self, cell: Cell, via: Via, port: u16, count: u16, output: &Path) -> Program {
        let (server, count, output) = (self.server_at(port), count.to_string(), shown(output));
        let deadline = format!("{}ms", self.args.deadline.as_millis());
        let mut words = vec!["-s", &server, "-P", &count, "-o", &output, "--json", "-q"];
        if cell.mode == Mode::Tcp {
            words.splice(0..0, ["bench", "matrix-tcp", "get"]);
            words.extend(["-W", &deadline]);
            return self.program(via, "castlab", words);
        }
        let (mode, silence) = (cell.mode.to_string(), format!("{}ms", self.args.silence.as_millis()));
        let rate = self.args.bitrate.unwrap_or(RAW_BITRATE).to_string();
        let buffer = self.args.rcvbuf.map(|buffer| buffer.to_string());
        words.splice(0..0, ["get", NAME, "-m", &mode]);
        words.extend(buffer.as_deref().into_iter().flat_map(|buffer| ["--rcvbuf", buffer]));
        match cell.mode {
            Mode::Classic => words.extend(["--silence", &silence]),
            Mode::Blocks(policy) if !policy.is_reliable() => words.extend(["-b", &rate, "-W", &deadline]),
            _ => words.extend(["-W", &deadline]),
        }
        self.program(via, "udp-transfer-client", words)
    }

    fn server_at(&self, port: u16) -> String {
        match self.args.server_host.contains(':') {
            true => format!("[{}]:{port}", self.args.server_host),
            false => format!("{}:{port}", self.args.server_host),
        }
    }

    /// Compares what each got with the source, off the loop's thread: it is a file's length to read.
    async fn judge(
        &self,
        cell: Cell,
        output: PathBuf,
        first: u16,
        count: u16,
        rows: Vec<Row>,
    ) -> Result<Vec<Row>, Failure> {
        let source = self.place.source(cell.size);
        let judging = tokio::task::spawn_blocking(move || {
            let mut rows = rows;
            for row in &mut rows {
                let path = output.join(name_of(cell.mode, row.client - first + 1, count));
                let compared = compared(cell.mode, &source, &path)
                    .map_err(|error| Failure::io("compare", path.display(), &error))?;
                row.judge(compared);
            }
            Ok(rows)
        });
        judging.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

/// What a file is called that was received: system D's names, but for one file fetched once as what it is.
fn name_of(mode: Mode, client: u16, clients: u16) -> String {
    match mode {
        Mode::Blocks(_) if clients == 1 => NAME.to_owned(),
        _ => format!("Cliente{client}-Prueba{clients}.bin"),
    }
}

fn compared(mode: Mode, source: &Path, got: &Path) -> std::io::Result<Compared> {
    let part = PathBuf::from(format!("{}.part", got.display()));
    match mode {
        Mode::Classic if got.exists() => received::pieces(source, got, CLASSIC_LENGTH),
        Mode::Tcp if got.exists() => received::with_holes(source, got),
        Mode::Blocks(_) if got.exists() => received::whole(source, got),
        Mode::Blocks(_) if part.exists() => received::with_holes(source, &part),
        _ => Ok(Compared::Nothing),
    }
}

/// The folder of the programs, which must be there unless they all run elsewhere.
fn programs(args: &Args) -> Result<PathBuf, Failure> {
    let ours = std::env::current_exe().map_err(|error| Failure::io("find", "castlab's own program", &error))?;
    let folder = args.bin_dir.clone().or_else(|| ours.parent().map(Path::to_owned)).unwrap_or_default();
    let (server_is_here, clients_are_here) = (args.server_via.is_none(), args.client_via.is_empty());
    let modes = &args.modes;
    let needs_udp = modes.iter().any(|mode| *mode != Mode::Tcp);
    let needed = [
        ("udp-transfer-server", needs_udp && server_is_here),
        ("udp-transfer-client", needs_udp && clients_are_here),
        ("castlab", modes.contains(&Mode::Tcp) && (server_is_here || clients_are_here)),
    ];
    for (name, is_needed) in needed {
        if is_needed && !folder.join(name).is_file() {
            let message = format!("there is no {name} in {}", folder.display());
            return Err(Failure::new(Exit::Setup, "NOT-FOUND", message)
                .hint("cargo build --release --workspace makes all programs; --bin-dir says where they are"));
        }
    }
    Ok(folder)
}

fn no_answer(cell: Cell, ended: Option<Ended>) -> Failure {
    let told = ended.map(|ended| match &ended.result {
        Some(result) => result["error"]["message"].as_str().unwrap_or_default().to_owned(),
        None => format!("{} {}", ended.status, ended.said),
    });
    let message =
        format!("the server of {} does not answer: {}", cell.mode, told.unwrap_or("no word in time".to_owned()));
    Failure::new(Exit::NobodyAnswered, "NO-ANSWER", message).hint("--server-host is the server as its clients know it")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
