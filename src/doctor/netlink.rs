//! Interfaces, addresses and routes, as the kernel tells them over netlink.

use std::net::IpAddr;

use doctor::facts::{Address, Bridge, Flags, Interface, Port, Way};
use futures_util::TryStreamExt;
use labkit::{Exit, Failure};
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::{
    BridgeQuerierState, InfoBridge, InfoBridgePort, InfoData, InfoPortData, LinkAttribute, LinkFlags, LinkInfo,
    LinkLayerType, LinkMessage,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute};
use rtnetlink::{Handle, RouteMessageBuilder};

/// A conversation with the kernel.
pub(crate) struct Netlink {
    handle: Handle,
}

impl Netlink {
    /// Opens it.
    ///
    /// # Errors
    /// When the system has no netlink socket for us.
    pub(crate) fn open() -> Result<Self, Failure> {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(|error| Failure::io("open", "a netlink socket", &error))?;
        tokio::spawn(connection);
        Ok(Netlink { handle })
    }

    /// Every interface with its addresses, in the kernel's order.
    pub(crate) async fn interfaces(&self) -> Result<Vec<Interface>, Failure> {
        let links: Vec<LinkMessage> =
            self.handle.link().get().execute().try_collect().await.map_err(|error| refused("interfaces", &error))?;
        let mut interfaces: Vec<Interface> = links.iter().map(interface).collect();
        let addresses: Vec<AddressMessage> =
            self.handle.address().get().execute().try_collect().await.map_err(|error| refused("addresses", &error))?;
        for message in &addresses {
            let home = interfaces.iter_mut().find(|one| one.index == message.header.index);
            if let (Some(home), Some(address)) = (home, address(message)) {
                home.addresses.push(address);
            }
        }
        Ok(interfaces)
    }

    /// Where the kernel would send what goes to `target`.
    pub(crate) async fn way_to(&self, target: IpAddr) -> Way {
        let message = match target {
            IpAddr::V4(target) => {
                RouteMessageBuilder::<std::net::Ipv4Addr>::new().destination_prefix(target, 32).build()
            }
            IpAddr::V6(target) => {
                RouteMessageBuilder::<std::net::Ipv6Addr>::new().destination_prefix(target, 128).build()
            }
        };
        let mut routes = Box::pin(self.handle.route().get(message).execute());
        match routes.try_next().await {
            Ok(Some(route)) => {
                let (mut through, mut gateway) = (None, None);
                for attribute in route.attributes {
                    match attribute {
                        RouteAttribute::Oif(index) => through = Some(index),
                        RouteAttribute::Gateway(RouteAddress::Inet(router)) => gateway = Some(router.into()),
                        RouteAttribute::Gateway(RouteAddress::Inet6(router)) => gateway = Some(router.into()),
                        _ => {}
                    }
                }
                match through {
                    Some(index) => Way::Through { index, gateway },
                    None => Way::Nowhere("a route without an interface".to_owned()),
                }
            }
            Ok(None) => Way::Nowhere("no route".to_owned()),
            Err(rtnetlink::Error::NetlinkError(error)) => Way::Nowhere(error.to_io().to_string()),
            Err(error) => Way::Nowhere(error.to_string()),
        }
    }
}

fn refused(what: &str, error: &rtnetlink::Error) -> Failure {
    Failure::new(Exit::Setup, "NETLINK", format!("the kernel did not list its {what}: {error}"))
}

fn interface(message: &LinkMessage) -> Interface {
    let flags = message.header.flags;
    let mut one = Interface {
        index: message.header.index,
        kind: layer(message.header.link_layer_type).to_owned(),
        flags: Flags {
            up: flags.contains(LinkFlags::Up),
            running: flags.contains(LinkFlags::LowerUp),
            multicast: flags.contains(LinkFlags::Multicast),
            loopback: flags.contains(LinkFlags::Loopback),
            point_to_point: flags.contains(LinkFlags::Pointopoint),
        },
        ..Interface::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => one.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => one.mtu = *mtu,
            LinkAttribute::Controller(index) => one.master = Some(*index),
            LinkAttribute::LinkInfo(infos) => infos.iter().for_each(|info| learn(&mut one, info)),
            _ => {}
        }
    }
    one
}

fn layer(kind: LinkLayerType) -> &'static str {
    match kind {
        LinkLayerType::Loopback => "loopback",
        LinkLayerType::Ether => "ethernet",
        LinkLayerType::None => "tunnel",
        _ => "other",
    }
}

fn learn(one: &mut Interface, info: &LinkInfo) {
    match info {
        LinkInfo::Kind(kind) => one.kind = kind.to_string(),
        LinkInfo::Data(InfoData::Bridge(infos)) => one.bridge = Some(bridge(infos)),
        LinkInfo::PortData(InfoPortData::BridgePort(infos)) => {
            let flood = infos.iter().find_map(|info| match info {
                InfoBridgePort::MulticastFlood(flood) => Some(*flood),
                _ => None,
            });
            one.port = flood.map(|flood| Port { flood });
        }
        _ => {}
    }
}

fn bridge(infos: &[InfoBridge]) -> Bridge {
    let mut bridge = Bridge::default();
    for info in infos {
        match info {
            InfoBridge::MulticastSnooping(on) => bridge.snooping = *on,
            InfoBridge::MulticastQuerier(on) => bridge.querier = *on,
            // The timer is there while somebody else's questions are heard.
            InfoBridge::MulticastQuerierState(states) => {
                let timers = |state: &BridgeQuerierState| matches!(state, BridgeQuerierState::Ipv4OtherTimer(left) | BridgeQuerierState::Ipv6OtherTimer(left) if *left > 0);
                bridge.other_querier = states.iter().any(timers);
            }
            _ => {}
        }
    }
    bridge
}

fn address(message: &AddressMessage) -> Option<Address> {
    // On a tunnel `Address` is the other end and `Local` ours.
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })?;
    let flags = message.header.flags;
    Some(Address {
        address,
        prefix: message.header.prefix_len,
        tentative: flags.contains(AddressHeaderFlags::Tentative) && !flags.contains(AddressHeaderFlags::Optimistic),
        duplicate: flags.contains(AddressHeaderFlags::Dadfailed),
    })
}
