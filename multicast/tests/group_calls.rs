//! A call over a bad network: every answer comes back, and no member carries it out twice.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use events::Time;
use multicast::call::{CallResult, Destination, Hub, HubConfig, HubEvent, Member, MemberConfig, MemberEvent, Secret};
use netsim::Link;

/// A member, and its links to the hub and back.
type Place = (SocketAddr, Member, Link<Vec<u8>>, Link<Vec<u8>>);

/// A hub and members, each with a link there and back.
struct Calls {
    now: Time,
    hub: Hub,
    members: Vec<Place>,
    /// How often each member carried out each call.
    carried_out: HashMap<(usize, u64), u32>,
    results: Vec<CallResult>,
}

impl Calls {
    fn new(seed: u64, members: u16, link: &str) -> Self {
        let group = seed.is_multiple_of(2).then(|| (Ipv4Addr::new(239, 0, 0, 1), 5007).into());
        // At such losses six heartbeats in a row are lost now and then: that is another test's business.
        let silence = Duration::from_secs(30);
        let hub = Hub::new(HubConfig { group, silence, ..HubConfig::new(Secret([9; 32])) });
        let member = |index: u16| {
            let config = MemberConfig { name: index.to_string().into_bytes(), seed: seed * 100 + u64::from(index) };
            let link = |way| Link::new(link.parse().unwrap(), seed * 1_000 + u64::from(index) * 2 + way);
            ((Ipv4Addr::LOCALHOST, 1_000 + index).into(), Member::new(Time::ZERO, config), link(0), link(1))
        };
        let members = (0..members).map(member).collect();
        Calls { now: Time::ZERO, hub, members, carried_out: HashMap::new(), results: Vec::new() }
    }

    fn until(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            assert!(self.now < Time::ZERO + Duration::from_secs(120), "still at it");
            self.step();
        }
    }

    fn step(&mut self) {
        let links = self.members.iter().flat_map(|(_, _, up, down)| [up.poll_timeout(), down.poll_timeout()]);
        let machines = self.members.iter().map(|(_, member, ..)| member.poll_timeout());
        let next = links.chain(machines).chain([self.hub.poll_timeout()]).flatten().min().unwrap();
        self.now = next.max(self.now + Duration::from_micros(1));
        let now = self.now;
        self.hub.handle_timeout(now);
        for (index, (address, member, up, down)) in self.members.iter_mut().enumerate() {
            member.handle_timeout(now);
            while let Some(arrival) = down.poll(now) {
                member.handle(now, &arrival.packet);
            }
            while let Some(event) = member.poll_event() {
                if let MemberEvent::Asked { call, text, .. } = event {
                    *self.carried_out.entry((index, call)).or_insert(0) += 1;
                    member.answer(call, &[text, index.to_string().into_bytes()].concat());
                }
            }
            while let Some(bytes) = member.poll_transmit() {
                let _ = up.handle(now, "datagram", bytes.len(), bytes);
            }
            while let Some(arrival) = up.poll(now) {
                self.hub.handle(now, *address, &arrival.packet);
            }
        }
        while let Some((to, bytes)) = self.hub.poll_transmit() {
            for (address, _, _, down) in &mut self.members {
                if to == Destination::Group || to == Destination::One(*address) {
                    let _ = down.handle(now, "datagram", bytes.len(), bytes.clone());
                }
            }
        }
        while let Some(event) = self.hub.poll_event() {
            if let HubEvent::Called(result) = event {
                self.results.push(result);
            }
        }
    }
}

#[test]
fn every_member_answers_each_call_once_over_a_network_that_loses_and_repeats() {
    for seed in 0..300 {
        let mut calls = Calls::new(seed, 5, "delay=3ms,loss=25%,duplicate=20%,reorder=10%");
        calls.until(|calls| calls.hub.present(calls.now).len() == 5);
        // More than a member remembers, so that old ones are forgotten while their repetitions are on their way.
        for number in 1..=40 {
            calls.hub.call(calls.now, b"?", Duration::from_secs(20)).unwrap();
            calls.until(|calls| calls.results.len() == number);
        }
        let late = calls.now + Duration::from_secs(1);
        calls.until(|calls| calls.now > late);
        for result in &calls.results {
            let texts: Vec<String> =
                result.answers.iter().map(|one| String::from_utf8_lossy(&one.text).into()).collect();
            let mut sorted = texts.clone();
            sorted.sort();
            assert_eq!(sorted, ["?0", "?1", "?2", "?3", "?4"], "seed {seed}: {result:?}");
        }
        assert_eq!(calls.carried_out.len(), 200, "seed {seed}");
        assert!(calls.carried_out.values().all(|times| *times == 1), "seed {seed}: {:?}", calls.carried_out);
    }
}

#[test]
fn a_member_behind_a_dead_link_is_named() {
    let mut calls = Calls::new(1, 3, "delay=1ms");
    calls.until(|calls| calls.hub.present(calls.now).len() == 3);
    calls.members[1].3 = Link::new("loss=100%".parse().unwrap(), 1);
    calls.hub.call(calls.now, b"?", Duration::from_millis(500)).unwrap();
    calls.until(|calls| !calls.results.is_empty());
    let result = &calls.results[0];
    assert_eq!((result.answers.len(), result.missing.len()), (2, 1));
    assert_eq!(result.missing[0].name, b"1");
}
