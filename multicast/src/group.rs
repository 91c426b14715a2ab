//! A multicast group as people type it: `[SOURCE,]GROUP[:PORT]`, IPv4 or IPv6.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use labkit::interface::Interface;
use labkit::target::{Family, Target};
use labkit::{Exit, Failure};

/// The port where none is typed, as in the system this lab grew from.
const DEFAULT_PORT: u16 = 5007;

/// A multicast address and a port: what a sender sends to and a receiver joins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    address: IpAddr,
    port: u16,
    zone: Option<String>,
    source: Option<IpAddr>,
}

impl Group {
    /// What both programs use when no group is typed.
    pub const DEFAULT: &str = "224.1.1.1:5007";

    /// The group at `address`. Port 0 lets the first receiver that joins choose a free one.
    ///
    /// # Errors
    /// `MC-ADDR` when `address` is no multicast address.
    pub fn new(address: IpAddr, port: u16) -> Result<Self, Failure> {
        if address.is_multicast() {
            return Ok(Group { address, port, zone: None, source: None });
        }
        Err(refuse(format!("{address} is no multicast address")))
    }

    /// Reads `224.1.1.1`, `224.1.1.1:5007`, `ff15::1:5`, `[ff15::1:5]:5007`, `[ff02::1:5%eth0]:5007`, and each of them
    /// with the one source meant before it: `192.0.2.7,232.1.1.1` (RFC 4607).
    ///
    /// # Errors
    /// `MC-ADDR` when it is no such address, or no multicast address.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let Some((source, group)) = text.split_once(',') else { return Group::parse_alone(text) };
        let (shown, group) = (labkit::text::show(source.as_bytes(), 80), Group::parse_alone(group)?);
        let is_source =
            |source: &IpAddr| !(source.is_multicast() || source.is_unspecified() || source == &IpAddr::from([255; 4]));
        let source = source.trim_start_matches('[').trim_end_matches(']').parse().ok().filter(is_source);
        let source = source.ok_or_else(|| refuse(format!("'{shown}' is no source: the address of one host is")))?;
        if source.is_ipv4() != group.address.is_ipv4() {
            return Err(refuse(format!("{source} and {group} are of two address families")));
        }
        Ok(Group { source: Some(source), ..group })
    }

    fn parse_alone(text: &str) -> Result<Self, Failure> {
        let bare_v6 = text.matches(':').count() > 1 && !text.starts_with('[');
        let target: Target = if bare_v6 { format!("[{text}]").parse() } else { text.parse() }
            .map_err(|reason| refuse(format!("'{}' is no group: {reason}", labkit::text::show(text.as_bytes(), 80))))?;
        let (host, zone) = match target.host.split_once('%') {
            Some((host, zone)) => (host, Some(zone.to_owned())),
            None => (target.host.as_str(), None),
        };
        let Ok(address) = host.parse::<IpAddr>() else {
            return Err(refuse(format!("'{host}' is no group: a group is named by its number, not by a name")));
        };
        if zone.as_deref().is_some_and(|zone| zone.is_empty() || address.is_ipv4()) {
            return Err(refuse(format!("'{text}' is no group: %INTERFACE belongs to an IPv6 address")));
        }
        Ok(Group { zone, ..Group::new(address, target.port.unwrap_or(DEFAULT_PORT))? })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The one source meant, where one was named: its messages alone are wanted.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// The interface typed after `%`, where one was.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// The address family an interface needs to carry it.
    #[must_use]
    pub fn family(&self) -> Family {
        if self.address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// Whether the same address names another group on every link, so that one interface must be meant (RFC 4007
    /// section 4: interface-local and link-local IPv6 scopes).
    #[must_use]
    pub fn belongs_to_one_link(&self) -> bool {
        matches!(self.address, IpAddr::V6(address) if matches!(address.octets()[1] & 0x0f, 1 | 2))
    }

    /// `interface` with its address of this group's family: `eth0 (192.0.2.7)`.
    #[must_use]
    pub fn describe(&self, interface: &Interface) -> String {
        let address: Option<IpAddr> = match self.family() {
            Family::V6 => interface.v6.first().map(|&address| address.into()),
            _ => interface.v4.first().map(|&address| address.into()),
        };
        match address {
            Some(address) => format!("{} ({address})", interface.name),
            None => interface.name.clone(),
        }
    }

    /// The same group on another port.
    #[must_use]
    pub fn on_port(&self, port: u16) -> Self {
        Group { port, ..self.clone() }
    }

    /// The address for the socket calls; `interface` is the kernel's number of the interface meant.
    #[must_use]
    pub fn socket_address(&self, interface: u32) -> SocketAddr {
        match self.address {
            IpAddr::V4(address) => (address, self.port).into(),
            IpAddr::V6(address) => {
                let zone = if self.belongs_to_one_link() { interface } else { 0 };
                SocketAddrV6::new(address, self.port, 0, zone).into()
            }
        }
    }
}

fn refuse(message: String) -> Failure {
    Failure::new(Exit::Usage, "MC-ADDR", message).hint(format!(
        "IPv4 groups are 224.0.0.0 to 239.255.255.255, IPv6 groups begin with ff; the default is {}",
        Group::DEFAULT
    ))
}

impl fmt::Display for Group {
    /// As it may be typed: `224.1.1.1:5007`, `[ff02::1:5%eth0]:5007`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = self.source {
            write!(f, "{source},")?;
        }
        match (self.address, &self.zone) {
            (IpAddr::V4(address), _) => write!(f, "{address}:{}", self.port),
            (IpAddr::V6(address), None) => write!(f, "[{address}]:{}", self.port),
            (IpAddr::V6(address), Some(zone)) => write!(f, "[{address}%{zone}]:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_as_people_type_them() {
        for (text, shown) in [
            ("224.1.1.1", "224.1.1.1:5007"),
            ("239.255.255.255:1", "239.255.255.255:1"),
            ("ff15::1:5", "[ff15::1:5]:5007"),
            ("[ff15::1:5]", "[ff15::1:5]:5007"),
            ("[ff15::1:5]:6000", "[ff15::1:5]:6000"),
            ("ff02::1%lo", "[ff02::1%lo]:5007"),
            ("[ff02::1%eth0]:7", "[ff02::1%eth0]:7"),
            ("192.0.2.7,232.1.1.1", "192.0.2.7,232.1.1.1:5007"),
            ("fd00::1,ff35::1", "fd00::1,[ff35::1]:5007"),
            ("[fd00::1],[ff35::1]:6000", "fd00::1,[ff35::1]:6000"),
        ] {
            let group = Group::parse(text).unwrap();
            assert_eq!(group.to_string(), shown, "{text}");
            assert_eq!(Group::parse(shown).unwrap(), group, "shown as it may be typed");
        }
    }

    #[test]
    fn what_is_no_group_is_refused_with_the_range() {
        for text in [
            "",
            "192.0.2.7",
            "255.255.255.255:5007",
            "223.255.255.255",
            "240.0.0.1",
            "::1",
            "::ffff:224.1.1.1",
            "224.1.1.1:0",
            "224.1.1.1:65536",
            "224.1.1",
            "224.1.1.1%lo",
            "ff02::1%",
            "group.example:5007",
            "224.1.1.2,232.1.1.1",
            "0.0.0.0,232.1.1.1",
            "fd00::1,232.1.1.1",
            "192.0.2.7,192.0.2.8",
            "192.0.2.7,232.1.1.1,232.1.1.2",
            "host,232.1.1.1",
            ",232.1.1.1",
            "-",
            "\x1b[2J",
        ] {
            let failure = Group::parse(text).unwrap_err();
            assert_eq!((failure.exit, failure.code), (Exit::Usage, "MC-ADDR"), "{text}");
            assert!(failure.hint.is_some() && !failure.message.contains('\x1b'), "{failure}");
        }
    }

    #[test]
    fn only_a_link_local_group_carries_the_number_of_its_link() {
        for (text, zone) in [("ff02::1:5", 7), ("ff11::5", 7), ("ff15::1:5", 0), ("ff0e::1", 0)] {
            let group = Group::parse(text).unwrap();
            let SocketAddr::V6(address) = group.socket_address(7) else { panic!("IPv6") };
            assert_eq!((address.scope_id(), group.belongs_to_one_link()), (zone, zone == 7), "{text}");
        }
        assert!(!Group::parse("224.0.0.1").unwrap().belongs_to_one_link());
    }
}
