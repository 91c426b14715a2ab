//! `castlab interfaces`: every interface of this machine, whether castlab would use it and why not, and who joined what.

use std::net::IpAddr;

use comfy_table::CellAlignment;
use doctor::facts::{Flags, Interface};
use labkit::{Exit, Failure, Session};
use serde_json::{Value, json};

use crate::doctor::{netlink::Netlink, proc};

/// What may be typed after `castlab interfaces`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Nothing is sent. 'used' is what receivers join on when no -I is given; any other can be named with -I."
)]
pub struct Args {}

/// Lists them.
///
/// # Errors
/// When the kernel does not.
pub async fn run(_: &Args, session: &Session) -> Result<Exit, Failure> {
    session.tell_started(None, None);
    let mut interfaces = Netlink::open()?.interfaces().await?;
    proc::complete(&mut interfaces);
    let listed: Vec<Value> = interfaces.iter().map(as_json).collect();
    session.output.json(&json!({ "role": session.role, "version": labkit::program::VERSION, "interfaces": listed }));
    let mut table = labkit::table::new(&["interface", "kind", "MTU", "flags", "addresses", "used", "groups joined"]);
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    for one in &interfaces {
        table.add_row([
            format!("{} {}", one.index, one.name),
            kind(one, &interfaces),
            one.mtu.to_string(),
            flags(one.flags).join("\n"),
            lines(one.addresses.iter().map(|own| format!("{}/{}", own.address, own.prefix))),
            used(one),
            lines(one.groups.iter().map(|joined| joined.group.to_string())),
        ]);
    }
    session.output.result(table.to_string());
    Ok(Exit::Done)
}

/// An address of each family: what an interface is asked about.
const FAMILIES: [(&str, IpAddr); 2] = [
    ("IPv4", IpAddr::V4(std::net::Ipv4Addr::new(224, 1, 1, 1))),
    ("IPv6", IpAddr::V6(std::net::Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 1, 5))),
];

fn as_json(one: &Interface) -> Value {
    let mut value = json!(one);
    for (key, (_, group)) in ["used_ipv4", "used_ipv6"].into_iter().zip(FAMILIES) {
        value[key] = json!({ "used": one.is_usable(group), "why_not": one.objection(group) });
    }
    value
}

fn used(one: &Interface) -> String {
    match FAMILIES.map(|(_, group)| one.objection(group)) {
        [None, None] => "yes".to_owned(),
        [None, Some(_)] => "yes (IPv4)".to_owned(),
        [Some(_), None] => "yes (IPv6)".to_owned(),
        [Some("it has no IPv4 address"), Some(_)] => "no: it has no address".to_owned(),
        [Some(why), Some(_)] => format!("no: {why}"),
    }
}

fn kind(one: &Interface, all: &[Interface]) -> String {
    match one.master.and_then(|master| all.iter().find(|other| other.index == master)) {
        Some(master) => format!("{}\nin {}", one.kind, master.name),
        None => one.kind.clone(),
    }
}

fn flags(flags: Flags) -> Vec<&'static str> {
    let all = [
        (flags.up, "up"),
        (!flags.up, "down"),
        (flags.up && !flags.running, "no carrier"),
        (flags.multicast, "multicast"),
        (flags.loopback, "loopback"),
        (flags.point_to_point, "point-to-point"),
    ];
    all.into_iter().filter_map(|(set, name)| set.then_some(name)).collect()
}

fn lines(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use labkit::target::Family;

    use super::*;

    #[tokio::test]
    async fn what_is_listed_as_used_is_what_receivers_join_on() {
        let before = labkit::interface::all().unwrap();
        let listed = Netlink::open().unwrap().interfaces().await.unwrap();
        let after = labkit::interface::all().unwrap();
        // Containers that come and go change the machine under us: what changed meanwhile proves nothing.
        for same in before.iter().filter(|one| after.contains(one)) {
            // An address label such as eth0:1 is no interface of its own.
            let Some(one) = listed.iter().find(|one| one.index == same.index && one.name == same.name) else {
                continue;
            };
            for ((_, group), family) in FAMILIES.into_iter().zip([Family::V4, Family::V6]) {
                assert_eq!(one.is_usable(group), same.is_usable(family), "{} {group}", one.name);
            }
        }
        assert!(listed.iter().any(|one| one.flags.loopback && one.kind == "loopback" && one.mtu > 0), "{listed:?}");
    }
}
