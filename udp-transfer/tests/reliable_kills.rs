//! Either side killed at random points: every file ends right, and little is sent twice. Real sockets, real disk.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "reliable/setup.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod setup;

use std::path::Path;

use labkit::Exit;
use netsim::Random;
use udp_transfer::reliable::client::{self, Config, Report};
use udp_transfer::reliable::server;

use setup::{Running, bytes, config, folder, named, session};

/// Eight chunks and a bit.
const SIZE: usize = (8 << 20) + 12_345;
/// Kills of each side, in lanes that run at once.
const LANES: u64 = 10;
const KILLS_A_LANE: u32 = 20;
/// What may be sent twice for each kill: a chunk, and a window.
const SENT_TWICE: u64 = 5 << 20;
/// Slow enough to be met on the way.
const RATE: u64 = 400_000_000;

/// So many random places in the file, in order.
fn points(random: &mut Random, count: u32) -> Vec<u64> {
    let mut points: Vec<u64> = (0..count).map(|_| random.below(SIZE as u64)).collect();
    points.sort_unstable();
    points
}

/// Lets the others work, and comes back to look again.
async fn look_again() {
    tokio::time::sleep(std::time::Duration::from_micros(500)).await;
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Fetches once more; a client that was just killed may hold its lock for a moment.
async fn once_more(config: &Config) -> Report {
    loop {
        let report = client::get(config, &session("client")).await.unwrap();
        if report.verdict().code != "PART-IN-USE" {
            return report;
        }
        look_again().await;
    }
}

async fn clients_are_killed(lane: u64) {
    let (root, output) = (folder(), folder());
    let original = bytes(SIZE, lane);
    std::fs::write(root.path().join("a.bin"), &original).unwrap();
    let server = Running::start(root.path());
    let fetched = Config { bitrate: Some(RATE), ..config(server.address, named("a.bin"), output.path()) };
    let (part, whole) = (output.path().join("a.bin.part"), output.path().join("a.bin"));
    let mut killed = 0_u32;
    for point in points(&mut Random::stream(lane, 1), KILLS_A_LANE) {
        let running = tokio::spawn({
            let fetched = fetched.clone();
            async move { once_more(&fetched).await }
        });
        while size_of(&part) < point && !running.is_finished() {
            look_again().await;
        }
        assert!(!whole.exists() || running.is_finished(), "no final name before the end");
        running.abort();
        killed += u32::from(running.await.is_err());
    }
    let report = once_more(&fetched).await;
    assert_eq!(report.verdict().exit, Exit::Done, "lane {lane}: {}", report.text());
    assert!(std::fs::read(&whole).unwrap() == original, "lane {lane}");
    assert!(killed * 2 > KILLS_A_LANE, "lane {lane}: only {killed} were met on the way");
    let served = server.stop().await;
    let most = SIZE as u64 + u64::from(killed) * SENT_TWICE;
    assert!(served.bytes <= most, "lane {lane}: {} sent after {killed} kills", served.bytes);
}

async fn servers_are_killed(lane: u64) {
    let (root, output) = (folder(), folder());
    let original = bytes(SIZE, lane);
    std::fs::write(root.path().join("a.bin"), &original).unwrap();
    let mut server = Running::start(root.path());
    let address = server.address;
    let fetched = Config { bitrate: Some(RATE), ..config(address, named("a.bin"), output.path()) };
    let part = output.path().join("a.bin.part");
    let running = tokio::spawn({
        let fetched = fetched.clone();
        async move { client::get(&fetched, &session("client")).await.unwrap() }
    });
    let mut kills = 0_u32;
    for point in points(&mut Random::stream(lane, 2), KILLS_A_LANE) {
        while size_of(&part) < point && !running.is_finished() {
            look_again().await;
        }
        if running.is_finished() {
            break;
        }
        // As by SIGKILL: nobody is told.
        server.task.abort();
        let _ = server.task.await;
        kills += 1;
        server = Running::start_with(root.path(), |config| server::Config { bind: address, ..config });
    }
    let report = running.await.unwrap();
    assert_eq!(report.verdict().exit, Exit::Done, "lane {lane}: {}", report.text());
    assert!(std::fs::read(output.path().join("a.bin")).unwrap() == original, "lane {lane}");
    assert!(kills * 2 > KILLS_A_LANE, "lane {lane}: only {kills} kills");
    let most = SIZE as u64 + u64::from(kills) * SENT_TWICE;
    assert!(report.rows[0].fetched <= most, "lane {lane}: {} fetched after {kills} kills", report.rows[0].fetched);
    server.stop().await;
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
