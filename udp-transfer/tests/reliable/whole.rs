//! Files arrive whole: every mode and size, many at once, over spoiled networks, with odd names and long lists.

use arq::policy::Policy;
use labkit::Exit;
use udp_transfer::disk::part::Existing;
use udp_transfer::reliable::client::{self, Asking, Config, Reports, Result as Ended, Verify, Wanted};
use udp_transfer::reliable::server;

use crate::setup::{Running, bytes, config, folder, get, impaired, name, named, reliable_modes, session};

/// What a block carries when datagrams are of 1,200 bytes.
const PAYLOAD: usize = 1_200 - arq::wire::BLOCK_OVERHEAD;

#[tokio::test(flavor = "multi_thread")]
async fn every_mode_brings_files_of_every_awkward_size() {
    let root = folder();
    let sizes = [0, 1, PAYLOAD - 1, PAYLOAD, PAYLOAD + 1, 1 << 20, (5 << 20) + 7];
    for size in sizes {
        std::fs::write(root.path().join(size.to_string()), bytes(size, size as u64)).unwrap();
    }
    let server = Running::start(root.path());
    for policy in reliable_modes().into_iter().chain([Policy::RAW]) {
        for length in [None, Some(1_200)] {
            let output = folder();
            let asking = Asking { length, ..config(server.address, Wanted::All, output.path()).asking };
            let fetched = Config {
                policy,
                asking,
                // Raw mode has nothing to hold it back: at this rate the receive buffer holds it all.
                bitrate: (!policy.is_reliable()).then_some(400_000_000),
                ..config(server.address, Wanted::All, output.path())
            };
            let report = get(&fetched).await;
            assert_eq!(report.rows.len(), sizes.len());
            assert_eq!(report.verdict().exit, Exit::Done, "{policy}: {}", report.text());
            for size in sizes {
                let file = std::fs::read(output.path().join(size.to_string())).unwrap();
                assert!(file == bytes(size, size as u64), "{policy}, {size} bytes");
            }
        }
    }
    let served = server.stop().await;
    assert_eq!(served.transfers, served.complete, "{:?}", served.last);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_clients_at_once_over_a_link_that_loses() {
    let root = folder();
    let original = bytes(3 << 20, 1);
    std::fs::write(root.path().join("a.bin"), &original).unwrap();
    let server = Running::start(root.path());
    let mut sent_again = 0;
    for policy in reliable_modes() {
        let output = folder();
        let one = config(server.address, named("a.bin"), output.path());
        let asking = Asking { impaired: impaired("loss=2%", 7), ..one.asking.clone() };
        let report = get(&Config { policy, clients: 10, asking, ..one }).await;
        assert_eq!(report.verdict().exit, Exit::Done, "{policy}: {}", report.text());
        assert!(report.network.lost > 20, "the losses we made are counted apart: {:?}", report.network);
        for client in 1..=10 {
            let path = output.path().join(format!("Cliente{client}-Prueba10.bin"));
            assert!(std::fs::read(path).unwrap() == original, "{policy}, client {client}");
        }
        sent_again += report.rows.iter().map(|row| row.sent_again.unwrap()).sum::<u64>();
    }
    assert_eq!(server.stop().await.sent_again, sent_again, "both sides tell the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_bad_network_at_once() {
    let root = folder();
    let original = bytes(400_000, 2);
    std::fs::write(root.path().join("a.bin"), &original).unwrap();
    let server = Running::start(root.path());
    for (seed, what) in (1..).zip([
        "loss=20%",
        "corrupt=5%,duplicate=10%",
        "reorder=10%,delay=2ms,jitter=1ms",
        "burst=2%:8",
        "drop=open:0,drop=block:0,drop=block:3,drop=report:1,drop=done:0,drop=accept:0,drop=retry:0,drop=hello:1",
        "rate=80mbit,queue=32KiB",
    ]) {
        let output = folder();
        let one = config(server.address, named("a.bin"), output.path());
        let asking = Asking { impaired: impaired(what, seed), length: Some(1_200), ..one.asking.clone() };
        let report = get(&Config { asking, ..one }).await;
        assert_eq!(report.verdict().exit, Exit::Done, "{what}: {}", report.text());
        assert!(std::fs::read(output.path().join("a.bin")).unwrap() == original, "{what}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_mode_says_exactly_what_is_missing() {
    let root = folder();
    let original = bytes(100 * PAYLOAD, 3);
    std::fs::write(root.path().join("a.bin"), &original).unwrap();
    let server = Running::start(root.path());
    let output = folder();
    let one = config(server.address, named("a.bin"), output.path());
    let asking = Asking {
        impaired: impaired("drop=block:3,drop=block:4,drop=block:99", 1),
        length: Some(1_200),
        ..one.asking.clone()
    };
    let raw = Config { policy: Policy::RAW, bitrate: Some(50_000_000), asking, ..one };
    let report = get(&raw).await;
    let Ended::Holes(holes) = &report.rows[0].result else { panic!("{}", report.text()) };
    let holes: Vec<(u64, u64)> = holes.iter().map(|hole| (hole.from, hole.to)).collect();
    let at = |block: usize| (block * PAYLOAD) as u64;
    assert_eq!(holes, [(at(3), at(5)), (at(99), at(100))]);
    assert_eq!((report.verdict().exit, report.verdict().code), (Exit::Partial, "HOLES"));
    assert!(!output.path().join("a.bin").exists(), "no file under its final name");
    // Another mode fills the holes.
    let report = get(&config(server.address, named("a.bin"), output.path())).await;
    assert_eq!(report.verdict().exit, Exit::Done, "{}", report.text());
    assert!(std::fs::read(output.path().join("a.bin")).unwrap() == original);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_hash_is_told_that_nobody_knows() {
    let root = folder();
    let original = bytes(3_000_000, 5);
    std::fs::write(root.path().join("a.bin"), &original).unwrap();
    let server = Running::start(root.path());
    let output = folder();
    let one = Config { verify: Verify::Nothing, ..config(server.address, named("a.bin"), output.path()) };
    let report = get(&one).await;
    assert_eq!((report.verdict().exit, report.verdict().code), (Exit::Done, "UNVERIFIED"), "{}", report.text());
    assert_eq!(report.to_json()["files"][0]["result"], "unverified");
    let hash = report.to_json()["files"][0]["blake3"].as_str().unwrap().to_owned();
    assert!(!report.text().contains(&hash), "nobody compared it: {}", report.text());
    assert!(std::fs::read(output.path().join("a.bin")).unwrap() == original);
    // What lies there is compared all the same when it is asked for again.
    assert_eq!(get(&one).await.verdict().code, "WHOLE");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_offloads_every_mode_brings_the_same() {
    let (root, output) = (folder(), folder());
    std::fs::write(root.path().join("a"), bytes(700_001, 3)).unwrap();
    let server = Running::start_with(root.path(), |config| server::Config { offload: false, ..config });
    for policy in reliable_modes() {
        for length in [None, Some(1_472)] {
            let mut wanted = config(server.address, named("a"), output.path());
            (wanted.policy, wanted.existing) = (policy, Existing::Replace);
            (wanted.asking.offload, wanted.asking.length) = (false, length);
            let report = get(&wanted).await;
            assert_eq!(report.verdict().exit, Exit::Done, "{policy}, {length:?}: {:?}", report.rows);
            std::fs::remove_file(output.path().join("a")).unwrap();
        }
    }
    assert_eq!(server.stop().await.complete, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_textbook_each_second_datagram_is_reported() {
    let (root, output) = (folder(), folder());
    std::fs::write(root.path().join("a"), bytes(700_001, 3)).unwrap();
    let server = Running::start(root.path());
    let mut wanted = config(server.address, named("a"), output.path());
    wanted.reports = Reports::Tcp;
    wanted.asking.length = Some(1_472);
    assert_eq!(get(&wanted).await.verdict().exit, Exit::Done);
    let served = server.stop().await;
    // A datagram that was alone when it came may make it three.
    assert!(served.datagrams.received > served.blocks / 3, "{served:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ipv6() {
    let root = folder();
    std::fs::write(root.path().join("a"), bytes(100_000, 4)).unwrap();
    let server = Running::start_with(root.path(), |config| udp_transfer::reliable::server::Config {
        bind: "[::]:0".parse().unwrap(),
        ..config
    });
    let output = folder();
    for host in ["::1", "127.0.0.1"] {
        let address = std::net::SocketAddr::new(host.parse().unwrap(), server.address.port());
        let fetched = Config { existing: Existing::Replace, ..config(address, named("a"), output.path()) };
        let report = get(&fetched).await;
        assert_eq!(report.verdict().exit, Exit::Done, "{}", report.text());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_files_are_listed_and_all_are_fetched_with_their_folders() {
    let root = folder();
    let mut names = Vec::new();
    for n in 0..1_000 {
        let path = match n % 4 {
            0 => format!("file {n}"),
            1 => format!("folder/deeper/três tigres {n}.txt"),
            2 => format!("Grüße ✓/{n}"),
            _ => format!("-rf {n}"),
        };
        let at = root.path().join(&path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, path.as_bytes()).unwrap();
        names.push(path);
    }
    names.sort();
    let server = Running::start(root.path());
    let output = folder();
    let all = config(server.address, Wanted::All, output.path());
    let lossy = Asking { impaired: impaired("loss=5%", 3), ..all.asking.clone() };
    let listed = client::list(&lossy, &session("client")).await.unwrap();
    let listed: Vec<_> = listed.entries.iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(listed, names);
    let report = get(&Config { clients: 8, ..all }).await;
    assert_eq!(report.verdict().exit, Exit::Done, "{}", report.text());
    for path in names {
        assert_eq!(std::fs::read(output.path().join(&path)).unwrap(), path.as_bytes());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_here_already_is_not_fetched_and_what_is_in_the_way_is_kept() {
    let root = folder();
    std::fs::write(root.path().join("a"), "the same").unwrap();
    std::fs::write(root.path().join("b"), "theirs").unwrap();
    let server = Running::start(root.path());
    let output = folder();
    std::fs::write(output.path().join("a"), "the same").unwrap();
    std::fs::write(output.path().join("b"), "ours").unwrap();
    let both = config(server.address, Wanted::Named(vec![name("a"), name("b")]), output.path());
    let report = get(&both).await;
    assert_eq!(report.rows[0].result, Ended::Already);
    assert_eq!((report.verdict().exit, report.verdict().code), (Exit::Setup, "FILE-EXISTS"), "{}", report.text());
    assert_eq!(std::fs::read(output.path().join("b")).unwrap(), b"ours");
    let report = get(&Config { existing: Existing::Replace, ..both }).await;
    assert_eq!(report.verdict().exit, Exit::Done, "{}", report.text());
    assert_eq!(std::fs::read(output.path().join("b")).unwrap(), b"theirs");
    server.stop().await;
}
