//! `MC-NOQUERIER`: a bridge of this machine that keeps groups from a port, and nobody who asks who wants them.
//!
//! A Linux bridge that snoops and hears no querier sends every group to every port, so that alone harms nobody. With
//! flooding off on a port (`mcast_flood off`) it sends nothing there until a querier's questions are answered.

use crate::facts::{Bridge, Interface};
use crate::{Facts, Finding};

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let chosen = facts.chosen();
    let bridges = facts.interfaces.iter().filter_map(|one| one.bridge.map(|bridge| (one, bridge)));
    bridges
        .filter_map(|(master, bridge)| {
            let starved = facts.interfaces.iter().filter(|one| one.master == Some(master.index));
            let starved: Vec<&str> =
                starved.filter(|one| one.port.is_some_and(|port| !port.flood)).map(|one| one.name.as_str()).collect();
            let asked = bridge.snooping && (bridge.querier || bridge.other_querier);
            if starved.is_empty() || asked || !master.flags.up {
                return None;
            }
            let finding = finding(master, bridge, &starved);
            let meant = chosen.iter().any(|one| one.index == master.index || one.master == Some(master.index));
            Some(if meant { finding } else { finding.note() })
        })
        .collect()
}

fn finding(master: &Interface, bridge: Bridge, starved: &[&str]) -> Finding {
    let (name, ports) = (&master.name, starved.join(", "));
    if bridge.snooping {
        return Finding::new(
            "MC-NOQUERIER",
            format!("bridge {name} snoops, nobody asks who is in which group, and {ports} is not flooded"),
            "without a querier joins are not heeded: no group reaches that port",
            format!("ip link set {name} type bridge mcast_querier 1"),
        );
    }
    Finding::new(
        "MC-NOQUERIER",
        format!("bridge {name} does not snoop, and {ports} is not flooded"),
        "joins are not heeded: no group reaches that port",
        format!("bridge link set dev {} mcast_flood on", starved[0]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::facts::Port;
    use crate::fixture::{codes, two_homes};

    /// eth0 is a port of the bridge eth1.
    fn bridged(bridge: Bridge, flood: bool) -> Facts {
        let mut facts = two_homes();
        facts.interfaces[1].master = Some(3);
        facts.interfaces[1].port = Some(Port { flood });
        facts.interfaces[2].kind = "bridge".into();
        facts.interfaces[2].bridge = Some(bridge);
        facts
    }

    #[test]
    fn a_port_that_is_not_flooded_needs_a_querier() {
        let alone = Bridge { snooping: true, ..Bridge::default() };
        assert_eq!(examine(&bridged(alone, true)), [], "it floods");
        assert_eq!(codes(&examine(&bridged(alone, false))), ["MC-NOQUERIER"]);
        assert_eq!(examine(&bridged(Bridge { querier: true, ..alone }, false)), []);
        assert_eq!(examine(&bridged(Bridge { other_querier: true, ..alone }, false)), []);
        assert!(examine(&bridged(Bridge::default(), false))[0].attempt.contains("mcast_flood on"));
    }

    #[test]
    fn a_bridge_that_is_not_meant_is_a_note() {
        let mut facts = bridged(Bridge { snooping: true, ..Bridge::default() }, false);
        facts.interfaces.push(crate::fixture::ether("eth2", 4, "203.0.113.1", "fd00:3::1"));
        assert_eq!(examine(&facts.named("eth2"))[0].severity, Severity::Note);
    }
}
