//! What did not come, by cause: the sum of what is known from numbers, totals, the kernel and ourselves.

use labkit::socket::Buffer;
use serde::Serialize;

use crate::track::Counts;

/// Messages that did not come, each under one cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Losses {
    /// Lost on the way: what no other cause explains.
    pub network: u64,
    /// Came to this machine and found our receive buffer full.
    pub receive_buffer: u64,
    /// Dropped on purpose (`--impair`).
    pub impaired: u64,
    /// Sent before we joined, or before the network knew that we did.
    pub before_joining: u64,
    /// Sent while we had left, or our interface was down.
    pub while_away: u64,
    /// Of all of the first three: how many were the last ones of their source, so that no gap shows them.
    pub at_the_tail: u64,
}

impl Losses {
    /// Sorts out what `counts` say is missing, given how many datagrams `impaired` and the receive buffer (`dropped`)
    /// took. Those may have taken strangers' datagrams and duplicates as well, so neither explains more than is missing.
    #[must_use]
    pub fn sort_out(counts: Counts, impaired: u64, dropped: u64) -> Self {
        let missing = counts.lost.saturating_add(counts.tail);
        let impaired = impaired.min(missing);
        let receive_buffer = dropped.min(missing - impaired);
        Losses {
            network: missing - impaired - receive_buffer,
            receive_buffer,
            impaired,
            before_joining: counts.before,
            while_away: counts.away,
            at_the_tail: counts.tail,
        }
    }

    /// What is missing of what was sent while we were there.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.network + self.receive_buffer + self.impaired
    }

    /// The first cause to look into, with a code and one command to try.
    #[must_use]
    pub fn advice(&self, buffer: Buffer, interface: &str) -> Option<Advice> {
        let advice = |code, command: String| Some(Advice { code, command });
        if self.receive_buffer > 0 {
            let wanted = buffer.asked.max(buffer.granted).saturating_mul(4);
            return advice(
                "UDP-RCVBUF",
                match buffer.is_short() {
                    true => format!("sysctl -w net.core.rmem_max={wanted}"),
                    false => format!("multicast-receiver --rcvbuf {wanted} --quiet"),
                },
            );
        }
        if self.network > 0 {
            return advice("UDP-LOSS", format!("ip -s link show dev {interface}"));
        }
        if self.impaired > 0 {
            return advice("IMPAIRED", "the same without --impair".to_owned());
        }
        if self.before_joining > 0 {
            return advice("MC-LATE", "multicast-sender --delay 5s".to_owned());
        }
        None
    }

    /// The causes, with how many each, for one line: `3 by the network, 2 by our receive buffer`.
    #[must_use]
    pub fn causes(&self) -> String {
        let causes = [
            (self.receive_buffer, "our receive buffer was full"),
            (self.network, "the network"),
            (self.impaired, "--impair"),
        ];
        let told: Vec<String> =
            causes.iter().filter(|(count, _)| *count > 0).map(|(count, cause)| format!("{count}: {cause}")).collect();
        told.join(", ")
    }
}

/// A code, and one command to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// A stable name for the cause.
    pub code: &'static str,
    /// What to try.
    pub command: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(lost: u64, tail: u64, impaired: u64, dropped: u64) -> Losses {
        Losses::sort_out(Counts { lost, tail, before: 1, ..Counts::default() }, impaired, dropped)
    }

    #[test]
    fn no_cause_explains_more_than_is_missing() {
        for (losses, network, buffer, impaired) in [
            (losses(10, 2, 3, 4), 5, 4, 3),
            (losses(10, 0, 3, 40), 0, 7, 3),
            (losses(2, 0, 3, 40), 0, 0, 2),
            (losses(0, 0, 3, 40), 0, 0, 0),
        ] {
            assert_eq!((losses.network, losses.receive_buffer, losses.impaired), (network, buffer, impaired));
            assert_eq!(losses.missing(), network + buffer + impaired);
        }
        assert_eq!(losses(u64::MAX, 9, 3, 4).missing(), u64::MAX, "whatever numbers a stranger makes up");
    }

    #[test]
    fn the_first_cause_has_a_code_and_a_command() {
        let buffer = Buffer { asked: 100, granted: 50 };
        let code = |losses: Losses| losses.advice(buffer, "eth0").map(|advice| advice.code);
        assert_eq!(code(losses(9, 0, 1, 1)), Some("UDP-RCVBUF"));
        assert_eq!(code(losses(9, 0, 1, 0)), Some("UDP-LOSS"));
        assert_eq!(code(losses(1, 0, 1, 0)), Some("IMPAIRED"));
        assert_eq!(code(losses(0, 0, 0, 0)), Some("MC-LATE"));
        assert_eq!(code(Losses::default()), None);
        let command = losses(9, 0, 0, 9).advice(buffer, "eth0").unwrap().command;
        assert_eq!(command, "sysctl -w net.core.rmem_max=400");
    }
}
