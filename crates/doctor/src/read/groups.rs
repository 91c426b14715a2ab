//! `/proc/net/igmp` and `/proc/net/igmp6`: the groups joined on each interface.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::facts::Joined;

/// The IPv4 groups, each with the number of its interface. A line that begins with a number is an interface's; those
/// below it, indented, are its groups: `010000E0` is 224.0.0.1, the bytes as they lie in memory.
#[must_use]
pub fn v4_groups(text: &str) -> Vec<(u32, Joined)> {
    let mut interface = None;
    let mut found = Vec::new();
    for line in text.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with(|first: char| first.is_ascii_digit()) {
            interface = words.first().and_then(|word| word.parse().ok());
        } else if let (Some(index), [group, users, ..]) = (interface, words.as_slice())
            && let (Ok(bits), Ok(users)) = (u32::from_str_radix(group, 16), users.parse())
        {
            let group = Ipv4Addr::from(bits.to_ne_bytes()).into();
            found.push((index, Joined { group, users }));
        }
    }
    found
}

/// The IPv6 groups, each with the number of its interface: `4 eth0 ff02…01 1 0000000C 0`.
#[must_use]
pub fn v6_groups(text: &str) -> Vec<(u32, Joined)> {
    text.lines().filter_map(v6_line).collect()
}

fn v6_line(line: &str) -> Option<(u32, Joined)> {
    let mut words = line.split_whitespace();
    let (index, _name, group, users) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let group = Ipv6Addr::from_bits(u128::from_str_radix(group, 16).ok()?).into();
    Some((index.parse().ok()?, Joined { group, users: users.parse().ok()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_told_by_interface() {
        let text = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter
1\tlo        :     1      V3
\t\t\t\t010000E0     1 0:00000000\t\t0
4\teth0      :     2      V3
\t\t\t\t010101E0     3 0:00000000\t\t0
\t\t\t\tnonsense
\t\t\t\t010000E0     1 0:00000000\t\t0
";
        let found: Vec<(u32, String, u32)> =
            v4_groups(text).into_iter().map(|(index, one)| (index, one.group.to_string(), one.users)).collect();
        let expected = [(1, "224.0.0.1", 1), (4, "224.1.1.1", 3), (4, "224.0.0.1", 1)];
        assert_eq!(found, expected.map(|(index, group, users)| (index, group.to_owned(), users)));
    }

    #[test]
    fn ipv6_groups_stand_one_a_line() {
        let text = "1    lo              ff020000000000000000000000000001     1 0000000C 0\nfoo\n5 x 123\n";
        let found = v6_groups(text);
        assert_eq!((found.len(), found[0].0, found[0].1.group.to_string()), (1, 1, "ff02::1".to_owned()));
    }
}
