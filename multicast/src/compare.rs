//! Unicast, broadcast and multicast side by side: the same messages to the same receivers on this machine, each way, and
//! what that costs whoever sends.

mod receivers;
mod report;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use events::{Event, Time, Unit};
use labkit::{Clock, Exit, Failure, Session};
use nix::sys::resource::{UsageWho, getrusage};
use socket2::{Domain, Protocol, Socket, Type};

pub use receivers::Heard;
pub use report::{Comparison, Row};

use receivers::Receivers;

/// The most receivers on one machine.
pub const RECEIVERS: u16 = 100;
/// What a message says of itself: its number and when it was sent, eight bytes each.
pub const SHORTEST: usize = 16;

/// How a message gets to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To each receiver in turn.
    Unicast,
    /// Once, to everybody on the link, whether they want it or not.
    Broadcast,
    /// Once, to those who joined.
    Multicast,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 3] = [Way::Unicast, Way::Broadcast, Way::Multicast];

    /// As people write it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Way::Unicast => "unicast",
            Way::Broadcast => "broadcast",
            Way::Multicast => "multicast",
        }
    }
}

/// What to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which ways.
    pub ways: Vec<Way>,
    /// How many receivers, 1 to [`RECEIVERS`].
    pub receivers: u16,
    /// How many messages to each.
    pub messages: u64,
    /// From one message to the next.
    pub interval: Duration,
    /// How long each is, in bytes, [`SHORTEST`] at least.
    pub length: usize,
    /// The group for multicast.
    pub group: Ipv4Addr,
}

/// Sends the same messages to the same number of receivers each way. All of it stays on the loopback interface.
///
/// # Errors
/// When a socket cannot be had, or a message cannot be sent.
pub async fn run(config: &Config, session: &Session) -> Result<Comparison, Failure> {
    let mut rows = Vec::new();
    for &way in &config.ways {
        session.recorder.tell(|| Event::Phase { name: way.label().to_owned() });
        let sent = session.shutdown.or(measure(way, config, session.clock)).await;
        let Some(row) = sent.transpose()? else { break };
        for (name, value) in [("datagrams", row.datagrams), ("heard", row.heard()), ("lost", row.lost())] {
            let name = format!("{}_{name}", way.label());
            session.recorder.tell(|| Event::Measured { name, value, unit: Unit::Count, peer: None });
        }
        rows.push(row);
    }
    Ok(Comparison { config: config.clone(), complete: rows.len() == config.ways.len(), rows })
}

async fn measure(way: Way, config: &Config, clock: Clock) -> Result<Row, Failure> {
    let receivers = Receivers::open(way, config)?;
    let targets = receivers.targets().to_vec();
    let listening = receivers.listen(config.messages, clock);
    let plan = config.clone();
    // Dropped with this future: the sender knows by it that nobody waits for it any more.
    let (_wanted, stop) = mpsc::channel();
    // On a thread of its own, so that its processor time is the sender's alone.
    let sending = tokio::task::spawn_blocking(move || send(way, &targets, &plan, clock, &stop));
    let sent =
        sending.await.map_err(|error| Failure::new(Exit::Setup, "IO", format!("the sender broke off: {error}")))??;
    let heard = listening.end().await;
    Ok(Row { way, messages: config.messages, heard_by: heard, ..sent })
}

/// Nothing is ever sent through it: it breaks once the sender is to stop.
type Stop = mpsc::Receiver<()>;

/// Sends every message to every target, each at its time, or as many as there is time for.
fn send(way: Way, targets: &[SocketAddr], config: &Config, clock: Clock, stop: &Stop) -> Result<Row, Failure> {
    let failed = |operation: &'static str| move |error| Failure::io(operation, "a UDP socket on lo", &error);
    let socket = sender().map_err(failed("open"))?;
    let (began, busy) = (clock.now(), processor_time());
    let mut message = vec![0; config.length];
    let mut datagrams = 0;
    for number in 0..config.messages {
        let due = began + config.interval.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
        if is_stopped_before(due, clock, stop) {
            break;
        }
        for target in targets {
            message[..8].copy_from_slice(&number.to_be_bytes());
            message[8..SHORTEST].copy_from_slice(&clock.now().as_nanos().to_be_bytes());
            socket.send_to(&message, target).map_err(failed("send on"))?;
            datagrams += 1;
        }
    }
    let bytes = datagrams * u64::try_from(config.length).unwrap_or(u64::MAX);
    let (elapsed, processor) = (clock.now() - began, processor_time().saturating_sub(busy));
    Ok(Row { way, messages: config.messages, datagrams, bytes, elapsed, processor, heard_by: Vec::new() })
}

fn sender() -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_broadcast(true)?;
    socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    Ok(socket.into())
}

/// Waits until `time`. Gives whether the sender was to stop before.
fn is_stopped_before(time: Time, clock: Clock, stop: &Stop) -> bool {
    let wait = time - clock.now();
    if wait.is_zero() {
        return stop.try_recv() == Err(TryRecvError::Disconnected);
    }
    stop.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected)
}

/// What this thread has used of a processor so far, in its own code and in the kernel's.
fn processor_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else { return Duration::ZERO };
    let micros = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).map_or(Duration::ZERO, Duration::from_micros)
    };
    micros(usage.user_time()) + micros(usage.system_time())
}

#[cfg(test)]
mod tests {
    use labkit::{Common, Exit, Shutdown};

    use super::*;

    #[tokio::test]
    async fn who_is_stopped_ends_at_once_and_does_not_say_that_nothing_was_lost() {
        // Without a stop the second message would be an hour away, and the end of the test with it.
        let hour = Duration::from_secs(3600);
        let group = Ipv4Addr::new(239, 255, 55, 1);
        let ways = vec![Way::Unicast];
        let config = Config { ways, receivers: 1, messages: 2, interval: hour, length: SHORTEST, group };
        let flags = Common { quiet: true, ..Common::default() };
        let session = Session::new("test", &flags, Shutdown::manual()).unwrap();
        let (compared, ()) = tokio::join!(run(&config, &session), async { session.shutdown.request() });
        let compared = compared.unwrap();
        assert_eq!((compared.exit(), compared.rows.len()), (Exit::Interrupted, 0));
        assert_eq!(compared.verdict(), "stopped before any way was measured");
    }
}
