//! A network of the test's own, in namespaces that need no root. What this machine refuses is said in a line that begins
//! with SKIPPED, which can be counted.

use std::io::Write;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;

/// Runs `network` and then `script` in namespaces of their own, for a minute at most; whatever is left running ends with
/// them. `None` where the machine refuses them.
pub(crate) fn in_namespace(test: &str, network: &str, script: &str) -> Option<Output> {
    let refused = match unshare(network) {
        Ok(output) if output.status.success() => return Some(unshare(&format!("{network}{script}")).unwrap()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "),
        Err(error) => error.to_string(),
    };
    // Past the test harness, which would keep it to itself.
    let line = format!("SKIPPED {test}: no private network on this machine: {refused}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

fn unshare(script: &str) -> std::io::Result<Output> {
    Command::new("timeout")
        .args(["--kill-after=5", "60", "unshare", "--user", "--map-root-user", "--net"])
        .args(["--pid", "--fork", "--kill-child", "sh", "-euc", script])
        .env("SENDER", cargo_bin("multicast-sender"))
        .env("RECEIVER", cargo_bin("multicast-receiver"))
        .env_remove("RUST_LOG")
        .output()
}

/// All that was printed.
pub(crate) fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
