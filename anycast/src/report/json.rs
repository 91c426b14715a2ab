//! The result as one JSON object.

use labkit::Session;
use serde::Serialize;

use super::{names, nanos, share};
use crate::client::{Asked, Config, Resolved};
use crate::evenness::Evenness;
use crate::server::Served;
use crate::tally::{Replica, Who};
use crate::watch::{Change, Watcher};

#[derive(Serialize)]
pub(super) struct ServedJson<'a> {
    pub(super) role: &'static str,
    pub(super) name: &'a str,
    #[serde(flatten)]
    pub(super) served: Served,
}

#[derive(Serialize)]
pub(super) struct AskedJson<'a> {
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
    /// The chi-square test against equal shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    evenness: Option<Evenness>,
    #[serde(skip_serializing_if = "Option::is_none")]
    watched: Option<WatchedJson<'a>>,
    replicas: Vec<ReplicaJson>,
}

#[derive(Serialize)]
struct TargetJson {
    target: String,
    addresses: Vec<String>,
    /// The address most programs would take, and the rule of RFC 6724 that makes it so every time.
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred: Option<PreferredJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct PreferredJson {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
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

#[derive(Serialize)]
struct WatchedJson<'a> {
    moves: u64,
    gaps: u64,
    failed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    longest: Option<ChangeJson<'a>>,
}

#[derive(Serialize)]
struct ChangeJson<'a> {
    from: &'a str,
    to: &'a str,
    failed: u64,
    gap_ns: u64,
}

/// Latencies in nanoseconds; absent where nobody answered.
#[derive(Serialize)]
struct LatencyJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_p50_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_p90_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_p99_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_p999_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_max_ns: Option<u64>,
}

impl LatencyJson {
    fn of(percentile: impl Fn(f64) -> Option<std::time::Duration>) -> Self {
        let nanos = |percent| percentile(percent).map(nanos);
        LatencyJson {
            latency_p50_ns: nanos(50.0),
            latency_p90_ns: nanos(90.0),
            latency_p99_ns: nanos(99.0),
            latency_p999_ns: nanos(99.9),
            latency_max_ns: nanos(100.0),
        }
    }
}

impl<'a> AskedJson<'a> {
    pub(super) fn of(asked: &'a Asked, config: &Config, session: &'a Session) -> Self {
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
            latency: LatencyJson::of(|percent| tally.latency(percent)),
            evenness: super::evenness_of(asked),
            watched: config.watch.then(|| WatchedJson::of(&asked.watcher)),
            replicas: tally.replicas().map(|(who, replica)| ReplicaJson::of(who, replica, tally.answers())).collect(),
        }
    }
}

impl TargetJson {
    fn of(resolved: &Resolved) -> Self {
        let (addresses, error) = match &resolved.answer {
            Ok(addresses) => (addresses.iter().map(ToString::to_string).collect(), None),
            Err(failure) => (Vec::new(), Some(failure.message.clone())),
        };
        let preferred = resolved.preferred.as_ref().map(|preferred| PreferredJson {
            address: preferred.address.to_string(),
            rule: preferred.rule.map(|rule| rule.shown()),
        });
        TargetJson { target: resolved.target.to_string(), addresses, preferred, error }
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
            latency: LatencyJson::of(|percent| replica.latency(percent)),
            failed_tries: replica.failures,
        }
    }
}

impl<'a> WatchedJson<'a> {
    fn of(watcher: &'a Watcher) -> Self {
        let change = |change: &'a Change| ChangeJson {
            from: &change.last.replica,
            to: &change.first.replica,
            failed: change.failed,
            gap_ns: nanos(change.gap()),
        };
        WatchedJson {
            moves: watcher.moves(),
            gaps: watcher.outages(),
            failed: watcher.failures(),
            longest: watcher.longest().map(change),
        }
    }
}
