//! `castlab doctor --probe` between two network namespaces: four open ways are silence, and each that is shut is named
//! from both ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "doctor/guide.rs"]
mod guide;
#[path = "doctor/two.rs"]
mod two;

use two::{JOINED, Side, probe};

const QUICK: &str = "-i 20ms -c 5";

#[test]
fn on_a_good_wire_both_ends_have_nothing_to_say() {
    for group in ["239.1.1.1:6000", "'[ff15::1:5]:6000'", "'[ff02::1:5]:6000'"] {
        let both = format!("{QUICK} {group}");
        let Some(sides) = probe("on_a_good_wire", JOINED, &both, &both) else { return };
        for Side { result, told, code } in sides {
            assert_eq!((two::codes(&result, "fault"), code), (Vec::new(), Some(0)), "{group}: {told}");
            let heard = &result["facts"]["probe"]["heard"][0];
            for way in ["multicast_to", "multicast_from", "unicast_to", "unicast_from"] {
                assert!(heard[way]["heard"].as_u64().unwrap() > 0, "{group} {way}: {told}");
            }
            assert!(["left", "right"].map(Into::into).contains(&heard["name"]), "{told}");
        }
    }
}

/// What makes the network ill, and what left and right must then say.
fn ill(test: &str, network: &str, left: &str, right: &str, expected: [&[&str]; 2]) {
    let Some(sides) = probe(test, network, &format!("{QUICK} {left}"), &format!("{QUICK} {right}")) else { return };
    for (Side { result, told, code }, expected) in sides.into_iter().zip(expected) {
        assert_eq!(two::codes(&result, "fault"), expected, "{told}");
        assert_eq!(code, Some(i32::from(!expected.is_empty())), "{told}");
    }
}

/// A packet filter on the wire itself, which neither end can read: on the bridge between them.
fn bridged(rule: &str) -> String {
    format!(
        "ip link add br0 type bridge; ip link set br0 up
        for side in left right; do
            ip link add ${{side}}0 type veth peer name ${{side}}1
            ip link set ${{side}}1 master br0; ip link set ${{side}}1 up
            give $side ${{side}}0
            on $side ip route add 224.0.0.0/4 dev ${{side}}0
        done
        on left ip address add 192.0.2.1/24 dev left0
        on right ip address add 192.0.2.2/24 dev right0
        nft add table bridge f; nft add chain bridge f forward '{{ type filter hook forward priority 0; }}'
        nft add rule bridge f forward {rule} drop
        "
    )
}

#[test]
fn a_network_that_keeps_multicast_apart() {
    let network = bridged("ip daddr 239.1.1.1");
    // The left names the right, which then hears of it by unicast.
    ill(
        "a_network_that_keeps_multicast_apart",
        &network,
        "--peer 192.0.2.2 239.1.1.1",
        "239.1.1.1",
        [&["MC-FILTERED"]; 2],
    );
}

#[test]
fn multicast_that_comes_through_one_way() {
    let network = bridged("iifname right1 ip daddr 239.1.1.1");
    ill("multicast_that_comes_through_one_way", &network, "239.1.1.1", "239.1.1.1", [&["MC-ONEWAY"]; 2]);
}

#[test]
fn unicast_that_does_not_come_through() {
    let network = bridged("ip daddr 192.0.2.0/24 ip protocol udp");
    ill("unicast_that_does_not_come_through", &network, "239.1.1.1", "239.1.1.1", [&["NET-FIREWALL"]; 2]);
}

#[test]
fn strict_reverse_paths_are_told_by_their_counter() {
    // What comes from the right, which the left routes elsewhere, is thrown away by the left and counted.
    let network = format!(
        "{JOINED}
        on left sh -c 'echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter'
        on left ip route add 192.0.2.2/32 dev lo
        "
    );
    let Some(sides) = probe(
        "strict_reverse_paths",
        &network,
        &format!("{QUICK} -W 5s 239.1.1.1"),
        &format!("{QUICK} -W 5s 239.1.1.1"),
    ) else {
        return;
    };
    let [left, _] = sides;
    assert!(two::codes(&left.result, "fault").contains(&"MC-RPF".to_owned()), "{}", left.told);
    assert!(left.result["facts"]["probe"]["filtered"].as_u64().unwrap() > 0, "{}", left.told);
}

#[test]
fn a_router_between_ends_a_ttl_of_1() {
    let network = "
        ip link add l0 type veth peer name l1
        ip link add r0 type veth peer name r1
        give left l0
        give right r0
        ip link set l1 up; ip link set r1 up
        ip address add 192.0.2.254/24 dev l1; ip address add 198.51.100.254/24 dev r1
        echo 1 > /proc/sys/net/ipv4/ip_forward
        on left ip address add 192.0.2.1/24 dev l0
        on right ip address add 198.51.100.1/24 dev r0
        on left ip route add default via 192.0.2.254
        on right ip route add default via 198.51.100.254
    ";
    let expected: &[&str] =
        if std::path::Path::new("/.dockerenv").exists() { &["MC-DOCKER-BRIDGE"] } else { &["MC-TTL"] };
    ill("a_router_between", network, "--peer 198.51.100.1 239.1.1.1", "239.1.1.1", [expected; 2]);
}

#[test]
fn nobody_is_told_apart_from_nobody_there() {
    for (asked, rule, code) in [
        ("239.1.1.1", "", "MC-SILENT"),
        ("--peer 192.0.2.2 239.1.1.1", "", "UDP-REFUSED"),
        ("--peer 192.0.2.2 239.1.1.1", "on right ip link set r0 down", "NET-ISOLATION"),
    ] {
        let network = format!("{JOINED}{rule}\n");
        let Some(side) = two::alone("nobody_is_told_apart", &network, &format!("-i 20ms -W 1s {asked}")) else {
            return;
        };
        let faults = two::codes(&side.result, "fault");
        // A wire whose other end is down has no carrier, which is a fault too.
        assert!(faults.contains(&code.to_owned()), "{asked} {rule}: {}", side.told);
        assert_eq!(side.code, Some(if faults.len() == 1 { 4 } else { 1 }), "{}", side.told);
    }
}

#[test]
fn the_guide_shows_what_the_probe_prints() {
    let network = bridged("iifname right1 ip daddr 239.1.1.1");
    let asked = format!("{QUICK} 239.1.1.1");
    let Some(told) = two::told_on_the_left("the_guide_shows_what_the_probe_prints", &network, &asked) else { return };
    assert!(guide::shows(&told), "DOCTOR.md shows nothing like: {told}");
}
