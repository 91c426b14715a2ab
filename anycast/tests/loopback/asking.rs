//! Asking, failing over, being stopped: what the client makes of replicas that come and go.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anycast::chooser::Pick;
use anycast::client::{self, Ended};
use anycast::server::{self, Served};
use anycast::tally::Who;
use labkit::{Exit, socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::setup::{Dead, LONG, Replica, ask, config, misbehaving, named, session};

#[tokio::test]
async fn five_replicas_share_a_hundred_connections_and_both_sides_count_alike() {
    let replicas: Vec<Replica> = (1..=5).map(|n| Replica::start(&format!("server{n}"))).collect();
    let targets: Vec<SocketAddr> = replicas.iter().map(|replica| replica.address).collect();
    let asked = ask(client::Config { count: Some(100), concurrency: 10, ..config(&targets) }).await;
    assert_eq!(asked.exit(), Exit::Done);
    assert_eq!((asked.tally.answers(), asked.tally.replicas_used()), (100, 5));
    let answers: Vec<(Who, u64)> =
        asked.tally.replicas().map(|(who, replica)| (who.clone(), replica.answers)).collect();
    for (replica, (who, counted)) in replicas.into_iter().zip(answers) {
        assert_eq!(who, Who::Named(replica.session.node.clone(), replica.address));
        assert_eq!(replica.stop().await, Served { greeted: counted, ..Served::default() });
    }
}

#[tokio::test]
async fn a_dead_candidate_costs_a_try_and_not_the_connection() {
    let (dead, alive) = (Dead::bind(), Replica::start("alive"));
    let asked =
        ask(client::Config { pick: Pick::First, count: Some(3), ..config(&[dead.address(), alive.address]) }).await;
    assert_eq!((asked.exit(), asked.tally.answers(), asked.tally.failures()), (Exit::Done, 3, 3));
    assert!(asked.tally.first_failure().unwrap().starts_with(&dead.address().to_string()));
}

#[tokio::test]
async fn tries_are_bounded() {
    let (dead, alive) = (Dead::bind(), Replica::start("alive"));
    let asked = ask(client::Config { pick: Pick::First, tries: 1, ..config(&[dead.address(), alive.address]) }).await;
    assert_eq!((asked.exit(), asked.tally.unanswered()), (Exit::NobodyAnswered, 1));
}

#[tokio::test]
async fn in_turn_some_answered_and_some_not_is_partial() {
    let (dead, alive) = (Dead::bind(), Replica::start("alive"));
    let targets = [dead.address(), alive.address];
    let asked = ask(client::Config { pick: Pick::RoundRobin, tries: 1, count: Some(4), ..config(&targets) }).await;
    assert_eq!((asked.exit(), asked.tally.answers(), asked.tally.unanswered()), (Exit::Partial, 2, 2));
}

#[tokio::test]
async fn a_server_that_says_nothing_or_far_too_much_is_given_up() {
    let silent = misbehaving(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let closing = misbehaving(|stream| async move { drop(stream) }).await;
    let flooding =
        misbehaving(|mut stream| async move { while stream.write_all(&[b'a'; 4096]).await.is_ok() {} }).await;
    let alive = Replica::start("alive");
    let short = Duration::from_millis(50);
    let targets = [silent, closing, flooding, alive.address];
    let asked = ask(client::Config { pick: Pick::First, timeout: short, ..config(&targets) }).await;
    assert_eq!((asked.tally.answers(), asked.tally.failures()), (1, 3));
}

#[tokio::test]
async fn what_is_no_greeting_is_still_an_answer_of_that_address() {
    let other = misbehaving(|mut stream| async move {
        let _ = stream.write_all(b"SSH-2.0-x\r\n").await;
    })
    .await;
    let asked = ask(config(&[other])).await;
    assert_eq!(asked.tally.replicas().next().unwrap().0, &Who::Unnamed(other));
    assert_eq!(asked.exit(), Exit::Done);
}

#[tokio::test]
async fn a_peer_that_talks_all_the_time_still_gets_the_greeting_and_no_reset() {
    let replica = Replica::start("server3");
    let mut stream = TcpStream::connect(replica.address).await.unwrap();
    stream.write_all(&[b'x'; 10_000]).await.unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"Hello from server3\n");
}

#[tokio::test]
async fn one_that_never_reads_or_closes_is_cut_off_at_the_deadline() {
    let deadline = Duration::from_millis(50);
    let replica = Replica::start_with(server::Config { max_connections: 1, deadline, ..named("a") });
    let mut held_open = TcpStream::connect(replica.address).await.unwrap();
    let mut greeting = String::new();
    held_open.read_to_string(&mut greeting).await.unwrap();
    // The only slot is taken by the one above, which does not close; it is free once the deadline has passed.
    while ask(config(&[replica.address])).await.tally.answers() == 0 {}
    drop(held_open);
    assert!(replica.stop().await.greeted >= 2);
}

#[tokio::test]
async fn a_server_asked_to_finish_ends_the_open_connection_first() {
    let replica = Replica::start("server1");
    let mut stream = TcpStream::connect(replica.address).await.unwrap();
    let mut first = [0];
    stream.read_exact(&mut first).await.unwrap();
    replica.session.shutdown.request();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    drop(stream);
    assert_eq!(rest, "ello from server1\n");
    assert_eq!(replica.stop().await, Served { greeted: 1, ..Served::default() });
}

#[tokio::test]
async fn a_counted_server_ends_by_itself() {
    let replica = Replica::start_with(server::Config { connections: Some(1), ..named("once") });
    ask(config(&[replica.address])).await;
    assert_eq!(replica.running.await.unwrap(), Served { greeted: 1, ..Served::default() });
}

#[tokio::test]
async fn a_deadline_ends_a_run_against_silence() {
    let silent = misbehaving(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let deadline = Some(Duration::from_millis(50));
    let asked = ask(client::Config { deadline, ..config(&[silent]) }).await;
    assert_eq!((asked.ended, asked.exit()), (Ended::Deadline, Exit::Deadline));
}

#[tokio::test]
async fn being_stopped_keeps_what_was_counted() {
    let once = server::Config { connections: Some(1), ..named("once") };
    let replica = Replica::start_with(once);
    let client = session("client");
    let config = client::Config { count: Some(2), interval: LONG, ..config(&[replica.address]) };
    let running = tokio::spawn({
        let client = client.clone();
        async move { client::run(config, &client).await.unwrap() }
    });
    // The replica ends with its first connection, which ends when the client has counted it; the second is a minute away.
    replica.running.await.unwrap();
    client.shutdown.request();
    let asked = running.await.unwrap();
    assert_eq!((asked.ended, asked.exit()), (Ended::Interrupted, Exit::Interrupted));
    assert_eq!(asked.tally.answers(), 1);
}

#[tokio::test]
async fn ipv6_loopback_and_dual_stack_work_where_the_machine_has_them() {
    let listener = socket::listen_tcp("[::]:0".parse().unwrap()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = session("dual");
    let running = tokio::spawn({
        let server = server.clone();
        let config = server::Config { connections: Some(2), ..named("dual") };
        async move { server::run(listener, config, &server).await.unwrap() }
    });
    for address in
        [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port))]
    {
        assert_eq!(ask(config(&[address])).await.tally.answers(), 1, "{address}");
    }
    assert_eq!(running.await.unwrap().greeted, 2);
}
