//! One address on several servers, in network namespaces: equal-cost routes, BGP, and what moving routes do to TCP. Where
//! the machine refuses a private network, or has no BIRD, a test says so in one line that begins with SKIPPED.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

/// Runs `commands` of the lab with this way of routing and so many servers; what it printed, or `None` where this machine
/// cannot.
fn routed(test: &str, mode: &str, servers: usize, commands: &str) -> Option<String> {
    let works = |program: &str, args: &[&str]| {
        let status = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let private = ["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc", "true"];
    let missing = if !works("unshare", &private) && !works("unshare", &private[2..]) {
        Some("no private network on this machine")
    } else if ["bgp", "bfd"].contains(&mode) && !works("sh", &["-c", "PATH=$PATH:/usr/sbin command -v bird"]) {
        Some("no bird on this machine (Debian: bird2)")
    } else {
        None
    };
    if let Some(missing) = missing {
        // Past the test harness, which would keep it to itself.
        std::io::stderr().write_all(format!("SKIPPED {test}: {missing}\n").as_bytes()).unwrap();
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("routed/namespaces.sh");
    let output = Command::new(script)
        .args([mode, &servers.to_string(), commands])
        .env("CASTLAB_BIN", cargo_bin("anycast-client").parent().unwrap())
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let (told, problems) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{problems}");
    Some(told)
}

fn json(told: &str) -> Value {
    serde_json::from_str(told.lines().last().unwrap()).unwrap()
}

#[test]
fn equal_cost_routes_spread_the_flows_of_one_client_over_servers_with_one_address() {
    let test = "equal_cost_routes_spread_the_flows";
    let Some(told) = routed(test, "static", 3, "client 10.77.0.1 -c 120 --timeout 10s --json") else { return };
    let result = json(&told);
    assert_eq!((&result["answered"], &result["unanswered"]), (&120.into(), &0.into()), "{told}");
    let replicas = result["replicas"].as_array().unwrap();
    let names: Vec<&str> = replicas.iter().map(|replica| replica["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["server-1", "server-2", "server-3"]);
    assert!(replicas.iter().all(|replica| replica["address"] == "10.77.0.1:5000"), "{told}");
}

#[test]
fn one_source_port_is_one_flow_and_goes_one_way() {
    let commands = "client 10.77.0.1 -c 20 --source-port 4321 --timeout 10s --json";
    let Some(told) = routed("one_source_port_is_one_flow", "static", 3, commands) else { return };
    let result = json(&told);
    assert_eq!((&result["answered"], result["replicas"].as_array().unwrap().len()), (&20.into(), 1), "{told}");
}

/// A client that asks until it has been answered 300 times more after the event, in the midst of it.
fn amid(event: &str) -> String {
    format!(
        r#"
        client 10.77.0.1 --watch -i 5ms --timeout 10s -c 500 --json --events $scratch/events >$scratch/out 2>/dev/null & asking=$!
        until_lines $scratch/events received 200
        {event}
        wait $asking
        tail -n 1 $scratch/router.log $scratch/server2.log >&2
        cat $scratch/out
    "#
    )
}

#[test]
fn a_server_that_withdraws_before_it_stops_costs_nobody_anything() {
    for event in ["stop 2; until_routes 2", "drain 2; until_routes 2"] {
        let Some(told) = routed("a_server_that_withdraws_before_it_stops", "bgp", 3, &amid(event)) else { return };
        let result = json(&told);
        assert_eq!((&result["answered"], &result["failed_tries"]), (&500.into(), &0.into()), "{event}: {told}");
        assert!(result["watched"]["moves"].as_u64().unwrap() > 100, "{told}");
    }
}

#[test]
fn a_server_without_its_bird_or_its_program_ends_and_says_which() {
    for (victim, words) in [("birdc -s $scratch/server2/server.ctl down", "BIRD"), ("pkill_app", "the server")] {
        let commands = format!(
            r#"
            pkill_app() {{ kill -KILL $(pgrep -P "${{pids[2]}}" anycast-server); }}
            {victim} >/dev/null
            code=0; wait "${{pids[2]}}" || code=$?
            until_routes 2
            client 10.77.0.1 -c 60 --timeout 10s -q --json >$scratch/out
            grep '^server.sh:' $scratch/server2.log
            echo "exit $code"
            cat $scratch/out
        "#
        );
        let Some(told) = routed("a_server_without_its_bird", "bgp", 3, &commands) else { return };
        assert!(told.contains(&format!("server.sh: {words} ended by itself")) && told.contains("\nexit 1\n"), "{told}");
        assert_eq!(json(&told)["answered"], 60, "{told}");
    }
}

/// A hundred kept connections, of whose five servers one is stopped in the midst.
fn holding() -> &'static str {
    r#"
        client 10.77.0.1:8080 --hold 100 -i 20ms --timeout 10s -c 150 --events $scratch/events >$scratch/out 2>/dev/null & holding=$!
        until_lines $scratch/events '"connected"' 100
        stop 2
        until_routes 4
        wait $holding
        cat $scratch/out
    "#
}

/// The number before these words in the report.
fn number(told: &str, before: &str) -> u64 {
    let line = told.lines().find(|line| line.contains(before)).unwrap_or_else(|| panic!("no '{before}' in: {told}"));
    line.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_plain_hash_moves_flows_of_servers_that_stay_and_resets_tell() {
    let Some(told) = routed("a_plain_hash_moves_flows", "static", 5, holding()) else { return };
    assert!(told.contains("reset: your flow moved from server-"), "{told}");
    assert!(told.contains(", which never saw it"), "{told}");
    assert!(number(&told, "of them were with a replica that is still there") > 0, "{told}");
}

#[test]
fn a_resilient_group_moves_only_the_flows_of_the_server_that_goes() {
    let Some(told) = routed("a_resilient_group_moves_only", "resilient", 5, holding()) else { return };
    assert!(number(&told, "of 100 kept connections broke") > 0, "{told}");
    assert!(!told.contains("still there"), "{told}");
}
