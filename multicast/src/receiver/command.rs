//! What a receiver can be told while it runs: by a key, a line, or a script with times.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use labkit::{text, units};

use crate::Group;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Join.
    Join,
    /// Leave, and stay in the program.
    Leave,
    /// Print what was heard so far.
    Print,
    /// End the program.
    Quit,
}

/// What to do, and with which group; with all of them where none is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What.
    pub action: Action,
    /// With which.
    pub group: Option<Group>,
}

/// Commands, each at its time from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script(Vec<(Duration, Command)>);

impl Command {
    /// What one key means: `j`, `l`, `p`, `q`.
    #[must_use]
    pub fn of_key(key: u8) -> Option<Self> {
        let action = match key.to_ascii_lowercase() {
            b'j' => Action::Join,
            b'l' => Action::Leave,
            b'p' => Action::Print,
            b'q' => Action::Quit,
            _ => return None,
        };
        Some(Command { action, group: None })
    }

    /// Whether `group` is meant.
    #[must_use]
    pub fn means(&self, group: &Group) -> bool {
        let is_it = |meant: &Group| (meant.address(), meant.port()) == (group.address(), group.port());
        self.group.as_ref().is_none_or(is_it)
    }
}

impl FromStr for Command {
    type Err = String;

    /// Reads `join [GROUP]`, `leave [GROUP]`, `print`, `quit`, or a key.
    fn from_str(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let (word, group) = (words.next().unwrap_or_default(), words.next());
        let action = match word {
            "join" | "j" => Action::Join,
            "leave" | "l" => Action::Leave,
            "print" | "p" => Action::Print,
            "quit" | "q" => Action::Quit,
            _ => {
                let shown = text::show(line.as_bytes(), 60);
                return Err(format!("'{shown}' is no command: join [GROUP], leave [GROUP], print, quit"));
            }
        };
        if words.next().is_some() || (group.is_some() && matches!(action, Action::Print | Action::Quit)) {
            return Err(format!("'{}': {word} takes no more words", text::show(line.as_bytes(), 60)));
        }
        let group = group.map(Group::parse).transpose().map_err(|failure| failure.message)?;
        Ok(Command { action, group })
    }
}

impl FromStr for Script {
    type Err = String;

    /// Reads `0s join, 5s leave, 8s join`: times count from the start and never go back.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut steps: Vec<(Duration, Command)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let example = "a script looks like '0s join, 5s leave, 8s join'";
            let (time, command) = part.split_once(' ').ok_or_else(|| format!("'{part}': {example}"))?;
            let time = units::duration(time).map_err(|reason| format!("'{part}': {reason}"))?;
            if steps.last().is_some_and(|(last, _)| time < *last) {
                return Err(format!("'{part}': times count from the start and never go back"));
            }
            steps.push((time, command.parse()?));
        }
        if steps.is_empty() {
            Err("a script has at least one step, such as '0s join'".to_owned())
        } else {
            Ok(Script(steps))
        }
    }
}

impl Script {
    /// Each command with its time from the start, in order.
    #[must_use]
    pub fn steps(&self) -> &[(Duration, Command)] {
        &self.0
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Join => "join",
            Action::Leave => "leave",
            Action::Print => "print",
            Action::Quit => "quit",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_as_people_write_them() {
        let script: Script = "0s join, 5s leave 239.1.1.1:6000,500ms leave".parse().unwrap_or(Script(vec![]));
        assert!(script.steps().is_empty(), "times never go back");
        let script: Script = "0s join, 1500ms leave 239.1.1.1:6000, 8s quit".parse().unwrap();
        let told: Vec<String> =
            script.steps().iter().map(|(time, command)| format!("{time:?} {}", command.action)).collect();
        assert_eq!(told, ["0ns join", "1.5s leave", "8s quit"]);
        let (one, other) = (Group::parse("239.1.1.1:6000").unwrap(), Group::parse("239.1.1.2:6000").unwrap());
        let (_, leave) = &script.steps()[1];
        assert!(leave.means(&one) && !leave.means(&other) && script.steps()[0].1.means(&other));
    }

    #[test]
    fn what_is_no_script_says_why() {
        for text in
            ["", "join", "5 parsecs join", "0s jump", "0s join now", "1s quit 239.1.1.1", "0s join 192.0.2.1", ","]
        {
            assert!(text.parse::<Script>().is_err(), "{text}");
        }
    }

    #[test]
    fn keys_and_lines_mean_the_same() {
        for (key, line) in [(b'j', "join"), (b'L', "leave"), (b'p', " print "), (b'q', "quit")] {
            assert_eq!(Command::of_key(key), line.parse().ok());
        }
        assert_eq!(Command::of_key(b'x'), None);
        assert!("\x1b[2J".parse::<Command>().unwrap_err().contains("\\u{1b}"));
    }
}
