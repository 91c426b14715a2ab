//! Whatever stands for a ruleset, reading it and a packet's way through it end.
#![no_main]

use doctor::firewall::{Carries, Direction, Firewall, Packet, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(chains) = parse(text) else { return };
    let firewall = Firewall { unreadable: None, chains };
    let to = [224, 1, 1, 1].into();
    for (way, carries) in [(Direction::In, Carries::Udp(5007)), (Direction::Out, Carries::Igmp)] {
        let _ = firewall.drops(&Packet { way, interface: "eth0".into(), from: None, to, carries });
    }
});
