//! Steps to text: one line each, and a lane for each message that is under way.

use super::MOST_LANES;
use super::matching::{Kind, Step};

/// The room for a message's name at the end where it leaves.
const LABEL: usize = 16;
/// From one lane to the next.
const LANE: usize = 3;
/// The least distance between the two ends.
const LEAST_WIDTH: usize = 46;

/// The longest name of an end that is drawn, in characters.
const LONGEST_NAME: usize = 40;

/// Draws all steps; `None` where they need more lanes than there may be.
pub(super) fn draw(steps: &[Step], ends: &[String; 2]) -> Option<String> {
    let lanes = lanes(steps)?;
    let most = |end| steps.iter().zip(&lanes).filter(|(step, _)| step.end == end).filter_map(|(_, lane)| *lane).max();
    let used = [0, 1].map(|end| most(end).map_or(0, |lane| lane + 1));
    let width = (2 * LABEL + LANE * (used[0] + used[1] + 1)).max(LEAST_WIDTH);
    let column = |end: usize, lane: usize| if end == 0 { LABEL + LANE * lane } else { width - 1 - LABEL - LANE * lane };

    let mut text = head(ends, width);
    let mut last_time = None;
    // Who is under way: where it arrives, and the column of its lane.
    let mut under_way: Vec<(usize, usize)> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let mut row = vec![' '; width];
        // Messages under way pass by in their lanes.
        under_way.retain(|(arrives, _)| *arrives > index);
        for (_, lane) in &under_way {
            row[*lane] = '│';
        }
        let (mut left, mut right) = ('│', '│');
        let mut beside = String::new();
        let lane = lanes[index].map(|lane| column(step.end, lane));
        if let (Kind::Leaves(arrives), Some(lane)) = (step.kind, lane) {
            under_way.push((arrives, lane));
        }
        match (step.kind, step.end) {
            (Kind::Leaves(_), 0) => {
                left = '├';
                line(&mut row, 0, lane.unwrap_or(LABEL), '╮');
                write(&mut row, 2, &step.note);
            }
            (Kind::IsLost, 0) => {
                left = '├';
                line(&mut row, 0, lane.unwrap_or(LABEL), '✗');
                write(&mut row, 2, &step.note);
            }
            (Kind::Leaves(_), _) => {
                right = '┤';
                line_from(&mut row, lane.unwrap_or(LABEL), '╭');
                write_back(&mut row, &step.note);
            }
            (Kind::IsLost, _) => {
                right = '┤';
                line_from(&mut row, lane.unwrap_or(LABEL), '✗');
                write_back(&mut row, &step.note);
            }
            (Kind::LeavesUnwatched, 0) => {
                left = '├';
                line(&mut row, 0, width - 1, '▶');
                write(&mut row, 2, &step.note);
            }
            (Kind::LeavesUnwatched, _) => {
                right = '┤';
                line_from(&mut row, 0, '◀');
                write_back(&mut row, &step.note);
            }
            (Kind::Arrives(left_at), 1) => {
                let from = lanes[left_at].map_or(LABEL, |lane| column(0, lane));
                line_from(&mut row, from, '╰');
                row[width - 1] = '▶';
                beside = remark(&step.note);
            }
            (Kind::Arrives(left_at), _) => {
                let from = lanes[left_at].map_or(LABEL, |lane| column(1, lane));
                line(&mut row, 0, from, '╯');
                row[0] = '◀';
                write(&mut row, 2, remark(&step.note).trim_start_matches(", "));
            }
            (Kind::ArrivesAgain, 1) => {
                line_from(&mut row, width / 2, '•');
                row[width - 1] = '▶';
                write_back(&mut row[..width - 1], name(&step.note));
                beside = remark(&step.note);
            }
            (Kind::ArrivesAgain, _) => {
                line(&mut row, 0, width / 2, '•');
                row[0] = '◀';
                write(&mut row, 2, name(&step.note));
            }
            (Kind::Alone, 0) => write_plain(&mut row, 1, &step.note),
            (Kind::Alone, _) => beside.clone_from(&step.note),
        }
        let millis = step.time.as_nanos() / 1_000_000;
        let tenth = step.time.as_nanos() / 100_000 % 10;
        let time = if last_time == Some(step.time) { String::new() } else { format!("{millis}.{tenth}") };
        last_time = Some(step.time);
        let row: String = row.into_iter().collect();
        let line = format!("{time:>9}    {left}{row}{right}  {}", beside.trim_start_matches(", "));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    Some(text)
}

/// The names of the two ends, each above its own.
fn head(ends: &[String; 2], width: usize) -> String {
    let [left, right] = ends.each_ref().map(|end| match end.chars().count() {
        0..=LONGEST_NAME => end.clone(),
        _ => end.chars().take(LONGEST_NAME).chain(['…']).collect(),
    });
    let gap = width + 4 - right.chars().count() / 2;
    format!("{:>9}  {left:<gap$}{right}\n", "ms")
}

/// A lane for each message that takes more than one line, the innermost free one counted from where it leaves; `None`
/// where that takes more than [`MOST_LANES`].
fn lanes(steps: &[Step]) -> Option<Vec<Option<usize>>> {
    let mut lanes: Vec<Option<usize>> = vec![None; steps.len()];
    let mut busy: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
    for (index, step) in steps.iter().enumerate() {
        let until = match step.kind {
            Kind::Leaves(arrives) => arrives,
            Kind::IsLost => index,
            Kind::LeavesUnwatched | Kind::Arrives(_) | Kind::ArrivesAgain | Kind::Alone => continue,
        };
        // Behind every lane that is in use, so that messages which leave one after another stand side by side.
        let behind = busy[step.end].iter().rposition(|&busy_until| busy_until > index).map_or(0, |last| last + 1);
        if behind >= MOST_LANES {
            return None;
        }
        if behind == busy[step.end].len() {
            busy[step.end].push(0);
        }
        busy[step.end][behind] = until;
        lanes[index] = Some(behind);
    }
    Some(lanes)
}

/// A line from the left end of the row up to `to`, with `end` there.
fn line(row: &mut [char], from: usize, to: usize, end: char) {
    for cell in row.iter_mut().take(to).skip(from) {
        *cell = if *cell == '│' { '┼' } else { '─' };
    }
    row[to] = end;
}

/// A line from `from`, with `start` there, to the right end of the row.
fn line_from(row: &mut [char], from: usize, start: char) {
    for cell in row.iter_mut().skip(from + 1) {
        *cell = if *cell == '│' { '┼' } else { '─' };
    }
    row[from] = start;
}

/// A name on a line, with a space on either side.
fn write(row: &mut [char], at: usize, text: &str) {
    if !text.is_empty() {
        write_plain(row, at, &format!(" {text} "));
    }
}

/// The same at the right end.
fn write_back(row: &mut [char], text: &str) {
    let at = row.len().saturating_sub(text.chars().count() + 4);
    write(row, at, text);
}

fn write_plain(row: &mut [char], at: usize, text: &str) {
    for (cell, c) in row.iter_mut().skip(at).zip(text.chars()) {
        *cell = c;
    }
}

/// What is said beyond the name: `, thrown away`.
fn remark(note: &str) -> String {
    note.find(", ").map_or_else(String::new, |at| note[at..].to_owned())
}

fn name(note: &str) -> &str {
    note.split(", ").next().unwrap_or(note)
}
