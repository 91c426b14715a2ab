//! The promises, each as a search for what breaks it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::MessageId;
use super::history::{Process, Step};
use super::report::{Promise, Report};

pub(super) fn no_duplicates(processes: &[Process], report: &mut Report) {
    for process in processes {
        let mut seen = HashSet::new();
        for message in process.handed_out().filter(|message| !seen.insert(*message)) {
            report.add(Promise::NoDuplicates, process.member, message, None);
        }
    }
}

/// Judged only of speakers whose own log is there.
pub(super) fn no_creation(processes: &[Process], report: &mut Report) {
    let mut said: HashMap<MessageId, u64> = HashMap::new();
    for step in processes.iter().flat_map(|process| &process.steps) {
        if let Step::Said { message, bytes } = step {
            said.insert(*message, *bytes);
        }
    }
    let told: HashSet<u64> = processes.iter().map(|process| process.member).collect();
    for process in processes {
        let mut own: HashSet<MessageId> = HashSet::new();
        for step in &process.steps {
            let (message, bytes) = match step {
                Step::HandedOut { message, bytes } => (message, bytes),
                Step::Said { message, .. } => {
                    own.insert(*message);
                    continue;
                }
            };
            let too_early = message.origin == process.member && !own.contains(message);
            if !told.contains(&message.origin) {
                report.unheard(message.origin);
            } else if said.get(message) != Some(bytes) || too_early {
                report.add(Promise::NoCreation, process.member, *message, None);
            }
        }
    }
}

/// After the first of a speaker that a process hands out comes the second, and so on.
pub(super) fn fifo(processes: &[Process], report: &mut Report) {
    for process in processes {
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        for message in process.handed_out() {
            let before = last.insert(message.origin, message.seq);
            match before {
                Some(before) if message.seq != before.saturating_add(1) => {
                    let other =
                        MessageId { seq: if message.seq > before { message.seq - 1 } else { before }, ..message };
                    report.add(Promise::Fifo, process.member, message, Some(other));
                }
                _ => {}
            }
        }
    }
}

/// For each speaker and each reader: as the speaker goes on, the furthest place at which the reader handed out
/// anything the speaker had said or seen must stay before the place of what it says next.
pub(super) fn causal(processes: &[Process], report: &mut Report) {
    for reader in processes {
        let places = places(reader);
        for speaker in processes {
            let mut furthest: Option<(usize, MessageId)> = None;
            for step in &speaker.steps {
                let (Step::Said { message, .. } | Step::HandedOut { message, .. }) = step;
                let Some(&place) = places.get(message) else { continue };
                if let (Step::Said { .. }, Some((far, before))) = (step, furthest)
                    && far > place
                {
                    report.add(Promise::Causal, reader.member, *message, Some(before));
                }
                if furthest.is_none_or(|(far, _)| place > far) {
                    furthest = Some((place, *message));
                }
            }
        }
    }
}

/// The orders of all processes fit into one: no circle of messages, each handed out after the one before somewhere.
pub(super) fn total(processes: &[Process], report: &mut Report) {
    let sequences: Vec<Vec<MessageId>> = processes.iter().map(once_each).collect();
    if fit_together(&sequences) {
        return;
    }
    let before = report.count(Promise::Total);
    for (index, (process, sequence)) in processes.iter().zip(&sequences).enumerate() {
        // Every process before this one is a witness; the first that disagrees is told.
        for witness in processes.get(..index).unwrap_or_default() {
            let places = places(witness);
            let common = sequence.iter().filter_map(|message| places.get(message).map(|place| (*place, *message)));
            let common: Vec<(usize, MessageId)> = common.collect();
            let turned = common.windows(2).filter(|pair| pair[0].0 > pair[1].0);
            turned.for_each(|pair| report.add(Promise::Total, process.member, pair[0].1, Some(pair[1].1)));
        }
    }
    // A circle that no two processes make alone.
    if report.count(Promise::Total) == before
        && let Some((process, message)) =
            processes.iter().zip(&sequences).find_map(|(process, all)| all.first().map(|first| (process, *first)))
    {
        report.add(Promise::Total, process.member, message, None);
    }
}

/// At which place a process handed out each message, first.
fn places(process: &Process) -> HashMap<MessageId, usize> {
    let mut places = HashMap::new();
    for (place, message) in process.handed_out().enumerate() {
        places.entry(message).or_insert(place);
    }
    places
}

fn once_each(process: &Process) -> Vec<MessageId> {
    let mut seen = HashSet::new();
    process.handed_out().filter(|message| seen.insert(*message)).collect()
}

/// Kahn's algorithm: take away what comes after nothing until nothing is left, or only circles are.
fn fit_together(sequences: &[Vec<MessageId>]) -> bool {
    let mut after: HashMap<MessageId, Vec<MessageId>> = HashMap::new();
    let mut waits_for: HashMap<MessageId, usize> = HashMap::new();
    for sequence in sequences {
        for message in sequence {
            waits_for.entry(*message).or_insert(0);
        }
        for pair in sequence.windows(2) {
            after.entry(pair[0]).or_default().push(pair[1]);
            *waits_for.entry(pair[1]).or_insert(0) += 1;
        }
    }
    let mut free: VecDeque<MessageId> =
        waits_for.iter().filter(|(_, count)| **count == 0).map(|(message, _)| *message).collect();
    let mut taken = 0;
    while let Some(message) = free.pop_front() {
        taken += 1;
        for next in after.get(&message).into_iter().flatten() {
            if let Some(count) = waits_for.get_mut(next) {
                *count -= 1;
                if *count == 0 {
                    free.push_back(*next);
                }
            }
        }
    }
    taken == waits_for.len()
}
