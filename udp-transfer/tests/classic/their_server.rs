//! Our client and a server of the original, by hand.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use labkit::Exit;
use udp_transfer::classic::client::{self, Size};
use udp_transfer::classic::command::LARGEST_DATAGRAM;
use udp_transfer::landing::Existing;
use udp_transfer::report::{Got, Report};

use super::setup::*;

/// A server of the original: takes every configuration, answers `SIZE` as `to_size` says (the original knows no such
/// question), and does for each `TRANSFER` what `transfer` says.
fn original(to_size: Option<&'static str>, transfer: impl Fn(&UdpSocket, SocketAddr) + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            match &buffer[..length] {
                b"LIST" => drop(socket.send_to(b"a.bin\nb \x1b[2J.bin", from)),
                b"TRANSFER" => transfer(&socket, from),
                text if text.starts_with(b"!CONFIG :") => drop(socket.send_to(b"Config set", from)),
                _ => drop(to_size.map(|answer| socket.send_to(answer.as_bytes(), from))),
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_original_tells_no_size_and_none_is_invented() {
    for to_size in [None, Some("Unknown command"), Some("Size unknown"), Some("")] {
        let server = original(to_size, |socket, to| {
            // From another port, as a server with a socket a thread would.
            let own = UdpSocket::bind("127.0.0.1:0").unwrap();
            for part in [&bytes(LARGEST_DATAGRAM)[..], b"end"] {
                own.send_to(part, to).unwrap();
            }
            let _ = socket;
        });
        let output = tempfile::tempdir().unwrap();
        let mut config = config(server, "a.bin", 2, output.path());
        config.asking.deadline = SHORT;
        let report = get(&config).await;
        assert_eq!((report.size, report.lost()), (None, None), "{to_size:?}");
        assert_eq!((report.verdict().code, report.verdict().exit), ("SIZE-UNKNOWN", Exit::Done));
        for client in &report.clients {
            assert_eq!((client.result, client.bytes), (Got::Unknown, LARGEST_DATAGRAM as u64 + 3));
            assert_ne!(client.server_port, Some(server.port()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_midway_leaves_what_came_and_the_rest_is_counted() {
    let server = original(None, |socket, to| drop(socket.send_to(&[7; 1000], to)));
    let output = tempfile::tempdir().unwrap();
    let report = get(&told(config(server, "a.bin", 1, output.path()), 3000)).await;
    assert_eq!((report.clients[0].result, report.lost()), (Got::Part, Some(2000)));
    assert_eq!(report.loss_ppm(), Some(666_666));
    assert_eq!(report.verdict().exit, Exit::Partial);
    assert_eq!(std::fs::read(output.path().join("Cliente1-Prueba1.bin")).unwrap(), [7; 1000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_sends_nothing_leaves_no_file() {
    let server = original(None, |_, _| {});
    let output = tempfile::tempdir().unwrap();
    let report = get(&told(config(server, "a.bin", 3, output.path()), 3000)).await;
    assert_eq!((report.verdict().code, report.verdict().exit), ("NO-DATA", Exit::NobodyAnswered));
    assert!(files_in(output.path()).is_empty());
    assert!(report.clients.iter().all(|client| client.path.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bytes_than_the_file_has_are_the_wrong_ones() {
    let server = original(None, |socket, to| drop(socket.send_to(&[7; 1000], to)));
    let output = tempfile::tempdir().unwrap();
    let report = get(&told(config(server, "a.bin", 1, output.path()), 999)).await;
    assert_eq!((report.clients[0].result, report.verdict().exit), (Got::Wrong, Exit::Integrity));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_tells_the_size_and_proves_the_bytes() {
    let server = original(None, |socket, to| drop(socket.send_to(&[7; 1000], to)));
    let output = tempfile::tempdir().unwrap();
    for (content, code) in [([7; 1000], "WHOLE"), ([8; 1000], "WRONG-BYTES")] {
        let reference = output.path().join("reference");
        std::fs::write(&reference, content).unwrap();
        let mut config = config(server, "a.bin", 1, output.path());
        config.options.size = Size::Reference(reference);
        config.options.existing = Existing::Replace;
        assert_eq!(get(&config).await.verdict().code, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_finish_ends_the_clients_and_what_broke_off_replaces_nothing() {
    let output = tempfile::tempdir().unwrap();
    let path = output.path().join("Cliente1-Prueba1.bin");
    let fresh = interrupted(output.path(), Existing::Keep).await;
    assert_eq!((fresh.clients[0].result, fresh.verdict().exit), (Got::Broken, Exit::Interrupted));
    assert_eq!(path.exists(), fresh.clients[0].bytes > 0, "what came is kept");
    std::fs::write(&path, "precious").unwrap();
    let forced = interrupted(output.path(), Existing::Replace).await;
    assert_eq!(forced.verdict().exit, Exit::Interrupted);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    assert_eq!(files_in(output.path()), ["Cliente1-Prueba1.bin"]);
}

/// A run that is asked to finish once the server has sent a third of the file.
async fn interrupted(output: &Path, existing: Existing) -> Report {
    let (sent, is_sent) = std::sync::mpsc::channel();
    let server = original(None, move |socket, to| {
        socket.send_to(&[7; 1000], to).unwrap();
        sent.send(()).unwrap();
    });
    let mut config = told(config(server, "a.bin", 1, output), 3000);
    config.options.silence = LONG;
    config.options.existing = existing;
    let session = session("client");
    let getting = tokio::spawn({
        let session = session.clone();
        async move { client::get(&config, &session).await.unwrap() }
    });
    tokio::task::spawn_blocking(move || is_sent.recv().unwrap()).await.unwrap();
    session.shutdown.request();
    getting.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_a_hostile_server_are_shown_harmless() {
    let server = original(None, |_, _| {});
    let asking = config(server, "-", 1, Path::new(".")).asking;
    let listed = client::list(&asking, &session("client")).await.unwrap();
    assert_eq!(udp_transfer::classic::menu::list_text(&listed), "a.bin\nb \\u{1b}[2J.bin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_is_told_at_once_and_a_silent_one_after_the_deadline() {
    let output = tempfile::tempdir().unwrap();
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = dead.local_addr().unwrap();
    drop(dead);
    let failure = client::get(&config(address, "a", 2, output.path()), &session("client")).await.unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::NobodyAnswered, "REFUSED"));

    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut config = config(silent.local_addr().unwrap(), "a", 2, output.path());
    config.asking.deadline = SHORT;
    let failure = client::get(&config, &session("client")).await.unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::NobodyAnswered, "NO-ANSWER"));
    assert!(failure.message.contains("!CONFIG :a :2") && failure.message.contains("200 ms"), "{failure}");
    assert!(files_in(output.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_lost_is_asked_again() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let mut config = config(socket.local_addr().unwrap(), "a", 1, Path::new("."));
    config.asking.deadline = Duration::from_secs(3);
    let answering = std::thread::spawn(move || {
        let mut buffer = [0; 100];
        let (first, _) = socket.recv_from(&mut buffer).unwrap();
        let (second, from) = socket.recv_from(&mut buffer).unwrap();
        socket.send_to(b"late.bin", from).unwrap();
        (first, second)
    });
    assert_eq!(client::list(&config.asking, &session("client")).await.unwrap().lines, ["late.bin"]);
    assert_eq!(answering.join().unwrap(), (4, 4));
}
