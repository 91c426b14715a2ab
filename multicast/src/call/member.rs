//! A member: it joins, says and hears, reports what it lacks, answers calls once, and leaves.

mod inside;

use std::collections::VecDeque;
use std::time::Duration;

use events::Time;

use super::memory::{Asked, Memory};
use super::wire::{self, Body, Cookie, Datagram, DecodeError, Entry, GroupBody, Welcome, Why};
use super::{NAME, Refused, TEXT};
use inside::Inside;

/// Between two joins nobody answered, at first; then twice as long each time.
const JOIN_WAIT: Duration = Duration::from_millis(200);
/// The longest wait between two joins.
const JOIN_WAIT_MOST: Duration = Duration::from_secs(2);

/// What a member is told when it is made.
#[derive(Clone, Debug)]
pub struct MemberConfig {
    /// How it wishes to be called; what is beyond [`NAME`] bytes is cut off.
    pub name: Vec<u8>,
    /// Where its random choices come from; random in a real run.
    pub seed: u64,
}

/// A member of a group, or one that tries to become it.
///
/// Drain before you feed: after every `handle`, `handle_timeout` and anything said, take [`Member::poll_transmit`] and
/// [`Member::poll_event`] until `None`, then come back at [`Member::poll_timeout`]. Everything it sends goes to the hub.
#[derive(Debug)]
pub struct Member {
    name: Vec<u8>,
    random: u64,
    state: State,
    memory: Memory,
    out: VecDeque<Vec<u8>>,
    events: VecDeque<MemberEvent>,
}

#[derive(Debug)]
enum State {
    Joining(Joining),
    In(Box<Inside>),
    Over,
}

#[derive(Debug)]
struct Joining {
    client: u64,
    cookie: Option<Cookie>,
    next: Time,
    wait: Duration,
}

/// What a member has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberEvent {
    /// It is a member from here on.
    Welcomed(Welcome),
    /// The group is full; it goes on trying.
    TurnedAway,
    /// Something said to all, or somebody who came or went, in the group's order.
    Said(Entry),
    /// The hub wrote to this member alone.
    Line(Vec<u8>),
    /// A call: [`Member::answer`] it within this time.
    Asked {
        /// Which.
        call: u64,
        /// For how long an answer is wanted.
        within: Duration,
        /// The question.
        text: Vec<u8>,
    },
    /// It is no member any more, and tries to become one again. So many of its messages may not have been said.
    Lost(Why, usize),
    /// It is over: it left, or the hub ended. Whether everything said to the group until then is here.
    Over {
        /// Which of the two.
        why: Why,
        /// Nothing is known to be missing.
        complete: bool,
    },
    /// A line that is no datagram of ours: the server may be one of the original.
    RawLine(Vec<u8>),
    /// Bytes that claim to be a datagram of ours and are none, or none for us.
    Foreign(Option<DecodeError>),
}

impl Member {
    /// A member that begins to join at `now`.
    #[must_use]
    pub fn new(now: Time, config: MemberConfig) -> Self {
        let mut name = config.name;
        name.truncate(NAME);
        let mut member = Member {
            name,
            random: config.seed,
            state: State::Over,
            memory: Memory::default(),
            out: VecDeque::new(),
            events: VecDeque::new(),
        };
        member.begin(now);
        member
    }

    /// The next datagram to send to the hub.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    /// The next thing to tell.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<MemberEvent> {
        self.events.pop_front()
    }

    /// When to come back, where nothing comes before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Joining(joining) => Some(joining.next),
            State::In(inside) => Some(inside.poll_timeout()),
            State::Over => None,
        }
    }

    /// Its seat and what it was told when it came, while it is a member.
    #[must_use]
    pub fn welcome(&self) -> Option<&Welcome> {
        match &self.state {
            State::In(inside) => Some(&inside.welcome),
            State::Joining(_) | State::Over => None,
        }
    }

    /// Whether it has left for good.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether all it said has arrived.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match &self.state {
            State::In(inside) => inside.is_settled(),
            State::Joining(_) => false,
            State::Over => true,
        }
    }

    /// Says `text` to all, and gives which of its messages that is.
    ///
    /// # Errors
    /// When it is too long, too much is on its way, or it is no member now.
    pub fn cast(&mut self, now: Time, text: &[u8]) -> Result<u32, Refused> {
        check(text)?;
        let State::In(inside) = &mut self.state else { return Err(Refused::Outside) };
        let seq = inside.cast(now, text)?;
        self.turn(now);
        Ok(seq)
    }

    /// Sends a line to the hub alone.
    ///
    /// # Errors
    /// When it is too long, too many wait already, or it is no member now.
    pub fn post(&mut self, now: Time, line: &[u8]) -> Result<(), Refused> {
        check(line)?;
        let State::In(inside) = &mut self.state else { return Err(Refused::Outside) };
        inside.courier.post(line.to_vec())?;
        self.turn(now);
        Ok(())
    }

    /// Answers a call; what is beyond [`TEXT`] is cut off. Whether the answer was still wanted.
    pub fn answer(&mut self, call: u64, text: &[u8]) -> bool {
        let text = &text[..text.len().min(TEXT)];
        let is_wanted = self.memory.answer(call, text);
        if is_wanted {
            self.send(Body::Answer { call, text: text.to_vec() });
        }
        is_wanted
    }

    /// Leaves; [`MemberEvent::Over`] tells when that is done.
    pub fn leave(&mut self, now: Time) {
        match &mut self.state {
            State::In(inside) => inside.leave(now),
            State::Joining(_) => self.end(Why::Left, true),
            State::Over => {}
        }
        self.turn(now);
    }

    /// A datagram came on the hub's multicast group. Anybody may send there and nobody is proved to be the hub, so only
    /// what the hub says to all is taken: no line, no good-bye.
    pub fn handle_group(&mut self, now: Time, bytes: &[u8]) {
        match wire::decode(bytes) {
            Ok(datagram @ Datagram::Group { .. }) => self.handle_datagram(now, datagram),
            Ok(_) => self.events.push_back(MemberEvent::Foreign(None)),
            Err(reason) => self.events.push_back(MemberEvent::Foreign(Some(reason))),
        }
        self.turn(now);
    }

    /// A datagram came from the hub.
    pub fn handle(&mut self, now: Time, bytes: &[u8]) {
        if !wire::is_framed(bytes) {
            self.events.push_back(MemberEvent::RawLine(bytes.to_vec()));
            return;
        }
        match wire::decode(bytes) {
            Ok(datagram) => self.handle_datagram(now, datagram),
            Err(reason) => self.events.push_back(MemberEvent::Foreign(Some(reason))),
        }
        self.turn(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.turn(now);
    }

    fn handle_datagram(&mut self, now: Time, datagram: Datagram) {
        match (&mut self.state, datagram) {
            (State::Joining(joining), Datagram::Retry { client, cookie }) if client == joining.client => {
                // One answer to each cookie: more of them would be a question of somebody else's making.
                if joining.cookie != Some(cookie) {
                    joining.cookie = Some(cookie);
                    joining.next = now;
                    joining.wait = JOIN_WAIT;
                }
            }
            (State::Joining(joining), Datagram::Welcome(welcome)) if welcome.client == joining.client => {
                let jitter = self.draw();
                self.state = State::In(Box::new(Inside::new(now, welcome, jitter)));
                self.events.push_back(MemberEvent::Welcomed(welcome));
            }
            (State::Joining(joining), Datagram::Refuse { client }) if client == joining.client => {
                joining.cookie = None;
                joining.next = now + JOIN_WAIT_MOST;
                self.events.push_back(MemberEvent::TurnedAway);
            }
            (State::In(inside), Datagram::Seat(seat, body)) if seat == inside.welcome.seat => {
                inside.heard = inside.heard.max(now);
                self.handle_body(now, body);
            }
            (State::In(inside), Datagram::Group { session, body }) if session == inside.welcome.session => {
                inside.heard = inside.heard.max(now);
                match body {
                    GroupBody::Entry(entry) => inside.take(now, entry),
                    GroupBody::Call { call, within, text } => self.handle_call(call, within, text),
                }
            }
            // What overtook the welcome, or came after the end: it is repeated where it matters.
            (State::Joining(_) | State::Over, Datagram::Seat(..) | Datagram::Group { .. }) => {}
            // Late answers of the joining, and what the network repeats.
            (_, Datagram::Retry { .. } | Datagram::Welcome(_) | Datagram::Refuse { .. }) => {}
            (_, _) => self.events.push_back(MemberEvent::Foreign(None)),
        }
    }

    fn handle_body(&mut self, now: Time, body: Body) {
        let State::In(inside) = &mut self.state else { return };
        match body {
            Body::Beat { newest, admitted } => inside.handle_beat(now, newest, admitted),
            Body::LineAck { seq } => inside.courier.handle_ack(seq),
            Body::Line { seq, text } => {
                if inside.courier.handle_line(seq) {
                    self.events.push_back(MemberEvent::Line(text));
                }
            }
            Body::Gone { why: why @ (Why::Left | Why::Closed), newest } => {
                inside.holdback.learn(newest);
                let complete = !inside.holdback.has_gap();
                // So that it need not say good-bye again.
                if why == Why::Closed {
                    self.send(Body::Leave);
                }
                self.end(why, complete);
            }
            Body::Gone { why, .. } => self.lose(now, why),
            Body::Report(_) | Body::Cast { .. } | Body::Answer { .. } | Body::Leave => {
                self.events.push_back(MemberEvent::Foreign(None));
            }
        }
    }

    fn handle_call(&mut self, call: u64, within: Duration, text: Vec<u8>) {
        let State::In(inside) = &self.state else { return };
        match self.memory.handle(inside.welcome.session, call) {
            Asked::New => self.events.push_back(MemberEvent::Asked { call, within, text }),
            Asked::Again(answer) => self.send(Body::Answer { call, text: answer }),
            Asked::Nothing => {}
        }
    }

    /// Everything that may be due.
    fn turn(&mut self, now: Time) {
        self.join(now);
        let State::In(inside) = &mut self.state else { return };
        while let Some(entry) = inside.holdback.poll() {
            self.events.push_back(MemberEvent::Said(entry));
        }
        if inside.has_said_goodbye(now) {
            let complete = !inside.holdback.has_gap();
            self.end(Why::Left, complete);
            return;
        }
        if inside.is_silent(now) {
            self.lose(now, Why::Silent);
            return;
        }
        let mut bodies = Vec::new();
        inside.poll_transmit(now, &mut bodies);
        bodies.into_iter().for_each(|body| self.send(body));
    }

    fn join(&mut self, now: Time) {
        let State::Joining(joining) = &mut self.state else { return };
        if joining.next > now {
            return;
        }
        let join = Datagram::Join { client: joining.client, name: self.name.clone(), cookie: joining.cookie };
        joining.next = now + joining.wait;
        // Who gave a cookie is there: only somebody who may not be is asked more and more seldom.
        if joining.cookie.is_none() {
            joining.wait = (joining.wait * 2).min(JOIN_WAIT_MOST);
        }
        self.out.push_back(join.encode());
    }

    fn begin(&mut self, now: Time) {
        let client = self.draw();
        self.state = State::Joining(Joining { client, cookie: None, next: now, wait: JOIN_WAIT });
        self.join(now);
    }

    fn lose(&mut self, now: Time, why: Why) {
        let State::In(inside) = &self.state else { return };
        // Whoever was leaving has left, whatever the hub says.
        if inside.is_leaving() {
            let complete = !inside.holdback.has_gap();
            self.end(Why::Left, complete);
            return;
        }
        self.events.push_back(MemberEvent::Lost(why, inside.unsaid()));
        self.begin(now);
    }

    fn end(&mut self, why: Why, complete: bool) {
        self.state = State::Over;
        self.events.push_back(MemberEvent::Over { why, complete });
    }

    fn send(&mut self, body: Body) {
        if let State::In(inside) = &self.state {
            self.out.push_back(Datagram::Seat(inside.welcome.seat, body).encode());
        }
    }

    fn draw(&mut self) -> u64 {
        inside::draw(&mut self.random)
    }
}

fn check(text: &[u8]) -> Result<(), Refused> {
    if text.len() > TEXT { Err(Refused::TooLong) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
