//! What a server did, told at its end.

use std::time::Duration;

use events::Outcome;
use labkit::units::show_bytes;
use labkit::{Session, table};

use crate::classic::server::Served;
use crate::reliable::server as reliable;
use crate::report::megabytes_per_second;

/// How many rows the table has at most; the JSON has all that were kept.
const ROWS: usize = 50;

/// Tells what a server of the reliable modes did, and what it did in the classic protocol where it spoke that.
pub(crate) fn tell_all(served: &reliable::Served, session: &Session) {
    session.output.result(reliable_text(served));
    if let Some(classic) = &served.classic {
        session.output.result(text(classic));
    }
    session.output.json(served);
}

fn reliable_text(served: &reliable::Served) -> String {
    let headers = ["transfer", "to", "file", "bytes", "blocks", "again", "seconds", "MB/s", "mode", "ended"];
    let mut table = table::new(&headers);
    let hidden = served.last.len().saturating_sub(ROWS);
    for sent in served.last.iter().skip(hidden) {
        let elapsed = Duration::from_nanos(sent.elapsed_ns);
        table.add_row([
            sent.transfer.to_string(),
            sent.to.clone(),
            labkit::text::show(sent.file.as_bytes(), 60),
            sent.size.to_string(),
            sent.blocks.to_string(),
            sent.sent_again.to_string(),
            format!("{:.3}", elapsed.as_secs_f64()),
            format!("{:.1}", megabytes_per_second(sent.blocks.saturating_mul(sent.block.into()), elapsed)),
            sent.mode.clone(),
            ended(sent.outcome).to_owned(),
        ]);
    }
    let reliable::Datagrams { received, sent, untaken, garbage, strangers, .. } = served.datagrams;
    let summary = format!(
        "{} sessions ({} refused), {} transfers, {} of them complete; {} sent, {} of {} blocks again\n{received} datagrams \
         in, {sent} out; {garbage} were none of ours, {strangers} of no session; {untaken} not taken by the network",
        served.sessions,
        served.refused,
        served.transfers,
        served.complete,
        show_bytes(served.bytes),
        served.sent_again,
        served.blocks,
    );
    match (served.last.is_empty(), served.transfers.saturating_sub((served.last.len() - hidden) as u64)) {
        (true, _) => summary,
        (false, 0) => format!("{table}\n{summary}"),
        (false, earlier) => format!("{table}\n({earlier} earlier transfers are not shown)\n{summary}"),
    }
}

fn text(served: &Served) -> String {
    let headers = ["transfer", "to", "file", "size (B)", "sent (B)", "datagrams", "seconds", "MB/s", "ended"];
    let mut table = table::new(&headers);
    let hidden = served.last.len().saturating_sub(ROWS);
    for sent in served.last.iter().skip(hidden) {
        let elapsed = Duration::from_nanos(sent.elapsed_ns);
        table.add_row([
            sent.transfer.to_string(),
            sent.to.to_string(),
            sent.file.to_string(),
            sent.size.to_string(),
            sent.bytes.to_string(),
            sent.datagrams.to_string(),
            format!("{:.3}", elapsed.as_secs_f64()),
            format!("{:.1}", megabytes_per_second(sent.bytes, elapsed)),
            ended(sent.outcome).to_owned(),
        ]);
    }
    let summary = format!(
        "classic: {} commands, {} transfers ({} sent), {} transfers refused, {} datagrams that were no command",
        served.commands,
        served.transfers,
        show_bytes(served.bytes),
        served.refused,
        served.nonsense
    );
    match (served.last.is_empty(), served.transfers.saturating_sub((served.last.len() - hidden) as u64)) {
        (true, _) => summary,
        (false, 0) => format!("{table}\n{summary}"),
        (false, earlier) => format!("{table}\n({earlier} earlier transfers are not shown)\n{summary}"),
    }
}

fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "sent",
        Outcome::Partial => "in part",
        Outcome::Failed => "failed",
        Outcome::Interrupted => "stopped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileName;
    use crate::classic::Sent;

    fn sent(transfer: u64) -> Sent {
        Sent {
            transfer,
            to: "127.0.0.1:40000".parse().unwrap(),
            file: FileName::parse("a.bin").unwrap(),
            size: 1_000_000,
            bytes: 1_000_000,
            datagrams: 16,
            begun_ns: 0,
            elapsed_ns: 500_000_000,
            outcome: Outcome::Complete,
            reason: None,
        }
    }

    #[test]
    fn the_summary_shows_the_last_transfers_and_counts_the_others() {
        assert!(text(&Served::default()).starts_with("classic: 0 commands, 0 transfers"));
        let few = Served { transfers: 1, last: [sent(1)].into(), ..Served::default() };
        assert!(text(&few).contains("127.0.0.1:40000") && text(&few).contains("2.0"), "{}", text(&few));
        assert!(!text(&few).contains("earlier"));
        let many = Served { transfers: 1_200, last: (201..=1_200).map(sent).collect(), ..Served::default() };
        assert!(text(&many).contains("(1150 earlier transfers are not shown)"), "{}", text(&many));
    }
}
