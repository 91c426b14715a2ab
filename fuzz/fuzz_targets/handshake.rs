//! Nobody is let in without a cookie, and nobody is answered with more than was sent.
#![no_main]

use arq::SessionId;
use arq::handshake::{Answer, Client, ClientConfig, Door};
use arq::wire::{self, Datagram};
use events::Time;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let door = Door::new([7; 32], 8_952);
    let now = Time::from_nanos(1 << 40);
    let config = ClientConfig { client: SessionId(7), lengths: vec![1_472, 1_200], patience: ClientConfig::PATIENCE };
    let mut client = Client::new(now, config);
    for datagram in castlab_fuzz::split(bytes) {
        let Ok(Datagram::Handshake(handshake)) = wire::decode(&datagram) else { continue };
        client.handle(now, &handshake);
        let _ = client.poll_transmit(now);
        match door.handle(now, b"somewhere", &handshake) {
            Answer::Send(answer) => {
                let mut encoded = Vec::new();
                Datagram::Handshake(answer).encode(&mut encoded);
                assert!(encoded.len() < datagram.len());
            }
            Answer::Proven { .. } => panic!("a forged cookie was taken"),
            Answer::Ignore => {}
        }
    }
});
