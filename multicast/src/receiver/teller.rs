//! What a receiver prints while it listens: a line a message, and no more lines a second than people read.

use std::cell::Cell;
use std::time::Duration;

use events::Time;
use labkit::Output;

/// How many lines are printed in a second; what is beyond is counted and told in one.
const LINES: u64 = 200;

/// Prints lines, up to a rate.
#[derive(Debug)]
pub(super) struct Teller {
    output: Output,
    began: Cell<Time>,
    printed: Cell<u64>,
    kept: Cell<u64>,
}

impl Teller {
    pub(super) fn new(output: Output) -> Self {
        Teller { output, began: Cell::new(Time::ZERO), printed: Cell::new(0), kept: Cell::new(0) }
    }

    /// Prints the line, unless this second has had enough of them: then it is not even made.
    pub(super) fn tell(&self, now: Time, line: impl FnOnce() -> String) {
        if now - self.began.get() >= Duration::from_secs(1) {
            self.catch_up();
            self.began.set(now);
            self.printed.set(0);
        }
        if self.printed.get() < LINES {
            self.printed.set(self.printed.get() + 1);
            self.output.line(line());
        } else {
            self.kept.set(self.kept.get() + 1);
        }
    }

    /// Says how many lines were left out since the last time.
    pub(super) fn catch_up(&self) {
        let kept = self.kept.replace(0);
        if kept > 0 {
            self.output.line(format!("… and {kept} more in that second"));
        }
    }
}
