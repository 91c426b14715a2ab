//! Proof of address: a value that only who receives at an address can send back from it.

use std::net::SocketAddr;
use std::time::Duration;

use events::Time;

use super::wire::Cookie;

/// How long a cookie is good for.
const LIFE: Duration = Duration::from_secs(15);

/// Mints and checks cookies; keeps nothing about whom it gave one.
#[derive(Clone, Debug)]
pub(super) struct Mint {
    secret: [u8; 32],
}

impl Mint {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Mint { secret }
    }

    pub(super) fn mint(&self, now: Time, from: SocketAddr, client: u64) -> Cookie {
        let issued = now.as_nanos();
        Cookie { issued, mac: self.mac(issued, from, client) }
    }

    pub(super) fn is_good(&self, now: Time, from: SocketAddr, client: u64, cookie: &Cookie) -> bool {
        let issued = Time::from_nanos(cookie.issued);
        // blake3's own comparison takes the same time for every wrong value.
        let same = blake3::Hash::from_bytes(wide(self.mac(cookie.issued, from, client)))
            == blake3::Hash::from_bytes(wide(cookie.mac));
        same && issued <= now && now - issued <= LIFE
    }

    /// A number nobody can guess, for one use of the secret.
    pub(super) fn number(&self, of: &str, n: u64) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(of.as_bytes()).update(&n.to_be_bytes());
        let mut number = [0; 8];
        number.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_be_bytes(number)
    }

    fn mac(&self, issued: u64, from: SocketAddr, client: u64) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(b"cookie").update(&issued.to_be_bytes()).update(&client.to_be_bytes());
        hasher.update(from.to_string().as_bytes());
        let mut mac = [0; 16];
        mac.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        mac
    }
}

fn wide(half: [u8; 16]) -> [u8; 32] {
    let mut whole = [0; 32];
    whole[..16].copy_from_slice(&half);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_good_for_one_address_one_client_and_a_while() {
        let mint = Mint::new([1; 32]);
        let (here, there) = ("127.0.0.1:5".parse().unwrap(), "127.0.0.1:6".parse().unwrap());
        let now = Time::from_nanos(1_000);
        let cookie = mint.mint(now, here, 7);
        assert!(mint.is_good(now, here, 7, &cookie));
        assert!(mint.is_good(now + LIFE, here, 7, &cookie));
        assert!(!mint.is_good(now, there, 7, &cookie));
        assert!(!mint.is_good(now, here, 8, &cookie));
        assert!(!mint.is_good(now + LIFE + Duration::from_nanos(1), here, 7, &cookie));
        assert!(!mint.is_good(Time::ZERO, here, 7, &cookie), "from the future");
        assert!(!Mint::new([2; 32]).is_good(now, here, 7, &cookie));
        assert_ne!(mint.number("key", 1), mint.number("key", 2));
    }
}
