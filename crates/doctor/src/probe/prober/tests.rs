//! Two probers and a network of four ways, each open or shut.

use super::*;

/// What gets through: multicast and unicast, from left to right and back.
#[derive(Clone, Copy, Debug)]
struct Network {
    multicast: [bool; 2],
    unicast: [bool; 2],
}

const OPEN: Network = Network { multicast: [true; 2], unicast: [true; 2] };
const ROUND: Duration = Duration::from_millis(100);

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, if side == 0 { 1 } else { 2 }], 5007))
}

fn prober(side: usize, named: bool) -> Prober {
    let peer = named.then(|| address(1 - side));
    let id = side as u64 + 1;
    let name = Name::new(["left", "right"][side]);
    Prober::new(Time::ZERO, Config { id, name, rounds: 8, interval: ROUND, patience: ROUND * 20, peer })
}

/// Runs both to their end; the right one begins `late` rounds later. Returns both, and how many datagrams were sent.
fn run(network: Network, named: bool, late: u32) -> ([Prober; 2], usize) {
    let mut both = [prober(0, named), prober(1, false)];
    let (mut now, mut sent) = (Time::ZERO, 0);
    for _ in 0..60 {
        for side in [0, 1] {
            if side == 1 && now < Time::ZERO + ROUND * late {
                continue;
            }
            let mut open: Vec<(usize, Transmit)> =
                both[side].handle_timeout(now).into_iter().map(|out| (side, out)).collect();
            while let Some((from, out)) = open.pop() {
                sent += 1;
                let message = Message { port: 5007, ..out.message };
                assert_eq!(Message::decode(&message.encode()), Ok(message), "what is sent can be read");
                let (ways, by) = match out.to {
                    Destination::Group => (network.multicast, By::Multicast),
                    Destination::Peer(to) => {
                        assert_eq!(to, address(1 - from));
                        (network.unicast, By::Unicast)
                    }
                };
                let present = from == 1 || now >= Time::ZERO + ROUND * late;
                if ways[from] && present {
                    open.extend(
                        both[1 - from].handle(now, address(from), by, &message).map(|answer| (1 - from, answer)),
                    );
                }
            }
        }
        now += ROUND;
    }
    assert!(both.iter().all(|prober| prober.is_over(now)));
    (both, sent)
}

/// Whether multicast and unicast work, to the other and from it, as one side tells.
fn told(prober: &Prober) -> Option<[bool; 4]> {
    let heard = prober.heard();
    let heard = heard.first()?;
    Some([heard.multicast_to, heard.multicast_from, heard.unicast_to, heard.unicast_from].map(Path::works))
}

#[test]
fn on_a_good_network_both_ends_hear_everything_both_ways() {
    for late in [0, 1, 7] {
        let (both, _) = run(OPEN, false, late);
        for prober in &both {
            assert_eq!(told(prober), Some([true; 4]), "{late}: {:?}", prober.heard());
            let heard = &prober.heard()[0];
            for path in [heard.multicast_to, heard.multicast_from, heard.unicast_to, heard.unicast_from] {
                assert_eq!(path.sent, path.heard, "{heard:?}");
            }
        }
    }
}

#[test]
fn multicast_one_way_is_seen_from_both_ends() {
    let (both, _) = run(Network { multicast: [true, false], ..OPEN }, false, 0);
    assert_eq!(told(&both[0]), Some([true, false, true, true]));
    assert_eq!(told(&both[1]), Some([false, true, true, true]));
}

#[test]
fn without_multicast_a_named_peer_is_still_asked() {
    let network = Network { multicast: [false; 2], ..OPEN };
    let (both, _) = run(network, false, 0);
    assert_eq!(told(&both[0]), None, "nobody met");
    let (both, _) = run(network, true, 3);
    assert_eq!(told(&both[0]), Some([false, false, true, true]));
    assert_eq!(told(&both[1]), Some([false, false, true, true]));
}

#[test]
fn unicast_one_way_is_seen_where_it_can_be() {
    let (both, _) = run(Network { unicast: [true, false], ..OPEN }, false, 0);
    assert_eq!(told(&both[1]), Some([true, true, false, true]), "the left's answers say what it heard");
    assert_eq!(told(&both[0]), Some([false, true, false, false]), "nothing comes by unicast: it cannot know");
}

#[test]
fn what_one_datagram_causes_is_bounded() {
    let (both, sent) = run(OPEN, true, 0);
    assert!(both[0].has_met());
    assert!(sent <= 20 * 8, "{sent} datagrams for 2 × 10 rounds");
    let mut prober = prober(0, false);
    let mut answers = 0;
    for n in 1..5_000_u32 {
        let message = Message { port: 5007, id: 9, ..prober.message(Kind::Hello, 0, n, Default::default()) };
        answers += u32::from(prober.handle(Time::ZERO, address(1), By::Multicast, &message).is_some());
    }
    assert_eq!(answers, MOST_CAUSED);
    for id in 100..1_000 {
        let message = Message { port: 5007, id, ..prober.message(Kind::Hello, 0, 1, Default::default()) };
        prober.handle(Time::ZERO, address(1), By::Multicast, &message);
    }
    assert_eq!(prober.heard().len(), MOST_PEERS);
}

#[test]
fn what_is_not_meant_for_us_causes_nothing() {
    let mut prober = prober(0, false);
    let hello = Message { port: 5007, id: 9, ..prober.message(Kind::Hello, 0, 1, Default::default()) };
    let own = Message { id: prober.config.id, ..hello };
    assert_eq!(prober.handle(Time::ZERO, address(1), By::Multicast, &own), None, "our own echo");
    assert_eq!(prober.handle(Time::ZERO, address(1), By::Unicast, &hello), None, "a hello comes by multicast");
    let reply = Message { kind: Kind::Reply, to: 77, ..hello };
    assert_eq!(prober.handle(Time::ZERO, address(1), By::Unicast, &reply), None, "to somebody else");
    assert!(!prober.has_met());
}
