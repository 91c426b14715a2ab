//! Marks as a real kernel makes, clears and drops them: the programs on the loopback of a network namespace whose firewall
//! rewrites the ECN bits, without root. Where the machine refuses that, the test says so on the real stderr in one line that
//! begins with SKIPPED, which can be counted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::process::{Command, Output};

use serde_json::Value;

/// A namespace with a firewall that has one rule.
const NETWORK: &str = r#"
    ip link set lo up
    nft 'add table inet lab; add chain inet lab path { type filter hook prerouting priority 0; }'
    [ -z "$RULE" ] || nft "add rule inet lab path $RULE"
"#;

/// A server, and a client that starts when it listens. Datagrams of an Ethernet frame: there are many of them.
const TRANSFER: &str = r#"
    mkfifo "$FOLDER/pipe"
    "$SERVER" --root "$FOLDER/root" --bind "$ADDRESS" > "$FOLDER/pipe" &
    exec 3< "$FOLDER/pipe"
    read -r banner <&3
    "$CLIENT" --server "$ADDRESS" --length 1452 get a.bin --json -o "$FOLDER/copy" || exit $?
"#;

fn unshare(script: &str, rule: &str, address: &str) -> std::io::Result<Output> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("root")).unwrap();
    std::fs::write(folder.path().join("root/a.bin"), vec![7; 16 << 20]).unwrap();
    // Its end takes along what the script left running.
    Command::new("timeout")
        .args(["--kill-after=5", "60", "unshare", "--user", "--map-root-user", "--net"])
        .args(["--pid", "--fork", "--kill-child", "sh", "-euc", script])
        .env("SERVER", env!("CARGO_BIN_EXE_udp-transfer-server"))
        .env("CLIENT", env!("CARGO_BIN_EXE_udp-transfer-client"))
        .env("FOLDER", folder.path())
        .env("RULE", rule)
        .env("ADDRESS", address)
        .env_remove("RUST_LOG")
        .output()
}

#[test]
fn what_a_kernel_does_to_marks_is_found_out() {
    const IPV4: &str = "127.0.0.1:6969";
    let refused = match unshare(NETWORK, "ip ecn ect0 numgen inc mod 10 == 0 ip ecn set ce", IPV4) {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")),
        Err(error) => Some(error.to_string()),
    };
    if let Some(refused) = refused {
        // Past the test harness, which would keep it to itself.
        let line = format!("SKIPPED what_a_kernel_does_to_marks_is_found_out: no private firewall: {refused}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    }
    for (rule, address, state, is_marked) in [
        ("", IPV4, "capable", false),
        ("ip ecn ect0 numgen inc mod 10 == 0 ip ecn set ce", IPV4, "capable", true),
        ("ip6 ecn ect0 numgen inc mod 10 == 0 ip6 ecn set ce", "[::1]:6969", "capable", true),
        ("ip ecn ect0 ip ecn set not-ect", IPV4, "cleared", false),
        ("ip ecn ect0 ip ecn set ce", IPV4, "all-marked", true),
        ("ip ecn ect0 drop", IPV4, "dropped", false),
    ] {
        let output = unshare(&format!("{NETWORK}{TRANSFER}"), rule, address).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{rule}: {errors}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let file = &report["files"][0];
        assert_eq!((&file["result"], &file["ecn"]["state"]), (&"verified".into(), &state.into()), "{rule}: {report}");
        assert_eq!(file["ecn"]["ce"].as_u64().unwrap() > 0, is_marked, "{rule}: {report}");
    }
}
