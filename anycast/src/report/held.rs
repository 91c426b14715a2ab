//! What became of kept connections, as a table, a verdict and an object.

use std::collections::BTreeMap;

use labkit::units::show_duration;
use labkit::{Session, table};
use serde::Serialize;

use super::{nanos, percent, share};
use crate::client::Config;
use crate::client::holding::Held;
use crate::flows::How;

/// Tells the result of a run with `--hold` on stdout.
pub fn tell_held(held: &Held, config: &Config, session: &Session) {
    session.output.json(&HeldJson::of(held, config, session));
    if held.flows.count() > 0 {
        session.output.result(format!("\n{}", broken(held)));
    }
    session.output.result(verdict(held));
}

fn broken(held: &Held) -> String {
    let mut table = table::new(&["replica", "connections", "reset", "silent", "closed", "broken"]);
    for (name, (had, how)) in held.flows.by_replica() {
        let count = |one: How| how.get(&one).copied().unwrap_or(0);
        let broken: u64 = how.values().sum();
        table.add_row([
            labkit::text::show(name.as_bytes(), 40),
            had.to_string(),
            count(How::Reset).to_string(),
            count(How::Silent).to_string(),
            count(How::Closed).to_string(),
            if had == 0 { "-".to_owned() } else { percent(share(broken, had)) },
        ]);
    }
    table.to_string()
}

fn verdict(held: &Held) -> String {
    let flows = &held.flows;
    if flows.count() == 0 {
        return format!(
            "none of {} connections could be made and kept open\n  try: is a server with --protocol http (or its --http address) there?",
            flows.never_made()
        );
    }
    let (count, broke) = (flows.count(), flows.breaks().len() as u64);
    let mut text = format!(
        "{broke} of {count} kept connections broke ({}) in {}; {} answers came on them",
        percent(share(broke, count)),
        show_duration(held.elapsed),
        flows.answers()
    );
    if flows.needlessly() > 0 {
        text.push_str(&format!(
            "\n{} of them were with a replica that is still there: only the route moved",
            flows.needlessly()
        ));
    }
    text
}

#[derive(Serialize)]
struct HeldJson<'a> {
    role: &'static str,
    version: &'static str,
    name: &'a str,
    seed: u64,
    connections: u64,
    never_made: u64,
    answers: u64,
    broken: u64,
    broken_with_replica_alive: u64,
    elapsed_ns: u64,
    replicas: Vec<ReplicaJson<'a>>,
    breaks: Vec<BreakJson<'a>>,
}

#[derive(Serialize)]
struct ReplicaJson<'a> {
    name: &'a str,
    connections: u64,
    broken: BTreeMap<How, u64>,
}

#[derive(Serialize)]
struct BreakJson<'a> {
    was: &'a str,
    how: How,
    after_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<&'a str>,
}

impl<'a> HeldJson<'a> {
    fn of(held: &'a Held, config: &Config, session: &'a Session) -> Self {
        let flows = &held.flows;
        let replicas = flows.by_replica().into_iter();
        HeldJson {
            role: session.role,
            version: labkit::program::VERSION,
            name: &session.node,
            seed: config.seed,
            connections: flows.count(),
            never_made: flows.never_made(),
            answers: flows.answers(),
            broken: flows.breaks().len() as u64,
            broken_with_replica_alive: flows.needlessly(),
            elapsed_ns: nanos(held.elapsed),
            replicas: replicas.map(|(name, (connections, broken))| ReplicaJson { name, connections, broken }).collect(),
            breaks: flows
                .breaks()
                .iter()
                .map(|one| BreakJson {
                    was: &one.was,
                    how: one.how,
                    after_ns: nanos(one.after),
                    now: one.now.as_deref(),
                })
                .collect(),
        }
    }
}
