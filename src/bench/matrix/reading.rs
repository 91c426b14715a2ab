//! What the programs print with `--json`, read into rows.

use serde_json::Value;

use super::mode::Mode;
use super::plan::{Cell, Run};
use super::row::Row;

/// What the clients of one process got: `count` of them, the first with number `first`.
pub(super) fn clients(cell: Cell, run: Run, first: u16, count: u16, printed: Option<&Value>) -> Vec<Row> {
    let mut rows: Vec<Row> = (first..first + count).map(|client| Row::new(cell, run, client)).collect();
    let Some(printed) = printed else {
        rows.iter_mut().for_each(|row| row.problem = Some("NO-RESULT".to_owned()));
        return rows;
    };
    if let Some(code) = code(&printed["error"]) {
        rows.iter_mut().for_each(|row| row.problem = Some(code.clone()));
        return rows;
    }
    let told = match cell.mode {
        Mode::Classic | Mode::Tcp => &printed["clients"],
        Mode::Blocks(_) => &printed["files"],
    };
    for (row, told) in rows.iter_mut().zip(told.as_array().into_iter().flatten()) {
        match cell.mode {
            Mode::Classic => {
                row.received(number(&told["bytes"]));
                row.server_port = port(&told["server_port"]);
                row.problem = code(&told["problem"]);
            }
            Mode::Blocks(_) => {
                row.received(number(&told["fetched_bytes"]));
                row.server_port = printed["server"].as_str().and_then(port_of);
                row.sent_again_blocks = told["blocks_sent_again"].as_u64();
                row.problem = code(&told["error"]);
            }
            Mode::Tcp => {
                row.received(number(&told["bytes"]));
                row.server_port = port(&told["server_port"]);
                row.problem = told["problem"].as_str().map(|_| "TCP".to_owned());
            }
        }
        row.elapsed_ns = number(&told["elapsed_ns"]);
        row.client_port = port(&told["client_port"]);
    }
    rows
}

/// What the server sent to each, by the port it sent to.
pub(super) fn sent(mode: Mode, rows: &mut [Row], printed: Option<&Value>) {
    let Some(printed) = printed else { return };
    let last = if mode == Mode::Classic { &printed["classic"]["last"] } else { &printed["last"] };
    let mut transfers: Vec<&Value> = last.as_array().into_iter().flatten().collect();
    for row in rows {
        let to_it = |transfer: &&Value| {
            row.client_port.is_some() && transfer["to"].as_str().and_then(port_of) == row.client_port
        };
        // In different containers two may have the same port: each transfer is somebody's once.
        let Some(found) = transfers.iter().position(to_it) else { continue };
        let transfer = transfers.swap_remove(found);
        row.sent_bytes =
            Some(if matches!(mode, Mode::Blocks(_)) { sent_in_blocks(transfer) } else { number(&transfer["bytes"]) });
    }
}

/// File bytes in all blocks that left: those sent for the first time are at most the file, whose last block is shorter.
fn sent_in_blocks(transfer: &Value) -> u64 {
    let [blocks, again, block, size] = ["blocks", "sent_again", "block", "size"].map(|name| number(&transfer[name]));
    blocks.saturating_sub(again).saturating_mul(block).min(size) + again.saturating_mul(block)
}

/// The code of a failure, such as `DISK-FULL`: letters, so that whatever else is printed there breaks no table.
fn code(failure: &Value) -> Option<String> {
    const LONGEST: usize = 40;
    let code = failure["code"].as_str()?;
    Some(code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(LONGEST).collect())
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn port(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}

fn port_of(address: &str) -> Option<u16> {
    address.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RUN: Run = Run { cell: 0, round: 2 };

    fn cell(mode: &str) -> Cell {
        Cell { mode: mode.parse().unwrap(), clients: 2, size: 1_000 }
    }

    #[test]
    fn a_classic_client_and_what_the_server_sent_it() {
        let printed = json!({ "clients": [
            { "client": 1, "bytes": 1_000, "elapsed_ns": 5, "client_port": 40_001, "server_port": 6969 },
            { "client": 2, "bytes": 600, "elapsed_ns": 6, "client_port": 40_002, "server_port": null,
              "problem": { "code": "DISK-FULL" } },
        ] });
        let mut rows = clients(cell("classic"), RUN, 1, 2, Some(&printed));
        let last = json!([{ "to": "127.0.0.1:40002", "bytes": 1_000 }, { "to": "127.0.0.1:1", "bytes": 3 }]);
        sent(Mode::Classic, &mut rows, Some(&json!({ "classic": { "last": last } })));
        assert_eq!((rows[0].client, rows[0].round, rows[0].lost_bytes, rows[0].elapsed_ns), (1, 2, 0, 5));
        assert_eq!((rows[0].client_port, rows[0].server_port, rows[0].sent_bytes), (Some(40_001), Some(6_969), None));
        assert_eq!((rows[1].lost_bytes, rows[1].server_port, rows[1].sent_bytes), (400, None, Some(1_000)));
        assert_eq!(rows[1].problem.as_deref(), Some("DISK-FULL"));
    }

    #[test]
    fn blocks_that_were_sent_again_count_again() {
        let printed = json!({ "server": "127.0.0.1:6969", "files": [
            { "number": 1, "fetched_bytes": 1_000, "blocks_sent_again": 3, "elapsed_ns": 5, "client_port": 40_001 },
        ] });
        let mode: Mode = "selective-repeat".parse().unwrap();
        let mut rows = clients(cell("selective-repeat"), RUN, 7, 1, Some(&printed));
        // Three blocks of 400 bytes, the last of 200, and three again.
        let last = json!([{ "to": "[::1]:40001", "blocks": 6, "sent_again": 3, "block": 400, "size": 1_000 }]);
        sent(mode, &mut rows, Some(&json!({ "last": last })));
        assert_eq!((rows[0].client, rows[0].server_port, rows[0].sent_again_blocks), (7, Some(6_969), Some(3)));
        assert_eq!(rows[0].sent_bytes, Some(1_000 + 3 * 400));
    }

    #[test]
    fn what_failed_is_told_of_every_client() {
        let printed = json!({ "error": { "code": "NO|-ANSWER\n", "message": "x" } });
        let rows = clients(cell("raw"), RUN, 1, 2, Some(&printed));
        assert!(rows.len() == 2 && rows.iter().all(|row| row.problem.as_deref() == Some("NO-ANSWER")));
        assert_eq!(clients(cell("tcp"), RUN, 1, 2, None)[1].problem.as_deref(), Some("NO-RESULT"));
        let told = json!({ "clients": [{ "client": 1, "bytes": 5, "problem": "cannot connect" }] });
        assert_eq!(clients(cell("tcp"), RUN, 1, 1, Some(&told))[0].problem.as_deref(), Some("TCP"));
    }
}
