//! Everything that was seen of a machine before judging: one value that can be written down and judged elsewhere.

mod interface;

use core::net::IpAddr;

use serde::Serialize;

pub use interface::{Address, Bridge, Flags, Interface, Joined, Port};

use crate::firewall::Firewall;
use crate::probe::Heard;

/// What was asked and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// What was asked.
    pub question: Question,
    /// Every interface, in the kernel's order.
    pub interfaces: Vec<Interface>,
    /// Where the kernel sends what goes to the group when no interface is named.
    pub way_to_group: Way,
    /// Where it sends what goes to the source, where one was named.
    pub way_to_source: Option<Way>,
    /// The UDP sockets on the group's port.
    pub sockets: Vec<Socket>,
    /// What the packet filter does, where we may read it.
    pub firewall: Firewall,
    /// Limits of this machine.
    pub limits: Limits,
    /// The container we are in, such as `docker`.
    pub container: Option<String>,
    /// What came of joining and sending to ourselves.
    pub trials: Vec<Trial>,
    /// What came of the probe with another copy, where there was one.
    pub probe: Option<Probe>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    /// The group.
    pub group: IpAddr,
    /// Its UDP port.
    pub port: u16,
    /// The interface named (`-I`, or `%` in the group), as typed; `None` is every usable one.
    pub named: Option<String>,
    /// The kernel's number of the interface named, where there is such an interface.
    pub named_index: Option<u32>,
    /// The sender named (`SOURCE,GROUP`).
    pub source: Option<IpAddr>,
    /// The payload asked about, in bytes.
    pub length: Option<u32>,
    /// How many links what is sent may cross.
    pub ttl: u8,
    /// The group of 224.0.0.0/24 that shares the group's Ethernet address, if any.
    pub floods_as: Option<IpAddr>,
}

/// Where a packet would go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Through this interface, by this router where it is not on the link.
    Through {
        /// The kernel's number of the interface.
        index: u32,
        /// The router.
        gateway: Option<IpAddr>,
    },
    /// Nowhere, and what the kernel says of it.
    Nowhere(String),
}

/// A UDP socket of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Socket {
    /// The address it is bound to.
    pub local: IpAddr,
    /// Its port.
    pub port: u16,
    /// How many datagrams the kernel threw away because its receive buffer was full.
    pub drops: u64,
    /// The kernel's number for it, which says whose it is.
    pub inode: u64,
    /// Who has it, as `NAME (process N)`, where we may look.
    pub owner: Option<String>,
}

/// Limits of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// How many IPv4 groups one socket may join, an interface each (`net.ipv4.igmp_max_memberships`).
    pub memberships: Option<u32>,
    /// The largest receive buffer a program may ask for, in bytes (`net.core.rmem_max`).
    pub receive_buffer: Option<u64>,
}

/// Joining on one interface and sending to ourselves there, with a TTL of 0: nothing leaves the machine but the join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// The interface's name; `None` is all of them on one socket.
    pub interface: Option<String>,
    /// How far it came.
    pub ended: Ended,
    /// Whether a datagram to our own unicast address and the same port came, where that was tried.
    pub unicast: Option<bool>,
}

/// How far a trial came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// We heard ourselves.
    Heard,
    /// Joined, sent, and nothing came.
    Silent,
    /// Joined, as far as we went.
    Joined,
    /// The system refused to join: the code of the failure and its text.
    JoinRefused(&'static str, String),
    /// The system refused to send: the code of the failure and its text.
    SendRefused(&'static str, String),
}

/// What came of the probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// The other copy's address, where it was named.
    pub peer: Option<IpAddr>,
    /// Whether its machine said that nobody listens there (ICMP port unreachable).
    pub refused: bool,
    /// What came from and went to each other copy.
    pub heard: Vec<Heard>,
    /// How many packets reverse-path filtering threw away meanwhile (`IPReversePathFilter`).
    pub filtered: u64,
}

impl Facts {
    /// The interface with that number.
    #[must_use]
    pub fn interface(&self, index: u32) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.index == index)
    }

    /// The interfaces that are meant: the one named, else every usable one.
    #[must_use]
    pub fn chosen(&self) -> Vec<&Interface> {
        match (&self.question.named, self.question.named_index) {
            (None, _) => self.interfaces.iter().filter(|one| one.is_usable(self.question.group)).collect(),
            (Some(_), Some(index)) => self.interface(index).into_iter().collect(),
            (Some(_), None) => Vec::new(),
        }
    }

    /// The chosen interfaces that can carry anything at all.
    #[must_use]
    pub fn working(&self) -> Vec<&Interface> {
        self.chosen().into_iter().filter(|one| one.flags.up && one.speaks(self.question.group)).collect()
    }

    /// Whether `address` is on a link of this machine, and on which.
    #[must_use]
    pub fn link_of(&self, address: IpAddr) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.addresses.iter().any(|own| own.covers(address)))
    }

    /// `224.1.1.1:5007`.
    #[must_use]
    pub fn target(&self) -> String {
        let (group, port) = (self.question.group, self.question.port);
        core::net::SocketAddr::new(group, port).to_string()
    }

    /// The name of the first interface meant, for a command to try.
    #[must_use]
    pub fn device(&self) -> &str {
        let usable = || self.interfaces.iter().find(|one| one.is_usable(self.question.group));
        self.chosen().first().copied().or_else(usable).map_or("eth0", |interface| &interface.name)
    }
}
