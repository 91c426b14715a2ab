//! What the doctor says: nothing found, in one line; or each finding in three, the worst first.

use doctor::facts::Ended;
use doctor::probe::{Heard, Path};
use doctor::{Facts, Finding, Severity};
use events::{Event, Outcome};
use labkit::{Exit, Session};
use serde_json::json;

/// Tells people, programs and the events what was found.
pub(super) fn tell(facts: &Facts, findings: &[Finding], interrupted: bool, session: &Session) -> Exit {
    for finding in findings {
        let (what, reason) = (finding.code.to_owned(), finding.seen.clone());
        session.recorder.tell(|| Event::Failed { what, peer: None, reason });
    }
    let exit = exit(facts, findings, interrupted);
    let outcome = match exit {
        Exit::Done => Outcome::Complete,
        Exit::Interrupted => Outcome::Interrupted,
        _ => Outcome::Failed,
    };
    session.recorder.tell(|| Event::Finished { outcome, reason: None });
    session.output.json(&json!({
        "role": session.role,
        "version": labkit::program::VERSION,
        "outcome": outcome,
        "target": facts.target(),
        "findings": findings,
        "facts": facts,
    }));
    if let Some(probe) = &facts.probe
        && !probe.heard.is_empty()
    {
        session.output.result(table(&probe.heard));
    }
    for finding in findings {
        session.output.result(finding.to_string());
    }
    session.output.result(verdict(facts, findings, interrupted));
    exit
}

fn exit(facts: &Facts, findings: &[Finding], interrupted: bool) -> Exit {
    let faults: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == Severity::Fault).collect();
    let unmet = facts.probe.as_ref().is_some_and(|probe| probe.heard.is_empty());
    match (interrupted, faults.len()) {
        (true, _) => Exit::Interrupted,
        (_, 0) => Exit::Done,
        // The only fault is that no other copy was there.
        (_, 1) if unmet => Exit::NobodyAnswered,
        _ => Exit::CheckFailed,
    }
}

/// One line: on a healthy machine the only one.
fn verdict(facts: &Facts, findings: &[Finding], interrupted: bool) -> String {
    let target = facts.target();
    let stopped = if interrupted { "; stopped before all was tried" } else { "" };
    let unread = match &facts.firewall.unreadable {
        Some(why) => format!("; firewall rules not read: {why}"),
        None => String::new(),
    };
    if findings.is_empty() {
        let heard: Vec<&str> = facts
            .trials
            .iter()
            .filter(|trial| trial.ended == Ended::Heard)
            .filter_map(|trial| trial.interface.as_deref())
            .collect();
        // Without a trial, nothing found is nothing known.
        return match heard.is_empty() {
            false => {
                let on = heard.join(", ");
                format!("Nothing found: {target} was joined, sent to and heard on {on}{unread}{stopped}")
            }
            true if interrupted => format!("Nothing was tried of {target}{unread}{stopped}"),
            true => format!("Nothing found for {target}, and nothing was tried: no interface to try is up{unread}"),
        };
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let counts = [(Severity::Fault, "fault"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let counts: Vec<String> = counts
        .into_iter()
        .filter_map(|(severity, word)| match count(severity) {
            0 => None,
            1 => Some(format!("1 {word}")),
            n => Some(format!("{n} {word}s")),
        })
        .collect();
    format!("Found for {target}: {}{unread}{stopped}", counts.join(", "))
}

fn table(heard: &[Heard]) -> String {
    let mut table = labkit::table::new(&["other copy", "multicast to it", "from it", "unicast to it", "from it"]);
    let path = |path: Path| format!("{} of {}", path.heard, path.sent);
    for one in heard {
        let name = labkit::text::show(one.name.as_bytes(), 20);
        table.add_row([
            format!("{name} ({})", one.address),
            path(one.multicast_to),
            path(one.multicast_from),
            path(one.unicast_to),
            path(one.unicast_from),
        ]);
    }
    table.to_string()
}
