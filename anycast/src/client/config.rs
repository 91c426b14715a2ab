//! What a client does: whom it asks, in which words, how often and how patiently.

use std::time::Duration;

use labkit::target::{Family, Target};

use crate::chooser::Pick;

/// What a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// It says nothing and is greeted.
    #[default]
    Greeting,
    /// Hello Internet: `Hello in X`, and a goodbye.
    Hello,
    /// HTTP/1.1: `GET` of `--path`.
    Http,
}

/// What a client does.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whom to ask: names or addresses.
    pub targets: Vec<Target>,
    /// The port of targets that name none.
    pub port: u16,
    /// Which addresses are wanted.
    pub family: Family,
    /// What it speaks.
    pub protocol: Protocol,
    /// The path it asks for, in HTTP.
    pub path: String,
    /// The language it says hello in.
    pub language: String,
    /// How one of the candidates is picked.
    pub pick: Pick,
    /// What [`Pick::Sticky`] goes by; `{}` stands for the number of the connection.
    pub key: String,
    /// Where random choices come from.
    pub seed: u64,
    /// How many connections to make; `None`: until asked to finish.
    pub count: Option<u64>,
    /// How many at once.
    pub concurrency: usize,
    /// The time from the start of one connection to the start of the next.
    pub interval: Duration,
    /// How many candidates to try for one connection before giving up on it.
    pub tries: usize,
    /// How long one try may take, from connect to greeting.
    pub timeout: Duration,
    /// How long the whole run may take.
    pub deadline: Option<Duration>,
    /// Tells changes instead of answers, and looks names up again and again.
    pub watch: bool,
    /// The port every connection comes from, where it is not the system's choice.
    pub source_port: Option<u16>,
}

impl Default for Config {
    /// One greeting of a replica on this machine, with a seed of zero.
    fn default() -> Self {
        Config {
            targets: vec![Target { host: "127.0.0.1".to_owned(), port: None }],
            port: 5000,
            family: Family::Any,
            protocol: Protocol::Greeting,
            path: "/".to_owned(),
            language: "Rust".to_owned(),
            pick: Pick::Random,
            key: String::new(),
            seed: 0,
            count: Some(1),
            concurrency: 1,
            interval: Duration::ZERO,
            tries: 8,
            timeout: Duration::from_secs(2),
            deadline: None,
            watch: false,
            source_port: None,
        }
    }
}
