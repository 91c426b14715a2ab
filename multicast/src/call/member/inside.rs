//! A member that has a seat: what it said, what it holds, and when it reports.

use std::collections::VecDeque;
use std::time::Duration;

use events::Time;

use crate::call::courier::Courier;
use crate::call::holdback::{Holdback, Taken};
use crate::call::wire::{Body, Entry, Welcome};
use crate::call::{CASTS, MEMBERS, Refused};

/// How soon after a message or a gap the hub is told, and as much again at random: so many messages go into one report,
/// and not all members report at once.
const REPORT_SOON: Duration = Duration::from_millis(20);
/// So many messages are reported at once.
const REPORT_EVERY: u32 = 32;
/// When a gap is first reported again; then after twice as long each time.
const GAP_WAIT: Duration = Duration::from_millis(40);
/// When a message is first said again; then after twice as long each time.
const SAY_WAIT: Duration = Duration::from_millis(120);
/// The longest wait between two repetitions.
const SAY_WAIT_MOST: Duration = Duration::from_secs(1);
/// Between two good-byes, and how many.
const GOODBYE: (Duration, u32) = (Duration::from_millis(100), 5);

#[derive(Debug)]
pub(super) struct Inside {
    pub(super) welcome: Welcome,
    pub(super) holdback: Holdback,
    pub(super) courier: Courier,
    pub(super) heard: Time,
    random: u64,
    /// Messages the hub has not numbered yet, oldest first.
    casts: VecDeque<Body>,
    /// How many the hub has numbered.
    admitted: u32,
    /// How many of those in `casts` were never sent.
    fresh: usize,
    next_say: Time,
    say_wait: Duration,
    next_report: Time,
    gap_wait: Duration,
    unreported: u32,
    /// How often good-bye was said, and when next.
    goodbye: Option<(u32, Time)>,
}

impl Inside {
    pub(super) fn new(now: Time, welcome: Welcome, random: u64) -> Self {
        Inside {
            holdback: Holdback::new(welcome.order, welcome.base),
            courier: Courier::default(),
            heard: now,
            random,
            casts: VecDeque::new(),
            admitted: 0,
            fresh: 0,
            next_say: Time::MAX,
            say_wait: SAY_WAIT,
            next_report: now,
            gap_wait: GAP_WAIT,
            unreported: 0,
            goodbye: None,
            welcome,
        }
    }

    pub(super) fn cast(&mut self, now: Time, text: &[u8]) -> Result<u32, Refused> {
        if self.casts.len() >= CASTS || self.goodbye.is_some() {
            return Err(Refused::Full);
        }
        let said = self.admitted.checked_add(u32::try_from(self.casts.len()).unwrap_or(u32::MAX));
        let seq = said.and_then(|said| said.checked_add(1)).ok_or(Refused::Full)?;
        let stamp = self.holdback.stamp(self.welcome.seat.member, MEMBERS + 1).ok_or(Refused::Full)?;
        self.casts.push_back(Body::Cast { seq, stamp, text: text.to_vec() });
        self.fresh += 1;
        if self.next_say == Time::MAX {
            self.next_say = now + self.say_wait;
        }
        Ok(seq)
    }

    pub(super) fn take(&mut self, now: Time, entry: Entry) {
        if self.holdback.handle(entry) == Taken::New {
            self.gap_wait = GAP_WAIT;
            self.unreported += 1;
            self.report_by(if self.unreported >= REPORT_EVERY { Duration::ZERO } else { REPORT_SOON }, now);
        }
    }

    pub(super) fn handle_beat(&mut self, now: Time, newest: u64, admitted: u32) {
        self.holdback.learn(newest);
        if self.holdback.has_gap() {
            self.report_by(REPORT_SOON, now);
        }
        while self.admitted < admitted && self.casts.len() > self.fresh {
            self.casts.pop_front();
            self.admitted += 1;
            self.say_wait = SAY_WAIT;
            self.next_say = if self.casts.is_empty() { Time::MAX } else { now + self.say_wait };
        }
    }

    pub(super) fn leave(&mut self, now: Time) {
        self.goodbye.get_or_insert((0, now));
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.goodbye.is_some()
    }

    pub(super) fn has_said_goodbye(&self, now: Time) -> bool {
        self.goodbye.is_some_and(|(times, next)| times >= GOODBYE.1 && next <= now)
    }

    pub(super) fn is_silent(&self, now: Time) -> bool {
        now - self.heard >= self.welcome.silence
    }

    pub(super) fn is_settled(&self) -> bool {
        self.casts.is_empty() && self.courier.is_idle()
    }

    /// How many of its messages the hub may not have.
    pub(super) fn unsaid(&self) -> usize {
        self.casts.len()
    }

    pub(super) fn poll_transmit(&mut self, now: Time, out: &mut Vec<Body>) {
        let before_fresh = self.casts.len() - self.fresh;
        if self.next_say <= now {
            out.extend(self.casts.iter().take(before_fresh).cloned());
            self.say_wait = (self.say_wait * 2).min(SAY_WAIT_MOST);
            self.next_say = now + self.say_wait;
        }
        out.extend(self.casts.iter().skip(before_fresh).cloned());
        self.fresh = 0;
        while let Some(body) = self.courier.poll_transmit(now) {
            out.push(body);
        }
        if self.next_report <= now {
            out.push(Body::Report(self.holdback.held()));
            self.unreported = 0;
            let wait = if self.holdback.has_gap() { self.gap_wait } else { self.welcome.heartbeat };
            self.next_report = now + wait.min(self.welcome.heartbeat);
            self.gap_wait = (self.gap_wait * 2).min(self.welcome.heartbeat);
        }
        if let Some((times, next)) = self.goodbye
            && next <= now
        {
            out.push(Body::Leave);
            self.goodbye = Some((times + 1, now + GOODBYE.0));
        }
    }

    pub(super) fn poll_timeout(&self) -> Time {
        let silent = self.heard + self.welcome.silence;
        let next = self.next_say.min(self.next_report).min(silent);
        let goodbye = self.goodbye.map_or(Time::MAX, |(_, next)| next);
        next.min(goodbye).min(self.courier.poll_timeout().unwrap_or(Time::MAX))
    }

    fn report_by(&mut self, soon: Duration, now: Time) {
        let micros = u64::try_from(soon.as_micros()).unwrap_or(0);
        let jitter = if micros == 0 { 0 } else { draw(&mut self.random) % micros };
        self.next_report = self.next_report.min(now + soon + Duration::from_micros(jitter));
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(super) fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
