//! The plain server and client of system D, in Python: they need no file of ours but the script, which is in this program.

use labkit::Failure;
use serde_json::Value;

use super::super::process::Launch;
use super::{Job, Told};

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

/// One JSON object a transfer: what the server sent, and how fast.
pub(super) fn read(server: &str) -> Result<Told, String> {
    let line = server.lines().last().ok_or("the server sent nothing")?;
    let told: Value = serde_json::from_str(line).map_err(|error| format!("the server's JSON: {error}"))?;
    let (bytes, seconds) = (told["bytes"].as_f64(), told["seconds"].as_f64());
    let rate = bytes.zip(seconds).filter(|(_, seconds)| *seconds > 0.0).map(|(bytes, seconds)| bytes * 8.0 / seconds);
    Ok(Told { rate: Some(rate.ok_or("the server does not say how long it took")?), ..Told::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_was_sent_of_the_last_transfer() {
        let server = "{\"bytes\": 1, \"seconds\": 1.0}\n{\"bytes\": 1000, \"seconds\": 0.5}\n";
        assert_eq!(read(server).unwrap().rate, Some(16_000.0));
        assert!(read("").is_err());
        assert!(read("Traceback").is_err());
    }
}
