//! Interfaces that go and come back, and one source alone in IPv6: what needs a private network. Where the machine refuses
//! one, a line that begins with SKIPPED says so.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "machine/namespace.rs"]
mod namespace;

use std::process::Output;

use namespace::shown;

/// Two interfaces joined by a wire. `listen ARGS` starts a receiver that is told what to do through file descriptor 5 and
/// read through 4; `until_told WORD` waits for a line with that word.
const NETWORK: &str = r#"
    wire() {
        ip link add v0 type veth peer name v1
        for device in v0 v1; do echo 0 > /proc/sys/net/ipv6/conf/$device/accept_dad; ip link set $device up; done
        ip address add 192.0.2.1/24 dev v0
        ip address add 198.51.100.1/24 dev v1
        ip address add fd00:1::1/64 dev v0 nodad
        ip address add fd00:1::2/64 dev v0 nodad
    }
    ip link set lo up
    wire
    listen() {
        told=$(mktemp -u); typed=$(mktemp -u)
        mkfifo "$told" "$typed"
        "$RECEIVER" "$@" < "$typed" > "$told" 2>&1 &
        receiver=$!
        exec 5> "$typed" 4< "$told"
        rm "$told" "$typed"
        until_told Listening
    }
    until_told() {
        while read -r line <&4; do echo "$line"; case $line in *"$1"*) return ;; esac; done
        return 1
    }
    quit() { echo quit >&5; until_told Verdict; wait $receiver; }
"#;

fn run(test: &str, script: &str) -> Option<Output> {
    namespace::in_namespace(test, NETWORK, script)
}

#[test]
fn an_interface_that_comes_back_is_joined_again_and_the_time_without_it_is_no_loss() {
    // Taken away with its memberships, and made anew: only a name is left of it.
    let script = r#"
        listen -I v0
        "$SENDER" -I v0 -q --text before
        until_told 'bytes: before'
        ip link del v0
        until_told 'v0 is down'
        wire
        until_told 'joined 224.1.1.1:5007 on v0, which is up'
        "$SENDER" -I v0 -q --text after
        until_told 'bytes: after'
        quit
    "#;
    let Some(output) = run("an_interface_that_comes_back_is_joined_again", script) else { return };
    let told = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("(the interface was down): 0 messages missed"), "{told}");
    assert!(told.contains("Verdict: 2 messages heard"), "{told}");
}

#[test]
fn a_link_local_group_stays_on_its_link_whatever_interfaces_come() {
    // The other group is joined wherever it can be: when that is told, the receiver has seen that v1 can be used as well.
    let script = r#"
        echo 1 > /proc/sys/net/ipv6/conf/v1/disable_ipv6
        ip address del 198.51.100.1/24 dev v1
        listen '[ff02::1:5]:5007' 239.1.1.1:6000
        echo 0 > /proc/sys/net/ipv6/conf/v1/disable_ipv6
        ip address add 198.51.100.1/24 dev v1
        until_told 'joined 239.1.1.1:6000 on v1'
        "$SENDER" -I v0 -q --text 'still heard' '[ff02::1:5]:5007'
        until_told 'bytes: still heard'
        quit
    "#;
    let Some(output) = run("a_link_local_group_stays_on_its_link", script) else { return };
    let told = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(!told.contains("v0 is down") && !told.contains("Away from"), "{told}");
}

#[test]
fn a_link_local_group_is_heard_on_its_link_when_that_is_made_anew() {
    // The kernel's number of the link is another then, and a socket bound to the old one would stay deaf.
    let script = r#"
        listen -I v0 '[ff02::1:5]:5007'
        ip link del v0
        until_told 'v0 is down'
        wire
        until_told 'joined [ff02::1:5]:5007 on v0, which is up'
        "$SENDER" -I v0 -q --text after '[ff02::1:5]:5007'
        until_told 'bytes: after'
        quit
    "#;
    let Some(output) = run("a_link_local_group_is_heard_on_its_link_when_that_is_made_anew", script) else { return };
    let told = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
}

#[test]
fn whoever_had_no_interface_left_is_told_so() {
    let script = r#"
        listen -t 1h -I v0
        ip link del v0
        until_told 'v0 is down'
        kill $receiver
        until_told 'Verdict'
        wait $receiver
    "#;
    let Some(output) = run("whoever_had_no_interface_left_is_told_so", script) else { return };
    let told = shown(&output);
    assert!(!told.contains("which no other machine reaches"), "{told}");
    assert!(told.contains("nobody was heard on 224.1.1.1:5007, joined on no interface at the end"), "{told}");
}

#[test]
fn one_source_alone_is_heard_in_ipv6_too() {
    let script = r#"
        listen -I v0 'fd00:1::2,[ff35::8000:1]:5007'
        "$SENDER" -I fd00:1::1 -q --text stranger '[ff35::8000:1]:5007'
        "$SENDER" -I fd00:1::2 -q --text meant '[ff35::8000:1]:5007'
        until_told 'bytes: meant'
        quit
    "#;
    let Some(output) = run("one_source_alone_is_heard_in_ipv6_too", script) else { return };
    let told = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("Joined multicast group ff35::8000:1 on v0 ("), "{told}");
    assert!(told.contains(") for fd00:1::2 alone\n"), "{told}");
    assert!(!told.contains("bytes: stranger") && told.contains("Passed over: 1 from sources not asked for"), "{told}");
}

#[test]
fn one_source_alone_is_asked_for_in_the_igmp_of_ipv4() {
    let script = r#"
        listen -I v0 192.0.2.9,232.1.1.1
        cat /proc/net/mcfilter
        quit
    "#;
    let Some(output) = run("one_source_alone_is_asked_for_in_the_igmp_of_ipv4", script) else { return };
    let told = shown(&output);
    // Group and source in hexadecimal, and the two sockets that include it: that of messages and that of reports.
    assert!(told.contains("0xe8010101 0xc0000209      2      0"), "{told}");
}
