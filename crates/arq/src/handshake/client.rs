//! The client's side: it asks until it is let in, with shorter datagrams when long ones do not come through.

use std::time::Duration;

use events::Time;

use crate::wire::{Cookie, Handshake, Refusal};
use crate::{Rtt, SessionId, limits};

/// Asks a server for a session. Driven like every machine here, with handshake datagrams going in and out.
///
/// Its first hellos are as long as the longest datagram it would like; each is a probe of the path as well. When two of
/// one length stay unanswered, the next shorter one is tried (RFC 8899 by way of the handshake).
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    /// Which of the lengths is being tried, and how many hellos of it have been sent.
    length: usize,
    tries: u32,
    cookie: Option<Cookie>,
    /// What the server will be called, if that cookie is the one it accepts.
    server: Option<SessionId>,
    /// When the last hello left, and whether an answer to it measures the round trip.
    sent: Time,
    measures: bool,
    rtt: Rtt,
    send_now: bool,
    again: Option<Time>,
    deadline: Time,
    outcome: Option<Result<Session, Unanswered>>,
}

/// What a [`Client`] needs to know.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Its name for the session: 64 bits from the operating system's generator.
    pub client: SessionId,
    /// The datagram lengths to try, longest first. None at all means the smallest.
    pub lengths: Vec<u16>,
    /// How long to try in all.
    pub patience: Duration,
}

/// What both ends agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// What the server sends to us is sent to this id.
    pub client: SessionId,
    /// What we send to the server is sent to this id.
    pub server: SessionId,
    /// How long a full datagram is; a block is [`BLOCK_OVERHEAD`](crate::wire::BLOCK_OVERHEAD) shorter.
    pub datagram: u16,
    /// How long a round trip took, where it could be measured.
    pub rtt: Option<Duration>,
}

impl Session {
    /// Whether the server says that it does not know this session.
    #[must_use]
    pub fn is_gone_by(&self, handshake: &Handshake) -> bool {
        matches!(handshake, Handshake::Gone { session } if *session == self.server)
    }
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nobody answered.
    #[error("no answer in {} s", .0.as_secs())]
    Silence(Duration),
    /// The server said no.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: Refusal,
        /// When asking again makes sense; zero if it never does.
        retry_after: Duration,
    },
}

impl ClientConfig {
    /// How long to try where nothing else is asked for.
    pub const PATIENCE: Duration = Duration::from_secs(30);
}

impl Client {
    /// The first wait for an answer; it doubles up to [`Self::LONGEST_WAIT`]. Without a measured round trip, RFC 8085
    /// section 3.1.1 would have a second; one small exchange in half of that harms nobody.
    const FIRST_WAIT: Duration = Duration::from_millis(500);
    const LONGEST_WAIT: Duration = Duration::from_secs(2);
    /// How many hellos of one length are sent before a shorter one is tried.
    const TRIES: u32 = 2;

    /// A client that asks at once.
    #[must_use]
    pub fn new(now: Time, config: ClientConfig) -> Self {
        Client {
            deadline: now + config.patience,
            config,
            length: 0,
            tries: 0,
            cookie: None,
            server: None,
            sent: now,
            measures: false,
            rtt: Rtt::new(),
            send_now: true,
            again: None,
            outcome: None,
        }
    }

    /// Takes a datagram of the handshake. What is not for us, or not expected, changes nothing.
    pub fn handle(&mut self, now: Time, handshake: &Handshake) {
        if self.outcome.is_some() {
            return;
        }
        match *handshake {
            Handshake::Retry { client, server, cookie } if client == self.config.client => {
                if self.cookie != Some(cookie) {
                    self.measure(now);
                    (self.cookie, self.server) = (Some(cookie), Some(server));
                    self.tries = 0;
                    self.send_now = true;
                }
            }
            Handshake::Accept { client, server, datagram } if client == self.config.client => {
                // Only what was asked for, or less; and only after a cookie, which no stranger has seen.
                if self.cookie.is_some() && datagram <= self.asked() {
                    self.measure(now);
                    let rtt = self.rtt.is_known().then(|| self.rtt.least());
                    self.outcome = Some(Ok(Session { client, server, datagram, rtt }));
                }
            }
            Handshake::Refuse { client, reason, retry_after } if client == self.config.client => {
                let retry_after = Duration::from_secs(u64::from(retry_after));
                self.outcome = Some(Err(Unanswered::Refused { reason, retry_after }));
            }
            Handshake::Hello { .. }
            | Handshake::Retry { .. }
            | Handshake::Accept { .. }
            | Handshake::Refuse { .. }
            | Handshake::Gone { .. } => {}
        }
    }

    /// Does whatever is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.outcome.is_some() {
            return;
        }
        if self.deadline <= now {
            self.outcome = Some(Err(Unanswered::Silence(self.config.patience)));
        } else if self.again.is_some_and(|again| again <= now) {
            self.again = None;
            self.send_now = true;
            self.measures = false; // An answer from now on might be to any of the hellos (Karn).
            if self.tries >= Self::TRIES {
                self.shorten();
            }
        }
    }

    /// This side's own system refuses to send hellos of the present length: the next shorter one is tried at once.
    pub fn too_long(&mut self) {
        if self.outcome.is_none() && self.shorten() {
            self.send_now = true;
        }
    }

    /// The next hello, if one is due.
    pub fn poll_transmit(&mut self, now: Time) -> Option<Handshake> {
        if !std::mem::take(&mut self.send_now) || self.outcome.is_some() {
            return None;
        }
        self.measures = self.tries == 0;
        self.sent = now;
        let wait = Self::FIRST_WAIT.saturating_mul(1 << self.tries.min(8)).min(Self::LONGEST_WAIT);
        self.again = Some(now + wait);
        self.tries += 1;
        Some(Handshake::Hello { client: self.config.client, datagram: self.asked(), cookie: self.cookie })
    }

    /// What the server will be called in the session, once it has said so: what is asked in it may follow the hello at
    /// once, a round trip before it is known that there is a session. Where hellos are lost it may be asked in vain.
    #[must_use]
    pub fn expected(&self) -> Option<SessionId> {
        self.server
    }

    /// When to call [`handle_timeout`](Client::handle_timeout) if nothing comes before; none when it is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.outcome.is_some() {
            return None;
        }
        Some(self.again.map_or(self.deadline, |again| again.min(self.deadline)))
    }

    /// The session, or why there is none, once that is known.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<Session, Unanswered>> {
        self.outcome
    }

    /// The length being tried.
    fn asked(&self) -> u16 {
        let asked = self.config.lengths.get(self.length).copied().unwrap_or(limits::SMALLEST_DATAGRAM);
        asked.clamp(limits::SMALLEST_DATAGRAM, limits::LARGEST_DATAGRAM)
    }

    /// Goes on with the next shorter length, where there is one.
    fn shorten(&mut self) -> bool {
        let is_shorter = self.length + 1 < self.config.lengths.len();
        if is_shorter {
            self.length += 1;
            self.tries = 0;
            (self.cookie, self.server) = (None, None); // They were for the other length.
        }
        is_shorter
    }

    fn measure(&mut self, now: Time) {
        if std::mem::take(&mut self.measures) {
            self.rtt.add(now - self.sent, Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, Door};
    use super::*;

    fn client(lengths: &[u16]) -> Client {
        let config = ClientConfig { client: SessionId(7), lengths: lengths.to_vec(), patience: ClientConfig::PATIENCE };
        Client::new(Time::ZERO, config)
    }

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    /// The door's answer to a hello, as the datagram that goes back.
    fn answer(door: &Door, now: Time, hello: &Handshake) -> Option<Handshake> {
        match door.handle(now, b"address", hello) {
            Answer::Send(answer) => Some(answer),
            Answer::Proven { client, server, datagram } => Some(Door::accept(client, server, datagram)),
            Answer::Ignore => None,
        }
    }

    #[test]
    fn two_round_trips_make_a_session() {
        let (mut client, door) = (client(&[1_472]), Door::new([1; 32], 1_400));
        for round in 0..2 {
            let hello = client.poll_transmit(at(100 * round)).expect("a hello");
            assert_eq!(client.poll_transmit(at(100 * round)), None, "one at a time");
            assert_eq!(client.expected().is_some(), round > 0, "with the cookie");
            client.handle(at(100 * round + 100), &answer(&door, at(100 * round + 50), &hello).unwrap());
        }
        let session = client.outcome().unwrap().unwrap();
        assert_eq!((session.client, session.datagram), (SessionId(7), 1_400));
        assert_eq!(Some(session.server), client.expected());
        assert_eq!(session.rtt, Some(Duration::from_millis(100)));
        assert_eq!(client.poll_timeout(), None);
    }

    #[test]
    fn long_datagrams_that_never_arrive_give_way_to_shorter_ones() {
        let (mut client, door) = (client(&[8_952, 1_472, 1_200]), Door::new([1; 32], 8_952));
        let mut now = Time::ZERO;
        while client.outcome().is_none() {
            while let Some(hello) = client.poll_transmit(now) {
                let Handshake::Hello { datagram, .. } = hello else { panic!("{hello:?}") };
                if let Some(answer) = answer(&door, now, &hello).filter(|_| datagram <= 1_300) {
                    client.handle(now, &answer);
                }
            }
            now = client.poll_timeout().unwrap_or(now);
            client.handle_timeout(now);
        }
        assert_eq!(client.outcome().unwrap().unwrap().datagram, 1_200);
        assert!(now < at(4_000), "{now}");
    }

    #[test]
    fn what_the_own_system_refuses_is_not_waited_for() {
        let mut client = client(&[8_952, 1_472]);
        let asked = |client: &mut Client| match client.poll_transmit(at(0)) {
            Some(Handshake::Hello { datagram, .. }) => Some(datagram),
            _ => None,
        };
        assert_eq!(asked(&mut client), Some(8_952));
        client.too_long();
        assert_eq!((asked(&mut client), asked(&mut client)), (Some(1_472), None));
        client.too_long();
        assert_eq!(asked(&mut client), None, "there is no shorter one: time will tell");
        assert_eq!(client.poll_timeout(), Some(at(500)));
    }

    #[test]
    fn silence_ends_with_that_reason_and_a_refusal_with_its_own() {
        let mut unheard = client(&[1_200]);
        let mut hellos = u32::from(unheard.poll_transmit(Time::ZERO).is_some());
        while let Some(now) = unheard.poll_timeout() {
            unheard.handle_timeout(now);
            hellos += u32::from(unheard.poll_transmit(now).is_some());
        }
        assert_eq!(unheard.outcome(), Some(Err(Unanswered::Silence(Duration::from_secs(30)))));
        assert!((15..20).contains(&hellos), "{hellos} hellos");

        let mut refused = client(&[1_200]);
        refused.handle(at(1), &Door::refuse(SessionId(8), Refusal::Busy, Duration::ZERO));
        assert_eq!(refused.outcome(), None, "that was for somebody else");
        refused.handle(at(1), &Door::refuse(SessionId(7), Refusal::Busy, Duration::from_secs(5)));
        assert!(matches!(refused.outcome(), Some(Err(Unanswered::Refused { reason: Refusal::Busy, .. }))));
    }

    #[test]
    fn nobody_who_has_not_seen_the_cookie_can_accept() {
        let mut client = client(&[1_200]);
        let _ = client.poll_transmit(at(0));
        client.handle(at(1), &Door::accept(SessionId(7), SessionId(1), 1_200));
        assert_eq!(client.outcome(), None);
    }
}
