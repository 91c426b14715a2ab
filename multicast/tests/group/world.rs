//! A hub and members in virtual time, over links that lose, repeat and overtake; what each tells is recorded.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use events::{Event, Outcome, Record, Time};
use multicast::call::{
    self, Destination, Entry, Hub, HubConfig, HubEvent, Member, MemberConfig, MemberEvent, Order, Secret, Why, check,
};
use netsim::{Impairment, Link, Random};

/// Longer than any run takes.
const BOUND: Duration = Duration::from_secs(120);

/// What happens in a run.
pub(crate) struct Scenario {
    pub(crate) order: Order,
    pub(crate) impairment: Impairment,
    pub(crate) seed: u64,
    pub(crate) members: usize,
    /// How many messages each member says of itself, beside those it answers with.
    pub(crate) messages: u32,
    /// One member leaves, one vanishes, one comes late.
    pub(crate) unsteady: bool,
}

/// One member with its two links.
struct Place {
    member: Option<Member>,
    address: SocketAddr,
    up: Link<Vec<u8>>,
    down: Link<Vec<u8>>,
    records: Vec<Record>,
    begins: Time,
    leaves: Option<Time>,
    vanishes: Option<Time>,
    to_say: u32,
    next_say: Time,
    answers: u32,
}

/// What came of it.
pub(crate) struct Outcomes {
    /// The records of each process, the hub's first.
    pub(crate) logs: Vec<Vec<Record>>,
    /// How long after being said a message was handed out, on the average over all members.
    pub(crate) mean_delay: Duration,
    /// How many messages were said to all.
    pub(crate) said: usize,
}

pub(crate) struct World {
    now: Time,
    hub: Hub,
    hub_records: Vec<Record>,
    places: Vec<Place>,
    random: Random,
    scenario: Scenario,
    /// When each message of a member was said.
    said_at: std::collections::HashMap<(u32, u32), Time>,
    delays: Vec<Duration>,
}

impl World {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let mut random = Random::stream(scenario.seed, 77);
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&scenario.seed.to_be_bytes());
        // As if by multicast in half of the runs.
        let group = scenario.seed.is_multiple_of(2).then(|| (Ipv4Addr::new(239, 0, 0, 1), 5007).into());
        let config = HubConfig { order: scenario.order, group, ..HubConfig::new(Secret(secret)) };
        let mut hub_records = Vec::new();
        tell(
            &mut hub_records,
            Time::ZERO,
            "server",
            None,
            Event::Started { role: "group-server".into(), version: "0".into(), local: None, seed: None },
        );
        let places = (0..scenario.members).map(|index| place(&scenario, index, &mut random)).collect();
        let hub = Hub::new(config);
        let (now, said_at, delays) = (Time::ZERO, Default::default(), Vec::new());
        World { now, hub, hub_records, places, random, scenario, said_at, delays }
    }

    /// Until all is said, all have left, and the hub is over.
    pub(crate) fn run(mut self) -> Outcomes {
        let mut closing = false;
        while !self.is_over() {
            assert!(self.now - Time::ZERO < BOUND, "still busy after {BOUND:?}: {}", self.describe());
            self.now = self.next_time();
            self.deliver();
            self.act();
            self.hub.handle_timeout(self.now);
            for place in &mut self.places {
                if let Some(member) = &mut place.member {
                    member.handle_timeout(self.now);
                }
            }
            self.drain();
            if !closing && self.all_said() {
                closing = true;
                self.hub.close(self.now);
                self.drain();
            }
        }
        let outcome = Event::Finished { outcome: Outcome::Complete, reason: None };
        tell(&mut self.hub_records, self.now, "server", None, outcome);
        let total: Duration = self.delays.iter().sum();
        let mean_delay = total / u32::try_from(self.delays.len().max(1)).unwrap();
        let mut logs = vec![self.hub_records];
        logs.extend(self.places.into_iter().map(|place| place.records));
        Outcomes { logs, mean_delay, said: self.said_at.len() }
    }

    fn is_over(&self) -> bool {
        // Whoever missed every good-bye goes on looking for a hub that is no more.
        let gone = |place: &Place| place.member.as_ref().is_none_or(|member| member.welcome().is_none());
        self.hub.is_over() && self.places.iter().all(gone)
    }

    fn describe(&self) -> String {
        let place = |place: &Place| {
            let member = place.member.as_ref().map(|member| (member.is_over(), member.is_settled(), member.welcome()));
            format!("{member:?}, {} to say, begins {}, vanishes {:?}\n", place.to_say, place.begins, place.vanishes)
        };
        let places: String = self.places.iter().map(place).collect();
        format!("{:#?}\n{places}", self.hub.present(self.now))
    }

    fn all_said(&self) -> bool {
        let done = |place: &Place| match &place.member {
            Some(member) => place.begins <= self.now && place.to_say == 0 && member.is_settled(),
            None => place.vanishes.is_some_and(|at| at <= self.now),
        };
        let vanished = self.places.iter().filter(|place| place.vanishes.is_some()).count();
        // Whoever vanished is missed first.
        let here = self.hub.present(self.now).len();
        let gone = self.places.iter().filter(|place| place.member.as_ref().is_some_and(Member::is_over)).count();
        self.places.iter().all(done) && here + vanished + gone <= self.places.len()
    }

    fn next_time(&self) -> Time {
        let mut times: Vec<Time> = self.hub.poll_timeout().into_iter().collect();
        for place in &self.places {
            times.extend(place.up.poll_timeout());
            times.extend(place.down.poll_timeout());
            let Some(member) = &place.member else {
                times.extend((place.vanishes.is_none()).then_some(place.begins));
                continue;
            };
            times.extend(member.poll_timeout());
            times.extend(place.leaves.filter(|_| !member.is_over()));
            times.extend(place.vanishes);
            times.extend((place.to_say > 0 && member.welcome().is_some()).then_some(place.next_say));
        }
        let next = times.into_iter().min().expect("something is still to come");
        next.max(self.now + Duration::from_micros(1))
    }

    fn deliver(&mut self) {
        for index in 0..self.places.len() {
            while let Some(arrival) = self.places[index].up.poll(self.now) {
                let from = self.places[index].address;
                self.hub.handle(self.now, from, &arrived(arrival));
            }
            while let Some(arrival) = self.places[index].down.poll(self.now) {
                let bytes = arrived(arrival);
                if let Some(member) = &mut self.places[index].member {
                    member.handle(self.now, &bytes);
                }
            }
            self.drain();
        }
    }

    /// Comes, goes, and says what it has to say of itself.
    fn act(&mut self) {
        for index in 0..self.places.len() {
            let (now, seed) = (self.now, self.scenario.seed);
            let place = &mut self.places[index];
            if place.member.is_none() && place.begins <= now && place.vanishes.is_none_or(|at| at > now) {
                let (name, seed) = ((index + 1).to_string().into_bytes(), seed * 100 + index as u64);
                place.member = Some(Member::new(now, MemberConfig { name, seed }));
            }
            if place.vanishes.is_some_and(|at| at <= now) {
                place.member = None;
                place.vanishes = Some(Time::ZERO);
                place.begins = Time::MAX;
            }
            let Some(member) = &mut place.member else { continue };
            if place.leaves.is_some_and(|at| at <= now) {
                place.leaves = None;
                place.to_say = 0;
                member.leave(now);
            }
            if place.to_say > 0 && place.next_say <= now && member.welcome().is_some() {
                place.to_say -= 1;
                place.next_say = now + Duration::from_micros(self.random.below(40_000));
                self.say(index);
            }
        }
    }

    fn say(&mut self, index: usize) {
        let now = self.now;
        let place = &mut self.places[index];
        let Some(member) = &mut place.member else { return };
        let own = member.welcome().map(|welcome| welcome.seat.member);
        if let (Some(own), Ok(seq)) = (own, member.cast(now, b"hello")) {
            let (flow, event) = call::said(own, seq, "cast", 5);
            tell(&mut place.records, now, &index.to_string(), Some(flow), event);
            self.said_at.insert((own, seq), now);
        }
        // The hub says something now and then as well.
        if self.random.below(8) == 0 {
            let _ = self.hub.cast(now, b"from the hub");
        }
    }

    fn drain(&mut self) {
        for index in 0..self.places.len() {
            self.drain_member(index);
        }
        while let Some((to, bytes)) = self.hub.poll_transmit() {
            for place in &mut self.places {
                if to == Destination::Group || to == Destination::One(place.address) {
                    let _ = place.down.handle(self.now, "datagram", bytes.len(), bytes.clone());
                }
            }
        }
        while let Some(event) = self.hub.poll_event() {
            let HubEvent::Said(entry) = event else { continue };
            let records = &mut self.hub_records;
            if entry.origin == call::HUB {
                let (flow, event) = call::said(0, entry.seq, entry.body.what(), entry.body.text().len());
                tell(records, self.now, "server", Some(flow), event);
            }
            let (flow, event) = call::delivered(&entry);
            tell(records, self.now, "server", Some(flow), event);
        }
    }

    fn drain_member(&mut self, index: usize) {
        let (now, node) = (self.now, index.to_string());
        loop {
            let place = &mut self.places[index];
            let Some(member) = &mut place.member else { return };
            while let Some(bytes) = member.poll_transmit() {
                let _ = place.up.handle(now, "datagram", bytes.len(), bytes);
            }
            let Some(event) = member.poll_event() else { return };
            let records = &mut place.records;
            match event {
                MemberEvent::Welcomed(welcome) => {
                    let event = Event::Connected { peer: "hub".into(), elapsed_ns: None };
                    tell(records, now, &node, Some(welcome.seat.member.into()), event);
                }
                MemberEvent::Said(entry) => {
                    let (flow, event) = call::delivered(&entry);
                    tell(records, now, &node, Some(flow), event);
                    self.react(index, &entry);
                }
                MemberEvent::Over { why, complete } => {
                    let whole = complete && why == Why::Closed;
                    let outcome = if whole { Outcome::Complete } else { Outcome::Partial };
                    tell(records, now, &node, None, Event::Finished { outcome, reason: None });
                }
                _ => {}
            }
        }
    }

    /// What it saw makes a member say something: that is where causes come from.
    fn react(&mut self, index: usize, entry: &Entry) {
        if let Some(said) = self.said_at.get(&(entry.origin, entry.seq)) {
            self.delays.push(self.now - *said);
        }
        let place = &mut self.places[index];
        let speaks = entry.body.about().is_none() && place.answers > 0 && self.random.below(3) == 0;
        if speaks && place.leaves.is_none() {
            place.answers -= 1;
            self.say(index);
        }
    }
}

fn place(scenario: &Scenario, index: usize, random: &mut Random) -> Place {
    let mut moment = |from: u64, to: u64| Time::from_nanos(1_000_000 * (from + random.below(to - from)));
    let last = scenario.members - 1;
    let is = |role: usize| scenario.unsteady && index + role == last;
    let begins = if is(0) { moment(100, 300) } else { moment(0, 20) };
    let leaves = is(1).then(|| moment(100, 400));
    let vanishes = is(2).then(|| moment(100, 400));
    let link = |way: u64| Link::new(scenario.impairment.clone(), scenario.seed * 1_000 + index as u64 * 2 + way);
    Place {
        member: None,
        address: (Ipv4Addr::LOCALHOST, 1_000 + u16::try_from(index).unwrap()).into(),
        up: link(0),
        down: link(1),
        records: Vec::new(),
        begins,
        leaves,
        vanishes,
        to_say: scenario.messages,
        next_say: begins,
        answers: scenario.messages,
    }
}

fn arrived(arrival: netsim::Arrival<Vec<u8>>) -> Vec<u8> {
    let mut bytes = arrival.packet;
    if let Some(damage) = arrival.damage {
        damage.apply(&mut bytes);
    }
    bytes
}

fn tell(records: &mut Vec<Record>, now: Time, node: &str, flow: Option<u64>, event: Event) {
    records.push(Record { flow, ..Record::new(now, node, event) });
}

/// What the checker says of these logs.
pub(crate) fn judge(logs: &[Vec<Record>], order: Order) -> check::Report {
    let mut checker = check::Checker::new();
    for (number, log) in logs.iter().enumerate() {
        log.iter().for_each(|record| checker.read(number, record).expect("a small log"));
    }
    checker.judge(order)
}
