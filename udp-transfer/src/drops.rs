//! How many datagrams the kernel threw away because a socket's receive buffer was full, as `/proc/net/udp` counts them.

use std::net::SocketAddr;

/// What a socket of ours, bound to `local`, has lost so far; none where the system does not tell.
///
/// The column also counts datagrams whose checksum was wrong, which a loopback or a veth pair does not make.
#[must_use]
pub fn of_socket(local: SocketAddr) -> Option<u64> {
    let table = if local.is_ipv4() { "/proc/thread-self/net/udp" } else { "/proc/thread-self/net/udp6" };
    in_table(&std::fs::read_to_string(table).ok()?, local.port())
}

/// The last column of the row whose local port is `port`: see proc_net_udp in the kernel's documentation.
fn in_table(table: &str, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|row| {
        let mut fields = row.split_ascii_whitespace();
        let (_, local_port) = fields.nth(1)?.rsplit_once(':')?;
        (u16::from_str_radix(local_port, 16) == Ok(port)).then(|| fields.next_back()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const TABLE: &str = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  412: 0100007F:1B39 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 48213 2 0000000000000000 0
 3300: 00000000:D431 00000000:0000 07 00000000:00034B00 00:00000000 00000000  1000        0 48299 2 0000000000000000 1204
garbage
  413: nonsense
";

    #[test]
    fn the_row_of_the_port_tells_what_was_dropped() {
        assert_eq!(in_table(TABLE, 6969), Some(0));
        assert_eq!(in_table(TABLE, 0xd431), Some(1204));
        assert_eq!(in_table(TABLE, 1), None);
        assert_eq!(in_table("", 1), None);
    }

    #[test]
    fn a_full_buffer_is_counted_by_the_kernel() {
        let (receiver, sender) = (UdpSocket::bind("0.0.0.0:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let local = receiver.local_addr().unwrap();
        if of_socket(local).is_none() {
            // Counted as not run by whoever reads the log: this system tells no drops.
            eprintln!("SKIPPED: /proc/net/udp tells nothing here");
            return;
        }
        assert_eq!(of_socket(local), Some(0));
        let mut sent = 0;
        while of_socket(local) == Some(0) {
            sender.send_to(&[0; 60_000], ("127.0.0.1", local.port())).unwrap();
            sent += 1;
            assert!(sent < 10_000, "no receive buffer holds 600 MB");
        }
    }
}
