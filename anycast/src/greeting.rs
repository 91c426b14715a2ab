//! What travels in the greeting protocol: one line, `Hello from NAME`, and then the end of the stream.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::answer::Answer;

/// The longest greeting a client reads, in bytes: ours has at most [`LONGEST_NAME`] and a few more.
pub const LONGEST: usize = 1024;

/// The longest name a replica may have, in bytes (as long as a host name may be, RFC 1035 section 2.3.4).
pub const LONGEST_NAME: usize = 255;

pub(crate) const OPENING: &str = "Hello from ";

/// What a replica says that has no room for one more connection: the start of its line.
pub const BUSY: &str = "Busy: ";

/// Checks that `name` fits on the greeting's line.
///
/// # Errors
/// When it is empty, longer than [`LONGEST_NAME`], or holds control characters.
pub fn check_name(name: &str) -> Result<(), String> {
    match name {
        "" => Err("a name is not empty".to_owned()),
        name if name.len() > LONGEST_NAME => Err(format!("a name has at most {LONGEST_NAME} bytes")),
        name if name.chars().any(char::is_control) => Err("a name holds no control characters".to_owned()),
        _ => Ok(()),
    }
}

/// A line somebody greeted us with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The line without its end, as it came.
    pub line: Vec<u8>,
}

/// Why there is no greeting.
#[derive(Debug, thiserror::Error)]
pub enum GreetingError {
    /// The stream ended before a byte came.
    #[error("it closed without a word")]
    Silent,
    /// More than [`LONGEST`] bytes without a line's end.
    #[error("it sent over {LONGEST} bytes without a line's end")]
    TooLong,
    /// The stream broke.
    #[error("{0}")]
    Broken(#[from] io::Error),
}

impl Greeting {
    /// Reads one line, or up to the end of the stream; `buffer` is never filled past [`LONGEST`].
    ///
    /// # Errors
    /// When nothing comes, too much comes, or the stream breaks first.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Self, GreetingError> {
        let mut buffer = [0; LONGEST];
        let mut filled = 0;
        loop {
            let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) else {
                return Err(GreetingError::TooLong);
            };
            let read = stream.read(room).await?;
            if let Some(end) = room.iter().take(read).position(|&byte| byte == b'\n') {
                return Ok(Self::of(buffer.get(..filled + end)));
            }
            filled += read;
            match (read, filled) {
                (0, 0) => return Err(GreetingError::Silent),
                (0, _) => return Ok(Self::of(buffer.get(..filled))),
                _ => {}
            }
        }
    }

    fn of(line: Option<&[u8]>) -> Self {
        let line = line.unwrap_or_default();
        Greeting { line: line.strip_suffix(b"\r").unwrap_or(line).to_vec() }
    }

    /// Who says so, where the line is a greeting of ours.
    #[must_use]
    pub fn answer(&self) -> Option<Answer> {
        Answer::parse(&self.line)
    }

    /// Whether the replica says that it has no room.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.line.starts_with(BUSY.as_bytes())
    }

    /// The line, safe to show.
    #[must_use]
    pub fn shown(&self) -> String {
        labkit::text::show(&self.line, 120)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Form;

    fn encode(name: &str) -> Vec<u8> {
        Answer::named(name).line(Form::Plain).into_bytes()
    }

    fn name(greeting: &Greeting) -> Option<String> {
        greeting.answer().map(|answer| answer.name)
    }

    async fn read(mut bytes: &[u8]) -> Result<Greeting, GreetingError> {
        Greeting::read(&mut bytes).await
    }

    #[test]
    fn a_greeting_of_server3_has_nineteen_bytes() {
        assert_eq!(encode("server3"), b"Hello from server3\n");
        assert_eq!(encode("server3").len(), 19);
    }

    #[tokio::test]
    async fn what_a_replica_sends_is_read_back() {
        for given in ["server3", "räplica", "a b", &"x".repeat(LONGEST_NAME)] {
            assert_eq!(name(&read(&encode(given)).await.unwrap()).as_deref(), Some(given));
        }
    }

    #[tokio::test]
    async fn a_line_may_come_in_pieces_end_in_crlf_or_with_the_stream() {
        for pieces in [&[&b"Hello f"[..], b"rom a", b"\nrest"][..], &[b"Hello from a\r", b"\n"], &[b"Hello from a"]] {
            let mut builder = tokio_test_stream(pieces);
            assert_eq!(name(&Greeting::read(&mut builder).await.unwrap()).as_deref(), Some("a"));
        }
    }

    #[tokio::test]
    async fn silence_and_floods_are_no_greeting() {
        assert!(matches!(read(b"").await, Err(GreetingError::Silent)));
        assert!(matches!(read(&[b'a'; 100_000]).await, Err(GreetingError::TooLong)));
        assert_eq!(read(b"\n").await.unwrap().line, b"");
    }

    #[tokio::test]
    async fn garbage_names_nobody_and_is_safe_to_show() {
        for bytes in [&b"\xff\xfe\n"[..], b"HTTP/1.1 400\n", b"Hello from \n", b"Hello from \x1b[2J\n"] {
            let greeting = read(bytes).await.unwrap();
            assert_eq!(name(&greeting), None);
            assert!(!greeting.shown().contains('\x1b'));
        }
    }

    /// A stream that gives these pieces one read at a time.
    fn tokio_test_stream(pieces: &[&[u8]]) -> impl AsyncRead + Unpin + use<> {
        pieces.iter().fold(Box::new(tokio::io::empty()) as Box<dyn AsyncRead + Unpin>, |stream, piece| {
            Box::new(AsyncReadExt::chain(stream, io::Cursor::new(piece.to_vec())))
        })
    }
}
