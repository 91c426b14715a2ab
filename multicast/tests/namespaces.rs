//! What a loopback interface cannot show: IPv6, several interfaces, no route, the limit of memberships. Each test makes
//! a private network in a user and network namespace, without root. Where the machine refuses that, the test says so on
//! the real stderr in one line that begins with SKIPPED, which can be counted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "machine/namespace.rs"]
mod namespace;

use std::process::Output;

use namespace::shown;

/// Two interfaces joined by a wire, both with addresses that may be used at once.
const NETWORK: &str = "
    ip link add v0 type veth peer name v1
    for device in v0 v1; do echo 0 > /proc/sys/net/ipv6/conf/$device/accept_dad; ip link set $device up; done
    ip link set lo up
    ip address add 192.0.2.1/24 dev v0
    ip address add 198.51.100.1/24 dev v1
    ip address add fd00:1::1/64 dev v0 nodad
    ip address add fd00:2::1/64 dev v1 nodad
";

/// `receive ARGS -- COMMAND`: runs COMMAND once a receiver started with ARGS has joined, then waits for it.
const RECEIVE: &str = r#"
    receive() {
        arguments=
        while [ "$1" != -- ]; do arguments="$arguments $1"; shift; done
        shift
        pipe=$(mktemp -u)
        mkfifo "$pipe"
        "$RECEIVER" $arguments > "$pipe" &
        waited=$!
        exec 3< "$pipe"
        rm "$pipe"
        while read -r line <&3; do
            echo "$line"
            case $line in Listening*) "$@" 2>&1 ;; esac
        done
        exec 3<&-
        wait $waited
    }
"#;

fn run(test: &str, script: &str) -> Option<Output> {
    namespace::in_namespace(test, NETWORK, &format!("{RECEIVE}{script}"))
}

#[test]
fn ipv6_groups_are_joined_and_heard() {
    for (group, receive, send) in [
        ("[ff15::1:5]:5007", "-I v0", "-I v0"),
        ("[ff15::1:5]:5007", "-I fd00:1::1", "-I fd00:1::1"),
        ("[ff02::1:5%v0]:5007", "", ""),
        ("[ff02::1:5]:5007", "-I v0", "-I v0"),
    ] {
        let script = format!("receive -c 3 {receive} {group} -- \"$SENDER\" {send} -i 0 --name six {group}");
        let Some(output) = run("ipv6_groups_are_joined_and_heard", &script) else { return };
        let told = shown(&output);
        assert_eq!(output.status.code(), Some(0), "{group}: {told}");
        for word in ["Joined multicast group ff", " on v0 (f", "message from six.", "from 1 source"] {
            assert!(told.contains(word), "{group}: '{word}' in: {told}");
        }
    }
}

#[test]
fn a_link_local_group_without_its_link_is_refused() {
    let Some(output) = run("a_link_local_group_without_its_link_is_refused", "\"$RECEIVER\" ff02::1:5") else {
        return;
    };
    let told = shown(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("error[MC-IFACE]: [ff02::1:5]:5007 is another group on each of v"), "{told}");
}

#[test]
fn without_a_choice_a_receiver_joins_everywhere_and_a_sender_follows_the_route() {
    let script = r#"
        ip route add 224.0.0.0/4 dev v0
        receive -c 3 -- "$SENDER" -i 0
    "#;
    let Some(output) = run("without_a_choice", script) else { return };
    let told = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for word in [
        "Joined multicast group 224.1.1.1 on v0 (192.0.2.1)",
        "Joined multicast group 224.1.1.1 on v1 (198.51.100.1)",
        "from 192.0.2.1:",
        "through v0 (192.0.2.1)",
    ] {
        assert!(told.contains(word), "'{word}' in: {told}");
    }
}

#[test]
fn a_receiver_hears_the_interface_it_joined_whatever_others_joined() {
    // Somebody else joins on v1: without IP_MULTICAST_ALL=0 our socket, bound to the same group, would hear v1 too.
    // (Theirs waits for two messages, so that it is still there when ours must not hear the first.)
    let script = r#"
        pipe=$(mktemp -u)
        mkfifo "$pipe"
        "$RECEIVER" -I v1 -c 2 > "$pipe" &
        exec 4< "$pipe"
        rm "$pipe"
        while read -r line <&4; do case $line in Listening*) break ;; esac; done
        both() {
            "$SENDER" -I v1 --text 'on the other' -q
            "$SENDER" -I v0 --text 'on ours' -q
        }
        receive -I v0 -c 1 -- both
        "$SENDER" -I v1 --text 'the second' -q
    "#;
    let Some(output) = run("a_receiver_hears_the_interface_it_joined", script) else { return };
    let told = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("bytes: on ours") && told.contains("from 192.0.2.1:"), "{told}");
    assert!(!told.contains("on the other"), "{told}");
}

#[test]
fn no_route_is_told_with_what_to_do() {
    for (send, word) in [
        ("\"$SENDER\"", "ip route add 224.0.0.0/4"),
        ("\"$SENDER\" -I lo '[ff15::1:5]:5007'", "the loopback interface has none"),
    ] {
        let Some(output) = run("no_route_is_told_with_what_to_do", send) else { return };
        let told = shown(&output);
        assert_eq!(output.status.code(), Some(3), "{told}");
        assert!(told.contains("error[MC-NOROUTE]: cannot find a way to ") && told.contains(word), "{told}");
    }
}

#[test]
fn one_membership_too_many_names_the_limit() {
    let script = "echo 1 > /proc/sys/net/ipv4/igmp_max_memberships; \"$RECEIVER\" --json";
    let Some(output) = run("one_membership_too_many_names_the_limit", script) else { return };
    let told = shown(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("\"MC-LIMIT\"") && told.contains("no more than 1 membership"), "{told}");
}

#[test]
fn an_interface_without_the_family_is_refused() {
    let script = "ip -6 address flush dev v0; \"$RECEIVER\" -I v0 ff15::1:5";
    let Some(output) = run("an_interface_without_the_family_is_refused", script) else { return };
    let told = shown(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("error[MC-IFACE]: interface v0 has no IPv6 address"), "{told}");
}

#[test]
fn fragments_are_told_by_the_mtu_of_the_interface() {
    let script = r#"
        head -c 4000 /dev/zero > "$PWD/.zeros-$$"
        trap 'rm "$PWD/.zeros-$$"' EXIT
        receive -I v0 -c 1 -- "$SENDER" -I v0 --binary-file "$PWD/.zeros-$$"
        receive -I v0 -c 1 ff15::1:5 -- "$SENDER" -I v0 --binary-file "$PWD/.zeros-$$" ff15::1:5
    "#;
    let folder = tempfile::tempdir().unwrap();
    let script = format!("cd '{}'; {script}", folder.path().display());
    let Some(output) = run("fragments_are_told_by_the_mtu_of_the_interface", &script) else { return };
    let told = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for word in ["split in 3 on v0 (MTU 1500)", "1472 bytes fit in one", "1452 bytes fit in one", "4000 bytes: 00 00"] {
        assert!(told.contains(word), "'{word}' in: {told}");
    }
}
