//! A relay between two TUN devices, one in each namespace: `netsim`'s link in real time. It delays, loses and paces what
//! passes, where the kernel has no `netem`.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    stop: Arc<AtomicBool>,
    pumps: Vec<JoinHandle<io::Result<Passed>>>,
}

/// What came out of the relay at the client's end, and the queue before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// Bytes of IP packets with TCP and with UDP in them.
    pub(super) tcp: u64,
    pub(super) udp: u64,
    /// Bytes that waited before the bottleneck: 95 of 100 packets found no more, and none found more than the most.
    pub(super) queue: u64,
    pub(super) longest_queue: u64,
}

/// How many bytes wait before a bottleneck, packet by packet.
#[derive(Debug)]
struct Gauge {
    /// In bit/s; zero is no bottleneck.
    rate: u64,
    busy_until: Time,
    /// How many packets found a queue of so many hundredths of the longest one allowed.
    found: [u64; 101],
    limit: u64,
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
            stop: Arc::default(),
            pumps: Vec::new(),
        })
    }

    /// Begins to carry packets, on two threads.
    pub(super) fn start(&mut self, seed: u64) -> Result<(), Failure> {
        self.stop = Arc::default();
        let forth = Pump {
            from: self.server.clone(),
            to: self.client.clone(),
            gauge: Gauge::new(&self.forth),
            link: Link::new(self.forth.clone(), seed),
            passed: Passed::default(),
            stop: self.stop.clone(),
        };
        let back = Pump {
            from: self.client.clone(),
            to: self.server.clone(),
            gauge: Gauge::new(&self.back),
            link: Link::new(self.back.clone(), seed + 1),
            passed: Passed::default(),
            stop: self.stop.clone(),
        };
        for (name, pump) in [("relay-forth", forth), ("relay-back", back)] {
            let thread = std::thread::Builder::new().name(name.to_owned());
            let pump = thread.spawn(move || pump.run()).map_err(|error| Failure::io("start", "the relay", &error))?;
            self.pumps.push(pump);
        }
        Ok(())
    }

    /// Carries no more, and what is on its way is lost. Gives what passed towards the client; none where it was not started.
    pub(super) fn stop(&mut self) -> io::Result<Option<Passed>> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.pumps.drain(..).map(|pump| pump.join().expect("a relay does not panic"));
        let passed: Vec<Passed> = ended.collect::<io::Result<_>>()?;
        Ok(passed.first().copied())
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
    gauge: Gauge,
    passed: Passed,
    stop: Arc<AtomicBool>,
}

impl Pump {
    fn run(mut self) -> io::Result<Passed> {
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
        let (queue, longest_queue) = (self.gauge.found_by_most(), self.link.largest_queue());
        Ok(Passed { queue, longest_queue, ..self.passed })
    }

    /// Takes what waits; tells whether anything did.
    fn take(&mut self, clock: &Clock, buffer: &mut [u8]) -> io::Result<bool> {
        for taken in 0..BATCH {
            match self.from.recv(buffer) {
                Ok(length) => {
                    let (now, packet) = (clock.now(), buffer[..length].to_vec());
                    if self.link.handle(now, "packet", length, packet).arrives() {
                        self.gauge.enter(now, length as u64);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(taken > 0),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn deliver(&mut self, now: Time) {
        while let Some(arrival) = self.link.poll(now) {
            // A device whose queue is full loses the packet, as networks do.
            if self.to.send(&arrival.packet).is_ok() {
                self.passed.count(&arrival.packet);
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

impl Passed {
    fn count(&mut self, packet: &[u8]) {
        match protocol(packet) {
            Some(6) => self.tcp += packet.len() as u64,
            Some(17) => self.udp += packet.len() as u64,
            _ => {}
        }
    }
}

impl Gauge {
    fn new(impairment: &Impairment) -> Self {
        let limit = impairment.queue_limit().max(1);
        Gauge { rate: impairment.rate, busy_until: Time::ZERO, found: [0; 101], limit }
    }

    /// A packet enters that is not lost.
    fn enter(&mut self, now: Time, bytes: u64) {
        if self.rate == 0 {
            return;
        }
        let nanos =
            |bytes: u64| u64::try_from(u128::from(bytes) * 8_000_000_000 / u128::from(self.rate)).unwrap_or(u64::MAX);
        let waits = (self.busy_until.max(now) - now).as_nanos() * u128::from(self.rate) / 8_000_000_000;
        let hundredth = usize::try_from(waits * 100 / u128::from(self.limit)).unwrap_or(usize::MAX).min(100);
        self.busy_until = self.busy_until.max(now) + Duration::from_nanos(nanos(bytes));
        self.found[hundredth] += 1;
    }

    /// In bytes, what 95 of 100 packets found, or less.
    fn found_by_most(&self) -> u64 {
        let all: u64 = self.found.iter().sum();
        let mut left = all - all / 20;
        let within = self.found.iter().position(|&found| {
            left = left.saturating_sub(found);
            left == 0
        });
        within.map_or(0, |hundredth| self.limit * hundredth as u64 / 100)
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
    fn the_queue_is_what_95_of_100_packets_found() {
        // A megabyte a second, and of packets of 1000 bytes at most 100 wait.
        let mut gauge = Gauge::new(&"rate=8mbit,queue=100kB".parse().unwrap());
        let millis = |millis: u64| Time::from_nanos(millis * 1_000_000);
        // 40 at once find up to 39 before them; 960 in step with the line keep that queue of 40.
        (0..40).for_each(|_| gauge.enter(millis(0), 1000));
        (1..=960).for_each(|at| gauge.enter(millis(at), 1000));
        assert_eq!(gauge.found_by_most(), 39_000);
        // After a pause nobody finds one.
        (0..20_000).for_each(|at| gauge.enter(millis(2_000 + at), 1000));
        assert_eq!(gauge.found_by_most(), 0);
        assert_eq!(Gauge::new(&"none".parse().unwrap()).found_by_most(), 0);
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
