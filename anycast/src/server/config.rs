//! What a replica does: its name, its protocol, its limits, and how it misbehaves on purpose.

use std::time::Duration;

use crate::answer::Form;

/// What a replica speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// It greets whoever connects, and closes.
    #[default]
    Greeting,
    /// Hello Internet: it waits for a hello, says goodbye, and closes.
    Hello,
    /// HTTP/1.1: `GET /` says who it is, `GET /health` whether it is well.
    Http,
}

/// What a replica does.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name it greets with.
    pub name: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// In which form it says who it is, where it greets.
    pub form: Form,
    /// The language it says goodbye in.
    pub language: String,
    /// Whether its goodbye names the client's language.
    pub challenge: bool,
    /// How many connections it serves at once; it turns the others away with a word.
    pub max_connections: usize,
    /// How long one connection may take, from accept to close; of HTTP, one request.
    pub deadline: Duration,
    /// Ends after this many connections; `None`: when asked to.
    pub connections: Option<u64>,
    /// How long it goes on serving, not healthy any more, once it was asked to finish.
    pub drain: Duration,
    /// How long it waits before each answer.
    pub slow: Duration,
    /// After so many answers it resets every connection and is not healthy.
    pub fail_after: Option<u64>,
}

impl Config {
    /// A replica called `name` with the defaults of the program.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Config {
            name: name.to_owned(),
            protocol: Protocol::Greeting,
            form: Form::Plain,
            language: "Rust".to_owned(),
            challenge: false,
            max_connections: 10_000,
            deadline: Duration::from_secs(5),
            connections: None,
            drain: Duration::ZERO,
            slow: Duration::ZERO,
            fail_after: None,
        }
    }
}
