//! ECN over a simulated link: `arq` knows codepoints and `netsim` what is done to them, and neither knows the other.

use arq::Codepoint;
use events::Time;
use netsim::{Fate, Link, Rewritten};

/// Hands a packet that is sent with `ecn` to the link.
pub(crate) fn hand_in<P: Clone>(
    link: &mut Link<P>,
    now: Time,
    kind: &str,
    bytes: usize,
    packet: P,
    ecn: Codepoint,
) -> Fate {
    if ecn.may_be_marked() {
        link.handle_markable(now, kind, bytes, packet)
    } else {
        link.handle(now, kind, bytes, packet)
    }
}

/// What `ecn` is after the link.
pub(crate) fn rewritten(ecn: Codepoint, how: Option<Rewritten>) -> Codepoint {
    match how {
        None => ecn,
        Some(Rewritten::Marked) => Codepoint::Ce,
        Some(Rewritten::Cleared) => Codepoint::NotEct,
    }
}
