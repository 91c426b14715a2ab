//! The rules: each a pure function from facts to findings, one cause a file.

mod address;
mod bridge;
mod buffer;
mod down;
mod duplicate;
mod firewall;
mod fragments;
mod interface;
mod limit;
mod port;
mod probe;
mod reach;
mod refused;
mod route;
mod rpf;
mod source;

use crate::{Facts, Finding};

/// A rule.
type Rule = fn(&Facts) -> Vec<Finding>;

const RULES: &[Rule] = &[
    down::examine,
    interface::examine,
    duplicate::examine,
    address::examine,
    route::examine,
    firewall::examine,
    port::examine,
    limit::examine,
    refused::examine,
    rpf::examine,
    reach::examine,
    source::examine,
    bridge::examine,
    buffer::examine,
    fragments::examine,
    probe::examine,
];

/// Every finding, the worst first; none on a healthy machine.
#[must_use]
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut found: Vec<Finding> = RULES.iter().flat_map(|rule| rule(facts)).collect();
    found.sort_by_key(|finding| finding.severity);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::healthy;

    #[test]
    fn a_healthy_machine_has_nothing_to_say() {
        assert_eq!(examine(&healthy()), []);
    }

    #[test]
    fn the_worst_comes_first() {
        let mut facts = healthy();
        facts.question.length = Some(4_000);
        facts.interfaces[1].flags.running = false;
        let severities: Vec<_> = examine(&facts).into_iter().map(|finding| finding.severity).collect();
        assert!(severities.len() > 1 && severities.is_sorted(), "{severities:?}");
    }
}
