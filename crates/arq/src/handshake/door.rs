//! The server's side: it keeps no state for whom it does not know, and never sends more than it got.

use std::time::Duration;

use events::Time;

use crate::SessionId;
use crate::limits;
use crate::wire::{Cookie, Handshake, Refusal};

/// Answers hellos, with nothing but a key.
///
/// An address that has not sent a cookie back is *unproven*: anybody could have written it. What goes there is one
/// datagram for each one that came, and smaller; no table grows (compare CVE-2025-54939). The cookie is a keyed BLAKE3
/// hash over the address, the client's id, the datagram length and the time, so that it is worth something only to who
/// received it, for what was asked, and for [`Door::COOKIE_LIFE`].
pub struct Door {
    key: [u8; 32],
    largest: u16,
}

/// What to do about a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a hello without an answer is asked again"]
pub enum Answer {
    /// Send this back. The address is unproven still.
    Send(Handshake),
    /// The address is proven. If there is room, let the session begin (the same hello again gives the same id, so a
    /// session with that id which is already there is not a second one) and send [`Door::accept`]; else
    /// [`Door::refuse`].
    Proven {
        /// The client's id: whatever is sent to it in this session is sent to this id.
        client: SessionId,
        /// The server's id: what the client sends in this session comes to this id.
        server: SessionId,
        /// How long datagrams are.
        datagram: u16,
    },
    /// Say nothing.
    Ignore,
}

impl Door {
    /// How long a cookie is good for.
    pub const COOKIE_LIFE: Duration = Duration::from_secs(15);

    /// A door whose cookies are signed with `key`, 32 random bytes from the operating system, for datagrams of at most
    /// `largest` bytes.
    #[must_use]
    pub fn new(key: [u8; 32], largest: u16) -> Self {
        Door { key, largest: largest.clamp(limits::SMALLEST_DATAGRAM, limits::LARGEST_DATAGRAM) }
    }

    /// Answers a datagram of the handshake that came from `address`: the bytes of the IP address and port, and whatever
    /// else tells one peer from another.
    pub fn handle(&self, now: Time, address: &[u8], handshake: &Handshake) -> Answer {
        let Handshake::Hello { client, datagram, cookie } = handshake else {
            return Answer::Ignore; // An answer is never answered (CVE-2024-2169).
        };
        let (client, datagram) = (*client, *datagram);
        let Some(cookie) = cookie.filter(|cookie| self.is_fresh(now, cookie)) else {
            // None, or one that has grown old: a new one.
            let issued = now.as_nanos();
            let mac = *self.sign(b"cookie", address, client, datagram, issued).as_bytes();
            let server = self.name(address, client, datagram, issued);
            return Answer::Send(Handshake::Retry { client, server, cookie: Cookie { issued, mac } });
        };
        // `blake3::Hash` compares in constant time.
        if self.sign(b"cookie", address, client, datagram, cookie.issued) != blake3::Hash::from_bytes(cookie.mac) {
            return Answer::Ignore;
        }
        let server = self.name(address, client, datagram, cookie.issued);
        // A client that asks for more than we send gets what we send: its hello was long enough for that too.
        Answer::Proven { client, server, datagram: datagram.min(self.largest) }
    }

    /// What the server is called in the session that such a cookie begins.
    fn name(&self, address: &[u8], client: SessionId, datagram: u16, issued: u64) -> SessionId {
        let name = self.sign(b"server", address, client, datagram, issued);
        SessionId(name.as_bytes().first_chunk().map_or(0, |first| u64::from_be_bytes(*first)))
    }

    /// The datagram that begins a session.
    #[must_use]
    pub fn accept(client: SessionId, server: SessionId, datagram: u16) -> Handshake {
        Handshake::Accept { client, server, datagram }
    }

    /// The datagram that says no.
    #[must_use]
    pub fn refuse(client: SessionId, reason: Refusal, retry_after: Duration) -> Handshake {
        let retry_after = u16::try_from(retry_after.as_secs()).unwrap_or(u16::MAX);
        Handshake::Refuse { client, reason, retry_after }
    }

    /// The answer to a datagram of `length` bytes in another version: which one we speak. None when it was not as long
    /// as every hello is, so that nobody is answered with more than was sent.
    #[must_use]
    pub fn other_version(client: SessionId, length: usize) -> Option<Handshake> {
        let long_enough = length >= usize::from(limits::SMALLEST_DATAGRAM);
        long_enough.then(|| Door::refuse(client, Refusal::Version, Duration::ZERO))
    }

    fn is_fresh(&self, now: Time, cookie: &Cookie) -> bool {
        let issued = Time::from_nanos(cookie.issued);
        issued <= now && now - issued <= Self::COOKIE_LIFE
    }

    /// Every field has its own length in front or a fixed one, so that no two inputs run together the same way.
    fn sign(&self, for_what: &[u8; 6], address: &[u8], client: SessionId, datagram: u16, issued: u64) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(for_what);
        hasher.update(&(address.len() as u64).to_be_bytes());
        hasher.update(address);
        hasher.update(&client.0.to_be_bytes());
        hasher.update(&datagram.to_be_bytes());
        hasher.update(&issued.to_be_bytes());
        hasher.finalize()
    }
}

/// The key is not shown.
impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("largest", &self.largest).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &[u8] = b"192.0.2.1:4000";
    const CLIENT: SessionId = SessionId(7);

    fn door() -> Door {
        Door::new([1; 32], 8_952)
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn hello(cookie: Option<Cookie>) -> Handshake {
        Handshake::Hello { client: CLIENT, datagram: 1_200, cookie }
    }

    fn cookie(door: &Door, now: Time) -> Cookie {
        let answer = door.handle(now, ADDRESS, &hello(None));
        let Answer::Send(Handshake::Retry { cookie, client: CLIENT, .. }) = answer else { panic!("{answer:?}") };
        cookie
    }

    #[test]
    fn who_sends_the_cookie_back_is_proven_and_gets_the_same_id_each_time() {
        let door = door();
        let cookie = cookie(&door, at(100));
        let first = door.handle(at(101), ADDRESS, &hello(Some(cookie)));
        assert!(matches!(first, Answer::Proven { client: CLIENT, datagram: 1_200, .. }), "{first:?}");
        assert_eq!(door.handle(at(102), ADDRESS, &hello(Some(cookie))), first);
    }

    #[test]
    fn a_cookie_is_worth_nothing_anywhere_else() {
        let door = door();
        let cookie = cookie(&door, at(100));
        let is_ignored =
            |door: &Door, address, hello: &Handshake| door.handle(at(101), address, hello) == Answer::Ignore;
        assert!(is_ignored(&door, b"192.0.2.2:4000", &hello(Some(cookie))), "another address");
        assert!(is_ignored(&Door::new([2; 32], 8_952), ADDRESS, &hello(Some(cookie))), "another server, or run");
        let other = Handshake::Hello { client: SessionId(8), datagram: 1_200, cookie: Some(cookie) };
        assert!(is_ignored(&door, ADDRESS, &other), "another client");
        let longer = Handshake::Hello { client: CLIENT, datagram: 1_400, cookie: Some(cookie) };
        assert!(is_ignored(&door, ADDRESS, &longer), "another length");
        for bit in 0..256 {
            let mut mac = cookie.mac;
            mac[bit / 8] ^= 1 << (bit % 8);
            assert!(is_ignored(&door, ADDRESS, &hello(Some(Cookie { mac, ..cookie }))));
        }
    }

    #[test]
    fn an_old_cookie_is_exchanged_for_a_new_one() {
        let door = door();
        let cookie = cookie(&door, at(100));
        assert!(matches!(door.handle(at(115), ADDRESS, &hello(Some(cookie))), Answer::Proven { .. }));
        assert!(matches!(door.handle(at(116), ADDRESS, &hello(Some(cookie))), Answer::Send(Handshake::Retry { .. })));
        assert!(matches!(door.handle(at(99), ADDRESS, &hello(Some(cookie))), Answer::Send(_)), "from the future");
    }

    #[test]
    fn an_answer_is_never_answered() {
        let door = door();
        let cookie = cookie(&door, at(1));
        let answers = [
            Handshake::Retry { client: CLIENT, server: SessionId(9), cookie },
            Door::accept(CLIENT, SessionId(9), 1_200),
            Door::refuse(CLIENT, Refusal::Busy, Duration::from_secs(5)),
            Handshake::Gone { session: CLIENT },
        ];
        for answer in answers {
            assert_eq!(door.handle(at(1), ADDRESS, &answer), Answer::Ignore);
        }
        assert_eq!(Door::other_version(CLIENT, 1_199), None);
    }
}
