//! A test that runs itself once more inside a user and mount namespace.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// Where the test inside finds the folder made for it.
const INSIDE: &str = "CASTLAB_TEST_FOLDER";

/// A namespace: how to enter it, what to do there first, and what it is called where it is refused.
pub(crate) struct Namespace {
    unshare: &'static [&'static str],
    setup: &'static str,
    what: &'static str,
}

/// A disk of 8 MiB.
pub(crate) const SMALL_DISK: Namespace = Namespace {
    unshare: &["--user", "--map-root-user", "--mount"],
    setup: "mount -t tmpfs -o size=8m none \"$CASTLAB_TEST_FOLDER\"",
    what: "private disk",
};

/// A disk with the files `there` and `begun.part` on it, which nobody may write to.
pub(crate) const READ_ONLY_DISK: Namespace = Namespace {
    unshare: &["--user", "--map-root-user", "--mount"],
    setup: "mount -t tmpfs -o size=8m none \"$CASTLAB_TEST_FOLDER\"
        echo precious > \"$CASTLAB_TEST_FOLDER/there\"
        echo begun > \"$CASTLAB_TEST_FOLDER/begun.part\"
        mount -o remount,ro \"$CASTLAB_TEST_FOLDER\"",
    what: "private disk",
};

/// Nobody in particular: even where the tests are run by root, the mode of a file counts.
pub(crate) const NO_RIGHTS: Namespace =
    Namespace { unshare: &["--user", "--map-user=1000"], setup: ":", what: "user without rights" };

/// In the namespace, gives the folder to work in. Outside, runs the test of that name in the namespace and gives none.
pub(crate) fn inside(test: &str, namespace: &Namespace) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(INSIDE) {
        return Some(folder.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let unshare = |command: &str| {
        Command::new("unshare")
            .args(namespace.unshare)
            .args(["sh", "-euc", &format!("{}\n{command}", namespace.setup)])
            .env(INSIDE, folder.path())
            .env("TEST_BINARY", std::env::current_exe().unwrap())
            .output()
    };
    let refused = match unshare(":") {
        Ok(output) if output.status.success() => {
            let output = unshare(&format!("exec \"$TEST_BINARY\" --exact {test} --nocapture")).unwrap();
            let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success() && told.contains("1 passed"), "{told}{errors}");
            return None;
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "),
        Err(error) => error.to_string(),
    };
    // Past the test harness, which would keep it to itself.
    let line = format!("SKIPPED {test}: no {} on this machine: {refused}\n", namespace.what);
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}
