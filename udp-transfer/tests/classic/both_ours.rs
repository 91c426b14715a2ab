//! Our client and our server.

use std::io::Write;
use std::num::NonZeroU64;
use std::path::Path;

use events::{Event, Outcome, Record};
use labkit::{Common, Exit, Session, Shutdown};
use udp_transfer::classic::client::{self};
use udp_transfer::classic::command::LARGEST_DATAGRAM;
use udp_transfer::classic::server::Config;
use udp_transfer::landing::Existing;
use udp_transfer::report::Got;

use super::setup::*;

#[tokio::test(flavor = "multi_thread")]
async fn one_client_gets_a_file_that_fits_its_buffer_whole() {
    // Few enough datagrams for the receive buffer any system grants, so nothing can be lost.
    let content = bytes(3 * LARGEST_DATAGRAM + 17);
    let (server, output) = (Running::start(&[("a.bin", &content)]), tempfile::tempdir().unwrap());
    let mut config = config(server.address, "a.bin", 1, output.path());
    config.options.silence = LONG;
    let report = get(&config).await;
    let client = &report.clients[0];
    assert_eq!((client.result, client.bytes, client.datagrams), (Got::Whole, content.len() as u64, 4));
    assert_eq!((report.size, report.lost()), (Some(content.len() as u64), Some(0)));
    assert_eq!(client.server_port, Some(server.address.port()));
    assert_eq!(report.verdict().exit, Exit::Done);
    assert_eq!(std::fs::read(output.path().join("Cliente1-Prueba1.bin")).unwrap(), content);
    let served = server.stop().await;
    assert_eq!((served.transfers, served.bytes, served.commands), (1, content.len() as u64, 3));
    assert_eq!(served.last[0].outcome, Outcome::Complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_clients_with_small_buffers_lose_bytes_and_every_byte_is_accounted_for() {
    let content = bytes(8 << 20);
    let (server, output) = (Running::start(&[("video.mp4", &content)]), tempfile::tempdir().unwrap());
    let mut config = config(server.address, "video.mp4", 5, output.path());
    config.options.receive_buffer = 4096;
    let report = get(&config).await;
    let size = content.len() as u64;
    for client in &report.clients {
        assert_eq!(client.bytes + client.lost(size), size, "{client:?}");
        let path = output.path().join(format!("Cliente{}-Prueba5.mp4", client.client));
        assert_eq!(path.metadata().unwrap().len(), client.bytes);
    }
    assert_eq!(report.bytes() + report.lost().unwrap(), 5 * size);
    let mut ports: Vec<u16> = report.clients.iter().map(|client| client.client_port).collect();
    ports.dedup();
    assert_eq!(ports.len(), 5, "each has its own port");
    let served = server.stop().await;
    assert_eq!((served.transfers, served.bytes), (5, 5 * size), "the server knows nothing of the loss");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_is_there_at_once_and_empty() {
    let (server, output) = (Running::start(&[("empty", b"")]), tempfile::tempdir().unwrap());
    let mut config = config(server.address, "empty", 2, output.path());
    config.options.silence = LONG;
    let report = get(&config).await;
    assert_eq!((report.verdict().code, report.lost()), ("WHOLE", Some(0)));
    assert_eq!(files_in(output.path()), ["Cliente1-Prueba2", "Cliente2-Prueba2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv6_works_alike() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        // Straight to stderr: the harness would keep an eprintln to itself.
        writeln!(std::io::stderr(), "SKIPPED ipv6_works_alike: this machine has no ::1").unwrap();
        return;
    }
    let content = bytes(LARGEST_DATAGRAM + 1);
    let output = tempfile::tempdir().unwrap();
    let on_v6 = |config| Config { bind: "[::1]:0".parse().unwrap(), ..config };
    let server = Running::start_with(&[("a", &content)], on_v6);
    let report = get(&config(server.address, "a", 1, output.path())).await;
    assert_eq!(report.verdict().code, "WHOLE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_two_addresses_is_asked_where_somebody_answers() {
    let (server, output) = (Running::start(&[("a", b"abc")]), tempfile::tempdir().unwrap());
    let mut config = config(server.address, "a", 1, output.path());
    config.asking.server.host = "localhost".to_owned();
    assert_eq!(get(&config).await.server, server.address);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_one_name_a_line() {
    let server = Running::start(&[("b.bin", b"b"), ("a file", b"a"), ("Grüße", b"")]);
    let asking = config(server.address, "-", 1, Path::new(".")).asking;
    let listed = client::list(&asking, &session("client")).await.unwrap();
    assert_eq!(listed.lines, ["Grüße", "a file", "b.bin"]);
    let nothing = Running::start(&[]);
    let asking = config(nothing.address, "-", 1, Path::new(".")).asking;
    assert!(client::list(&asking, &session("client")).await.unwrap().lines.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_has_not_is_told_before_anything_is_kept() {
    let (server, output) = (Running::start(&[]), tempfile::tempdir().unwrap());
    let failure =
        client::get(&config(server.address, "a.bin", 2, output.path()), &session("client")).await.unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::Setup, "CONFIG-REFUSED"));
    assert!(failure.message.contains("no such file"), "{failure}");
    assert!(files_in(output.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_there_is_kept_and_nothing_is_asked() {
    let (server, output) = (Running::start(&[("a.bin", b"new")]), tempfile::tempdir().unwrap());
    let precious = output.path().join("Cliente2-Prueba3.bin");
    std::fs::write(&precious, "precious").unwrap();
    let mut config = config(server.address, "a.bin", 3, output.path());
    let failure = client::get(&config, &session("client")).await.unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::Setup, "FILE-EXISTS"));
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
    assert_eq!(files_in(output.path()), ["Cliente2-Prueba3.bin"], "those made before it are gone");
    config.options.existing = Existing::Replace;
    assert_eq!(get(&config).await.verdict().code, "WHOLE");
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "new");
    assert_eq!(server.stop().await.transfers, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_tell_each_clients_bytes_loss_and_end() {
    let (server, output) = (Running::start(&[("a.bin", b"abc")]), tempfile::tempdir().unwrap());
    let events = output.path().join("events.jsonl");
    let flags = Common { name: Some("client".into()), events: Some(events.clone()), quiet: true, ..Common::default() };
    let session = Session::new("test", &flags, Shutdown::manual()).unwrap();
    client::get(&config(server.address, "a.bin", 2, output.path()), &session).await.unwrap();
    let text = std::fs::read_to_string(&events).unwrap();
    let records: Vec<Record> = text.lines().map(|line| Record::from_line(line).unwrap()).collect();
    for flow in [1, 2] {
        let of_flow: Vec<&Event> = records.iter().filter(|r| r.flow == Some(flow)).map(|r| &r.event).collect();
        assert!(matches!(of_flow[0], Event::Sent { what, .. } if what == "transfer"), "{of_flow:?}");
        assert!(of_flow.iter().any(|e| matches!(e, Event::Received { what, bytes: 3, .. } if what == "file")));
        assert!(of_flow.iter().any(|e| matches!(e, Event::Measured { name, value: 0, .. } if name == "loss")));
        assert!(matches!(of_flow.last(), Some(Event::Finished { outcome: Outcome::Complete, .. })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_kept() {
    let content = bytes(100_000);
    let output = tempfile::tempdir().unwrap();
    let paced = |config| Config { length: 10_000, bitrate: NonZeroU64::new(8_000_000), ..config };
    let server = Running::start_with(&[("a", &content)], paced);
    assert_eq!(get(&config(server.address, "a", 1, output.path())).await.verdict().code, "WHOLE");
    let sent = &server.stop().await.last[0];
    assert_eq!(sent.datagrams, 10);
    assert!(sent.elapsed_ns >= 90_000_000, "the tenth of ten datagrams is due after 90 ms: {sent:?}");
}
