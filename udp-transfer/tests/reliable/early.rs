//! The first question goes out with the handshake, and costs no round trip of its own.

use arq::catalogue::FileName;
use arq::handshake::{Answer, Door};
use arq::wire::{self, Datagram, Envelope, Handshake, Reply, Request};
use arq::{CloseReason, Flow, PacketNumber, SessionId};
use tokio::net::UdpSocket;
use udp_transfer::reliable::client::{self, Asking};

use crate::hand::Hand;
use crate::setup::{Running, config, folder, named, session};

const ALL: Request = Request::List { generation: 0, from: 0 };

#[tokio::test(flavor = "multi_thread")]
async fn a_server_answers_what_follows_the_second_hello() {
    let root = folder();
    std::fs::write(root.path().join("a"), "a").unwrap();
    let server = Running::start(root.path());
    let hand = Hand::new(server.address).await;
    // Once it is known that the folder has been read, so that nobody is told to ask again.
    let find = Request::Find(FileName::new("a").unwrap());
    let id = hand.session(SessionId(1)).await;
    loop {
        hand.ask(id, 1, find.clone()).await;
        match hand.receive(reply).await {
            Reply::Deny(CloseReason::Busy) => {}
            _ => break,
        }
    }

    let client = SessionId(2);
    hand.send(&Datagram::Handshake(Handshake::Hello { client, datagram: 1_200, cookie: None })).await;
    let (expected, cookie) = hand
        .receive(|datagram| match datagram {
            Datagram::Handshake(Handshake::Retry { client: to, server, cookie }) if to == client => {
                Some((server, Some(cookie)))
            }
            _ => None,
        })
        .await;
    hand.send(&Datagram::Handshake(Handshake::Hello { client, datagram: 1_200, cookie })).await;
    hand.ask(expected, 9, find).await;
    let accepted = hand
        .receive(|datagram| match datagram {
            Datagram::Handshake(Handshake::Accept { client: to, server, .. }) if to == client => Some(server),
            _ => None,
        })
        .await;
    assert_eq!(accepted, expected);
    assert!(matches!(hand.receive(reply).await, Reply::Found(_)));
    assert_eq!(server.stop().await.datagrams.strangers, 0);
}

fn reply(datagram: Datagram<'_>) -> Option<Reply> {
    match datagram {
        Datagram::Reply(_, reply) => Some(reply),
        _ => None,
    }
}

/// A server that accepts nobody before it was asked something, and then answers that it has nothing. It gives how many
/// questions it was asked.
async fn asked_first(socket: UdpSocket) -> u32 {
    let (door, mut buffer) = (Door::new([1; 32], 1_200), vec![0; 65_536]);
    let (mut accept, mut asked) = (None, 0);
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let answers = match wire::decode(&buffer[..length]) {
            Ok(Datagram::Handshake(handshake)) => match door.handle(events::Time::ZERO, b"anybody", &handshake) {
                Answer::Send(answer) => vec![Datagram::Handshake(answer)],
                Answer::Proven { client, server, datagram } => {
                    accept = Some((client, Datagram::Handshake(Door::accept(client, server, datagram))));
                    vec![]
                }
                Answer::Ignore => vec![],
            },
            Ok(Datagram::Request(envelope, request)) => {
                assert_eq!((request, envelope.flow), (ALL, Flow(1)));
                asked += 1;
                let (client, accept) = accept.clone().expect("the hello came before the question");
                let envelope = Envelope { to: client, flow: envelope.flow, number: PacketNumber::NONE };
                let nothing = Reply::Page { generation: 1, total: 0, from: 0, entries: Vec::new() };
                vec![accept, Datagram::Reply(envelope, nothing)]
            }
            Ok(Datagram::Leave(_)) => return asked,
            _ => vec![],
        };
        for answer in answers {
            let mut bytes = Vec::new();
            answer.encode(&mut bytes);
            socket.send_to(&bytes, from).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_asks_before_it_is_accepted_and_takes_the_answer_that_follows() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let server = tokio::spawn(asked_first(socket));
    let output = folder();
    let asking = Asking { length: Some(1_200), ..config(address, named("a"), output.path()).asking };
    let listed = client::list(&asking, &session("client")).await.unwrap();
    assert!(listed.entries.is_empty());
    // Each hello has the question behind it; on a machine that takes its time, the second one was sent twice.
    let asked = server.await.unwrap();
    assert!((1..=2).contains(&asked), "{asked} questions");
}
