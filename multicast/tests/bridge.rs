//! Twenty receivers in twenty network namespaces on one bridge, and two sources: nothing is miscounted, and what the
//! kernel drops on purpose is reported to the message. Where the machine allows no private networks, a line that begins
//! with SKIPPED says so.
//!
//! `CASTLAB_TEST_MESSAGES=100000 cargo test --release -p multicast --test bridge` sends as many from each source.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

const RECEIVERS: usize = 20;

/// `net` makes a bridge with a namespace for each receiver (r1, …) and source (s1, s2); `play` lets all receivers listen,
/// both sources send, and then asks the receivers to end. Each receiver's result is in rN.json.
const SCRIPT: &str = r#"
    mount -t tmpfs none /run
    mkdir -p /run/netns
    in_ns() { namespace=$1; shift; nsenter --net=/run/netns/$namespace "$@"; }
    ip link add br0 type bridge mcast_snooping 0
    ip link set br0 up
    number=1
    for name in s1 s2 $NAMES; do
        ip netns add $name
        ip link add $name type veth peer name eth0 netns $name
        ip link set $name master br0 up
        in_ns $name ip address add 192.0.2.$number/24 dev eth0
        in_ns $name ip link set eth0 up
        number=$((number + 1))
    done
    cut -d' ' -f2 /proc/net/softnet_stat > softnet.before
    if [ "$LOSS" = yes ]; then
        for name in $NAMES; do
            in_ns $name nft -f - <<-END
		table inet lossy {
			counter taken { }
			chain input {
				type filter hook input priority 0;
				ip daddr 239.255.54.1 udp dport 5007 numgen random mod 100 == 0 counter name taken drop
			}
		}
		END
        done
    fi
    pids=
    for name in $NAMES; do
        nsenter --net=/run/netns/$name "$RECEIVER" -I eth0 --json 239.255.54.1:5007 < /dev/null > $name.json 2> $name.log &
        pids="$pids $!"
    done
    for name in $NAMES; do
        until grep -q granted $name.log; do sleep 0.02; done
    done
    for name in s1 s2; do
        nsenter --net=/run/netns/$name "$SENDER" -I eth0 -q --name $name -c "$MESSAGES" -l 100 -b "$RATE" --batch 1 239.255.54.1:5007 > /dev/null &
        senders="${senders:-} $!"
    done
    for sender in $senders; do wait $sender; done
    kill $pids
    for receiver in $pids; do wait $receiver; done
    cut -d' ' -f2 /proc/net/softnet_stat > softnet.after
    [ "$LOSS" = no ] || for name in $NAMES; do in_ns $name nft -j list counter inet lossy taken > $name.nft; done
"#;

fn run(folder: &Path, script: &str, loss: &str, messages: u64) -> Output {
    let names: Vec<String> = (1..=RECEIVERS).map(|number| format!("r{number}")).collect();
    // Whatever happens, nothing is left: all of it dies with its process namespace, and that with its time.
    Command::new("timeout")
        .args(["--kill-after=5", "300", "unshare", "--user", "--map-root-user", "--net", "--mount"])
        .args(["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-euc", script])
        .current_dir(folder)
        .env("SENDER", cargo_bin("multicast-sender"))
        .env("RECEIVER", cargo_bin("multicast-receiver"))
        .env("NAMES", names.join(" "))
        .env("LOSS", loss)
        .env("MESSAGES", messages.to_string())
        // Slow enough for twenty debug builds on two processors.
        .env("RATE", std::env::var("CASTLAB_TEST_RATE").unwrap_or_else(|_| "2M".into()))
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn messages() -> u64 {
    std::env::var("CASTLAB_TEST_MESSAGES").ok().and_then(|number| number.parse().ok()).unwrap_or(2_000)
}

/// The receivers' results, the folder they lie in, and how many packets the kernel's own queues had no room for; `None`
/// where the machine refuses the network or what makes the loss.
fn play(test: &str, loss: &str) -> Option<(Vec<Value>, tempfile::TempDir, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let needs = match loss {
        "yes" => {
            "ip link add v0 type veth peer name v1; mount -t tmpfs none /run; nft add table inet a; nft add chain inet a b; \
                  nft add rule inet a b numgen random mod 100 == 0 counter drop"
        }
        _ => "ip link add v0 type veth peer name v1; ip link add br0 type bridge; mount -t tmpfs none /run",
    };
    let refused = run(folder.path(), needs, loss, 0);
    if !refused.status.success() {
        let why = String::from_utf8_lossy(&refused.stderr).trim().replace('\n', "; ");
        let line = format!("SKIPPED {test}: no private network with all it takes on this machine: {why}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    }
    let output = run(folder.path(), SCRIPT, loss, messages());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let read = |name: String| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let results =
        (1..=RECEIVERS).map(|number| serde_json::from_str(&read(format!("r{number}.json"))).unwrap()).collect();
    let sum =
        |name: &str| -> u64 { read(name.into()).lines().map(|line| u64::from_str_radix(line, 16).unwrap()).sum() };
    let queues = sum("softnet.after") - sum("softnet.before");
    Some((results, folder, queues))
}

/// Whatever happened: each source's messages are heard, or known to be missing. Gives how many were missed before the first
/// one heard: a receiver cannot tell whether the network took those, or it came too late for them.
fn check_that_all_is_accounted_for(result: &Value) -> u64 {
    let streams = result["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 2, "{result}");
    let mut before = 0;
    for stream in streams {
        let count = |name: &str| stream[name].as_u64().unwrap();
        let different = count("received") - count("duplicates");
        assert_eq!(different + count("lost") + count("tail") + count("before"), messages(), "{stream}");
        assert_eq!((count("late"), count("duplicates"), count("away")), (0, 0, 0), "{stream}");
        assert!(["s1", "s2"].contains(&stream["name"].as_str().unwrap()) && stream["bye"] == true, "{stream}");
        before += count("before");
    }
    before
}

#[test]
fn twenty_receivers_and_two_sources_count_alike() {
    let Some((results, _folder, queues)) = play("twenty_receivers_and_two_sources_count_alike", "no") else { return };
    for result in &results {
        assert_eq!(
            check_that_all_is_accounted_for(result),
            0,
            "all of them were there before the first message: {result}"
        );
        let losses = |name: &str| result["losses"][name].as_u64().unwrap();
        assert!(losses("network") <= queues, "the network here loses nothing but what its queues drop: {result}");
        let heard = result["messages"].as_u64().unwrap();
        assert_eq!(heard + losses("network") + losses("receive_buffer"), 2 * messages());
    }
}

#[test]
fn loss_that_the_kernel_makes_is_reported_to_the_message() {
    let test = "loss_that_the_kernel_makes_is_reported_to_the_message";
    let Some((results, folder, queues)) = play(test, "yes") else { return };
    let mut all = 0;
    for (number, result) in (1..).zip(&results) {
        let before = check_that_all_is_accounted_for(result);
        let text = std::fs::read_to_string(folder.path().join(format!("r{number}.nft"))).unwrap();
        let counter: Value = serde_json::from_str(&text).unwrap();
        let counters = counter["nftables"].as_array().unwrap();
        let taken = counters.iter().find_map(|entry| entry["counter"]["packets"].as_u64()).unwrap();
        let lost = before + result["losses"]["network"].as_u64().unwrap();
        // On a machine with too much to do, the kernel's queues may drop some too, and count them for all together.
        assert!(
            (taken..=taken + queues).contains(&lost),
            "r{number}: {lost} reported, {taken} dropped, {queues} in queues"
        );
        all += taken;
    }
    assert!(all > 0, "one in a hundred of {} is more than none", 2 * messages() * 20);
}
