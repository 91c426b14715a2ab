//! iperf3: TCP under a congestion control of one's choice, and UDP, both from memory to memory.

use serde_json::Value;

use super::super::process::Launch;
use super::{Job, Told};

/// Of a datagram's payload: what fits a wire of MTU 1500 with room for headers of our own.
const DATAGRAM: &str = "1400";

pub(super) fn server(job: &Job<'_>) -> Launch {
    let (address, port) = (job.address().to_string(), job.port.to_string());
    Launch::new(job.tools.path("iperf3"), ["-s", "-B", &address, "-p", &port])
}

pub(super) fn tcp(control: &str, job: &Job<'_>) -> Launch {
    client(job).and(["-C", control])
}

pub(super) fn udp(job: &Job<'_>) -> Launch {
    client(job).and(["-u", "-b", "0", "-l", DATAGRAM, "-w", "4M"])
}

/// The server sends, as everybody else's does.
fn client(job: &Job<'_>) -> Launch {
    let (address, port, seconds) = (job.address().to_string(), job.port.to_string(), job.seconds.to_string());
    Launch::new(job.tools.path("iperf3"), ["-c", &address, "-p", &port, "-R", "-J", "-t", &seconds])
}

pub(super) fn read_tcp(stdout: &str) -> Result<Told, String> {
    let told = parse(stdout)?;
    let received = &told["end"]["sum_received"];
    let (bytes, rate) = (received["bytes"].as_u64(), received["bits_per_second"].as_f64());
    Ok(Told { bytes: Some(bytes.ok_or("no bytes in its JSON")?), rate, ..Told::default() })
}

/// Of UDP the summary's rate is the sender's: what was lost has to be taken from it.
pub(super) fn read_udp(stdout: &str) -> Result<Told, String> {
    let told = parse(stdout)?;
    let sum = &told["end"]["sum"];
    let number = |name: &str| sum[name].as_f64().ok_or_else(|| format!("no {name} in its JSON"));
    let (bytes, packets, lost) = (number("bytes")?, number("packets")?, number("lost_packets")?);
    let here = if packets > 0.0 { (1.0 - lost / packets).clamp(0.0, 1.0) } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of bytes")]
    let arrived = (bytes * here) as u64;
    Ok(Told { bytes: Some(arrived), rate: Some(number("bits_per_second")? * here), ..Told::default() })
}

fn parse(stdout: &str) -> Result<Value, String> {
    let told: Value = serde_json::from_str(stdout).map_err(|error| format!("its JSON: {error}"))?;
    match told["error"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_tcp_counts_what_was_received() {
        let told = r#"{"end":{"sum_sent":{"bytes":9,"bits_per_second":9.0},
                              "sum_received":{"bytes":1000,"bits_per_second":8000.5}}}"#;
        let told = read_tcp(told).unwrap();
        assert_eq!((told.bytes, told.rate), (Some(1000), Some(8000.5)));
    }

    #[test]
    fn of_udp_what_was_lost_does_not_count() {
        let told = r#"{"end":{"sum":{"bytes":1000,"bits_per_second":8000.0,"packets":100,"lost_packets":25}}}"#;
        let told = read_udp(told).unwrap();
        assert_eq!((told.bytes, told.rate), (Some(750), Some(6000.0)));
        let nothing = r#"{"end":{"sum":{"bytes":0,"bits_per_second":0.0,"packets":0,"lost_packets":0}}}"#;
        assert_eq!(read_udp(nothing).unwrap().rate, Some(0.0));
    }

    #[test]
    fn its_own_error_is_passed_on() {
        let refused = r#"{"start":{},"error":"error - unable to connect to server: Connection refused"}"#;
        assert!(read_tcp(refused).unwrap_err().contains("Connection refused"));
        assert!(read_tcp("iperf3: no JSON").is_err());
        assert!(read_tcp(r#"{"end":{}}"#).is_err());
    }
}
