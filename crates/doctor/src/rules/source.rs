//! `MC-SSM`: a join that names its source needs IGMPv3 (RFC 4604), and an interface was told to speak an older one.

use crate::{Facts, Finding};

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    if facts.question.source.is_none() || facts.question.group.is_ipv6() {
        return Vec::new();
    }
    let old = facts.working().into_iter().filter(|one| matches!(one.igmp_forced, 1 | 2));
    old.map(|one| {
        let (name, version) = (&one.name, one.igmp_forced);
        Finding::new(
            "MC-SSM",
            format!("{name} is told to speak IGMPv{version} (force_igmp_version)"),
            "that version cannot name a source: a join that does is sent without it, and networks that want it ignore the join",
            format!("sysctl -w net.ipv4.conf.{name}.force_igmp_version=0"),
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Way;
    use crate::fixture::{codes, healthy};

    #[test]
    fn an_old_version_cannot_name_a_source() {
        let mut facts = healthy();
        facts.interfaces[1].igmp_forced = 2;
        assert_eq!(examine(&facts), []);
        let facts = facts.source("192.0.2.9", Way::Through { index: 2, gateway: None });
        assert_eq!(codes(&examine(&facts)), ["MC-SSM"]);
    }
}
