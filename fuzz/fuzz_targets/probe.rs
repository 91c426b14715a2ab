//! Any datagrams: a message has one encoding, and a prober sends at most one datagram for each that comes.
#![no_main]

use std::net::SocketAddr;
use std::time::Duration;

use doctor::probe::{By, Config, LENGTH, Message, Name, Prober};
use events::Time;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let config = Config {
        id: 1,
        name: Name::new("fuzzed"),
        rounds: 4,
        interval: Duration::from_millis(10),
        patience: Duration::from_secs(1),
        peer: None,
    };
    let (mut now, mut prober) = (Time::ZERO, Prober::new(Time::ZERO, config));
    for (n, datagram) in bytes.chunks(LENGTH).enumerate() {
        let Ok(message) = Message::decode(datagram) else { continue };
        assert_eq!(message.encode(), datagram, "one encoding");
        let by = if n % 2 == 0 { By::Multicast } else { By::Unicast };
        let from = SocketAddr::from(([192, 0, 2, datagram[8]], message.port));
        if let Some(answer) = prober.handle(now, from, by, &message) {
            let encoded = Message { port: 5007, ..answer.message }.encode();
            assert!(Message::decode(&encoded).is_ok(), "what is sent can be read");
        }
        now += Duration::from_millis(3);
        assert!(prober.handle_timeout(now).len() <= 2);
        assert!(prober.heard().len() <= 16);
    }
});
