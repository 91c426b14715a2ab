//! What a hub is told when it is made.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::{MEMBERS, Order};

/// What keys and cookies are made from. Random in a real run; whoever knows it can forge both.
#[derive(Clone)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How a hub keeps its group.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// What keys and cookies are made from.
    pub secret: Secret,
    /// In which order members see what is said to all.
    pub order: Order,
    /// Where it sends what it says to all; none: a copy to each member.
    pub group: Option<SocketAddr>,
    /// How often members report, and hear from the hub, at the least.
    pub heartbeat: Duration,
    /// After how long without a word a member counts as gone.
    pub silence: Duration,
    /// How many members there may be, at most [`MEMBERS`].
    pub members: usize,
    /// Whether raw lines from other machines are answered in full.
    pub trusts_raw: bool,
}

impl HubConfig {
    /// Half a second between heartbeats.
    pub const HEARTBEAT: Duration = Duration::from_millis(500);
    /// Six heartbeats: five lost in a row happen once in three million at 5 % loss.
    pub const SILENCE: Duration = Duration::from_secs(3);

    /// The defaults, with this secret.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        HubConfig {
            secret,
            order: Order::Total,
            group: None,
            heartbeat: Self::HEARTBEAT,
            silence: Self::SILENCE,
            members: MEMBERS,
            trusts_raw: false,
        }
    }
}
