//! `MC-IFACE`: joined, or sent, through the wrong interface, or through one that cannot.

use crate::facts::{Interface, Way};
use crate::{Facts, Finding};

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let chosen = facts.chosen();
    if chosen.is_empty() {
        return vec![none(facts)];
    }
    let mut found: Vec<Finding> =
        chosen.iter().filter(|one| one.flags.up).filter_map(|one| unfit(facts, one)).collect();
    found.extend(chosen.iter().filter_map(|one| part_of_another(facts, one)));
    found.extend(elsewhere(facts, &chosen));
    found.extend(default_way(facts));
    found
}

fn none(facts: &Facts) -> Finding {
    let known: Vec<String> = facts.interfaces.iter().map(|one| describe(facts, one)).collect();
    let known = if known.is_empty() { "none at all".to_owned() } else { known.join(", ") };
    let seen = match &facts.question.named {
        Some(name) => format!("no interface is called {name}; here are: {known}"),
        None => format!("no interface is fit for {}: {known}", facts.question.group),
    };
    Finding::new("MC-IFACE", seen, "there is nowhere to join", "castlab interfaces")
}

fn describe(facts: &Facts, one: &Interface) -> String {
    match one.objection(facts.question.group) {
        Some(why) => format!("{} ({why})", one.name),
        None => one.name.clone(),
    }
}

/// A named interface is taken whatever it is; then what it cannot do must be said.
fn unfit(facts: &Facts, one: &Interface) -> Option<Finding> {
    let (name, group) = (&one.name, facts.question.group);
    if !one.speaks(group) {
        let family = if group.is_ipv4() { "IPv4" } else { "IPv6" };
        let (why, attempt) = if group.is_ipv6() && one.ipv6_off {
            (": IPv6 is switched off on it", format!("sysctl -w net.ipv6.conf.{name}.disable_ipv6=0"))
        } else {
            ("", format!("ip address show {name}"))
        };
        let seen = format!("{name} has no {family} address{why}");
        return Some(Finding::new(
            "MC-IFACE",
            seen,
            format!("castlab neither joins {group} nor sends to it there"),
            attempt,
        ));
    }
    if !one.flags.multicast && !one.flags.loopback {
        return Some(Finding::new(
            "MC-IFACE",
            format!("{name} does not carry multicast: it lacks the flag MULTICAST"),
            "no group can be joined on it",
            format!("ip link set {name} multicast on"),
        ));
    }
    if one.flags.point_to_point {
        let seen = format!("{name} is a tunnel ({})", one.kind);
        let means = "most tunnels, VPNs among them, carry no multicast";
        return Some(Finding::new("MC-IFACE", seen, means, "castlab interfaces").warning());
    }
    None
}

/// What comes in by a port of a bridge or a bond goes to the bridge or bond.
fn part_of_another(facts: &Facts, one: &Interface) -> Option<Finding> {
    let master = facts.interface(one.master?)?;
    if !["bridge", "bond", "team"].contains(&master.kind.as_str()) {
        return None;
    }
    let (name, master, kind) = (&one.name, &master.name, &master.kind);
    let finding = Finding::new(
        "MC-IFACE",
        format!("{name} is a part of {kind} {master}"),
        format!("what comes in by {name} is given to {master}: a join on {name} hears nothing"),
        format!("castlab doctor -I {master} {}", facts.question.group),
    );
    // Asked for all, the master is joined too.
    Some(if facts.question.named.is_some() { finding } else { finding.note() })
}

/// The sender is on a link of ours, and not on the one meant.
fn elsewhere(facts: &Facts, chosen: &[&Interface]) -> Option<Finding> {
    let source = facts.question.source?;
    let link = facts.link_of(source)?;
    if link.flags.loopback || chosen.iter().any(|one| one.index == link.index) {
        return None;
    }
    let on: Vec<&str> = chosen.iter().map(|one| one.name.as_str()).collect();
    Some(Finding::new(
        "MC-IFACE",
        format!("{source} is on the link of {}, and the group is meant on {}", link.name, on.join(", ")),
        "what it sends arrives on an interface where nobody joined",
        format!("castlab doctor -I {} {source},{}", link.name, facts.target()),
    ))
}

/// Programs that name no interface send where the route leads: into a tunnel, say.
fn default_way(facts: &Facts) -> Option<Finding> {
    let Way::Through { index, .. } = facts.way_to_group else { return None };
    let group = facts.question.group;
    let usable = facts.interfaces.iter().find(|one| one.is_usable(group) && one.flags.running)?;
    let way = facts.interface(index)?;
    if facts.question.named.is_some() || way.is_usable(group) {
        return None;
    }
    Some(Finding::new(
        "MC-IFACE",
        format!("the route to {group} leads through {} ({})", way.name, way.objection(group).unwrap_or(&way.kind)),
        format!("programs that name no interface send there, and nobody on {} hears them", usable.name),
        format!("ip route add {group}/32 dev {}   # or name it: -I {0}", usable.name),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::{codes, ether, healthy, two_homes};

    fn only(facts: &Facts) -> Finding {
        let found = examine(facts);
        assert_eq!(codes(&found), ["MC-IFACE"], "{found:?}");
        found.into_iter().next().unwrap()
    }

    #[test]
    fn an_interface_that_is_not_there_is_named_with_those_that_are() {
        let finding = only(&healthy().named("eth7"));
        assert!(finding.seen.contains("eth7") && finding.seen.contains("eth0"), "{finding}");
    }

    #[test]
    fn a_machine_without_a_usable_one_says_why_of_each() {
        let mut facts = healthy();
        facts.interfaces[1].flags.up = false;
        let finding = only(&facts);
        assert!(finding.seen.contains("eth0 (it is down)") && finding.seen.contains("lo ("), "{finding}");
    }

    #[test]
    fn a_named_one_that_cannot_is_said() {
        let mut facts = healthy().named("eth0");
        facts.interfaces[1].flags.multicast = false;
        assert!(only(&facts).seen.contains("MULTICAST"));
        let mut facts = healthy().named("eth0").group("ff15::1");
        facts.interfaces[1].addresses.truncate(1);
        facts.interfaces[1].ipv6_off = true;
        assert!(only(&facts).attempt.contains("disable_ipv6=0"));
        let mut facts = healthy().named("eth0");
        facts.interfaces[1].flags.point_to_point = true;
        assert_eq!(only(&facts).severity, Severity::Warning);
    }

    #[test]
    fn a_port_of_a_bridge_hears_nothing() {
        let mut facts = two_homes().named("eth0");
        facts.interfaces[2].kind = "bridge".into();
        facts.interfaces[1].master = Some(3);
        let finding = only(&facts);
        assert!(finding.attempt.contains("-I eth1") && finding.severity == Severity::Fault, "{finding}");
        facts.question.named = None;
        assert_eq!(only(&facts).severity, Severity::Note);
    }

    #[test]
    fn a_sender_on_another_link_is_not_heard() {
        let way = Way::Through { index: 3, gateway: None };
        let facts = two_homes().source("198.51.100.9", way);
        assert_eq!(examine(&facts), [], "both are joined");
        assert!(only(&facts.named("eth0")).attempt.contains("-I eth1"));
    }

    #[test]
    fn a_route_into_a_tunnel_is_told() {
        let mut facts = healthy();
        let mut tunnel = ether("wg0", 9, "10.9.0.2", "fd09::2");
        tunnel.flags.point_to_point = true;
        facts.interfaces.push(tunnel);
        facts.way_to_group = Way::Through { index: 9, gateway: None };
        assert!(only(&facts).seen.contains("wg0 (it is a tunnel)"));
        assert_eq!(examine(&facts.named("eth0")), []);
    }
}
