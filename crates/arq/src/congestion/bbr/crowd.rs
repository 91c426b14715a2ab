//! In a crowd: as CUBIC does, but for how one gets one's part.

use super::super::{Acked, Congestion, Cubic, Lost, Marked};
use super::share;

/// What [`Bbr`](super::Bbr) does beside flows that keep a queue whatever it does. It does as they do, and gets what they get;
/// but who comes late, CUBIC would keep waiting for minutes: at each loss all give up the same part of what they have, so
/// who has little stays with little. Therefore it [pushes](Push) now and then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowd {
    datagram: u64,
    cubic: Cubic,
    push: Option<Push>,
}

/// A quarter more on the way, to see what comes of it. Before a queue that is never empty, the part of the rate that we get is our
/// part of all that is on the way. Who has next to nothing there gets a quarter more of the rate for a quarter more on the
/// way; who has a third, 15 %; who has all of it already, nothing.
#[derive(Clone, Copy, Debug)]
struct Push {
    /// The rate before, and how things stood.
    rate: u64,
    before: Cubic,
    /// It is judged when so many round trips have passed.
    until: u64,
}

/// What a push has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// We have less than a third, and may have more.
    Small,
    /// We have enough.
    Enough,
    /// There is nobody else.
    Alone,
}

impl Crowd {
    /// How much more on the way a push is, in percent.
    const MORE: u64 = 125;
    /// Who gets so much more by it, in percent, has less than a third.
    const SMALL: u64 = 115;
    /// Who gets no more than this has all there is.
    const ALONE: u64 = 104;
    /// It takes so many round trips until one has been measured that was filled from end to end.
    const TAKES: u64 = 2;

    /// For who has `window` bytes on the way.
    pub(super) fn join(datagram: u64, window: u64) -> Self {
        Crowd { datagram, cubic: Cubic::from(datagram, window), push: None }
    }

    pub(super) fn window(&self) -> u64 {
        self.cubic.window()
    }

    pub(super) fn on_acked(&mut self, acked: &Acked) {
        self.cubic.on_acked(acked);
    }

    /// A loss ends a push: the queue has overflowed, and everybody begins anew.
    pub(super) fn on_lost(&mut self, lost: &Lost) {
        let before = self.cubic.window();
        self.cubic.on_lost(lost);
        self.end_push_below(before);
    }

    /// So does a mark, where the queue does not overflow for it.
    pub(super) fn on_marked(&mut self, marked: &Marked) {
        let before = self.cubic.window();
        self.cubic.on_marked(marked);
        self.end_push_below(before);
    }

    fn end_push_below(&mut self, window: u64) {
        if self.cubic.window() < window {
            self.push = None;
        }
    }

    /// Pushes, from the round trip numbered `round` on, the last of which brought `rate`.
    pub(super) fn push(&mut self, round: u64, rate: u64) {
        if rate > 0 {
            self.push = Some(Push { rate, before: self.cubic, until: round + Self::TAKES });
            self.cubic = self.cubic.moved_to(self.datagram, share(self.cubic.window(), Self::MORE));
        }
    }

    /// Takes back a push that can no longer be judged: the path is emptied meanwhile.
    pub(super) fn give_up(&mut self) {
        if let Some(push) = self.push.take() {
            self.cubic = push.before;
        }
    }

    /// The round trip before the one numbered `round` brought `rate`. Judges a push: what brought enough is kept, and tried
    /// again; what did not is taken back.
    pub(super) fn on_round(&mut self, round: u64, rate: u64) -> Option<Place> {
        let push = self.push.take_if(|push| round >= push.until)?;
        if rate >= share(push.rate, Self::SMALL) {
            self.push(round, rate);
            return Some(Place::Small);
        }
        self.cubic = push.before;
        Some(if rate < share(push.rate, Self::ALONE) { Place::Alone } else { Place::Enough })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::loss;
    use super::*;

    #[test]
    fn a_push_that_brings_enough_is_kept_and_followed_by_another() {
        let mut crowd = Crowd::join(1_000, 100_000);
        crowd.push(7, 1_000_000);
        assert_eq!(crowd.window(), 125_000);
        assert_eq!(crowd.on_round(8, 1_000_000), None, "too early to say");
        assert_eq!(crowd.on_round(9, 1_150_000), Some(Place::Small));
        assert_eq!(crowd.window(), 156_250);
        assert_eq!(crowd.on_round(11, 1_190_000), Some(Place::Alone), "and the second brings next to nothing");
        assert_eq!(crowd.window(), 125_000);
    }

    #[test]
    fn a_push_that_brings_too_little_is_taken_back() {
        let mut crowd = Crowd::join(1_000, 100_000);
        crowd.push(7, 1_000_000);
        assert_eq!(crowd.on_round(9, 1_100_000), Some(Place::Enough));
        assert_eq!((crowd.window(), crowd.on_round(10, 2_000_000)), (100_000, None));
    }

    #[test]
    fn a_push_that_is_given_up_is_taken_back_and_says_nothing() {
        let mut crowd = Crowd::join(1_000, 100_000);
        crowd.push(7, 1_000_000);
        crowd.give_up();
        assert_eq!((crowd.window(), crowd.on_round(9, 500_000)), (100_000, None));
    }

    #[test]
    fn a_loss_ends_a_push_and_without_a_rate_there_is_none() {
        let mut crowd = Crowd::join(1_000, 100_000);
        crowd.push(7, 1_000_000);
        crowd.on_lost(&loss(1));
        assert_eq!((crowd.window(), crowd.on_round(9, 1_150_000)), (87_500, None));
        crowd.push(9, 0);
        assert_eq!((crowd.window(), crowd.on_round(20, 1_150_000)), (87_500, None));
    }
}
