//! What to send, in the order it was typed: `--text a --json-value '{}' --text b` sends a, {}, b.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches};
use labkit::Failure;
use labkit::flags::switch;
use serde_json::Number;

use super::{Item, classic};
use crate::payload::{LONGEST_V6, Message};

/// The flags that say what to send.
#[derive(Args, Clone, Debug, Default)]
struct Flags {
    /// Send a text (repeatable; the order of all payload flags is kept)
    #[arg(long, value_name = "TEXT", env = "CASTLAB_TEXT", hide_env_values = true, help_heading = "What to send")]
    text: Vec<String>,

    /// Send a JSON object or array, checked, as typed
    #[arg(
        long,
        value_name = "JSON",
        env = "CASTLAB_JSON_VALUE",
        hide_env_values = true,
        help_heading = "What to send"
    )]
    json_value: Vec<String>,

    /// Send a file's bytes
    #[arg(
        long,
        value_name = "FILE",
        env = "CASTLAB_BINARY_FILE",
        hide_env_values = true,
        help_heading = "What to send"
    )]
    binary_file: Vec<PathBuf>,

    /// Send each line of standard input
    #[arg(value_parser = switch(), long, env = "CASTLAB_STDIN", hide_env_values = true, help_heading = "What to send")]
    stdin: bool,

    /// The sensor in the default JSON payload, such as temp or humidity
    #[arg(
        long,
        value_name = "NAME",
        default_value = "temp",
        env = "CASTLAB_SENSOR",
        hide_env_values = true,
        help_heading = "What to send"
    )]
    sensor: String,

    /// The value in the default JSON payload
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "22.29",
        value_parser = number,
        allow_hyphen_values = true,
        env = "CASTLAB_VALUE",
        hide_env_values = true,
        help_heading = "What to send"
    )]
    value: String,
}

/// One payload flag.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Typed {
    Text(String),
    Json(String),
    File(PathBuf),
    Stdin,
}

/// The payload flags, in order.
#[derive(Clone, Debug)]
pub(super) struct List {
    typed: Vec<Typed>,
    sensor: String,
    value: String,
}

impl List {
    /// The items meant; the classic three where nothing was typed.
    ///
    /// # Errors
    /// When JSON is none, a file cannot be read, or standard input is to be read twice.
    pub(super) fn items(&self, name: &str, also_stdin: bool) -> Result<Vec<Item>, Failure> {
        let mut items = self.typed.iter().map(item).collect::<Result<Vec<Item>, Failure>>()?;
        if also_stdin && !items.contains(&Item::Stdin) {
            items.push(Item::Stdin);
        }
        if items.is_empty() {
            items = classic(name, &self.sensor, &self.value);
        }
        Ok(items)
    }
}

fn item(typed: &Typed) -> Result<Item, Failure> {
    match typed {
        Typed::Text(text) => Ok(Item::Fixed(Message::text(text))),
        Typed::Json(value) => Message::json(value).map(Item::Fixed).map_err(|reason| {
            Failure::usage(format!("--json-value {}: {reason}", labkit::text::show(value.as_bytes(), 80)))
                .hint(r#"quote it for the shell: --json-value '{"sensor": "temp", "value": 22.29}'"#)
        }),
        Typed::File(path) => read(path).map(Message::binary).map(Item::Fixed),
        Typed::Stdin => Ok(Item::Stdin),
    }
}

/// A file's bytes, or one more than any datagram carries: the length is checked before anything is sent.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failure = |error| Failure::io("read", path.display(), &error);
    let limit = u64::try_from(LONGEST_V6).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failure)?.take(limit).read_to_end(&mut bytes).map_err(failure)?;
    Ok(bytes)
}

/// A JSON number, left as typed.
fn number(text: &str) -> Result<String, String> {
    match serde_json::from_str::<Number>(text) {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(_) => Err("a JSON number is wanted, such as 22.29 or -1e3".to_owned()),
    }
}

impl FromArgMatches for List {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Flags { text, json_value, binary_file, stdin, sensor, value } = Flags::from_arg_matches(matches)?;
        let places = |id: &str| matches.indices_of(id).into_iter().flatten().chain(std::iter::repeat(usize::MAX));
        let mut typed: Vec<(usize, Typed)> = Vec::new();
        typed.extend(places("text").zip(text.into_iter().map(Typed::Text)));
        typed.extend(places("json_value").zip(json_value.into_iter().map(Typed::Json)));
        typed.extend(places("binary_file").zip(binary_file.into_iter().map(Typed::File)));
        typed.extend(places("stdin").zip(stdin.then_some(Typed::Stdin)));
        typed.sort_by_key(|(place, _)| *place);
        Ok(List { typed: typed.into_iter().map(|(_, typed)| typed).collect(), sensor, value })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = List::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for List {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        list: List,
    }

    fn typed(line: &[&str]) -> List {
        Line::try_parse_from(std::iter::once(&"sender").chain(line)).unwrap().list
    }

    #[test]
    fn the_order_of_the_flags_is_the_order_of_sending() {
        let list = typed(&["--text", "a", "--stdin", "--json-value", "{}", "--text", "b", "--binary-file", "f"]);
        let expected = [
            Typed::Text("a".into()),
            Typed::Stdin,
            Typed::Json("{}".into()),
            Typed::Text("b".into()),
            Typed::File("f".into()),
        ];
        assert_eq!(list.typed, expected);
    }

    #[test]
    fn nothing_typed_is_the_classic_three() {
        assert_eq!(typed(&[]).items("sender1", false).unwrap(), classic("sender1", "temp", "22.29"));
        let humid = typed(&["--sensor", "humidity", "--value", "-4.50"]).items("sender2", false).unwrap();
        assert_eq!(humid[1], Item::Fixed(Message::json(r#"{"sensor": "humidity", "value": -4.50}"#).unwrap()));
        assert_eq!(typed(&[]).items("sender1", true).unwrap(), [Item::Stdin]);
        assert_eq!(typed(&["--stdin"]).items("sender1", true).unwrap(), [Item::Stdin], "once");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_its_reason() {
        for (line, code) in [
            (["--json-value", "{nonsense"], "USAGE"),
            (["--json-value", "42"], "USAGE"),
            (["--binary-file", "/nowhere/at/all"], "NOT-FOUND"),
            (["--binary-file", "/"], "IS-A-FOLDER"),
        ] {
            assert_eq!(typed(&line).items("sender1", false).unwrap_err().code, code, "{line:?}");
        }
        for value in ["NaN", "", "1,5", "\"1\"", "0x10"] {
            assert!(Line::try_parse_from(["sender", "--value", value]).is_err(), "{value}");
        }
    }

    #[test]
    fn an_endless_file_costs_no_more_than_one_datagram() {
        assert_eq!(read(Path::new("/dev/zero")).unwrap().len(), LONGEST_V6 + 1);
    }
}
