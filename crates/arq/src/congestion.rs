//! Congestion control: how much may be on the way, behind one small trait.

mod bbr;
mod cubic;
mod fixed;
mod hystart;
mod newreno;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use events::Time;

pub use bbr::Bbr;
pub use cubic::Cubic;
pub use fixed::Fixed;
pub use newreno::NewReno;

use crate::Rtt;

/// Decides how many bytes may be on the way, and how fast they leave.
///
/// A sender tells it what arrived and what was lost; it answers with a window and a rate. Everything is in bytes of
/// datagrams, as in RFC 9002 section 7.
pub trait Congestion: fmt::Debug + Send {
    /// Bytes have arrived.
    fn on_acked(&mut self, acked: &Acked);

    /// Bytes were lost.
    fn on_lost(&mut self, lost: &Lost);

    /// Bytes came marked: a router has a queue (RFC 3168). Told before what arrived with them.
    fn on_marked(&mut self, marked: &Marked);

    /// How many bytes may be on the way.
    fn window(&self) -> u64;

    /// How fast bytes may leave, per second; none while the window alone decides.
    fn rate(&self, rtt: &Rtt) -> Option<u64>;
}

/// What arrived, by one report.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// When the report came.
    pub now: Time,
    /// How many bytes arrived.
    pub bytes: u64,
    /// When the newest of the packets that arrived was sent.
    pub sent: Time,
    /// How many bytes were on the way before the report.
    pub in_flight: u64,
    /// Whether it was the window that held the sender back; if not, a larger one proves nothing (RFC 9002 section 7.8).
    pub window_limited: bool,
    /// The round-trip time as known now.
    pub rtt: Rtt,
    /// How fast it arrived; none when only packets older than one that arrived before did.
    pub sample: Option<Sample>,
}

/// How the path did from the sending of one packet to the report on it: one round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How many bytes arrived meanwhile, that packet's included.
    pub delivered: u64,
    /// How many had arrived when it was sent.
    pub delivered_before: u64,
    /// How many were found to be lost meanwhile.
    pub lost: u64,
    /// How many were found to be marked meanwhile.
    pub marked: u64,
    /// The time in which they arrived; never zero.
    pub interval: Duration,
    /// How many bytes were on the way when it was sent, itself included.
    pub in_flight: u64,
    /// How long after its sending the report came.
    pub round_trip: Duration,
    /// The sender did not send all it might have: the path may be faster than that.
    pub is_limited: bool,
}

impl Sample {
    /// The delivery rate, in bytes a second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        let rate = u128::from(self.delivered) * 1_000_000_000 / self.interval.as_nanos().max(1);
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

/// What was lost, as found at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    /// When that was found.
    pub now: Time,
    /// How many bytes were lost.
    pub bytes: u64,
    /// When the newest of the lost packets was sent.
    pub sent: Time,
    /// Nothing at all arrived for so long that the path must be taken as new (RFC 9002 section 7.6).
    pub persistent: bool,
    /// The round-trip time as known now.
    pub rtt: Rtt,
}

/// What was marked, by one report.
#[derive(Clone, Copy, Debug)]
pub struct Marked {
    /// When the report came.
    pub now: Time,
    /// How many bytes were marked.
    pub bytes: u64,
    /// When the newest of the packets that arrived was sent.
    pub sent: Time,
    /// The round-trip time as known now.
    pub rtt: Rtt,
}

/// Which congestion control to use, as told on a command line or on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Choice {
    /// A window that never changes. For the simulator, for loopback, and for who knows the path.
    Fixed {
        /// In bytes.
        window: u64,
    },
    /// RFC 9002 section 7, to the letter: the reference.
    NewReno,
    /// RFC 9438 with the slow start of RFC 9406: what TCP does on most machines.
    Cubic,
    /// A model of the path instead of an answer to each loss: see [`Bbr`].
    #[default]
    Bbr,
}

/// The text names no congestion control.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown congestion control `{0}`: there are bbr, cubic, newreno, fixed and fixed:BYTES")]
pub struct ChoiceError(String);

/// The size of the initial window: RFC 9002 section 7.2, ten datagrams within bounds.
pub(crate) fn initial_window(datagram: u64) -> u64 {
    (10 * datagram).min(14_720.max(2 * datagram))
}

/// The smallest window: RFC 9002 section 7.2, `kMinimumWindow`.
pub(crate) fn minimum_window(datagram: u64) -> u64 {
    2 * datagram
}

/// The rate that spreads `window` over a round trip: RFC 9002 section 7.7. A little faster than even, so that pacing
/// never is what holds a full window back; twice as fast in slow start, which doubles the window each round trip.
pub(crate) fn paced(window: u64, rtt: &Rtt, slow_start: bool) -> Option<u64> {
    if !rtt.is_known() {
        return None;
    }
    let nanos = rtt.smoothed().max(Duration::from_micros(1)).as_nanos();
    let (times, by) = if slow_start { (2, 1) } else { (5, 4) };
    let rate = u128::from(window) * times * 1_000_000_000 / (nanos * by);
    u64::try_from(rate).ok()
}

impl Choice {
    /// The window of `fixed` where none is given: a megabyte.
    pub const FIXED_WINDOW: u64 = 1 << 20;

    /// The controller chosen, for datagrams of `datagram` bytes.
    #[must_use]
    pub fn build(self, datagram: u64) -> Box<dyn Congestion> {
        match self {
            Choice::Fixed { window } => Box::new(Fixed::window(window.max(datagram))),
            Choice::NewReno => Box::new(NewReno::new(datagram)),
            Choice::Bbr => Box::new(Bbr::new(datagram)),
            Choice::Cubic => Box::new(Cubic::new(datagram)),
        }
    }
}

impl FromStr for Choice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        match text {
            "bbr" => Ok(Choice::Bbr),
            "cubic" => Ok(Choice::Cubic),
            "newreno" => Ok(Choice::NewReno),
            "fixed" => Ok(Choice::Fixed { window: Choice::FIXED_WINDOW }),
            _ => {
                let window = text.strip_prefix("fixed:").and_then(|bytes| bytes.parse().ok());
                window.map(|window| Choice::Fixed { window }).ok_or_else(|| ChoiceError(text.to_owned()))
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Fixed { window } => write!(f, "fixed:{window}"),
            Choice::NewReno => f.write_str("newreno"),
            Choice::Cubic => f.write_str("cubic"),
            Choice::Bbr => f.write_str("bbr"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn rtt(millis: u64) -> Rtt {
        let mut rtt = Rtt::new();
        rtt.add(Duration::from_millis(millis), Duration::ZERO);
        rtt
    }

    pub(crate) fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    /// A whole window of a controller arrives, one datagram a report, over one round trip of 100 ms.
    pub(crate) fn round(control: &mut dyn Congestion, number: u64) {
        let window = control.window();
        for _ in 0..window / 1_000 {
            control.on_acked(&Acked {
                now: at(100 * (number + 1)),
                bytes: 1_000,
                sent: at(100 * number),
                in_flight: window,
                window_limited: true,
                rtt: rtt(100),
                sample: None,
            });
        }
    }

    pub(crate) fn loss(number: u64) -> Lost {
        Lost { now: at(100 * number + 50), bytes: 1_000, sent: at(100 * number), persistent: false, rtt: rtt(100) }
    }

    #[test]
    fn choices_are_read_back_from_their_names() {
        for name in ["bbr", "cubic", "newreno", "fixed:64000"] {
            assert_eq!(name.parse::<Choice>().unwrap().to_string(), name);
        }
        assert!("vegas".parse::<Choice>().unwrap_err().to_string().contains("cubic"));
    }

    #[test]
    fn pacing_spreads_a_window_over_a_little_less_than_a_round_trip() {
        assert_eq!(paced(100_000, &rtt(100), false), Some(1_250_000));
        assert_eq!(paced(100_000, &rtt(100), true), Some(2_000_000));
        assert_eq!(paced(100_000, &Rtt::new(), true), None);
    }
}
