//! HTTP as a browser, a load balancer and garbage speak it.

use std::time::Duration;

use anycast::client::{self, Protocol};
use anycast::server;
use labkit::{Exit, socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::setup::{LONG, Replica, ask, config, named, session};

fn speaking_http(name: &str) -> server::Config {
    server::Config { protocol: server::Protocol::Http, ..named(name) }
}

/// What comes back for these bytes, up to the end of the stream.
async fn exchange(replica: &Replica, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(replica.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn who_answers_is_told_as_text_and_as_json() {
    let replica = Replica::start_with(speaking_http("server1"));
    let close = "Host: a\r\nConnection: close\r\n\r\n";
    let text = exchange(&replica, format!("GET / HTTP/1.1\r\n{close}").as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    let line = format!("Hello from server1 (address {}, process {}, answer 1)\n", replica.address, std::process::id());
    assert!(text.ends_with(&format!("\r\n\r\n{line}")), "{text}");
    let json = exchange(&replica, format!("GET / HTTP/1.1\r\nAccept: application/json\r\n{close}").as_bytes()).await;
    let body: serde_json::Value = serde_json::from_str(json.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&body["name"], &body["count"]), (&"server1".into(), &2.into()));
    let head = exchange(&replica, format!("HEAD / HTTP/1.1\r\n{close}").as_bytes()).await;
    assert!(head.contains("Content-Length: ") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(replica.stop().await.greeted, 3);
}

#[tokio::test]
async fn several_requests_on_one_connection_even_in_one_packet() {
    let replica = Replica::start_with(speaking_http("a"));
    let one = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET / HTTP/1.0\r\n\r\n";
    let answer = exchange(&replica, format!("{one}{one}{last}").as_bytes()).await;
    assert_eq!(answer.matches("200 OK").count(), 3, "{answer}");
    assert_eq!(answer.matches("healthy\n").count(), 2);
    assert_eq!(replica.stop().await.greeted, 1, "health checks are no greetings");
}

#[tokio::test]
async fn nonsense_gets_a_status_and_the_end() {
    let replica = Replica::start_with(speaking_http("a"));
    for (bytes, status) in [
        (b"\x16\x03\x01\x02\x00\r\n\r\n".to_vec(), "400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".to_vec(), "405"),
        (b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(), "404"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n".to_vec(), "413"),
        ([b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'a'; 20_000]].concat(), "431"),
    ] {
        let answer = exchange(&replica, &bytes).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
    }
}

#[tokio::test]
async fn a_request_that_never_ends_is_given_up_with_408() {
    let config = server::Config { deadline: Duration::from_millis(50), ..speaking_http("a") };
    let replica = Replica::start_with(config);
    let answer = exchange(&replica, b"GET / HTTP/1.1\r\nHo").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn our_client_speaks_it_and_takes_a_bad_status_for_a_failed_try() {
    let (good, bad) = (
        Replica::start_with(speaking_http("good")),
        Replica::start_with(server::Config { fail_after: Some(0), ..speaking_http("bad") }),
    );
    let http = client::Config { protocol: Protocol::Http, count: Some(3), ..config(&[good.address]) };
    let asked = ask(http.clone()).await;
    assert_eq!((asked.exit(), asked.tally.answers()), (Exit::Done, 3));
    let health = client::Config { path: "/health".into(), targets: config(&[bad.address]).targets, ..http };
    let asked = ask(health).await;
    assert_eq!(asked.exit(), Exit::NobodyAnswered);
    assert!(asked.tally.first_failure().unwrap().contains("503: failing"), "{:?}", asked.tally.first_failure());
}

#[tokio::test]
async fn draining_is_serving_without_being_healthy() {
    let main = socket::listen_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let beside = socket::listen_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let (main_address, http_address) = (main.local_addr().unwrap(), beside.local_addr().unwrap());
    let replica = session("draining");
    let config = server::Config { drain: LONG, ..named("draining") };
    let running = tokio::spawn({
        let replica = replica.clone();
        async move { server::run_beside(main, Some(beside), config, &replica).await.unwrap() }
    });
    let health = || async {
        let mut stream = TcpStream::connect(http_address).await.unwrap();
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    assert!(health().await.contains("healthy\n"));
    replica.shutdown.request();
    while !health().await.contains("503") {}
    assert_eq!(ask(config_of(main_address)).await.tally.answers(), 1, "still serving");
    running.abort(); // It would go on for a minute.
}

#[tokio::test]
async fn after_draining_comes_the_end() {
    let replica = Replica::start_with(server::Config { drain: Duration::from_millis(20), ..speaking_http("a") });
    let address = replica.address;
    // A connection that is kept open does not hold it up.
    let kept = TcpStream::connect(address).await.unwrap();
    replica.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
    drop(kept);
}

fn config_of(address: std::net::SocketAddr) -> client::Config {
    config(&[address])
}
