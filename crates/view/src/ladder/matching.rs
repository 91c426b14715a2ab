//! Which arrival belongs to which departure.

use std::cmp::Reverse;
use std::collections::HashMap;

use events::{Cause, Event, Outcome, Record, Time};

/// One line of the ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) time: Time,
    /// Which end it happens at: 0 is the left one.
    pub(super) end: usize,
    pub(super) kind: Kind,
    /// What is said about it, beside the line.
    pub(super) note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message leaves, and arrives at the step with this index.
    Leaves(usize),
    /// A message leaves, and never arrives.
    IsLost,
    /// A message leaves; of the other end nothing is known.
    LeavesUnwatched,
    /// A message arrives that left at the step with this index.
    Arrives(usize),
    /// A message arrives whose departure was not told, or that has arrived before.
    ArrivesAgain,
    /// Something happens at one end alone.
    Alone,
}

/// With whom a message was exchanged, if the event is about one.
pub(super) fn peer(event: &Event) -> Option<&str> {
    match event {
        Event::Sent { peer, .. } | Event::Received { peer, .. } => Some(peer),
        Event::Started { .. }
        | Event::Resolved { .. }
        | Event::Connected { .. }
        | Event::Failed { .. }
        | Event::Joined { .. }
        | Event::Left { .. }
        | Event::Delivered { .. }
        | Event::Dropped { .. }
        | Event::Expired { .. }
        | Event::Changed { .. }
        | Event::Phase { .. }
        | Event::Measured { .. }
        | Event::Finished { .. } => None,
    }
}

/// Departures that have not arrived yet, by end, kind and number.
type Open<'a> = HashMap<(usize, &'a str, Option<u64>), Vec<usize>>;

/// The records as steps, with departures and arrivals joined.
pub(super) fn match_up(records: &[Record], ends: &[String; 2]) -> Vec<Step> {
    let both_watched = ends.iter().all(|end| records.iter().any(|record| record.node == *end));
    let mut in_order: Vec<&Record> = records.iter().collect();
    in_order.sort_by_key(|record| record.time);
    let shortest = shortest_way(&in_order, ends);

    let mut steps: Vec<Step> = Vec::new();
    let mut open: Open<'_> = HashMap::new();
    for record in in_order {
        let Some(end) = end_of(record, ends) else { continue };
        let mut push = |kind, note: String| {
            steps.push(Step { time: record.time, end, kind, note });
            steps.len() - 1
        };
        match &record.event {
            Event::Sent { what, number, .. } => {
                let kind = if both_watched { Kind::IsLost } else { Kind::LeavesUnwatched };
                let index = push(kind, label(what, *number));
                open.entry((end, what, *number)).or_default().push(index);
            }
            Event::Received { what, number, .. } => {
                let index = push(Kind::ArrivesAgain, label(what, *number));
                let waiting = open.entry((1 - end, what, *number)).or_default();
                // The last that can have arrived by now; of those that left together, the first; and if it was quicker
                // than any other message, the first of all.
                let may_be = |&&left: &&usize| record.time >= steps[left].time + shortest * 9 / 10;
                let last = waiting
                    .iter()
                    .copied()
                    .filter(|left| may_be(&left))
                    .max_by_key(|&left| (steps[left].time, Reverse(left)));
                if let Some(left) = last.or(waiting.first().copied()) {
                    waiting.retain(|&other| other != left);
                    steps[index].kind = Kind::Arrives(left);
                    steps[left].kind = Kind::Leaves(index);
                }
            }
            Event::Dropped { what, number, cause, .. } => match cause {
                // The last one of its kind that left this end: nobody need wait for it.
                Cause::Network | Cause::Impaired => {
                    open.entry((end, what, *number)).or_default().pop();
                }
                Cause::Refused | Cause::Foreign | Cause::ReceiveBuffer => {
                    if let Some(arrived) = steps.iter_mut().rev().find(|step| step.end == end) {
                        arrived.note.push_str(", thrown away");
                    }
                }
            },
            Event::Expired { after_ns, .. } => {
                push(Kind::Alone, format!("time-out {} ms", after_ns / 1_000_000));
            }
            Event::Finished { outcome, reason } => {
                // The machine says it, and then the program around it.
                let how = ending(*outcome, reason.as_deref());
                let is_said = steps.iter().rev().find(|step| step.end == end && step.kind == Kind::Alone);
                if is_said.is_none_or(|step| step.note != how) {
                    steps.push(Step { time: record.time, end, kind: Kind::Alone, note: how });
                }
            }
            Event::Started { .. }
            | Event::Resolved { .. }
            | Event::Connected { .. }
            | Event::Failed { .. }
            | Event::Joined { .. }
            | Event::Left { .. }
            | Event::Changed { .. }
            | Event::Phase { .. }
            | Event::Delivered { .. }
            | Event::Measured { .. } => {}
        }
    }
    steps
}

/// The shortest way any message took that was sent only once, so that there is no doubt.
fn shortest_way(records: &[&Record], ends: &[String; 2]) -> std::time::Duration {
    let mut left: HashMap<(usize, &str, Option<u64>), Vec<Time>> = HashMap::new();
    for record in records {
        if let (Some(end), Event::Sent { what, number, .. }) = (end_of(record, ends), &record.event) {
            left.entry((end, what, *number)).or_default().push(record.time);
        }
    }
    let ways = records.iter().filter_map(|record| {
        let Event::Received { what, number, .. } = &record.event else { return None };
        match left.get(&(1 - end_of(record, ends)?, what.as_str(), *number))?.as_slice() {
            [only] => Some(record.time - *only),
            [] | [_, ..] => None,
        }
    });
    ways.min().unwrap_or_default()
}

fn end_of(record: &Record, ends: &[String; 2]) -> Option<usize> {
    ends.iter().position(|end| *end == record.node)
}

fn label(what: &str, number: Option<u64>) -> String {
    number.map_or_else(|| what.to_owned(), |number| format!("{what} {number}"))
}

fn ending(outcome: Outcome, reason: Option<&str>) -> String {
    let how = match outcome {
        Outcome::Complete => "complete",
        Outcome::Partial => "partial",
        Outcome::Failed => "failed",
        Outcome::Interrupted => "interrupted",
    };
    reason.map_or_else(|| how.to_owned(), |reason| format!("{how}: {reason}"))
}
