//! Connections that are kept open: who had them, and how they end.

use std::time::Duration;

use anycast::client::{self, holding};
use anycast::flows::How;
use anycast::server;
use labkit::Exit;

use crate::setup::{Replica, config, named, session};

fn keeper(name: &str) -> server::Config {
    server::Config { protocol: server::Protocol::Http, ..named(name) }
}

fn holding_on(replica: &Replica) -> client::Config {
    client::Config { interval: Duration::from_millis(1), count: Some(20), ..config(&[replica.address]) }
}

#[tokio::test]
async fn kept_connections_that_nobody_disturbs_stay() {
    let replica = Replica::start_with(keeper("steady"));
    let held = holding::run(holding_on(&replica), 10, &session("holder")).await.unwrap();
    assert_eq!((held.exit(), held.flows.count(), held.flows.breaks().len()), (Exit::Done, 10, 0));
    assert_eq!(held.flows.answers(), 190, "the first answer of each tells who has it");
    assert_eq!(replica.stop().await.greeted, 200);
}

#[tokio::test]
async fn a_replica_that_drops_them_is_told_apart_from_one_that_is_gone() {
    let replica = Replica::start_with(server::Config { fail_after: Some(30), ..keeper("failing") });
    let held = holding::run(holding_on(&replica), 10, &session("holder")).await.unwrap();
    assert_eq!((held.flows.count(), held.flows.breaks().len()), (10, 10));
    assert!(held.flows.breaks().iter().all(|one| one.how == How::Reset && one.now.is_none()));
    assert_eq!(held.flows.needlessly(), 0);
}

#[tokio::test]
async fn a_server_that_does_not_keep_them_open_is_nobody() {
    let replica = Replica::start("greets and closes");
    let held = holding::run(holding_on(&replica), 2, &session("holder")).await.unwrap();
    assert_eq!((held.exit(), held.flows.never_made()), (Exit::NobodyAnswered, 2));
}
