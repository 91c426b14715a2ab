//! Whatever datagrams come, a sender and a receiver keep their promises.
#![no_main]

use std::collections::BTreeSet;
use std::time::Duration;

use arq::congestion::Choice;
use arq::wire::{self, Datagram};
use arq::{
    Body, Codepoint, FileId, Layout, Packet, PacketNumber, Peer, Policy, RangeSet, Receiver, ReceiverConfig, Sender, SenderConfig,
    Verdict,
};
use events::Time;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&mode, bytes)) = bytes.split_first() else { return };
    let modes = [Policy::RAW, Policy::STOP_AND_WAIT, Policy::go_back_n(8), Policy::SELECTIVE_REPEAT];
    let policy = modes[usize::from(mode) % modes.len()];
    let (peer, layout, hash, held) = (Peer(1), Layout::new(64 * 100, 100), [0; 32], RangeSet::new());
    let mut now = Time::ZERO;
    let mut sender = Sender::new(
        now,
        SenderConfig { peer, policy, layout, congestion: Choice::Cubic, rate: None, ecn: true, seed: 1, listened_to: false },
    );
    let mut receiver = Receiver::new(
        now,
        ReceiverConfig {
            peer,
            policy,
            layout,
            file: FileId(1),
            hash,
            rate: 0,
            congestion: None,
            ecn: true,
            held,
            credit: 32,
            rtt: None,
            listened_to: false,
        },
    );
    let (mut last, mut stored) = (PacketNumber::NONE, BTreeSet::new());
    for datagram in castlab_fuzz::split(bytes) {
        let Ok(Datagram::Transfer(envelope, body, _)) = wire::decode(&datagram) else { continue };
        now += Duration::from_millis(u64::from(envelope.flow.0 % 4_000));
        let ecn = Codepoint::of(envelope.flow.0.to_be_bytes()[3]);
        let packet = Packet { number: envelope.number, body, ecn };
        if let Verdict::Store(block) = receiver.handle(now, peer, &packet) {
            assert!(stored.insert(block), "stored twice");
            receiver.stored(now, block);
        }
        let _ = sender.handle(now, peer, &packet);
        if sender.poll_timeout().is_some_and(|due| due <= now) {
            sender.handle_timeout(now);
        }
        if receiver.poll_timeout().is_some_and(|due| due <= now) {
            receiver.handle_timeout(now);
        }
        while let Some(outgoing) = sender.poll_transmit(now) {
            assert!(outgoing.packet.number > last, "a packet number twice");
            last = outgoing.packet.number;
        }
        while let Some(outgoing) = receiver.poll_transmit(now) {
            if let Body::Report(report) = outgoing.packet.body {
                assert!(report.is_consistent());
            }
        }
        assert!(sender.poll_timeout().is_none_or(|due| due > now));
        assert!(receiver.poll_timeout().is_none_or(|due| due > now));
    }
});
