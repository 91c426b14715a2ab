//! Which block of the multicast address space a group lies in, and what that means for whoever uses it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its name in the standard.
    pub name: &'static str,
    /// The standard that says so.
    pub source: &'static str,
    /// What to know before using it.
    pub advice: &'static str,
}

impl Block {
    /// The block `group` lies in; of an address that is no group, the nearest in spirit.
    #[must_use]
    pub fn of(group: IpAddr) -> Block {
        match group {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name, self.source, self.advice)
    }
}

/// What a banner says of `group`'s address.
#[must_use]
pub fn notes(group: IpAddr) -> Vec<String> {
    let lies = format!("{group} lies in {} [MC-ADDR]", Block::of(group));
    let looks_like = flooded_as(group).map(|control| {
        format!("on Ethernet {group} looks like {control}, which switches flood even with snooping [MC-ADDR]")
    });
    std::iter::once(lies).chain(looks_like).collect()
}

/// The group of the local network control block that shares `group`'s Ethernet address, if there is one.
///
/// Ethernet carries only the low 23 bits of a group (RFC 1112 section 6.4), so 32 groups share one address; switches
/// flood what looks like 224.0.0.x even when they snoop (RFC 4541 section 2.1.2).
#[must_use]
pub fn flooded_as(group: IpAddr) -> Option<Ipv4Addr> {
    match group {
        IpAddr::V4(address) => match address.octets() {
            [224, 0, 0, _] => None,
            [_, 0 | 128, 0, last] => Some(Ipv4Addr::new(224, 0, 0, last)),
            _ => None,
        },
        IpAddr::V6(_) => None,
    }
}

/// RFC 5771 section 3, and RFC 6034 for 234/8.
fn v4(address: Ipv4Addr) -> Block {
    let block = |name, advice| Block { name, source: "RFC 5771", advice };
    let assigned = "its addresses are assigned one by one; for a site use 239.0.0.0/8";
    match address.octets() {
        [224, 0, 0, _] => block("the local network control block", "no router forwards it, whatever the TTL"),
        [224, 0, 1, _] => block("the internetwork control block", assigned),
        [224, 0, ..] => block("ad-hoc block I", assigned),
        [224, 2, ..] => block("the SDP/SAP block", "session announcements use it"),
        [224, 3 | 4, ..] => block("ad-hoc block II", assigned),
        [232, ..] => Block {
            name: "the source-specific block",
            source: "RFC 4607",
            advice: "routers carry it only to receivers that name the source",
        },
        [233, 252, 0, _] => block("MCAST-TEST-NET", "for examples in documents"),
        [233, 0..=251, ..] => block("the GLOP block", "it belongs to the holder of the AS number in its middle"),
        [233, ..] => block("ad-hoc block III", assigned),
        [234, ..] => Block {
            name: "the unicast-prefix-based block",
            source: "RFC 6034",
            advice: "it belongs to the holder of the /24 in its middle",
        },
        [239, ..] => Block {
            name: "the administratively scoped block",
            source: "RFC 2365",
            advice: "right for use within a site",
        },
        _ => block("a RESERVED block", "fine in a lab; for a site use 239.0.0.0/8, in documents 233.252.0.0/24"),
    }
}

/// The scope field, RFC 7346 section 2.
fn v6(address: Ipv6Addr) -> Block {
    let (name, advice) = match address.octets()[1] & 0x0f {
        1 => ("interface-local scope", "it never leaves the interface"),
        2 => ("link-local scope", "no router forwards it; the same address is another group on every link"),
        3 => ("realm-local scope", "it stays within one network technology's realm"),
        4 => ("admin-local scope", "it stays within what an administrator configured"),
        5 => ("site-local scope", "right for use within a site"),
        8 => ("organization-local scope", "it may span the sites of one organization"),
        0xe => ("global scope", "routers may carry it anywhere"),
        _ => ("a reserved or unassigned scope", "fine in a lab; for a site use ff15::/16"),
    };
    Block { name, source: "RFC 7346", advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(group: &str) -> &'static str {
        Block::of(group.parse().unwrap()).name
    }

    #[test]
    fn the_blocks_of_rfc_5771_at_both_their_ends() {
        for (first, last, expected) in [
            ("224.0.0.0", "224.0.0.255", "the local network control block"),
            ("224.0.1.0", "224.0.1.255", "the internetwork control block"),
            ("224.0.2.0", "224.0.255.255", "ad-hoc block I"),
            ("224.1.0.0", "224.1.255.255", "a RESERVED block"),
            ("224.2.0.0", "224.2.255.255", "the SDP/SAP block"),
            ("224.3.0.0", "224.4.255.255", "ad-hoc block II"),
            ("224.5.0.0", "231.255.255.255", "a RESERVED block"),
            ("232.0.0.0", "232.255.255.255", "the source-specific block"),
            ("233.0.0.0", "233.251.255.255", "the GLOP block"),
            ("233.252.0.0", "233.252.0.255", "MCAST-TEST-NET"),
            ("233.252.1.0", "233.255.255.255", "ad-hoc block III"),
            ("234.0.0.0", "234.255.255.255", "the unicast-prefix-based block"),
            ("235.0.0.0", "238.255.255.255", "a RESERVED block"),
            ("239.0.0.0", "239.255.255.255", "the administratively scoped block"),
            ("ff02::", "ff02::ffff", "link-local scope"),
            ("ff15::1:5", "ff05::2", "site-local scope"),
            ("ff1e::1", "ff0e::1", "global scope"),
        ] {
            assert_eq!((name(first), name(last)), (expected, expected), "{first} to {last}");
        }
    }

    #[test]
    fn a_banner_names_the_block_and_the_standard() {
        let notes = notes("224.1.1.1".parse().unwrap());
        assert!(notes[0].starts_with("224.1.1.1 lies in a RESERVED block (RFC 5771): fine in a lab"), "{notes:?}");
        assert_eq!(notes.len(), 1);
        assert_eq!(super::notes("230.0.0.1".parse().unwrap()).len(), 2);
    }

    #[test]
    fn groups_that_look_like_local_control_on_the_wire_are_named() {
        for (group, looks_like) in [("230.0.0.1", "224.0.0.1"), ("239.128.0.251", "224.0.0.251")] {
            assert_eq!(flooded_as(group.parse().unwrap()), looks_like.parse().ok(), "{group}");
        }
        for group in ["224.1.1.1", "224.0.0.251", "239.1.0.1", "ff02::1"] {
            assert_eq!(flooded_as(group.parse().unwrap()), None, "{group}");
        }
    }
}
