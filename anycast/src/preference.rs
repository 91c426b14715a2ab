//! Which address the operating system would have taken, and why: the rules of destination address selection (RFC 6724
//! section 6, with the tables of glibc), as far as the addresses themselves decide. Pure; it explains an order and makes
//! none.

use std::net::{IpAddr, Ipv6Addr};

/// A destination and the source address the system would use to reach it; none where it has no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Where to.
    pub destination: IpAddr,
    /// Where from.
    pub source: Option<IpAddr>,
}

/// The rule that puts one destination before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Rule 1: the other one cannot be reached.
    Reachable,
    /// Rule 2: its source address has the same scope.
    Scope,
    /// Rule 5: its source address has the same label (IPv6 goes from IPv6, a private one from a private one).
    Label,
    /// Rule 6: its prefix has the higher precedence.
    Precedence,
    /// Rule 8: its scope is smaller.
    SmallerScope,
    /// Rule 9: it shares the longer prefix with our own address.
    LongestPrefix,
}

impl Rule {
    /// The rule in words, as in "sorted first by …".
    #[must_use]
    pub fn shown(self) -> &'static str {
        match self {
            Rule::Reachable => "rule 1: no route leads to the others",
            Rule::Scope => "rule 2: our address for it has the same scope",
            Rule::Label => "rule 5: our address for it is of the same kind",
            Rule::Precedence => "rule 6: IPv6 goes before IPv4",
            Rule::SmallerScope => "rule 8: its scope is smaller",
            Rule::LongestPrefix => "rule 9: it shares the longest prefix with our own address",
        }
    }
}

/// The rule by which `first` goes before `second`; `None` where none does: then they stay in the order in which the DNS
/// server gave them (rule 10), or `second` goes first.
#[must_use]
pub fn rule_between(first: Way, second: Way) -> Option<Rule> {
    let rank = |way: Way| -> [u8; 6] {
        let Some(source) = way.source else { return [0; 6] };
        [
            1,
            u8::from(scope(way.destination) == scope(source)),
            u8::from(label(way.destination) == label(source)),
            precedence(way.destination),
            u8::MAX - scope(way.destination),
            common_prefix(way.destination, source),
        ]
    };
    let rules = [Rule::Reachable, Rule::Scope, Rule::Label, Rule::Precedence, Rule::SmallerScope, Rule::LongestPrefix];
    let (first, second) = (rank(first), rank(second));
    let decides = (0..rules.len()).find(|&index| first.get(index) != second.get(index))?;
    (first.get(decides) > second.get(decides)).then(|| rules.get(decides).copied()).flatten()
}

/// The scope of an address, larger for wider ones: 2 link, 5 site, 14 global (RFC 6724 sections 3.1 and 3.2).
fn scope(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(v4) if v4.is_loopback() || v4.is_link_local() => 2,
        IpAddr::V4(_) => 14,
        IpAddr::V6(v6) if v6.is_loopback() || v6.is_unicast_link_local() => 2,
        IpAddr::V6(v6) if v6.octets()[0] == 0xfe && v6.octets()[1] & 0xc0 == 0xc0 => 5,
        IpAddr::V6(_) => 14,
    }
}

/// Precedence and label as glibc has them by default (`getaddrinfo`, and the comments in `/etc/gai.conf`): the table of RFC
/// 3484 section 2.1, in which private IPv6 goes before IPv4. RFC 6724 section 2.1 put it behind, and musl follows that.
fn policy(address: IpAddr) -> (u8, u8) {
    let v6 = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    match v6.segments() {
        _ if v6 == Ipv6Addr::LOCALHOST => (50, 0),
        [0, 0, 0, 0, 0, 0xffff, ..] => (10, 4),
        [0x2002, ..] => (30, 2),
        [0x2001, 0, ..] => (40, 7),
        [first, ..] if first & 0xfe00 == 0xfc00 => (40, 6),
        [first, ..] if first & 0xffc0 == 0xfec0 => (40, 5),
        [0, 0, 0, 0, 0, 0, ..] => (20, 3),
        _ => (40, 1),
    }
}

fn precedence(address: IpAddr) -> u8 {
    policy(address).0
}

fn label(address: IpAddr) -> u8 {
    policy(address).1
}

/// How many leading bits two IPv6 addresses share, all 128 counted, as glibc does (RFC 6724 section 2.2 would stop at the
/// prefix length). Nothing for IPv4: glibc applies the rule there only where source and destination share a subnet.
fn common_prefix(destination: IpAddr, source: IpAddr) -> u8 {
    match (destination, source) {
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            u8::try_from((u128::from(one) ^ u128::from(other)).leading_zeros()).unwrap_or(128)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(destination: &str, source: &str) -> Way {
        Way { destination: destination.parse().unwrap(), source: source.parse().ok() }
    }

    #[test]
    fn the_examples_of_the_standard() {
        // RFC 6724 section 10.2, as far as addresses decide.
        for (first, second, rule) in [
            (way("2001:db8:1::1", "2001:db8:1::2"), way("198.51.100.121", "169.254.13.78"), Rule::Scope),
            (way("198.51.100.121", "198.51.100.117"), way("2001:db8:1::1", "fe80::1"), Rule::Scope),
            (way("2001:db8:1::1", "2001:db8:1::2"), way("10.1.2.3", "10.1.2.4"), Rule::Precedence),
            (way("fe80::1", "fe80::2"), way("2001:db8:1::1", "2001:db8:1::2"), Rule::SmallerScope),
            (way("2001:db8:1::1", "2001:db8:1::2"), way("2001:db8:3ffe::1", "2001:db8:3f44::2"), Rule::LongestPrefix),
        ] {
            let found = rule_between(first, second);
            assert_eq!(found, Some(rule), "{first:?}");
            assert_eq!(rule_between(second, first), None);
        }
    }

    #[test]
    fn what_cannot_be_reached_goes_last() {
        assert_eq!(rule_between(way("192.0.2.1", "192.0.2.9"), way("2001:db8::1", "none")), Some(Rule::Reachable));
        assert_eq!(rule_between(way("2001:db8::1", "none"), way("192.0.2.1", "192.0.2.9")), None);
    }

    #[test]
    fn localhost_is_ipv6_first() {
        assert_eq!(rule_between(way("::1", "::1"), way("127.0.0.1", "127.0.0.1")), Some(Rule::Precedence));
    }

    #[test]
    fn private_ipv6_goes_before_ipv4_as_on_a_container_network_with_both() {
        let (six, four) = (way("fd00:28::4", "fd00:28::5"), way("172.28.0.4", "172.28.0.5"));
        assert_eq!((rule_between(six, four), rule_between(four, six)), (Some(Rule::Precedence), None));
    }

    #[test]
    fn replicas_on_one_ipv4_network_are_left_as_the_server_gave_them() {
        let (one, other) = (way("172.28.0.2", "172.28.0.9"), way("172.28.0.3", "172.28.0.9"));
        assert_eq!((rule_between(one, other), rule_between(other, one)), (None, None));
    }

    #[test]
    fn replicas_on_one_ipv6_network_are_sorted_the_same_way_every_time() {
        // Docker's network with IPv6: 300 of 300 connections went to one replica.
        let near = way("fd00:28::8", "fd00:28::9");
        let far = way("fd00:28::2", "fd00:28::9");
        assert_eq!(rule_between(near, far), Some(Rule::LongestPrefix));
    }
}
