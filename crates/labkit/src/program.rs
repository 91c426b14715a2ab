//! From `main` to exit code: parse, set up, run, and say clearly what went wrong.

use std::future::Future;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use events::Event;
use serde_json::json;
use tokio::runtime::Builder;
use tracing_subscriber::EnvFilter;

use crate::exit::{Exit, Failure};
use crate::flags::{Color, Common};
use crate::{Clock, Output, Recorder, Shutdown};

/// The version every binary reports.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A binary: what may be typed, and what it does.
pub trait Program: Parser {
    /// Its name, such as `anycast-server`.
    const ROLE: &'static str;

    /// What it tells on stderr unless asked for more or less: a tracing level.
    const LOG: &'static str = "info";

    /// The flags it shares with every other binary.
    fn common(&self) -> &Common;

    /// Whether all it does is one loop around one socket: then one thread waits for the socket and runs the loop. Several
    /// would hand it from one to another for each datagram that wakes them, which costs as much as the datagram does. What
    /// blocks has threads of its own in either case.
    fn is_one_loop(&self) -> bool {
        false
    }

    /// Does the work.
    ///
    /// # Errors
    /// Why it could not go on; the exit code is the failure's.
    fn run(self, session: Session) -> impl Future<Output = Result<Exit, Failure>>;
}

/// What a running program works with. Clones share everything.
#[derive(Clone, Debug)]
pub struct Session {
    /// Which binary this is.
    pub role: &'static str,
    /// The name it goes by.
    pub node: String,
    /// What time it is.
    pub clock: Clock,
    /// Where results go.
    pub output: Output,
    /// Where events go.
    pub recorder: Recorder,
    /// When to finish.
    pub shutdown: Shutdown,
}

impl Session {
    /// As the flags ask.
    ///
    /// # Errors
    /// When the events file cannot be created.
    pub fn new(role: &'static str, flags: &Common, shutdown: Shutdown) -> Result<Self, Failure> {
        let (node, clock) = (flags.node(), Clock::start());
        let output = Output::new(flags, shutdown.clone());
        let mut recorder = Recorder::deaf(&node, clock);
        if let Some(path) = &flags.events {
            recorder = recorder.to_file(path)?;
        }
        if flags.json_stream {
            recorder = recorder.to_stream(output.clone());
        }
        Ok(Session { role, node, clock, output, recorder, shutdown })
    }

    /// A session for a program inside this one: it tells the same events under its own name, leaves stdout to us, and
    /// can be ended alone.
    #[must_use]
    pub fn inner(&self, role: &'static str, node: &str) -> Self {
        Session {
            role,
            node: node.to_owned(),
            output: self.output.muted(),
            recorder: self.recorder.as_node(node),
            shutdown: self.shutdown.child(),
            ..self.clone()
        }
    }

    /// Tells that the program began: the first event of every run.
    pub fn tell_started(&self, local: Option<String>, seed: Option<u64>) {
        self.recorder.tell(|| Event::Started { role: self.role.to_owned(), version: VERSION.to_owned(), local, seed });
    }
}

/// The `main` of every binary.
#[must_use]
pub fn main<P: Program>() -> ExitCode {
    let program = match P::try_parse() {
        Ok(program) => program,
        Err(error) => return explain_usage(&error),
    };
    let flags = program.common().clone();
    start_logging(&flags, P::LOG);
    let as_json = flags.json || flags.json_stream;
    let mut threads = if program.is_one_loop() { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    match threads.enable_all().build() {
        Ok(runtime) => runtime.block_on(run_to_the_end(program, &flags)),
        Err(error) => end(Err(Failure::io("start", "the async runtime", &error)), as_json),
    }
}

async fn run_to_the_end<P: Program>(program: P, flags: &Common) -> ExitCode {
    let as_json = flags.json || flags.json_stream;
    let session = match Shutdown::on_signals().and_then(|shutdown| Session::new(P::ROLE, flags, shutdown)) {
        Ok(session) => session,
        Err(failure) => return end(Err(failure), as_json),
    };
    let output = session.output.clone();
    let ended = run(program, session).await;
    end(ended, as_json && !output.has_told_json())
}

/// Tells the failure, where there is one, and gives the exit code.
fn end(ended: Result<Exit, Failure>, as_json: bool) -> ExitCode {
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            report(&failure, as_json);
            failure.exit.into()
        }
    }
}

async fn run<P: Program>(program: P, session: Session) -> Result<Exit, Failure> {
    let (output, recorder) = (session.output.clone(), session.recorder.clone());
    let ended = program.run(session).await;
    if let Err(failure) = &ended {
        recorder.tell(|| Event::Failed { what: P::ROLE.to_owned(), peer: None, reason: failure.message.clone() });
    }
    let exit = ended?;
    recorder.check()?;
    output.check()?;
    // Whoever read our output has seen enough: `| head` is success.
    Ok(if output.is_closed() { Exit::Done } else { exit })
}

/// Help and version go to stdout and are success; anything else is a usage error, as JSON where JSON was asked for.
fn explain_usage(error: &clap::Error) -> ExitCode {
    if wants_json() && !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        report(&Failure::usage(message).hint("--help shows examples and every option"), true);
        return Exit::Usage.into();
    }
    // A closed pipe while printing help is no error either.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()))
}

/// Whether JSON was asked for, by arguments that could not be parsed.
fn wants_json() -> bool {
    let on = |name| {
        std::env::var(name)
            .is_ok_and(|value| !["", "0", "n", "no", "f", "false", "off"].contains(&value.to_lowercase().as_str()))
    };
    std::env::args_os().any(|arg| arg == "--json" || arg == "--json-stream")
        || on("CASTLAB_JSON")
        || on("CASTLAB_JSON_STREAM")
}

fn report(failure: &Failure, as_json: bool) {
    // Nothing is left to do when even stderr or stdout is gone.
    let _ = if as_json {
        writeln!(std::io::stdout(), "{}", json!({ "error": failure }))
    } else {
        writeln!(std::io::stderr(), "{failure}")
    };
}

fn start_logging(flags: &Common, usual: &str) {
    let default = match (flags.quiet, flags.verbose) {
        (true, _) => "error",
        (_, 0) => usual,
        (_, 1) => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let ansi = match flags.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stderr().is_terminal() && !no_color,
    };
    // A second call (a program inside a program) keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .with_target(false)
        .try_init();
}
