//! Who answered, as a replica says it: its name, and on wish its address, process and how many it has answered. Pure.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::greeting::{OPENING, check_name};

/// In which form a replica says who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// `Hello from NAME`.
    #[default]
    Plain,
    /// `Hello from NAME (address …, process …, answer …)`.
    Full,
    /// The same as one JSON object.
    Json,
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The name the replica gave itself.
    pub name: String,
    /// The address it was reached at, as it sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// Its process id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<u32>,
    /// Which of its answers this is, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

impl Answer {
    /// The answer of a replica that says its name only.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Answer { name: name.to_owned(), address: None, process: None, count: None }
    }

    /// The line that says so, with its end.
    #[must_use]
    pub fn line(&self, form: Form) -> String {
        let name = &self.name;
        match form {
            Form::Plain => format!("{OPENING}{name}\n"),
            Form::Json => serde_json::to_string(self).expect("strings and numbers have a JSON form") + "\n",
            Form::Full => {
                let details: Vec<String> = [
                    self.address.map(|address| format!("address {address}")),
                    self.process.map(|process| format!("process {process}")),
                    self.count.map(|count| format!("answer {count}")),
                ]
                .into_iter()
                .flatten()
                .collect();
                format!("{OPENING}{name} ({})\n", details.join(", "))
            }
        }
    }

    /// What a line without its end says, in whichever form; `None` where it is no answer of ours.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let answer = match line.first() {
            Some(b'{') => serde_json::from_slice(line).ok()?,
            _ => Self::parse_text(std::str::from_utf8(line).ok()?.strip_prefix(OPENING)?),
        };
        check_name(&answer.name).is_ok().then_some(answer)
    }

    fn parse_text(text: &str) -> Self {
        let full = text.strip_suffix(')').and_then(|rest| {
            let (name, details) = rest.rsplit_once(" (address ")?;
            let (address, details) = details.split_once(", process ")?;
            let (process, count) = details.split_once(", answer ")?;
            Some(Answer {
                name: name.to_owned(),
                address: Some(address.parse().ok()?),
                process: Some(process.parse().ok()?),
                count: Some(count.parse().ok()?),
            })
        });
        full.unwrap_or_else(|| Answer::named(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn full(name: &str) -> Answer {
        Answer {
            address: Some("[fd00::1]:5000".parse().unwrap()),
            process: Some(7),
            count: Some(3),
            ..Answer::named(name)
        }
    }

    #[test]
    fn what_is_said_is_understood_in_every_form() {
        for name in ["server1", "räplica (old)", "a (address x, process y, answer z)", "{", "\"q\""] {
            assert_eq!(Answer::parse(full(name).line(Form::Full).trim_end().as_bytes()), Some(full(name)));
            assert_eq!(Answer::parse(full(name).line(Form::Json).trim_end().as_bytes()), Some(full(name)));
            assert_eq!(Answer::parse(full(name).line(Form::Plain).trim_end().as_bytes()), Some(Answer::named(name)));
        }
        assert_eq!(
            full("server1").line(Form::Full),
            "Hello from server1 (address [fd00::1]:5000, process 7, answer 3)\n"
        );
    }

    #[test]
    fn what_is_no_answer_names_nobody() {
        for line in [&b""[..], b"Hello", b"Hello from ", b"{}", b"{\"name\":\"\"}", b"{\"name\":\"a\\u001b\"}", b"\xff"]
        {
            assert_eq!(Answer::parse(line), None, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Answer::parse(&bytes);
        }

        #[test]
        fn any_name_that_may_be_given_comes_back(name in "[^\\p{Cc}]{1,60}") {
            prop_assume!(check_name(&name).is_ok());
            let line = full(&name).line(Form::Json);
            prop_assert_eq!(Answer::parse(line.trim_end_matches('\n').as_bytes()).map(|answer| answer.name), Some(name));
        }
    }
}
