//! The language of `--impair`: `loss=5%,delay=20ms,drop=block:3`, read and written.

use std::fmt;
use std::str::FromStr;

use crate::units::{self, show_rate, show_size, show_time};
use crate::{Blackout, Burst, Chance, Drop, Impairment, Marking, Reorder};

/// Why a text is no impairment. Each message ends with what would be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImpairmentError {
    /// A part without `=`.
    #[error("`{0}` has no value: write it as NAME=VALUE, such as loss=5%")]
    NoValue(String),
    /// A name that is none of ours.
    #[error(
        "unknown impairment `{0}`: there are loss, burst, delay, jitter, reorder, duplicate, corrupt, rate, queue, ecn, blackout, drop"
    )]
    UnknownName(String),
    /// A value that does not fit the name.
    #[error("`{name}={value}` cannot be read: write {example}")]
    BadValue {
        /// The name.
        name: String,
        /// What was given.
        value: String,
        /// What would do.
        example: &'static str,
    },
    /// A name that may be given only once came again.
    #[error("`{0}` is given twice: only blackout and drop may be repeated")]
    Twice(String),
}

impl FromStr for Impairment {
    type Err = ImpairmentError;

    fn from_str(text: &str) -> Result<Self, ImpairmentError> {
        let mut impairment = Impairment::default();
        let mut given: Vec<&str> = Vec::new();
        if matches!(text.trim(), "" | "none") {
            return Ok(impairment);
        }
        for part in text.split(',') {
            let part = part.trim();
            let (name, value) = part.split_once('=').ok_or_else(|| ImpairmentError::NoValue(part.to_owned()))?;
            if given.contains(&name) && !matches!(name, "blackout" | "drop") {
                return Err(ImpairmentError::Twice(name.to_owned()));
            }
            given.push(name);
            set(&mut impairment, name, value)?;
        }
        Ok(impairment)
    }
}

fn set(to: &mut Impairment, name: &str, value: &str) -> Result<(), ImpairmentError> {
    let read = |ok: Option<()>, example| {
        ok.ok_or_else(|| ImpairmentError::BadValue { name: name.to_owned(), value: value.to_owned(), example })
    };
    match name {
        "loss" => read(units::chance(value).map(|it| to.loss = it), "a share, such as loss=5%"),
        "burst" => read(
            burst(value).map(|it| to.burst = Some(it)),
            "the chance of a burst and its mean length in packets, such as burst=1%:8",
        ),
        "delay" => read(units::time(value).map(|it| to.delay = it), "a time, such as delay=20ms"),
        "jitter" => read(units::time(value).map(|it| to.jitter = it), "a time, such as jitter=2ms"),
        "reorder" => read(
            reorder(value).map(|it| to.reorder = Some(it)),
            "a share and by how many packets, such as reorder=1% or reorder=1%:3",
        ),
        "duplicate" => read(units::chance(value).map(|it| to.duplicate = it), "a share, such as duplicate=1%"),
        "corrupt" => read(units::chance(value).map(|it| to.corrupt = it), "a share, such as corrupt=0.1%"),
        "rate" => {
            let rate = units::rate(value).filter(|&rate| rate > 0);
            read(rate.map(|it| to.rate = it), "bits per second, such as rate=10mbit")
        }
        "queue" => {
            let queue = units::size(value).filter(|&queue| queue > 0);
            read(queue.map(|it| to.queue = it), "a size, such as queue=64KiB")
        }
        "ecn" => read(
            marking(value).map(|it| to.ecn = Some(it)),
            "from how long a queue on packets are marked, such as ecn=30kB, or all, or clear",
        ),
        "blackout" => read(
            blackout(value).map(|it| to.blackouts.push(it)),
            "how long, from when, and how often, such as blackout=25s@1s or blackout=2s@5s/7s",
        ),
        "drop" => read(drop(value).map(|it| to.drops.push(it)), "a kind and which one from 0, such as drop=block:3"),
        _ => Err(ImpairmentError::UnknownName(name.to_owned())),
    }
}

fn burst(text: &str) -> Option<Burst> {
    let (begin, length) = text.split_once(':')?;
    Some(Burst { begin: units::chance(begin)?, length: length.parse().ok().filter(|&length| length > 0)? })
}

fn reorder(text: &str) -> Option<Reorder> {
    let (chance, distance) = match text.split_once(':') {
        Some((chance, distance)) => (chance, distance.parse().ok().filter(|&distance| distance > 0)?),
        None => (text, Reorder::DISTANCE),
    };
    Some(Reorder { chance: units::chance(chance)?, distance })
}

fn marking(text: &str) -> Option<Marking> {
    match text {
        "all" => Some(Marking::All),
        "clear" => Some(Marking::Clear),
        _ => units::size(text).filter(|&bytes| bytes > 0).map(Marking::From),
    }
}

fn blackout(text: &str) -> Option<Blackout> {
    let (text, every) = match text.split_once('/') {
        Some((text, every)) => (text, Some(units::time(every).filter(|every| !every.is_zero())?)),
        None => (text, None),
    };
    let (length, start) = text.split_once('@')?;
    Some(Blackout { start: units::time(start)?, length: units::time(length)?, every })
}

fn drop(text: &str) -> Option<Drop> {
    let (kind, ordinal) = text.split_once(':')?;
    let kind_is_a_word = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    kind_is_a_word.then_some(Drop { kind: kind.to_owned(), ordinal: ordinal.parse().ok()? })
}

/// What [`Impairment::from_str`] reads, shortest form; `none` when it does nothing.
impl fmt::Display for Impairment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.loss > Chance::NEVER {
            parts.push(format!("loss={}", self.loss));
        }
        if let Some(Burst { begin, length }) = self.burst {
            parts.push(format!("burst={begin}:{length}"));
        }
        if !self.delay.is_zero() {
            parts.push(format!("delay={}", show_time(self.delay)));
        }
        if !self.jitter.is_zero() {
            parts.push(format!("jitter={}", show_time(self.jitter)));
        }
        match self.reorder {
            Some(Reorder { chance, distance: Reorder::DISTANCE }) => parts.push(format!("reorder={chance}")),
            Some(Reorder { chance, distance }) => parts.push(format!("reorder={chance}:{distance}")),
            None => {}
        }
        if self.duplicate > Chance::NEVER {
            parts.push(format!("duplicate={}", self.duplicate));
        }
        if self.corrupt > Chance::NEVER {
            parts.push(format!("corrupt={}", self.corrupt));
        }
        if self.rate > 0 {
            parts.push(format!("rate={}", show_rate(self.rate)));
        }
        if self.queue > 0 {
            parts.push(format!("queue={}", show_size(self.queue)));
        }
        match self.ecn {
            Some(Marking::From(bytes)) => parts.push(format!("ecn={}", show_size(bytes))),
            Some(Marking::All) => parts.push("ecn=all".to_owned()),
            Some(Marking::Clear) => parts.push("ecn=clear".to_owned()),
            None => {}
        }
        for Blackout { start, length, every } in &self.blackouts {
            let every = every.map(|every| format!("/{}", show_time(every))).unwrap_or_default();
            parts.push(format!("blackout={}@{}{every}", show_time(*length), show_time(*start)));
        }
        for Drop { kind, ordinal } in &self.drops {
            parts.push(format!("drop={kind}:{ordinal}"));
        }
        f.write_str(if parts.is_empty() { "none" } else { "" })?;
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use std::time::Duration;

    #[test]
    fn the_example_of_the_design_is_read() {
        let text =
            "loss=5%,delay=20ms,jitter=2ms,reorder=1%,duplicate=1%,corrupt=0.1%,rate=10mbit,drop=block:3,drop=report:1";
        let impairment: Impairment = text.parse().unwrap();
        assert_eq!(impairment.loss, Chance::from_percent(5));
        assert_eq!(impairment.rate, 10_000_000);
        assert_eq!(impairment.drops.len(), 2);
        assert_eq!(impairment.to_string(), text);
        assert_eq!("blackout=2s@5s/7s".parse::<Impairment>().unwrap().to_string(), "blackout=2s@5s/7s");
        assert_eq!("none".parse::<Impairment>().unwrap(), Impairment::default());
        assert_eq!(Impairment::default().to_string(), "none");
    }

    #[test]
    fn an_error_says_what_would_be_right() {
        for (text, says) in [
            ("loss", "`loss` has no value: write it as NAME=VALUE, such as loss=5%"),
            ("loss=5", "`loss=5` cannot be read: write a share, such as loss=5%"),
            ("delay=20", "`delay=20` cannot be read: write a time, such as delay=20ms"),
            ("rate=0bit", "`rate=0bit` cannot be read: write bits per second, such as rate=10mbit"),
            (
                "ecn=yes",
                "`ecn=yes` cannot be read: write from how long a queue on packets are marked, such as ecn=30kB, or all, or clear",
            ),
            ("drop=block", "`drop=block` cannot be read: write a kind and which one from 0, such as drop=block:3"),
            ("loss=1%,loss=2%", "`loss` is given twice: only blackout and drop may be repeated"),
        ] {
            assert_eq!(text.parse::<Impairment>().unwrap_err().to_string(), says);
        }
        assert!("los=5%".parse::<Impairment>().unwrap_err().to_string().starts_with("unknown impairment `los`"));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(
            chances in prop::array::uniform5(0_u32..=1_000_000),
            nanos in prop::array::uniform5(0_u64..u64::MAX / 2),
            (length, distance, rate, queue) in (1_u32.., 1_u32.., any::<u64>(), any::<u64>()),
            (burst, reorder, once) in any::<(bool, bool, bool)>(),
            ecn in prop::sample::select(vec![None, Some(Marking::All), Some(Marking::Clear), Some(Marking::From(30_000))]),
            drops in prop::collection::vec(("[a-z][a-z0-9-]{0,8}", any::<u64>()), 0..3),
        ) {
            let [loss, begin, duplicate, corrupt, chance] = chances.map(Chance::from_ppm);
            let [delay, jitter, start, dark, every] = nanos.map(Duration::from_nanos);
            let impairment = Impairment {
                loss, delay, jitter, duplicate, corrupt, rate, queue, ecn,
                burst: burst.then_some(Burst { begin, length }),
                reorder: reorder.then_some(Reorder { chance, distance }),
                blackouts: vec![Blackout { start, length: dark, every: (!once && !every.is_zero()).then_some(every) }],
                drops: drops.into_iter().map(|(kind, ordinal)| Drop { kind, ordinal }).collect(),
            };
            prop_assert_eq!(impairment.to_string().parse::<Impairment>(), Ok(impairment));
        }

        #[test]
        fn any_text_gives_an_impairment_or_a_reason(text in "\\PC{0,40}") {
            if let Ok(impairment) = text.parse::<Impairment>() {
                prop_assert_eq!(impairment.to_string().parse::<Impairment>(), Ok(impairment));
            }
        }
    }
}
