//! `UDP-MTU`: payloads that do not fit into one packet.

use crate::{Facts, Finding};

/// The headers of IP and UDP, in bytes: RFC 791 and RFC 8200, and RFC 768.
const HEADERS: [u32; 2] = [20 + 8, 40 + 8];
/// The longest payload there is, by UDP's length field, in bytes.
const LONGEST: [u32; 2] = [65_507, 65_527];

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let Some(length) = facts.question.length else { return Vec::new() };
    let family = usize::from(facts.question.group.is_ipv6());
    if length > LONGEST[family] {
        let most = LONGEST[family];
        return vec![Finding::new(
            "UDP-MTU",
            format!("no datagram carries {length} bytes: {most} are the most"),
            "the kernel refuses to send it",
            "cut the message up: castlab doctor -l 1452 says what fits everywhere",
        )];
    }
    let narrow = facts.working().into_iter().filter(|one| length + HEADERS[family] > one.mtu);
    narrow
        .map(|one| {
            let (room, mtu) = (one.mtu.saturating_sub(HEADERS[family]), one.mtu);
            let pieces = pieces(length, mtu, HEADERS[family]);
            Finding::new(
                "UDP-MTU",
                format!("{length} bytes are split in {pieces} on {} (MTU {mtu})", one.name),
                "one lost piece loses all of it, and some networks drop pieces",
                format!("send at most {room} bytes: `-l {room}`"),
            )
            .warning()
        })
        .collect()
}

/// How many packets carry it: all but the last hold a multiple of 8 bytes; IPv6 adds a header of 8 to each.
fn pieces(length: u32, mtu: u32, headers: u32) -> u32 {
    let (ip, extra) = if headers == HEADERS[0] { (20, 0) } else { (40, 8) };
    let room = mtu.saturating_sub(ip + extra) / 8 * 8;
    (length + 8).div_ceil(room.max(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::healthy;

    #[test]
    fn what_fits_is_told_to_the_byte() {
        for (group, length, expected) in [
            ("224.1.1.1", 1_472, None),
            ("224.1.1.1", 1_473, Some("split in 2")),
            ("224.1.1.1", 4_000, Some("split in 3")),
            ("224.1.1.1", 65_507, Some("split in 45")),
            ("ff15::1", 1_452, None),
            ("ff15::1", 1_453, Some("split in 2")),
        ] {
            let mut facts = healthy().group(group);
            facts.question.length = Some(length);
            let seen = examine(&facts).first().map(|finding| finding.seen.clone());
            assert_eq!(seen.is_some(), expected.is_some(), "{length}: {seen:?}");
            assert!(seen.unwrap_or_default().contains(expected.unwrap_or_default()), "{length}");
        }
        let mut facts = healthy();
        facts.question.length = Some(65_508);
        assert_eq!(examine(&facts)[0].severity, Severity::Fault);
    }
}
