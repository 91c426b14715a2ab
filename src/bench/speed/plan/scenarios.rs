//! The scenarios, as data.

use super::super::contender::{Contender, Ours};
use super::super::path::Path;
use super::{Plan, Scenario};

pub(super) const PLAIN: Contender = Contender::Castlab(Ours::Plain);
pub(super) const UNVERIFIED: Contender = Contender::Castlab(Ours::Unverified);
pub(super) const CUBIC: Contender = Contender::Castlab(Ours::Cubic);
pub(super) const CLASSIC: Contender = Contender::Castlab(Ours::Classic);
pub(super) const SINGLE: Contender = Contender::Castlab(Ours::Single);
pub(super) const GO_BACK_N: Contender = Contender::Castlab(Ours::GoBackN);
pub(super) const STOP_AND_WAIT: Contender = Contender::Castlab(Ours::StopAndWait);
pub(super) const QUIC: Contender = Contender::Quic("cubic");
pub(super) const IPERF_CUBIC: Contender = Contender::Iperf("cubic");
pub(super) const IPERF_BBR: Contender = Contender::Iperf("bbr");

/// What is on the way in a second of a gigabit.
const GIGABIT: u64 = 125_000_000;
/// What clients of the old protocol fetch each: what is measured is the sending, and after it they wait for seconds of
/// silence.
const OLD_BYTES: u64 = 100_000_000;

/// What scenarios have in common.
#[derive(Clone, Copy, Debug)]
struct Base {
    size: u64,
    rounds: usize,
    quick: bool,
}

impl Plan {
    /// Everything there is, with files of `size` for one client and a quarter of it for several, path by path. `quick`
    /// leaves out what takes long and says little.
    pub(in super::super) fn scenarios(size: u64, rounds: usize, quick: bool) -> Vec<Scenario> {
        let base = Base { size, rounds, quick };
        [base.lo(), base.veth(), base.mtu(), base.far()].concat()
    }
}

impl Base {
    fn on(self, name: &'static str, path: Path, clients: u16, contenders: &[Contender]) -> Scenario {
        Scenario {
            name,
            path,
            clients,
            bytes: if clients > 1 { self.part() } else { self.size },
            seconds: if self.quick { 1 } else { 2 },
            rounds: self.rounds,
            beside_tcp: false,
            contenders: contenders.to_vec(),
            peer: Some(Contender::Nginx),
        }
    }

    fn part(self) -> u64 {
        (self.size / 4).max(1)
    }

    /// One client and several, beside nginx.
    fn usual(self, path: Path, names: [&'static str; 3]) -> Vec<Scenario> {
        let one = [PLAIN, UNVERIFIED, Contender::Nginx, Contender::NginxHashed, QUIC, IPERF_CUBIC, IPERF_BBR];
        let several = [PLAIN, UNVERIFIED, Contender::Nginx];
        let [single, five, ten] = names;
        vec![self.on(single, path, 1, &one), self.on(five, path, 5, &several), self.on(ten, path, 10, &several)]
    }

    /// The old protocol, and the reliable modes beside it: one client and several.
    fn old(self, path: Path, names: [&'static str; 3]) -> Vec<Scenario> {
        let all = [CLASSIC, Contender::Python, PLAIN, GO_BACK_N, STOP_AND_WAIT];
        // With small packets one block at a time takes as long as everything else together.
        let several = if path == Path::Lo { &all[..] } else { &all[..4] };
        let [one, five, ten] = names;
        let of = |name, clients, rounds: usize| Scenario {
            bytes: self.part().min(OLD_BYTES),
            rounds: self.rounds.min(rounds),
            peer: Some(Contender::Python),
            ..self.on(name, path, clients, if clients > 1 { several } else { &all })
        };
        if self.quick { vec![of(one, 1, 2)] } else { vec![of(one, 1, 3), of(five, 5, 2), of(ten, 10, 2)] }
    }

    fn lo(self) -> Vec<Scenario> {
        let single = [SINGLE, Contender::IperfUdp];
        let mut all = self.usual(Path::Lo, ["lo", "lo-5", "lo-10"]);
        all.push(Scenario {
            bytes: self.part(),
            peer: Some(Contender::IperfUdp),
            ..self.on("lo-no-offload", Path::Lo, 1, &single)
        });
        let mut old = self.old(Path::Lo, ["lo-classic", "lo-classic-5", "lo-classic-10"]);
        // One client on loopback has been measured from the first: with as large a file, and in every round.
        (old[0].bytes, old[0].rounds) = (self.part(), self.rounds);
        all.extend(old);
        all.push(Scenario {
            bytes: self.part().min(1 << 20),
            peer: None,
            rounds: self.rounds.min(2),
            ..self.on("lo-1000", Path::Lo, 1000, &[PLAIN])
        });
        all
    }

    fn veth(self) -> Vec<Scenario> {
        let mut all = self.usual(Path::Veth, ["veth", "veth-5", "veth-10"]);
        all.push(Scenario {
            bytes: self.part(),
            ..self.on("veth-uftp", Path::Veth, 1, &[PLAIN, Contender::Uftp, Contender::Nginx])
        });
        all.extend(self.old(Path::Veth, ["veth-classic", "veth-classic-5", "veth-classic-10"]));
        all
    }

    /// Small packets on the wire, some of them lost or no more than a gigabit of them.
    fn mtu(self) -> Vec<Scenario> {
        let whole = [PLAIN, UNVERIFIED, Contender::Nginx, QUIC, IPERF_CUBIC, IPERF_BBR];
        let lossy = [PLAIN, CUBIC, IPERF_BBR, IPERF_CUBIC, Contender::Quic("bbr")];
        let rate = self.on("veth-rate", Path::VethRate, 1, &[PLAIN, Contender::Nginx]);
        vec![
            self.on("veth-mtu", Path::VethMtu, 1, &whole),
            Scenario { bytes: self.part(), peer: Some(IPERF_BBR), ..self.on("veth-loss", Path::VethLoss, 1, &lossy) },
            Scenario { bytes: GIGABIT.min(self.part()) * rate.seconds, peer: None, rounds: self.rounds.min(3), ..rate },
        ]
    }

    /// Long and lossy paths: they take as long as they take, whatever the machine.
    fn far(self) -> Vec<Scenario> {
        let seconds = if self.quick { 2 } else { 4 };
        let rounds = self.rounds.min(if self.quick { 1 } else { 3 });
        let on = |name, path, contenders: &[Contender]| Scenario {
            bytes: GIGABIT * seconds,
            seconds,
            peer: None,
            rounds,
            ..self.on(name, path, 1, contenders)
        };
        vec![
            on("relay-loss", Path::RelayLoss, &[PLAIN, CUBIC, IPERF_CUBIC, IPERF_BBR, Contender::Quic("bbr")]),
            on("relay-long", Path::RelayLong, &[PLAIN, CUBIC, IPERF_CUBIC, IPERF_BBR, QUIC]),
            Scenario {
                // More than fits through in that time, so that it goes on as long as the flow beside it.
                bytes: GIGABIT / 10 * 15,
                seconds: if self.quick { 5 } else { 10 },
                beside_tcp: true,
                ..on("relay-shared", Path::RelayShared, &[PLAIN, CUBIC])
            },
        ]
    }
}
