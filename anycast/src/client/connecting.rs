//! From an address to a connection: alone, from a given port, or in a race.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use labkit::Clock;
use tokio::task::JoinSet;

use crate::race::{ATTEMPT_DELAY, Race};
use crate::stream::Stream;

/// Connects; from `source_port` where one is given.
pub(super) async fn connect(address: SocketAddr, source_port: Option<u16>) -> Result<Stream, String> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let source = source_port.map(|port| SocketAddr::new(any, port));
    Stream::connect(address, source).await.map_err(|error| format!("cannot connect: {error}"))
}

/// Connects to all of them, each a little after the last, until one is there; `failed` hears of those that were not.
/// `None` when none was.
pub(super) async fn race(
    candidates: &[SocketAddr],
    clock: Clock,
    mut failed: impl FnMut(SocketAddr, &str),
) -> Option<(SocketAddr, Stream)> {
    let mut race = Race::new((0..candidates.len()).collect(), ATTEMPT_DELAY, clock.now());
    // Dropping it ends every attempt that is still under way.
    let mut attempts: JoinSet<(usize, Result<Stream, String>)> = JoinSet::new();
    while !race.is_lost() {
        while let Some(index) = race.poll_start(clock.now()) {
            let Some(&address) = candidates.get(index) else { continue };
            attempts.spawn(async move { (index, connect(address, None).await) });
        }
        let timeout = race.poll_timeout();
        let due = async {
            match timeout {
                Some(at) => tokio::time::sleep(at - clock.now()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            Some(Ok((index, ended))) = attempts.join_next() => {
                let Some(&address) = candidates.get(index) else { continue };
                match ended {
                    Ok(stream) => if race.handle_connected(index) { return Some((address, stream)) },
                    Err(problem) => {
                        race.handle_failed(index, clock.now());
                        failed(address, &problem);
                    }
                }
            }
        }
    }
    None
}
