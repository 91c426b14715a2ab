//! A receiver's socket: bound to the group, joined on each interface, deaf to every other group.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use labkit::batch::{self, Incoming};
use labkit::interface::{self, Choice, Interface};
use labkit::socket::{self, Buffer};
use labkit::{Exit, Failure};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::Group;

/// A group's socket, with one membership per interface while it is joined. Dropping it leaves too (the kernel sees to
/// that), but [`Membership::leave`] says so.
#[derive(Debug)]
pub struct Membership {
    socket: UdpSocket,
    group: Group,
    choice: Choice,
    interfaces: Vec<Interface>,
    /// The link that the socket is bound to; 0 where the group is the same on all of them.
    link: u32,
    buffer: Buffer,
    is_joined: bool,
}

/// What happened to an interface we joined on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It went down, or away.
    Down(String),
    /// It is up again, or new, and joined.
    Up(String),
}

impl Membership {
    /// Joins `group` on the interfaces meant by `choice` (the one in the group's `%INTERFACE`, where there is one) and
    /// asks for a receive buffer of `receive_buffer` bytes.
    ///
    /// The socket is bound to the group's own address, not to the wildcard, so that nothing else sent to the port comes
    /// in (Linux); `IP_MULTICAST_ALL` is off, so that the group is heard on our interfaces only, whatever other
    /// programs joined (ip(7)); and the port is shared (`SO_REUSEADDR`): several receivers each get every message.
    ///
    /// # Errors
    /// `MC-IFACE` when no interface is meant or one cannot join, `MC-LIMIT` when the kernel allows no more memberships,
    /// `PORT-IN-USE` when a program holds the port without sharing it.
    pub fn join(group: &Group, choice: &Choice, receive_buffer: usize) -> Result<Self, Failure> {
        let mut membership = Membership::open(group, choice, receive_buffer)?;
        membership.rejoin()?;
        Ok(membership)
    }

    /// The same, but not joined yet: nothing is heard until [`Membership::rejoin`].
    ///
    /// # Errors
    /// As [`Membership::join`].
    pub fn open(group: &Group, choice: &Choice, receive_buffer: usize) -> Result<Self, Failure> {
        let interfaces = meant(group, choice, &interface::all()?)?;
        let (choice, link) = (pin(group, choice, &interfaces), link_of(group, &interfaces));
        let (socket, buffer) = bind(group, link, receive_buffer)?;
        let group = group.on_port(socket::local(&socket)?.port());
        Ok(Membership { socket, group, choice, interfaces, link, buffer, is_joined: false })
    }

    /// The group, with its port where port 0 was asked for.
    #[must_use]
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// The interfaces it is joined on, or would be.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Whether it is joined now.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        self.is_joined
    }

    /// The receive buffer asked for and granted.
    #[must_use]
    pub fn buffer(&self) -> Buffer {
        self.buffer
    }

    /// Ready once something may have come.
    pub fn poll_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_recv_ready(context)
    }

    /// The next datagram: its length and where it came from. Safe to cancel: no datagram is lost then.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn receive(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.recv_from(into).await
    }

    /// Takes in what has come, up to a batch of it. Does not wait.
    ///
    /// # Errors
    /// What the operating system says; `WouldBlock` when nothing is here.
    pub fn receive_batch(&self, into: &mut Incoming) -> io::Result<usize> {
        self.socket.try_io(Interest::READABLE, || into.receive(&self.socket))
    }

    /// The same, asking the kernel itself: tokio may hold that nothing has come without having looked.
    ///
    /// # Errors
    /// As [`Membership::receive_batch`].
    pub fn receive_rest(&self, into: &mut Incoming) -> io::Result<usize> {
        into.receive(&self.socket)
    }

    /// How many datagrams the receive buffer had no room for, where the system tells.
    #[must_use]
    pub fn dropped(&self) -> Option<u64> {
        batch::dropped_by_kernel(&self.socket, self.group.address().is_ipv4())
    }

    /// Leaves on every interface: nothing new comes in. What came before can still be received.
    pub fn leave(&mut self) {
        for interface in &self.interfaces {
            if let Err(error) = leave_one(&self.socket, &self.group, interface) {
                // The interface may be gone; then so is the membership.
                tracing::debug!("leaving {} on {}: {error}", self.group, interface.name);
            }
        }
        self.is_joined = false;
    }

    /// Joins, again or for the first time, on the interfaces that are meant now.
    ///
    /// # Errors
    /// As [`Membership::join`].
    pub fn rejoin(&mut self) -> Result<(), Failure> {
        self.interfaces = meant(&self.group, &self.choice, &interface::all()?)?;
        self.follow_link(link_of(&self.group, &self.interfaces))?;
        for (done, interface) in self.interfaces.iter().enumerate() {
            join_one(&self.socket, &self.group, interface)
                .map_err(|error| join_failure(&self.group, interface, done, &error))?;
        }
        self.is_joined = true;
        Ok(())
    }

    /// Looks whether interfaces went or came, given all there are now, and joins on those that are back: the kernel
    /// forgets a membership with its interface.
    pub fn follow(&mut self, all: &[Interface]) -> Vec<Change> {
        let meant = meant(&self.group, &self.choice, all).unwrap_or_default();
        let is_same = |a: &Interface, b: &Interface| a.name == b.name && a.index == b.index;
        let mut changes = Vec::new();
        for gone in self.interfaces.iter().filter(|old| !meant.iter().any(|new| is_same(old, new))) {
            let _ = leave_one(&self.socket, &self.group, gone);
            changes.push(Change::Down(gone.name.clone()));
        }
        if let Err(failure) = self.follow_link(link_of(&self.group, &meant)) {
            tracing::debug!("{}", failure.message);
        }
        let mut here = Vec::new();
        for interface in meant {
            let is_new = !self.interfaces.iter().any(|old| is_same(old, &interface));
            if is_new && let Err(error) = join_one(&self.socket, &self.group, &interface) {
                // It is tried again at the next look.
                tracing::debug!("joining {} on {} again: {error}", self.group, interface.name);
                continue;
            }
            if is_new {
                changes.push(Change::Up(interface.name.clone()));
            }
            here.push(interface);
        }
        self.interfaces = here;
        changes
    }

    /// A link that was made anew has another number, and a socket bound to the old one hears nothing of it.
    fn follow_link(&mut self, link: u32) -> Result<(), Failure> {
        if link != 0 && link != self.link {
            (self.socket, self.buffer) = bind(&self.group, link, self.buffer.asked)?;
            self.link = link;
        }
        Ok(())
    }
}

/// Which link a socket of the group must be bound to; 0 is none in particular.
fn link_of(group: &Group, interfaces: &[Interface]) -> u32 {
    interfaces.first().filter(|_| group.belongs_to_one_link()).map_or(0, |interface| interface.index)
}

/// What is meant from now on: where the group belongs to one link, the one that was joined, whatever others come later.
fn pin(group: &Group, choice: &Choice, joined: &[Interface]) -> Choice {
    match (choice, joined) {
        (Choice::All, [only]) if group.belongs_to_one_link() && group.zone().is_none() => {
            Choice::Name(only.name.clone())
        }
        _ => choice.clone(),
    }
}

/// The interfaces to join on, each once: an address label such as `eth0:1` is the same interface as `eth0`.
fn meant(group: &Group, choice: &Choice, all: &[Interface]) -> Result<Vec<Interface>, Failure> {
    let in_group = zone_as_choice(group, choice)?;
    let mut interfaces = in_group.as_ref().unwrap_or(choice).select(all, group.family())?;
    interfaces.dedup_by_key(|interface| interface.index);
    if group.belongs_to_one_link() && interfaces.len() > 1 {
        let names: Vec<&str> = interfaces.iter().map(|interface| interface.name.as_str()).collect();
        let message = format!("{group} is another group on each of {}: one must be meant", names.join(", "));
        return Err(Failure::new(Exit::Usage, "MC-IFACE", message).hint(format!(
            "name it: `-I {0}` or `[{1}%{0}]:{2}`",
            names[0],
            group.address(),
            group.port()
        )));
    }
    Ok(interfaces)
}

/// The interface typed after `%`, as a choice.
///
/// # Errors
/// When `-I` names another one.
pub(crate) fn zone_as_choice(group: &Group, choice: &Choice) -> Result<Option<Choice>, Failure> {
    let Some(zone) = group.zone() else { return Ok(None) };
    let zone = zone.parse().unwrap_or_else(|never| match never {});
    if *choice != Choice::All && *choice != zone {
        return Err(Failure::usage(format!("{group} names interface {zone}, and -I names {choice}"))
            .hint("name the interface once"));
    }
    Ok(Some(zone))
}

fn bind(group: &Group, link: u32, receive_buffer: usize) -> Result<(UdpSocket, Buffer), Failure> {
    let socket = bind_alone(group, link)?;
    let buffer = socket::receive_buffer(&socket, receive_buffer)
        .map_err(|error| Failure::io("set the receive buffer of", group, &error))?;
    if let Err(error) = batch::count_drops(&socket) {
        tracing::debug!("drops of {group} are not told with each message: {error}");
    }
    Ok((socket, buffer))
}

fn bind_alone(group: &Group, link: u32) -> Result<UdpSocket, Failure> {
    let address = group.socket_address(link);
    let attempt = || {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        hear_own_memberships_only(&socket, address);
        socket.bind(&address.into())?;
        socket::into_tokio(socket)
    };
    attempt().map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Failure::io("bind UDP", group, &error).hint(format!(
            "a program holds port {0} without sharing it: `ss -ulpn 'sport = :{0}'` names it; or choose another port",
            group.port()
        )),
        _ => Failure::io("bind UDP", group, &error),
    })
}

/// Linux delivers to every socket bound to a group what *any* program on the host joined it for, unless told not to.
/// A kernel that cannot be told is no reason to give up.
fn hear_own_memberships_only(socket: &Socket, address: SocketAddr) {
    let told = match address {
        SocketAddr::V4(_) => socket.set_multicast_all_v4(false),
        SocketAddr::V6(_) => socket.set_multicast_all_v6(false),
    };
    if let Err(error) = told {
        tracing::warn!("messages on interfaces that other programs joined may come in too (IP_MULTICAST_ALL: {error})");
    }
}

/// One source alone is the kernel's to filter in IPv4. In IPv6 it can be asked only through calls that no safe wrapper
/// offers, so there we join for any source and whoever receives passes over the others.
fn join_one(socket: &UdpSocket, group: &Group, interface: &Interface) -> io::Result<()> {
    let socket = SockRef::from(socket);
    match (group.address(), group.source()) {
        (IpAddr::V4(group), Some(IpAddr::V4(source))) => match interface.v4.first() {
            Some(own) => socket.join_ssm_v4(&source, &group, own),
            None => Err(io::ErrorKind::AddrNotAvailable.into()),
        },
        (IpAddr::V4(group), _) => socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface.index)),
        (IpAddr::V6(group), _) => socket.join_multicast_v6(&group, interface.index),
    }
}

fn leave_one(socket: &UdpSocket, group: &Group, interface: &Interface) -> io::Result<()> {
    let socket = SockRef::from(socket);
    match (group.address(), group.source()) {
        (IpAddr::V4(group), Some(IpAddr::V4(source))) => match interface.v4.first() {
            Some(own) => socket.leave_ssm_v4(&source, &group, own),
            None => Err(io::ErrorKind::AddrNotAvailable.into()),
        },
        (IpAddr::V4(group), _) => socket.leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface.index)),
        (IpAddr::V6(group), _) => socket.leave_multicast_v6(&group, interface.index),
    }
}

/// `done` memberships went well before this one failed.
fn join_failure(group: &Group, interface: &Interface, done: usize, error: &io::Error) -> Failure {
    let failure = Failure::io(&format!("join {group} on"), &interface.name, error);
    // ENOBUFS on a join means one thing: ip(7), IP_ADD_MEMBERSHIP, and net.ipv4.igmp_max_memberships.
    if error.raw_os_error() == Some(nix::errno::Errno::ENOBUFS as i32) {
        return Failure { code: "MC-LIMIT", ..failure }.hint(format!(
            "the kernel allows no more than {done} memberships a socket: `sysctl net.ipv4.igmp_max_memberships` shows \
             the limit, `-w` raises it; or name fewer interfaces with -I"
        ));
    }
    Failure { code: "MC-IFACE", ..failure }.hint("`ip link` shows the interfaces; choose another with -I")
}

#[cfg(test)]
mod tests {
    use labkit::interface::Flags;

    use super::*;

    fn ether(name: &str, index: u32) -> Interface {
        let flags = Flags { up: true, multicast: true, ..Flags::default() };
        let v6 = vec!["fe80::1".parse().unwrap()];
        Interface { name: name.into(), index, v4: vec![[192, 0, 2, 7].into()], v6, flags }
    }

    fn names(group: &str, choice: &str) -> Result<Vec<String>, Failure> {
        let all = [ether("eth0", 2), ether("eth1", 3), ether("eth0:1", 2)];
        let interfaces = meant(&Group::parse(group).unwrap(), &choice.parse().unwrap(), &all)?;
        Ok(interfaces.into_iter().map(|interface| interface.name).collect())
    }

    #[test]
    fn every_usable_interface_is_joined_once() {
        assert_eq!(names("224.1.1.1", "all").unwrap(), ["eth0", "eth1"]);
        assert_eq!(names("ff15::1:5", "all").unwrap(), ["eth0", "eth1"]);
    }

    #[test]
    fn a_link_local_group_needs_one_link() {
        let failure = names("ff02::1:5", "all").unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Usage, "MC-IFACE"));
        assert!(failure.hint.unwrap().contains("[ff02::1:5%eth0]:5007"));
        assert_eq!(names("ff02::1:5", "eth1").unwrap(), ["eth1"]);
        assert_eq!(names("ff02::1:5%eth1", "all").unwrap(), ["eth1"]);
        assert_eq!(names("ff02::1:5%eth1", "eth0").unwrap_err().code, "USAGE");
    }

    #[test]
    fn the_limit_of_memberships_is_told_apart_from_other_failures() {
        let group = Group::parse("224.1.1.1").unwrap();
        let code = |errno: nix::errno::Errno| {
            join_failure(&group, &ether("eth0", 2), 20, &io::Error::from_raw_os_error(errno as i32)).code
        };
        assert_eq!(code(nix::errno::Errno::ENOBUFS), "MC-LIMIT");
        assert_eq!(code(nix::errno::Errno::ENODEV), "MC-IFACE");
    }
}
