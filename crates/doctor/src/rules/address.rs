//! `MC-ADDR` and `MC-SCOPE`: a group that is badly chosen, or that never leaves.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Facts, Finding};

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    match facts.question.group {
        IpAddr::V4(group) => v4(facts, group),
        IpAddr::V6(group) => v6(facts, group),
    }
}

fn v4(facts: &Facts, group: Ipv4Addr) -> Vec<Finding> {
    let mut found = Vec::new();
    if group.octets()[0] == 232 && facts.question.source.is_none() {
        found.push(
            Finding::new(
                "MC-ADDR",
                format!("{group} is in 232.0.0.0/8, and no source is named"),
                "routers carry that block only to receivers that name the source (RFC 4607)",
                format!("castlab doctor SOURCE,{group}   # or use a group of 239.0.0.0/8"),
            )
            .warning(),
        );
    }
    if let Some(control) = facts.question.floods_as {
        found.push(
            Finding::new(
                "MC-ADDR",
                format!("on Ethernet {group} looks like {control}: both have the address {}", ethernet(group)),
                "switches send it to every port, whoever joined, even when they snoop (RFC 4541 section 2.1.2)",
                "use a group such as 239.1.1.1",
            )
            .warning(),
        );
    }
    found
}

/// The low 23 bits behind 01:00:5e (RFC 1112 section 6.4).
fn ethernet(group: Ipv4Addr) -> String {
    let [_, b, c, d] = group.octets();
    format!("01:00:5e:{:02x}:{c:02x}:{d:02x}", b & 0x7f)
}

/// The scope is the low half of the second byte (RFC 4291 section 2.7).
fn v6(facts: &Facts, group: Ipv6Addr) -> Vec<Finding> {
    let finding = |seen: String, means: &str, attempt: String| vec![Finding::new("MC-SCOPE", seen, means, attempt)];
    let chosen = facts.chosen();
    match group.octets()[1] & 0x0f {
        0 | 0xf => finding(
            format!("{group} has the reserved scope {:x}", group.octets()[1] & 0x0f),
            "it must not be used (RFC 4291 section 2.7)",
            "use a group of ff15::/16".into(),
        ),
        1 if chosen.iter().any(|one| !one.flags.loopback) => finding(
            format!("{group} has interface-local scope"),
            "it never leaves the interface: no other machine hears it",
            "use a group of ff12::/16 for this link, or of ff15::/16 for the site".into(),
        ),
        2 if chosen.len() > 1 => {
            let names: Vec<&str> = chosen.iter().map(|one| one.name.as_str()).collect();
            finding(
                format!("{group} has link-local scope, and no interface is named: {} are meant", names.join(", ")),
                "it is another group on every link, so one must be named",
                format!("castlab doctor '[{group}%{}]:{}'", names[0], facts.question.port),
            )
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::facts::Way;
    use crate::fixture::{codes, healthy, two_homes};

    #[test]
    fn the_block_for_named_sources_wants_one() {
        let facts = healthy().group("232.1.1.1");
        assert_eq!((codes(&examine(&facts)), examine(&facts)[0].severity), (vec!["MC-ADDR"], Severity::Warning));
        assert_eq!(examine(&facts.source("192.0.2.9", Way::Through { index: 2, gateway: None })), []);
    }

    #[test]
    fn a_group_that_floods_is_told_with_its_ethernet_address() {
        let mut facts = healthy().group("230.0.0.1");
        facts.question.floods_as = "224.0.0.1".parse().ok();
        assert!(examine(&facts)[0].seen.contains("01:00:5e:00:00:01"));
    }

    #[test]
    fn ipv6_groups_have_scopes() {
        for (group, machine, expected) in [
            ("ff15::1", healthy(), vec![]),
            ("ff02::1:5", healthy(), vec![]),
            ("ff02::1:5", two_homes(), vec!["MC-SCOPE"]),
            ("ff02::1:5", two_homes().named("eth1"), vec![]),
            ("ff01::5", healthy(), vec!["MC-SCOPE"]),
            ("ff01::5", healthy().named("lo"), vec![]),
            ("ff10::5", healthy(), vec!["MC-SCOPE"]),
            ("ff0f::5", healthy(), vec!["MC-SCOPE"]),
        ] {
            assert_eq!(codes(&examine(&machine.group(group))), expected, "{group}");
        }
    }
}
