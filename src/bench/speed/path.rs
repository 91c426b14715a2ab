//! The paths that are measured, and how each is set up: loopback, or two network namespaces with something between them.

use std::net::{IpAddr, Ipv4Addr};

use labkit::{Exit, Failure};

use super::place::Place;
use super::relay::{Passed, Relay};
use crate::bench::keeper::Keeper;

/// What lies between the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// Loopback.
    Lo,
    /// Two namespaces and a wire of MTU 1500 that carries large packets whole.
    Veth,
    /// The same with offloads off, so that packets on the wire really are small.
    VethMtu,
    /// The same, and the receiving end loses 5 %.
    VethLoss,
    /// The same, and the sending end sends 1 Gbit/s at most.
    VethRate,
    /// A relay of 1 Gbit/s with a round trip of 20 ms that loses 1 % of what the server sends.
    RelayLoss,
    /// A relay of 1 Gbit/s with a round trip of 50 ms.
    RelayLong,
    /// A relay of 100 Mbit/s with a round trip of 20 ms: a bottleneck to be shared.
    RelayShared,
}

/// The wire's devices, and the addresses of the server's and the client's.
const WIRE: (&str, &str) = ("wire0", "wire1");
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub(super) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// 5 % of the packets, before any socket sees them.
const LOSS: &str = "table inet bench { chain input { type filter hook input priority 0; \
                    iifname \"wire1\" numgen random mod 1000000 < 50000 drop; }\n}";

impl Path {
    pub(super) const ALL: [Path; 8] = [
        Path::Lo,
        Path::Veth,
        Path::VethMtu,
        Path::VethLoss,
        Path::VethRate,
        Path::RelayLoss,
        Path::RelayLong,
        Path::RelayShared,
    ];

    /// What `--path` calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Path::Lo => "lo",
            Path::Veth => "veth",
            Path::VethMtu => "veth-mtu",
            Path::VethLoss => "veth-loss",
            Path::VethRate => "veth-rate",
            Path::RelayLoss => "relay-loss",
            Path::RelayLong => "relay-long",
            Path::RelayShared => "relay-shared",
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Path::Lo => "loopback",
            Path::Veth => "two namespaces, MTU 1500",
            Path::VethMtu => "the same, offloads off",
            Path::VethLoss => "the same, 5 % loss",
            Path::VethRate => "offloads off, 1 Gbit/s (tbf)",
            Path::RelayLoss => "1 Gbit/s, 20 ms, 1 % loss",
            Path::RelayLong => "1 Gbit/s, 50 ms",
            Path::RelayShared => "100 Mbit/s, 20 ms",
        }
    }

    /// What the relay does to what the server sends, in the language of `--impair`. Its queue holds one bandwidth-delay
    /// product.
    pub(super) const fn forth(self) -> Option<&'static str> {
        match self {
            Path::RelayLoss => Some("rate=1gbit,delay=10ms,queue=2500kB,loss=1%"),
            Path::RelayLong => Some("rate=1gbit,delay=25ms,queue=6250kB"),
            Path::RelayShared => Some("rate=100mbit,delay=10ms,queue=250kB"),
            _ => None,
        }
    }

    /// And to what comes back.
    const fn back(self) -> &'static str {
        match self {
            Path::RelayLong => "delay=25ms",
            _ => "delay=10ms",
        }
    }

    /// The bottleneck in bit/s and what is on its way when it is full, in bytes, where there is one.
    pub(super) const fn bottleneck(self) -> Option<(f64, u64)> {
        match self {
            Path::VethRate => Some((1e9, 0)),
            Path::RelayLoss => Some((1e9, 2_500_000)),
            Path::RelayLong => Some((1e9, 6_250_000)),
            Path::RelayShared => Some((100e6, 250_000)),
            _ => None,
        }
    }

    /// The programs that set it up, each with the Debian package that has it.
    pub(super) const fn tools(self) -> &'static [(&'static str, &'static str)] {
        const IP: (&str, &str) = ("ip", "iproute2");
        match self {
            Path::Lo => &[],
            Path::Veth | Path::RelayLoss | Path::RelayLong | Path::RelayShared => &[IP],
            Path::VethMtu => &[IP, ("ethtool", "ethtool")],
            Path::VethLoss => &[IP, ("ethtool", "ethtool"), ("nft", "nftables")],
            Path::VethRate => &[IP, ("ethtool", "ethtool"), ("tc", "iproute2")],
        }
    }
}

/// A path that is there: where each end runs, and how the server is reached.
pub(super) struct Route {
    pub(super) path: Path,
    pub(super) server: Place,
    pub(super) client: Place,
    pub(super) address: IpAddr,
    /// The server's and the client's devices.
    pub(super) devices: (&'static str, &'static str),
    relay: Option<Relay>,
}

impl Route {
    /// Sets the path up. It is gone when the route is dropped, and whoever runs there goes with us by the `keeper`.
    pub(super) fn set_up(path: Path, keeper: &Keeper) -> Result<Self, Failure> {
        if path == Path::Lo {
            let (here, address) = (Place::here(keeper), Ipv4Addr::LOCALHOST.into());
            let devices = ("lo", "lo");
            return Ok(Route { path, server: here.clone(), client: here, address, devices, relay: None });
        }
        let (server, client) = (Place::apart(keeper)?, Place::apart(keeper)?);
        let relay = match path.forth() {
            Some(forth) => Some(Relay::between(&server, WIRE.0, &client, WIRE.1, (forth, path.back()))?),
            None => {
                let far = client.name();
                server.run(
                    "ip",
                    &["link", "add", WIRE.0, "mtu", "1500", "type", "veth", "peer", "name", WIRE.1, "netns", &far],
                )?;
                client.run("ip", &["link", "set", WIRE.1, "mtu", "1500"])?;
                None
            }
        };
        for (place, device, own, other) in [(&server, WIRE.0, SERVER, CLIENT), (&client, WIRE.1, CLIENT, SERVER)] {
            let (own, other) = (own.to_string(), format!("{other}/32"));
            place.run("ip", &["address", "add", &own, "peer", &other, "dev", device])?;
            place.run("ip", &["link", "set", device, "up"])?;
            // Multicast takes the same way.
            place.run("ip", &["route", "add", "224.0.0.0/4", "dev", device])?;
        }
        let route = Route { path, server, client, address: SERVER.into(), devices: WIRE, relay };
        route.shape()?;
        Ok(route)
    }

    /// Offloads, loss and rate of a wire.
    fn shape(&self) -> Result<(), Failure> {
        if !matches!(self.path, Path::VethMtu | Path::VethLoss | Path::VethRate) {
            return Ok(());
        }
        for (place, device) in [(&self.server, self.devices.0), (&self.client, self.devices.1)] {
            let off = ["tso", "off", "gso", "off", "gro", "off", "tx-udp-segmentation", "off"];
            place.run("ethtool", &[&["-K", device], off.as_slice()].concat())?;
        }
        match self.path {
            Path::VethLoss => self.client.run("nft", &[LOSS]),
            Path::VethRate => self.server.run(
                "tc",
                &[
                    "qdisc",
                    "add",
                    "dev",
                    self.devices.0,
                    "root",
                    "tbf",
                    "rate",
                    "1gbit",
                    "burst",
                    "256kb",
                    "limit",
                    "500kb",
                ],
            ),
            _ => Ok(()),
        }
    }

    /// Lets the relay work, where there is one, with choices from `seed`, until [`Route::rest`].
    pub(super) fn work(&mut self, seed: u64) -> Result<(), Failure> {
        self.relay.as_mut().map_or(Ok(()), |relay| relay.start(seed))
    }

    /// Ends the relay's work; gives what went through it towards the client, where it worked.
    pub(super) fn rest(&mut self) -> Result<Option<Passed>, Failure> {
        let Some(relay) = &mut self.relay else { return Ok(None) };
        relay.stop().map_err(|error| {
            let message = format!("the relay of path {} failed: {error}", self.path.name());
            Failure::new(Exit::Setup, "RELAY", message)
        })
    }
}
