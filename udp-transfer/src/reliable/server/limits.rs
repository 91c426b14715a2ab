//! What a server lets others take of it: in all, and for each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use events::Time;

/// How much of everything there may be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions in all.
    pub sessions: usize,
    /// Sessions of one address. Many people behind one NAT share it.
    pub per_address: usize,
    /// Transfers in one session.
    pub per_session: usize,
    /// New sessions a second in all, and for one address.
    pub handshakes: u32,
    /// See [`Limits::handshakes`].
    pub handshakes_per_address: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { sessions: 1_024, per_address: 64, per_session: 8, handshakes: 2_000, handshakes_per_address: 200 }
    }
}

/// So much a second, and no more than a second's worth at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    a_second: u32,
    level: f64,
    at: Time,
}

impl Bucket {
    pub(super) fn new(now: Time, a_second: u32) -> Self {
        Bucket { a_second, level: f64::from(a_second), at: now }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Time) -> bool {
        self.fill(now);
        let some = self.level >= 1.0;
        if some {
            self.level -= 1.0;
        }
        some
    }

    /// Gives one back.
    pub(super) fn give_back(&mut self) {
        self.level = (self.level + 1.0).min(f64::from(self.a_second));
    }

    fn fill(&mut self, now: Time) {
        let most = f64::from(self.a_second);
        self.level = (self.level + (now - self.at).as_secs_f64() * most).min(most);
        self.at = now;
    }

    fn is_full(&mut self, now: Time) -> bool {
        self.fill(now);
        self.level >= f64::from(self.a_second)
    }
}

/// Counts who holds how much.
#[derive(Debug)]
pub(super) struct Places {
    limits: Limits,
    all: Bucket,
    addresses: HashMap<IpAddr, Address>,
    sessions: usize,
}

#[derive(Debug)]
struct Address {
    sessions: usize,
    handshakes: Bucket,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The server is full.
    Full,
    /// This address has all it may have.
    Address,
    /// Too many a second.
    TooFast,
}

impl NoPlace {
    /// When asking again makes sense.
    pub(super) fn retry_after(self) -> Duration {
        Duration::from_secs(if self == NoPlace::TooFast { 1 } else { 5 })
    }
}

impl Places {
    pub(super) fn new(now: Time, limits: Limits) -> Self {
        Places { limits, all: Bucket::new(now, limits.handshakes), addresses: HashMap::new(), sessions: 0 }
    }

    /// A place for a session of `ip`, whose address is proven; to be given back with [`Places::leave`].
    pub(super) fn enter(&mut self, now: Time, ip: IpAddr) -> Result<(), NoPlace> {
        if self.sessions >= self.limits.sessions {
            return Err(NoPlace::Full);
        }
        self.forget_the_idle(now);
        let a_second = self.limits.handshakes_per_address;
        let address =
            self.addresses.entry(ip).or_insert(Address { sessions: 0, handshakes: Bucket::new(now, a_second) });
        if address.sessions >= self.limits.per_address {
            return Err(NoPlace::Address);
        }
        if !address.handshakes.take(now) || !self.all.take(now) {
            return Err(NoPlace::TooFast);
        }
        address.sessions += 1;
        self.sessions += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self, ip: IpAddr) {
        self.sessions = self.sessions.saturating_sub(1);
        if let Some(address) = self.addresses.get_mut(&ip) {
            address.sessions = address.sessions.saturating_sub(1);
        }
    }

    /// Addresses without a session are remembered only while their rate still matters: a second at most.
    fn forget_the_idle(&mut self, now: Time) {
        if self.addresses.len() > 2 * self.sessions + 64 {
            self.addresses.retain(|_, address| address.sessions > 0 || !address.handshakes.is_full(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { sessions: 3, per_address: 2, per_session: 1, handshakes: 100, handshakes_per_address: 3 };

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_address_and_all_together_have_so_many_places() {
        let mut places = Places::new(at(0), LIMITS);
        assert_eq!((places.enter(at(0), ip(1)), places.enter(at(0), ip(1))), (Ok(()), Ok(())));
        assert_eq!(places.enter(at(0), ip(1)), Err(NoPlace::Address));
        assert_eq!(places.enter(at(0), ip(2)), Ok(()));
        assert_eq!(places.enter(at(0), ip(3)), Err(NoPlace::Full));
        places.leave(ip(1));
        assert_eq!(places.enter(at(0), ip(1)), Ok(()), "a place that was given back");
    }

    #[test]
    fn no_address_shakes_hands_faster_than_it_may() {
        let mut places = Places::new(at(0), LIMITS);
        for _ in 0..3 {
            assert_eq!(places.enter(at(0), ip(1)), Ok(()));
            places.leave(ip(1));
        }
        assert_eq!(places.enter(at(0), ip(1)), Err(NoPlace::TooFast));
        assert_eq!(places.enter(at(400), ip(1)), Ok(()), "a third of a second earns one");
    }

    #[test]
    fn addresses_without_a_session_are_forgotten() {
        let mut places = Places::new(at(0), Limits { handshakes: 1_000_000, ..LIMITS });
        for n in 0..100_000_u32 {
            let ip = IpAddr::from(n.to_be_bytes());
            assert_eq!(places.enter(at(u64::from(n)), ip), Ok(()));
            places.leave(ip);
        }
        assert!(places.addresses.len() < 2_000, "{}", places.addresses.len());
    }
}
