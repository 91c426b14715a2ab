//! Any text is an impairment or a reason, and what is shown of one is read back.
#![no_main]

use events::Time;
use libfuzzer_sys::fuzz_target;
use netsim::{Impairment, Link};

fuzz_target!(|text: &str| {
    if let Ok(impairment) = text.parse::<Impairment>() {
        assert_eq!(impairment.to_string().parse(), Ok(impairment.clone()));
        let mut link = Link::new(impairment, 1);
        for n in 0..50 {
            let _ = link.handle(Time::from_nanos(n << 20), "block", 1_200, n);
            while link.poll(Time::from_nanos(n << 20)).is_some() {}
        }
        while link.poll(Time::MAX).is_some() {}
        assert_eq!(link.poll_timeout(), None);
    }
});
