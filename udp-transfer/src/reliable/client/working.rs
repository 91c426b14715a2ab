//! Several files or several copies at once: workers with a session each, who take jobs from one list.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arq::catalogue::FileName;
use arq::wire::Request;
use events::{Event, Outcome, Time, Unit};
use labkit::{Failure, Session};
use tokio::task::JoinSet;

use super::connection::Connection;
use super::fetching::{Fetched, Fetching, Job};
use super::report::{Network, Report, Result as RowResult, Row};
use super::{ALL, Config, Wanted, all_entries, first_connection, interrupted, late, within};
use crate::disk::part::Folder;
use crate::progress::Progress;
use crate::reliable::port::Tallies;

/// Does all of it.
pub(super) async fn run(config: &Config, session: &Session) -> Result<Report, Failure> {
    let begun = session.clock.now();
    let until = config.asking.deadline.map(|deadline| begun + deadline);
    let folder = Folder::open(&config.output)?;
    let (connection, jobs) = within(until, session, async {
        let mut connection = first_connection(&config.asking, first_question(config), session).await?;
        let jobs = jobs(config, &mut connection).await?;
        Ok((connection, jobs))
    })
    .await?;
    let (server, buffer) = (connection.server(), connection.receive_buffer());
    let crew = Crew {
        config: config.clone(),
        folder,
        session: session.clone(),
        begun,
        until,
        list: Mutex::new(jobs.iter().cloned().collect()),
    };
    let (rows, network) = crew.work(connection, &jobs).await;
    let elapsed = session.clock.now() - begun;
    let mut report = Report { server, mode: config.policy.to_string(), receive_buffer: buffer, rows, network, elapsed };
    report.rows.sort_by_key(|row| row.number);
    tell(&report, session);
    Ok(report)
}

/// What is asked before anything else.
fn first_question(config: &Config) -> Request {
    match &config.wanted {
        Wanted::Named(names) => names.first().cloned().map_or(ALL, Request::Find),
        Wanted::All => ALL,
    }
}

/// What is to be fetched, in the order of the names.
async fn jobs(config: &Config, connection: &mut Connection) -> Result<Vec<Job>, Failure> {
    let named = |number: u64, name: FileName, target: FileName| Job {
        number,
        name,
        target,
        progress: Arc::new(AtomicU64::new(0)),
        size: Arc::new(AtomicU64::new(0)),
    };
    match &config.wanted {
        Wanted::All => {
            let entries = all_entries(connection).await?;
            Ok((1..).zip(entries).map(|(number, entry)| named(number, entry.name.clone(), entry.name)).collect())
        }
        Wanted::Named(names) => match names.as_slice() {
            [name] if config.clients > 1 => (1..=config.clients)
                .map(|client| Ok(named(client.into(), name.clone(), copy_of(name, client, config.clients)?)))
                .collect(),
            names => Ok((1..).zip(names).map(|(number, name)| named(number, name.clone(), name.clone())).collect()),
        },
    }
}

/// `Cliente<i>-Prueba<N>.<ext>`, as the original names the copies of its sub-clients.
fn copy_of(name: &FileName, client: u16, clients: u16) -> Result<FileName, Failure> {
    let extension = Path::new(name.as_str()).extension().and_then(|extension| extension.to_str());
    let extension = extension.map(|extension| format!(".{extension}")).unwrap_or_default();
    FileName::new(&format!("Cliente{client}-Prueba{clients}{extension}"))
        .map_err(|error| Failure::usage(format!("no file can be named after that one: {error}")))
}

/// All workers, and the list they take from.
struct Crew {
    config: Config,
    folder: Folder,
    session: Session,
    begun: Time,
    until: Option<Time>,
    list: Mutex<VecDeque<Job>>,
}

impl Crew {
    async fn work(self, first: Connection, jobs: &[Job]) -> (Vec<Row>, Network) {
        let crew = Arc::new(self);
        let workers = usize::from(crew.config.clients).min(jobs.len()).max(1);
        let mut running = JoinSet::new();
        let mut first = Some(first);
        for which in 0..workers as u64 {
            let (crew, connection) = (crew.clone(), first.take());
            running.spawn(async move { crew.one(which, connection).await });
        }
        let shown: Vec<_> =
            jobs.iter().map(|job| (job.target.to_string(), job.progress.clone(), job.size.clone())).collect();
        let progress = Progress::of_files(crew.config.show, shown);
        let mut ticks = tokio::time::interval(progress.interval());
        ticks.tick().await; // The first is at once.
        let (mut rows, mut network) = (Vec::new(), Network::default());
        while !running.is_empty() {
            tokio::select! {
                _ = ticks.tick() => progress.tick(),
                Some(ended) = running.join_next() => match ended {
                    Ok((done, tallies)) => {
                        rows.extend(done);
                        network.add(tallies);
                    }
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
            }
        }
        progress.finish();
        // What nobody got to: somebody stopped it, or no worker was left.
        for job in crew.list.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let is_late = crew.until.is_some_and(|until| until <= crew.session.clock.now());
            rows.push(Row::unfetched(&job, if is_late { late() } else { interrupted() }));
        }
        (rows, network)
    }

    async fn one(&self, which: u64, connection: Option<Connection>) -> (Vec<Row>, Tallies) {
        let mut rows = Vec::new();
        let mut connection = match connection {
            Some(connection) => connection,
            None => match self.connect(which).await {
                Ok(connection) => connection,
                Err(failure) => {
                    if let Some(job) = self.next() {
                        rows.push(Row::unfetched(&job, failure));
                    }
                    return (rows, Tallies::default());
                }
            },
        };
        let fetching =
            Fetching { config: &self.config, folder: &self.folder, session: &self.session, until: self.until };
        while let Some(job) = self.next() {
            let begun = self.session.clock.now();
            self.session.recorder.tell_in(job.number, || Event::Phase { name: format!("fetch {}", job.name) });
            let fetched = fetching.fetch(&mut connection, &job).await;
            let times = (begun - self.begun, self.session.clock.now() - begun);
            let is_over = matches!(&fetched.result, RowResult::Failed(failure) if ends_it(failure));
            rows.push(self.row(&job, fetched, times, &connection));
            if is_over {
                break;
            }
        }
        connection.leave().await;
        (rows, connection.tallies())
    }

    fn next(&self) -> Option<Job> {
        if self.session.shutdown.is_requested() || self.until.is_some_and(|until| until <= self.session.clock.now()) {
            return None;
        }
        self.list.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    async fn connect(&self, which: u64) -> Result<Connection, Failure> {
        within(self.until, &self.session, async {
            let addresses = labkit::target::resolve(
                &self.config.asking.server,
                crate::classic::server::PORT,
                self.config.asking.family,
            )
            .await?;
            // Another may take that job meanwhile: then it is asked in vain.
            let next = self.list.lock().unwrap_or_else(PoisonError::into_inner).front().map(|job| job.name.clone());
            let first = next.map(Request::Find);
            let mut last = Failure::usage("the server has no address");
            for address in addresses {
                match Connection::open(address, &self.config.asking, which, first.clone(), &self.session).await {
                    Ok(connection) => return Ok(connection),
                    Err(failure) => last = failure,
                }
            }
            Err(last)
        })
        .await
    }

    fn row(&self, job: &Job, fetched: Fetched, (begun, elapsed): (Duration, Duration), connection: &Connection) -> Row {
        Row {
            number: job.number,
            name: job.name.to_string(),
            path: Some(fetched.path),
            size: fetched.entry.as_ref().map(|entry| entry.size),
            hash: fetched.entry.as_ref().map(|entry| entry.hash),
            fetched: fetched.fetched,
            resumed: fetched.resumed,
            sent_again: fetched.sent_again,
            ecn: fetched.ecn,
            marks: fetched.marks,
            datagram: connection.agreed.datagram,
            client_port: connection.local().map(|local| local.port()),
            begun,
            elapsed,
            result: fetched.result,
        }
    }
}

/// Whether nothing else will go better on this connection.
fn ends_it(failure: &Failure) -> bool {
    matches!(failure.code, "INTERRUPTED" | "DEADLINE" | "PEER-SILENT" | "SERVER-STOPPED" | "DISK-FULL" | "READ-ONLY")
}

fn tell(report: &Report, session: &Session) {
    for row in &report.rows {
        let peer = report.server.to_string();
        let again = row.sent_again.map(|again| ("blocks_sent_again", again, Unit::Count));
        let took = u64::try_from(row.elapsed.as_nanos()).unwrap_or(u64::MAX);
        let figures = [("bytes_fetched", row.fetched, Unit::Bytes), ("transfer_time", took, Unit::Nanoseconds)];
        for (name, value, unit) in figures.into_iter().chain(again) {
            session.recorder.tell_in(row.number, || Event::Measured {
                name: name.to_owned(),
                value,
                unit,
                peer: Some(peer.clone()),
            });
        }
        session.recorder.tell_in(row.number, || {
            let (outcome, reason) = match &row.result {
                RowResult::Whole | RowResult::Unverified | RowResult::Already => (Outcome::Complete, None),
                RowResult::Holes(holes) => (Outcome::Partial, Some(format!("{} holes", holes.len()))),
                RowResult::Failed(failure) => (Outcome::Failed, Some(failure.message.clone())),
            };
            Event::Finished { outcome, reason }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_named_as_in_the_original() {
        for (name, copy) in [
            ("video 100MB.mp4", "Cliente2-Prueba5.mp4"),
            ("folder/a.tar.gz", "Cliente2-Prueba5.gz"),
            ("README", "Cliente2-Prueba5"),
        ] {
            assert_eq!(copy_of(&FileName::new(name).unwrap(), 2, 5).unwrap().as_str(), copy);
        }
    }
}
