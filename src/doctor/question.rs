//! What was asked: a group, maybe its source, an interface, a length.

use std::net::IpAddr;

use doctor::facts::Interface;
use doctor::facts::Question;
use labkit::Failure;
use labkit::interface::Choice;
use multicast::{Group, block};

use super::Args;

/// A group, and the source named before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) group: Group,
    pub(super) source: Option<IpAddr>,
    /// Whether the user named the group: then it may be joined beyond loopback.
    pub(super) asked: bool,
}

impl Subject {
    /// Reads `[SOURCE,]GROUP[:PORT]`; without it, the group of the lab.
    ///
    /// # Errors
    /// `MC-ADDR` when the group is none, a usage error when the source is no address of its family.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Failure> {
        let Some(text) = text else {
            return Ok(Subject { group: Group::parse(Group::DEFAULT)?, source: None, asked: false });
        };
        let (source, group) = match text.split_once(',') {
            Some((source, group)) => (Some(source), Group::parse(group)?),
            None => (None, Group::parse(text)?),
        };
        let source = source.map(|text| source_of(text, &group)).transpose()?;
        Ok(Subject { group, source, asked: true })
    }

    /// The question, as the rules want it; `interfaces` says which one is meant.
    pub(super) fn question(&self, args: &Args, interfaces: &[Interface]) -> Question {
        let zone = self.group.zone().map(|zone| zone.parse().unwrap_or_else(|never| match never {}));
        let choice = args.interface.clone().filter(|choice| *choice != Choice::All).or(zone);
        let meant = choice.as_ref().and_then(|choice| interfaces.iter().find(|one| is_meant(choice, one)));
        Question {
            group: self.group.address(),
            port: self.group.port(),
            named: choice.as_ref().map(ToString::to_string),
            named_index: meant.map(|one| one.index),
            source: self.source,
            length: args.length.map(|length| u32::try_from(length).unwrap_or(u32::MAX / 2)),
            ttl: args.ttl,
            floods_as: block::flooded_as(self.group.address()).map(IpAddr::from),
        }
    }
}

fn source_of(text: &str, group: &Group) -> Result<IpAddr, Failure> {
    let fits = |source: &IpAddr| source.is_ipv4() == group.address().is_ipv4() && !source.is_multicast();
    text.parse().ok().filter(fits).ok_or_else(|| {
        let shown = labkit::text::show(text.as_bytes(), 80);
        Failure::usage(format!("'{shown}' is no source of {group}"))
            .hint("a source is a unicast address of the same family")
    })
}

fn is_meant(choice: &Choice, one: &Interface) -> bool {
    match choice {
        Choice::All => false,
        Choice::Name(name) => one.name == *name,
        Choice::Index(index) => one.index == *index,
        Choice::Address(address) => one.addresses.iter().any(|own| own.address == *address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_may_stand_before_the_group() {
        let subject = Subject::parse(Some("192.0.2.9,232.1.1.1:6000")).unwrap();
        assert_eq!((subject.source, subject.group.port()), ("192.0.2.9".parse().ok(), 6000));
        assert!(!Subject::parse(None).unwrap().asked);
        for (text, code) in [
            ("192.0.2.9", "MC-ADDR"),
            ("x,224.1.1.1", "USAGE"),
            ("fd00::1,224.1.1.1", "USAGE"),
            ("224.1.1.2,224.1.1.1", "USAGE"),
            ("192.0.2.9,", "MC-ADDR"),
        ] {
            assert_eq!(Subject::parse(Some(text)).unwrap_err().code, code, "{text}");
        }
    }
}
