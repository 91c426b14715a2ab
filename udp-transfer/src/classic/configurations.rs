//! Which file each host has configured: what a server of the classic protocol must remember, and how much of it.
//!
//! The configuration comes from one socket and the transfers it is for are asked from others, one a sub-client: only
//! the host's address is common to them. So a configuration belongs to a host, and its newest one counts. (Two people
//! behind one address overwrite each other's: the classic protocol has no name for a session.)

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::FileName;

/// What a host has configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The file.
    pub name: FileName,
    /// How many clients it announced. The original does not hold anybody to it, and neither do we.
    pub clients: u16,
}

/// The newest configuration of each host, of at most so many hosts; the oldest is forgotten first.
#[derive(Debug)]
pub struct Configurations {
    limit: usize,
    newest_last: VecDeque<(IpAddr, Configuration)>,
}

impl Configurations {
    /// Remembers at most `limit` hosts.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Configurations { limit, newest_last: VecDeque::new() }
    }

    /// Remembers what `host` wants.
    pub fn set(&mut self, host: IpAddr, configuration: Configuration) {
        let host = host.to_canonical();
        self.newest_last.retain(|(other, _)| *other != host);
        while self.newest_last.len() >= self.limit.max(1) {
            self.newest_last.pop_front();
        }
        self.newest_last.push_back((host, configuration));
    }

    /// What `host` wants.
    #[must_use]
    pub fn of(&self, host: IpAddr) -> Option<&Configuration> {
        let host = host.to_canonical();
        self.newest_last.iter().find(|(other, _)| *other == host).map(|(_, configuration)| configuration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn wants(name: &str) -> Configuration {
        Configuration { name: FileName::parse(name).unwrap(), clients: 1 }
    }

    #[test]
    fn the_newest_configuration_of_a_host_counts() {
        let mut configurations = Configurations::new(8);
        configurations.set(host(1), wants("a"));
        configurations.set(host(2), wants("b"));
        configurations.set(host(1), wants("c"));
        assert_eq!(configurations.of(host(1)), Some(&wants("c")));
        assert_eq!(configurations.of(host(2)), Some(&wants("b")));
        assert_eq!(configurations.of(host(3)), None);
        assert_eq!(configurations.of("::ffff:192.0.2.1".parse().unwrap()), Some(&wants("c")), "one host, two forms");
    }

    #[test]
    fn the_oldest_is_forgotten_first_and_memory_is_bounded() {
        let mut configurations = Configurations::new(2);
        for last in 1..=200 {
            configurations.set(host(last), wants("a"));
        }
        assert_eq!(configurations.newest_last.len(), 2);
        assert_eq!(configurations.of(host(198)), None);
        assert!(configurations.of(host(199)).is_some() && configurations.of(host(200)).is_some());
    }
}
