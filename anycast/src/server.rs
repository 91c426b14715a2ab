//! A replica: says who it is to everybody who connects, with a bound on how many at once and how long each.

mod config;
mod door;
mod replica;
mod serving;

use std::sync::Arc;

use events::{Event, Outcome};
use labkit::{Failure, Session, Shutdown, socket};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

pub use config::{Config, Protocol};
pub use replica::Served;

use door::{Door, Listener};
use replica::Replica;

/// Connections served at once on the listener for HTTP beside the main one: health checks, mostly.
const BESIDE_AT_ONCE: usize = 256;

/// Descriptors kept for everything that is no served connection: listeners, files, those being turned away.
const KEPT_BACK: usize = door::TURNED_AWAY_AT_ONCE + 64;

/// Serves `listener` until the session is asked to finish (or the configured number of connections is reached), then
/// lets the open connections end.
///
/// # Errors
/// When the listener cannot be used.
pub async fn run(listener: TcpListener, config: Config, session: &Session) -> Result<Served, Failure> {
    run_beside(listener, None, config, session).await
}

/// The same, with a second listener for HTTP beside the main one: `GET /` and `GET /health`, for browsers and load
/// balancers. Its answers are not counted among the greetings.
///
/// # Errors
/// When a listener cannot be used.
pub async fn run_beside(
    listener: TcpListener,
    http: Option<TcpListener>,
    mut config: Config,
    session: &Session,
) -> Result<Served, Failure> {
    let (listener, http) = (Listener::adopt(listener)?, http.map(Listener::adopt).transpose()?);
    session.tell_started(Some(listener.address.to_string()), None);
    session.output.line(format!("[server] listening on {}", listener.address));
    let room = socket::raise_descriptors().saturating_sub(KEPT_BACK).max(1);
    if room < config.max_connections {
        tracing::warn!("at most {room} connections at once: the system gives this process no more descriptors");
        config.max_connections = room;
    }

    let (tasks, stop) = (TaskTracker::new(), Shutdown::manual());
    let replica = Arc::new(Replica::new(config, session.clone(), stop.clone()));
    let config = &replica.config;
    let mut main = Door::new(replica.clone(), config.protocol, config.max_connections, tasks.clone());
    main.limit = config.connections;
    let mut beside = match http {
        Some(http) => {
            session.output.line(format!("[server] HTTP on {}", http.address));
            let mut door = Door::new(replica.clone(), Protocol::Http, BESIDE_AT_ONCE, tasks.clone());
            door.is_beside = true;
            door.open(http)
        }
        None => JoinSet::new(),
    };
    let mut keepers = main.open(listener);
    let asked_to_finish = async {
        session.shutdown.requested().await;
        drain(&replica).await;
    };
    tokio::select! {
        // The first that ends, because the limit is reached: or by a panic, which was told already.
        _ = keepers.join_next() => {}
        () = asked_to_finish => {}
    }
    stop.request();
    // With the last keeper goes the listener: whoever connects from now on is refused at once, instead of waiting for us.
    while keepers.join_next().await.is_some() || beside.join_next().await.is_some() {}
    tasks.close();
    tasks.wait().await; // Each task is bounded by its deadline.
    let served = replica.served();
    session.recorder.tell(|| Event::Finished { outcome: Outcome::Complete, reason: None });
    Ok(served)
}

/// Not healthy any more, and still serving, so that whoever sends the clients sends them elsewhere before we are gone.
async fn drain(replica: &Replica) {
    let period = replica.config.drain;
    if period.is_zero() {
        return;
    }
    replica.start_draining();
    replica
        .session
        .output
        .line(format!("[server] draining for {}: not healthy, still serving", labkit::units::show_duration(period)));
    replica.session.recorder.tell(|| Event::Phase { name: "draining".to_owned() });
    tokio::time::sleep(period).await;
}
