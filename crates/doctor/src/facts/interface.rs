//! One interface: what it is, what it can, whom it belongs to, and which groups are joined on it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its name, such as `eth0`.
    pub name: String,
    /// The kernel's number for it.
    pub index: u32,
    /// What it is: `ethernet`, `wireless`, `loopback`, or the kernel's word, such as `bridge`, `veth`, `wireguard`.
    pub kind: String,
    /// The largest IP packet it takes in one piece, in bytes.
    pub mtu: u32,
    /// What it is and can.
    pub flags: Flags,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// The interface it is a part of (a bridge, a bond), by number.
    pub master: Option<u32>,
    /// The bridge it is.
    pub bridge: Option<Bridge>,
    /// The port of a bridge it is.
    pub port: Option<Port>,
    /// Reverse-path filtering in force: 0 off, 1 strict, 2 loose (the larger of `all` and its own, ip-sysctl).
    pub rp_filter: u8,
    /// The version of IGMP it was told to keep to; 0 is none.
    pub igmp_forced: u8,
    /// IPv6 is switched off on it.
    pub ipv6_off: bool,
    /// The groups joined on it, by whomever.
    pub groups: Vec<Joined>,
}

/// What an interface is and can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flags {
    /// Switched on.
    pub up: bool,
    /// Connected to something: it has a carrier.
    pub running: bool,
    /// Says of itself that it carries multicast.
    pub multicast: bool,
    /// The loopback interface.
    pub loopback: bool,
    /// A tunnel: one peer at the other end.
    pub point_to_point: bool,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// How many bits of it name the link.
    pub prefix: u8,
    /// Not usable yet: still being tried for duplicates (RFC 4862 section 5.4).
    pub tentative: bool,
    /// Not usable: somebody else on the link has it.
    pub duplicate: bool,
}

/// What a bridge does with multicast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bridge {
    /// It listens to joins and sends a group only where somebody joined (RFC 4541).
    pub snooping: bool,
    /// It asks who is in which group.
    pub querier: bool,
    /// It has heard somebody else ask.
    pub other_querier: bool,
}

/// What a bridge does with multicast on one of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Groups that nobody is known to have joined are sent there too.
    pub flood: bool,
}

/// A group joined on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Joined {
    /// The group.
    pub group: IpAddr,
    /// By how many sockets, or by the kernel itself.
    pub users: u32,
}

impl Interface {
    /// Whether castlab joins on it unasked. The same as `labkit::interface`, which acts on it; a test holds them equal.
    #[must_use]
    pub fn is_usable(&self, group: IpAddr) -> bool {
        self.objection(group).is_none()
    }

    /// Why castlab does not join on it unasked.
    #[must_use]
    pub fn objection(&self, group: IpAddr) -> Option<&'static str> {
        match (self.flags, self.speaks(group)) {
            (flags, _) if !flags.up => Some("it is down"),
            (flags, _) if !flags.multicast && flags.loopback => Some("no other machine hears it"),
            (flags, _) if !flags.multicast => Some("it does not carry multicast"),
            (flags, _) if flags.point_to_point => Some("it is a tunnel"),
            (_, false) if group.is_ipv4() => Some("it has no IPv4 address"),
            (_, false) => Some("it has no IPv6 address"),
            _ => None,
        }
    }

    /// Whether it has an address of the group's family.
    #[must_use]
    pub fn speaks(&self, group: IpAddr) -> bool {
        self.address_for(group).is_some()
    }

    /// Its first address of the group's family.
    #[must_use]
    pub fn address_for(&self, group: IpAddr) -> Option<IpAddr> {
        self.addresses.iter().map(|own| own.address).find(|own| own.is_ipv4() == group.is_ipv4())
    }
}

impl Address {
    /// Whether `other` is on the same link, by its prefix.
    #[must_use]
    pub fn covers(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same_v4(own, other, self.prefix),
            (IpAddr::V6(own), IpAddr::V6(other)) => same_v6(own, other, self.prefix),
            _ => false,
        }
    }
}

fn same_v4(one: Ipv4Addr, other: Ipv4Addr, prefix: u8) -> bool {
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
    (one.to_bits() ^ other.to_bits()) & mask == 0
}

fn same_v6(one: Ipv6Addr, other: Ipv6Addr, prefix: u8) -> bool {
    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
    (one.to_bits() ^ other.to_bits()) & mask == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_told_by_its_prefix() {
        for (own, prefix, other, same) in [
            ("192.0.2.1", 24, "192.0.2.200", true),
            ("192.0.2.1", 24, "192.0.3.1", false),
            ("192.0.2.1", 32, "192.0.2.1", true),
            ("192.0.2.1", 32, "192.0.2.2", false),
            ("192.0.2.1", 0, "8.8.8.8", true),
            ("192.0.2.1", 200, "192.0.2.2", false),
            ("fd00::1", 64, "fd00::2", true),
            ("fd00::1", 64, "fd00:0:0:1::2", false),
            ("fd00::1", 0, "2001:db8::1", true),
            ("fd00::1", 64, "192.0.2.1", false),
        ] {
            let own = Address { address: own.parse().unwrap(), prefix, tentative: false, duplicate: false };
            assert_eq!(own.covers(other.parse().unwrap()), same, "{own:?} {other}");
        }
    }
}
