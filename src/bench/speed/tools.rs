//! The programs a run needs: ours beside this one, everybody else's where programs usually are; and which package has them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use labkit::Failure;

/// Where administrators' programs are, which are not on everybody's `PATH`.
const ALSO: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A program, and how to come by it.
const KNOWN: [(&str, &str); 14] = [
    ("udp-transfer-server", "cargo build --release -p udp-transfer"),
    ("udp-transfer-client", "cargo build --release -p udp-transfer"),
    ("quic-bulk", "cargo build --release --manifest-path udp-transfer/bench/quic/Cargo.toml --target-dir target"),
    ("nginx", "apt-get install nginx-light"),
    ("curl", "apt-get install curl"),
    ("b3sum", "apt-get install b3sum"),
    ("iperf3", "apt-get install iperf3"),
    ("uftp", "apt-get install uftp"),
    ("uftpd", "apt-get install uftp"),
    ("python3", "apt-get install python3"),
    ("ip", "apt-get install iproute2"),
    ("tc", "apt-get install iproute2"),
    ("ethtool", "apt-get install ethtool"),
    ("nft", "apt-get install nftables"),
];

/// Those of them that are on this machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Tools {
    found: BTreeMap<&'static str, PathBuf>,
}

impl Tools {
    /// Looks for our own in `own`, or beside this program, and for the others on the `PATH`.
    pub(super) fn find(own: Option<&Path>) -> Result<Self, Failure> {
        let here = std::env::current_exe().map_err(|error| Failure::io("find", "this program", &error))?;
        let own = own.or(here.parent()).unwrap_or(Path::new("."));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(ALSO.map(PathBuf::from)).collect();
        let found = KNOWN.into_iter().filter_map(|(name, how)| {
            let is_ours = how.starts_with("cargo");
            let mut candidates: Box<dyn Iterator<Item = PathBuf>> = if is_ours {
                Box::new(std::iter::once(own.join(name)))
            } else {
                Box::new(folders.iter().map(|folder| folder.join(name)))
            };
            candidates.find(|path| path.is_file()).map(|path| (name, path))
        });
        Ok(Tools { found: found.collect() })
    }

    /// Where a program is; its name alone where it is not known.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.found.get(name).cloned().unwrap_or_else(|| name.into())
    }

    /// The first of these programs that is not here, and what gets it.
    pub(super) fn missing(&self, names: &[&'static str]) -> Option<(&'static str, &'static str)> {
        let name = names.iter().copied().find(|name| !self.found.contains_key(name))?;
        let how = KNOWN.iter().find(|(known, _)| *known == name).map_or("", |(_, how)| how);
        Some((name, how))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::speed::path;
    use crate::bench::speed::plan::Plan;

    #[test]
    fn our_programs_come_from_the_folder_that_is_named_and_from_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let tools = Tools::find(Some(folder.path())).unwrap();
        assert_eq!(tools.missing(&["udp-transfer-server"]).unwrap().0, "udp-transfer-server");
        std::fs::write(folder.path().join("udp-transfer-server"), "").unwrap();
        let tools = Tools::find(Some(folder.path())).unwrap();
        assert_eq!(tools.missing(&["udp-transfer-server"]), None);
        let (name, how) = tools.missing(&["udp-transfer-server", "quic-bulk"]).unwrap();
        assert_eq!(name, "quic-bulk");
        assert!(how.contains("cargo build"), "{how}");
    }

    #[test]
    fn whatever_is_needed_is_known_with_its_package() {
        let known = |name: &str| KNOWN.iter().any(|(known, how)| *known == name && !how.is_empty());
        for scenario in Plan::scenarios(1 << 30, 3, false) {
            for contender in scenario.contenders {
                assert!(contender.needs().iter().all(|name| known(name)), "{contender:?}");
            }
        }
        for path in path::Path::ALL {
            assert!(path.tools().iter().all(|(name, package)| known(name) && !package.is_empty()), "{path:?}");
        }
    }
}
