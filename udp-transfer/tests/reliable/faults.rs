//! What goes wrong says so, and loses nothing that was there.

use std::time::Duration;

use labkit::Exit;
use udp_transfer::reliable::client::{self, Asking, Config};
use udp_transfer::reliable::server;

use crate::setup::{Running, bytes, config, folder, get, named, session};

/// Slow enough that a test changes the file on the way, fast enough to end soon.
const RATE: u64 = 80_000_000;

/// Fetches `a.bin` slowly, does `meanwhile` once some of it is here, and gives the verdict's exit and code.
async fn meanwhile(size: usize, meanwhile: impl FnOnce(&std::path::Path, &Running)) -> (Exit, &'static str, bool) {
    let (root, output) = (folder(), folder());
    std::fs::write(root.path().join("a.bin"), bytes(size, 1)).unwrap();
    let server = Running::start(root.path());
    let slow = Config { bitrate: Some(RATE), ..config(server.address, named("a.bin"), output.path()) };
    let running = tokio::spawn({
        let slow = slow.clone();
        async move { client::get(&slow, &session("client")).await.unwrap() }
    });
    let part = output.path().join("a.bin.part");
    while std::fs::metadata(&part).map_or(0, |metadata| metadata.len()) < 100_000 {
        tokio::task::yield_now().await;
    }
    meanwhile(root.path(), &server);
    let verdict = running.await.unwrap().verdict();
    let is_there = output.path().join("a.bin").exists();
    // The next try gives what is there now, whole.
    if let Ok(now) = std::fs::read(root.path().join("a.bin"))
        && !server.session.shutdown.is_requested()
    {
        let report =
            get(&Config { bitrate: None, existing: udp_transfer::disk::part::Existing::Replace, ..slow }).await;
        assert_eq!(report.verdict().exit, Exit::Done, "{}", report.text());
        assert!(std::fs::read(output.path().join("a.bin")).unwrap() == now);
    }
    server.stop().await;
    (verdict.exit, verdict.code, is_there)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_while_it_is_served_ends_with_that_reason() {
    const SIZE: usize = 3 << 20;
    let changed = (Exit::Partial, "CHANGED", false);
    let file = |root: &std::path::Path| std::fs::OpenOptions::new().write(true).open(root.join("a.bin")).unwrap();
    let ended = meanwhile(SIZE, |root, _| file(root).set_len(SIZE as u64 / 2).unwrap()).await;
    assert_eq!(ended, changed, "truncated to half");
    let ended = meanwhile(SIZE, |root, _| file(root).set_len(0).unwrap()).await;
    assert_eq!(ended, changed, "truncated to nothing");
    let ended = meanwhile(SIZE, |root, _| file(root).set_len(2 * SIZE as u64).unwrap()).await;
    assert_eq!(ended, changed, "appended to");
    let ended = meanwhile(SIZE, |root, _| std::fs::write(root.join("a.bin"), bytes(SIZE, 2)).unwrap()).await;
    assert_eq!(ended, changed, "overwritten with as many bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_replaced_or_removed_is_served_to_its_end() {
    const SIZE: usize = 2 << 20;
    let whole = (Exit::Done, "WHOLE", true);
    let ended = meanwhile(SIZE, |root, _| std::fs::remove_file(root.join("a.bin")).unwrap()).await;
    assert_eq!(ended, whole, "removed");
    let ended = meanwhile(SIZE, |root, _| {
        std::fs::write(root.join("new"), "another").unwrap();
        std::fs::rename(root.join("new"), root.join("a.bin")).unwrap();
    })
    .await;
    assert_eq!(ended, whole, "replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_lets_what_is_short_end_and_tells_the_rest() {
    let ended = meanwhile(1 << 20, |_, server| server.session.shutdown.request()).await;
    assert_eq!(ended, (Exit::Done, "WHOLE", true), "within the grace time");

    let (root, output) = (folder(), folder());
    std::fs::write(root.path().join("a.bin"), bytes(20 << 20, 1)).unwrap();
    let no_grace = |config| server::Config { grace: Duration::ZERO, ..config };
    let server = Running::start_with(root.path(), no_grace);
    let slow = Config { bitrate: Some(RATE), ..config(server.address, named("a.bin"), output.path()) };
    let running = tokio::spawn(async move { client::get(&slow, &session("client")).await.unwrap() });
    let part = output.path().join("a.bin.part");
    while std::fs::metadata(&part).map_or(0, |metadata| metadata.len()) < 100_000 {
        tokio::task::yield_now().await;
    }
    let served = server.stop().await;
    let report = running.await.unwrap();
    assert_eq!((report.verdict().exit, report.verdict().code), (Exit::Partial, "SERVER-STOPPED"), "{}", report.text());
    assert!(report.verdict().hint.unwrap().contains("a.bin.part"), "it says from where it goes on");
    assert!(part.exists());
    assert_eq!((served.transfers, served.complete), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_stopped_or_late_keeps_its_part_and_goes_on_from_it() {
    let (root, output) = (folder(), folder());
    let original = bytes(4 << 20, 1);
    std::fs::write(root.path().join("a.bin"), &original).unwrap();
    let server = Running::start(root.path());
    let slow = Config { bitrate: Some(RATE), ..config(server.address, named("a.bin"), output.path()) };
    let part = output.path().join("a.bin.part");

    let asking = Asking { deadline: Some(Duration::from_millis(150)), ..slow.asking.clone() };
    let report = get(&Config { asking, ..slow.clone() }).await;
    assert_eq!((report.verdict().exit, report.verdict().code), (Exit::Deadline, "DEADLINE"), "{}", report.text());

    let interrupted = session("client");
    let running = tokio::spawn({
        let (slow, session) = (slow.clone(), interrupted.clone());
        async move { client::get(&slow, &session).await.unwrap() }
    });
    while std::fs::metadata(&part).map_or(0, |metadata| metadata.len()) < 2_500_000 {
        tokio::task::yield_now().await;
    }
    interrupted.shutdown.request();
    let report = running.await.unwrap();
    assert_eq!((report.verdict().exit, report.verdict().code), (Exit::Interrupted, "INTERRUPTED"));
    assert!(report.verdict().hint.unwrap().contains("a.bin.part"));

    let report = get(&Config { bitrate: None, ..slow }).await;
    assert_eq!(report.verdict().exit, Exit::Done, "{}", report.text());
    assert!(report.rows[0].resumed >= 2 << 20, "{}", report.text());
    assert!(std::fs::read(output.path().join("a.bin")).unwrap() == original);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_with_shorter_datagrams_sends_only_what_is_missing() {
    const SIZE: usize = 4 << 20;
    let (root, output) = (folder(), folder());
    let original = bytes(SIZE, 1);
    std::fs::write(root.path().join("a.bin"), &original).unwrap();
    let first = Running::start(root.path());
    let address = first.address;
    let slow = Config { bitrate: Some(RATE), ..config(address, named("a.bin"), output.path()) };
    let running = tokio::spawn(async move { client::get(&slow, &session("client")).await.unwrap() });
    let part = output.path().join("a.bin.part");
    while std::fs::metadata(&part).map_or(0, |metadata| metadata.len()) < SIZE as u64 / 2 {
        tokio::task::yield_now().await;
    }
    // As if it were killed: nobody is told.
    first.task.abort();
    assert!(first.task.await.unwrap_err().is_cancelled());
    let shorter = |config| server::Config { bind: address, largest: 1_200, ..config };
    let second = Running::start_with(root.path(), shorter);
    let report = running.await.unwrap();
    assert_eq!(report.verdict().exit, Exit::Done, "{}", report.text());
    assert!(std::fs::read(output.path().join("a.bin")).unwrap() == original);
    // A block of either length may have to come again where the two do not meet.
    assert!(report.rows[0].fetched < SIZE as u64 + 100_000, "{}", report.text());
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_not_and_who_is_not_there() {
    let (root, output) = (folder(), folder());
    let server = Running::start(root.path());
    let address = server.address;
    let report = get(&config(address, named("nothing"), output.path())).await;
    assert_eq!((report.verdict().exit, report.verdict().code), (Exit::Setup, "NOT-FOUND"), "{}", report.text());
    assert_eq!(std::fs::read_dir(output.path()).unwrap().count(), 0, "nothing was made");
    server.stop().await;

    let failure = client::get(&config(address, named("a"), output.path()), &session("client")).await.unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::NobodyAnswered, "REFUSED"));
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut asking = config(silent.local_addr().unwrap(), named("a"), output.path()).asking;
    asking.deadline = Some(Duration::from_millis(100));
    let failure = client::list(&asking, &session("client")).await.unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::Deadline, "DEADLINE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_added_changed_and_removed_are_seen_by_the_next_question() {
    let (root, output) = (folder(), folder());
    std::fs::write(root.path().join("old"), "old").unwrap();
    let server = Running::start(root.path());
    assert_eq!(get(&config(server.address, named("old"), output.path())).await.verdict().exit, Exit::Done);
    std::fs::write(root.path().join("new"), "new").unwrap();
    std::fs::write(root.path().join("old"), "changed").unwrap();
    let force = |name| Config {
        existing: udp_transfer::disk::part::Existing::Replace,
        ..config(server.address, named(name), output.path())
    };
    for (file, content) in [("new", "new"), ("old", "changed")] {
        let report = get(&force(file)).await;
        assert_eq!(report.verdict().exit, Exit::Done, "{}", report.text());
        assert_eq!(std::fs::read_to_string(output.path().join(file)).unwrap(), content);
    }
    std::fs::remove_file(root.path().join("old")).unwrap();
    assert_eq!(get(&force("old")).await.verdict().code, "NOT-FOUND");
    server.stop().await;
}
