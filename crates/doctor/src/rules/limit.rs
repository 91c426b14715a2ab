//! `MC-LIMIT`: more memberships than one socket may have (ip(7), `IP_ADD_MEMBERSHIP`).

use crate::facts::Ended;
use crate::{Facts, Finding};

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let wanted = facts.working().len();
    let refused = facts.trials.iter().any(|trial| matches!(&trial.ended, Ended::JoinRefused("MC-LIMIT", _)));
    let limit = facts.limits.memberships.filter(|_| facts.question.group.is_ipv4());
    let exceeded = limit.is_some_and(|limit| usize::try_from(limit).is_ok_and(|limit| limit < wanted));
    if !refused && !exceeded {
        return Vec::new();
    }
    let limit = limit.map_or_else(|| "a limit".to_owned(), |limit| limit.to_string());
    vec![Finding::new(
        "MC-LIMIT",
        format!(
            "a socket may have {limit} memberships (net.ipv4.igmp_max_memberships), and {wanted} interfaces are meant"
        ),
        "a receiver that joins on all of them is refused",
        format!("sysctl -w net.ipv4.igmp_max_memberships={}   # or name fewer: -I {}", wanted.max(20), facts.device()),
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Trial;
    use crate::fixture::{codes, healthy, two_homes};

    #[test]
    fn the_limit_is_told_before_and_after_it_is_met() {
        let mut facts = two_homes();
        facts.limits.memberships = Some(1);
        assert_eq!(codes(&examine(&facts)), ["MC-LIMIT"]);
        assert_eq!(examine(&facts.clone().named("eth0")), []);
        assert_eq!(examine(&facts.group("ff15::1")), []);
        let mut facts = healthy();
        let ended = Ended::JoinRefused("MC-LIMIT", "no buffer space".into());
        facts.trials = vec![Trial { interface: None, ended, unicast: None }];
        assert_eq!(codes(&examine(&facts)), ["MC-LIMIT"]);
    }
}
