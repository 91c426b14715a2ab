//! Sticky, nearest, a race, and what a watcher sees.

use std::time::Duration;

use anycast::chooser::Pick;
use anycast::client::{self, Ended};
use anycast::evenness::Verdict;
use anycast::report;
use anycast::server;
use anycast::tally::Who;

use crate::setup::{Dead, LONG, Replica, ask, config, named, session};

fn used(asked: &client::Asked) -> Vec<String> {
    asked
        .tally
        .replicas()
        .filter_map(|(who, replica)| match who {
            Who::Named(name, _) if replica.answers > 0 => Some(name.clone()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn one_key_stays_and_many_keys_spread_and_when_one_goes_only_its_keys_move() {
    let mut replicas: Vec<Replica> = (1..=3).map(|n| Replica::start(&format!("server{n}"))).collect();
    let targets: Vec<_> = replicas.iter().map(|replica| replica.address).collect();
    let sticky = client::Config { pick: Pick::Sticky, count: Some(30), ..config(&targets) };
    assert_eq!(used(&ask(client::Config { key: "ana".into(), ..sticky.clone() }).await).len(), 1);
    let users = client::Config { key: "user-{}".into(), ..sticky };
    let before = ask(users.clone()).await;
    assert_eq!(used(&before).len(), 3);
    let gone = replicas.remove(0);
    let lost = gone.stop().await.greeted;
    let after = ask(users).await;
    // The two that are left have their own keys again, and those of the one that went: one failed try for each.
    assert_eq!(after.tally.answers(), 30);
    assert!(after.tally.failures() > 0 && after.tally.failures() <= lost);
}

#[tokio::test]
async fn nearest_measures_all_and_keeps_off_the_dead() {
    let (dead, alive) = (Dead::bind(), Replica::start("alive"));
    let nearest = client::Config { pick: Pick::Nearest, count: Some(40), ..config(&[dead.address(), alive.address]) };
    let asked = ask(nearest).await;
    assert_eq!(asked.tally.answers(), 40);
    assert!((1..=8).contains(&asked.tally.failures()), "{}", asked.tally.failures());
}

#[tokio::test]
async fn a_race_passes_over_the_dead_at_once_and_is_bounded() {
    let (dead, alive) = (Dead::bind(), Replica::start("alive"));
    let race = client::Config { pick: Pick::Race, ..config(&[dead.address(), alive.address]) };
    let asked = ask(race.clone()).await;
    assert_eq!((asked.tally.answers(), asked.tally.failures()), (1, 1));
    let lost = ask(client::Config { targets: config(&[dead.address()]).targets, ..race }).await;
    assert_eq!((lost.tally.answers(), lost.tally.unanswered(), lost.tally.failures()), (0, 1, 1));
}

#[tokio::test]
async fn a_race_goes_on_when_the_winner_says_nothing() {
    let busy = Replica::start_with(server::Config { fail_after: Some(0), ..named("bad") });
    let alive = Replica::start("alive");
    let race = client::Config { pick: Pick::Race, ..config(&[busy.address, alive.address]) };
    let asked = ask(race).await;
    assert_eq!((asked.tally.answers(), asked.tally.failures(), used(&asked)), (1, 1, vec!["alive".to_owned()]));
}

#[tokio::test]
async fn evenness_knows_first_from_random_from_taking_turns() {
    let replicas: Vec<Replica> = (1..=3).map(|n| Replica::start(&format!("server{n}"))).collect();
    let targets: Vec<_> = replicas.iter().map(|replica| replica.address).collect();
    for (pick, verdict) in
        [(Pick::First, Verdict::Uneven), (Pick::Random, Verdict::Chance), (Pick::RoundRobin, Verdict::Regular)]
    {
        let asked = ask(client::Config { pick, count: Some(90), concurrency: 8, ..config(&targets) }).await;
        assert_eq!(report::evenness_of(&asked).unwrap().verdict(), verdict, "{pick:?}");
    }
}

#[tokio::test]
async fn a_watcher_tells_who_took_over_and_what_it_cost() {
    // The first one answers three times and then resets; the second takes over.
    let (failing, heir) =
        (Replica::start_with(server::Config { fail_after: Some(3), ..named("failing") }), Replica::start("heir"));
    let watching = client::Config {
        pick: Pick::First,
        watch: true,
        count: Some(10),
        tries: 2,
        ..config(&[failing.address, heir.address])
    };
    let asked = ask(watching).await;
    let watcher = &asked.watcher;
    // From then on each connection fails once at the first and is answered by the second.
    assert_eq!((watcher.moves(), watcher.failures(), watcher.outages()), (1, 7, 7));
    assert!(watcher.longest().unwrap().gap() > Duration::ZERO);
}

#[tokio::test]
async fn a_watcher_without_a_count_ends_when_asked_and_that_is_its_end() {
    let replica = Replica::start_with(server::Config { connections: Some(1), ..named("once") });
    let watching = client::Config { watch: true, count: None, interval: LONG, ..config(&[replica.address]) };
    let client = session("watcher");
    let running = tokio::spawn({
        let client = client.clone();
        async move { client::run(watching, &client).await.unwrap() }
    });
    replica.running.await.unwrap();
    client.shutdown.request();
    assert_eq!(running.await.unwrap().ended, Ended::Done);
}

#[tokio::test]
async fn every_connection_may_come_from_one_port() {
    let replica = Replica::start("a");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let asked = ask(client::Config { source_port: Some(free), count: Some(5), ..config(&[replica.address]) }).await;
    assert_eq!(asked.tally.answers(), 5, "{:?}", asked.tally.first_failure());
}
