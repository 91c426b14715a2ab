//! The menu of the original: `!LIST`, `!CONFIG :NAME :CLIENTS`, `!START`, `!DISCONNECT`, at a terminal or from a pipe.

use std::time::Duration;

use labkit::target::{Family, Target};
use labkit::{Exit, Failure, Session, text};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::client::{self, Asking, Listed, Options};
use super::command::{self, CONFIG_SET};
use super::server::PORT;
use crate::FileName;
use crate::lines::Line;

/// What can be typed.
const HELP: &str = "\
!LIST                     the files the server has
!CONFIG :NAME :CLIENTS    which file to fetch, and by how many clients at once
!START                    fetch it
!DISCONNECT               end
!HELP                     this";

/// How a menu works.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server; asked for where it is not given.
    pub server: Option<Target>,
    /// Which of its addresses are wanted.
    pub family: Family,
    /// How long the answer to a command may take.
    pub deadline: Duration,
    /// How files are received and written.
    pub options: Options,
}

/// One line of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Order {
    List,
    Config(FileName, u16),
    Start,
    Disconnect,
    Help,
}

impl Order {
    /// Reads a line; upper and lower case are alike.
    fn parse(line: &str) -> Result<Self, String> {
        let line = line.trim();
        let (word, rest) = line.split_at(line.find(|c: char| c.is_whitespace() || c == ':').unwrap_or(line.len()));
        match (word.to_ascii_uppercase().as_str(), rest.trim()) {
            ("!LIST", "") => Ok(Order::List),
            ("!START", "") => Ok(Order::Start),
            ("!DISCONNECT", "") => Ok(Order::Disconnect),
            ("!HELP", "") => Ok(Order::Help),
            ("!CONFIG", rest) => {
                let (file, clients) = command::parse_name_and_clients(rest).map_err(|misfit| misfit.to_string())?;
                Ok(Order::Config(file, clients))
            }
            _ => Err(format!("{:?} is no command; !HELP lists them", text::show(line.as_bytes(), 80))),
        }
    }
}

/// Runs the menu until `!DISCONNECT`, the end of the lines, or Ctrl-C. A command that fails is told, and the menu goes
/// on; the exit code is that of the last command, and no command is what could not be read.
///
/// # Errors
/// When no server is named, or what is named cannot be one.
pub async fn run(config: Config, mut lines: mpsc::Receiver<Line>, session: &Session) -> Result<Exit, Failure> {
    session.tell_started(None, None);
    let Some(server) = server(&config, &mut lines, session).await? else {
        return Ok(stopped(session, Exit::Done));
    };
    let asking = Asking { server, family: config.family, deadline: config.deadline };
    session.output.line(format!("Server: {}\n{HELP}", shown(&asking.server)));
    let mut menu =
        Menu { asking, options: config.options, configured: None, runs: Vec::new(), last: Exit::Done, session };
    while let Some(line) = session.shutdown.or(lines.recv()).await.flatten() {
        match line.map_err(|error| error.to_string()).and_then(|line| menu.order(&line)) {
            Ok(None) => {}
            Ok(Some(Order::Disconnect)) => break,
            Ok(Some(order)) => menu.obey(order).await,
            Err(reason) => menu.show(&Failure::usage(reason)),
        }
    }
    session.output.line("Disconnected");
    session.output.json(&json!({ "server": shown(&menu.asking.server), "commands": menu.runs }));
    Ok(stopped(session, menu.last))
}

fn stopped(session: &Session, exit: Exit) -> Exit {
    if session.shutdown.was_interrupted() { Exit::Interrupted } else { exit }
}

fn shown(server: &Target) -> String {
    Target { port: Some(server.port.unwrap_or(PORT)), ..server.clone() }.to_string()
}

/// The server given, or the one typed; none at the end of the lines.
async fn server(
    config: &Config,
    lines: &mut mpsc::Receiver<Line>,
    session: &Session,
) -> Result<Option<Target>, Failure> {
    if let Some(server) = &config.server {
        return Ok(Some(server.clone()));
    }
    session.output.line(format!("Server address (HOST or HOST:PORT, empty for 127.0.0.1:{PORT})?"));
    let Some(line) = session.shutdown.or(lines.recv()).await.flatten() else { return Ok(None) };
    let line = line.map_err(|error| Failure::usage(error.to_string()))?;
    let typed = if line.trim().is_empty() { "127.0.0.1" } else { line.trim() };
    typed
        .parse()
        .map(Some)
        .map_err(|reason: String| Failure::usage(format!("{:?}: {reason}", text::show(typed.as_bytes(), 80))))
}

struct Menu<'a> {
    asking: Asking,
    options: Options,
    configured: Option<(FileName, u16)>,
    /// What came of each command, for programs.
    runs: Vec<Value>,
    last: Exit,
    session: &'a Session,
}

impl Menu<'_> {
    fn order(&self, line: &str) -> Result<Option<Order>, String> {
        if line.trim().is_empty() { Ok(None) } else { Order::parse(line).map(Some) }
    }

    async fn obey(&mut self, order: Order) {
        let ended = match order {
            Order::List => self.list().await,
            Order::Config(file, clients) => self.configure(file, clients).await,
            Order::Start => self.start().await,
            Order::Help => {
                self.session.output.line(HELP);
                return;
            }
            Order::Disconnect => return,
        };
        match ended {
            Ok(exit) => self.last = exit,
            Err(failure) => {
                self.last = failure.exit;
                self.show(&failure);
            }
        }
    }

    fn show(&mut self, failure: &Failure) {
        self.session.output.result(failure.to_string());
        self.note(json!({ "error": failure }));
    }

    /// Remembers what came of a command, up to a bound nobody types past.
    fn note(&mut self, run: Value) {
        const MOST: usize = 10_000;
        if self.session.output.is_json() && self.runs.len() < MOST {
            self.runs.push(run);
        }
    }

    async fn list(&mut self) -> Result<Exit, Failure> {
        let listed = client::list(&self.asking, self.session).await?;
        self.session.output.result(list_text(&listed));
        self.note(list_json(&listed));
        Ok(Exit::Done)
    }

    async fn configure(&mut self, file: FileName, clients: u16) -> Result<Exit, Failure> {
        client::configure(&self.asking, &file, clients, self.session).await?;
        self.session.output.result(CONFIG_SET);
        self.note(json!({ "configured": file, "clients": clients }));
        self.configured = Some((file, clients));
        Ok(Exit::Done)
    }

    async fn start(&mut self) -> Result<Exit, Failure> {
        let (file, clients) =
            self.configured.clone().ok_or_else(|| Failure::usage("first !CONFIG :NAME :CLIENTS, then !START"))?;
        let config = client::Config { asking: self.asking.clone(), file, clients, options: self.options.clone() };
        let report = client::get(&config, self.session).await?;
        self.session.output.result(report.text());
        self.note(report.to_json());
        Ok(report.verdict().exit)
    }
}

/// What a server offers, for people.
#[must_use]
pub fn list_text(listed: &Listed) -> String {
    if listed.lines.is_empty() {
        return "(no files)".to_owned();
    }
    let shown: Vec<String> = listed.lines.iter().map(|line| text::show(line.as_bytes(), 300)).collect();
    shown.join("\n")
}

/// What a server offers, for programs.
#[must_use]
pub fn list_json(listed: &Listed) -> Value {
    json!({ "server": listed.server.to_string(), "files": listed.lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_orders_of_the_original_are_understood() {
        for (line, order) in [
            ("!LIST", Order::List),
            ("  !list ", Order::List),
            ("!START", Order::Start),
            ("!Disconnect\r", Order::Disconnect),
            ("!HELP", Order::Help),
            ("!CONFIG :my video.mp4 :5", Order::Config(FileName::parse("my video.mp4").unwrap(), 5)),
        ] {
            assert_eq!(Order::parse(line), Ok(order), "{line}");
        }
        for line in ["LIST", "!LIST all", "!CONFIG", "!CONFIG a 5", "!CONFIG :a :0", "!CONFIG :../a :1", "!\x1b[2J"] {
            assert!(Order::parse(line).is_err(), "{line}");
        }
        assert_eq!(
            Order::parse("!\x1b[2J").unwrap_err(),
            "\"!\\\\u{1b}[2J\" is no command; !HELP lists them",
            "what is typed wrong is shown harmless"
        );
    }
}
