//! A healthy machine, for the tests of the rules to make ill.

use crate::facts::{Address, Facts, Flags, Interface, Limits, Question, Way};
use crate::firewall::Firewall;

/// `lo`, and `eth0` with 192.0.2.1/24 and fd00:1::1/64, which leads everywhere.
pub(crate) fn healthy() -> Facts {
    Facts {
        question: Question {
            group: "224.1.1.1".parse().unwrap(),
            port: 5007,
            named: None,
            named_index: None,
            source: None,
            length: None,
            ttl: 1,
            floods_as: None,
        },
        interfaces: vec![loopback(), ether("eth0", 2, "192.0.2.1", "fd00:1::1")],
        way_to_group: Way::Through { index: 2, gateway: Some("192.0.2.254".parse().unwrap()) },
        way_to_source: None,
        sockets: Vec::new(),
        firewall: Firewall::default(),
        limits: Limits { memberships: Some(20), receive_buffer: Some(212_992) },
        container: None,
        trials: Vec::new(),
        probe: None,
    }
}

/// The same with a second interface `eth1`, 198.51.100.1/24 and fd00:2::1/64.
pub(crate) fn two_homes() -> Facts {
    let mut facts = healthy();
    facts.interfaces.push(ether("eth1", 3, "198.51.100.1", "fd00:2::1"));
    facts
}

pub(crate) fn ether(name: &str, index: u32, v4: &str, v6: &str) -> Interface {
    let own = |address: &str, prefix| Address {
        address: address.parse().unwrap(),
        prefix,
        tentative: false,
        duplicate: false,
    };
    Interface {
        name: name.to_owned(),
        index,
        kind: "ethernet".to_owned(),
        mtu: 1_500,
        flags: Flags { up: true, running: true, multicast: true, ..Flags::default() },
        addresses: vec![own(v4, 24), own(v6, 64)],
        ..Interface::default()
    }
}

fn loopback() -> Interface {
    let flags = Flags { up: true, running: true, loopback: true, ..Flags::default() };
    Interface { kind: "loopback".to_owned(), mtu: 65_536, flags, ..ether("lo", 1, "127.0.0.1", "::1") }
}

impl Facts {
    /// The same facts, with one interface named.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.question.named_index = self.interfaces.iter().find(|one| one.name == name).map(|one| one.index);
        self.question.named = Some(name.to_owned());
        self
    }

    /// The same facts, asked about a group.
    pub(crate) fn group(mut self, group: &str) -> Self {
        self.question.group = group.parse().unwrap();
        self
    }

    /// The same facts, asked about a sender.
    pub(crate) fn source(mut self, source: &str, way: Way) -> Self {
        self.question.source = source.parse().ok();
        self.way_to_source = Some(way);
        self
    }
}

/// The codes of what a rule found.
pub(crate) fn codes(found: &[crate::Finding]) -> Vec<&'static str> {
    found.iter().map(|finding| finding.code).collect()
}
