//! The interfaces of this machine, and what a user may call them.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};

use crate::exit::{Exit, Failure};
use crate::target::Family;

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, such as `eth0`.
    pub name: String,
    /// The kernel's number for it.
    pub index: u32,
    /// Its IPv4 addresses.
    pub v4: Vec<Ipv4Addr>,
    /// Its IPv6 addresses.
    pub v6: Vec<Ipv6Addr>,
    /// What it is and can.
    pub flags: Flags,
}

/// What an interface is and can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Switched on.
    pub up: bool,
    /// Says of itself that it carries multicast. (`lo` does not say so, and does, once named.)
    pub multicast: bool,
    /// The loopback interface.
    pub loopback: bool,
    /// A tunnel: one peer at the other end.
    pub point_to_point: bool,
}

impl Interface {
    /// Whether it is worth joining a group on unasked: up, multicast-capable, no tunnel, and with an address of the
    /// wanted family.
    #[must_use]
    pub fn is_usable(&self, family: Family) -> bool {
        self.flags.up && self.flags.multicast && !self.flags.point_to_point && self.speaks(family)
    }

    /// Whether it has an address of the wanted family.
    #[must_use]
    pub fn speaks(&self, family: Family) -> bool {
        match family {
            Family::Any => !(self.v4.is_empty() && self.v6.is_empty()),
            Family::V4 => !self.v4.is_empty(),
            Family::V6 => !self.v6.is_empty(),
        }
    }
}

impl fmt::Display for Interface {
    /// `eth0 (192.0.2.7)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.v4.first(), self.v6.first()) {
            (Some(address), _) => write!(f, "{} ({address})", self.name),
            (None, Some(address)) => write!(f, "{} ({address})", self.name),
            (None, None) => write!(f, "{} (no address)", self.name),
        }
    }
}

/// An interface as the user names it: `-I NAME|ADDRESS|INDEX|all`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Every usable one.
    All,
    /// By name.
    Name(String),
    /// By one of its addresses.
    Address(IpAddr),
    /// By the kernel's number.
    Index(u32),
}

impl FromStr for Choice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match (text, text.parse(), text.parse()) {
            ("all", _, _) => Choice::All,
            (_, Ok(index), _) => Choice::Index(index),
            (_, _, Ok(address)) => Choice::Address(address),
            _ => Choice::Name(text.to_owned()),
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::All => f.write_str("all"),
            Choice::Name(name) => f.write_str(name),
            Choice::Address(address) => address.fmt(f),
            Choice::Index(index) => index.fmt(f),
        }
    }
}

impl Choice {
    /// The interfaces meant, out of `all`.
    ///
    /// # Errors
    /// When none is meant, or the one meant is down or has no address of the wanted family.
    pub fn select(&self, all: &[Interface], family: Family) -> Result<Vec<Interface>, Failure> {
        let mut chosen: Vec<Interface> =
            all.iter().filter(|interface| self.means(interface, family)).cloned().collect();
        chosen.sort_by_key(|interface| interface.index);
        let Some(first) = chosen.first() else {
            return Err(self.none_of(all));
        };
        if *self != Choice::All {
            self.check(first, family)?;
        }
        Ok(chosen)
    }

    fn means(&self, interface: &Interface, family: Family) -> bool {
        match self {
            Choice::All => interface.is_usable(family),
            Choice::Name(name) => interface.name == *name,
            Choice::Address(IpAddr::V4(address)) => interface.v4.contains(address),
            Choice::Address(IpAddr::V6(address)) => interface.v6.contains(address),
            Choice::Index(index) => interface.index == *index,
        }
    }

    fn none_of(&self, all: &[Interface]) -> Failure {
        let known: Vec<String> = all.iter().map(ToString::to_string).collect();
        let message = match self {
            Choice::All => "no interface is up, multicast-capable and has an address".to_owned(),
            one => format!("no interface is called {one}"),
        };
        Failure::new(Exit::Setup, "MC-IFACE", message).hint(format!("name one with -I; here are: {}", known.join(", ")))
    }

    fn check(&self, interface: &Interface, family: Family) -> Result<(), Failure> {
        let wrong = match (interface.flags.up, interface.speaks(family)) {
            (false, _) => "is down",
            (_, false) if family == Family::V6 => "has no IPv6 address",
            (_, false) => "has no IPv4 address",
            _ => return Ok(()),
        };
        let hint = format!("`ip link set {0} up`, `ip address show {0}`, or choose another with -I", interface.name);
        Err(Failure::new(Exit::Setup, "MC-IFACE", format!("interface {} {wrong}", interface.name)).hint(hint))
    }
}

/// Every interface of this machine, in the kernel's order.
///
/// # Errors
/// When the kernel does not list them.
pub fn all() -> Result<Vec<Interface>, Failure> {
    let listed = getifaddrs().map_err(|errno| Failure::io("list", "the network interfaces", &errno.into()))?;
    let mut found: Vec<Interface> = Vec::new();
    for entry in listed {
        let position = found.iter().position(|interface| interface.name == entry.interface_name);
        let position = position.unwrap_or_else(|| {
            found.push(Interface {
                index: if_nametoindex(entry.interface_name.as_str()).unwrap_or(0),
                flags: flags(entry.flags),
                name: entry.interface_name,
                v4: Vec::new(),
                v6: Vec::new(),
            });
            found.len() - 1
        });
        let Some(address) = entry.address else { continue };
        if let Some(v4) = address.as_sockaddr_in() {
            found[position].v4.push(v4.ip());
        } else if let Some(v6) = address.as_sockaddr_in6() {
            found[position].v6.push(v6.ip());
        }
    }
    Ok(found)
}

fn flags(flags: InterfaceFlags) -> Flags {
    Flags {
        up: flags.contains(InterfaceFlags::IFF_UP),
        multicast: flags.contains(InterfaceFlags::IFF_MULTICAST),
        loopback: flags.contains(InterfaceFlags::IFF_LOOPBACK),
        point_to_point: flags.contains(InterfaceFlags::IFF_POINTOPOINT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, index: u32, v4: &str, flags: Flags) -> Interface {
        Interface { name: name.into(), index, v4: v4.parse().into_iter().collect(), v6: Vec::new(), flags }
    }

    fn machine() -> Vec<Interface> {
        let ether = Flags { up: true, multicast: true, ..Flags::default() };
        vec![
            interface("lo", 1, "127.0.0.1", Flags { up: true, loopback: true, ..Flags::default() }),
            interface("eth1", 3, "198.51.100.7", ether),
            interface("eth0", 2, "192.0.2.7", ether),
            interface("wg0", 4, "10.9.0.2", Flags { point_to_point: true, ..ether }),
            interface("eth2", 5, "203.0.113.7", Flags { up: false, ..ether }),
            interface("eth3", 6, "", ether),
        ]
    }

    fn select(choice: &str, family: Family) -> Result<Vec<String>, Failure> {
        let choice: Choice = choice.parse().unwrap();
        Ok(choice.select(&machine(), family)?.into_iter().map(|interface| interface.name).collect())
    }

    #[test]
    fn all_means_the_usable_ones() {
        assert_eq!(select("all", Family::V4).unwrap(), ["eth0", "eth1"]);
        assert_eq!(select("all", Family::V6).unwrap_err().code, "MC-IFACE");
    }

    #[test]
    fn one_is_named_by_name_address_or_index() {
        for choice in ["lo", "127.0.0.1", "1"] {
            assert_eq!(select(choice, Family::V4).unwrap(), ["lo"], "{choice}");
        }
        assert_eq!(select("wg0", Family::V4).unwrap(), ["wg0"], "a tunnel, once named");
    }

    #[test]
    fn what_is_wrong_with_a_choice_is_said() {
        for (choice, family, word) in [
            ("eth9", Family::V4, "eth9"),
            ("192.0.2.99", Family::V4, "192.0.2.99"),
            ("eth2", Family::V4, "is down"),
            ("eth3", Family::V4, "no IPv4 address"),
            ("eth0", Family::V6, "no IPv6 address"),
        ] {
            let failure = select(choice, family).unwrap_err();
            assert!(failure.message.contains(word), "{failure}");
            assert!(failure.hint.is_some());
        }
    }

    #[test]
    fn this_machine_has_a_loopback_interface() {
        let all = all().unwrap();
        let lo = all.iter().find(|interface| interface.flags.loopback).expect("every machine has one");
        assert!(lo.index > 0 && lo.v4.contains(&Ipv4Addr::LOCALHOST), "{lo:?}");
    }
}
