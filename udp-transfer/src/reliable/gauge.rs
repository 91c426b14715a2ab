//! How large datagrams may be, and how many of them may be on the way.

use std::net::IpAddr;
use std::time::Duration;

use arq::limits::SMALLEST_DATAGRAM;

/// The longest datagram an Ethernet frame carries in one piece over IPv4: 1500 bytes less 20 and 8.
const ETHERNET_V4: u16 = 1_472;
/// The same over IPv6: 1500 less 40 and 8.
const ETHERNET_V6: u16 = 1_452;
/// Loopback, with its MTU of 65 536, would carry more; but a receive buffer of the usual size holds few such datagrams. Four
/// of these are what the kernel takes at once.
const LONGEST_UNASKED: u16 = 16_376;

/// The longest datagram the server takes part in.
pub(super) const LARGEST: u16 = arq::limits::LARGEST_DATAGRAM;

/// The datagram lengths to try with a server at `to`, longest first. The first packet on the way there may be `mtu` bytes
/// long, as far as the kernel knows.
pub(super) fn lengths(to: IpAddr, mtu: Option<u32>) -> Vec<u16> {
    let (ethernet, headers) = if to.to_canonical().is_ipv4() { (ETHERNET_V4, 28) } else { (ETHERNET_V6, 48) };
    let first_hop = mtu.map_or(ethernet, |mtu| u16::try_from(mtu.saturating_sub(headers)).unwrap_or(u16::MAX));
    // Beyond the first interface a jumbo frame may meet an ordinary one, and that one a tunnel.
    let longest = first_hop.clamp(SMALLEST_DATAGRAM, LONGEST_UNASKED);
    let mut lengths = vec![longest, ethernet, SMALLEST_DATAGRAM];
    lengths.retain(|&length| length <= longest);
    lengths.dedup();
    lengths
}

/// The rate a receiver makes room for, in bytes per second: a gigabit.
const FASTEST_FAR: u64 = 125_000_000;
/// Beyond this many bytes on the way nothing gains.
const MOST_ON_THE_WAY: u64 = 16 << 20;
/// What the kernel counts for a datagram besides its bytes (`sk_buff` and rounding).
const KERNEL_OVERHEAD: u64 = 832;

/// How many datagrams of `datagram` bytes a receiver lets be on the way: what its socket buffer of `granted` bytes holds
/// if it does not look for a while, and what the path itself holds.
///
/// The kernel counts twice what it grants (socket(7)), and counts more than the bytes; half of that is left for bursts.
pub(super) fn credit(granted: usize, datagram: u16, rtt: Option<Duration>) -> u32 {
    let datagram = u64::from(datagram.max(1));
    let in_buffer = (granted as u64) / (datagram.next_power_of_two().max(2_048) + KERNEL_OVERHEAD);
    let micros = rtt.map_or(0, |rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX));
    let on_path = FASTEST_FAR.saturating_mul(micros) / 1_000_000 / datagram;
    let most = MOST_ON_THE_WAY / datagram;
    u32::try_from(in_buffer.saturating_add(on_path).clamp(16, most.max(16))).unwrap_or(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_fit_the_first_interface_and_what_may_come_behind_it() {
        let of = |to: &str, mtu| lengths(to.parse().unwrap(), mtu);
        for loopback in ["127.0.0.1", "::ffff:127.0.0.1"] {
            assert_eq!(of(loopback, Some(65_536)), [16_376, 1_472, 1_200]);
        }
        assert_eq!(of("::1", Some(65_536)), [16_376, 1_452, 1_200]);
        assert_eq!(of("127.0.0.1", Some(1_500)), [1_472, 1_200], "made narrow on purpose");
        assert_eq!(of("192.0.2.1", Some(1_500)), [1_472, 1_200]);
        assert_eq!(of("192.0.2.1", Some(9_000)), [8_972, 1_472, 1_200], "jumbo frames");
        assert_eq!(of("192.0.2.1", Some(1_420)), [1_392, 1_200], "a tunnel");
        assert_eq!(of("192.0.2.1", Some(576)), [1_200], "no less, whatever it takes");
        assert_eq!(of("2001:db8::1", None), [1_452, 1_200]);
    }

    #[test]
    fn a_small_buffer_holds_few_and_a_long_path_many() {
        assert_eq!(credit(212_992, 1_472, Some(Duration::from_micros(100))), 73 + 8);
        assert!(credit(212_992, 1_472, Some(Duration::from_millis(30))) > 2_500, "100 Mbit/s at 30 ms need 255");
        assert_eq!(credit(0, 16_384, None), 16);
        assert_eq!(credit(usize::MAX, 65_507, Some(Duration::from_secs(9))), 256);
    }
}
