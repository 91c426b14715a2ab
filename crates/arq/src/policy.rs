//! The modes as data: what each end of a transfer does, in four choices.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What the two ends do. The textbook's modes are four of these; there is one sender and one receiver for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// How many blocks the sender may have on the way.
    pub window: Window,
    /// Which blocks the receiver keeps.
    pub accept: Accept,
    /// When the receiver reports.
    pub report: Reporting,
    /// What the sender sends again.
    pub resend: Resend,
}

/// How many blocks may be on the way at once. Whatever is chosen, the receiver's credit is a limit too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// Any number: only the rate holds the sender back.
    Unlimited,
    /// This many, and no more than congestion control allows.
    Blocks(u32),
    /// As many as congestion control allows.
    Congestion,
}

/// Which blocks a receiver keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Accept {
    /// Only the lowest that is missing; it throws all others away.
    InOrder,
    /// Every block it does not have yet.
    AnyOrder,
}

/// When a receiver reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reporting {
    /// Never on its own account: it tells its holes at the end, and gives a sign of life each second.
    Never,
    /// At once after each block.
    EveryBlock,
    /// As TCP does (RFC 5681 section 4.2): at every `every`-th block that came in order, or `delay` after the first of
    /// them; at once when a block leaves or fills a gap, and at the last one.
    Delayed {
        /// Two in TCP. More saves work at high speed, and then only gaps that come or go are reported at once.
        every: u32,
        /// How long a report may be put off.
        delay: Duration,
    },
}

/// What a sender sends again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resend {
    /// Nothing.
    Nothing,
    /// The one block there is, when its timer runs out.
    TheOne,
    /// Everything from the lowest missing block on.
    WholeWindow,
    /// Only what is missing.
    Missing,
}

/// The text names no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown mode `{0}`: there are raw, stop-and-wait, go-back-n, go-back-n:N (N from 1 to 65536) and selective-repeat"
)]
pub struct PolicyError(String);

impl Policy {
    /// Each block once, at a given rate; nothing is sent again.
    pub const RAW: Policy = Policy {
        window: Window::Unlimited,
        accept: Accept::AnyOrder,
        report: Reporting::Never,
        resend: Resend::Nothing,
    };

    /// One block on the way; the next one when it has been reported.
    pub const STOP_AND_WAIT: Policy = Policy {
        window: Window::Blocks(1),
        accept: Accept::InOrder,
        report: Reporting::EveryBlock,
        resend: Resend::TheOne,
    };

    /// Many blocks on the way, and only the missing ones again: the mode for real use.
    pub const SELECTIVE_REPEAT: Policy = Policy {
        window: Window::Congestion,
        accept: Accept::AnyOrder,
        report: Reporting::Delayed { every: 2, delay: Policy::REPORT_DELAY },
        resend: Resend::Missing,
    };

    /// The window of go-back-n where none is given.
    pub const GO_BACK_N_WINDOW: u32 = 64;
    /// The largest window of go-back-n.
    pub const LARGEST_WINDOW: u32 = 65_536;
    /// How long a report may be put off: QUIC's default (RFC 9000 section 18.2, `max_ack_delay`).
    pub const REPORT_DELAY: Duration = Duration::from_millis(25);

    /// `window` blocks on the way; a receiver that keeps only what is in order, so that one loss costs them all.
    #[must_use]
    pub const fn go_back_n(window: u32) -> Self {
        let window = if window == 0 { 1 } else { window };
        Policy {
            window: Window::Blocks(window),
            accept: Accept::InOrder,
            report: Reporting::EveryBlock,
            resend: Resend::WholeWindow,
        }
    }

    /// Whether the transfer ends with every block in place, or not at all.
    #[must_use]
    pub fn is_reliable(&self) -> bool {
        self.resend != Resend::Nothing
    }

    /// The longest a report on a block that has come may be put off.
    #[must_use]
    pub fn longest_report_delay(&self) -> Duration {
        match self.report {
            Reporting::Delayed { delay, .. } => delay,
            Reporting::Never | Reporting::EveryBlock => Duration::ZERO,
        }
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let error = || PolicyError(text.to_owned());
        match text {
            "raw" => Ok(Policy::RAW),
            "stop-and-wait" => Ok(Policy::STOP_AND_WAIT),
            "go-back-n" => Ok(Policy::go_back_n(Policy::GO_BACK_N_WINDOW)),
            "selective-repeat" => Ok(Policy::SELECTIVE_REPEAT),
            _ => {
                let window = text.strip_prefix("go-back-n:").ok_or_else(error)?;
                let window = window.parse().ok().filter(|window| (1..=Policy::LARGEST_WINDOW).contains(window));
                window.map(Policy::go_back_n).ok_or_else(error)
            }
        }
    }
}

/// The textbook's name; what a mode sends again is what it is called by.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.resend, self.window) {
            (Resend::Nothing, _) => f.write_str("raw"),
            (Resend::TheOne, _) => f.write_str("stop-and-wait"),
            (Resend::WholeWindow, Window::Blocks(window)) => write!(f, "go-back-n:{window}"),
            (Resend::WholeWindow, Window::Unlimited | Window::Congestion) => f.write_str("go-back-n"),
            (Resend::Missing, _) => f.write_str("selective-repeat"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_read_back_from_its_name() {
        for name in ["raw", "stop-and-wait", "go-back-n:8", "selective-repeat"] {
            assert_eq!(name.parse::<Policy>().unwrap().to_string(), name);
        }
        assert_eq!("go-back-n".parse::<Policy>().unwrap(), Policy::go_back_n(64));
    }

    #[test]
    fn what_is_no_mode_is_refused_with_the_ones_there_are() {
        for text in ["", "tcp", "go-back-n:0", "go-back-n:65537", "go-back-n:-1", "Raw"] {
            assert!(text.parse::<Policy>().unwrap_err().to_string().contains("selective-repeat"), "{text}");
        }
    }
}
