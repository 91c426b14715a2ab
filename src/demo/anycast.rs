//! Act 1: five replicas, one client, and what happens when one of them goes.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anycast::client::{self, Asked};
use anycast::report;
use anycast::server::{self, Served};
use anycast::tally::Who;
use labkit::target::Target;
use labkit::{Failure, Session, socket};
use tokio::task::JoinHandle;

use super::stage::Stage;

const QUESTIONS: u64 = 50;
const QUESTIONS_AFTER: u64 = 20;
const TIMEOUT: Duration = Duration::from_secs(2);

/// The replica that goes.
const GOES: usize = 2;

pub(super) async fn play(stage: &mut Stage, seed: u64) -> Result<(), Failure> {
    super::begin(stage, 1, "anycast", "Anycast: one service, several servers");
    let mut replicas = start_replicas(stage.session())?;
    let addresses: Vec<SocketAddr> = replicas.iter().map(|replica| replica.address).collect();

    stage.say(&format!(
        "Five servers wait on loopback. A client asks {QUESTIONS} times, each time one of them at random (--seed {seed})."
    ));
    let asked = ask(stage.session(), &addresses, QUESTIONS, seed).await?;
    stage.say(&report::distribution(&asked));
    let (answers, used) = (asked.tally.answers(), asked.tally.replicas_used());
    stage.expect(answers == QUESTIONS, format!("{answers} of {QUESTIONS} questions were answered"));
    stage.expect(
        used == replicas.len(),
        format!("{used} of {} servers answered: nobody chose them but chance", replicas.len()),
    );

    let gone = replicas.remove(GOES);
    let name = gone.name.clone();
    stage.say(&format!("Now {name} stops. The client does not know, and asks {QUESTIONS_AFTER} times more."));
    let mut greeted = gone.stop().await?.greeted;
    let after = ask(stage.session(), &addresses, QUESTIONS_AFTER, seed).await?;
    let (answers, failures) = (after.tally.answers(), after.tally.failures());
    stage.expect(
        answers == QUESTIONS_AFTER && failures > 0 && !heard_from(&after, &name),
        format!(
            "{answers} of {QUESTIONS_AFTER} were answered: {failures} times {name} was gone and the next one served"
        ),
    );

    for replica in replicas {
        greeted += replica.stop().await?.greeted;
    }
    let total = QUESTIONS + QUESTIONS_AFTER;
    stage.expect(greeted == total, format!("the servers counted the same: {greeted} greetings, {total} received"));
    Ok(())
}

struct Replica {
    name: String,
    address: SocketAddr,
    session: Session,
    running: JoinHandle<Result<Served, Failure>>,
}

fn start_replicas(session: &Session) -> Result<Vec<Replica>, Failure> {
    (1..=5)
        .map(|number| {
            let name = format!("server{number}");
            let listener = socket::listen_tcp((Ipv4Addr::LOCALHOST, 0).into())?;
            let address =
                listener.local_addr().map_err(|error| Failure::io("read", "the listener's address", &error))?;
            let session = session.inner("anycast-server", &name);
            let config = server::Config { deadline: TIMEOUT, ..server::Config::named(&name) };
            let running = tokio::spawn({
                let session = session.clone();
                async move { server::run(listener, config, &session).await }
            });
            Ok(Replica { name, address, session, running })
        })
        .collect()
}

impl Replica {
    async fn stop(self) -> Result<Served, Failure> {
        self.session.shutdown.request();
        self.running.await.expect("a replica does not panic")
    }
}

async fn ask(session: &Session, addresses: &[SocketAddr], count: u64, seed: u64) -> Result<Asked, Failure> {
    let targets = addresses.iter().map(|address| Target { host: address.ip().to_string(), port: Some(address.port()) });
    let config = client::Config {
        targets: targets.collect(),
        seed,
        count: Some(count),
        concurrency: 4,
        tries: addresses.len(),
        timeout: TIMEOUT,
        ..client::Config::default()
    };
    client::run(config, &session.inner("anycast-client", "client")).await
}

fn heard_from(asked: &Asked, name: &str) -> bool {
    asked.tally.replicas().any(|(who, _)| matches!(who, Who::Named(named, _) if named == name))
}
