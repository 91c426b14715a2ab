//! The figures to reach, as data.

use super::super::contender::Contender;
use super::scenarios::{CLASSIC, CUBIC, GO_BACK_N, IPERF_BBR, PLAIN, QUIC, SINGLE, STOP_AND_WAIT, UNVERIFIED};
use super::{Target, Wants};

impl Target {
    /// The figures to reach.
    pub(in super::super) fn all() -> Vec<Target> {
        let mut all = Vec::new();
        let mut want = |scenario, who, wants| all.push(Target { scenario, who, wants });
        for path in ["lo", "veth"] {
            want(path, UNVERIFIED, Wants::Rate { of: Contender::Nginx, least: 1.0 });
            want(path, PLAIN, Wants::Rate { of: Contender::Nginx, least: 0.85 });
            want(path, PLAIN, Wants::Rate { of: Contender::NginxHashed, least: 1.3 });
            want(path, PLAIN, Wants::Rate { of: QUIC, least: 2.0 });
            want(path, PLAIN, Wants::Cpu { of: QUIC, most: 0.5 });
            want(path, PLAIN, Wants::ClientMemory { most: 32.0 });
        }
        for several in ["lo-5", "lo-10", "veth-5", "veth-10"] {
            want(several, UNVERIFIED, Wants::Rate { of: Contender::Nginx, least: 0.9 });
            want(several, PLAIN, Wants::Rate { of: Contender::Nginx, least: 0.7 });
            want(several, PLAIN, Wants::Fairness { least: 0.95 });
        }
        want("lo-no-offload", SINGLE, Wants::Rate { of: Contender::IperfUdp, least: 0.85 });
        for old in ["lo-classic", "lo-classic-5", "lo-classic-10", "veth-classic", "veth-classic-5", "veth-classic-10"]
        {
            for who in [CLASSIC, PLAIN, GO_BACK_N] {
                want(old, who, Wants::Rate { of: Contender::Python, least: 1.0 });
            }
        }
        for old in ["lo-classic", "lo-classic-5", "lo-classic-10", "veth-classic"] {
            want(old, STOP_AND_WAIT, Wants::Rate { of: Contender::Python, least: 1.0 });
        }
        want("lo-1000", PLAIN, Wants::Slowest { most: 3.0 });
        want("lo-1000", PLAIN, Wants::ServerMemory { most: 256.0 });
        want("lo-1000", PLAIN, Wants::ClientMemory { most: 32.0 });
        want("veth-mtu", PLAIN, Wants::Rate { of: Contender::Nginx, least: 0.95 });
        want("veth-mtu", PLAIN, Wants::Rate { of: QUIC, least: 2.0 });
        want("veth-mtu", PLAIN, Wants::Cpu { of: QUIC, most: 0.5 });
        want("veth-loss", PLAIN, Wants::Rate { of: IPERF_BBR, least: 0.9 });
        want("relay-loss", PLAIN, Wants::Line { least: 0.90 });
        want("relay-loss", PLAIN, Wants::Queue { most: 0.5 });
        want("relay-long", PLAIN, Wants::Line { least: 0.85 });
        for who in [PLAIN, CUBIC] {
            want("relay-shared", who, Wants::Share { least: 0.25, most: 0.75 });
        }
        all
    }
}
