//! What a run came to: the table and the verdict for people, one object for programs.

use serde::Serialize;
use std::time::Duration;

use labkit::units::show_duration;
use labkit::{Session, table};

use crate::client::{Asked, Config};
use crate::server::Served;
use crate::tally::{Replica, Who};

/// Tells the result of a client's run on stdout.
pub fn tell_asked(asked: &Asked, config: &Config, session: &Session) {
    session.output.json(&AskedJson::of(asked, config, session));
    if asked.tally.replicas().next().is_some() {
        session.output.result(format!("\n{}", distribution(asked)));
    }
    session.output.result(verdict(asked));
}

/// Tells what a replica did on stdout.
pub fn tell_served(served: Served, session: &Session) {
    session.output.json(&ServedJson { role: session.role, name: &session.node, served });
    let broken = match served.failed {
        0 => String::new(),
        failed => format!(", {failed} broke or took too long"),
    };
    session.output.result(format!("[server] {} greeted {}{broken}", session.node, times(served.greeted)));
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

#[derive(Serialize)]
struct ServedJson<'a> {
    role: &'static str,
    name: &'a str,
    #[serde(flatten)]
    served: Served,
}

#[derive(Serialize)]
struct AskedJson<'a> {
    role: &'static str,
    version: &'static str,
    name: &'a str,
    seed: u64,
    targets: Vec<TargetJson>,
    answered: u64,
    unanswered: u64,
    failed_tries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failure: Option<&'a str>,
    elapsed_ns: u64,
    #[serde(flatten)]
    latency: LatencyJson,
    replicas: Vec<ReplicaJson>,
}

#[derive(Serialize)]
struct TargetJson {
    target: String,
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct ReplicaJson {
    name: String,
    address: String,
    answers: u64,
    share: f64,
    #[serde(flatten)]
    latency: LatencyJson,
    failed_tries: u64,
}

/// Latencies in nanoseconds; absent where nobody answered.
#[derive(Serialize)]
struct LatencyJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_p50_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_p99_ns: Option<u64>,
}

impl<'a> AskedJson<'a> {
    fn of(asked: &'a Asked, config: &Config, session: &'a Session) -> Self {
        let tally = &asked.tally;
        AskedJson {
            role: session.role,
            version: labkit::program::VERSION,
            name: &session.node,
            seed: config.seed,
            targets: asked.resolved.iter().map(TargetJson::of).collect(),
            answered: tally.answers(),
            unanswered: tally.unanswered(),
            failed_tries: tally.failures(),
            first_failure: tally.first_failure(),
            elapsed_ns: nanos(asked.elapsed),
            latency: LatencyJson {
                latency_p50_ns: tally.latency(50.0).map(nanos),
                latency_p99_ns: tally.latency(99.0).map(nanos),
            },
            replicas: tally.replicas().map(|(who, replica)| ReplicaJson::of(who, replica, tally.answers())).collect(),
        }
    }
}

impl TargetJson {
    fn of(resolved: &crate::client::Resolved) -> Self {
        let (addresses, error) = match &resolved.answer {
            Ok(addresses) => (addresses.iter().map(ToString::to_string).collect(), None),
            Err(failure) => (Vec::new(), Some(failure.message.clone())),
        };
        TargetJson { target: resolved.target.to_string(), addresses, error }
    }
}

impl ReplicaJson {
    fn of(who: &Who, replica: &Replica, all: u64) -> Self {
        let (name, address) = names(who);
        ReplicaJson {
            name,
            address,
            answers: replica.answers,
            share: share(replica.answers, all),
            latency: LatencyJson {
                latency_p50_ns: replica.latency(50.0).map(nanos),
                latency_p99_ns: replica.latency(99.0).map(nanos),
            },
            failed_tries: replica.failures,
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
