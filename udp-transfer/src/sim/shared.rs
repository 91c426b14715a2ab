//! Several transfers over one bottleneck: what each gets of it, and how long its queue is.

use std::time::Duration;

use arq::congestion::Choice;
use arq::policy::{Policy, Reporting};
use arq::wire::BLOCK_OVERHEAD;
use arq::{Body, Ecn, FileId, Layout, Packet, Peer, RangeSet, Receiver, ReceiverConfig, Sender, SenderConfig, Verdict};
use events::Time;
use netsim::{Fate, Impairment, Link, Random};

use crate::marks::{hand_in, rewritten};

/// Endless files, each sent over the same path.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The path from the senders to the receivers, from its first moment on and after each change. It has a rate.
    pub paths: Vec<(Duration, Impairment)>,
    /// The path back.
    pub back: Impairment,
    /// Who sends.
    pub flows: Vec<Flow>,
    /// How long a datagram is.
    pub datagram: u16,
    /// How many blocks a receiver lets be on the way.
    pub credit: u32,
    /// At how many blocks a receiver reports.
    pub report_every: u32,
    /// How long it goes, in virtual time.
    pub time: Duration,
    /// Where all chance comes from.
    pub seed: u64,
}

/// One transfer.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// How it finds its window.
    pub congestion: Choice,
    /// When it begins.
    pub begins: Duration,
    /// The most it has to send, in bits per second; none when it always has more.
    pub rate: Option<u64>,
    /// Whether routers may mark what it sends.
    pub ecn: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Usage {
    /// For each flow, how many bytes of datagrams arrived in each [`Usage::SLOT`].
    arrived: Vec<Vec<u64>>,
    /// For each datagram that passed the bottleneck, when, and how long it had waited before it.
    waited: Vec<(Duration, Duration)>,
    /// How many datagrams with blocks were sent.
    pub sent: u64,
    /// For each flow, how many datagrams with blocks it sent, and how many of them not for the first time.
    counts: Vec<(u64, u64)>,
    /// What each flow found out about marks, and how many of its blocks were marked.
    pub marks: Vec<(Ecn, u64)>,
    /// When each datagram was dropped by the full queue.
    overflows: Vec<Duration>,
}

struct Ends {
    sender: Sender,
    receiver: Receiver,
    begins: Time,
}

/// A datagram on its way: whose it is, and when it left.
type OnTheWay = (usize, Packet, Time);

struct World<'a> {
    shared: &'a Shared,
    now: Time,
    there: Vec<(Time, Link<OnTheWay>)>,
    back: Link<OnTheWay>,
    ends: Vec<Ends>,
    usage: Usage,
}

const THE_OTHER: Peer = Peer(1);

impl Flow {
    /// Sends as long as it can.
    #[must_use]
    pub const fn of(congestion: Choice) -> Self {
        Flow { congestion, begins: Duration::ZERO, rate: None, ecn: true }
    }

    /// The same, later.
    #[must_use]
    pub const fn from(self, begins: Duration) -> Self {
        Flow { begins, ..self }
    }
}

impl Shared {
    /// One flow over `path`, for so long; what comes back takes as long, and is lost as often.
    #[must_use]
    pub fn over(path: Impairment, flows: Vec<Flow>, time: Duration) -> Self {
        let back = Impairment { delay: path.delay, loss: path.loss, ..Impairment::default() };
        Shared {
            paths: vec![(Duration::ZERO, path)],
            back,
            flows,
            datagram: 1_472,
            credit: 16_384,
            report_every: 2,
            time,
            seed: 1,
        }
    }

    /// Runs it to the end.
    #[must_use]
    pub fn run(&self) -> Usage {
        World::new(self).run()
    }
}

impl Usage {
    /// How finely arrivals are counted.
    pub const SLOT: Duration = Duration::from_millis(50);

    /// How many bits per second of a flow arrived, from one time to another (both rounded to slots).
    #[must_use]
    pub fn rate(&self, flow: usize, from: Duration, until: Duration) -> u64 {
        let slot = |time: Duration| usize::try_from(time.as_nanos() / Self::SLOT.as_nanos()).unwrap_or(usize::MAX);
        let slots = self.arrived.get(flow).map_or(&[][..], Vec::as_slice);
        let slots = slots.get(slot(from)..slot(until).min(slots.len())).unwrap_or_default();
        let nanos = (until - from).as_nanos().max(1);
        u64::try_from(u128::from(slots.iter().sum::<u64>()) * 8_000_000_000 / nanos).unwrap_or(u64::MAX)
    }

    /// How long datagrams waited before the bottleneck, from one time to another: in the mean, and at most but for the
    /// share `above` of them, in percent.
    #[must_use]
    pub fn waited(&self, from: Duration, until: Duration, above: usize) -> (Duration, Duration) {
        let mut waits: Vec<Duration> =
            self.waited.iter().filter(|(at, _)| (from..until).contains(at)).map(|(_, waited)| *waited).collect();
        waits.sort_unstable();
        let count = u32::try_from(waits.len().max(1)).unwrap_or(u32::MAX);
        let mean = waits.iter().sum::<Duration>() / count;
        let most = (waits.len() * (100 - above.min(100)) / 100).checked_sub(1).and_then(|index| waits.get(index));
        (mean, most.copied().unwrap_or_default())
    }

    /// How many datagrams with blocks a flow sent, for each block that it sent at all.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of datagrams are far below 2^52")]
    pub fn sent_per_block(&self, flow: usize) -> f64 {
        let (sent, again) = self.counts.get(flow).copied().unwrap_or_default();
        sent as f64 / (sent - again).max(1) as f64
    }

    /// How many datagrams the full queue dropped, from one time to another.
    #[must_use]
    pub fn overflowed_in(&self, from: Duration, until: Duration) -> usize {
        self.overflows.iter().filter(|at| (from..until).contains(at)).count()
    }
}

impl<'a> World<'a> {
    fn new(shared: &'a Shared) -> Self {
        let seed = |which: u64| Random::stream(shared.seed, which).number();
        let links = shared.paths.iter().zip(0..);
        let slots = usize::try_from(shared.time.as_nanos() / Usage::SLOT.as_nanos()).unwrap_or(0) + 1;
        World {
            now: Time::ZERO,
            there: links.map(|((from, path), n)| (Time::ZERO + *from, Link::new(path.clone(), seed(n)))).collect(),
            back: Link::new(shared.back.clone(), seed(1_000)),
            ends: shared.flows.iter().zip(2_000..).map(|(flow, n)| Ends::new(shared, flow, seed(n))).collect(),
            usage: Usage {
                arrived: vec![vec![0; slots]; shared.flows.len()],
                waited: Vec::new(),
                sent: 0,
                counts: Vec::new(),
                marks: Vec::new(),
                overflows: Vec::new(),
            },
            shared,
        }
    }

    fn run(mut self) -> Usage {
        while let Some(next) = self.next_due().filter(|&next| next <= Time::ZERO + self.shared.time) {
            self.now = self.now.max(next);
            self.step();
        }
        self.usage.marks = self.ends.iter().map(|ends| ends.sender.ecn()).collect();
        self.usage.counts = self.ends.iter().map(|ends| ends.sender.counts()).collect();
        self.usage
    }

    fn next_due(&self) -> Option<Time> {
        let links = self.there.iter().filter_map(|(_, link)| link.poll_timeout());
        let ends = self.ends.iter().filter_map(|ends| {
            let due = [ends.sender.poll_timeout(), ends.receiver.poll_timeout()].into_iter().flatten().min();
            due.map(|due| due.max(ends.begins))
        });
        links.chain(self.back.poll_timeout()).chain(ends).min()
    }

    fn step(&mut self) {
        let now = self.now;
        for path in 0..self.there.len() {
            while let Some(arrival) = self.there[path].1.poll(now) {
                let (flow, mut packet, left) = arrival.packet;
                packet.ecn = rewritten(packet.ecn, arrival.ecn);
                self.arrive(path, (flow, packet, left));
            }
        }
        while let Some(arrival) = self.back.poll(now) {
            let (flow, packet, _) = arrival.packet;
            let _ = self.ends[flow].sender.handle(now, THE_OTHER, &packet);
            self.drain(flow);
        }
        for flow in 0..self.ends.len() {
            let ends = &mut self.ends[flow];
            let is_due = |due: Option<Time>| due.is_some_and(|due| due <= now);
            if ends.begins > now {
                continue;
            }
            let (sender, receiver) = (is_due(ends.sender.poll_timeout()), is_due(ends.receiver.poll_timeout()));
            if sender {
                ends.sender.handle_timeout(now);
            }
            if receiver {
                ends.receiver.handle_timeout(now);
            }
            if sender || receiver {
                self.drain(flow);
            }
        }
    }

    fn arrive(&mut self, path: usize, (flow, packet, left): OnTheWay) {
        let now = self.now;
        let ends = &mut self.ends[flow];
        let link = self.there[path].1.impairment();
        // What it took beyond the delay and its own time at the bottleneck, it waited.
        let bytes = self.shared.datagram;
        let own = Duration::from_nanos(u64::from(bytes) * 8_000_000_000 / link.rate.max(1));
        self.usage.waited.push((now - Time::ZERO, (now - left).saturating_sub(link.delay + own)));
        if let Verdict::Store(block) = ends.receiver.handle(now, THE_OTHER, &packet) {
            ends.receiver.stored(now, block);
            let slot = usize::try_from((now - Time::ZERO).as_nanos() / Usage::SLOT.as_nanos()).unwrap_or(usize::MAX);
            if let Some(slot) = self.usage.arrived[flow].get_mut(slot) {
                *slot += u64::from(bytes);
            }
        }
        self.drain(flow);
    }

    /// **Drain before you feed.**
    fn drain(&mut self, flow: usize) {
        let now = self.now;
        let ends = &mut self.ends[flow];
        let path = self.there.iter().rposition(|(from, _)| *from <= now).unwrap_or(0);
        while let Some(out) = ends.sender.poll_transmit(now) {
            let (kind, bytes) = (out.packet.body.kind(), usize::from(self.shared.datagram));
            self.usage.sent += u64::from(matches!(out.packet.body, Body::Block(..)));
            let (link, ecn) = (&mut self.there[path].1, out.packet.ecn);
            let fate = hand_in(link, now, kind, bytes, (flow, out.packet, now), ecn);
            if let Fate::Lost(netsim::Cause::Queue) = fate {
                self.usage.overflows.push(now - Time::ZERO);
            }
        }
        while let Some(out) = ends.receiver.poll_transmit(now) {
            let _ = self.back.handle(now, out.packet.body.kind(), 100, (flow, out.packet, now));
        }
    }
}

impl Ends {
    fn new(shared: &Shared, flow: &Flow, seed: u64) -> Self {
        let begins = Time::ZERO + flow.begins;
        let block = shared.datagram.saturating_sub(u16::try_from(BLOCK_OVERHEAD).unwrap_or(u16::MAX)).max(1);
        // More blocks than any path carries in the time there is.
        let layout = Layout::new(u64::from(block) << 32, block);
        let report = Reporting::Delayed { every: shared.report_every, delay: Policy::REPORT_DELAY };
        let policy = Policy { report, ..Policy::SELECTIVE_REPEAT };
        let sender = SenderConfig {
            peer: THE_OTHER,
            policy,
            layout,
            congestion: flow.congestion,
            rate: flow.rate,
            ecn: flow.ecn,
            seed,
            listened_to: false,
        };
        let receiver = ReceiverConfig {
            peer: THE_OTHER,
            policy,
            layout,
            file: FileId(1),
            hash: [0; 32],
            held: RangeSet::new(),
            rate: 0,
            congestion: None,
            ecn: flow.ecn,
            credit: shared.credit,
            rtt: None,
            listened_to: false,
        };
        Ends { sender: Sender::new(begins, sender), receiver: Receiver::new(begins, receiver), begins }
    }
}
