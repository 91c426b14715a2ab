//! Hello Internet: the client says `Hello in X`, the server answers `Goodbye in X'` or, in challenge mode, `Goodbye X from
//! X'`, and closes. Neither side sends a line's end or a length, so what a message is follows from who is silent when.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest message taken, in bytes. The programs of the course read once into a buffer of about this size.
pub const LONGEST: usize = 1024;

/// A message has no end of its own, and TCP may cut it anywhere: it is over when it could be whole and nothing more has
/// come for so long.
pub const SETTLED: Duration = Duration::from_millis(20);

const HELLO: &str = "Hello in ";
const GOODBYE: &str = "Goodbye ";

/// What a client written in `language` says.
#[must_use]
pub fn hello(language: &str) -> String {
    format!("{HELLO}{language}")
}

/// What a server written in `ours` answers: with the language of whoever said hello in challenge mode.
#[must_use]
pub fn goodbye(ours: &str, challenged: Option<&str>) -> String {
    match challenged {
        Some(theirs) => format!("{GOODBYE}{theirs} from {ours}"),
        None => format!("{GOODBYE}in {ours}"),
    }
}

/// The language of a client that said `message`.
#[must_use]
pub fn language(message: &[u8]) -> Option<&str> {
    let language = std::str::from_utf8(message).ok()?.trim_end().strip_prefix(HELLO)?;
    (!language.is_empty() && !language.chars().any(char::is_control)).then_some(language)
}

/// The language of a server that answered `message` to a client that speaks `ours`.
#[must_use]
pub fn answering<'a>(message: &'a [u8], ours: &str) -> Option<&'a str> {
    let rest = std::str::from_utf8(message).ok()?.trim_end().strip_prefix(GOODBYE)?;
    let challenged = rest.strip_prefix(ours).and_then(|rest| rest.strip_prefix(" from "));
    let language = challenged.or_else(|| rest.strip_prefix("in "))?;
    (!language.is_empty() && !language.chars().any(char::is_control)).then_some(language)
}

/// Whether `so_far` can only be the beginning of a hello: then its rest is still on the way, however long it takes.
fn is_beginning(so_far: &[u8]) -> bool {
    so_far.len() <= HELLO.len() && HELLO.as_bytes().starts_with(so_far)
}

/// Reads what the other side says until it is over: the stream ends, [`LONGEST`] bytes are there, or nothing more comes
/// for [`SETTLED`] after what could be all. The caller sets the deadline.
///
/// # Errors
/// When the stream breaks before a byte came.
pub async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut message = Vec::with_capacity(64);
    let mut buffer = [0; LONGEST];
    loop {
        let room = buffer.get_mut(..LONGEST - message.len()).unwrap_or_default();
        let read = if is_beginning(&message) {
            stream.read(room).await
        } else {
            match tokio::time::timeout(SETTLED, stream.read(room)).await {
                Ok(read) => read,
                Err(_) => return Ok(message),
            }
        };
        match read {
            Ok(0) => return Ok(message),
            Ok(read) => message.extend_from_slice(buffer.get(..read).unwrap_or_default()),
            Err(_) if !message.is_empty() => return Ok(message),
            Err(error) => return Err(error),
        }
    }
}

/// Reads the answer up to the end of the stream, which is where an answer ends; at most [`LONGEST`] bytes. Whatever is
/// there when the caller's patience ends is in `answer`.
///
/// # Errors
/// When the stream breaks.
pub async fn read_to_end(stream: &mut (impl AsyncRead + Unpin), answer: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; LONGEST];
    loop {
        let room = buffer.get_mut(..LONGEST - answer.len()).unwrap_or_default();
        match stream.read(room).await {
            Ok(0) => return Ok(()),
            Ok(read) => answer.extend_from_slice(buffer.get(..read).unwrap_or_default()),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[test]
    fn the_words_are_those_of_the_protocol() {
        assert_eq!(hello("Rust"), "Hello in Rust");
        assert_eq!(goodbye("Rust", None), "Goodbye in Rust");
        assert_eq!(goodbye("Rust", Some("Python")), "Goodbye Python from Rust");
        assert_eq!(language(b"Hello in C++"), Some("C++"));
        assert_eq!(language(b"Hello in Shell\n"), Some("Shell"), "echo adds a line's end");
        assert_eq!(answering(b"Goodbye in Ada", "Rust"), Some("Ada"));
        assert_eq!(answering(b"Goodbye Rust from Ada", "Rust"), Some("Ada"));
        for other in [&b""[..], b"Hello in ", b"hello in C", b"Hello", b"Hello in \x1b[2J", b"\xff"] {
            assert_eq!(language(other), None);
        }
        assert_eq!(answering(b"Goodbye Rust from ", "Rust"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_comes_in_pieces_is_read_whole() {
        let (mut theirs, mut ours) = tokio::io::duplex(64);
        tokio::spawn(async move {
            for piece in ["Hel", "lo in", " ", "Py", "thon"] {
                theirs.write_all(piece.as_bytes()).await.unwrap();
                // As long as it cannot be whole, any pause is waited out; then only a short one.
                tokio::time::sleep(if piece == "Py" { SETTLED / 2 } else { SETTLED * 50 }).await;
            }
        });
        assert_eq!(read_message(&mut ours).await.unwrap(), b"Hello in Python");
    }

    #[tokio::test]
    async fn a_flood_is_cut_and_an_early_end_is_what_came() {
        assert_eq!(read_message(&mut &[b'x'; 100_000][..]).await.unwrap().len(), LONGEST);
        assert_eq!(read_message(&mut &b"Hello"[..]).await.unwrap(), b"Hello");
        assert_eq!(read_message(&mut &b""[..]).await.unwrap(), b"");
    }

    proptest! {
        #[test]
        fn any_bytes_name_a_language_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = (language(&bytes), answering(&bytes, "Rust"));
        }
    }
}
