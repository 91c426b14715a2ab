//! Faults made on purpose in private networks, each named rightly by `castlab doctor`; and silence where there is none.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "doctor/guide.rs"]
mod guide;
#[path = "doctor/namespace.rs"]
mod namespace;

use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use namespace::{MACHINE, codes, run, shown};
use serde_json::Value;

/// A fault, and what must be said of it.
struct Case {
    /// How the machine is made ill.
    fault: &'static str,
    /// What is typed after `castlab doctor`.
    asked: &'static str,
    /// The codes of the faults and of the warnings that must be found, and no others.
    faults: &'static [&'static str],
    warnings: &'static [&'static str],
    /// A word that what was seen must hold.
    says: &'static str,
}

const HEALTHY: Case = Case { fault: "", asked: "224.1.1.1", faults: &[], warnings: &[], says: "" };

const FILTER: &str = "nft add table inet f; nft add chain inet f";

fn examine(test: &str, tools: &[&str], case: &Case) {
    let script = format!("{}\n\"$CASTLAB\" doctor --json {}", case.fault, case.asked);
    let Some(output) = run(test, MACHINE, tools, &script) else { return };
    let told = shown(&output);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
    assert_eq!(codes(&result, "fault"), case.faults, "{} {}: {told}", case.fault, case.asked);
    assert_eq!(codes(&result, "warning"), case.warnings, "{} {}: {told}", case.fault, case.asked);
    assert_eq!(output.status.code(), Some(i32::from(!case.faults.is_empty())), "{told}");
    let findings = result["findings"].to_string();
    assert!(findings.contains(case.says), "{} {}: '{}' in {findings}", case.fault, case.asked, case.says);
}

#[test]
fn a_healthy_machine_is_told_in_one_line() {
    for (asked, on) in [
        ("", "224.1.1.1:5007 was joined, sent to and heard on lo"),
        ("224.1.1.1", "heard on eth0, eth1"),
        ("-I eth1 239.1.2.3:6000", "239.1.2.3:6000 was joined, sent to and heard on eth1"),
        ("'[ff15::1:5]:5007'", "heard on eth0, eth1"),
        ("'ff02::1:5%eth1'", "heard on eth1"),
        ("192.0.2.9,232.1.1.1 -I eth0 -l 1472", "heard on eth0"),
        ("--count 3 --interval 10ms 198.51.100.7,239.1.1.1", "heard on eth0, eth1"),
    ] {
        let script = format!("\"$CASTLAB\" doctor {asked}");
        let Some(output) = run("a_healthy_machine_is_told_in_one_line", MACHINE, &[], &script) else { return };
        let told = shown(&output);
        assert_eq!((output.status.code(), told.lines().count()), (Some(0), 1), "{asked}: {told}");
        assert!(told.starts_with("Nothing found: ") && told.contains(on), "{asked}: {told}");
    }
}

#[test]
fn without_a_group_nothing_leaves_the_machine() {
    let script = r#"
        sent() { cat /sys/class/net/eth0/statistics/tx_packets 2>/dev/null; ip -s -o link show eth0; }
        before=$(sent)
        "$CASTLAB" doctor -q --events "$FOLDER/unasked" > /dev/null
        [ "$before" = "$(sent)" ] || echo "SENT: $before / $(sent)"
        "$CASTLAB" doctor -q --events "$FOLDER/asked" 239.9.9.9 > /dev/null
        for asked in unasked asked; do sed -n "s/.*\"joined\".*\"interface\":\"\([a-z0-9]*\)\".*/$asked joined \1/p" "$FOLDER/$asked"; done
    "#;
    // Nothing else may send on the interface meanwhile: without IPv6 there is no router solicitation.
    let quiet = MACHINE.replace(
        "ip link set $device up",
        "echo 1 > /proc/sys/net/ipv6/conf/$device/disable_ipv6\nip link set $device up",
    );
    let quiet: String = quiet.lines().filter(|line| !line.contains("fd00:")).map(|line| format!("{line}\n")).collect();
    let Some(output) = run("without_a_group_nothing_leaves_the_machine", &quiet, &[], script) else { return };
    let told = shown(&output);
    assert_eq!(told, "unasked joined lo\nasked joined eth0\nasked joined eth1\n");
}

#[test]
fn interfaces_that_are_wrong_or_missing() {
    for case in [
        Case { asked: "-I eth9 224.1.1.1", faults: &["MC-IFACE"], says: "no interface is called eth9", ..HEALTHY },
        Case {
            fault: "ip link set eth0 multicast off",
            asked: "-I eth0 224.1.1.1",
            faults: &["MC-IFACE"],
            says: "lacks the flag MULTICAST",
            ..HEALTHY
        },
        Case {
            fault: "ip address flush dev eth0; ip address flush dev eth1",
            faults: &["MC-IFACE", "MC-NOROUTE"],
            says: "it has no IPv4 address",
            ..HEALTHY
        },
        Case {
            asked: "-I eth0 198.51.100.9,224.1.1.1",
            faults: &["MC-IFACE"],
            says: "198.51.100.9 is on the link of eth1",
            ..HEALTHY
        },
        Case {
            fault: "echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6",
            asked: "-I eth0 ff15::1:5",
            faults: &["MC-IFACE"],
            says: "IPv6 is switched off on it",
            ..HEALTHY
        },
        Case {
            fault: "ip address add 203.0.113.1/24 dev p0",
            asked: "-I p0 224.1.1.1",
            faults: &["MC-IFACE"],
            says: "p0 is a part of bridge eth0",
            ..HEALTHY
        },
        Case {
            fault: "ip tuntap add dev t0 mode tun; ip link set t0 up; ip address add 10.9.0.2/32 dev t0; ip route add 224.0.0.0/4 dev t0",
            faults: &["MC-IFACE"],
            says: "the route to 224.1.1.1 leads through t0 (it is a tunnel)",
            ..HEALTHY
        },
        Case {
            fault: "ip link set eth0 down",
            asked: "-I eth0 224.1.1.1",
            faults: &["MC-DOWN"],
            says: "switched off",
            ..HEALTHY
        },
        Case {
            fault: "ip link add v0 type veth peer name v1; ip link set v0 up; ip address add 203.0.113.1/24 dev v0",
            asked: "-I v0 224.1.1.1",
            faults: &["MC-DOWN"],
            says: "no carrier",
            ..HEALTHY
        },
    ] {
        if case.fault.contains("tuntap") && !std::path::Path::new("/dev/net/tun").exists() {
            namespace::skipped("interfaces_that_are_wrong_or_missing", "no /dev/net/tun: a tunnel was not tried");
            continue;
        }
        examine("interfaces_that_are_wrong_or_missing", &[], &case);
    }
}

#[test]
fn no_route_to_the_group() {
    for fault in ["ip route del default", "ip route add prohibit 224.0.0.0/4", "ip route add unreachable 224.0.0.0/4"] {
        examine(
            "no_route_to_the_group",
            &[],
            &Case { fault, faults: &["MC-NOROUTE"], says: "ip route add 224.0.0.0/4 dev eth0", ..HEALTHY },
        );
    }
    examine(
        "no_route_to_the_group",
        &[],
        &Case { fault: "ip route del default", asked: "-I eth0 224.1.1.1", ..HEALTHY },
    );
}

#[test]
fn rules_of_the_firewall_are_read() {
    let hook = |chain: &str, policy: &str| {
        format!("{FILTER} {chain} '{{ type filter hook {chain} priority 0; policy {policy}; }}';")
    };
    let (input, closed, output) = (hook("input", "accept"), hook("input", "drop"), hook("output", "accept"));
    for (fault, asked, faults, warnings, says) in [
        (
            format!("{input} nft add rule inet f input udp dport 5007 drop"),
            "224.1.1.1",
            1,
            0,
            "chain inet f input drops UDP to 224.1.1.1:5007",
        ),
        (format!("{input} nft add rule inet f input udp dport 5007 drop"), "224.1.1.1:5008", 0, 0, ""),
        (
            format!(
                "{closed} nft add rule inet f input iif lo accept; nft add rule inet f input ct state established,related accept"
            ),
            "224.1.1.1",
            1,
            1,
            "the policy of nftables chain inet f input",
        ),
        (
            format!(
                "{closed} nft add rule inet f input udp dport 5000-5010 accept; nft add rule inet f input meta l4proto '{{ igmp, icmpv6 }}' accept"
            ),
            "224.1.1.1",
            0,
            0,
            "",
        ),
        (
            format!("{closed} nft add rule inet f input ct state vmap '{{ established : accept, invalid : drop }}'"),
            "224.1.1.1",
            1,
            1,
            "the policy of nftables chain inet f input",
        ),
        (
            format!("{closed} nft add rule inet f input udp dport vmap '{{ 53 : drop, 5007 : accept }}'"),
            "224.1.1.1",
            0,
            1,
            "IGMP",
        ),
        (
            format!("{output} nft add rule inet f output ip protocol igmp drop"),
            "224.1.1.1",
            1,
            0,
            "IGMP going out by eth0",
        ),
        (
            format!("{output} nft add rule inet f output ip daddr 224.0.0.0/4 udp dport 5007 reject"),
            "-I eth0 224.1.1.1",
            1,
            0,
            "going out by eth0",
        ),
        (
            format!("{input} nft add rule inet f input ip6 daddr ff15::/16 drop"),
            "ff15::1:5",
            1,
            0,
            "drops UDP to [ff15::1:5]:5007",
        ),
    ] {
        let codes: &[&str] = &["NET-FIREWALL"];
        let (faults, warnings) = (&codes[..faults], &codes[..warnings]);
        // The texts are made here, so the case borrows them for as long as the process lives.
        let fault = Box::leak(fault.into_boxed_str());
        examine("rules_of_the_firewall_are_read", &["nft"], &Case { fault, asked, faults, warnings, says });
    }
}

#[test]
fn a_firewall_that_cannot_be_read_is_felt() {
    // Without nft in the way the doctor sees what happens, not why.
    let script = format!(
        "{FILTER} input '{{ type filter hook input priority 0; }}'; nft add rule inet f input udp dport 5007 drop
        setpriv --bounding-set=-net_admin --inh-caps=-net_admin \"$CASTLAB\" doctor --json -I eth0 224.1.1.1"
    );
    let Some(output) = run("a_firewall_that_cannot_be_read_is_felt", MACHINE, &["nft", "setpriv"], &script) else {
        return;
    };
    let told = shown(&output);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
    assert_eq!((codes(&result, "fault"), output.status.code()), (vec!["NET-FIREWALL".to_owned()], Some(1)), "{told}");
    for word in ["joined 224.1.1.1:5007 on eth0, sent to it there, and heard nothing", "rules cannot be read"] {
        assert!(result["findings"].to_string().contains(word), "'{word}' in {told}");
    }
}

#[test]
fn reverse_paths_and_far_senders() {
    for case in [
        Case {
            fault: "echo 1 > /proc/sys/net/ipv4/conf/eth1/rp_filter",
            asked: "-I eth1 203.0.113.9,224.1.1.1",
            faults: &["MC-RPF"],
            warnings: &["MC-TTL"],
            says: "203.0.113.9 is routed through eth0, and eth1 has rp_filter=1",
        },
        Case {
            fault: "ip route del default; ip route add 224.0.0.0/4 dev eth0; for one in eth0 eth1; do echo 2 > /proc/sys/net/ipv4/conf/$one/rp_filter; done",
            asked: "203.0.113.9,224.1.1.1",
            faults: &["MC-RPF"],
            warnings: &["MC-TTL"],
            says: "no route leads back to 203.0.113.9",
        },
        Case {
            asked: "203.0.113.9,224.1.1.1",
            warnings: &["MC-TTL"],
            says: "behind the router 192.0.2.254",
            ..HEALTHY
        },
        Case { asked: "203.0.113.9,224.0.0.251", faults: &["MC-TTL"], says: "never leaves its link", ..HEALTHY },
        Case {
            fault: "echo 2 > /proc/sys/net/ipv4/conf/eth0/force_igmp_version",
            asked: "192.0.2.9,232.1.1.1 -I eth0",
            faults: &["MC-SSM"],
            says: "IGMPv2",
            ..HEALTHY
        },
    ] {
        examine("reverse_paths_and_far_senders", &[], &case);
    }
}

#[test]
fn groups_that_are_badly_chosen() {
    for case in [
        Case { asked: "232.1.1.1", warnings: &["MC-ADDR"], says: "no source is named", ..HEALTHY },
        Case { asked: "230.0.0.1", warnings: &["MC-ADDR"], says: "01:00:5e:00:00:01", ..HEALTHY },
        Case { asked: "ff02::1:5", faults: &["MC-SCOPE"], says: "is another group on every link", ..HEALTHY },
        Case { asked: "-I eth0 ff01::5", faults: &["MC-SCOPE"], says: "never leaves the interface", ..HEALTHY },
        Case {
            asked: "-l 4000 224.1.1.1 -I eth0",
            warnings: &["UDP-MTU"],
            says: "split in 3 on eth0 (MTU 1500)",
            ..HEALTHY
        },
        Case { asked: "-l 70000 224.1.1.1", faults: &["UDP-MTU"], says: "65507 are the most", ..HEALTHY },
        Case {
            fault: "echo 1 > /proc/sys/net/ipv4/igmp_max_memberships",
            faults: &["MC-LIMIT"],
            says: "2 interfaces are meant",
            ..HEALTHY
        },
    ] {
        examine("groups_that_are_badly_chosen", &[], &case);
    }
}

#[test]
fn bridges_and_containers() {
    for case in [
        Case {
            fault: "bridge link set dev p1 mcast_flood off",
            asked: "-I eth1 224.1.1.1",
            faults: &["MC-NOQUERIER"],
            says: "bridge eth1 snoops, nobody asks who is in which group, and p1 is not flooded",
            ..HEALTHY
        },
        Case {
            fault: "bridge link set dev p1 mcast_flood off; ip link set eth1 type bridge mcast_querier 1",
            asked: "-I eth1 224.1.1.1",
            ..HEALTHY
        },
        Case {
            fault: "export container=podman; ip link del eth0; ip link del eth1; ip link del p0; ip link del p1; ip link add v0 type veth peer name v1
                ip link set v0 up; ip link set v1 up; ip address add 172.18.0.2/16 dev v0; ip route add default via 172.18.0.1",
            asked: "192.0.2.9,224.1.1.1",
            faults: &["MC-DOCKER-BRIDGE"],
            says: "a podman container behind a bridge",
            ..HEALTHY
        },
    ] {
        examine("bridges_and_containers", &["bridge"], &case);
    }
}

/// `started EVENT PROGRAM ARGUMENTS`: runs it beside us, as `$started`, and goes on once it told the event.
const STARTED: &str = r#"
    started() {
        waited=$1
        shift
        mkfifo "$FOLDER/events"
        "$@" --events "$FOLDER/events" > /dev/null 2>&1 &
        started=$!
        exec 5< "$FOLDER/events"
        while read -r line <&5; do case $line in *"\"$waited\""*) break ;; esac; done
        trap 'kill -CONT $started; kill $started; wait $started || true' EXIT
    }
"#;

fn beside(test: &str, script: &str) -> Option<(Value, String)> {
    let binaries = ["udp-transfer-server", "multicast-receiver", "multicast-sender"];
    let names = binaries.map(|name| format!("{}='{}'\n", name.replace('-', "_"), cargo_bin(name).display())).concat();
    let output = run(test, MACHINE, &[], &format!("{names}{STARTED}{script}"))?;
    let told = shown(&output);
    Some((serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}")), told))
}

#[test]
fn a_port_held_by_somebody_else_is_named_with_who() {
    let script = r#"
        started started "$udp_transfer_server" --root "$FOLDER" --bind 0.0.0.0:6969
        "$CASTLAB" doctor --json -I eth0 224.1.1.1:6969 || true
    "#;
    let Some((result, told)) = beside("a_port_held_by_somebody_else_is_named_with_who", script) else { return };
    assert_eq!(codes(&result, "fault"), ["PORT-IN-USE"], "{told}");
    assert!(told.contains("UDP port 6969 is held by udp-transfer-server (process "), "{told}");
}

#[test]
fn a_receiver_that_reads_too_slowly_is_named() {
    // Stopped before anything comes, with the smallest buffer there is: it cannot but lose.
    let script = r#"
        started joined "$multicast_receiver" -I eth0 --rcvbuf 1 224.1.1.1:6000
        kill -STOP $started
        "$multicast_sender" -q -I eth0 -c 100 -i 0 224.1.1.1:6000 > /dev/null 2>&1
        "$CASTLAB" doctor --json -I eth0 224.1.1.1:6000 || true
    "#;
    let Some((result, told)) = beside("a_receiver_that_reads_too_slowly_is_named", script) else { return };
    assert_eq!(codes(&result, "fault"), ["UDP-RCVBUF"], "{told}");
    assert!(told.contains("datagrams for multicast-receiver (process "), "{told}");
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    for arguments in [
        &["192.0.2.9"][..],
        &["x,224.1.1.1"],
        &["--peer", "192.0.2.9"],
        &["--probe", "--peer", "fd00::1"],
        &["--interval", "1ms"],
        &["--count", "0"],
        &["--ttl", "0"],
    ] {
        let output = Command::new(cargo_bin("castlab")).arg("doctor").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", shown(&output));
    }
}

#[test]
fn interfaces_are_listed_with_what_is_joined_on_them() {
    let script = "ip link set eth1 multicast off; \"$CASTLAB\" interfaces --json; \"$CASTLAB\" interfaces";
    let Some(output) = run("interfaces_are_listed_with_what_is_joined_on_them", MACHINE, &[], script) else { return };
    let told = shown(&output);
    let first = told.lines().next().unwrap();
    let listed: Value = serde_json::from_str(first).unwrap();
    let of =
        |name: &str| listed["interfaces"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!((&of("eth0")["used_ipv4"]["used"], &of("eth0")["kind"]), (&true.into(), &"bridge".into()), "{first}");
    assert_eq!(of("eth1")["used_ipv4"]["why_not"], "it does not carry multicast", "{first}");
    assert_eq!(of("lo")["flags"]["loopback"], true, "{first}");
    assert!(of("eth0")["groups"].to_string().contains("224.0.0.1"), "{first}");
    for word in ["no: it does not carry multicast", "192.0.2.1/24", "224.0.0.1", "1500"] {
        assert!(told.contains(word), "'{word}' in {told}");
    }
}

#[test]
fn the_guide_shows_what_is_printed() {
    let closed = format!(
        "{FILTER} input '{{ type filter hook input priority 0; }}'; nft add rule inet f input udp dport 5007 drop; "
    )
    .replace("inet f", "inet filter");
    for fault in [String::new(), closed] {
        let script = format!("{fault}\"$CASTLAB\" doctor 224.1.1.1");
        let Some(output) = run("the_guide_shows_what_is_printed", MACHINE, &["nft"], &script) else { return };
        let told = shown(&output);
        assert!(guide::shows(&told), "DOCTOR.md shows nothing like: {told}");
    }
}

#[test]
fn every_code_has_its_row_in_the_guide() {
    let guide = guide::text();
    let rules = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/doctor/src/rules");
    let mut seen = 0;
    for rule in std::fs::read_dir(rules).unwrap() {
        let source = std::fs::read_to_string(rule.unwrap().path()).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap();
        let words =
            code.split('"').filter(|word| ["MC-", "NET-", "UDP-", "PORT-"].iter().any(|start| word.starts_with(start)));
        for code in words.filter(|word| !word.contains(' ')) {
            assert!(guide.contains(&format!("\n| `{code}` |")), "DOCTOR.md has no row for {code}");
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} codes found: this test looks in the wrong place");
}
