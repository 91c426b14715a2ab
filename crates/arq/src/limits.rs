//! The limits that hold in every mode: what each is, where it comes from, and what goes wrong without it.

use std::time::Duration;

/// Nothing from the peer for this long ends a transfer (RFC 9000 section 10.1 leaves the value to us; 30 s is common).
/// Shorter, and a Wi-Fi hand-over kills it; longer, and dead peers hold places.
pub const IDLE: Duration = Duration::from_secs(30);

/// In raw mode a receiver gives a sign of life each second; a sender that hears none for this long stops, since nothing
/// else would ever stop it (RFC 8085 section 3.1).
pub const RAW_IDLE: Duration = Duration::from_secs(10);

/// The longest time between two probes. RFC 9002 section 6.2.1 doubles without a bound; we stop at a second (or the plain
/// time-out, on a slower path), so that a transfer goes on within two seconds after an outage. One datagram a second
/// harms no path.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// After this long without a block, a receiver that expects one says again how things stand.
pub const KEEPALIVE: Duration = Duration::from_secs(1);

/// A report on a packet that came longer ago than this is no measure of the round-trip time.
pub const OLD_NEWS: Duration = Duration::from_millis(500);

/// How long an end that is done still answers the other one's last questions.
pub const LINGER: Duration = Duration::from_secs(3);

/// How often a receiver that has everything says so, while nobody confirms it.
pub const LAST_WORDS: u32 = 5;

/// The time between two of a receiver's last words.
pub const LAST_WORD_AGAIN: Duration = Duration::from_millis(500);

/// Raw mode: how long after the sender's `done` stragglers are still waited for.
pub const STRAGGLERS: Duration = Duration::from_millis(200);

/// Raw mode: how often a sender says `done` while no final report comes, and the time between.
pub const DONE_TIMES: u32 = 5;
/// See [`DONE_TIMES`].
pub const DONE_AGAIN: Duration = Duration::from_secs(1);

/// How far, in blocks, a sender goes ahead of the lowest block that is missing, and half of how many sendings it remembers
/// when it sends a block for the first time. With blocks of 1 167 bytes it is 19 MB, a gigabit over 150 ms.
pub const REACH: u64 = 16_384;

/// How many sendings a sender remembers at most, those of blocks sent again included: a receiver whose reports leave more in
/// doubt is given up. It bounds what a transfer costs, whatever is reported: some 6 MB where each sending has a mark of
/// its own, 1.5 MB as long as it is [`REACH`], and the work of a report.
pub const MOST_REMEMBERED: u64 = 4 * REACH;

/// The smallest datagram length the handshake agrees on: every path of the Internet carries it (RFC 9000 section 14), and
/// a peer cannot make our bookkeeping explode with tiny blocks (CVE-2019-11479).
pub const SMALLEST_DATAGRAM: u16 = 1_200;

/// The largest datagram length: the most UDP carries over IPv4.
pub const LARGEST_DATAGRAM: u16 = 65_507;
