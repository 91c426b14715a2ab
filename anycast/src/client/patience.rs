//! A deadline for attempt after attempt with one timer: it is set again when it goes off, not for each of them.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// The timer of whoever does one thing after another.
pub(super) struct Patience(Pin<Box<Sleep>>);

impl Patience {
    pub(super) fn new() -> Self {
        Patience(Box::pin(sleep(Duration::ZERO)))
    }

    /// What `work` gives, or `None` when it is not done within `limit`.
    pub(super) async fn within<T>(&mut self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, timer) = (pin!(work), &mut self.0);
        // A sleep that nobody polls costs a look at the clock.
        let due = sleep(limit).deadline();
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            if timer.deadline() > due {
                timer.as_mut().reset(due);
            }
            loop {
                ready!(timer.as_mut().poll(cx));
                if timer.deadline() >= due {
                    return Poll::Ready(None);
                }
                // It went off for something that was done in time.
                timer.as_mut().reset(due);
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_attempt_has_its_own_time_whatever_the_last_one_took() {
        let (mut patience, start) = (Patience::new(), Instant::now());
        let at = || start.elapsed().as_millis();
        assert_eq!(patience.within(Duration::from_secs(2), async { 7 }).await, Some(7));
        assert_eq!(patience.within(Duration::from_secs(2), sleep(Duration::from_secs(1))).await, Some(()));
        assert_eq!(at(), 1_000);
        assert_eq!(patience.within(Duration::from_secs(2), std::future::pending::<()>()).await, None);
        assert_eq!(at(), 3_000, "two seconds of its own, though the timer went off for the one before");
        assert_eq!(patience.within(Duration::from_secs(9), async {}).await, Some(()));
        assert_eq!(patience.within(Duration::from_millis(250), std::future::pending::<()>()).await, None);
        assert_eq!(at(), 3_250, "a shorter one does not wait for a longer one before it");
    }
}
