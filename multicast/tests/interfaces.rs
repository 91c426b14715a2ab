//! Interfaces that go and come back, and one source alone in IPv6: what needs a private network. Where the machine refuses
//! one, a line that begins with SKIPPED says so.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;

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

fn in_namespace(test: &str, script: &str) -> Option<Output> {
    let unshare = |script: &str| {
        Command::new("timeout")
            .args(["--kill-after=5", "60", "unshare", "--user", "--map-root-user", "--net"])
            .args(["--pid", "--fork", "--kill-child", "sh", "-euc", script])
            .env("SENDER", cargo_bin("multicast-sender"))
            .env("RECEIVER", cargo_bin("multicast-receiver"))
            .env_remove("RUST_LOG")
            .output()
    };
    let refused = match unshare(NETWORK) {
        Ok(output) if output.status.success() => return Some(unshare(&format!("{NETWORK}{script}")).unwrap()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "),
        Err(error) => error.to_string(),
    };
    let line = format!("SKIPPED {test}: no private network on this machine: {refused}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
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
    let Some(output) = in_namespace("an_interface_that_comes_back_is_joined_again", script) else { return };
    let told = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("(the interface was down): 0 messages missed"), "{told}");
    assert!(told.contains("Verdict: 2 messages heard"), "{told}");
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
    let Some(output) = in_namespace("one_source_alone_is_heard_in_ipv6_too", script) else { return };
    let told = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("on v0 (fd00:1::1) for fd00:1::2 alone") || told.contains(" for fd00:1::2 alone"), "{told}");
    assert!(!told.contains("bytes: stranger") && told.contains("Passed over: 1 from sources not asked for"), "{told}");
}

#[test]
fn one_source_alone_is_asked_for_in_the_igmp_of_ipv4() {
    let script = r#"
        listen -I v0 192.0.2.9,232.1.1.1
        cat /proc/net/mcfilter
        quit
    "#;
    let Some(output) = in_namespace("one_source_alone_is_asked_for_in_the_igmp_of_ipv4", script) else { return };
    let told = shown(&output);
    // Group and source in hexadecimal, and one socket that includes it.
    assert!(
        told.contains("0xe8010101 0xc0000209      1      0") || told.contains("0xe8010101 0xc0000209      2      0"),
        "{told}"
    );
}
