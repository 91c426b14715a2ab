//! The last word on a run: what was seen, what it means, and one thing to try.

use labkit::Exit;
use labkit::units::show_bytes;
use serde::Serialize;

use super::{Got, Report, show_percent};

/// The most a UDP datagram carries in one Ethernet frame: 1,500 bytes less the headers of IP (20) and UDP (8).
const ONE_FRAME: u64 = 1_472;

/// The last word on a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// A stable name for it.
    pub code: &'static str,
    /// What was seen and what it means.
    pub text: String,
    /// One thing to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The exit code it leads to.
    #[serde(skip)]
    pub exit: Exit,
}

impl Report {
    /// What it comes to, the first cause where it is not perfect, and one thing to try.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let all = self.clients.len();
        let count = |result: Got| self.clients.iter().filter(|client| client.result == result).count();
        let verdict = |code, exit, text: String| Verdict { code, text, hint: None, exit };

        if let Some(problem) = self.clients.iter().find_map(|client| client.problem.as_ref()) {
            return Verdict {
                code: problem.code,
                text: problem.message.clone(),
                hint: problem.hint.clone(),
                exit: problem.exit,
            };
        }
        if count(Got::Broken) > 0 {
            let text = format!("stopped before the end: {} received", show_bytes(self.bytes()));
            return verdict("INTERRUPTED", Exit::Interrupted, text);
        }
        if count(Got::Wrong) > 0 {
            let text = format!("{} of {all} clients got other bytes than the file has", count(Got::Wrong));
            let hint = "another person behind this address may have configured another file: try again";
            return Verdict { hint: Some(hint.to_owned()), ..verdict("WRONG-BYTES", Exit::Integrity, text) };
        }
        if count(Got::Nothing) == all {
            let text = format!("the server took the configuration and sent nothing to {all} of {all} clients");
            let hint = "an empty file looks just so (--expect-size 0 says it is one); or a firewall drops what comes, or \
                        the server is busy: its log says";
            return Verdict { hint: Some(hint.to_owned()), ..verdict("NO-DATA", Exit::NobodyAnswered, text) };
        }
        match self.lost() {
            Some(0) => {
                let text = format!("{all} of {all} clients have every byte ({})", show_bytes(self.bytes()));
                verdict("WHOLE", Exit::Done, text)
            }
            Some(lost) => self.verdict_on_loss(lost),
            None if count(Got::Nothing) > 0 => {
                let text = format!("{} of {all} clients got nothing, and nobody told the size", count(Got::Nothing));
                verdict("NO-DATA", Exit::Partial, text)
            }
            None => {
                let text = format!(
                    "{} received; this server does not tell sizes, so nobody knows what was lost",
                    show_bytes(self.bytes())
                );
                let hint = "--expect-size BYTES, or --reference FILE to compare with the original";
                Verdict { hint: Some(hint.to_owned()), ..verdict("SIZE-UNKNOWN", Exit::Done, text) }
            }
        }
    }

    fn verdict_on_loss(&self, lost: u64) -> Verdict {
        let share = show_percent(self.loss_ppm().unwrap_or(0));
        let text = format!("raw UDP lost {lost} bytes ({share}), and nothing tells which");
        let buffer = self.clients.first().map(|client| client.receive_buffer);
        match (self.kernel_drops(), buffer) {
            (drops @ 1.., Some(buffer)) => {
                let text = format!(
                    "{text}: the kernel dropped {drops} datagrams on this side, because the receive buffer ({}) was full",
                    show_bytes(buffer.granted as u64)
                );
                let hint = if buffer.granted < buffer.asked {
                    format!(
                        "sysctl -w net.core.rmem_max={} (as root, on the host), or a --bitrate on the server",
                        buffer.asked
                    )
                } else {
                    "a larger --rcvbuf here, or a --bitrate on the server".to_owned()
                };
                Verdict { code: "UDP-RCVBUF", text, hint: Some(hint), exit: Exit::Partial }
            }
            _ => {
                let hint = if self.is_fragmented() {
                    "--length 1472 on the server: large datagrams travel in fragments, and one lost fragment loses them all"
                } else {
                    "a lower --bitrate on the server; what the network itself loses, this protocol cannot repair"
                };
                Verdict { code: "UDP-LOSS", text, hint: Some(hint.to_owned()), exit: Exit::Partial }
            }
        }
    }

    /// Whether the datagrams that came were larger, on average, than what one Ethernet frame carries.
    fn is_fragmented(&self) -> bool {
        let datagrams: u64 = self.clients.iter().map(|client| client.datagrams).sum();
        self.bytes().checked_div(datagrams).is_none_or(|average| average > ONE_FRAME)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{client, report};
    use super::super::{Client, ReceiveBuffer};
    use super::*;

    fn verdict(size: Option<u64>, clients: Vec<Client>) -> (&'static str, Exit) {
        let verdict = report(size, clients).verdict();
        (verdict.code, verdict.exit)
    }

    #[test]
    fn every_ending_has_its_verdict_and_exit_code() {
        use Got::{Broken, Nothing, Part, Unknown, Whole, Wrong};
        assert_eq!(verdict(Some(9), vec![client(1, Whole, 9), client(2, Whole, 9)]), ("WHOLE", Exit::Done));
        assert_eq!(verdict(Some(0), vec![client(1, Whole, 0)]), ("WHOLE", Exit::Done));
        assert_eq!(verdict(Some(9), vec![client(1, Whole, 9), client(2, Part, 8)]), ("UDP-LOSS", Exit::Partial));
        assert_eq!(verdict(Some(9), vec![client(1, Whole, 9), client(2, Nothing, 0)]), ("UDP-LOSS", Exit::Partial));
        assert_eq!(verdict(Some(9), vec![client(1, Nothing, 0)]), ("NO-DATA", Exit::NobodyAnswered));
        assert_eq!(verdict(None, vec![client(1, Nothing, 0)]), ("NO-DATA", Exit::NobodyAnswered));
        assert_eq!(verdict(None, vec![client(1, Unknown, 9)]), ("SIZE-UNKNOWN", Exit::Done));
        assert_eq!(verdict(None, vec![client(1, Unknown, 9), client(2, Nothing, 0)]), ("NO-DATA", Exit::Partial));
        assert_eq!(verdict(Some(9), vec![client(1, Wrong, 10)]), ("WRONG-BYTES", Exit::Integrity));
        assert_eq!(verdict(Some(9), vec![client(1, Broken, 4)]), ("INTERRUPTED", Exit::Interrupted));
    }

    #[test]
    fn what_went_wrong_on_our_side_comes_first() {
        let problem = labkit::Failure::new(Exit::Partial, "DISK-FULL", "cannot write a: no space");
        let broken = Client { problem: Some(problem), ..client(2, Got::Broken, 4) };
        assert_eq!(verdict(Some(9), vec![client(1, Got::Wrong, 10), broken]), ("DISK-FULL", Exit::Partial));
    }

    #[test]
    fn a_full_receive_buffer_is_named_with_the_command_that_raises_it() {
        let dropped = Client { kernel_drops: Some(3), ..client(1, Got::Part, 4) };
        let capped = report(Some(9), vec![dropped.clone()]).verdict();
        assert_eq!(capped.code, "UDP-RCVBUF");
        assert!(capped.hint.unwrap().starts_with("sysctl -w net.core.rmem_max=8388608"));
        let granted = Client { receive_buffer: ReceiveBuffer { asked: 9, granted: 9 }, ..dropped };
        assert!(report(Some(9), vec![granted]).verdict().hint.unwrap().contains("--rcvbuf"));
    }

    #[test]
    fn a_loss_on_the_way_is_answered_by_what_the_datagrams_were_like() {
        let hint = |datagrams| {
            let client = Client { datagrams, ..client(1, Got::Part, 1_472_000) };
            report(Some(2_000_000), vec![client]).verdict().hint.unwrap()
        };
        assert!(hint(100).contains("--length 1472"));
        assert!(hint(1_000).contains("--bitrate"));
        assert!(hint(0).contains("--length 1472"), "when nothing came, they may have been large");
    }
}
