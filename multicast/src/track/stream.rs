//! One source's messages to one group: what came, what did not, and what is known of the rest.

use std::time::Duration;

use events::Time;

use super::counts::Counts;
use super::jitter::Jitter;
use super::window::{WINDOW, Window};
use crate::rtp::Number;

/// A leap ahead of more messages than this is believed only when the next number follows it, unless we were away
/// (RFC 3550 appendix A.1, `MAX_DROPOUT`): one forged number does not make a million losses.
const LARGEST_LEAP: u64 = 3000;
/// Where a stream of short numbers is taken to begin, so that there is room before it.
const SHORT_BEGIN: u64 = 1 << 16;
/// How many absences are told apart; the rest is put down to the last.
const ABSENCES: usize = 64;

/// What a message is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The next one, or the first.
    InOrder,
    /// So many are missing before it.
    Gap(u64),
    /// One that was missing.
    Late,
    /// One that was here already.
    Duplicate,
    /// Too far back to say whether it is late or a duplicate (more than [`WINDOW`]).
    Stale,
    /// A leap that nobody would believe yet.
    Implausible,
    /// The stream began anew, at this number.
    Restarted,
}

/// The numbers from `from` up to, not including, `to` went by while we were away.
#[derive(Clone, Copy, Debug)]
struct Absence {
    from: u64,
    to: u64,
}

/// We are there, and have heard no message yet: of the stream at all, or since we came back.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    /// From which absence we are back, where it was one.
    absence: Option<usize>,
    /// The smallest total that the source told since: what it sent from there on, we could have heard.
    told: Option<u64>,
}

/// Judges one stream.
///
/// The numbers from `base` on were sent while we could hear them, absences aside; those below `next` are known to have
/// been sent. What of these did not come is lost.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Whether a message was heard.
    begun: bool,
    /// Whether numbers count from the stream's start.
    is_full: bool,
    base: u64,
    next: u64,
    /// Different numbers heard from `base` on.
    distinct: u64,
    window: Window,
    waiting: Option<Waiting>,
    /// The last absence: a late message may show that it was shorter.
    absence: Option<Absence>,
    /// What went by in absences since `base`.
    away: u64,
    /// What each absence cost.
    costs: Vec<(usize, u64)>,
    /// The number that would confirm a leap.
    suspect: Option<u64>,
    /// What the source said it sent, beyond 32 bits.
    total: Option<u64>,
    jitter: Jitter,
    /// Counts of what came, and of what was lost before the last restart.
    counts: Counts,
}

impl Default for Stream {
    /// One of which nothing was heard yet.
    fn default() -> Self {
        Stream {
            begun: false,
            is_full: true,
            base: 0,
            next: 0,
            distinct: 0,
            window: Window::default(),
            waiting: Some(Waiting::default()),
            absence: None,
            away: 0,
            costs: Vec::new(),
            suspect: None,
            total: None,
            jitter: Jitter::default(),
            counts: Counts::default(),
        }
    }
}

impl Stream {
    /// Judges one message; gives its number beyond 16 bits too.
    pub fn hear(&mut self, number: Number, bytes: usize, timestamp: u32, now: Time) -> (Verdict, u64) {
        let number = self.extend(number);
        self.counts.received += 1;
        self.counts.bytes = self.counts.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let verdict = self.judge(number);
        let counts = &mut self.counts;
        match verdict {
            Verdict::InOrder | Verdict::Restarted => counts.in_order += 1,
            Verdict::Gap(_) => (counts.in_order, counts.gaps) = (counts.in_order + 1, counts.gaps + 1),
            Verdict::Late => counts.late += 1,
            Verdict::Duplicate => counts.duplicates += 1,
            Verdict::Stale => counts.stale += 1,
            Verdict::Implausible => counts.implausible += 1,
        }
        if !matches!(verdict, Verdict::Implausible | Verdict::Stale) {
            self.jitter.hear(timestamp, now);
        }
        (verdict, number)
    }

    /// The source says that it sent so many messages in all, of which the last 32 bits are told. Where a stream of short
    /// numbers began is not known, so its total places nothing.
    pub(super) fn told_total(&mut self, packets: u32) {
        if !self.is_full {
            return;
        }
        let known = self.total.unwrap_or(0).max(self.next);
        let total = nearest(known, u64::from(packets), 1 << 32);
        self.total = self.total.max(Some(total));
        if let Some(waiting) = &mut self.waiting {
            waiting.told = Some(waiting.told.map_or(total, |told| told.min(total)));
        }
    }

    pub(super) fn leave(&mut self) {
        self.suspect = None;
    }

    pub(super) fn rejoin(&mut self, absence: usize) {
        if self.begun {
            self.waiting = Some(Waiting { absence: Some(absence), told: None });
        }
    }

    /// What there is to count.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let here = (self.next - self.base).saturating_sub(self.away);
        let before = if self.is_full { self.hearing_began() } else { 0 };
        Counts {
            lost: self.counts.lost.saturating_add(here.saturating_sub(self.distinct)),
            tail: self.counts.tail.saturating_add(self.tail()),
            before: self.counts.before.saturating_add(before),
            away: self.counts.away.saturating_add(self.away).saturating_add(self.pending()),
            ..self.counts
        }
    }

    /// The first number that was sent while we could hear it.
    fn hearing_began(&self) -> u64 {
        match (self.begun, self.waiting) {
            (false, Some(Waiting { told: Some(told), .. })) => told,
            _ => self.base,
        }
    }

    /// Sent after the last one heard, as far as the source told.
    fn tail(&self) -> u64 {
        let told = self.waiting.and_then(|waiting| waiting.told).unwrap_or(0);
        self.total.map_or(0, |total| total.saturating_sub(self.next.max(told)))
    }

    /// Missed in the absence from which we are back, of which only totals tell so far.
    fn pending(&self) -> u64 {
        match self.waiting {
            Some(Waiting { absence: Some(_), told: Some(told) }) => told.saturating_sub(self.next),
            _ => 0,
        }
    }

    /// What absence number `which` cost.
    #[must_use]
    pub fn missed_in(&self, which: usize) -> u64 {
        let is_pending = self.waiting.is_some_and(|waiting| waiting.absence == Some(which));
        let known: u64 = self.costs.iter().filter(|(absence, _)| *absence == which).map(|(_, cost)| cost).sum();
        known.saturating_add(if is_pending { self.pending() } else { 0 })
    }

    /// The interarrival jitter (RFC 3550 section 6.4.1).
    #[must_use]
    pub fn jitter(&self) -> Duration {
        self.jitter.value()
    }

    /// Whether the numbers count from the stream's start, so that it is known what came before the first one heard.
    #[must_use]
    pub fn knows_its_start(&self) -> bool {
        self.is_full
    }

    fn extend(&mut self, number: Number) -> u64 {
        match number {
            Number::Full(number) => number.min(u64::MAX - 1),
            Number::Short(number) if self.begun => nearest(self.next, u64::from(number), 1 << 16),
            Number::Short(number) => {
                self.is_full = false;
                SHORT_BEGIN + u64::from(number)
            }
        }
    }

    fn judge(&mut self, number: u64) -> Verdict {
        if self.begun && number < self.next {
            return self.judge_behind(number);
        }
        if let Some(waiting) = self.waiting.take() {
            self.begin(waiting, number);
        } else if self.is_leap(number) {
            self.suspect = Some(number + 1);
            return Verdict::Implausible;
        }
        if self.suspect.take() == Some(number) && number > self.next {
            if !self.is_full {
                // With 16 bits nobody could tell how much was lost: a leap is a new start (RFC 3550 appendix A.1).
                self.counts.implausible -= 1;
                return self.restart(number);
            }
            // The leap is confirmed: the message before this one was no stray.
            self.accept(number - 1);
            self.counts.implausible -= 1;
            self.counts.in_order += 1;
            self.counts.gaps += 1;
        }
        let missing = number - self.next;
        self.accept(number);
        if missing == 0 { Verdict::InOrder } else { Verdict::Gap(missing) }
    }

    fn is_leap(&self, number: u64) -> bool {
        number - self.next > LARGEST_LEAP && self.suspect != Some(number)
    }

    /// The first message, ever or since we are back: what was sent from here on, or from an earlier total on, is ours
    /// to hear.
    fn begin(&mut self, waiting: Waiting, number: u64) {
        let here = waiting.told.filter(|_| self.is_full).map_or(number, |told| told.min(number));
        match waiting.absence {
            None => (self.base, self.next) = (here, here),
            Some(which) => {
                let absence = Absence { from: self.next, to: here.max(self.next) };
                let cost = absence.to - absence.from;
                self.window.open(absence.from, absence.to);
                self.next = absence.to;
                self.away += cost;
                self.absence = Some(absence);
                if self.costs.len() < ABSENCES {
                    self.costs.push((which, cost));
                } else if let Some(last) = self.costs.last_mut() {
                    last.1 += cost;
                }
            }
        }
        self.begun = true;
    }

    /// `number`, which is `next` or later, is here.
    fn accept(&mut self, number: u64) {
        self.window.open(self.next, number + 1);
        self.window.mark(number);
        self.next = number + 1;
        self.distinct += 1;
    }

    fn judge_behind(&mut self, number: u64) -> Verdict {
        if self.next - number > WINDOW {
            return self.judge_far_behind(number);
        }
        if self.window.holds(number) {
            return Verdict::Duplicate;
        }
        self.window.mark(number);
        self.distinct += 1;
        if number < self.base {
            // Sent before the first one heard, and heard: so we were listening when it was sent.
            self.base = number;
        }
        self.shorten_absence(number);
        Verdict::Late
    }

    /// We were back when `number` was sent, if that was in an absence.
    fn shorten_absence(&mut self, number: u64) {
        let Some(absence) = self.absence.as_mut().filter(|absence| (absence.from..absence.to).contains(&number)) else {
            return;
        };
        let less = absence.to - number;
        absence.to = number;
        self.away -= less;
        if let Some((_, cost)) = self.costs.last_mut() {
            *cost -= less;
        }
    }

    /// Two in a row from far behind are a stream that began anew (RFC 3550 appendix A.1); one is a stray.
    fn judge_far_behind(&mut self, number: u64) -> Verdict {
        if self.suspect != Some(number) {
            self.suspect = Some(number + 1);
            return Verdict::Stale;
        }
        self.counts.stale -= 1;
        self.restart(number)
    }

    /// The stream began anew with the number before this one, which was taken for a stray and is no longer counted so.
    fn restart(&mut self, number: u64) -> Verdict {
        let so_far = self.counts();
        let counts = Counts { in_order: so_far.in_order + 1, restarts: so_far.restarts + 1, ..so_far };
        let (jitter, costs) = (self.jitter, std::mem::take(&mut self.costs));
        // Where the new run began is not known.
        *self = Stream { begun: true, is_full: false, counts, jitter, costs, ..Stream::default() };
        (self.base, self.next, self.waiting) = (number - 1, number - 1, None);
        self.accept(number - 1);
        self.accept(number);
        Verdict::Restarted
    }
}

/// The number nearest to `around` that ends in `low`, of the numbers that repeat every `span`.
fn nearest(around: u64, low: u64, span: u64) -> u64 {
    let candidate = around / span * span + low;
    if candidate + span / 2 < around {
        candidate + span
    } else if candidate > around + span / 2 && candidate >= span {
        candidate - span
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdicts on these numbers, and the stream afterwards.
    fn heard(stream: &mut Stream, numbers: impl IntoIterator<Item = Number>) -> Vec<Verdict> {
        numbers.into_iter().map(|number| stream.hear(number, 1, 0, Time::ZERO).0).collect()
    }

    fn full(numbers: &[u64]) -> Vec<Number> {
        numbers.iter().map(|&number| Number::Full(number)).collect()
    }

    #[test]
    fn each_message_is_judged_by_what_came_before() {
        let mut stream = Stream::default();
        let verdicts = heard(&mut stream, full(&[2, 3, 6, 4, 4, 6, 7]));
        use Verdict::{Duplicate, Gap, InOrder, Late};
        assert_eq!(verdicts, [InOrder, InOrder, Gap(2), Late, Duplicate, Duplicate, InOrder]);
        let counts = stream.counts();
        assert_eq!((counts.before, counts.lost, counts.late, counts.duplicates, counts.gaps), (2, 1, 1, 2, 1));
    }

    #[test]
    fn totals_tell_what_is_missing_at_both_ends() {
        let mut stream = Stream::default();
        stream.told_total(3);
        assert_eq!((stream.counts().before, stream.counts().tail), (3, 0));
        let _ = heard(&mut stream, full(&[5, 6]));
        stream.told_total(10);
        let counts = stream.counts();
        assert_eq!((counts.before, counts.lost, counts.tail), (3, 2, 3), "we were there from the third on");
    }

    #[test]
    fn a_total_that_overtakes_its_messages_makes_nothing_late() {
        let mut stream = Stream::default();
        stream.told_total(7);
        assert_eq!(heard(&mut stream, full(&[5, 6, 7])), [Verdict::InOrder; 3]);
        assert_eq!((stream.counts().before, stream.counts().lost, stream.counts().tail), (5, 0, 0));
    }

    #[test]
    fn an_absence_is_no_loss() {
        let mut stream = Stream::default();
        let _ = heard(&mut stream, full(&[0, 1, 2]));
        stream.leave();
        stream.rejoin(0);
        assert_eq!(heard(&mut stream, full(&[500_000])), [Verdict::InOrder], "away, not a leap");
        assert_eq!((stream.counts().away, stream.counts().lost, stream.missed_in(0)), (499_997, 0, 499_997));
        assert_eq!(heard(&mut stream, full(&[499_998])), [Verdict::Late], "so we were back by then");
        assert_eq!((stream.counts().away, stream.counts().lost, stream.missed_in(0)), (499_995, 1, 499_995));
    }

    #[test]
    fn an_absence_that_only_totals_tell_of() {
        let mut stream = Stream::default();
        let _ = heard(&mut stream, full(&[0]));
        stream.rejoin(3);
        stream.told_total(5);
        stream.told_total(8);
        let counts = stream.counts();
        assert_eq!((counts.away, stream.missed_in(3), counts.tail, counts.lost), (4, 4, 3, 0));
        let _ = heard(&mut stream, full(&[7]));
        assert_eq!((stream.counts().away, stream.counts().lost, stream.counts().tail), (4, 2, 0));
    }

    #[test]
    fn one_forged_number_makes_no_million_losses() {
        let mut stream = Stream::default();
        let verdicts = heard(&mut stream, full(&[0, 1, 1 << 39, 2, 3]));
        assert_eq!(verdicts[2..], [Verdict::Implausible, Verdict::InOrder, Verdict::InOrder]);
        assert_eq!((stream.counts().lost, stream.counts().implausible), (0, 1));
        let verdicts = heard(&mut stream, full(&[10_000, 10_001]));
        assert_eq!(verdicts, [Verdict::Implausible, Verdict::InOrder]);
        let counts = stream.counts();
        assert_eq!((counts.lost, counts.implausible, counts.gaps, counts.in_order), (9_996, 1, 1, 6));
    }

    #[test]
    fn short_numbers_wrap_around() {
        let mut stream = Stream::default();
        let numbers = [65_534, 65_535, 1, 0, 65_535, 2].map(Number::Short);
        use Verdict::{Duplicate, Gap, InOrder, Late};
        assert_eq!(heard(&mut stream, numbers), [InOrder, InOrder, Gap(1), Late, Duplicate, InOrder]);
        assert_eq!((stream.counts().lost, stream.counts().before), (0, 0));
    }

    #[test]
    fn two_in_a_row_from_far_behind_are_a_new_start() {
        let mut stream = Stream::default();
        let _ = heard(&mut stream, full(&[20_000, 20_002, 5]));
        assert_eq!((stream.counts().stale, stream.counts().lost), (1, 1));
        assert_eq!(heard(&mut stream, full(&[6, 7])), [Verdict::Restarted, Verdict::InOrder]);
        let counts = stream.counts();
        assert_eq!((counts.stale, counts.restarts, counts.lost, counts.in_order), (0, 1, 1, 5));
        assert_eq!(counts.before, 20_000, "what was before the first run stays known");
    }
}
