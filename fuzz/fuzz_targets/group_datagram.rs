//! Any bytes are a datagram of a group or not, and a datagram is written in one way only.
#![no_main]

use libfuzzer_sys::fuzz_target;
use multicast::call::wire;

fuzz_target!(|bytes: &[u8]| {
    let mut sealed = bytes.to_vec();
    wire::seal(&mut sealed);
    for datagram in [bytes.to_vec(), sealed] {
        if let Ok(decoded) = wire::decode(&datagram) {
            assert_eq!(decoded.encode(), datagram);
            assert!(datagram.len() <= wire::LONGEST);
        }
    }
});
