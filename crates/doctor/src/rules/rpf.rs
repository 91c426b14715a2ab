//! `MC-RPF`: reverse-path filtering throws away what comes from a sender that is routed elsewhere (RFC 3704).

use crate::facts::Way;
use crate::{Facts, Finding};

const STRICT: u8 = 1;

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    by_route(facts).into_iter().chain(by_counter(facts)).take(1).collect()
}

/// The sender, as the user named it, and the routes.
fn by_route(facts: &Facts) -> Option<Finding> {
    let source = facts.question.source.filter(|source| source.is_ipv4())?;
    let working = facts.working();
    // On a link of ours the route is right by itself, and the wrong interface is another finding.
    if facts.link_of(source).is_some() || working.iter().any(|one| one.rp_filter == 0) {
        return None;
    }
    let first = working.first()?;
    let (seen, attempt) = match facts.way_to_source.as_ref()? {
        Way::Nowhere(_) => (
            format!("no route leads back to {source}, and {} has rp_filter={}", first.name, first.rp_filter),
            format!("ip route add {source}/32 dev {}", first.name),
        ),
        Way::Through { index, .. } => {
            let strict = working.iter().all(|one| one.rp_filter == STRICT && one.index != *index);
            if !strict {
                return None;
            }
            let way = facts.interface(*index).map_or("another interface", |one| one.name.as_str());
            let attempt =
                format!("sysctl -w net.ipv4.conf.{0}.rp_filter=2   # or a route to {source} by {0}", first.name);
            (format!("{source} is routed through {way}, and {} has rp_filter=1", first.name), attempt)
        }
    };
    Some(Finding::new("MC-RPF", seen, "the kernel throws away what comes from there, and only counts it", attempt))
}

/// Packets were thrown away while we listened.
fn by_counter(facts: &Facts) -> Option<Finding> {
    let filtered = facts.probe.as_ref()?.filtered;
    if filtered == 0 {
        return None;
    }
    let device = facts.device();
    Some(Finding::new(
        "MC-RPF",
        format!("reverse-path filtering threw away {filtered} packets while we listened (IPReversePathFilter)"),
        "they came in by an interface that the route to their sender does not use",
        format!("sysctl -w net.ipv4.conf.{device}.rp_filter=2   # or a route to the sender by {device}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Probe;
    use crate::fixture::{codes, two_homes};

    /// Joined on eth1 alone; the sender is far away.
    fn strict(way: Way, rp_filter: u8) -> Facts {
        let mut facts = two_homes().named("eth1").source("203.0.113.9", way);
        facts.interfaces[2].rp_filter = rp_filter;
        facts
    }

    #[test]
    fn a_sender_routed_elsewhere_is_filtered_when_strict() {
        let by = |index| Way::Through { index, gateway: "192.0.2.254".parse().ok() };
        let nowhere = || Way::Nowhere("unreachable".into());
        for (way, rp_filter, expected) in [
            (by(2), 1, vec!["MC-RPF"]),
            (by(2), 2, vec![]),
            (by(2), 0, vec![]),
            (by(3), 1, vec![]),
            (nowhere(), 1, vec!["MC-RPF"]),
            (nowhere(), 2, vec!["MC-RPF"]),
            (nowhere(), 0, vec![]),
        ] {
            assert_eq!(codes(&examine(&strict(way.clone(), rp_filter))), expected, "{way:?} {rp_filter}");
        }
    }

    #[test]
    fn what_was_filtered_meanwhile_is_told() {
        let mut facts = two_homes();
        facts.probe = Some(Probe { peer: None, refused: false, heard: Vec::new(), filtered: 3 });
        assert!(examine(&facts)[0].seen.contains("3 packets"));
    }
}
