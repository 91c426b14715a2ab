//! The narrator: says what is being shown, and keeps the score of what must happen.

use std::time::Duration;

use events::{Event, Outcome, Time};
use labkit::Session;
use labkit::units::show_duration;
use serde::Serialize;

/// Tells the demo, line by line, and remembers whether each thing that must happen did.
#[derive(Debug)]
pub(super) struct Stage {
    session: Session,
    began: Time,
    act: &'static str,
    expectations: Vec<Expectation>,
}

/// Something that must happen, and whether it did.
#[derive(Debug, Serialize)]
struct Expectation {
    act: &'static str,
    text: String,
    met: bool,
}

#[derive(Serialize)]
struct Score<'a> {
    role: &'static str,
    version: &'static str,
    outcome: Outcome,
    met: usize,
    expected: usize,
    elapsed_ns: u64,
    expectations: &'a [Expectation],
}

impl Stage {
    pub(super) fn new(session: &Session) -> Self {
        Stage { session: session.clone(), began: session.clock.now(), act: "", expectations: Vec::new() }
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Opens an act under its heading.
    pub(super) fn act(&mut self, lab: &'static str, heading: &str) {
        self.act = lab;
        let rule = "─".repeat(heading.chars().count());
        self.session.output.line(format!("\n{heading}\n{rule}"));
    }

    /// Tells what is being shown.
    pub(super) fn say(&self, text: &str) {
        self.session.output.line(indent(text, "  "));
    }

    /// Something that must happen: told, and counted.
    pub(super) fn expect(&mut self, met: bool, text: impl Into<String>) {
        let text = text.into();
        self.session.output.line(indent(&text, if met { "  ✓ " } else { "  ✗ " }));
        self.expectations.push(Expectation { act: self.act, text, met });
    }

    /// Whether everything that must happen did, and anything did at all.
    pub(super) fn all_well(&self) -> bool {
        !self.expectations.is_empty() && self.expectations.iter().all(|expectation| expectation.met)
    }

    /// Ends the demo with the score.
    pub(super) fn curtain(&self, outcome: Outcome) {
        let elapsed = self.session.clock.now() - self.began;
        let (met, expected) = (self.expectations.iter().filter(|one| one.met).count(), self.expectations.len());
        self.session.recorder.tell(|| Event::Finished { outcome, reason: None });
        self.session.output.json(&Score {
            role: self.session.role,
            version: labkit::program::VERSION,
            outcome,
            met,
            expected,
            elapsed_ns: nanos(elapsed),
            expectations: &self.expectations,
        });
        for missed in self.expectations.iter().filter(|one| !one.met) {
            self.session.output.result(format!("did not happen ({}): {}", missed.act, missed.text));
        }
        let end = if outcome == Outcome::Interrupted { " (interrupted)" } else { "" };
        let took = show_duration(elapsed);
        self.session.output.result(format!("\n{met} of {expected} things happened as they must, in {took}{end}."));
    }
}

/// `text` with `first` before its first line and as much space before the others.
fn indent(text: &str, first: &str) -> String {
    let rest = " ".repeat(first.chars().count());
    let lines = text.lines().enumerate();
    lines.map(|(n, line)| format!("{}{line}", if n == 0 { first } else { &rest })).collect::<Vec<_>>().join("\n")
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_after_the_first_stand_below_it() {
        assert_eq!(indent("one\ntwo", "  ✓ "), "  ✓ one\n    two");
    }
}
