//! The packet filter: its chains and rules as nftables lists them, and what becomes of a packet in them.

mod condition;
mod parse;
mod walk;

use core::net::IpAddr;

use serde::Serialize;

pub use condition::Condition;
pub use parse::{BadRuleset, parse};

/// What is known of the packet filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Firewall {
    /// Why we could not read it; `None` when we did.
    pub unreadable: Option<String>,
    /// Its chains.
    #[serde(skip)]
    pub chains: Vec<Chain>,
}

/// A chain of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// `ip`, `ip6`, `inet`, `netdev`, `bridge` or `arp`.
    pub family: String,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Where packets enter it, such as `input`; none for a chain that others jump to.
    pub hook: Option<String>,
    /// Which chain of the same hook comes first: lower does.
    pub priority: i64,
    /// Whether it drops what no rule decides.
    pub drops_by_default: bool,
    /// The interface it belongs to (family `netdev`).
    pub device: Option<String>,
    /// Its rules, first to last.
    pub rules: Vec<Rule>,
}

/// A rule: when all conditions hold, the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its number, with which it can be deleted.
    pub handle: u64,
    /// What must hold.
    pub conditions: Vec<Condition>,
    /// What happens then.
    pub verdict: Verdict,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on with the next rule.
    Continue,
    /// Done with this chain: let it through.
    Accept,
    /// Throw it away, with or without a word to the sender.
    Drop,
    /// Go on in another chain and come back.
    Jump(String),
    /// Go on in another chain.
    Goto(String),
    /// Go back to where this chain was entered from.
    Return,
    /// Something we do not understand.
    Unknown,
}

/// What a packet is, as far as a rule may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The hooks it passes, such as `prerouting` and `input`.
    pub way: Direction,
    /// The interface it comes in or goes out by.
    pub interface: String,
    /// Where it comes from, where that is known.
    pub from: Option<IpAddr>,
    /// Where it goes.
    pub to: IpAddr,
    /// What it carries.
    pub carries: Carries,
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To a program of this machine.
    In,
    /// From one.
    Out,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// A datagram to this port.
    Udp(u16),
    /// The joins of IPv4 groups (RFC 3376).
    Igmp,
    /// The joins of IPv6 groups (RFC 3810), which travel in ICMPv6.
    Mld,
}

/// Where a packet ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The chain: `inet filter input`.
    pub chain: String,
    /// The rule; `None` when it was the chain's policy.
    pub handle: Option<u64>,
    /// The family and table, for a command.
    pub table: (String, String),
}

impl Firewall {
    /// Where `packet` is certainly dropped, if it is: what we do not understand of a rule counts as maybe.
    #[must_use]
    pub fn drops(&self, packet: &Packet) -> Option<Dropped> {
        walk::drops(&self.chains, packet)
    }
}
