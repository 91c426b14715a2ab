//! The receivers of a comparison: as many sockets on this machine, reached one way or another.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use events::Time;
use labkit::{Clock, Failure, socket};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Config, SHORTEST, Way};

/// The broadcast address of the loopback network.
const BROADCAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);
/// The receive buffer of each, in bytes.
const BUFFER: usize = 1 << 20;
/// How long after the last message was sent one may still come.
const PATIENCE: Duration = Duration::from_millis(300);

/// What one receiver heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Messages that came; none comes twice on one machine, so they are not told apart.
    pub messages: u64,
    /// How long each took, shortest first.
    pub delays: Vec<Duration>,
}

impl Heard {
    /// The delay that so many in a hundred messages kept within; zero where none came.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.delays.len() * percent).div_ceil(100).max(1);
        self.delays.get(rank - 1).copied().unwrap_or_default()
    }
}

/// Receivers that can be reached.
#[derive(Debug)]
pub(super) struct Receivers {
    sockets: Vec<UdpSocket>,
    targets: Vec<SocketAddr>,
}

impl Receivers {
    /// As many as wanted; ready to hear once this returns.
    pub(super) fn open(way: Way, config: &Config) -> Result<Self, Failure> {
        let mut sockets: Vec<UdpSocket> = Vec::new();
        let mut targets = Vec::new();
        for _ in 0..config.receivers {
            // Whoever is reached by one datagram shares its address; the first finds a free port.
            let shared = targets.first().copied().filter(|_| way != Way::Unicast);
            let address = shared.unwrap_or_else(|| SocketAddr::from((address(way, config.group), 0)));
            let socket = open(way, address).map_err(|error| Failure::io("receive on", address, &error))?;
            socket::receive_buffer(&socket, BUFFER).map_err(|error| Failure::io("receive on", address, &error))?;
            if shared.is_none() {
                targets.push(socket::local(&socket)?);
            }
            sockets.push(socket);
        }
        Ok(Receivers { sockets, targets })
    }

    /// Where a message must be sent so that all get it.
    pub(super) fn targets(&self) -> &[SocketAddr] {
        &self.targets
    }

    /// Listens, each on its own, until it has all the messages or [`Listening::end`] is called.
    pub(super) fn listen(self, messages: u64, clock: Clock) -> Listening {
        let (mut tasks, over) = (JoinSet::new(), CancellationToken::new());
        for (place, socket) in self.sockets.into_iter().enumerate() {
            let over = over.clone();
            tasks.spawn(async move { (place, hear(&socket, messages, clock, over).await) });
        }
        Listening { tasks, over }
    }
}

/// Receivers at work.
#[derive(Debug)]
pub(super) struct Listening {
    tasks: JoinSet<(usize, Heard)>,
    over: CancellationToken,
}

impl Listening {
    /// Nothing more is sent: what each heard, in the order of the receivers.
    pub(super) async fn end(self) -> Vec<Heard> {
        self.over.cancel();
        let mut heard = self.tasks.join_all().await;
        heard.sort_by_key(|(place, _)| *place);
        heard.into_iter().map(|(_, heard)| heard).collect()
    }
}

async fn hear(socket: &UdpSocket, messages: u64, clock: Clock, over: CancellationToken) -> Heard {
    let mut heard = Heard::default();
    let mut buffer = [0; 65_536];
    let patience = async {
        over.cancelled().await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::pin!(patience);
    while heard.messages < messages {
        let length = tokio::select! {
            biased;
            received = socket.recv(&mut buffer) => received.unwrap_or(0),
            () = &mut patience => break,
        };
        let now = clock.now();
        // Anything shorter is a stranger's.
        if let Some(sent) = buffer[..length].get(8..SHORTEST).and_then(|bytes| bytes.try_into().ok()) {
            heard.messages += 1;
            heard.delays.push(now - Time::from_nanos(u64::from_be_bytes(sent)));
        }
    }
    heard.delays.sort_unstable();
    heard
}

fn address(way: Way, group: Ipv4Addr) -> Ipv4Addr {
    match way {
        Way::Unicast => Ipv4Addr::LOCALHOST,
        Way::Broadcast => BROADCAST,
        Way::Multicast => group,
    }
}

fn open(way: Way, address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    if way != Way::Unicast {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    if let (Way::Multicast, SocketAddr::V4(group)) = (way, address) {
        let lo = InterfaceIndexOrAddress::Address(Ipv4Addr::LOCALHOST);
        socket.set_multicast_all_v4(false)?;
        socket.join_multicast_v4_n(group.ip(), &lo)?;
    }
    socket::into_tokio(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_delays_that_were_measured() {
        let delays: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        let heard = Heard { messages: 200, delays };
        assert_eq!(heard.percentile(50), Duration::from_micros(100));
        assert_eq!(
            (heard.percentile(99), heard.percentile(100)),
            (Duration::from_micros(198), Duration::from_micros(200))
        );
        assert_eq!(Heard::default().percentile(50), Duration::ZERO);
    }
}
