//! A scenario on one line, as the ladders' first lines have it:
//! `go-back-n:4 | 6 blocks | window 4 | there: delay=10ms,drop=block:1 | back: delay=10ms`.

use std::str::FromStr;

use arq::congestion::Choice;
use arq::wire::BLOCK_OVERHEAD;

use super::Scenario;

/// What a run may cost: more blocks than this are a benchmark and not a ladder.
const MOST_BLOCKS: u64 = 1_000_000;

impl FromStr for Scenario {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut parts = line.split('|').map(str::trim);
        let mode = parts.next().unwrap_or_default();
        let mut scenario = Scenario {
            policy: mode.parse().map_err(|error: arq::PolicyError| error.to_string())?,
            ..Scenario::default()
        };
        for part in parts {
            scenario.read(part).map_err(|reason| format!("`{part}`: {reason}"))?;
        }
        Ok(scenario)
    }
}

impl Scenario {
    fn read(&mut self, part: &str) -> Result<(), String> {
        let link = |text: &str| text.trim().parse().map_err(|error: netsim::ImpairmentError| error.to_string());
        if let Some(blocks) = part.strip_suffix("blocks") {
            self.blocks = number(blocks)?;
        } else if let Some(window) = part.strip_prefix("window") {
            let datagram = u64::from(self.block) + BLOCK_OVERHEAD as u64;
            self.congestion = Choice::Fixed { window: number(window)? * datagram };
        } else if let Some(seed) = part.strip_prefix("seed") {
            self.seed = seed.trim().parse().map_err(|_| "a seed is a whole number".to_owned())?;
        } else if let Some(text) = part.strip_prefix("there:") {
            self.forward = link(text)?;
        } else if let Some(text) = part.strip_prefix("back:") {
            self.backward = link(text)?;
        } else {
            return Err("it is none of: N blocks, window N, seed N, there: LINK, back: LINK".to_owned());
        }
        Ok(())
    }
}

fn number(text: &str) -> Result<u64, String> {
    match text.trim().parse() {
        Ok(number @ 1..=MOST_BLOCKS) => Ok(number),
        _ => Err(format!("a number from 1 to {MOST_BLOCKS} is wanted")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_scenario() {
        let scenario: Scenario =
            "go-back-n:4 | 6 blocks | window 4 | seed 9 | there: delay=10ms,drop=block:1 | back: delay=5ms"
                .parse()
                .unwrap();
        assert_eq!((scenario.policy.to_string().as_str(), scenario.blocks, scenario.seed), ("go-back-n:4", 6, 9));
        assert_eq!(scenario.congestion, Choice::Fixed { window: 4 * (100 + BLOCK_OVERHEAD as u64) });
        assert_ne!(scenario.forward, scenario.backward);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        for (line, word) in [
            ("", "selective-repeat"),
            ("tcp", "tcp"),
            ("raw | many blocks", "many blocks"),
            ("raw | 0 blocks", "from 1"),
            ("raw | 99999999999 blocks", "from 1"),
            ("raw | there: loss=200%", "loss"),
            ("raw | sideways", "sideways"),
        ] {
            let error = line.parse::<Scenario>().unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
