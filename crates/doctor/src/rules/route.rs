//! `MC-NOROUTE`: the kernel knows no way to the group.

use crate::facts::{Ended, Way};
use crate::{Facts, Finding};

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let group = facts.question.group;
    let all = if group.is_ipv4() { "224.0.0.0/4" } else { "ff00::/8" };
    let family = if group.is_ipv4() { "" } else { "-6 " };
    if let Way::Nowhere(why) = &facts.way_to_group
        && facts.question.named.is_none()
    {
        return vec![Finding::new(
            "MC-NOROUTE",
            format!("the kernel knows no way to {group}: {why}"),
            "a program that names no interface cannot send, and says 'network unreachable'",
            format!("ip {family}route add {all} dev {0}   # or name it: -I {0}", facts.device()),
        )];
    }
    let refused = facts.trials.iter().filter_map(|trial| match &trial.ended {
        Ended::SendRefused("MC-NOROUTE", why) => Some((trial.interface.as_deref().unwrap_or("all"), why)),
        _ => None,
    });
    refused
        .map(|(name, why)| {
            Finding::new(
                "MC-NOROUTE",
                format!("sending through {name} was refused: {why}"),
                "the interface is named, and still no route there leads to the group",
                format!("ip {family}route show table all dev {name}"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Trial;
    use crate::fixture::{codes, healthy};

    #[test]
    fn no_route_matters_where_no_interface_is_named() {
        let mut facts = healthy();
        facts.way_to_group = Way::Nowhere("Network is unreachable".into());
        assert_eq!(codes(&examine(&facts)), ["MC-NOROUTE"]);
        assert!(examine(&facts)[0].attempt.contains("224.0.0.0/4 dev eth0"));
        assert_eq!(examine(&facts.named("eth0")), []);
    }

    #[test]
    fn a_refusal_to_send_names_the_interface() {
        let mut facts = healthy().named("eth0");
        let ended = Ended::SendRefused("MC-NOROUTE", "no".into());
        facts.trials = vec![Trial { interface: Some("eth0".into()), ended, unicast: None }];
        assert!(examine(&facts)[0].seen.contains("eth0"));
    }
}
