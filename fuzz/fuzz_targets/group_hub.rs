//! Whatever strangers send, the hub of a group answers none with more bytes than came, and lets none in unproven.
#![no_main]

use std::net::SocketAddr;

use events::Time;
use libfuzzer_sys::fuzz_target;
use multicast::call::{Destination, Hub, HubConfig, Secret};

fuzz_target!(|bytes: &[u8]| {
    let mut hub = Hub::new(HubConfig::new(Secret([1; 32])));
    let stranger: SocketAddr = ([192, 0, 2, 1], 9).into();
    let (mut came, mut went) = (0, 0);
    for (index, datagram) in castlab_fuzz::split_group(bytes).enumerate() {
        came += datagram.len();
        hub.handle(Time::from_nanos(index as u64 * 1_000_000), stranger, &datagram);
        while let Some((to, answer)) = hub.poll_transmit() {
            assert_eq!(to, Destination::One(stranger));
            went += answer.len();
        }
        while hub.poll_event().is_some() {}
        assert!(went <= came, "{went} bytes for {came}");
        assert!(hub.present(Time::ZERO).is_empty());
    }
});
