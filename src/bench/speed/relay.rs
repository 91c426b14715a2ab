//! A relay between two TUN devices, one in each namespace: `netsim`'s link in real time. It delays, loses and paces what
//! passes, where the kernel has no `netem`.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use events::Time;
use labkit::{Clock, Exit, Failure};
use netsim::{Impairment, Link};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tun_rs::{DeviceBuilder, SyncDevice};

use super::place::Place;

/// Of an IP packet on these devices; they have MTU 1500.
const LONGEST: usize = 2048;
/// Packets that are taken before those that are due are sent on.
const BATCH: usize = 32;
/// How often a relay without traffic looks whether it shall end.
const IDLE: Duration = Duration::from_millis(20);

/// Carries packets between two networks while it is started.
pub(super) struct Relay {
    server: Arc<SyncDevice>,
    client: Arc<SyncDevice>,
    forth: Impairment,
    back: Impairment,
    passed: Arc<Counters>,
    stop: Arc<AtomicBool>,
    pumps: Vec<JoinHandle<io::Result<()>>>,
}

/// What came out of the relay at the client's end, and the queue before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// Bytes of IP packets with TCP and with UDP in them.
    pub(super) tcp: u64,
    pub(super) udp: u64,
    /// The most bytes that waited before the bottleneck.
    pub(super) queue: u64,
}

#[derive(Debug, Default)]
struct Counters {
    tcp: AtomicU64,
    udp: AtomicU64,
    queue: AtomicU64,
}

impl Relay {
    /// Between two networks, with a device of that name in each; forth is from the server to the client.
    pub(super) fn between(
        server: &Place,
        server_device: &str,
        client: &Place,
        client_device: &str,
        (forth, back): (&str, &str),
    ) -> Result<Self, Failure> {
        let parse = |text: &str| text.parse().expect("the impairments of our paths are well-formed");
        Ok(Relay {
            server: Arc::new(device(server, server_device)?),
            client: Arc::new(device(client, client_device)?),
            forth: parse(forth),
            back: parse(back),
            passed: Arc::default(),
            stop: Arc::default(),
            pumps: Vec::new(),
        })
    }

    /// Begins to carry packets, on two threads.
    pub(super) fn start(&mut self, seed: u64) -> Result<(), Failure> {
        self.passed = Arc::default();
        self.stop = Arc::default();
        let forth = Pump {
            from: self.server.clone(),
            to: self.client.clone(),
            link: Link::new(self.forth.clone(), seed),
            counters: self.passed.clone(),
            stop: self.stop.clone(),
        };
        let back = Pump {
            from: self.client.clone(),
            to: self.server.clone(),
            link: Link::new(self.back.clone(), seed + 1),
            counters: Arc::default(),
            stop: self.stop.clone(),
        };
        for (name, pump) in [("relay-forth", forth), ("relay-back", back)] {
            let thread = std::thread::Builder::new().name(name.to_owned());
            let pump = thread.spawn(move || pump.run()).map_err(|error| Failure::io("start", "the relay", &error))?;
            self.pumps.push(pump);
        }
        Ok(())
    }

    pub(super) fn passed(&self) -> Passed {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Passed { tcp: read(&self.passed.tcp), udp: read(&self.passed.udp), queue: read(&self.passed.queue) }
    }

    /// Carries no more; what is on its way is lost.
    pub(super) fn stop(&mut self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.pumps.drain(..).try_for_each(|pump| pump.join().expect("a relay does not panic"))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

fn device(place: &Place, name: &str) -> Result<SyncDevice, Failure> {
    let made = place.inside(|| {
        let device = DeviceBuilder::new().name(name).mtu(1500).tx_queue_len(10_000).build_sync()?;
        device.set_nonblocking(true)?;
        Ok(device)
    });
    made.map_err(|error| {
        Failure::new(Exit::Setup, "NO-TUN", format!("cannot make the TUN device {name}: {error}"))
            .hint("it needs /dev/net/tun and the right to open it: run it as root, with the module tun loaded")
    })
}

/// One direction.
struct Pump {
    from: Arc<SyncDevice>,
    to: Arc<SyncDevice>,
    link: Link<Vec<u8>>,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
}

impl Pump {
    fn run(mut self) -> io::Result<()> {
        // Sleeps end when they should, and not up to 50 µs later.
        nix::sys::prctl::set_timerslack(1)?;
        let clock = Clock::start();
        let mut buffer = [0; LONGEST];
        // What was sent before we began belongs to no run.
        while self.from.recv(&mut buffer).is_ok() {}
        while !self.stop.load(Ordering::Relaxed) {
            self.deliver(clock.now());
            if !self.take(&clock, &mut buffer)? {
                self.rest(&clock)?;
            }
        }
        Ok(())
    }

    /// Takes what waits; tells whether anything did.
    fn take(&mut self, clock: &Clock, buffer: &mut [u8]) -> io::Result<bool> {
        for taken in 0..BATCH {
            match self.from.recv(buffer) {
                Ok(length) => {
                    let packet = buffer[..length].to_vec();
                    let _ = self.link.handle(clock.now(), "packet", length, packet);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(taken > 0),
                Err(error) => return Err(error),
            }
        }
        self.counters.queue.store(self.link.largest_queue(), Ordering::Relaxed);
        Ok(true)
    }

    fn deliver(&mut self, now: Time) {
        while let Some(arrival) = self.link.poll(now) {
            // A device whose queue is full loses the packet, as networks do.
            if self.to.send(&arrival.packet).is_ok() {
                self.counters.count(&arrival.packet);
            }
        }
    }

    /// Until a packet comes, or one is due.
    fn rest(&self, clock: &Clock) -> io::Result<()> {
        let due = self.link.poll_timeout().map_or(IDLE, |due| due - clock.now()).min(IDLE);
        let mut wanted = [PollFd::new(self.from.as_fd(), PollFlags::POLLIN)];
        ppoll(&mut wanted, Some(TimeSpec::from_duration(due)), None)?;
        Ok(())
    }
}

impl Counters {
    fn count(&self, packet: &[u8]) {
        let counter = match protocol(packet) {
            Some(6) => &self.tcp,
            Some(17) => &self.udp,
            _ => return,
        };
        counter.fetch_add(packet.len() as u64, Ordering::Relaxed);
    }
}

/// What an IPv4 packet carries: 6 is TCP, 17 is UDP.
fn protocol(packet: &[u8]) -> Option<u8> {
    (packet.first()? >> 4 == 4).then(|| packet.get(9).copied()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::speed::path::Path;

    #[test]
    fn the_impairments_of_the_paths_are_well_formed_and_their_queues_are_a_bandwidth_delay_product() {
        for path in Path::ALL {
            let Some(forth) = path.forth() else { continue };
            let impairment: Impairment = forth.parse().unwrap();
            let (rate, product) = path.bottleneck().unwrap();
            assert_eq!(impairment.rate as f64, rate, "{}", path.name());
            assert_eq!(impairment.queue, product, "{}", path.name());
            let round_trip = 2.0 * impairment.delay.as_secs_f64();
            assert!((rate * round_trip / 8.0 - product as f64).abs() < 1.0, "{}", path.name());
        }
    }

    #[test]
    fn packets_are_told_apart_by_what_they_carry() {
        let packet = |first: u8, protocol: u8| {
            let mut packet = [0; 20];
            (packet[0], packet[9]) = (first, protocol);
            packet
        };
        assert_eq!(protocol(&packet(0x45, 6)), Some(6));
        assert_eq!(protocol(&packet(0x45, 17)), Some(17));
        assert_eq!(protocol(&packet(0x60, 17)), None, "IPv6");
        assert_eq!(protocol(&[0x45]), None);
        assert_eq!(protocol(&[]), None);
    }
}
