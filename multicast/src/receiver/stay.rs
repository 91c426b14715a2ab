//! What changes while a receiver runs: what it heard, what is still to do, when it was away and what that cost.

use std::time::Duration;

use events::{Event, Time};
use labkit::batch::Incoming;
use labkit::units::show_duration;
use labkit::{Exit, Failure};

use super::command::Command;
use super::ear::Ear;
use super::hearing::{Hearing, Key};
use super::losses::Losses;
use super::{Ended, LONGEST, LOOK, Receiver, Summary};
use crate::membership::Change;

/// One time away from a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The group's place in the list.
    pub group: usize,
    /// When it began.
    pub from: Time,
    /// When it was over; `None` is never.
    pub to: Option<Time>,
    /// Why.
    pub why: &'static str,
    /// What was missed, as far as the sources that were heard before and after tell.
    pub missed: u64,
}

/// A receiver's run.
#[derive(Debug)]
pub(super) struct Stay {
    pub(super) incoming: Incoming,
    pub(super) hearing: Hearing,
    pub(super) deadline: Option<Time>,
    began: Time,
    steps: std::vec::IntoIter<(Duration, Command)>,
    next_look: Time,
    absences: Vec<Absence>,
    /// The highest count of drops told with each group's messages: 32 bits of it.
    drops: Vec<u64>,
}

impl Stay {
    pub(super) fn begin(receiver: &Receiver) -> Self {
        let (config, now) = (&receiver.config, receiver.session.clock.now());
        let steps = config.script.as_ref().map(|script| script.steps().to_vec()).unwrap_or_default();
        Stay {
            incoming: Incoming::new(LONGEST),
            hearing: Hearing::new(config, receiver.session.clone()),
            deadline: config.duration.map(|duration| now + duration),
            began: now,
            steps: steps.into_iter(),
            next_look: now + LOOK,
            absences: Vec::new(),
            drops: vec![0; receiver.ears.len()],
        }
    }

    /// When something is due next.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let step = self.steps.as_slice().first().map(|(time, _)| self.began + *time);
        [step, self.deadline, Some(self.next_look), self.hearing.poll_timeout()].into_iter().flatten().min()
    }

    /// The next step of the script, when its time has come.
    pub(super) fn next_step(&mut self, now: Time) -> Option<Command> {
        let (time, _) = self.steps.as_slice().first()?;
        if self.began + *time > now { None } else { self.steps.next().map(|(_, command)| command) }
    }

    pub(super) fn look_is_due(&mut self, now: Time) -> bool {
        let is_due = self.next_look <= now;
        if is_due {
            self.next_look = now + LOOK;
        }
        is_due
    }

    pub(super) fn is_away(&self, group: usize) -> bool {
        self.absences.iter().any(|absence| absence.group == group && absence.to.is_none())
    }

    pub(super) fn go_away(&mut self, group: usize, now: Time, why: &'static str) {
        if !self.is_away(group) {
            self.absences.push(Absence { group, from: now, to: None, why, missed: 0 });
            self.hearing.tracker.leave(|key: &Key| key.group == group);
        }
    }

    pub(super) fn come_back(&mut self, group: usize, now: Time) {
        let open = self.absences.iter().position(|absence| absence.group == group && absence.to.is_none());
        if let Some(number) = open {
            self.absences[number].to = Some(now);
            self.hearing.tracker.rejoin(number, |key: &Key| key.group == group);
        }
    }

    /// The kernel's count of drops came with the last batch.
    pub(super) fn note_drops(&mut self, group: usize) {
        let told = u64::from(self.incoming.dropped());
        if let Some(drops) = self.drops.get_mut(group) {
            *drops = (*drops).max(told);
        }
    }
}

impl Receiver {
    pub(super) fn tell_begun(&self) {
        let session = &self.session;
        let groups: Vec<String> = self.ears.iter().map(|ear| ear.group().to_string()).collect();
        session.tell_started(Some(groups.join(" ")), self.config.impair.as_ref().map(|(_, seed)| *seed));
        for ear in self.ears.iter().filter(|ear| ear.messages.is_joined()) {
            ear.tell_joined(session);
        }
        for group in groups {
            session.output.line(format!("Listening on multicast group {group}"));
        }
    }

    pub(super) fn tell_change(&self, ear: usize, change: &Change) {
        let group = self.ears[ear].group().to_string();
        match change {
            Change::Down(name) => {
                tracing::warn!("{name} is down: {group} is joined again when it is up [MC-IFACE]");
                self.session.recorder.tell(|| Event::Left { group, interface: name.clone() });
            }
            Change::Up(name) => {
                tracing::info!("joined {group} on {name}, which is up");
                self.session.recorder.tell(|| Event::Joined { group, interface: name.clone() });
            }
        }
    }

    pub(super) fn tell_ended(&self) {
        self.ears.iter().for_each(|ear| ear.tell_left(&self.session));
        self.session.output.line("Leaving multicast group and closing socket.");
    }

    /// What was heard so far, in one line.
    pub(super) fn progress(&self, stay: &Stay) -> String {
        let (messages, losses) = (stay.hearing.messages(), self.losses(stay));
        let time = show_duration(self.session.clock.now() - stay.began);
        let away = if self.ears.iter().any(|ear| ear.messages.is_joined()) { "" } else { "; not joined now" };
        let sources = stay.hearing.tally.sources();
        format!("So far in {time}: {messages} heard, from {sources} sources, {} missing{away}", losses.missing())
    }

    fn losses(&self, stay: &Stay) -> Losses {
        let dropped = |(ear, told): (&Ear, &u64)| ear.messages.dropped().unwrap_or(0).max(*told);
        let dropped = self.ears.iter().zip(&stay.drops).map(dropped).sum();
        Losses::sort_out(stay.hearing.tracker.total(), stay.hearing.impaired(), dropped)
    }

    pub(super) fn summary(&self, mut stay: Stay, ended: Ended, silence: Option<Failure>) -> Summary {
        let losses = self.losses(&stay);
        for (number, absence) in stay.absences.iter_mut().enumerate() {
            let rows = stay.hearing.tracker.rows();
            absence.missed = rows.iter().fold(0, |sum, row| row.stream.missed_in(number).saturating_add(sum));
        }
        let is_over = ended == Ended::Script;
        Summary {
            groups: self.config.groups.clone(),
            interfaces: self.membership().interfaces().iter().map(|interface| interface.name.clone()).collect(),
            buffer: self.membership().buffer(),
            has_goal: self.config.has_goal(),
            wanted: self.config.count,
            interrupted: self.session.shutdown.was_interrupted() && !is_over,
            elapsed: self.session.clock.now() - stay.began,
            joined: stay.began,
            ended,
            impaired: stay.hearing.impaired(),
            foreign: stay.hearing.foreign,
            tally: stay.hearing.tally,
            tracker: stay.hearing.tracker,
            losses,
            absences: stay.absences,
            silence: silence.map(|silence| silence.exit(Exit::NobodyAnswered)),
        }
    }
}
