//! What `/proc`, `/sys` and `nft` say: thin readers, the understanding is in the crate `doctor`.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use doctor::facts::{Interface, Limits, Socket};
use doctor::firewall::{self, Firewall};
use doctor::read;
use tokio::process::Command;

/// How long `nft` may take.
const NFT_LIMIT: Duration = Duration::from_secs(5);
/// The longest ruleset read, in bytes.
const NFT_MOST: usize = 64 << 20;

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn number<N: std::str::FromStr>(path: impl AsRef<Path>) -> Option<N> {
    text(path).trim().parse().ok()
}

/// What netlink does not say of each interface.
pub(crate) fn complete(interfaces: &mut [Interface]) {
    let v4 = read::v4_groups(&text("/proc/net/igmp"));
    let v6 = read::v6_groups(&text("/proc/net/igmp6"));
    let setting = |name: &str, what: &str| number(format!("/proc/sys/net/ipv4/conf/{name}/{what}")).unwrap_or(0);
    for one in interfaces {
        let groups = v4.iter().chain(&v6).filter(|(index, _)| *index == one.index);
        one.groups = groups.map(|(_, joined)| *joined).collect();
        one.rp_filter = setting(&one.name, "rp_filter").max(setting("all", "rp_filter"));
        one.igmp_forced = match setting("all", "force_igmp_version") {
            0 => setting(&one.name, "force_igmp_version"),
            forced => forced,
        };
        one.ipv6_off = number(format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", one.name)) == Some(1_u8);
        if is_wireless(one) {
            "wireless".clone_into(&mut one.kind);
        }
    }
}

/// `/sys` may be that of another network namespace: the number tells.
fn is_wireless(one: &Interface) -> bool {
    let folder = Path::new("/sys/class/net").join(&one.name);
    number(folder.join("ifindex")) == Some(one.index) && folder.join("phy80211").exists()
}

/// The limits of this machine.
pub(super) fn limits() -> Limits {
    Limits {
        memberships: number("/proc/sys/net/ipv4/igmp_max_memberships"),
        receive_buffer: number("/proc/sys/net/core/rmem_max"),
    }
}

/// The UDP sockets on `port` that the group's family reaches, with their owners where we may look.
pub(super) fn sockets(group: IpAddr, port: u16) -> Vec<Socket> {
    let mut found = read::sockets(&text("/proc/net/udp6"), port);
    if group.is_ipv4() {
        // An IPv6 socket on the wildcard takes IPv4 too.
        found.retain(|socket| socket.local.is_unspecified());
        found.extend(read::sockets(&text("/proc/net/udp"), port));
    }
    if !found.is_empty() {
        name_owners(&mut found);
    }
    found
}

fn name_owners(sockets: &mut [Socket]) {
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let Some(id) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(open) = fs::read_dir(process.path().join("fd")) else { continue };
        for link in open.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()) {
            let Some(inode) = link.to_str().and_then(inode_of) else { continue };
            if let Some(socket) = sockets.iter_mut().find(|socket| socket.inode == inode) {
                socket.owner = Some(format!("{} (process {id})", program(&process.path())));
            }
        }
    }
}

/// What a process calls itself; the kernel cuts that after 15 bytes, and the file has the rest.
fn program(process: &Path) -> String {
    let own = text(process.join("comm"));
    let file = fs::read_link(process.join("exe")).ok();
    let file = file.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let name = file.filter(|file| file.starts_with(own.trim())).unwrap_or(own.trim());
    labkit::text::show(name.as_bytes(), 40)
}

/// `socket:[32523]`.
fn inode_of(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The container we are in: what Docker and Podman leave behind, or the variable that others set.
pub(super) fn container() -> Option<String> {
    let set = std::env::var("container").ok().filter(|name| !name.is_empty());
    set.map(|name| labkit::text::show(name.as_bytes(), 20))
        .or_else(|| Path::new("/.dockerenv").exists().then(|| "docker".to_owned()))
        .or_else(|| Path::new("/run/.containerenv").exists().then(|| "podman".to_owned()))
}

/// How many packets reverse-path filtering has thrown away since the start.
pub(super) fn filtered() -> u64 {
    read::counter(&text("/proc/net/netstat"), "TcpExt", "IPReversePathFilter").unwrap_or(0)
}

/// The packet filter, where `nft` is installed and we may ask it.
pub(super) async fn firewall() -> Firewall {
    for program in ["nft", "/usr/sbin/nft"] {
        match list(program).await {
            Ok(chains) => return Firewall { unreadable: None, chains },
            Err(Some(reason)) => return Firewall { unreadable: Some(reason), chains: Vec::new() },
            Err(None) => {}
        }
    }
    Firewall { unreadable: Some("nft is not installed".to_owned()), chains: Vec::new() }
}

/// `Err(None)` where there is no such program.
async fn list(program: &str) -> Result<Vec<firewall::Chain>, Option<String>> {
    let mut command = Command::new(program);
    command.args(["--json", "list", "ruleset"]).stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(NFT_LIMIT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return Err(None),
        Ok(Err(error)) => return Err(Some(error.to_string())),
        Err(_) => return Err(Some(format!("nft did not answer in {} s", NFT_LIMIT.as_secs()))),
    };
    if !output.status.success() {
        let first = output.stderr.split(|byte| *byte == b'\n').next().unwrap_or_default();
        return Err(Some(labkit::text::show(first, 120)));
    }
    if output.stdout.len() > NFT_MOST {
        return Err(Some("the ruleset is too long".to_owned()));
    }
    firewall::parse(&String::from_utf8_lossy(&output.stdout)).map_err(|error| Some(error.to_string()))
}
