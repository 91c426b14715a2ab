//! `HOST[:PORT]` as people type it, and every address it stands for.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use crate::exit::{Exit, Failure};

/// How long a name may take to resolve: the resolver's own time-outs add up to far more.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// A host and, maybe, a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// A name or an address.
    pub host: String,
    /// The port, where one was typed.
    pub port: Option<u16>,
}

/// Which addresses are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv4 and IPv6.
    #[default]
    Any,
    /// IPv4 only (`-4`).
    V4,
    /// IPv6 only (`-6`).
    V6,
}

impl Family {
    /// Whether `address` is wanted.
    #[must_use]
    pub fn admits(self, address: IpAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        }
    }

    /// From the flags `-4` and `-6`.
    #[must_use]
    pub fn from_flags(only_v4: bool, only_v6: bool) -> Self {
        match (only_v4, only_v6) {
            (true, false) => Family::V4,
            (false, true) => Family::V6,
            _ => Family::Any,
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = split(text)?;
        let plausible = !host.is_empty() && !host.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/');
        if !plausible {
            return Err("a target is NAME:PORT, ADDRESS:PORT or [IPV6]:PORT".to_owned());
        }
        Ok(Target { host: host.to_owned(), port })
    }
}

fn split(text: &str) -> Result<(&str, Option<u16>), String> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("the bracket around an IPv6 address is not closed")?;
        return match after.strip_prefix(':') {
            Some(digits) => Ok((host, Some(port(digits)?))),
            None if after.is_empty() => Ok((host, None)),
            None => Err("after the bracket comes :PORT or nothing".to_owned()),
        };
    }
    match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => Err("write an IPv6 address with a port as [ADDRESS]:PORT".to_owned()),
        Some((host, digits)) => Ok((host, Some(port(digits)?))),
        None => Ok((text, None)),
    }
}

fn port(digits: &str) -> Result<u16, String> {
    match digits.parse() {
        Ok(0) | Err(_) => Err(format!("'{digits}' is no port: a number from 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.host.contains(':')) {
            (Some(port), true) => write!(f, "[{}]:{port}", self.host),
            (Some(port), false) => write!(f, "{}:{port}", self.host),
            (None, _) => f.write_str(&self.host),
        }
    }
}

/// Every address `target` stands for, in the resolver's order, each once.
///
/// # Errors
/// When the name does not resolve, has no address of the wanted family, or the resolver takes over ten seconds.
pub async fn resolve(target: &Target, default_port: u16, family: Family) -> Result<Vec<SocketAddr>, Failure> {
    let port = target.port.unwrap_or(default_port);
    let unresolved = |reason: String| {
        Failure::new(Exit::Setup, "NAME-UNRESOLVED", format!("cannot resolve {}: {reason}", target.host))
            .hint(format!("check the spelling; `getent ahosts {}` asks the same resolver", target.host))
    };
    let answer = tokio::time::timeout(RESOLVE_LIMIT, tokio::net::lookup_host((target.host.as_str(), port)))
        .await
        .map_err(|_| unresolved(format!("the resolver did not answer in {} s", RESOLVE_LIMIT.as_secs())))?
        .map_err(|error| unresolved(error.to_string()))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in answer.filter(|address| family.admits(address.ip())) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(unresolved(match family {
            Family::Any => "it has no address".to_owned(),
            Family::V4 => "it has no IPv4 address".to_owned(),
            Family::V6 => "it has no IPv6 address".to_owned(),
        }));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, port: Option<u16>) -> Target {
        Target { host: host.to_owned(), port }
    }

    #[test]
    fn hosts_and_ports_as_people_type_them() {
        for (text, expected) in [
            ("server3:5000", target("server3", Some(5000))),
            ("server", target("server", None)),
            ("127.0.0.1:1", target("127.0.0.1", Some(1))),
            ("::1", target("::1", None)),
            ("[::1]:5000", target("::1", Some(5000))),
            ("[fe80::1%eth0]", target("fe80::1%eth0", None)),
        ] {
            assert_eq!(text.parse::<Target>().unwrap(), expected, "{text}");
        }
        for text in ["", ":5000", "a:0", "a:65536", "a:b", "a b:1", "::1:70000:x", "[::1", "[::1]x", "a/b:1", "a\n:1"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn shown_as_it_may_be_typed() {
        for text in ["server3:5000", "[::1]:5000", "server"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
    }

    #[tokio::test]
    async fn a_name_that_is_none_fails_with_its_name() {
        // A label may have 63 characters (RFC 1035 section 2.3.4), so no resolver even asks the network for this one.
        let name = "x".repeat(64);
        let failure = resolve(&target(&name, None), 5000, Family::Any).await.unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Setup, "NAME-UNRESOLVED"));
        assert!(failure.message.contains(&name), "{failure}");
    }

    #[tokio::test]
    async fn the_family_asked_for_is_the_only_one_given() {
        let addresses = resolve(&target("127.0.0.1", None), 5000, Family::Any).await.unwrap();
        assert_eq!(addresses, ["127.0.0.1:5000".parse().unwrap()]);
        let failure = resolve(&target("127.0.0.1", None), 5000, Family::V6).await.unwrap_err();
        assert!(failure.message.contains("no IPv6 address"), "{failure}");
    }
}
