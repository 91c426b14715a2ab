//! Keeps connections open and asks on each again and again, to see which of them break when routes change.
//!
//! What a router does to a flow is invisible to its ends, but for one thing: a segment that reaches a replica which never
//! saw the connection is answered with a reset (RFC 9293 section 3.10.7.1). A new connection from the same port has the
//! same addresses and ports, takes the same way through a router that hashes them, and so tells who sent the reset.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::{Event, Outcome, Time};
use labkit::units::show_duration;
use labkit::{Exit, Failure, Session};
use tokio_util::task::TaskTracker;

use super::{Config, Ended, connecting, resolving, talking};
use crate::chooser::Chooser;
use crate::flows::{Break, Flows, How};
use crate::stream::Stream;

/// How often the same flow is tried again after a break before it is given up, and how long between the tries: a route
/// may need a moment to settle.
const TRIES_AFTER_BREAK: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// What came of it.
#[derive(Clone, Debug)]
pub struct Held {
    /// What became of each connection.
    pub flows: Flows,
    /// How long it took.
    pub elapsed: Duration,
    /// How it ended.
    pub ended: Ended,
}

impl Held {
    /// The exit code this run deserves. That connections break is what it is there to show, and no failure.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.ended {
            _ if self.flows.count() == 0 => Exit::NobodyAnswered,
            Ended::Interrupted => Exit::Interrupted,
            Ended::Deadline => Exit::Deadline,
            Ended::Done => Exit::Done,
        }
    }
}

/// Keeps `connections` connections open over HTTP, and asks on each every `interval` of the configuration, `count` times
/// or until it is told to finish.
///
/// # Errors
/// When no target has an address.
pub async fn run(config: Config, connections: usize, session: &Session) -> Result<Held, Failure> {
    session.tell_started(None, Some(config.seed));
    let started = session.clock.now();
    let resolved = resolving::resolve_all(&config, session).await?;
    let candidates = resolving::addresses(&resolved);
    let mut chooser = Chooser::new(config.pick, &candidates, config.seed, &config.key);
    let (tasks, stop) = (TaskTracker::new(), session.shutdown.child());
    let holding =
        Arc::new(Holding { flows: Mutex::default(), config: config.clone(), session: session.clone(), started });
    for flow in 0..connections as u64 {
        let Some(&address) = chooser.addresses().first() else { continue };
        let (holding, stop) = (holding.clone(), stop.clone());
        tasks.spawn(async move {
            let last = Mutex::new(None);
            let _ = stop.or(holding.hold(flow, address, &last)).await;
            // Ended or told to finish: who had it last is who has it still.
            if let Some(replica) = last.into_inner().unwrap_or_else(PoisonError::into_inner) {
                holding.count(|flows| flows.survived(&replica));
            }
        });
    }
    tasks.close();
    let ended = tokio::select! {
        () = tasks.wait() => Ended::Done,
        () = session.shutdown.requested() => if config.count.is_none() { Ended::Done } else { Ended::Interrupted },
        () = sleep_or_never(config.deadline) => Ended::Done,
    };
    stop.request();
    tasks.wait().await;
    let flows = holding.flows.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let held = Held { flows, elapsed: session.clock.now() - started, ended };
    let outcome = if held.flows.breaks().is_empty() { Outcome::Complete } else { Outcome::Partial };
    session.recorder.tell(|| Event::Finished { outcome, reason: None });
    Ok(held)
}

struct Holding {
    flows: Mutex<Flows>,
    config: Config,
    session: Session,
    started: Time,
}

/// A connection and who has it.
struct Kept {
    stream: Stream,
    port: u16,
    replica: String,
    since: Time,
}

impl Holding {
    fn count(&self, count: impl FnOnce(&mut Flows)) {
        count(&mut self.flows.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// One flow: asks as often as wanted, and after a break goes on with a new connection from the same port.
    async fn hold(&self, flow: u64, address: SocketAddr, last: &Mutex<Option<String>>) {
        let remember = |replica: Option<&str>| {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = replica.map(str::to_owned);
        };
        let mut kept = match self.open(flow, address, None).await {
            Ok(kept) => kept,
            Err(problem) => {
                tracing::warn!("{address} {problem}");
                self.count(Flows::unconnected);
                return;
            }
        };
        self.count(|flows| flows.held(&kept.replica));
        remember(Some(&kept.replica));
        let mut asked = 1;
        while self.config.count.is_none_or(|count| asked < count) {
            tokio::time::sleep(self.config.interval).await;
            asked += 1;
            let Err(how) = self.ask(&mut kept.stream, address).await else {
                self.count(Flows::answered);
                continue;
            };
            let (was, after, port) = (kept.replica.clone(), self.session.clock.now() - kept.since, kept.port);
            drop(kept);
            remember(None);
            let again = self.open_again(flow, address, port).await;
            let now = again.as_ref().map(|kept| kept.replica.clone());
            self.tell_break(flow, port, Break { was, how, after, now });
            let Some(again) = again else { return };
            remember(Some(&again.replica));
            kept = again;
        }
    }

    async fn open(&self, flow: u64, address: SocketAddr, port: Option<u16>) -> Result<Kept, String> {
        let since = self.session.clock.now();
        let open = async {
            let mut stream = connecting::connect(address, port).await?;
            let port = stream.local_addr().map_err(|error| error.to_string())?.port();
            let (said, open) = talking::get(&mut stream, &mut Vec::new(), address, "/", true).await?;
            if !open {
                return Err("it does not keep connections open (is it a replica with --protocol http?)".to_owned());
            }
            Ok(Kept { stream, port, replica: said.name.unwrap_or(said.shown), since })
        };
        let limit = self.config.timeout;
        let kept = tokio::time::timeout(limit, open)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {}", show_duration(limit))))?;
        self.session.recorder.tell_in(flow, || Event::Connected { peer: address.to_string(), elapsed_ns: None });
        Ok(kept)
    }

    async fn open_again(&self, flow: u64, address: SocketAddr, port: u16) -> Option<Kept> {
        for _ in 0..TRIES_AFTER_BREAK {
            if let Ok(kept) = self.open(flow, address, Some(port)).await {
                return Some(kept);
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        None
    }

    async fn ask(&self, stream: &mut Stream, address: SocketAddr) -> Result<(), How> {
        match tokio::time::timeout(self.config.timeout, talking::get(stream, &mut Vec::new(), address, "/", true)).await
        {
            Ok(Ok((_, true))) => Ok(()),
            // It answered and said that it closes, or closed without an answer.
            Ok(Ok((_, false))) => Err(How::Closed),
            Ok(Err(problem)) if problem.contains("it closed") => Err(How::Closed),
            Ok(Err(_)) => Err(How::Reset),
            Err(_) => Err(How::Silent),
        }
    }

    fn tell_break(&self, flow: u64, port: u16, one: Break) {
        let at = (self.session.clock.now() - self.started).as_secs_f64();
        let show = |name: &str| labkit::text::show(name.as_bytes(), 40);
        let was = show(&one.was);
        let ending = match (one.how, one.now.as_deref().map(show)) {
            (How::Reset, Some(now)) if now != was => {
                format!("reset: your flow moved from {was} to {now}, which never saw it")
            }
            (How::Reset, Some(_)) => format!("reset by {was}, which forgot it"),
            (How::Reset, None) => format!("{was} is gone and reset it, or somebody did for it; nobody answers now"),
            (How::Closed, now) => {
                format!("{was} closed it in order; now {}", now.as_deref().unwrap_or("nobody answers"))
            }
            (How::Silent, now) => format!("{was} fell silent; now {}", now.as_deref().unwrap_or("nobody answers")),
        };
        self.session.output.line(format!("[{at:.3} s] port {port}: {ending}"));
        self.session.recorder.tell_in(flow, || Event::Changed {
            what: "flow".to_owned(),
            from: one.was.clone(),
            to: one.now.clone().unwrap_or_else(|| "nobody".to_owned()),
            failed: 1,
            gap_ns: 0,
        });
        self.count(|flows| flows.broke(one));
    }
}

async fn sleep_or_never(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
