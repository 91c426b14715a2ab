//! What a group client is asked to do.

use std::net::SocketAddr;
use std::time::Duration;

use labkit::interface::Choice;
use netsim::Impairment;

/// How a client runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server.
    pub server: SocketAddr,
    /// How it wishes to be called.
    pub name: Vec<u8>,
    /// What every call is answered.
    pub reply: Option<String>,
    /// Where to hear the server's multicast group; none: where the server is reached, else everywhere.
    pub interface: Option<Choice>,
    /// How long to try to join before giving up, at first and after the server was lost.
    pub max_wait: Duration,
    /// How long to wait for answers to the lines of a script.
    pub deadline: Duration,
    /// When to leave; none: when asked to, or when the server ends.
    pub duration: Option<Duration>,
    /// What happens to what it sends, and the seed of that.
    pub impairment: Option<(Impairment, u64)>,
    /// Where the member's own random choices come from.
    pub seed: u64,
}

impl Config {
    /// The defaults, of a member called `name`.
    #[must_use]
    pub fn new(server: SocketAddr, name: &str) -> Self {
        Config {
            server,
            name: name.as_bytes().to_vec(),
            reply: None,
            interface: None,
            max_wait: Duration::from_secs(10),
            deadline: Duration::from_secs(5),
            duration: None,
            impairment: None,
            seed: rand::random(),
        }
    }
}
