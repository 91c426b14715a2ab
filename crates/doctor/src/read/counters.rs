//! `/proc/net/netstat` and `/proc/net/snmp`: counters, a line of names above a line of values.

/// The counter `name` of the group `prefix`, such as `IPReversePathFilter` of `TcpExt`.
#[must_use]
pub fn counter(text: &str, prefix: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(prefix)?.strip_prefix(':'));
    let place = lines.next()?.split_whitespace().position(|one| one == name)?;
    lines.next()?.split_whitespace().nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_stands_below_its_name() {
        let text = "TcpExt: SyncookiesSent IPReversePathFilter X\nTcpExt: 0 42 1\nIpExt: InNoRoutes\nIpExt: 7\n";
        assert_eq!(counter(text, "TcpExt", "IPReversePathFilter"), Some(42));
        assert_eq!(counter(text, "IpExt", "InNoRoutes"), Some(7));
        assert_eq!(counter(text, "IpExt", "Missing"), None);
        assert_eq!(counter("TcpExt: A\n", "TcpExt", "A"), None);
    }
}
