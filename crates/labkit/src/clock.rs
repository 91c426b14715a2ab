//! The one place where time is read: wall-clock nanoseconds that never step back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use events::Time;

/// Tells the time as nanoseconds since the Unix epoch, from one reading of the wall clock at the start and the
/// monotonic clock since: records of two programs on one machine can be laid side by side, and a clock that is set
/// while we run changes no duration.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Time,
    anchor: Instant,
}

impl Clock {
    /// Reads the wall clock once and counts from there.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Clock { started: Time::ZERO + since_epoch, anchor: Instant::now() }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.started + self.anchor.elapsed()
    }

    /// How long this clock has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.anchor.elapsed()
    }
}
