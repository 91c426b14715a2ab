//! What the probe with another copy tells: which of the four ways are shut, and the likeliest cause.

use core::net::IpAddr;

use crate::facts::Probe;
use crate::probe::Heard;
use crate::{Facts, Finding};

/// From this loss on it is told, in percent: below it a probe of a few datagrams proves little.
const MUCH: u32 = 25;

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let Some(probe) = &facts.probe else { return Vec::new() };
    if probe.heard.is_empty() {
        return vec![nobody(facts, probe)];
    }
    probe.heard.iter().flat_map(|heard| of_one(facts, heard)).collect()
}

fn nobody(facts: &Facts, probe: &Probe) -> Finding {
    let (target, port) = (facts.target(), facts.question.port);
    match (probe.peer, probe.refused) {
        (Some(peer), true) => Finding::new(
            "UDP-REFUSED",
            format!("{peer} answers that nobody listens on UDP {port}"),
            "its machine is reached; the other copy does not run there, or has ended",
            format!("castlab doctor --probe {target}   # there, at the same time"),
        ),
        (Some(peer), false) => Finding::new(
            "NET-ISOLATION",
            format!("{peer} answers neither multicast nor unicast to UDP {port}"),
            "the other copy does not run, or the network keeps the two apart: a firewall, or Wi-Fi that isolates its clients",
            format!("ping -c 3 {peer}   # if that works: allow UDP {port} on both"),
        ),
        (None, _) => Finding::new(
            "MC-SILENT",
            format!("no other copy was heard on {target}"),
            "none runs, or multicast comes through neither way",
            format!(
                "castlab doctor --probe {target} --peer ADDRESS   # name the other machine: it is then asked by unicast"
            ),
        ),
    }
}

fn of_one(facts: &Facts, heard: &Heard) -> Vec<Finding> {
    let (to, from) = (heard.multicast_to.works(), heard.multicast_from.works());
    let unicast = [heard.unicast_to.works(), heard.unicast_from.works()];
    match (to, from, unicast) {
        (true, true, [true, true]) => lossy(facts, heard).into_iter().collect(),
        (_, _, [false, false]) | (true, true, _) => vec![no_unicast(facts, heard)],
        (false, false, _) => vec![neither(facts, heard)],
        (true, false, _) => vec![one_way(facts, heard, true)],
        (false, true, _) => vec![one_way(facts, heard, false)],
    }
}

fn no_unicast(facts: &Facts, heard: &Heard) -> Finding {
    let (peer, port) = (heard.address, facts.question.port);
    let way = match (heard.unicast_to.works(), heard.unicast_from.works()) {
        (false, true) => format!("to {peer}"),
        (true, false) => format!("from {peer}"),
        _ => format!("to and from {peer}"),
    };
    Finding::new(
        "NET-FIREWALL",
        format!("multicast comes through, and unicast {way} does not"),
        "a packet filter on the way, or on the machine that does not hear, takes it",
        format!("sudo castlab doctor {}   # on both; and allow UDP {port}", facts.target()),
    )
}

fn neither(facts: &Facts, heard: &Heard) -> Finding {
    let peer = heard.address;
    if facts.link_of(peer).is_none() {
        return too_far(facts, peer);
    }
    Finding::new(
        "MC-FILTERED",
        format!("unicast to and from {peer} works, multicast neither way"),
        "what stands between drops groups: a switch that snoops without a querier, Wi-Fi, or a virtual network",
        "bridge -d link show   # or the switch's pages: turn IGMP snooping off, or a querier on",
    )
}

fn too_far(facts: &Facts, peer: IpAddr) -> Finding {
    let ttl = facts.question.ttl;
    if facts.container.is_some() {
        return Finding::new(
            "MC-DOCKER-BRIDGE",
            format!("unicast to and from {peer} works, multicast neither way, and this is a container"),
            "the bridge of containers carries no multicast to or from the LAN",
            "run it with `--network host` on Linux, or on a macvlan network",
        );
    }
    let means = if ttl <= 1 {
        "there is a router between, and a TTL of 1 ends there"
    } else {
        "there is a router between, and it does not carry groups"
    };
    Finding::new(
        "MC-TTL",
        format!(
            "unicast to and from {peer} works, multicast neither way; it is on no link of ours and the TTL is {ttl}"
        ),
        means,
        format!(
            "castlab doctor --probe --ttl {} {}   # on both; `ip mroute` on the router",
            ttl.max(8),
            facts.target()
        ),
    )
}

/// `ours` comes through there, or theirs here.
fn one_way(facts: &Facts, heard: &Heard, ours: bool) -> Finding {
    let (peer, target) = (heard.address, facts.target());
    let (seen, deaf) = if ours {
        (
            format!("{peer} hears our multicast, and its multicast does not come here"),
            "this machine, its port of the switch",
        )
    } else {
        (
            format!("the multicast of {peer} comes here, and ours does not come there"),
            "that machine, its port of the switch",
        )
    };
    Finding::new(
        "MC-ONEWAY",
        seen,
        format!("the group itself is carried: what keeps it away is {deaf}, or the interface the other sends by"),
        format!(
            "sudo castlab doctor {target}   # on the machine that does not hear; and name the sender's interface with -I"
        ),
    )
}

fn lossy(facts: &Facts, heard: &Heard) -> Option<Finding> {
    let worst =
        |paths: [crate::probe::Path; 2]| paths.into_iter().map(crate::probe::Path::loss_percent).max().unwrap_or(0);
    let multicast = worst([heard.multicast_to, heard.multicast_from]);
    let unicast = worst([heard.unicast_to, heard.unicast_from]);
    if multicast < MUCH || multicast < unicast.saturating_mul(2) {
        return None;
    }
    let wireless = facts.working().iter().any(|one| one.kind == "wireless");
    let means = if wireless {
        "Wi-Fi sends multicast at a low rate and never again when it is lost (RFC 9119 section 3)"
    } else {
        "what carries groups on the way loses them: an access point, or a switch that is too busy"
    };
    let seen = format!("{multicast} % of the multicast is lost and {unicast} % of the unicast, with {}", heard.address);
    Some(
        Finding::new("MC-WIFI", seen, means, "send less a second, or turn on multicast-to-unicast in the access point")
            .warning(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{codes, healthy};
    use crate::probe::Path;

    const ALL: Path = Path { sent: 8, heard: 8 };
    const NONE: Path = Path { sent: 8, heard: 0 };

    fn heard(peer: &str, multicast: [Path; 2], unicast: [Path; 2]) -> Heard {
        let [multicast_to, multicast_from] = multicast;
        let [unicast_to, unicast_from] = unicast;
        let address = peer.parse().unwrap();
        Heard { address, name: "other".into(), multicast_to, multicast_from, unicast_to, unicast_from }
    }

    fn probed(heard: Vec<Heard>) -> Facts {
        let mut facts = healthy();
        facts.probe = Some(Probe { peer: None, refused: false, heard, filtered: 0 });
        facts
    }

    #[test]
    fn each_way_that_is_shut_has_its_cause() {
        for (peer, multicast, unicast, expected) in [
            ("192.0.2.2", [ALL, ALL], [ALL, ALL], vec![]),
            ("192.0.2.2", [NONE, NONE], [ALL, ALL], vec!["MC-FILTERED"]),
            ("203.0.113.2", [NONE, NONE], [ALL, ALL], vec!["MC-TTL"]),
            ("192.0.2.2", [ALL, NONE], [ALL, ALL], vec!["MC-ONEWAY"]),
            ("192.0.2.2", [NONE, ALL], [ALL, ALL], vec!["MC-ONEWAY"]),
            ("192.0.2.2", [ALL, ALL], [NONE, ALL], vec!["NET-FIREWALL"]),
            ("192.0.2.2", [NONE, ALL], [NONE, NONE], vec!["NET-FIREWALL"]),
            ("192.0.2.2", [Path { sent: 8, heard: 4 }, ALL], [ALL, ALL], vec!["MC-WIFI"]),
            ("192.0.2.2", [Path { sent: 8, heard: 7 }, ALL], [ALL, ALL], vec![]),
        ] {
            let found = examine(&probed(vec![heard(peer, multicast, unicast)]));
            assert_eq!(codes(&found), expected, "{multicast:?} {unicast:?}");
        }
    }

    #[test]
    fn nobody_is_told_by_how_nobody() {
        let mut facts = probed(Vec::new());
        assert_eq!(codes(&examine(&facts)), ["MC-SILENT"]);
        facts.probe.as_mut().unwrap().peer = "192.0.2.2".parse().ok();
        assert_eq!(codes(&examine(&facts)), ["NET-ISOLATION"]);
        facts.probe.as_mut().unwrap().refused = true;
        assert_eq!(codes(&examine(&facts)), ["UDP-REFUSED"]);
    }
}
