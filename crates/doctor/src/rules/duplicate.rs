//! `MC-DAD`: an IPv6 interface whose addresses may not be used (RFC 4862 section 5.4).

use crate::{Facts, Finding};

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    if facts.question.group.is_ipv4() {
        return Vec::new();
    }
    facts
        .working()
        .into_iter()
        .filter_map(|one| {
            let name = &one.name;
            let mut own = one.addresses.iter().filter(|own| own.address.is_ipv6());
            if own.clone().any(|own| !own.tentative && !own.duplicate) {
                return None;
            }
            let first = own.next()?;
            let (seen, means, attempt) = if own.chain([first]).any(|own| own.duplicate) {
                let seen = format!("somebody else on the link of {name} has the address {}", first.address);
                let means = "the kernel gave the address up, and there is no other to send from";
                (seen, means, format!("ip -6 address del {} dev {name}   # then give it another", first.address))
            } else {
                let seen = format!("{} on {name} is tentative: still being tried for duplicates", first.address);
                (
                    seen,
                    "it can be used in a second or two, once the link is up",
                    format!("ip -6 address show dev {name} tentative"),
                )
            };
            Some(Finding::new("MC-DAD", seen, means, attempt))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{codes, healthy};

    #[test]
    fn an_address_that_may_not_be_used_is_none() {
        let mut facts = healthy().group("ff15::1");
        assert_eq!(examine(&facts), []);
        facts.interfaces[1].addresses[1].tentative = true;
        assert!(examine(&facts)[0].seen.contains("tentative"));
        facts.interfaces[1].addresses[1].duplicate = true;
        assert!(examine(&facts)[0].seen.contains("somebody else"));
        assert_eq!(codes(&examine(&facts)), ["MC-DAD"]);
        assert_eq!(examine(&facts.group("224.1.1.1")), []);
    }
}
