//! From targets to candidates: every address of every target, and which one the operating system would have taken.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use events::Event;
use labkit::target::{self, Target};
use labkit::{Failure, Session};

use super::Config;
use crate::preference::{Rule, Way, rule_between};

/// A target and what it stands for.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// As given.
    pub target: Target,
    /// Its addresses, or why there are none.
    pub answer: Result<Vec<SocketAddr>, Failure>,
    /// Which of them the operating system would have taken, and why; none where there is no choice.
    pub preferred: Option<Preferred>,
}

/// The address the operating system would have taken: the first of the list, as most programs do.
#[derive(Clone, Debug)]
pub struct Preferred {
    /// Which.
    pub address: SocketAddr,
    /// The rule that puts it before all others; `None` where several are equally good, so that the order of the DNS
    /// server's answer decides.
    pub rule: Option<Rule>,
}

impl fmt::Display for Preferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match self.rule {
            Some(rule) => write!(f, "most programs would take {address}, every time (RFC 6724 {})", rule.shown()),
            None => write!(f, "most programs would take {address}, which is first in this answer"),
        }
    }
}

/// Looks every target up. One that has no address is told and passed over; all of them is a failure.
pub(super) async fn resolve_all(config: &Config, session: &Session) -> Result<Vec<Resolved>, Failure> {
    let mut resolved: Vec<Resolved> = Vec::new();
    for target in &config.targets {
        let answer = target::resolve(target, config.port, config.family).await;
        let mut preferred_one = None;
        match &answer {
            Ok(addresses) => {
                tell(target, addresses, session);
                preferred_one = preferred(addresses);
                if let Some(preferred) = &preferred_one {
                    session.output.line(preferred.to_string());
                }
            }
            Err(failure) => {
                tracing::warn!("{}", failure.message);
                session.recorder.tell(|| Event::Failed {
                    what: "resolve".to_owned(),
                    peer: Some(target.to_string()),
                    reason: failure.message.clone(),
                });
            }
        }
        resolved.push(Resolved { target: target.clone(), answer, preferred: preferred_one });
    }
    let first_failure = resolved.iter().find_map(|one| one.answer.as_ref().err());
    match (resolved.iter().any(|one| one.answer.is_ok()), first_failure) {
        (true, _) => Ok(resolved),
        (false, Some(failure)) => Err(failure.clone()),
        (false, None) => Err(Failure::usage("no target given")),
    }
}

fn tell(target: &Target, addresses: &[SocketAddr], session: &Session) {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    session.output.line(format!("{target} is {}", addresses.join(", ")));
    session.recorder.tell(|| Event::Resolved { target: target.to_string(), addresses });
}

/// Looks the names up again; what they stand for now, sorted, so that a shuffle is no change. Where one has no answer for
/// now, `None`.
pub(super) async fn again(config: &Config) -> Option<Vec<SocketAddr>> {
    let mut found = Vec::new();
    for target in &config.targets {
        found.extend(target::resolve(target, config.port, config.family).await.ok()?);
    }
    found.sort_unstable();
    Some(found)
}

/// Every address of every target.
pub(super) fn addresses(resolved: &[Resolved]) -> Vec<SocketAddr> {
    resolved.iter().filter_map(|one| one.answer.as_ref().ok()).flatten().copied().collect()
}

/// The first address, and the rule that makes it first each time: one that holds against every other address.
fn preferred(candidates: &[SocketAddr]) -> Option<Preferred> {
    let (&address, others) = candidates.split_first()?;
    let first = way(address);
    if others.is_empty() {
        return None;
    }
    let rules: Option<Vec<Rule>> = others.iter().map(|other| rule_between(first, way(*other))).collect();
    // Where the others are behind for different reasons, the weakest is what keeps the first one first.
    let rule = rules.and_then(|rules| rules.into_iter().max_by_key(|rule| *rule as u8));
    Some(Preferred { address, rule })
}

/// Which of our addresses the kernel would use: a UDP socket that is connected sends nothing and knows.
fn way(destination: SocketAddr) -> Way {
    let any: IpAddr = match destination {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = || {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(destination).ok()?;
        socket.local_addr().ok()
    };
    Way { destination: destination.ip(), source: source().map(|address| address.ip()) }
}
