//! `MC-TTL` and `MC-DOCKER-BRIDGE`: the sender is not on our link, and what would have to carry its messages here.

use core::net::IpAddr;

use crate::facts::Way;
use crate::{Facts, Finding};

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let far = facts.question.source.filter(|source| facts.link_of(*source).is_none());
    match (&facts.container, far) {
        (Some(container), far) if is_bridged(facts) => vec![bridged(facts, container, far)],
        (_, Some(source)) => vec![far_away(facts, source)],
        (_, None) => Vec::new(),
    }
}

/// A container's own end of a wire to a bridge of its host.
fn is_bridged(facts: &Facts) -> bool {
    let working = facts.working();
    !working.is_empty()
        && working.iter().all(|one| one.kind == "veth" || one.flags.loopback)
        && working.iter().any(|one| one.kind == "veth")
}

fn bridged(facts: &Facts, container: &str, far: Option<IpAddr>) -> Finding {
    let names: Vec<&str> = facts.working().iter().map(|one| one.name.as_str()).collect();
    let finding = Finding::new(
        "MC-DOCKER-BRIDGE",
        match far {
            Some(source) => format!("this is a {container} container behind a bridge, and {source} is outside of it"),
            None => format!("this is a {container} container: {} is a wire to a bridge of its host", names.join(", ")),
        },
        "containers on the same network hear each other; the bridge carries no multicast to or from the LAN",
        "run it with `--network host` on Linux, or on a macvlan network",
    );
    if far.is_some() { finding } else { finding.note() }
}

fn far_away(facts: &Facts, source: IpAddr) -> Finding {
    let group = facts.question.group;
    let by = match &facts.way_to_source {
        Some(Way::Through { gateway: Some(router), .. }) => format!("behind the router {router}"),
        _ => "on no link of this machine".to_owned(),
    };
    let stays = match group {
        IpAddr::V4(group) => group.octets()[..3] == [224, 0, 0],
        IpAddr::V6(group) => group.octets()[1] & 0x0f <= 2,
    };
    if stays {
        return Finding::new(
            "MC-TTL",
            format!("{source} is {by}, and {group} never leaves its link"),
            "no router forwards that group, whatever the TTL",
            "use a group of 239.0.0.0/8 or ff15::/16",
        );
    }
    Finding::new(
        "MC-TTL",
        format!("{source} is {by}"),
        "what it sends with the usual TTL of 1 ends at the first router, and routers carry groups only where multicast \
         routing is set up",
        format!("multicast-sender --ttl 8 {}   # there; and `ip mroute` on each router between", facts.target()),
    )
    .warning()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::{codes, healthy};

    fn far(facts: Facts) -> Facts {
        facts.source("203.0.113.9", Way::Through { index: 2, gateway: "192.0.2.254".parse().ok() })
    }

    #[test]
    fn a_sender_behind_a_router_needs_a_ttl() {
        assert_eq!(examine(&healthy().source("192.0.2.9", Way::Through { index: 2, gateway: None })), []);
        let found = examine(&far(healthy()));
        assert_eq!((codes(&found), found[0].severity), (vec!["MC-TTL"], Severity::Warning));
        assert!(found[0].seen.contains("192.0.2.254"));
        let found = examine(&far(healthy().group("224.0.0.251")));
        assert_eq!((codes(&found), found[0].severity), (vec!["MC-TTL"], Severity::Fault));
    }

    #[test]
    fn a_bridge_of_containers_leads_nowhere_else() {
        let mut facts = healthy();
        facts.container = Some("docker".into());
        assert_eq!(examine(&facts), [], "on the host's network");
        facts.interfaces[1].kind = "veth".into();
        assert_eq!(examine(&facts)[0].severity, Severity::Note);
        let found = examine(&far(facts));
        assert_eq!((codes(&found), found[0].severity), (vec!["MC-DOCKER-BRIDGE"], Severity::Fault));
    }
}
