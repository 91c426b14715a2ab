//! What came of fetching a file: per client and in all, as a table, as JSON, and as one verdict.

use std::net::SocketAddr;
use std::time::Duration;

use events::{Outcome, Unit};
use labkit::table;
use labkit::units::{show_bytes, show_duration};
use serde::{Serialize, Serializer};

use crate::FileName;

mod verdict;

pub use verdict::Verdict;

/// What came of fetching one file by several clients at once.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Who served it.
    #[serde(serialize_with = "as_text")]
    pub server: SocketAddr,
    /// The file asked for.
    pub file: FileName,
    /// In which mode, such as `classic`.
    pub mode: &'static str,
    /// How many bytes it has, where somebody told.
    pub size: Option<u64>,
    /// What each client got.
    pub clients: Vec<Client>,
}

/// What one client got.
#[derive(Clone, Debug, Serialize)]
pub struct Client {
    /// Which one, counted from 1.
    pub client: u16,
    /// The file it wrote, with its folder; none when nothing came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How it ended.
    pub result: Got,
    /// Bytes received.
    pub bytes: u64,
    /// In how many datagrams.
    pub datagrams: u64,
    /// From the question to the last byte, in nanoseconds, without the silence that ended it.
    pub elapsed_ns: u64,
    /// Our port.
    pub client_port: u16,
    /// The port the bytes came from.
    pub server_port: Option<u16>,
    /// The receive buffer asked for and granted, in bytes.
    pub receive_buffer: ReceiveBuffer,
    /// Datagrams the kernel threw away because that buffer was full; none where the system does not tell.
    pub kernel_drops: Option<u64>,
    /// Datagrams from others, thrown away.
    pub foreign: u64,
    /// What went wrong, where something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<labkit::Failure>,
}

/// How one client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Got {
    /// As many bytes as the file has.
    Whole,
    /// Some of them.
    Part,
    /// None.
    Nothing,
    /// Something, and nobody told how much there is.
    Unknown,
    /// More bytes than the file has, or others.
    Wrong,
    /// What there was when we were stopped, or when the disk or the socket failed.
    Broken,
}

/// A receive buffer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiveBuffer {
    /// Asked for.
    pub asked: usize,
    /// Granted.
    pub granted: usize,
}

fn as_text<S: Serializer>(address: &SocketAddr, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
}

/// `part` of `whole` in parts per million, rounded down, but never to nothing; zero of nothing.
#[must_use]
pub fn ppm(part: u64, whole: u64) -> u64 {
    let ppm = (u128::from(part) * 1_000_000).checked_div(u128::from(whole)).unwrap_or(0);
    u64::try_from(ppm).unwrap_or(u64::MAX).max(u64::from(part > 0))
}

/// Parts per million as a percentage: `4.21 %`. Never `0.00 %` of something, never `100.00 %` of less.
#[must_use]
pub fn show_percent(ppm: u64) -> String {
    match ppm {
        0 => "0 %".to_owned(),
        1..100 => "<0.01 %".to_owned(),
        _ => format!("{}.{:02} %", ppm / 10_000, ppm % 10_000 / 100),
    }
}

/// Megabytes (10⁶ bytes) a second: `1234.5`.
#[must_use]
pub fn megabytes_per_second(bytes: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
    let bytes = bytes as f64;
    bytes / 1e6 / elapsed.as_secs_f64()
}

impl Client {
    /// From the question to the last byte.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed_ns)
    }

    /// Bytes that did not come, of a file of `size` bytes.
    #[must_use]
    pub fn lost(&self, size: u64) -> u64 {
        size.saturating_sub(self.bytes)
    }

    /// In the words of the events.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.result {
            Got::Whole | Got::Unknown => Outcome::Complete,
            Got::Part => Outcome::Partial,
            Got::Nothing | Got::Wrong => Outcome::Failed,
            Got::Broken if self.problem.is_none() => Outcome::Interrupted,
            Got::Broken => Outcome::Failed,
        }
    }

    /// The figures of this client, as events tell them: name, value, unit.
    #[must_use]
    pub fn figures(&self, size: Option<u64>) -> Vec<(&'static str, u64, Unit)> {
        let mut figures = vec![
            ("bytes_received", self.bytes, Unit::Bytes),
            ("datagrams_received", self.datagrams, Unit::Count),
            ("transfer_time", self.elapsed_ns, Unit::Nanoseconds),
        ];
        if let Some(size) = size {
            figures.push(("bytes_lost", self.lost(size), Unit::Bytes));
            figures.push(("loss", ppm(self.lost(size), size), Unit::PartsPerMillion));
        }
        if let Some(drops) = self.kernel_drops {
            figures.push(("receive_buffer_drops", drops, Unit::Count));
        }
        figures
    }

    fn success(&self) -> &'static str {
        match self.result {
            Got::Whole => "yes",
            Got::Part => "in part",
            Got::Nothing => "no",
            Got::Unknown => "unknown",
            Got::Wrong => "wrong",
            Got::Broken => "broken off",
        }
    }
}

impl Report {
    /// Bytes received by all clients together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.clients.iter().fold(0, |sum, client| sum.saturating_add(client.bytes))
    }

    /// Bytes that did not come, of all clients together; none where nobody told the size.
    #[must_use]
    pub fn lost(&self) -> Option<u64> {
        let size = self.size?;
        Some(self.clients.iter().fold(0, |sum, client| sum.saturating_add(client.lost(size))))
    }

    /// The share of the bytes that did not come, in parts per million; none where nobody told the size.
    #[must_use]
    pub fn loss_ppm(&self) -> Option<u64> {
        let all = self.size?.saturating_mul(self.clients.len() as u64);
        Some(ppm(self.lost()?, all))
    }

    /// The time of the slowest client.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.clients.iter().map(Client::elapsed).max().unwrap_or_default()
    }

    /// Datagrams the kernel threw away, as far as it tells.
    #[must_use]
    pub fn kernel_drops(&self) -> u64 {
        self.clients.iter().filter_map(|client| client.kernel_drops).fold(0, u64::saturating_add)
    }

    /// One row a client, and their sum.
    #[must_use]
    pub fn table(&self) -> String {
        let headers =
            ["client", "success", "received (B)", "lost", "seconds", "MB/s", "datagrams", "client port", "server port"];
        let mut table = table::new(&headers);
        for client in &self.clients {
            table.add_row([
                client.client.to_string(),
                client.success().to_owned(),
                client.bytes.to_string(),
                self.size.map_or("?".to_owned(), |size| show_percent(ppm(client.lost(size), size))),
                format!("{:.3}", client.elapsed().as_secs_f64()),
                format!("{:.1}", megabytes_per_second(client.bytes, client.elapsed())),
                client.datagrams.to_string(),
                client.client_port.to_string(),
                client.server_port.map_or("-".to_owned(), |port| port.to_string()),
            ]);
        }
        let whole = self.clients.iter().filter(|client| client.result == Got::Whole).count();
        table.add_row([
            "all".to_owned(),
            format!("{whole}/{}", self.clients.len()),
            self.bytes().to_string(),
            self.loss_ppm().map_or("?".to_owned(), show_percent),
            format!("{:.3}", self.elapsed().as_secs_f64()),
            format!("{:.1}", megabytes_per_second(self.bytes(), self.elapsed())),
            self.clients.iter().map(|client| client.datagrams).sum::<u64>().to_string(),
            String::new(),
            String::new(),
        ]);
        table.to_string()
    }

    /// The table, the buffers and the verdict, for people.
    #[must_use]
    pub fn text(&self) -> String {
        let verdict = self.verdict();
        let mut lines = vec![self.table()];
        if let Some(client) = self.clients.first() {
            let buffer = client.receive_buffer;
            lines.push(format!(
                "receive buffer: asked {}, granted {}; file: {}; slowest client: {}",
                show_bytes(buffer.asked as u64),
                show_bytes(buffer.granted as u64),
                self.size.map_or("size unknown".to_owned(), |size| format!("{size} bytes")),
                show_duration(self.elapsed())
            ));
        }
        lines.push(format!("[{}] {}", verdict.code, verdict.text));
        lines.extend(verdict.hint.map(|hint| format!("  try: {hint}")));
        lines.join("\n")
    }

    /// Everything, for programs.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).expect("a report always has a JSON form");
        value["total"] = serde_json::json!({
            "bytes": self.bytes(),
            "lost_bytes": self.lost(),
            "lost_ppm": self.loss_ppm(),
            "elapsed_ns": u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX),
            "kernel_drops": self.kernel_drops(),
            "whole": self.clients.iter().filter(|client| client.result == Got::Whole).count(),
        });
        for (row, client) in value["clients"].as_array_mut().into_iter().flatten().zip(&self.clients) {
            row["lost_bytes"] = self.size.map(|size| client.lost(size)).into();
            row["lost_ppm"] = self.size.map(|size| ppm(client.lost(size), size)).into();
        }
        value["verdict"] = serde_json::to_value(self.verdict()).expect("a verdict always has a JSON form");
        value
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn client(number: u16, result: Got, bytes: u64) -> Client {
        Client {
            client: number,
            path: None,
            result,
            bytes,
            datagrams: bytes.div_ceil(65_507),
            elapsed_ns: 500_000_000,
            client_port: 40_000 + number,
            server_port: Some(6969),
            receive_buffer: ReceiveBuffer { asked: 8 << 20, granted: 4 << 20 },
            kernel_drops: None,
            foreign: 0,
            problem: None,
        }
    }

    pub(crate) fn report(size: Option<u64>, clients: Vec<Client>) -> Report {
        Report {
            server: "127.0.0.1:6969".parse().unwrap(),
            file: FileName::parse("a.bin").unwrap(),
            mode: "classic",
            size,
            clients,
        }
    }

    #[test]
    fn an_unknown_size_is_never_filled_in() {
        let report = report(None, vec![client(1, Got::Unknown, 9)]);
        assert_eq!((report.lost(), report.loss_ppm()), (None, None));
        let json = report.to_json();
        assert!(json["total"]["lost_bytes"].is_null() && json["clients"][0]["lost_ppm"].is_null(), "{json}");
        assert!(report.table().contains('?'), "{}", report.table());
    }

    #[test]
    fn received_and_lost_make_the_size() {
        let report = report(Some(1_000_000), vec![client(1, Got::Part, 900_000), client(2, Got::Whole, 1_000_000)]);
        assert_eq!((report.bytes(), report.lost(), report.loss_ppm()), (1_900_000, Some(100_000), Some(50_000)));
        let json = report.to_json();
        assert_eq!(json["clients"][0]["lost_ppm"], 100_000);
        assert_eq!(json["total"]["whole"], 1);
        let table = report.table();
        assert!(table.contains("10.00 %") && table.contains("5.00 %") && table.contains("1/2"), "{table}");
    }

    #[test]
    fn a_share_is_neither_rounded_to_nothing_nor_to_all() {
        for (part, whole, shown) in [
            (0, 9, "0 %"),
            (1, u64::MAX, "<0.01 %"),
            (1, 1_000_000, "<0.01 %"),
            (999_999, 1_000_000, "99.99 %"),
            (9, 9, "100.00 %"),
            (0, 0, "0 %"),
        ] {
            assert_eq!(show_percent(ppm(part, whole)), shown, "{part} of {whole}");
        }
        assert_eq!(ppm(u64::MAX, u64::MAX), 1_000_000);
    }
}
