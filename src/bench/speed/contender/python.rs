//! The plain server and client of system D, in Python: they need no file of ours but the script, which is in this program.

use labkit::Failure;
use serde_json::Value;

use super::super::process::Launch;
use super::{Job, Sent, Told, sent_rate};

const SCRIPT: &str = include_str!("../../../../udp-transfer/bench/system_d.py");

fn script(job: &Job<'_>) -> std::path::PathBuf {
    job.desk.join("system_d.py")
}

pub(super) fn server(job: &Job<'_>) -> Result<Launch, Failure> {
    let path = script(job);
    std::fs::write(&path, SCRIPT).map_err(|error| Failure::io("write", path.display(), &error))?;
    let (address, port) = (job.address().to_string(), job.port.to_string());
    Ok(Launch::new(job.tools.path("python3"), [path]).and(["server", &address, &port]).and([job.root]))
}

pub(super) fn client(job: &Job<'_>) -> Launch {
    let (address, port, clients) = (job.address().to_string(), job.port.to_string(), job.clients.to_string());
    Launch::new(job.tools.path("python3"), [script(job)])
        .and(["client", &address, &port, job.name, &clients])
        .and([job.out])
}

/// One JSON object a transfer: what the server sent, and when.
pub(super) fn read(server: &str, clients: u16) -> Result<Told, String> {
    let all: Result<Vec<Value>, _> = server.lines().map(serde_json::from_str).collect();
    let all = all.map_err(|error| format!("the server's JSON: {error}"))?;
    let sent = |one: &Value| {
        Some(Sent { bytes: one["bytes"].as_f64()?, began: one["began"].as_f64()?, ended: one["ended"].as_f64()? })
    };
    sent_rate(all.iter().map(sent), clients).map(|rate| Told { rate: Some(rate), ..Told::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_was_sent_from_the_first_start_to_the_last_end() {
        let server =
            "{\"bytes\": 1000, \"began\": 7.0, \"ended\": 7.5}\n{\"bytes\": 1000, \"began\": 7.25, \"ended\": 8.0}\n";
        assert_eq!(read(server, 2).unwrap().rate, Some(16_000.0));
        assert!(read("", 1).is_err());
        assert!(read("Traceback", 1).is_err());
    }
}
