//! Many datagrams a system call, both ways: what it takes to keep up with hundreds of thousands a second.
//!
//! Out, datagrams of one size leave as one super-packet that the kernel cuts (UDP segmentation offload, Linux 4.18), or
//! each by itself where it cannot (`sendmmsg`). In, one call takes what has come (`recvmmsg`); each datagram stays one datagram to the
//! kernel's counters, so what it drops is counted to the message. Who needs speed more than that count lets the kernel
//! gather datagrams again ([`gather`], UDP generic receive offload, Linux 5.0).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg, sendmsg,
    setsockopt, sockopt,
};

/// How many datagrams the kernel cuts a super-packet into at most (`UDP_MAX_SEGMENTS`).
pub const SEGMENTS: usize = 64;
/// How many bytes a super-packet may carry: an IPv4 datagram's worth.
pub const LONGEST: usize = 65_507;

/// How many datagrams one call takes in.
const INCOMING: usize = 64;

/// Sends datagrams of `size` bytes each, which stand one behind the other in `bytes` (the last may be shorter), to
/// `target`: as one super-packet where the kernel and the device can, else each by itself, up to 64 in a call. `can_cut`
/// remembers that they cannot. Gives how many bytes were handed over: all, unless the socket's buffer ran full on the way.
///
/// # Errors
/// What the operating system says to the first datagram that it does not take; `WouldBlock` when there is no room now.
pub fn send(
    socket: &impl AsRawFd,
    target: SocketAddr,
    bytes: &[u8],
    size: usize,
    can_cut: &mut bool,
) -> io::Result<usize> {
    send_with(socket, target, bytes, size, 0, can_cut)
}

/// The same, with `tos` as the second byte of the IPv4 header, or the traffic class of IPv6: its two lowest bits are ECN's
/// (RFC 3168). On a system that takes no such order they leave as always.
///
/// # Errors
/// As [`send`].
pub fn send_with(
    socket: &impl AsRawFd,
    target: SocketAddr,
    bytes: &[u8],
    size: usize,
    tos: u8,
    can_cut: &mut bool,
) -> io::Result<usize> {
    let size = size.max(1);
    if *can_cut && bytes.len() > size && bytes.len() <= LONGEST {
        match send_once(socket, target, bytes, Some(size), tos) {
            Ok(sent) => return Ok(sent),
            // No support in the kernel, on the device, or for datagrams that would have to be fragmented.
            Err(Errno::EINVAL | Errno::EIO | Errno::EMSGSIZE | Errno::ENOPROTOOPT | Errno::EOPNOTSUPP) => {
                *can_cut = false
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    let mut sent = 0;
    loop {
        let rest = &bytes[sent..bytes.len().min(size.saturating_mul(SEGMENTS).saturating_add(sent))];
        match send_each(socket, target, rest, size, tos) {
            Ok(taken) => sent += taken,
            Err(_) if sent > 0 => return Ok(sent),
            Err(errno) => return Err(errno.into()),
        }
        if sent >= bytes.len() {
            return Ok(sent);
        }
    }
}

/// Each datagram by itself, but all of them in one call. Where the socket takes only the first few, those are sent; what
/// it says to the next one, it says when that is tried again.
fn send_each(socket: &impl AsRawFd, target: SocketAddr, bytes: &[u8], size: usize, tos: u8) -> Result<usize, Errno> {
    // An empty datagram is one too.
    if bytes.len() <= size {
        return send_once(socket, target, bytes, None, tos);
    }
    let slices: Vec<[IoSlice<'_>; 1]> = bytes.chunks(size).map(|one| [IoSlice::new(one)]).collect();
    let addresses = vec![Some(SockaddrStorage::from(target)); slices.len()];
    let class = i32::from(tos);
    let mark = [mark(target, &tos, &class)];
    let orders = if tos == 0 { &[][..] } else { &mark[..] };
    let room = (tos != 0).then(|| nix::cmsg_space!(i32));
    let mut headers = MultiHeaders::preallocate(slices.len(), room);
    match sendmmsg(socket.as_raw_fd(), &mut headers, &slices, &addresses, orders, MsgFlags::empty()) {
        Ok(taken) => Ok(taken.map(|datagram| datagram.bytes).sum()),
        Err(Errno::EINVAL) if tos != 0 => send_each(socket, target, bytes, size, 0),
        Err(errno) => Err(errno),
    }
}

/// One call: to be cut into datagrams of `size` bytes, or as one; without `tos` where the system does not know it.
fn send_once(
    socket: &impl AsRawFd,
    target: SocketAddr,
    bytes: &[u8],
    size: Option<usize>,
    tos: u8,
) -> Result<usize, Errno> {
    let each = u16::try_from(size.unwrap_or_default()).map_err(|_| Errno::EMSGSIZE)?;
    let class = i32::from(tos);
    let orders = [ControlMessage::UdpGsoSegments(&each), mark(target, &tos, &class)];
    let orders = match (size, tos) {
        (Some(_), 0) => &orders[..1],
        (Some(_), _) => &orders[..],
        (None, 0) => &[],
        (None, _) => &orders[1..],
    };
    let to = SockaddrStorage::from(target);
    match sendmsg(socket.as_raw_fd(), &[IoSlice::new(bytes)], orders, MsgFlags::empty(), Some(&to)) {
        Err(Errno::EINVAL) if tos != 0 => send_once(socket, target, bytes, size, 0),
        sent => sent,
    }
}

/// The order to send with that byte in the header: an IPv4 address in the form of an IPv6 one gets an IPv4 header.
fn mark<'a>(target: SocketAddr, tos: &'a u8, class: &'a i32) -> ControlMessage<'a> {
    let is_v4 = target.ip().to_canonical().is_ipv4();
    if is_v4 { ControlMessage::Ipv4Tos(tos) } else { ControlMessage::Ipv6TClass(class) }
}

/// Asks the kernel to say, with each datagram, how many the socket has dropped before it for want of room.
///
/// # Errors
/// When the system cannot.
pub fn count_drops(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::RxqOvfl, &1)?)
}

/// Lets the kernel hand over datagrams that came one behind the other, of one size and from one sender, as one. Then
/// [`Incoming::gathered`] is the room they need.
///
/// # Errors
/// When the system cannot: then each comes by itself, and nothing else changes.
pub fn gather(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::UdpGroSegment, &true)?)
}

/// Asks the kernel to say, with each datagram, which `tos` it came with: see [`Incoming::tos`].
///
/// # Errors
/// When the system cannot.
pub fn tell_tos(socket: &(impl std::os::fd::AsFd + ?Sized), is_v4: bool) -> io::Result<()> {
    setsockopt(&socket, sockopt::IpRecvTos, &true)?;
    // A socket of IPv6 may take IPv4 as well, and is told of each in its own way.
    if is_v4 { Ok(()) } else { Ok(setsockopt(&socket, sockopt::Ipv6RecvTClass, &true)?) }
}

/// Room for what one call takes in.
#[derive(Debug)]
pub struct Incoming {
    room: Vec<u8>,
    each: usize,
    /// How many of the places the next call may fill.
    places: usize,
    headers: Vec<Header>,
    dropped: u32,
}

/// How many gathered datagrams one call takes in: 512 KiB of them, which stay in the processor's cache until they are
/// dealt with.
const GATHERED: usize = 8;

/// What is known of a datagram beside its bytes.
#[derive(Clone, Copy, Debug)]
struct Header {
    start: usize,
    length: usize,
    from: SocketAddr,
    tos: u8,
}

impl Incoming {
    /// Room for datagrams of up to `each` bytes; longer ones are cut.
    #[must_use]
    pub fn new(each: usize) -> Self {
        Incoming { room: vec![0; each * INCOMING], each, places: INCOMING, headers: Vec::new(), dropped: 0 }
    }

    /// Room for datagrams that the kernel may have gathered: then a call takes few of them, else as many as
    /// [`Incoming::new`] has room for. What is never written to costs no memory.
    #[must_use]
    pub fn gathered() -> Self {
        Incoming { places: GATHERED, ..Incoming::new(1 << 16) }
    }

    /// Takes in what has come, up to a batch of it. Does not wait.
    ///
    /// # Errors
    /// What the operating system says; `WouldBlock` when nothing is here.
    pub fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<usize> {
        self.headers.clear();
        self.dropped = 0;
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.room.chunks_mut(self.each.max(1)).take(self.places).map(|chunk| [IoSliceMut::new(chunk)]).collect();
        // Anew each time: the kernel writes lengths into the headers that the next call would take for limits.
        let mut headers = MultiHeaders::preallocate(slices.len(), Some(nix::cmsg_space!(u32, i32, i32)));
        let received = recvmmsg(socket.as_raw_fd(), &mut headers, &mut slices, MsgFlags::MSG_DONTWAIT, None)?;
        let mut any_gathered = false;
        for (which, message) in received.enumerate() {
            let (mut size, mut tos) = (message.bytes, 0);
            for control in message.cmsgs().into_iter().flatten() {
                match control {
                    ControlMessageOwned::RxqOvfl(count) => self.dropped = count,
                    // How long each of the gathered ones is; the last may be shorter.
                    ControlMessageOwned::UdpGroSegments(each) => size = usize::try_from(each).unwrap_or(size).max(1),
                    ControlMessageOwned::Ipv4Tos(told) => tos = told,
                    ControlMessageOwned::Ipv6TClass(told) => tos = u8::try_from(told).unwrap_or_default(),
                    _ => {}
                }
            }
            any_gathered |= size < message.bytes;
            let from = message.address.as_ref().and_then(address).unwrap_or_else(|| (IpAddr::from([0; 4]), 0).into());
            let (start, end) = (which * self.each, which * self.each + message.bytes);
            let mut next = start;
            loop {
                let length = size.min(end - next);
                self.headers.push(Header { start: next, length, from, tos });
                next += length;
                // An empty datagram is one too.
                if next >= end {
                    break;
                }
            }
        }
        self.places = if any_gathered { GATHERED } else { INCOMING };
        Ok(self.headers.len())
    }

    /// What the last call took in, in order of arrival.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], SocketAddr)> {
        self.headers
            .iter()
            .map(|header| (self.room.get(header.start..header.start + header.length).unwrap_or_default(), header.from))
    }

    /// One of what the last call took in, counted from 0 in order of arrival.
    pub fn datagram(&mut self, which: usize) -> Option<(&mut [u8], SocketAddr)> {
        let header = self.headers.get(which)?;
        self.room.get_mut(header.start..header.start + header.length).map(|bytes| (bytes, header.from))
    }

    /// The second byte of the IPv4 header, or the traffic class of IPv6, that one of them came with: the same for all that
    /// were gathered into one, because the kernel gathers no others. Zero without [`tell_tos`].
    #[must_use]
    pub fn tos(&self, which: usize) -> u8 {
        self.headers.get(which).map_or(0, |header| header.tos)
    }

    /// How many datagrams the socket had dropped, since it was opened, when the newest one of the last call came; counts
    /// to 2³², and is 0 without [`count_drops`].
    #[must_use]
    pub fn dropped(&self) -> u32 {
        self.dropped
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    let v6 = || storage.as_sockaddr_in6().map(|v6| SocketAddrV6::new(v6.ip(), v6.port(), 0, v6.scope_id()).into());
    v4.or_else(v6)
}

/// How many datagrams the kernel threw away for want of room in `socket`'s receive buffer, as `/proc/net/udp` counts
/// them; none where the system does not tell. (The column also counts wrong checksums.)
#[must_use]
pub fn dropped_by_kernel(socket: &impl std::os::fd::AsFd, is_v4: bool) -> Option<u64> {
    let inode = nix::sys::stat::fstat(socket).ok()?.st_ino;
    let table = if is_v4 { "/proc/thread-self/net/udp" } else { "/proc/thread-self/net/udp6" };
    in_table(&std::fs::read_to_string(table).ok()?, inode)
}

/// The last column of the row of that inode, which is its tenth: see proc_net_udp in the kernel's documentation.
fn in_table(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|row| {
        let mut fields = row.split_ascii_whitespace();
        (fields.nth(9)?.parse() == Ok(inode)).then(|| fields.next_back()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn pair() -> (UdpSocket, UdpSocket, SocketAddr) {
        let (sender, receiver) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let to = receiver.local_addr().unwrap();
        (sender, receiver, to)
    }

    #[test]
    fn a_batch_is_as_many_datagrams_as_it_was() {
        let (sender, receiver, to) = pair();
        let from = sender.local_addr().unwrap();
        for mut can_cut in [true, false] {
            let bytes: Vec<u8> = (0..=250).collect();
            assert_eq!(send(&sender, to, &bytes, 100, &mut can_cut).unwrap(), 251);
            assert_eq!(send(&sender, to, b"", 100, &mut can_cut).unwrap(), 0);
            let mut incoming = Incoming::new(200);
            let mut taken: Vec<Vec<u8>> = Vec::new();
            while taken.len() < 4 {
                // Loopback delivers before `send` returns.
                incoming.receive(&receiver).unwrap();
                assert!(incoming.datagrams().all(|(_, who)| who == from));
                taken.extend(incoming.datagrams().map(|(bytes, _)| bytes.to_vec()));
            }
            assert_eq!(taken, [&bytes[..100], &bytes[100..200], &bytes[200..], b""]);
            assert_eq!(incoming.receive(&receiver).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn more_than_one_call_sends_leave_one_by_one_and_in_order() {
        let (sender, receiver, to) = pair();
        let bytes: Vec<u8> = (0..=250).cycle().take(2 * SEGMENTS * 7 + 3).collect();
        assert_eq!(send(&sender, to, &bytes, 7, &mut false).unwrap(), bytes.len());
        let (mut incoming, mut taken) = (Incoming::new(10), Vec::new());
        while incoming.receive(&receiver).is_ok() {
            taken.extend(incoming.datagrams().map(|(bytes, _)| bytes.to_vec()));
        }
        assert_eq!((taken.len(), taken.concat()), (2 * SEGMENTS + 1, bytes));
        let long = vec![0; LONGEST + 1];
        assert_eq!(
            send(&sender, to, &long, long.len(), &mut false).unwrap_err().raw_os_error(),
            Some(Errno::EMSGSIZE as i32)
        );
    }

    #[test]
    fn what_the_kernel_gathered_is_the_datagrams_it_was() {
        let (sender, receiver, to) = pair();
        gather(&receiver).unwrap();
        let (mut incoming, mut can_cut) = (Incoming::gathered(), true);
        let bytes: Vec<u8> = (0..=250).cycle().take(40 * 1_000 + 7).collect();
        send(&sender, to, &bytes, 1_000, &mut can_cut).unwrap();
        send(&sender, to, b"", 1, &mut can_cut).unwrap();
        let mut taken: Vec<Vec<u8>> = Vec::new();
        while taken.len() < 42 {
            let count = incoming.receive(&receiver).unwrap();
            taken.extend((0..count).map(|which| incoming.datagram(which).unwrap().0.to_vec()));
            assert!(incoming.datagram(count).is_none());
        }
        assert_eq!(taken.concat(), bytes);
        // Of those that come one by one, a call takes more once it is known that they do.
        for _ in 0..GATHERED + INCOMING {
            send(&sender, to, b"alone", 5, &mut can_cut).unwrap();
        }
        assert_eq!([(); 2].map(|()| incoming.receive(&receiver).unwrap()), [GATHERED, INCOMING]);
        assert_eq!(taken.iter().map(Vec::len).collect::<Vec<_>>(), [vec![1_000; 40], vec![7, 0]].concat());
    }

    #[test]
    fn the_second_byte_of_the_header_comes_as_it_was_sent() {
        for (address, is_v4) in [("127.0.0.1:0", true), ("[::1]:0", false)] {
            let (sender, receiver) = (UdpSocket::bind(address).unwrap(), UdpSocket::bind(address).unwrap());
            let to = receiver.local_addr().unwrap();
            tell_tos(&receiver, is_v4).unwrap();
            gather(&receiver).unwrap();
            let (mut incoming, bytes) = (Incoming::gathered(), [7; 3_000]);
            for (tos, mut can_cut) in [(0b10, true), (0, true), (0b11, false), (0b1011_1001, true)] {
                assert_eq!(send_with(&sender, to, &bytes, 1_000, tos, &mut can_cut).unwrap(), 3_000);
                let mut taken = 0;
                while taken < 3 {
                    let count = incoming.receive(&receiver).unwrap();
                    assert!((0..count).all(|which| incoming.tos(which) == tos), "{address}: {tos:#b}");
                    taken += count;
                }
            }
        }
        // An IPv6 socket that talks to IPv4: both headers are told of.
        let (sender, receiver) = (UdpSocket::bind("[::]:0").unwrap(), UdpSocket::bind("[::]:0").unwrap());
        let to = format!("[::ffff:127.0.0.1]:{}", receiver.local_addr().unwrap().port()).parse().unwrap();
        tell_tos(&receiver, false).unwrap();
        send_with(&sender, to, b"mapped", 100, 0b10, &mut true).unwrap();
        let mut incoming = Incoming::new(100);
        assert_eq!((incoming.receive(&receiver).unwrap(), incoming.tos(0)), (1, 0b10));
    }

    #[test]
    fn drops_are_counted_to_the_datagram() {
        let (sender, receiver, to) = pair();
        socket2::SockRef::from(&receiver).set_recv_buffer_size(20_000).unwrap();
        count_drops(&receiver).unwrap();
        let (mut incoming, mut can_cut, mut taken) = (Incoming::new(100), true, 0);
        let sent = 50 * SEGMENTS;
        for _ in 0..50 {
            send(&sender, to, &[7; SEGMENTS * 100], 100, &mut can_cut).unwrap();
        }
        while let Ok(count) = incoming.receive(&receiver) {
            taken += count;
        }
        assert!(taken < sent, "20 kB hold no {sent} datagrams");
        send(&sender, to, b"last", 100, &mut can_cut).unwrap();
        incoming.receive(&receiver).unwrap();
        assert_eq!(usize::try_from(incoming.dropped()).unwrap(), sent - taken);
        let told = dropped_by_kernel(&receiver, true);
        assert!(told.is_none() || told == Some(incoming.dropped().into()), "{told:?}");
    }

    #[test]
    fn the_row_of_the_inode_tells() {
        let table = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  412: 010101E0:138F 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 48213 2 0000000000000000 0
  412: 010101E0:138F 00000000:0000 07 00000000:00034B00 00:00000000 00000000  1000        0 48299 2 0000000000000000 1204
garbage
";
        assert_eq!((in_table(table, 48_299), in_table(table, 48_213), in_table(table, 1)), (Some(1204), Some(0), None));
    }
}
