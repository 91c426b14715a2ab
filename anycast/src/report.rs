//! What a run came to: the table and the verdict for people, one object for programs.

mod held;
mod json;

use std::time::Duration;

use labkit::units::show_duration;
use labkit::{Session, table};

use crate::client::{Asked, Config};
use crate::evenness::{self, Evenness, Verdict};
use crate::server::Served;
use crate::tally::{Replica, Who};

pub use held::tell_held;

/// Tells the result of a client's run on stdout.
pub fn tell_asked(asked: &Asked, config: &Config, session: &Session) {
    session.output.json(&json::AskedJson::of(asked, config, session));
    if asked.tally.replicas().next().is_some() {
        session.output.result(format!("\n{}", distribution(asked)));
    }
    session.output.result(verdict(asked));
    if let Some(evenness) = evenness_of(asked) {
        session.output.result(judged(evenness));
    }
    if config.watch {
        session.output.result(watched(asked));
    }
}

/// Tells what a replica did on stdout.
pub fn tell_served(served: Served, session: &Session) {
    session.output.json(&json::ServedJson { role: session.role, name: &session.node, served });
    let broken = match served.failed {
        0 => String::new(),
        failed => format!(", {failed} broke or took too long"),
    };
    let refused = match served.refused {
        0 => String::new(),
        refused => format!(", {refused} turned away"),
    };
    session.output.result(format!("[server] {} greeted {}{broken}{refused}", session.node, times(served.greeted)));
}

/// The table of who answered how often.
#[must_use]
pub fn distribution(asked: &Asked) -> String {
    let mut table = table::new(&["replica", "address", "answers", "share", "p50", "p99", "failed tries"]);
    for (who, replica) in asked.tally.replicas() {
        let (name, address) = names(who);
        table.add_row([
            name,
            address,
            replica.answers.to_string(),
            percent(share(replica.answers, asked.tally.answers())),
            latency(replica, 50.0),
            latency(replica, 99.0),
            replica.failures.to_string(),
        ]);
    }
    table.to_string()
}

/// One sentence, and where it is not perfect the first cause.
#[must_use]
pub fn verdict(asked: &Asked) -> String {
    let tally = &asked.tally;
    let replicas = match tally.replicas_used() {
        1 => "1 replica".to_owned(),
        n => format!("{n} replicas"),
    };
    let total = tally.answers() + tally.unanswered();
    let mut verdict = format!(
        "{} of {total} connections answered by {replicas} in {}",
        tally.answers(),
        show_duration(asked.elapsed)
    );
    if let (Some(p50), Some(p99)) = (tally.latency(50.0), tally.latency(99.0)) {
        verdict.push_str(&format!("; latency p50 {}, p99 {}", show_duration(p50), show_duration(p99)));
    }
    if let Some(first) = tally.first_failure() {
        let tries = match tally.failures() {
            1 => "1 try".to_owned(),
            n => format!("{n} tries"),
        };
        verdict.push_str(&format!("\n{tries} failed, the first at {first}"));
        if tally.unanswered() > 0 {
            verdict.push_str("\n  try: is a server running there? `ss -ltn` on its machine shows who listens");
        }
    }
    verdict
}

/// Whether the answers are as even as chance: among all that answered and all candidates that were never asked (but not
/// those that were asked and could not).
#[must_use]
pub fn evenness_of(asked: &Asked) -> Option<Evenness> {
    let addressed = |who: &Who| match who {
        Who::Named(_, address) | Who::Unnamed(address) => Some(*address),
        Who::Others => None,
    };
    let mut counts: Vec<u64> =
        asked.tally.replicas().map(|(_, replica)| replica.answers).filter(|answers| *answers > 0).collect();
    let candidates = asked.resolved.iter().filter_map(|one| one.answer.as_ref().ok()).flatten();
    let never_asked =
        candidates.filter(|candidate| asked.tally.replicas().all(|(who, _)| addressed(who) != Some(**candidate)));
    counts.extend(never_asked.map(|_| 0));
    evenness::of(&counts)
}

fn judged(evenness: Evenness) -> String {
    let judgement = match evenness.verdict() {
        Verdict::Chance => "yes",
        Verdict::Uneven => "no, some replica is preferred",
        Verdict::Regular => "more even than that: somebody takes turns",
    };
    let Evenness { chi_square, degrees, p } = evenness;
    format!("as even as chance? {judgement} (chi-square {chi_square:.2}, {degrees} degrees of freedom, p = {p:.3})")
}

fn watched(asked: &Asked) -> String {
    let watcher = &asked.watcher;
    let times = |count: u64| if count == 1 { "once".to_owned() } else { format!("{count} times") };
    let mut text = format!(
        "another replica answered {}; attempts failed {}, in {}",
        times(watcher.moves()),
        times(watcher.failures()),
        match watcher.outages() {
            1 => "1 gap".to_owned(),
            n => format!("{n} gaps"),
        }
    );
    if let Some(longest) = watcher.longest() {
        text.push_str(&format!("\nlongest gap: {}", crate::client::shown_change(longest, asked.started)));
    }
    text
}

fn names(who: &Who) -> (String, String) {
    match who {
        Who::Named(name, address) => (labkit::text::show(name.as_bytes(), 40), address.to_string()),
        Who::Unnamed(address) => ("?".to_owned(), address.to_string()),
        Who::Others => ("all others".to_owned(), "?".to_owned()),
    }
}

fn latency(replica: &Replica, percentile: f64) -> String {
    replica.latency(percentile).map_or_else(|| "-".to_owned(), show_duration)
}

fn times(count: u64) -> String {
    match count {
        1 => "1 connection".to_owned(),
        n => format!("{n} connections"),
    }
}

/// A share in 0..=1; zero of nothing.
fn share(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
