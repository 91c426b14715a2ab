//! A sender's socket: pinned to one interface, which it can name.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use labkit::batch;
use labkit::interface::{self, Choice, Interface};
use labkit::socket;
use labkit::{Exit, Failure};
use nix::sys::socket::{getsockopt, sockopt::IpMtu};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::Group;
use crate::membership::zone_as_choice;

/// How far what is sent goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// How many links it may cross: 1 is this link only (`IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`).
    pub ttl: u8,
    /// Whether receivers on this machine hear it too (`IP_MULTICAST_LOOP`).
    pub loopback: bool,
}

impl Default for Reach {
    fn default() -> Self {
        Reach { ttl: 1, loopback: true }
    }
}

/// A socket that sends to one group through one interface.
#[derive(Debug)]
pub struct Outgoing {
    socket: UdpSocket,
    group: Group,
    interface: Interface,
    source: SocketAddr,
    mtu: Option<usize>,
    /// Whether super-packets are taken, as far as is known.
    can_cut: bool,
}

/// What the kernel says of the way to a group.
struct Way {
    /// The address it would send from.
    source: SocketAddr,
    /// The largest IP packet on that way, in bytes, where it says.
    mtu: Option<usize>,
}

impl Outgoing {
    /// Opens a socket to `group` through the interface meant: by `choice`, else by the group's `%INTERFACE`, else the
    /// one the kernel routes the group to.
    ///
    /// # Errors
    /// `MC-NOROUTE` when no route leads to the group, `MC-IFACE` when the interface is not there or cannot carry it,
    /// `USAGE` when more than one is meant.
    pub fn open(group: &Group, choice: Option<&Choice>, reach: Reach) -> Result<Self, Failure> {
        let interfaces = interface::all()?;
        let (interface, pin) = match named(group, choice)? {
            Some(choice) => chosen(group, &choice, &interfaces)?,
            None => routed(group, &interfaces)?,
        };
        let way = ask_the_kernel(group, Some((&interface, pin)))?;
        let attempt = || {
            let socket = open(group, Some((&interface, pin)))?;
            set_reach(&socket, group, reach)?;
            socket.bind(&bind_address(&interface, pin, choice).into())?;
            socket::into_tokio(socket)
        };
        let socket = attempt().map_err(|error| Failure::io("open a UDP socket on", &interface.name, &error))?;
        let bound = socket::local(&socket)?;
        let mut source = if bound.ip().is_unspecified() { way.source } else { bound };
        source.set_port(bound.port());
        Ok(Outgoing { socket, group: group.clone(), interface, source, mtu: way.mtu, can_cut: true })
    }

    /// The group it sends to.
    #[must_use]
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// The interface it sends through.
    #[must_use]
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// The address its datagrams come from.
    #[must_use]
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// The largest IP packet the interface takes in one piece, in bytes, where the kernel says.
    #[must_use]
    pub fn mtu(&self) -> Option<usize> {
        self.mtu
    }

    /// Hands one datagram to the network.
    ///
    /// # Errors
    /// What the operating system refused, with `MC-NOROUTE` where no route is left.
    pub async fn send(&self, payload: &[u8]) -> Result<(), Failure> {
        let target = self.group.socket_address(self.interface.index);
        match self.socket.send_to(payload, target).await {
            Ok(_) => Ok(()),
            Err(error) => Err(refused("send to", &self.group, Some(&self.interface), &error)),
        }
    }

    /// Hands many datagrams of `size` bytes each, one behind the other in `bytes`, to the network, in as few calls as
    /// the kernel allows.
    ///
    /// # Errors
    /// As [`Outgoing::send`].
    pub async fn send_many(&mut self, bytes: &[u8], size: usize) -> Result<(), Failure> {
        let target = self.group.socket_address(self.interface.index);
        let Outgoing { socket, can_cut, .. } = self;
        let mut sent = 0;
        while sent < bytes.len() {
            let mut attempt = || batch::send(socket, target, &bytes[sent..], size, can_cut);
            match socket.try_io(Interest::WRITABLE, &mut attempt) {
                Ok(more) => sent += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = socket.writable().await;
                    ready.map_err(|error| refused("send to", &self.group, Some(&self.interface), &error))?;
                }
                Err(error) => return Err(refused("send to", &self.group, Some(&self.interface), &error)),
            }
        }
        Ok(())
    }

    /// Hands a report to the network, for the port after the group's; where there is none, nothing is done. A report
    /// that cannot be sent is one that was lost, which is nothing new.
    pub async fn send_report(&self, report: &[u8]) {
        let Some(port) = self.group.port().checked_add(1) else { return };
        let target = self.group.on_port(port).socket_address(self.interface.index);
        if let Err(error) = self.socket.send_to(report, target).await {
            tracing::debug!("a report to {target} was not sent: {error}");
        }
    }
}

/// What the user named, wherever it was typed.
fn named(group: &Group, choice: Option<&Choice>) -> Result<Option<Choice>, Failure> {
    let zone = zone_as_choice(group, choice.unwrap_or(&Choice::All))?;
    match choice.cloned().or(zone) {
        Some(Choice::All) => Err(Failure::usage("a sender sends through one interface, not through all")
            .hint("name one with -I, or leave -I out: the kernel's route decides then")),
        other => Ok(other),
    }
}

/// The interface named, and the address of it to send from.
fn chosen(group: &Group, choice: &Choice, all: &[Interface]) -> Result<(Interface, IpAddr), Failure> {
    let interface = choice.select(all, group.family())?.swap_remove(0);
    let first = match group.address() {
        IpAddr::V4(_) => interface.v4.first().map(|&address| address.into()),
        IpAddr::V6(_) => interface.v6.first().map(|&address| address.into()),
    };
    let address = match (choice, first) {
        (Choice::Address(address), _) if address.is_ipv4() == group.address().is_ipv4() => *address,
        (_, Some(first)) => first,
        (_, None) => return Err(Failure::new(Exit::Setup, "MC-IFACE", format!("{interface} has no address for it"))),
    };
    Ok((interface, address))
}

/// The interface the kernel routes `group` to: that of the address it would send from.
fn routed(group: &Group, all: &[Interface]) -> Result<(Interface, IpAddr), Failure> {
    let source = ask_the_kernel(group, None)?.source;
    let zone = match source {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    let is_meant = |one: &&Interface| match source.ip() {
        IpAddr::V4(address) => one.v4.contains(&address),
        IpAddr::V6(address) => one.v6.contains(&address) && (zone == 0 || zone == one.index),
    };
    match all.iter().find(is_meant) {
        Some(interface) => Ok((interface.clone(), source.ip())),
        None => {
            let message = format!("{group} is routed from {}, which no interface has", source.ip());
            Err(Failure::new(Exit::Setup, "MC-IFACE", message).hint("name the interface with -I"))
        }
    }
}

/// Connecting a UDP socket sends nothing; it makes the kernel choose a route, a source address and an MTU.
fn ask_the_kernel(group: &Group, pin: Option<(&Interface, IpAddr)>) -> Result<Way, Failure> {
    let attempt = || {
        let socket = open(group, pin)?;
        // Port 0 cannot be connected to; any other has the same way.
        let target = group.on_port(group.port().max(1)).socket_address(pin.map_or(0, |(interface, _)| interface.index));
        socket.connect(&target.into())?;
        let source = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        // An IPv6 socket answers IP_MTU of its own way as well.
        let mtu = getsockopt(&socket, IpMtu).ok().and_then(|mtu| usize::try_from(mtu).ok());
        Ok(Way { source, mtu })
    };
    attempt().map_err(|error| refused("find a way to", group, pin.map(|(interface, _)| interface), &error))
}

/// A socket of the group's family that sends multicast through the interface pinned.
fn open(group: &Group, pin: Option<(&Interface, IpAddr)>) -> io::Result<Socket> {
    let domain = if group.address().is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    match pin {
        Some((_, IpAddr::V4(address))) => socket.set_multicast_if_v4(&address)?,
        Some((interface, IpAddr::V6(_))) => socket.set_multicast_if_v6(interface.index)?,
        None => {}
    }
    Ok(socket)
}

fn set_reach(socket: &Socket, group: &Group, reach: Reach) -> io::Result<()> {
    match group.address() {
        IpAddr::V4(_) => {
            socket.set_multicast_ttl_v4(reach.ttl.into())?;
            socket.set_multicast_loop_v4(reach.loopback)
        }
        IpAddr::V6(_) => {
            socket.set_multicast_hops_v6(reach.ttl.into())?;
            socket.set_multicast_loop_v6(reach.loopback)
        }
    }
}

/// In IPv6 the kernel picks the source that fits the group's scope, unless the user named one.
fn bind_address(interface: &Interface, pin: IpAddr, choice: Option<&Choice>) -> SocketAddr {
    match (pin, choice) {
        (IpAddr::V4(_), _) => (pin, 0).into(),
        (IpAddr::V6(address), Some(Choice::Address(_))) => SocketAddrV6::new(address, 0, 0, interface.index).into(),
        (IpAddr::V6(_), _) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// What the system refused on the way to a group; a missing route has its own code and cure.
fn refused(operation: &str, group: &Group, interface: Option<&Interface>, error: &io::Error) -> Failure {
    let on = interface.map(|interface| format!(" on {}", interface.name)).unwrap_or_default();
    let failure = Failure::io(operation, format!("{group}{on}"), error);
    // An IPv6 socket that finds a route but no usable source says "address not available".
    let no_way = matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::AddrNotAvailable
    );
    if error.kind() == io::ErrorKind::PermissionDenied {
        // On the way out the kernel says so of what a rule of this machine drops.
        return Failure { code: "NET-FIREWALL", ..failure }
            .hint("a firewall rule of this machine drops it: `nft list ruleset` shows the rules");
    }
    if !no_way {
        return failure;
    }
    let (device, all) = (interface.map_or("eth0", |interface| &interface.name), all_groups(group.address()));
    Failure { code: "MC-NOROUTE", ..failure }.hint(match (group.address(), interface) {
        (IpAddr::V4(_), _) => format!("name the interface with -I, or `ip route add {all} dev {device}`"),
        (IpAddr::V6(_), None) => "name the interface with -I: IPv6 groups seldom have a default".to_owned(),
        (IpAddr::V6(_), Some(_)) => format!(
            "`ip -6 address show {device}` must show an address that is not tentative, and `ip -6 route show table all \
             type multicast` a route for {all} on it: the loopback interface has none"
        ),
    })
}

fn all_groups(group: IpAddr) -> String {
    match group {
        IpAddr::V4(_) => format!("{}/4", Ipv4Addr::new(224, 0, 0, 0)),
        IpAddr::V6(_) => "ff00::/8".to_owned(),
    }
}
