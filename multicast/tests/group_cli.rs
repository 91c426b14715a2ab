//! The group's programs as a user runs them: system E, calls, who is here, logs that are checked, errors, Ctrl-C.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "what is skipped is said")]

#[path = "group/programs.rs"]
mod programs;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use programs::{Running, command, run, text};
use serde_json::Value;

/// Whether there is a Python to run the peers with; says so loudly where there is none.
fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("SKIPPED: python3 is not here, so the peers of system E did not run");
    }
    found
}

fn python(peer: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(format!("{}/tests/peers/{peer}.py", env!("CARGO_MANIFEST_DIR")));
    command
}

fn one_object(stdout: &[u8]) -> Value {
    let text = text(stdout);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn help_begins_with_examples_and_names_the_environment() {
    for (program, sub) in [
        ("group-server", None),
        ("group-server", Some("call")),
        ("group-server", Some("check-order")),
        ("group-client", None),
    ] {
        let args: Vec<&str> = sub.into_iter().chain(["-h"]).collect();
        let help = run(program, &args);
        let shown = text(&help.stdout);
        assert_eq!(help.status.code(), Some(0));
        let examples = shown.lines().skip(1).take_while(|line| line.contains(program)).count();
        assert!(shown.starts_with("Examples:\n") && examples >= 3, "{shown}");
        assert!(shown.contains("CASTLAB_"), "{shown}");
    }
}

#[test]
fn our_server_and_the_original_clients() {
    if !has_python() {
        return;
    }
    let (mut server, address) = Running::server(&[]);
    let (host, port) = address.rsplit_once(':').unwrap();
    let start = |line| {
        let mut client = python("group_client");
        client.args([host, port, line]).stdout(Stdio::piped()).spawn().unwrap()
    };
    let first = start("Hello");
    assert_eq!(server.until("Message"), "Message from Client 1: Hello\n");
    let second = start("Olá, ninguém?");
    assert_eq!(server.until("Message"), "Message from Client 2: Olá, ninguém?\n");
    // The oldest is answered first; or one by name.
    server.type_line("/to 2 Sim, eu");
    server.type_line("Hello yourself");
    let answer = |client: std::process::Child| text(&client.wait_with_output().unwrap().stdout);
    assert_eq!(answer(second), "Message from Server: Sim, eu\n");
    assert_eq!(answer(first), "Message from Server: Hello yourself\n");
    server.signal(Signal::SIGINT);
    let (printed, code) = server.end();
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("Verdict: 0 joined, 0 fell silent, 2 messages to the server"), "{printed}");
}

#[test]
fn a_person_at_a_terminal_is_asked_for_the_answer_to_each_client() {
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut server = command("group-server", &["--bind", "127.0.0.1:0"]).stdin(pty.slave).spawn().unwrap();
    let mut told = BufReader::new(server.stdout.take().unwrap());
    let mut asked = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    let mut typed = std::fs::File::from(pty.master);
    let mut two = Running::client(&address, "2", &[]);
    two.type_line("Hello");
    let mut prompt = Vec::new();
    while !prompt.ends_with(b"Answer to Client 2: ") {
        assert!(asked.read_until(b' ', &mut prompt).unwrap() > 0, "{}", text(&prompt));
    }
    typed.write_all(b"Hello yourself\n").unwrap();
    assert_eq!(two.until("Message"), "Message from Server: Hello yourself\n");
    typed.write_all(b"/nonsense\n/group bye\n/quit\n").unwrap();
    two.until("Server to all: bye");
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn our_client_and_the_original_server() {
    if !has_python() {
        return;
    }
    let mut server = Running::of(python("group_server"));
    let port = server.until("").trim().to_owned();
    server.type_line("one");
    server.type_line("two");
    server.close_input();
    let address = format!("127.0.0.1:{port}");
    let mut client = Running::start("group-client", &["--classic", "--server", &address]);
    client.type_line("Hello");
    client.type_line("Still there?");
    client.close_input();
    let (printed, code) = client.end();
    assert!(printed.starts_with("Message from Server: one\nMessage from Server: two\nVerdict: done"), "{printed}");
    assert_eq!(code, Some(0));
    assert!(server.end().0.ends_with("Message from Client 1: Hello\nMessage from Client 1: Still there?\n"));
}

#[test]
fn a_script_sends_waits_for_its_answers_and_leaves() {
    let (server, address) = Running::server(&["--reply", "Hello {client}, you said {text}"]);
    let mut client = Running::start("group-client", &["--server", &address, "--name", "2"]);
    client.type_line("Hello");
    client.type_line("/group hi all");
    client.close_input();
    let (printed, code) = client.end();
    assert!(printed.contains("Message from Server: Hello 2, you said Hello\n"), "{printed}");
    assert!(printed.contains("Client 2 to all: hi all\n"), "{printed}");
    assert!(printed.contains("Verdict: done; 1 lines sent, 1 messages"), "{printed}");
    assert_eq!(code, Some(0));
    server.signal(Signal::SIGTERM);
    let (printed, _) = server.end();
    assert!(printed.contains("Client 2 joined from 127.0.0.1:"), "{printed}");
    assert!(printed.contains("\nClient 2 left\n"), "{printed}");
}

#[test]
fn unanswered_lines_and_servers_that_are_not_there_are_exit_code_4() {
    let (_server, address) = Running::server(&[]);
    let mut client = Running::start("group-client", &["--server", &address, "-W", "100ms"]);
    client.type_line("Anybody?");
    client.close_input();
    assert_eq!(client.end().1, Some(4));
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let nobody = run("group-client", &["--server", &free, "--max-wait", "100ms", "--json"]);
    assert_eq!(nobody.status.code(), Some(4));
    assert_eq!(one_object(&nobody.stdout)["error"]["code"], "NOBODY-ANSWERED");
    let nobody = run("group-server", &["call", "?", "--bind", "127.0.0.1:0", "--max-wait", "50ms", "--json"]);
    assert_eq!(nobody.status.code(), Some(4));
    assert_eq!(one_object(&nobody.stdout)["error"]["code"], "NOBODY-HERE");
}

#[test]
fn a_call_returns_every_answer_and_names_the_missing_by_copies_and_by_multicast() {
    for (number, cast) in ["unicast", "multicast"].into_iter().enumerate() {
        // A group and ports of this test's own.
        let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (address, group) = (format!("127.0.0.1:{port}"), format!("239.255.52.{}:{port}", number + 1));
        let client = |name: &str, args: &[&str]| {
            Running::start("group-client", &[&["--server", &address, "--name", name, "-I", "lo"], args].concat())
        };
        let mut clients =
            vec![client("1", &["--reply", "yes"]), client("2", &["--reply", "{text} no"]), client("3", &[])];
        let call =
            ["call", "Ready?", "--bind", &address, "--cast", cast, "--group", &group, "-I", "lo", "--max-wait", "20s"];
        let called = run("group-server", &[&call[..], &["--members", "1,2,3", "--json", "-W", "1500ms"]].concat());
        assert_eq!(called.status.code(), Some(6), "{}", text(&called.stderr));
        let object = one_object(&called.stdout);
        let mut answers: Vec<(&str, &str)> = object["answers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["client"].as_str().unwrap(), one["answer"].as_str().unwrap()))
            .collect();
        answers.sort_unstable();
        assert_eq!(answers, [("1", "yes"), ("2", "Ready? no")]);
        assert_eq!(object["missing"][0]["client"], "3");
        assert_eq!(object["missing"][0]["reason"], "no answer in time");
        for client in &mut clients {
            let line = client.until("Joined at");
            assert_eq!(line.contains(&format!("multicast from {group}")), cast == "multicast", "{line}");
        }
        for client in clients {
            let (printed, code) = client.end();
            assert_eq!(code, Some(0), "the server says good-bye: {printed}");
        }
    }
}

#[test]
fn a_call_that_all_answer_is_exit_code_0() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let clients = ["a", "b"]
        .map(|name| Running::start("group-client", &["--server", &address, "--name", name, "--reply", "{client}!"]));
    let call = ["call", "?", "--bind", &address, "--deadline", "10s"];
    let all = run("group-server", &[&call[..], &["--members", "a,b", "--max-wait", "20s"]].concat());
    assert_eq!(all.status.code(), Some(0), "{}", text(&all.stderr));
    assert!(text(&all.stdout).contains("Verdict: 2 of 2 answered in "), "{}", text(&all.stdout));
    for client in clients {
        client.end();
    }
}

#[test]
fn who_is_here_is_shown_and_one_that_vanishes_is_missed() {
    let (mut server, address) = Running::server(&["--heartbeat", "100ms", "--silence", "1s"]);
    let mut one = Running::client(&address, "1", &[]);
    let two = Running::client(&address, "2", &[]);
    server.until("Client 2 joined");
    server.type_line("/who");
    assert_eq!(server.until("members"), "2 members\n");
    server.until("Client 2 at 127.0.0.1:");
    two.signal(Signal::SIGKILL);
    assert_eq!(server.until("gone"), "Client 2 is silent and counts as gone\n");
    assert_eq!(one.until("gone"), "Client 2 is silent and counts as gone\n");
    one.type_line("/who");
    one.until("Message from Server: 1 members; Client 1 at 127.0.0.1:");
}

#[test]
fn a_server_that_is_started_again_gets_its_members_back() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let args = ["--bind", &address, "--heartbeat", "100ms", "--silence", "1s"];
    let mut server = Running::start("group-server", &args);
    server.until("listening");
    let mut client = Running::client(&address, "1", &["--reply", "here", "--max-wait", "1m"]);
    server.signal(Signal::SIGKILL);
    server.end();
    let mut server = Running::start("group-server", &args);
    server.until("Client 1 joined");
    client.until("that is us");
    server.type_line("/call Still there?");
    server.until("Answer from Client 1 after");
}

#[test]
fn logs_of_a_bad_network_keep_the_order_and_a_spoiled_one_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let files: Vec<String> = ["server", "1", "2", "3"].map(path).to_vec();
    let impair = ["--impair", "loss=15%,duplicate=10%,reorder=10%", "--seed", "7"];
    let (mut server, address) = Running::server(&[&["--order", "total", "--events", &files[0]], &impair[..]].concat());
    let mut clients: Vec<Running> = (1..=3)
        .map(|n| Running::client(&address, &n.to_string(), &[&["--events", &files[n]], &impair[..]].concat()))
        .collect();
    for n in 0..10 {
        server.type_line(&format!("/group s{n}"));
        for client in &mut clients {
            client.type_line(&format!("/group c{n}"));
        }
    }
    // The last of each has been seen by the server: it tells all before it ends.
    for n in 1..=3 {
        while !server.printed.contains(&format!("Client {n} to all: c9")) {
            server.until("to all: c9");
        }
    }
    server.signal(Signal::SIGINT);
    assert_eq!(server.end().1, Some(0));
    for client in clients {
        let (printed, code) = client.end();
        assert_eq!(code, Some(0), "{printed}");
    }
    let paths: Vec<&str> = files.iter().map(String::as_str).collect();
    let checked = run("group-server", &[&["check-order"], &paths[..]].concat());
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    let verdict = text(&checked.stdout);
    assert!(verdict.contains("seen by 4 processes, order total: no violation"), "{verdict}");

    // One file loses one thing that was seen, and sees another twice.
    let log = std::fs::read_to_string(&files[2]).unwrap();
    let mut lines: Vec<&str> = log.lines().collect();
    let seen: Vec<usize> = (0..lines.len())
        .filter(|n| lines[*n].contains("\"what\":\"cast\"") && lines[*n].contains("delivered"))
        .collect();
    lines[seen[3]] = lines[seen[9]];
    std::fs::write(&files[2], lines.join("\n")).unwrap();
    let checked = run("group-server", &[&["check-order", "--json"], &paths[..]].concat());
    assert_eq!(checked.status.code(), Some(1), "{}", text(&checked.stderr));
    let object = one_object(&checked.stdout);
    for (index, promise) in [(0, "no duplicates"), (2, "agreement"), (3, "FIFO order")] {
        assert_eq!(object["promises"][index]["promise"], promise);
        assert!(object["promises"][index]["violations"].as_u64() > Some(0), "{object}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_a_code_and_a_hint() {
    let holder = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let held = holder.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let (empty, bad) = (folder.path().join("empty"), folder.path().join("bad"));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&bad, "not JSON\n").unwrap();
    let (empty, bad) = (empty.to_str().unwrap(), bad.to_str().unwrap());
    for (program, args, exit, code) in [
        ("group-server", &["--bind", &held][..], 3, "PORT-IN-USE"),
        ("group-server", &["--bind", "192.0.2.1:0"], 3, "ADDRESS-NOT-HERE"),
        ("group-server", &["--order", "alphabetic"], 2, "USAGE"),
        ("group-server", &["--heartbeat", "2s"], 2, "USAGE"),
        ("group-server", &["--max-members", "65"], 2, "USAGE"),
        ("group-server", &["--impair", "loss=lots"], 2, "USAGE"),
        ("group-server", &["--bind", "127.0.0.1:0", "--cast", "multicast", "--group", "192.0.2.1"], 2, "MC-ADDR"),
        ("group-server", &["--bind", "127.0.0.1:0", "--cast", "multicast", "--group", "ff15::1:5"], 2, "USAGE"),
        ("group-server", &["--bind", "127.0.0.1:0", "--cast", "multicast", "-I", "nosuch0"], 3, "MC-IFACE"),
        ("group-server", &["call"], 2, "USAGE"),
        ("group-server", &["check-order"], 2, "USAGE"),
        ("group-server", &["check-order", "/nowhere"], 3, "NOT-FOUND"),
        ("group-server", &["check-order", bad], 3, "BAD-EVENTS"),
        ("group-server", &["check-order", empty], 3, "NO-ORDER"),
        ("group-server", &["check-order", "--order", "fifo", empty], 4, "NOTHING-SAID"),
        ("group-client", &["--server", "no such host"], 2, "USAGE"),
        ("group-client", &["--impair", "loss"], 2, "USAGE"),
    ] {
        let output = run(program, &[args, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {}", text(&output.stderr));
        let object = one_object(&output.stdout);
        assert_eq!(object["error"]["code"], code, "{args:?}");
        assert!(object["error"]["hint"].is_string(), "{object}");
    }
}

#[test]
fn a_script_that_calls_and_quits_has_its_answers_first() {
    let (mut server, address) = Running::server(&[]);
    let one = Running::client(&address, "1", &["--reply", "yes"]);
    server.type_line("/wait 1\n/call Ready?\n/quit");
    let (printed, code) = server.end();
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("Answer from Client 1 after "), "{printed}");
    assert_eq!(one.end().1, Some(0), "the server says good-bye");
}

#[test]
fn what_is_for_all_reaches_a_raw_client_once_however_long_the_members_take() {
    let (mut server, address) = Running::server(&["--heartbeat", "100ms", "--silence", "1s"]);
    let one = Running::client(&address, "1", &[]);
    server.until("Client 1 joined");
    let raw = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    raw.send_to(b"Client 7: here", &address).unwrap();
    server.until("Message from Client 7");
    server.type_line("one line, which answers");
    // More than the server keeps for a member that takes nothing: the rest waits until that one counts as gone.
    one.signal(Signal::SIGSTOP);
    (0..210).for_each(|number| server.type_line(&format!("/all {number}")));
    server.until("Server to all: 209");
    server.type_line("/to 7 the end");
    let mut buffer = [0; 100];
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last| last != "the end") {
        let length = raw.recv(&mut buffer).unwrap();
        heard.push(text(&buffer[..length]));
    }
    let numbers: Vec<String> = (0..210).map(|number: u32| number.to_string()).collect();
    assert_eq!(heard[1..heard.len() - 1], numbers);
}

#[test]
fn an_interrupted_goal_is_130_and_a_server_without_one_ends_well() {
    let (server, address) = Running::server(&[]);
    let client = Running::client(&address, "1", &["--duration", "1h"]);
    client.signal(Signal::SIGINT);
    let (printed, code) = client.end();
    assert_eq!(code, Some(130), "{printed}");
    assert!(printed.contains("Verdict: stopped;"), "{printed}");
    server.signal(Signal::SIGINT);
    assert_eq!(server.end().1, Some(0));
    let (server, _) = Running::server(&["--duration", "1h"]);
    server.signal(Signal::SIGINT);
    assert_eq!(server.end().1, Some(130));
}

#[test]
fn the_environment_stands_for_flags_and_an_interrupted_call_ends() {
    let mut call = command("group-server", &["call", "?", "--events", "/dev/stdout"]);
    call.env("CASTLAB_BIND", "127.0.0.1:0").env("CASTLAB_MAX_WAIT", "1h");
    let mut call = Running::of(call);
    call.until("listening");
    call.signal(Signal::SIGINT);
    assert_eq!(call.end().1, Some(130));
}
