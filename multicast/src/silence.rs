//! Why nobody was heard, as far as the receiver itself can know, and what to try.

use labkit::interface::Interface;
use labkit::{Exit, Failure};

use crate::Group;

/// The likeliest reason that a receiver of `group`, joined on `joined` out of `all` interfaces, heard nobody. Nothing
/// was seen, so this is advice in order of how often it helps, not a finding.
#[must_use]
pub fn explain(group: &Group, joined: &[Interface], all: &[Interface]) -> Failure {
    let names = |interfaces: &[&Interface]| {
        interfaces.iter().map(|interface| interface.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let on = names(&joined.iter().collect::<Vec<_>>());
    let others: Vec<&Interface> = all
        .iter()
        .filter(|one| one.is_usable(group.family()) && !joined.iter().any(|j| j.index == one.index))
        .collect();
    let failure = |code, why: &str| {
        Failure::new(Exit::NobodyAnswered, code, format!("nobody was heard on {group}, joined on {on}{why}"))
    };
    if joined.is_empty() {
        return failure("MC-IFACE", "no interface at the end: the one meant went down or away")
            .hint("`ip link` shows the interfaces; `ip link set eth0 up`, or choose another with -I");
    }
    if joined.iter().all(|interface| interface.flags.loopback) {
        return failure("MC-IFACE", ", which no other machine reaches").hint(
            "a sender on this machine must use `-I lo` too; for senders elsewhere use `-I all`; \
             one that sent before we joined is not heard either",
        );
    }
    if !others.is_empty() {
        return failure("MC-IFACE", &format!(" and not on {}", names(&others)))
            .hint("`-I all` joins on every usable interface; the sender names its own in its banner");
    }
    if let Some(source) = group.source() {
        return failure("MC-SOURCE", &format!("; {source} alone was asked for")).hint(format!(
            "the sender names the address it sends from in its banner; `multicast-receiver {}:{}` hears every source",
            group.address(),
            group.port()
        ));
    }
    if matches!(group.address(), std::net::IpAddr::V4(v4) if v4.octets()[0] == 232) {
        return failure("MC-ADDR", "; 232.0.0.0/8 is for receivers that name the source (RFC 4607)").hint(format!(
            "name the sender's address, as in `multicast-receiver 192.0.2.7,{}`; or use another group, such as 239.1.1.1",
            group.address()
        ));
    }
    let port = group.port();
    failure("MC-SILENT", "").hint(format!(
        "`castlab doctor '{group}'` looks for the reason. Does the sender run, and name the same group and network? `tcpdump -ni any udp port {port}` here shows whether \
         packets come: if so a firewall takes them (NET-FIREWALL: allow UDP {port} in); if not, the sender's TTL \
         (MC-TTL) or interface keeps them away; a sender on this machine that uses `-I lo` is heard with `-I lo` only"
    ))
}

#[cfg(test)]
mod tests {
    use labkit::interface::Flags;

    use super::*;

    fn ether(name: &str, index: u32) -> Interface {
        let flags = Flags { up: true, multicast: true, ..Flags::default() };
        Interface { name: name.into(), index, v4: vec![[192, 0, 2, 7].into()], v6: Vec::new(), flags }
    }

    fn loopback() -> Interface {
        let flags = Flags { up: true, loopback: true, ..Flags::default() };
        Interface { flags, v4: vec![[127, 0, 0, 1].into()], ..ether("lo", 1) }
    }

    fn explained(group: &str, joined: &[Interface]) -> Failure {
        explain(&Group::parse(group).unwrap(), joined, &[loopback(), ether("eth0", 2), ether("eth1", 3)])
    }

    #[test]
    fn the_likeliest_cause_has_a_code_and_a_command() {
        for (group, joined, code, word) in [
            ("224.1.1.1", vec![loopback()], "MC-IFACE", "no other machine"),
            ("224.1.1.1", Vec::new(), "MC-IFACE", "joined on no interface at the end"),
            ("224.1.1.1", vec![ether("eth0", 2)], "MC-IFACE", "not on eth1"),
            ("232.1.1.1", vec![ether("eth0", 2), ether("eth1", 3)], "MC-ADDR", "RFC 4607"),
            ("192.0.2.9,232.1.1.1", vec![ether("eth0", 2), ether("eth1", 3)], "MC-SOURCE", "192.0.2.9 alone"),
            ("224.1.1.1", vec![ether("eth0", 2), ether("eth1", 3)], "MC-SILENT", "joined on eth0, eth1"),
        ] {
            let failure = explained(group, &joined);
            assert_eq!((failure.exit, failure.code), (Exit::NobodyAnswered, code));
            assert!(failure.message.contains(word), "{failure}");
            assert!(failure.hint.is_some());
        }
    }

    #[test]
    fn where_nothing_is_known_the_doctor_is_named() {
        let hint = explained("224.1.1.1", &[ether("eth0", 2), ether("eth1", 3)]).hint.unwrap();
        assert!(hint.contains("`castlab doctor '224.1.1.1:5007'`"), "{hint}");
    }
}
