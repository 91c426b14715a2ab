//! What a line typed at a group's program means.

use std::time::Duration;

/// One line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// A plain line: to whomever it is whose turn it is.
    Plain(Vec<u8>),
    /// To everybody, members and raw clients alike.
    All(Vec<u8>),
    /// To the group, in its order.
    Group(Vec<u8>),
    /// To one, by name.
    To(Vec<u8>, Vec<u8>),
    /// A call to the group.
    Call(Vec<u8>),
    /// The answer to a call, waiting for one if need be.
    Answer(Vec<u8>),
    /// Who is here?
    Who,
    /// Go on once so many are here.
    Wait(usize),
    /// Go on after this long.
    Pause(Duration),
    /// What can be typed?
    Help,
    /// The end.
    Quit,
    /// A command nobody knows, or one that lacks what it needs.
    Wrong(String),
}

impl Typed {
    /// Understands a line. What does not begin with `/` is plain; `//` begins a plain line with one slash.
    pub(crate) fn parse(line: &[u8]) -> Self {
        let Some(rest) = line.strip_prefix(b"/") else { return Typed::Plain(line.to_vec()) };
        if rest.starts_with(b"/") {
            return Typed::Plain(rest.to_vec());
        }
        let (word, text) = split(rest);
        let text = text.to_vec();
        match (word, text.is_empty()) {
            (b"all", false) => Typed::All(text),
            (b"group", false) => Typed::Group(text),
            (b"call", false) => Typed::Call(text),
            (b"answer", _) => Typed::Answer(text),
            (b"to", false) => match split(&text) {
                (name, text) if !text.is_empty() => Typed::To(name.to_vec(), text.to_vec()),
                _ => Typed::Wrong("/to NAME TEXT".to_owned()),
            },
            (b"who", true) => Typed::Who,
            (b"help", true) => Typed::Help,
            (b"quit", true) => Typed::Quit,
            (b"wait", false) => number(&text).map_or(Typed::Wrong("/wait NUMBER".to_owned()), Typed::Wait),
            (b"pause", false) => match std::str::from_utf8(&text).map(labkit::units::duration) {
                Ok(Ok(time)) => Typed::Pause(time),
                _ => Typed::Wrong("/pause TIME, such as 500ms".to_owned()),
            },
            (b"all" | b"group" | b"call" | b"to" | b"wait" | b"pause", true) => {
                Typed::Wrong(format!("/{} wants something behind it", String::from_utf8_lossy(word)))
            }
            _ => Typed::Wrong(format!("/{} is no command; /help lists them", super::show_text(word))),
        }
    }
}

fn split(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == b' ') {
        Some(at) => (&text[..at], text[at + 1..].trim_ascii_start()),
        None => (text, &[]),
    }
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_plain_unless_it_is_a_command() {
        let bytes = |text: &str| text.as_bytes().to_vec();
        for (line, typed) in [
            ("Hello", Typed::Plain(bytes("Hello"))),
            ("", Typed::Plain(vec![])),
            ("//who", Typed::Plain(bytes("/who"))),
            ("/all one two", Typed::All(bytes("one two"))),
            ("/to 3 how  are you", Typed::To(bytes("3"), bytes("how  are you"))),
            ("/call 2+2?", Typed::Call(bytes("2+2?"))),
            ("/answer", Typed::Answer(vec![])),
            ("/wait 3", Typed::Wait(3)),
            ("/pause 20ms", Typed::Pause(Duration::from_millis(20))),
            ("/who", Typed::Who),
        ] {
            assert_eq!(Typed::parse(line.as_bytes()), typed, "{line}");
        }
        for line in ["/to 3", "/all", "/wait x", "/pause soon", "/exit", "/who else", "/", "/\u{7f}"] {
            assert!(matches!(Typed::parse(line.as_bytes()), Typed::Wrong(_)), "{line}");
        }
    }
}
