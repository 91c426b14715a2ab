//! Any bytes are a datagram or not, and a datagram is written in one way only.
#![no_main]

use arq::wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for datagram in [bytes.to_vec(), castlab_fuzz::sealed(bytes)] {
        if let Ok(decoded) = wire::decode(&datagram) {
            let mut encoded = Vec::new();
            decoded.encode(&mut encoded);
            assert_eq!(encoded, datagram);
        }
    }
});
