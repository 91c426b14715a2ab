//! `NET-FIREWALL`: the packet filter of this machine throws messages or joins away: by its rules where we may read
//! them, by what happens where we may not.

use core::net::IpAddr;

use crate::facts::{Ended, Interface, Trial};
use crate::firewall::{Carries, Direction, Dropped, Packet};
use crate::{Facts, Finding, Severity};

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for finding in facts.working().into_iter().flat_map(|one| by_rule(facts, one)) {
        // The same rule for several interfaces is one finding.
        if !found.iter().any(|same| same.means == finding.means && same.attempt == finding.attempt) {
            found.push(finding);
        }
    }
    if found.iter().all(|finding| finding.severity != Severity::Fault) {
        found.extend(facts.trials.iter().filter_map(|trial| by_trial(facts, trial)));
    }
    found
}

/// What the rules do to messages coming in and going out, and to the joins.
fn by_rule(facts: &Facts, one: &Interface) -> Vec<Finding> {
    let (group, port) = (facts.question.group, facts.question.port);
    let packet = |way, from, to, carries| Packet { way, interface: one.name.clone(), from, to, carries };
    let own = one.address_for(group);
    let (membership, joins, asks) = match group {
        // Joins go to 224.0.0.22, questions to 224.0.0.1 (RFC 3376 section 4); in IPv6 to ff02::16 and ff02::1 (RFC 3810).
        IpAddr::V4(_) => (Carries::Igmp, IpAddr::from([224, 0, 0, 22]), IpAddr::from([224, 0, 0, 1])),
        IpAddr::V6(_) => (Carries::Mld, [0xff02, 0, 0, 0, 0, 0, 0, 0x16].into(), [0xff02, 0, 0, 0, 0, 0, 0, 1].into()),
    };
    let drops = |packet| facts.firewall.drops(&packet);
    let mut found = Vec::new();
    if let Some(dropped) = drops(packet(Direction::In, facts.question.source, group, Carries::Udp(port))) {
        let what = format!("UDP to {} coming in by {}", facts.target(), one.name);
        found.push(rule(
            &dropped,
            &what,
            "messages reach the interface and not the program",
            &allow(&dropped, &format!("udp dport {port}")),
        ));
    }
    if let Some(dropped) = drops(packet(Direction::Out, own, group, Carries::Udp(port))) {
        let what = format!("UDP to {} going out by {}", facts.target(), one.name);
        found.push(rule(
            &dropped,
            &what,
            "nothing that this machine sends to the group leaves it",
            &allow(&dropped, &format!("udp dport {port}")),
        ));
    }
    if one.flags.loopback {
        return found;
    }
    let (name, protocol) = if group.is_ipv4() { ("IGMP", "ip protocol igmp") } else { ("MLD", "meta l4proto icmpv6") };
    if let Some(dropped) = drops(packet(Direction::Out, own, joins, membership)) {
        let what = format!("{name} going out by {}", one.name);
        found.push(rule(
            &dropped,
            &what,
            "joins never leave: a switch that snoops, or a router, sends the group elsewhere",
            &allow(&dropped, protocol),
        ));
    }
    if let Some(dropped) = drops(packet(Direction::In, None, asks, membership)) {
        let what = format!("{name} coming in by {}", one.name);
        let means = "a querier's questions are not heard, so the membership is forgotten after some 260 s (RFC 3376 section 8.4)";
        found.push(rule(&dropped, &what, means, &allow(&dropped, protocol)).warning());
    }
    found
}

fn rule(dropped: &Dropped, what: &str, means: &str, attempt: &str) -> Finding {
    let by = match dropped.handle {
        Some(handle) => format!("rule {handle} of nftables chain {}", dropped.chain),
        None => format!("the policy of nftables chain {}", dropped.chain),
    };
    Finding::new("NET-FIREWALL", format!("{by} drops {what}"), means, attempt)
}

fn allow(dropped: &Dropped, what: &str) -> String {
    format!("nft insert rule {} {what} accept", dropped.chain)
}

/// Joined, sent, and nothing came: no other thing on one machine does that.
fn by_trial(facts: &Facts, trial: &Trial) -> Option<Finding> {
    let (target, port) = (facts.target(), facts.question.port);
    let on = trial.interface.as_deref().unwrap_or("all");
    let seen = match (&trial.ended, trial.unicast) {
        (Ended::Silent, Some(true)) => {
            format!("joined {target} on {on}, sent to it there, and heard nothing; by unicast it came")
        }
        (Ended::Silent, Some(false)) => {
            format!("joined {target} on {on}, sent to it there, and heard nothing, nor by unicast")
        }
        (Ended::Silent, None) => format!("joined {target} on {on}, sent to it there, and heard nothing"),
        // What the output chain drops is refused to the sender.
        (Ended::SendRefused("NET-FIREWALL" | "PERMISSION", why), _) => {
            format!("sending to {target} through {on} was refused: {why}")
        }
        _ => return None,
    };
    let why = facts.firewall.unreadable.as_ref();
    let why = why.map(|why| format!(" (its rules cannot be read: {why})")).unwrap_or_default();
    let means = format!("a packet filter of this machine takes it{why}");
    let attempt = format!("sudo nft list ruleset   # or allow it: `ufw allow {port}/udp`");
    Some(Finding::new("NET-FIREWALL", seen, means, attempt))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::parse;
    use crate::fixture::{codes, healthy, two_homes};

    fn with(mut facts: Facts, hook: &str, policy: &str, rule: &str) -> Facts {
        facts.firewall.chains = parse(&format!(
            r#"{{"nftables": [{{"chain": {{"family": "inet", "table": "t", "name": "c", "hook": "{hook}", "prio": 0, "policy": "{policy}"}}}},
            {{"rule": {{"family": "inet", "table": "t", "chain": "c", "handle": 5, "expr": [{rule}]}}}}]}}"#
        ))
        .unwrap();
        facts
    }

    const PORT: &str = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 5007}}, {"drop": null}"#;
    const IGMP: &str = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "protocol"}}, "right": "igmp"}}, {"drop": null}"#;

    #[test]
    fn a_rule_against_the_port_is_named() {
        let found = examine(&with(two_homes(), "input", "accept", PORT));
        assert_eq!(codes(&found), ["NET-FIREWALL"], "once for both interfaces");
        assert!(
            found[0].seen.contains("rule 5 of nftables chain inet t c drops UDP to 224.1.1.1:5007"),
            "{}",
            found[0]
        );
        assert!(found[0].attempt.contains("nft insert rule inet t c udp dport 5007 accept"));
    }

    #[test]
    fn a_policy_drops_messages_and_questions() {
        let found = examine(&with(healthy(), "input", "drop", r#"{"counter": {}}"#));
        let severities: Vec<Severity> = found.iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Fault, Severity::Warning], "{found:?}");
    }

    #[test]
    fn joins_that_cannot_leave_are_a_fault() {
        let found = examine(&with(healthy(), "output", "accept", IGMP));
        assert_eq!(codes(&found), ["NET-FIREWALL"]);
        assert!(found[0].seen.contains("IGMP going out by eth0"));
        assert_eq!(examine(&with(healthy().group("ff15::1"), "output", "accept", IGMP)), []);
    }

    #[test]
    fn silence_is_told_where_no_rule_explains_it() {
        let mut facts = healthy();
        facts.firewall.unreadable = Some("Operation not permitted".into());
        let trial = Trial { interface: Some("eth0".into()), ended: Ended::Silent, unicast: Some(true) };
        facts.trials = vec![trial];
        let found = examine(&facts);
        assert_eq!(codes(&found), ["NET-FIREWALL"]);
        assert!(found[0].seen.contains("by unicast it came") && found[0].means.contains("not permitted"));
        assert_eq!(examine(&with(facts, "input", "accept", PORT)).len(), 1, "the rule explains it");
    }
}
