//! How busy others keep this machine: what is measured while they work is worth little, so we wait for them, within reason.

use std::time::Duration;

use labkit::{Clock, Exit, Failure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

/// Of all processors: with less than this used by others, the machine counts as quiet.
pub const QUIET: f64 = 0.05;
/// With more than this used by others during a run, the run counts as disturbed.
pub const DISTURBED: f64 = 0.10;

/// How long we look before a run.
const LOOK: Duration = Duration::from_millis(150);
/// What the kernel counts processor time in, for user space on every architecture that Rust and Linux share.
const TICKS_PER_SECOND: f64 = 100.0;

/// The processor time used so far: by all, and by this program and the children it has seen end.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    all: f64,
    ours: f64,
    at: Duration,
}

impl Usage {
    /// As of now.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn now(clock: &Clock) -> Result<Self, Failure> {
        let stat = std::fs::read_to_string("/proc/stat").map_err(|error| Failure::io("read", "/proc/stat", &error))?;
        let all = busy_seconds(&stat).ok_or_else(|| {
            let message = "/proc/stat does not tell how much processor time was used";
            Failure::new(Exit::Setup, "NO-PROCESSOR-TIME", message)
        })?;
        Ok(Usage { all, ours: of(UsageWho::RUSAGE_SELF) + of_children(), at: clock.elapsed() })
    }

    /// Which share of all processors others used since `before`; `running` is what our children that still run used.
    #[must_use]
    pub fn others_since(&self, before: &Usage, running: Duration) -> f64 {
        let elapsed = (self.at.saturating_sub(before.at)).as_secs_f64() * processors();
        let others = (self.all - before.all) - (self.ours - before.ours) - running.as_secs_f64();
        if elapsed > 0.0 { (others / elapsed).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// Seconds that all children of ours used that have ended.
#[must_use]
pub fn of_children() -> f64 {
    of(UsageWho::RUSAGE_CHILDREN)
}

fn of(who: UsageWho) -> f64 {
    let seconds =
        |time: TimeVal| Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or(0)).as_secs_f64();
    getrusage(who).map_or(0.0, |usage| seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// How many processors there are.
#[must_use]
pub fn processors() -> f64 {
    let count = std::thread::available_parallelism().map_or(1, |count| count.get());
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// What processes used of all processors, in seconds: `user`, `nice` and `system` of the first line. The kernel's own
/// interrupt work is left out, since nobody can say for whom it was.
fn busy_seconds(stat: &str) -> Option<f64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks = line.split_whitespace().take(3).map(str::parse::<f64>);
    Some(ticks.collect::<Result<Vec<_>, _>>().ok()?.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// How long we still wait for others, over all runs: on a machine that is never quiet, measuring goes on all the same.
#[derive(Debug)]
pub struct Patience {
    left: Duration,
}

impl Patience {
    /// This long in all.
    #[must_use]
    pub fn new(left: Duration) -> Self {
        Patience { left }
    }

    /// Waits until others leave the machine alone, or patience is at its end.
    ///
    /// # Errors
    /// When the kernel does not tell how busy the machine is.
    pub async fn wait(&mut self, clock: &Clock) -> Result<(), Failure> {
        loop {
            let before = Usage::now(clock)?;
            tokio::time::sleep(LOOK).await;
            let others = Usage::now(clock)?.others_since(&before, Duration::ZERO);
            if others < QUIET || self.left.is_zero() {
                return Ok(());
            }
            self.left = self.left.saturating_sub(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_processes_used_is_the_first_three_numbers() {
        let stat = "cpu  1000 200 300 99999 5 6 7 8 0 0\ncpu0 500 100 150 5 5 6 7 8 0 0\n";
        assert_eq!(busy_seconds(stat), Some(15.0));
        assert_eq!(busy_seconds("cpu  5000000000 0 0 1\n"), Some(50_000_000.0), "more than 32 bits count");
        assert_eq!(busy_seconds("cpu0 500 100 150\n"), None);
        assert_eq!(busy_seconds("cpu  some none all\n"), None);
    }

    #[test]
    fn what_is_ours_is_not_counted_as_others() {
        let at = |seconds| Duration::from_secs(seconds);
        let before = Usage { all: 10.0, ours: 1.0, at: at(0) };
        let after = Usage { all: 10.0 + 2.0 * processors(), ours: 1.0 + processors(), at: at(2) };
        // Of two seconds on every processor one was ours, and of the other half was a child's that still runs.
        let running = Duration::from_secs_f64(processors() / 2.0);
        assert!((after.others_since(&before, running) - 0.25).abs() < 1e-9);
        assert_eq!(after.others_since(&after, Duration::ZERO), 0.0);
    }
}
