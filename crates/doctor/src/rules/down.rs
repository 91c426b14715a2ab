//! `MC-DOWN`: the interface is switched off, or connected to nothing.

use crate::facts::Interface;
use crate::{Facts, Finding};

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let named = facts.question.named.is_some();
    let chosen = facts.chosen();
    let off = chosen.iter().filter(|one| !one.flags.up).map(|one| {
        let name = &one.name;
        Finding::new(
            "MC-DOWN",
            format!("{name} is switched off"),
            "nothing can be joined or sent there",
            format!("ip link set {name} up"),
        )
    });
    // An unplugged one among others that work is usual: a laptop's socket, a bridge without containers.
    let others = chosen.iter().any(|other| other.flags.up && other.flags.running);
    let matters = |one: &&&Interface| one.flags.up && !one.flags.running && !one.flags.loopback && (named || !others);
    let unplugged = chosen.iter().filter(matters).map(|one| {
        let name = &one.name;
        Finding::new(
            "MC-DOWN",
            format!("{name} is on, and connected to nothing: it has no carrier"),
            "a join on it reaches nobody",
            format!("ip -br link show {name}   # then the cable, the Wi-Fi or the other end"),
        )
    });
    off.chain(unplugged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::{codes, healthy, two_homes};

    #[test]
    fn a_named_interface_that_is_off_is_a_fault() {
        let mut facts = healthy().named("eth0");
        facts.interfaces[1].flags.up = false;
        assert_eq!(codes(&examine(&facts)), ["MC-DOWN"]);
        assert!(examine(&facts)[0].seen.contains("switched off"));
    }

    #[test]
    fn without_a_carrier_it_is_a_fault_where_nothing_else_works() {
        let mut facts = healthy();
        facts.interfaces[1].flags.running = false;
        assert_eq!(examine(&facts)[0].severity, Severity::Fault);
        let mut facts = two_homes();
        facts.interfaces[1].flags.running = false;
        assert_eq!(examine(&facts), []);
        assert_eq!(examine(&facts.named("eth0"))[0].severity, Severity::Fault);
    }
}
