//! Either side killed at random points: every file ends right, and little is sent twice. Real sockets, real disk.
//!
//! Between the two stands a relay that counts the bytes that pass, and holds everything up where a kill is due: so each
//! kill meets a transfer that is under way, on any machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "reliable/setup.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod setup;

use std::net::SocketAddr;

use labkit::Exit;
use netsim::Random;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use udp_transfer::reliable::client::{self, Config, Report};
use udp_transfer::reliable::server;

use setup::{Running, bytes, config, folder, named, session};

/// Eight chunks and a bit.
const SIZE: usize = (8 << 20) + 12_345;
/// Kills of each side, in lanes that run at once.
const LANES: u64 = 20;
const KILLS_A_LANE: u32 = 10;
/// What may be sent twice for each kill: a chunk, and a window.
const SENT_TWICE: u64 = 5 << 20;
/// Bit/s: what a relay's socket takes.
const RATE: u64 = 400_000_000;

/// Where a kill is due: the relay stands still until it is answered.
struct Due {
    go_on: tokio::sync::oneshot::Sender<()>,
}

/// Passes datagrams on between one client at a time and a server.
struct Relay {
    address: SocketAddr,
    due: mpsc::Receiver<Due>,
    task: tokio::task::JoinHandle<()>,
}

impl Relay {
    /// Stands still at random places, so many of them in what `server` sends.
    async fn start(server: SocketAddr, random: &mut Random) -> Self {
        let mut points: Vec<u64> = (0..KILLS_A_LANE).map(|_| random.below(SIZE as u64)).collect();
        points.sort_unstable();
        let (front, back) = (bound().await, bound().await);
        back.connect(server).await.unwrap();
        let address = front.local_addr().unwrap();
        let (told, due) = mpsc::channel(1);
        Relay { address, due, task: tokio::spawn(pass(front, back, points, told)) }
    }

    async fn next_kill(&mut self) -> Due {
        self.due.recv().await.unwrap()
    }
}

async fn bound() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

async fn pass(front: UdpSocket, back: UdpSocket, points: Vec<u64>, told: mpsc::Sender<Due>) {
    let (mut there, mut here) = (vec![0; 65_536], vec![0; 65_536]);
    let (mut client, mut passed) = (None, 0_u64);
    let mut points = points.into_iter().peekable();
    loop {
        tokio::select! {
            Ok((length, from)) = front.recv_from(&mut there) => {
                client = Some(from);
                // Nobody may listen there just now, as after any kill.
                let _ = back.send(&there[..length]).await;
            }
            received = back.recv(&mut here) => {
                let Ok(length) = received else { continue };
                passed += length as u64;
                while points.next_if(|&point| point < passed).is_some() {
                    let (go_on, gone_on) = tokio::sync::oneshot::channel();
                    told.send(Due { go_on }).await.unwrap();
                    let _ = gone_on.await;
                }
                if let Some(client) = client {
                    let _ = front.send_to(&here[..length], client).await;
                }
            }
        }
    }
}

/// Fetches once more; a client that was just killed may hold its lock until the disk has taken its last block.
async fn once_more(config: &Config) -> Report {
    loop {
        let report = client::get(config, &session("client")).await.unwrap();
        if report.verdict().code != "PART-IN-USE" {
            return report;
        }
        tokio::task::yield_now().await;
    }
}

async fn clients_are_killed(lane: u64) {
    let (root, output) = (folder(), folder());
    let original = bytes(SIZE, lane);
    std::fs::write(root.path().join("a.bin"), &original).unwrap();
    let server = Running::start(root.path());
    let mut relay = Relay::start(server.address, &mut Random::stream(lane, 1)).await;
    let fetched = Config { bitrate: Some(RATE), ..config(relay.address, named("a.bin"), output.path()) };
    let whole = output.path().join("a.bin");
    for _ in 0..KILLS_A_LANE {
        let running = tokio::spawn({
            let fetched = fetched.clone();
            async move { once_more(&fetched).await }
        });
        let due = relay.next_kill().await;
        assert!(!whole.exists(), "no final name before the end");
        running.abort();
        assert!(running.await.is_err(), "lane {lane}: it had ended before it was killed");
        due.go_on.send(()).unwrap();
    }
    let report = once_more(&fetched).await;
    assert_eq!(report.verdict().exit, Exit::Done, "lane {lane}: {}", report.text());
    assert!(std::fs::read(&whole).unwrap() == original, "lane {lane}");
    let served = server.stop().await;
    let most = SIZE as u64 + u64::from(KILLS_A_LANE) * SENT_TWICE;
    assert!(served.bytes <= most, "lane {lane}: {} sent after {KILLS_A_LANE} kills", served.bytes);
    relay.task.abort();
}

async fn servers_are_killed(lane: u64) {
    let (root, output) = (folder(), folder());
    let original = bytes(SIZE, lane);
    std::fs::write(root.path().join("a.bin"), &original).unwrap();
    let mut server = Running::start(root.path());
    let address = server.address;
    let mut relay = Relay::start(address, &mut Random::stream(lane, 2)).await;
    let fetched = Config { bitrate: Some(RATE), ..config(relay.address, named("a.bin"), output.path()) };
    let running = tokio::spawn(async move { client::get(&fetched, &session("client")).await.unwrap() });
    for _ in 0..KILLS_A_LANE {
        let due = relay.next_kill().await;
        // As by SIGKILL: nobody is told.
        server.task.abort();
        assert!(server.task.await.is_err(), "lane {lane}: it had ended before it was killed");
        server = Running::start_with(root.path(), |config| server::Config { bind: address, ..config });
        due.go_on.send(()).unwrap();
    }
    let report = running.await.unwrap();
    assert_eq!(report.verdict().exit, Exit::Done, "lane {lane}: {}", report.text());
    assert!(std::fs::read(output.path().join("a.bin")).unwrap() == original, "lane {lane}");
    let most = SIZE as u64 + u64::from(KILLS_A_LANE) * SENT_TWICE;
    assert!(report.rows[0].fetched <= most, "lane {lane}: {} fetched", report.rows[0].fetched);
    server.stop().await;
    relay.task.abort();
}

async fn in_lanes<F: Future<Output = ()> + Send + 'static>(lane: fn(u64) -> F) {
    let mut lanes = tokio::task::JoinSet::new();
    for number in 0..LANES {
        lanes.spawn(lane(number));
    }
    while let Some(ended) = lanes.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_killed_at_200_random_points_goes_on_each_time() {
    in_lanes(clients_are_killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_killed_at_200_random_points_is_found_again_each_time() {
    in_lanes(servers_are_killed).await;
}
