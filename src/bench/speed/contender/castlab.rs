//! Our own programs.

use serde_json::Value;

use super::super::process::{Ended, Launch};
use super::{Job, Ours, Sent, Told, sent_rate};

pub(super) fn server(ours: Ours, job: &Job<'_>) -> Launch {
    let launch = Launch::new(job.tools.path("udp-transfer-server"), ["--root"])
        .and([job.root])
        .and(["--bind", &job.target(), "--json", "--quiet", "--grace", "0s"])
        // A thousand clients come from one address here.
        .and(["--max-per-address", "4096", "--max-sessions", "4096"]);
    match ours {
        Ours::Classic => launch.and(["--classic", "--allow-reflection"]),
        Ours::Single => launch.and(["--no-offload"]),
        _ => launch,
    }
}

/// Clients of one process; more than these are several.
const MOST: u16 = 250;

pub(super) fn clients(ours: Ours, job: &Job<'_>) -> Vec<Vec<Launch>> {
    let one = |process: u16| {
        let clients = (job.clients - process * MOST).min(MOST).to_string();
        let client = Launch::new(job.tools.path("udp-transfer-client"), ["--server", &job.target(), "get", job.name])
            .and(["--json", "--quiet", "--parallel", &clients, "--output"])
            .and([job.out.join(process.to_string())])
            .and(ours.flags());
        vec![if ours == Ours::Classic { client.and(["--silence", "2s"]) } else { client }]
    };
    (0..job.clients.div_ceil(MOST)).map(one).collect()
}

pub(super) fn read(ended: &[Ended]) -> Result<Told, String> {
    let mut told = Told::default();
    for process in ended {
        let said: Value = serde_json::from_str(&process.stdout).map_err(|error| format!("its JSON: {error}"))?;
        if let Some(message) = said["error"]["message"].as_str() {
            return Err(message.to_owned());
        }
        let files = said["files"].as_array().ok_or("its JSON names no files")?;
        told.each.extend(files.iter().filter_map(from_the_start));
    }
    Ok(told)
}

/// When a client had its file, in seconds: all begin together, and shaking hands and waiting for a turn count.
fn from_the_start(file: &Value) -> Option<f64> {
    Some((file["begun_ns"].as_f64()? + file["elapsed_ns"].as_f64()?) / 1e9)
}

/// What the server of the old protocol sent, and how fast: nobody else knows.
pub(super) fn read_classic(server: &str, clients: u16) -> Result<Told, String> {
    let told: Value = serde_json::from_str(server).map_err(|error| format!("the server's JSON: {error}"))?;
    let all = told["classic"]["last"].as_array().ok_or("the server sent nothing")?;
    let sent = |one: &Value| {
        let (began, took) = (one["begun_ns"].as_f64()? / 1e9, one["elapsed_ns"].as_f64()? / 1e9);
        Some(Sent { bytes: one["bytes"].as_f64()?, began, ended: began + took })
    };
    sent_rate(all.iter().map(sent), clients).map(|rate| Told { rate: Some(rate), ..Told::default() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ended(stdout: &str) -> Ended {
        let (stdout, stderr) = (stdout.to_owned(), String::new());
        Ended { code: Some(0), stdout, stderr, elapsed: Duration::from_secs(1), memory: 0 }
    }

    #[test]
    fn each_clients_time_is_read_and_a_failure_is_passed_on() {
        let two = r#"{"files":[{"begun_ns":0,"elapsed_ns":500000000},{"begun_ns":500000000,"elapsed_ns":2000000000}]}"#;
        let one = ended(r#"{"files":[{"begun_ns":250000000,"elapsed_ns":1000000000}]}"#);
        assert_eq!(read(&[ended(two), one]).unwrap().each, [0.5, 2.5, 1.25], "from the common start");
        let refused = read(&[ended(r#"{"error":{"code":"X","message":"the server is full"}}"#)]);
        assert_eq!(refused.unwrap_err(), "the server is full");
        assert!(read(&[ended("")]).is_err());
    }

    #[test]
    fn the_rate_of_the_old_protocol_is_the_senders() {
        let server = r#"{"classic":{"last":[{"bytes":1000000,"begun_ns":7000000000,"elapsed_ns":250000000},
                                            {"bytes":3000000,"begun_ns":7250000000,"elapsed_ns":250000000}]}}"#;
        assert_eq!(read_classic(server, 2).unwrap().rate, Some(64e6), "from the first start to the last end");
        assert!(read_classic(server, 5).unwrap_err().contains("2 transfers to 5 clients"));
        assert!(read_classic(r#"{"classic":{"last":[]}}"#, 1).is_err());
        assert!(read_classic(r#"{"classic":{"last":[{"bytes":0,"begun_ns":1,"elapsed_ns":0}]}}"#, 1).is_err());
    }
}
