//! What a group server is asked to do.

use std::net::SocketAddr;
use std::time::Duration;

use labkit::interface::Choice;
use netsim::Impairment;

use crate::Group;
use crate::call::{HubConfig, MEMBERS, Order};

/// Where the server listens, as the system it grew from did.
pub const ADDRESS: &str = "127.0.0.1:20001";
/// The group it sends to with `--cast multicast`, unless another is named: of the block that stays within a site.
pub const GROUP: &str = "239.255.20.1:20001";

/// How a server runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub bind: SocketAddr,
    /// In which order members see what is said to all.
    pub order: Order,
    /// What is said to all goes to this group; none: a copy to each member.
    pub group: Option<Group>,
    /// Through which interface, for a group; none: that of `bind`, else the one routed to.
    pub interface: Option<Choice>,
    /// How many links what goes to the group may cross.
    pub ttl: u8,
    /// How often members report, at the least.
    pub heartbeat: Duration,
    /// After how long without a word a member counts as gone.
    pub silence: Duration,
    /// How many members there may be.
    pub members: usize,
    /// What everyone who writes is answered.
    pub reply: Option<String>,
    /// Raw lines from other machines are answered in full.
    pub classic: bool,
    /// When to end; none: when asked to.
    pub duration: Option<Duration>,
    /// What happens to what it sends, and the seed of that.
    pub impairment: Option<(Impairment, u64)>,
}

impl Config {
    /// The defaults, at `bind`.
    #[must_use]
    pub fn new(bind: SocketAddr) -> Self {
        Config {
            bind,
            order: Order::default(),
            group: None,
            interface: None,
            ttl: 1,
            heartbeat: HubConfig::HEARTBEAT,
            silence: HubConfig::SILENCE,
            members: MEMBERS,
            reply: None,
            classic: false,
            duration: None,
            impairment: None,
        }
    }
}
