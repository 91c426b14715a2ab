//! `/proc/net/udp` and `/proc/net/udp6`: the UDP sockets of this machine, and what was dropped because they were full.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::facts::Socket;

/// The sockets on `port`.
#[must_use]
pub fn sockets(text: &str, port: u16) -> Vec<Socket> {
    text.lines().skip(1).filter_map(line).filter(|socket| socket.port == port).collect()
}

/// `SLOT: LOCAL REMOTE STATE QUEUES TIMER RETRANSMIT UID TIMEOUT INODE REFERENCES POINTER DROPS`.
fn line(line: &str) -> Option<Socket> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = words.get(1)?.split_once(':')?;
    Some(Socket {
        local: self::address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        inode: words.get(9)?.parse().ok()?,
        drops: words.get(12)?.parse().ok()?,
        owner: None,
    })
}

/// Words of four bytes, each as it lies in memory.
fn address(digits: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(digits.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match digits.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (n, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(n * 8)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_tells_its_address_and_its_drops() {
        let text = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
11354: 010101E0:138F 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 32523 2 00000000e28df1c3 1204
11355: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 32524 2 00000000e28df1c3 0
junk: x
  1: é0000000000:138F 00000000:0000 07
";
        let found = sockets(text, 5007);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].local, found[0].drops, found[0].inode), ([224, 1, 1, 1].into(), 1204, 32523));
    }

    #[test]
    fn ipv6_addresses_are_four_words() {
        let text = "head\n 1: 000015FF000000000000000005000100:138F 0:0 07 0:0 0:0 0 0 0 77 2 0 3\n";
        let found = sockets(text, 5007);
        assert_eq!(found[0].local.to_string(), "ff15::1:5");
    }
}
