//! What one client of one run got: the columns of system D's table, and what else is known.

use serde::Serialize;

use super::mode::Mode;
use super::plan::{Cell, Run};
use crate::bench::received::Compared;

/// One client of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    /// How the bytes travelled.
    pub mode: Mode,
    /// How many clients fetched at once.
    pub clients: u16,
    /// How large the file is.
    pub size_bytes: u64,
    /// Which round, counted from 1.
    pub round: u16,
    /// Which client of the run, counted from 1.
    pub client: u16,
    /// Whether it has the file.
    pub success: Success,
    /// How what it has compares with the source; none where that is not known.
    pub compared: Option<Compared>,
    /// Bytes that came.
    pub received_bytes: u64,
    /// Bytes that did not.
    pub lost_bytes: u64,
    /// From the question to the last byte; in the modes that keep the file only when it is right, to that.
    pub elapsed_ns: u64,
    /// From which port it asked.
    pub client_port: Option<u16>,
    /// From which port the bytes came.
    pub server_port: Option<u16>,
    /// File bytes that the server sent it, each as often as it was sent; none where the server does not know.
    pub sent_bytes: Option<u64>,
    /// How many blocks of them not for the first time.
    pub sent_again_blocks: Option<u64>,
    /// What went wrong, as a code.
    pub problem: Option<String>,
}

/// Whether a client has the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Success {
    /// Every byte, compared with the source.
    Yes,
    /// Some of them, and those are right.
    InPart,
    /// Nothing, or nothing that can be used.
    No,
    /// Bytes that are not the source's.
    Wrong,
}

impl Success {
    /// For people.
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Success::Yes => "yes",
            Success::InPart => "in part",
            Success::No => "no",
            Success::Wrong => "wrong bytes",
        }
    }
}

impl Row {
    /// A client of which nothing is known yet.
    pub(super) fn new(cell: Cell, run: Run, client: u16) -> Self {
        Row {
            mode: cell.mode,
            clients: cell.clients,
            size_bytes: cell.size,
            round: run.round,
            client,
            success: Success::No,
            compared: None,
            received_bytes: 0,
            lost_bytes: cell.size,
            elapsed_ns: 0,
            client_port: None,
            server_port: None,
            sent_bytes: None,
            sent_again_blocks: None,
            problem: None,
        }
    }

    /// So many bytes came.
    pub(super) fn received(&mut self, bytes: u64) {
        self.received_bytes = bytes;
        self.lost_bytes = self.size_bytes.saturating_sub(bytes);
    }

    /// Draws the conclusion from what it has.
    pub(super) fn judge(&mut self, compared: Compared) {
        self.compared = Some(compared);
        self.success = match compared {
            Compared::Same => Success::Yes,
            Compared::Parts => Success::InPart,
            Compared::Different => Success::Wrong,
            Compared::Nothing => Success::No,
        };
    }

    /// Seconds.
    #[must_use]
    pub(super) fn seconds(&self) -> f64 {
        std::time::Duration::from_nanos(self.elapsed_ns).as_secs_f64()
    }

    /// Megabytes (10⁶ bytes) a second.
    #[must_use]
    pub(super) fn mb_per_s(&self) -> f64 {
        udp_transfer::report::megabytes_per_second(
            self.received_bytes,
            std::time::Duration::from_nanos(self.elapsed_ns),
        )
    }

    /// The lost share in parts per million.
    #[must_use]
    pub(super) fn lost_ppm(&self) -> u64 {
        udp_transfer::report::ppm(self.lost_bytes, self.size_bytes)
    }
}
