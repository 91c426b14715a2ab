//! `UDP-RCVBUF`: a receiver on this port reads too slowly, and the kernel throws away what does not fit.

use core::net::IpAddr;

use crate::{Facts, Finding};

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let group = facts.question.group;
    // One bound to another address is not about this group.
    let ours = |local: IpAddr| local == group || local.is_unspecified();
    let losing = facts.sockets.iter().filter(|socket| socket.drops > 0 && ours(socket.local));
    losing
        .map(|socket| {
            let owner = socket.owner.as_deref().unwrap_or("a program");
            let limit = facts.limits.receive_buffer;
            let wanted = limit.unwrap_or(0).saturating_mul(2).max(8 << 20);
            let limit = limit.map(|limit| format!("; the limit here is {limit} bytes")).unwrap_or_default();
            Finding::new(
                "UDP-RCVBUF",
                format!(
                    "{} datagrams for {owner} on UDP port {} were thrown away: its receive buffer was full",
                    socket.drops, socket.port
                ),
                format!("they arrived at this machine, and the program read too slowly for its buffer{limit}"),
                format!(
                    "sysctl -w net.core.rmem_max={wanted}   # on the host; then give the receiver `--rcvbuf {wanted}`"
                ),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Socket;
    use crate::fixture::healthy;

    #[test]
    fn a_receiver_that_loses_is_named() {
        let mut facts = healthy();
        let socket = |local: &str, drops| Socket {
            local: local.parse().unwrap(),
            port: 5007,
            drops,
            inode: 1,
            owner: Some("multicast-receiver (process 7)".into()),
        };
        facts.sockets = vec![socket("224.1.1.1", 0), socket("224.1.1.2", 9), socket("0.0.0.0", 1_204)];
        let found = examine(&facts);
        assert_eq!(found.len(), 1);
        assert!(found[0].seen.starts_with("1204 datagrams for multicast-receiver (process 7)"), "{}", found[0]);
    }
}
