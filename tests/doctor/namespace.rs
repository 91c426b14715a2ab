//! Private networks for the tests of the doctor: a user and network namespace each, without root. Where the machine
//! refuses one, or a tool is missing, a line on the real stderr begins with SKIPPED.

use std::io::Write;
use std::process::{Command, Output};
use std::sync::OnceLock;

use assert_cmd::cargo::cargo_bin;

/// A machine with two interfaces, `eth0` and `eth1`, and a default route by the first. Each is a bridge with one wire, whose
/// other end (`q0`, `q1`) nobody listens to: not all kernels have dummy interfaces, and a bare wire looks like a
/// container's.
pub(crate) const MACHINE: &str = "
    ip link set lo up
    for n in 0 1; do
        ip link add p$n type veth peer name q$n
        ip link add eth$n type bridge
        for wire in p$n q$n; do echo 1 > /proc/sys/net/ipv6/conf/$wire/disable_ipv6; done
        echo 0 > /proc/sys/net/ipv6/conf/eth$n/accept_dad
        ip link set p$n master eth$n
        for device in p$n q$n eth$n; do ip link set $device up; done
    done
    # A bridge has a carrier some time after its port has: the kernel does that on the side.
    for n in 0 1; do
        tries=3000
        until ip link show eth$n | grep -q LOWER_UP; do tries=$((tries - 1)); [ $tries -gt 0 ]; done
    done
    ip address add 192.0.2.1/24 dev eth0
    ip address add 198.51.100.1/24 dev eth1
    ip address add fd00:1::1/64 dev eth0 nodad
    ip address add fd00:2::1/64 dev eth1 nodad
    ip route add default via 192.0.2.254 dev eth0
";

/// Runs `script` after `network` in a namespace of its own; `None` where the machine refuses one, or has no `tools`.
pub(crate) fn run(test: &str, network: &str, tools: &[&str], script: &str) -> Option<Output> {
    let folder = tempfile::tempdir().unwrap();
    let unshare = |script: &str| {
        // Its end takes along what the script left running.
        Command::new("timeout")
            .args(["--kill-after=5", "120", "unshare", "--user", "--map-root-user", "--net", "sh", "-euc", script])
            .env("CASTLAB", cargo_bin("castlab"))
            .env("FOLDER", folder.path())
            .env_remove("RUST_LOG")
            .env_remove("container")
            .output()
    };
    static REFUSED: OnceLock<Option<String>> = OnceLock::new();
    let refused = REFUSED.get_or_init(|| match unshare(MACHINE) {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")),
        Err(error) => Some(error.to_string()),
    });
    let missing = tools.iter().find(|tool| !has(tool)).map(|tool| format!("{tool} is not installed"));
    let Some(refused) = missing.or_else(|| refused.clone()) else {
        return Some(unshare(&format!("{network}{script}")).unwrap());
    };
    skipped(test, &format!("no private network on this machine: {refused}"));
    None
}

/// Says that a test did not run: past the test harness, which would keep it to itself.
pub(crate) fn skipped(test: &str, why: &str) {
    std::io::stderr().write_all(format!("SKIPPED {test}: {why}\n").as_bytes()).unwrap();
}

fn has(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok()
}

/// What was printed, for a message.
pub(crate) fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The codes of the findings of one severity in a JSON result.
pub(crate) fn codes(result: &serde_json::Value, severity: &str) -> Vec<String> {
    let findings = result["findings"].as_array().cloned().unwrap_or_default();
    let of = findings.iter().filter(|finding| finding["severity"] == severity);
    of.filter_map(|finding| finding["code"].as_str().map(str::to_owned)).collect()
}
