//! Puts a stream's messages back in order: one that came early waits for those before it, but not for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use events::Time;

/// How long a message waits for those before it.
pub const PATIENCE: Duration = Duration::from_millis(200);
/// How many messages wait at most, per stream.
const HELD: usize = 256;

/// Holds what came early.
#[derive(Clone, Debug)]
pub struct Reorder<T> {
    next: Option<u64>,
    held: BTreeMap<u64, (Time, T)>,
    too_late: u64,
}

impl<T> Default for Reorder<T> {
    fn default() -> Self {
        Reorder { next: None, held: BTreeMap::new(), too_late: 0 }
    }
}

impl<T> Reorder<T> {
    /// Takes message `number`. One that is here already, or whose turn is over, is thrown away.
    pub fn push(&mut self, number: u64, message: T, now: Time) {
        let next = *self.next.get_or_insert(number);
        if number < next {
            self.too_late += 1;
            return;
        }
        self.held.entry(number).or_insert((now, message));
    }

    /// The next message, when its turn has come: nothing before it is missing, or it has waited long enough, or too many
    /// wait.
    pub fn poll(&mut self, now: Time) -> Option<T> {
        let (&number, (since, _)) = self.held.first_key_value()?;
        let is_next = self.next.is_none_or(|next| number <= next);
        if !is_next && self.held.len() <= HELD && now < *since + PATIENCE {
            return None;
        }
        self.next = Some(number.saturating_add(1));
        self.held.pop_first().map(|(_, (_, message))| message)
    }

    /// When to poll again; none while nothing waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.held.first_key_value().map(|(_, (since, _))| *since + PATIENCE)
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.held.len()
    }

    /// How many came when their turn was over, or twice.
    #[must_use]
    pub fn too_late(&self) -> u64 {
        self.too_late
    }

    /// Everything that still waits, in order: at the end.
    pub fn rest(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(&mut self.held).into_values().map(|(_, message)| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(order: &mut Reorder<u64>, now: Time) -> Vec<u64> {
        std::iter::from_fn(|| order.poll(now)).collect()
    }

    #[test]
    fn early_ones_wait_for_those_before_them() {
        let mut order = Reorder::default();
        let mut given = Vec::new();
        for number in [0, 2, 1, 1, 3, 0, 6, 5, 4] {
            order.push(number, number, Time::ZERO);
            given.extend(drain(&mut order, Time::ZERO));
        }
        assert_eq!((given, order.too_late()), ((0..7).collect(), 2));
    }

    #[test]
    fn one_that_never_comes_is_waited_for_no_longer_than_the_patience() {
        let mut order = Reorder::default();
        for number in [0, 2, 3] {
            order.push(number, number, Time::ZERO);
        }
        assert_eq!(drain(&mut order, Time::ZERO), [0]);
        let later = order.poll_timeout().unwrap();
        assert_eq!(later, Time::ZERO + PATIENCE);
        assert_eq!(drain(&mut order, later), [2, 3]);
        order.push(1, 1, later);
        assert_eq!((drain(&mut order, later), order.too_late()), (vec![], 1));
    }

    #[test]
    fn a_hostile_stream_cannot_make_it_hold_more_than_the_limit() {
        let mut order = Reorder::default();
        for number in (0..10_000).map(|n| n * 2) {
            order.push(number, number, Time::ZERO);
            let _ = drain(&mut order, Time::ZERO);
            assert!(order.held.len() <= HELD);
        }
    }
}
