//! A condition of a rule, asked of one packet: yes, no, or we cannot know.

use core::net::IpAddr;

use serde_json::Value;

use super::{Carries, Direction, Packet};
use crate::facts::Address;

/// A condition as nftables lists it: `left op right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A comparison.
    Match {
        /// What is compared: `meta iifname`, `udp dport`, `ip daddr`, `ct state`.
        left: String,
        /// `==`, `!=`, `in`, `<`, `>`, `<=` or `>=`.
        op: String,
        /// With what.
        right: Value,
    },
    /// Something we do not understand.
    Unknown,
}

/// Numbers of IP protocols, and the names nftables gives them.
const PROTOCOLS: &[(&str, u64)] =
    &[("icmp", 1), ("igmp", 2), ("tcp", 6), ("udp", 17), ("ipv6-icmp", 58), ("icmpv6", 58), ("udplite", 136)];

/// What a packet answers to a comparison.
enum Answer {
    /// It has no such field: the rule breaks off there, whatever the operator.
    Absent,
    /// Whether it is one of the values; `None` when we cannot know.
    Equal(Option<bool>),
}

impl Condition {
    /// Whether it holds for `packet`; `None` when we cannot know.
    #[must_use]
    pub fn holds(&self, packet: &Packet) -> Option<bool> {
        let Condition::Match { left, op, right } = self else { return None };
        let equal = match ask(left, right, packet) {
            Answer::Absent => return Some(false),
            Answer::Equal(equal) => equal.filter(|_| !is_set_reference(right)),
        };
        match op.as_str() {
            "==" | "in" => equal,
            "!=" => equal.map(|equal| !equal),
            _ => compare(left, op, right, packet),
        }
    }
}

/// `@blocked`: a named set, whose elements we do not read.
fn is_set_reference(right: &Value) -> bool {
    right.as_str().is_some_and(|text| text.starts_with('@'))
}

fn ask(left: &str, right: &Value, packet: &Packet) -> Answer {
    let v4 = packet.to.is_ipv4();
    let equal = match left {
        "meta iifname" | "meta iif" => Some(device(right, packet, Direction::In)),
        "meta oifname" | "meta oif" => Some(device(right, packet, Direction::Out)),
        "meta pkttype" => Some(texts(right, "multicast")),
        "meta nfproto" => Some(texts(right, if v4 { "ipv4" } else { "ipv6" })),
        "meta protocol" => Some(texts(right, if v4 { "ip" } else { "ip6" })),
        "meta l4proto" => Some(protocol(right, packet)),
        "ip protocol" if v4 => Some(protocol(right, packet)),
        // The joins of IPv6 stand behind a hop-by-hop header (RFC 3810 section 5).
        "ip6 nexthdr" if !v4 && packet.carries != Carries::Mld => Some(protocol(right, packet)),
        "ip6 nexthdr" if !v4 => None,
        "ip daddr" if v4 => addresses(right, packet.to),
        "ip6 daddr" if !v4 => addresses(right, packet.to),
        "ip saddr" if v4 => packet.from.and_then(|from| addresses(right, from)),
        "ip6 saddr" if !v4 => packet.from.and_then(|from| addresses(right, from)),
        "udp dport" | "th dport" => match packet.carries {
            Carries::Udp(port) => numbers(right, port.into()),
            Carries::Igmp | Carries::Mld => return Answer::Absent,
        },
        // The first packet of a flow that nobody answers is new, and stays it.
        "ct state" => Some(texts(right, "new")),
        other => match other.split_once(' ') {
            Some(("ip", _)) if !v4 => return Answer::Absent,
            Some(("ip6", _)) if v4 => return Answer::Absent,
            Some(("arp" | "tcp" | "icmp" | "sctp", _)) => return Answer::Absent,
            _ => None,
        },
    };
    Answer::Equal(equal)
}

fn compare(left: &str, op: &str, right: &Value, packet: &Packet) -> Option<bool> {
    let Carries::Udp(port) = packet.carries else { return None };
    if !matches!(left, "udp dport" | "th dport") {
        return None;
    }
    let (port, limit) = (u64::from(port), right.as_u64()?);
    match op {
        "<" => Some(port < limit),
        ">" => Some(port > limit),
        "<=" => Some(port <= limit),
        ">=" => Some(port >= limit),
        _ => None,
    }
}

/// Every value that `right` lists: a scalar, a list, or a set written out.
fn listed(right: &Value) -> Vec<&Value> {
    match right {
        Value::Object(object) => match object.get("set") {
            Some(set) => listed(set),
            None => vec![right],
        },
        Value::Array(values) => values.iter().flat_map(listed).collect(),
        scalar => vec![scalar],
    }
}

fn texts(right: &Value, own: &str) -> bool {
    listed(right).iter().any(|value| value.as_str() == Some(own))
}

fn device(right: &Value, packet: &Packet, way: Direction) -> bool {
    // The way of the other direction has no such interface, and the name of none is empty.
    let own = if packet.way == way { packet.interface.as_str() } else { "" };
    listed(right).iter().filter_map(|value| value.as_str()).any(|name| match name.strip_suffix('*') {
        Some(beginning) => !own.is_empty() && own.starts_with(beginning),
        None => name == own,
    })
}

fn protocol(right: &Value, packet: &Packet) -> bool {
    let own = match packet.carries {
        Carries::Udp(_) => 17,
        Carries::Igmp => 2,
        Carries::Mld => 58,
    };
    listed(right).iter().any(|value| match value {
        Value::String(text) => PROTOCOLS.contains(&(text.as_str(), own)),
        other => other.as_u64() == Some(own),
    })
}

/// `None` when a value is of a form we do not know.
fn numbers(right: &Value, own: u64) -> Option<bool> {
    let mut any = false;
    for value in listed(right) {
        any |= match (value.as_u64(), value.get("range").and_then(Value::as_array).map(Vec::as_slice)) {
            (Some(number), _) => number == own,
            (None, Some([low, high])) => (low.as_u64()?..=high.as_u64()?).contains(&own),
            (None, _) => return None,
        };
    }
    Some(any)
}

fn addresses(right: &Value, own: IpAddr) -> Option<bool> {
    let mut any = false;
    for value in listed(right) {
        let prefix = value.get("prefix");
        let range = value.get("range").and_then(Value::as_array).map(Vec::as_slice);
        any |= match (value.as_str(), prefix, range) {
            (Some(text), _, _) => text.parse::<IpAddr>().ok()? == own,
            (None, Some(prefix), _) => within(prefix, own)?,
            (None, None, Some([low, high])) => {
                (low.as_str()?.parse::<IpAddr>().ok()?..=high.as_str()?.parse().ok()?).contains(&own)
            }
            _ => return None,
        };
    }
    Some(any)
}

fn within(prefix: &Value, own: IpAddr) -> Option<bool> {
    let address = prefix.get("addr")?.as_str()?.parse().ok()?;
    let length = u8::try_from(prefix.get("len")?.as_u64()?).ok()?;
    Some(Address { address, prefix: length, tentative: false, duplicate: false }.covers(own))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn udp() -> Packet {
        Packet {
            way: Direction::In,
            interface: "eth0".into(),
            from: None,
            to: "224.1.1.1".parse().unwrap(),
            carries: Carries::Udp(5007),
        }
    }

    fn asked(left: &str, op: &str, right: Value, packet: &Packet) -> Option<bool> {
        Condition::Match { left: left.into(), op: op.into(), right }.holds(packet)
    }

    #[test]
    fn what_a_rule_may_ask_of_a_datagram() {
        for (left, op, right, expected) in [
            ("udp dport", "==", json!(5007), Some(true)),
            ("udp dport", "==", json!({"set": [5006, {"range": [5007, 5010]}]}), Some(true)),
            ("udp dport", "!=", json!(5007), Some(false)),
            ("udp dport", "<", json!(1024), Some(false)),
            ("udp dport", "==", json!("@open"), None),
            ("tcp dport", "!=", json!(22), Some(false)),
            ("ip daddr", "==", json!({"prefix": {"addr": "224.0.0.0", "len": 4}}), Some(true)),
            ("ip daddr", "==", json!({"range": ["224.1.1.2", "224.1.1.9"]}), Some(false)),
            ("ip6 daddr", "!=", json!("ff02::1"), Some(false)),
            ("ip saddr", "==", json!("192.0.2.7"), None),
            ("meta iifname", "==", json!("eth*"), Some(true)),
            ("meta iifname", "!=", json!("lo"), Some(true)),
            ("meta oifname", "==", json!("eth0"), Some(false)),
            ("meta l4proto", "==", json!({"set": ["tcp", "udp"]}), Some(true)),
            ("meta l4proto", "==", json!(17), Some(true)),
            ("meta pkttype", "==", json!("multicast"), Some(true)),
            ("ct state", "in", json!(["established", "related"]), Some(false)),
            ("ct state", "in", json!("invalid"), Some(false)),
            ("socket mark", "==", json!(1), None),
        ] {
            assert_eq!(asked(left, op, right.clone(), &udp()), expected, "{left} {op} {right}");
        }
    }

    #[test]
    fn joins_are_told_apart_from_datagrams() {
        let igmp = Packet { carries: Carries::Igmp, ..udp() };
        assert_eq!(asked("ip protocol", "==", json!("igmp"), &igmp), Some(true));
        assert_eq!(asked("udp dport", "!=", json!(5007), &igmp), Some(false), "no port at all");
    }
}
