//! A packet's way through the chains: dropped for certain, or not.

use super::{Chain, Condition, Direction, Dropped, Packet, Rule, Verdict};

/// How many rules one packet may pass: chains may jump to each other, and a ruleset may be huge.
const MOST_STEPS: usize = 100_000;
/// How deep chains may jump: nftables itself allows 16.
const MOST_JUMPS: usize = 16;

/// What becomes of a packet in a chain.
enum Fate {
    /// No rule decided.
    Undecided,
    /// Let through.
    Accepted,
    /// Thrown away, by this rule of this chain.
    Dropped(Dropped),
}

/// What one walk remembers.
struct Walk<'a> {
    chains: &'a [Chain],
    packet: &'a Packet,
    steps: usize,
    /// A rule that may have let the packet through, for all we know.
    perhaps_accepted: bool,
}

/// Where `packet` is dropped for certain. Every chain of its hooks is passed: to be accepted by one is not enough.
pub(super) fn drops(chains: &[Chain], packet: &Packet) -> Option<Dropped> {
    chains.iter().filter(|chain| is_on_the_way(chain, packet)).find_map(|chain| {
        let mut walk = Walk { chains, packet, steps: 0, perhaps_accepted: false };
        let dropped = match walk.pass(chain, 0) {
            Fate::Dropped(dropped) => Some(dropped),
            Fate::Undecided if chain.drops_by_default => Some(place(chain, None)),
            Fate::Undecided | Fate::Accepted => None,
        };
        dropped.filter(|_| !walk.perhaps_accepted)
    })
}

fn is_on_the_way(chain: &Chain, packet: &Packet) -> bool {
    let family = match chain.family.as_str() {
        "ip" => packet.to.is_ipv4(),
        "ip6" => packet.to.is_ipv6(),
        "inet" => true,
        "netdev" => chain.device.as_ref() == Some(&packet.interface),
        _ => false,
    };
    let hook = match (packet.way, chain.hook.as_deref()) {
        (Direction::In, Some(hook)) => ["ingress", "prerouting", "input"].contains(&hook),
        (Direction::Out, Some(hook)) => ["output", "postrouting", "egress"].contains(&hook),
        (_, None) => false,
    };
    family && hook
}

fn place(chain: &Chain, rule: Option<&Rule>) -> Dropped {
    Dropped {
        chain: format!("{} {} {}", chain.family, chain.table, chain.name),
        handle: rule.map(|rule| rule.handle),
        table: (chain.family.clone(), chain.table.clone()),
    }
}

impl Walk<'_> {
    fn pass(&mut self, chain: &Chain, depth: usize) -> Fate {
        for rule in &chain.rules {
            self.steps += 1;
            if self.steps > MOST_STEPS || depth > MOST_JUMPS {
                self.perhaps_accepted = true;
                return Fate::Undecided;
            }
            let Some(holds) = self.all_hold(&rule.conditions) else {
                self.doubt(&rule.verdict);
                continue;
            };
            if !holds {
                continue;
            }
            match &rule.verdict {
                Verdict::Continue => {}
                Verdict::Accept => return Fate::Accepted,
                Verdict::Drop => return Fate::Dropped(place(chain, Some(rule))),
                Verdict::Return => return Fate::Undecided,
                Verdict::Unknown => self.perhaps_accepted = true,
                Verdict::Jump(name) | Verdict::Goto(name) => {
                    let fate = self.follow(chain, name, depth);
                    if !matches!(fate, Fate::Undecided) || matches!(rule.verdict, Verdict::Goto(_)) {
                        return fate;
                    }
                }
            }
        }
        Fate::Undecided
    }

    fn follow(&mut self, from: &Chain, name: &str, depth: usize) -> Fate {
        let chains = self.chains;
        let next = chains.iter().find(|one| one.family == from.family && one.table == from.table && one.name == name);
        match next {
            Some(next) => self.pass(next, depth + 1),
            None => Fate::Undecided,
        }
    }

    /// `Some(false)` as soon as one does not hold; `None` when one may not.
    fn all_hold(&self, conditions: &[Condition]) -> Option<bool> {
        let answers: Vec<Option<bool>> = conditions.iter().map(|condition| condition.holds(self.packet)).collect();
        if answers.contains(&Some(false)) {
            return Some(false);
        }
        if answers.contains(&None) { None } else { Some(true) }
    }

    /// A rule that may hold: only one that drops cannot have let the packet through.
    fn doubt(&mut self, verdict: &Verdict) {
        self.perhaps_accepted |= !matches!(verdict, Verdict::Drop | Verdict::Continue);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Carries, Firewall, parse};
    use super::*;

    /// A ruleset of one table `inet filter` with an input chain of this policy and these rules, and a chain `services`.
    fn ruleset(policy: &str, input: &str, services: &str) -> Firewall {
        let chain = r#"{"chain": {"family": "inet", "table": "filter", "name""#;
        let rules = |chain: &str, rules: &str| {
            let one = |(n, expr): (usize, &str)| {
                let handle = n + 10;
                format!(
                    r#", {{"rule": {{"family": "inet", "table": "filter", "chain": "{chain}", "handle": {handle}, "expr": [{expr}]}}}}"#
                )
            };
            rules.split(';').filter(|rule| !rule.is_empty()).enumerate().map(one).collect::<String>()
        };
        let text = format!(
            r#"{{"nftables": [{{"metainfo": {{}}}}, {chain}: "input", "hook": "input", "type": "filter", "prio": 0, "policy": "{policy}"}}}},
            {chain}: "services"}}}} {} {}]}}"#,
            rules("input", input),
            rules("services", services)
        );
        Firewall { unreadable: None, chains: parse(&text).unwrap() }
    }

    fn incoming() -> Packet {
        let to = "224.1.1.1".parse().unwrap();
        Packet { way: Direction::In, interface: "eth0".into(), from: None, to, carries: Carries::Udp(5007) }
    }

    const PORT: &str =
        r#"{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 5007}}"#;
    const SET: &str =
        r#"{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": "@open"}}"#;
    const LO: &str =
        r#"{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}, {"accept": null}"#;

    const STATES: &str = r#"{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["invalid", {"drop": null}], ["established", {"accept": null}]]}}}"#;
    const PORTS: &str = r#"{"vmap": {"key": {"payload": {"protocol": "udp", "field": "dport"}}, "data": {"set": [[53, {"drop": null}], [{"range": [5000, 5010]}, {"accept": null}]]}}}"#;

    #[test]
    fn a_packet_is_dropped_by_a_rule_or_by_the_policy() {
        for (policy, input, services, expected) in [
            ("accept", String::new(), String::new(), None),
            ("drop", String::new(), String::new(), Some(None)),
            ("drop", LO.to_owned(), String::new(), Some(None)),
            ("drop", format!(r#"{PORT}, {{"accept": null}}"#), String::new(), None),
            ("accept", format!(r#"{LO};{PORT}, {{"counter": {{}}}}, {{"drop": null}}"#), String::new(), Some(Some(11))),
            ("accept", format!(r#"{PORT}, {{"reject": {{}}}}"#), String::new(), Some(Some(10))),
            ("drop", r#"{"jump": {"target": "services"}}"#.into(), format!(r#"{PORT}, {{"accept": null}}"#), None),
            ("drop", r#"{"jump": {"target": "services"}}"#.into(), r#"{"return": null}"#.into(), Some(None)),
            ("accept", r#"{"goto": {"target": "services"}}"#.into(), r#"{"drop": null}"#.into(), Some(Some(10))),
            ("drop", format!(r#"{SET}, {{"accept": null}}"#), String::new(), None),
            ("accept", format!(r#"{SET}, {{"drop": null}}"#), String::new(), None),
            ("drop", r#"{"vmap": {}}"#.into(), String::new(), None),
            ("drop", STATES.to_owned(), String::new(), Some(None)),
            ("drop", PORTS.to_owned(), String::new(), None),
            ("drop", r#"{"jump": {"target": "input"}}"#.into(), String::new(), None),
        ] {
            let dropped = ruleset(policy, &input, &services).drops(&incoming());
            assert_eq!(dropped.map(|dropped| dropped.handle), expected, "{policy}: {input} / {services}");
        }
    }

    #[test]
    fn what_goes_out_does_not_pass_the_input_chain() {
        assert_eq!(ruleset("drop", "", "").drops(&Packet { way: Direction::Out, ..incoming() }), None);
    }

    #[test]
    fn what_is_no_ruleset_is_said() {
        for text in ["", "[]", "{}", r#"{"nftables": 3}"#] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse(r#"{"nftables": [{"rule": {"expr": 7}}, 5, null, {"chain": {}}]}"#).unwrap(), []);
    }
}
