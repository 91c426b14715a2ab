//! Whatever comes from its hub's address, a member of a group goes on, and what it holds stays bounded.
#![no_main]

use events::Time;
use libfuzzer_sys::fuzz_target;
use multicast::call::wire::{Datagram, Seat, Welcome, decode};
use multicast::call::{HubConfig, Member, MemberConfig, MemberEvent, Order, Secret};

fuzz_target!(|bytes: &[u8]| {
    let mut member = Member::new(Time::ZERO, MemberConfig { name: b"a".to_vec(), seed: 1 });
    let join = member.poll_transmit().expect("a member begins by joining");
    let Ok(Datagram::Join { client, .. }) = decode(&join) else { panic!("a join") };
    let usual = HubConfig::new(Secret([1; 32]));
    // The seat and session of the seeds.
    let welcome = Welcome {
        client,
        seat: Seat { member: 3, key: 7 },
        session: 5,
        base: 0,
        order: Order::ALL[bytes.first().map_or(0, |byte| usize::from(byte % 4))],
        group: None,
        heartbeat: usual.heartbeat,
        silence: usual.silence,
    };
    member.handle(Time::ZERO, &Datagram::Welcome(welcome).encode());
    for (index, datagram) in castlab_fuzz::split_group(bytes).enumerate() {
        member.handle(Time::from_nanos(index as u64 * 1_000_000), &datagram);
        let mut sent = 0;
        while member.poll_transmit().is_some() {
            sent += 1;
        }
        assert!(sent < 100, "{sent} datagrams for one");
        while let Some(event) = member.poll_event() {
            if let MemberEvent::Asked { call, .. } = event {
                member.answer(call, b"yes");
            }
        }
    }
});
