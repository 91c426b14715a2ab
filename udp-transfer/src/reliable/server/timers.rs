//! A queue of timers for thousands of things: each is in it at most once.

use std::collections::BTreeSet;

use events::Time;

/// What is due when.
#[derive(Debug)]
pub(super) struct Timers<T>(BTreeSet<(Time, T)>);

impl<T: Ord + Copy> Timers<T> {
    pub(super) fn new() -> Self {
        Timers(BTreeSet::new())
    }

    /// Moves the timer of `what` from `was`, where it was, to `due`.
    pub(super) fn set(&mut self, what: T, was: &mut Option<Time>, due: Option<Time>) {
        if *was == due {
            return;
        }
        if let Some(was) = *was {
            self.0.remove(&(was, what));
        }
        if let Some(due) = due {
            self.0.insert((due, what));
        }
        *was = due;
    }

    /// Takes out the first that is due by `now`. Whoever it belongs to must forget the time it was set for.
    pub(super) fn pop(&mut self, now: Time) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, what)| what)
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.0.first().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_the_order_of_time_and_only_once() {
        let at = Time::from_nanos;
        let (mut timers, mut a, mut b) = (Timers::new(), None, None);
        timers.set('a', &mut a, Some(at(5)));
        timers.set('b', &mut b, Some(at(3)));
        timers.set('a', &mut a, Some(at(2)));
        assert_eq!((timers.next(), timers.pop(at(1))), (Some(at(2)), None));
        assert_eq!((timers.pop(at(9)), timers.pop(at(9)), timers.pop(at(9))), (Some('a'), Some('b'), None));
        timers.set('b', &mut b, None);
        assert_eq!(timers.next(), None);
    }
}
