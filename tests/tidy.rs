//! The rules of the house, held: who may import whom, what a file looks like, what a flag is called.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use clap::{Command, CommandFactory};

/// One row of the table in CONTRIBUTING.md.
struct Room {
    package: &'static str,
    folder: &'static str,
    /// Which of our packages it may import.
    may_import: &'static [&'static str],
    /// Which packages it never imports, not even through others.
    never: &'static [&'static str],
}

const IO: &[&str] = &["tokio", "socket2", "mio", "quinn-udp"];

const HOUSE: &[Room] = &[
    Room {
        package: "castlab",
        folder: "",
        may_import: &["anycast", "arq", "doctor", "events", "labkit", "multicast", "netsim", "udp-transfer", "view"],
        never: &[],
    },
    Room { package: "anycast", folder: "anycast", may_import: &["events", "labkit"], never: &[] },
    Room { package: "multicast", folder: "multicast", may_import: &["events", "labkit", "netsim"], never: &[] },
    Room {
        package: "udp-transfer",
        folder: "udp-transfer",
        may_import: &["arq", "events", "labkit", "netsim", "view"],
        never: &[],
    },
    Room { package: "labkit", folder: "crates/labkit", may_import: &["events"], never: &[] },
    Room { package: "doctor", folder: "crates/doctor", may_import: &["events"], never: IO },
    Room { package: "arq", folder: "crates/arq", may_import: &["events"], never: IO },
    Room { package: "netsim", folder: "crates/netsim", may_import: &["events"], never: IO },
    Room { package: "view", folder: "crates/view", may_import: &["events"], never: IO },
    Room { package: "events", folder: "crates/events", may_import: &[], never: IO },
];

/// The longest source file: beyond it, a file holds two ideas.
const LONGEST_FILE: usize = 500;

fn metadata() -> Metadata {
    MetadataCommand::new().no_deps().exec().expect("cargo describes the workspace")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_rooms_are_those_of_the_plan() {
    let metadata = metadata();
    let found: BTreeMap<&str, PathBuf> =
        metadata.workspace_packages().into_iter().map(|package| (package.name.as_str(), folder(package))).collect();
    let planned: BTreeMap<&str, PathBuf> = HOUSE.iter().map(|room| (room.package, root().join(room.folder))).collect();
    assert_eq!(found, planned);
}

fn folder(package: &Package) -> PathBuf {
    package.manifest_path.parent().expect("a manifest is in a folder").as_std_path().to_owned()
}

#[test]
fn every_import_points_down() {
    let metadata = metadata();
    let ours: BTreeSet<&str> = HOUSE.iter().map(|room| room.package).collect();
    for package in metadata.workspace_packages() {
        let room = HOUSE.iter().find(|room| room.package == package.name.as_str()).expect("in the plan");
        for dependency in package.dependencies.iter().filter(|dependency| ours.contains(dependency.name.as_str())) {
            assert!(
                room.may_import.contains(&dependency.name.as_str()),
                "{} imports {}",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn pure_rooms_do_no_io_not_even_through_others() {
    let metadata = MetadataCommand::new().exec().expect("cargo resolves the workspace");
    let resolve = metadata.resolve.as_ref().expect("with a dependency graph");
    for room in HOUSE.iter().filter(|room| !room.never.is_empty()) {
        let package =
            metadata.packages.iter().find(|package| package.name.as_str() == room.package).expect("in the plan");
        let mut reached = BTreeSet::from([&package.id]);
        let mut open = vec![&package.id];
        while let Some(id) = open.pop() {
            let node = resolve.nodes.iter().find(|node| node.id == *id).expect("every package is in the graph");
            let linked =
                node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
            open.extend(linked.map(|dep| &dep.pkg).filter(|id| reached.insert(id)));
        }
        let names: BTreeSet<&str> = reached.into_iter().map(|id| metadata[id].name.as_str()).collect();
        let broken: Vec<&&str> = room.never.iter().filter(|name| names.contains(*name)).collect();
        assert!(broken.is_empty(), "{} reaches {broken:?}", room.package);
    }
}

#[test]
fn pure_rooms_touch_no_socket_file_or_clock_of_the_standard_library_either() {
    for room in HOUSE.iter().filter(|room| !room.never.is_empty()) {
        for (path, text) in sources(&root().join(room.folder).join("src")) {
            for word in ["std::fs", "std::net", "std::thread", "Instant::now", "SystemTime"] {
                assert!(!text.contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn every_package_follows_the_lints_and_versions_of_the_workspace() {
    for package in metadata().workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("a manifest can be read");
        for line in ["[lints]\nworkspace = true", "version.workspace = true", "rust-version.workspace = true"] {
            assert!(manifest.contains(line), "{} lacks {line:?}", package.manifest_path);
        }
        let pre_release = package.dependencies.iter().find(|dependency| dependency.req.to_string().contains('-'));
        assert!(pre_release.is_none(), "{}: stable releases only, not {pre_release:?}", package.name);
    }
}

#[test]
fn every_source_file_says_what_it_is_about_and_stays_short() {
    let mut seen = 0;
    for room in HOUSE {
        for part in ["src", "tests", "benches"] {
            for (path, text) in sources(&root().join(room.folder).join(part)) {
                assert!(text.starts_with("//! "), "{} does not begin by saying what it is about", path.display());
                let lines = text.lines().count();
                assert!(lines <= LONGEST_FILE, "{} has {lines} lines: two ideas?", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "only {seen} files found: this test looks in the wrong place");
}

/// Every Rust source below `folder`, with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.expect("a folder can be read on").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source is UTF-8");
            found.push((path, text));
        }
    }
    found
}

/// Every command of every binary, subcommands included.
fn commands() -> Vec<Command> {
    let binaries = [
        castlab::args::Args::command(),
        anycast::args::ServerArgs::command(),
        anycast::args::ClientArgs::command(),
        multicast::group_server::ServerArgs::command(),
        multicast::group_client::ClientArgs::command(),
        multicast::sender::SenderArgs::command(),
        multicast::receiver::ReceiverArgs::command(),
    ];
    let mut found = Vec::new();
    for mut binary in binaries {
        binary.build();
        let subcommands = binary.get_subcommands().filter(|command| command.get_name() != "help").cloned();
        found.extend(subcommands.collect::<Vec<_>>());
        found.push(binary);
    }
    found
}

#[test]
fn every_flag_has_its_variable_and_the_variable_its_name() {
    for command in commands() {
        for flag in command.get_arguments().filter(|flag| !matches!(flag.get_id().as_str(), "help" | "version")) {
            let Some(long) = flag.get_long() else { continue };
            let expected = format!("CASTLAB_{}", long.replace('-', "_").to_uppercase());
            let actual = flag.get_env().and_then(|name| name.to_str()).unwrap_or("none");
            assert_eq!(actual, expected, "{} --{long}", command.get_name());
        }
    }
}

#[test]
fn one_letter_means_one_thing_in_every_binary() {
    let mut meaning: BTreeMap<char, String> = BTreeMap::new();
    for command in commands() {
        for flag in command.get_arguments() {
            if let (Some(short), Some(long)) = (flag.get_short(), flag.get_long()) {
                let first = meaning.entry(short).or_insert_with(|| long.to_owned());
                assert_eq!(first, long, "-{short} of {}", command.get_name());
            }
        }
    }
}

#[test]
fn help_begins_with_three_examples() {
    for command in commands() {
        let is_binary = command.get_bin_name().is_none_or(|name| !name.contains(' '));
        if !is_binary {
            continue;
        }
        let text = command.get_before_help().map(ToString::to_string).unwrap_or_default();
        let examples = text.lines().filter(|line| line.starts_with(&format!("  {}", command.get_name()))).count();
        assert!(text.starts_with("Examples:\n") && examples >= 3, "{}: {text}", command.get_name());
    }
}
