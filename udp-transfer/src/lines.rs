//! The lines a person or a pipe gives us on stdin, on a thread of its own.
//!
//! A read from a terminal cannot be called off, so an async runtime that waits for it could not end at Ctrl-C; a plain
//! thread ends with the process.

use std::io::{self, BufRead, Read};

use tokio::sync::mpsc;

/// The longest line taken, in bytes.
const LONGEST: u64 = 4096;

/// A line without its end, or why there is none.
pub type Line = Result<String, LineError>;

/// Why a line is not taken.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Over 4096 bytes.
    #[error("a line has at most {LONGEST} bytes")]
    TooLong,
    /// Stdin failed.
    #[error("cannot read stdin: {0}")]
    Read(#[from] io::Error),
}

/// The lines of stdin, read ahead by one; closed at its end, or after it failed.
#[must_use]
pub fn of_stdin() -> mpsc::Receiver<Line> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        while let Some(line) = next(&mut stdin) {
            let is_over = matches!(line, Err(LineError::Read(_)));
            if sender.blocking_send(line).is_err() || is_over {
                break;
            }
        }
    });
    receiver
}

/// The next line; bytes that are no text are shown as replacement characters.
fn next(reader: &mut impl BufRead) -> Option<Line> {
    let mut bytes = Vec::new();
    match reader.by_ref().take(LONGEST).read_until(b'\n', &mut bytes) {
        Err(error) => Some(Err(error.into())),
        Ok(0) => None,
        Ok(_) if bytes.len() as u64 == LONGEST && bytes.last() != Some(&b'\n') => {
            Some(reader.skip_until(b'\n').map_err(LineError::Read).and(Err(LineError::TooLong)))
        }
        Ok(_) => Some(Ok(String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut text: &[u8]) -> Vec<Line> {
        std::iter::from_fn(|| next(&mut text)).collect()
    }

    #[test]
    fn lines_end_with_line_ends_or_with_the_text() {
        let read: Vec<String> = lines(b"!LIST\r\n\nlast").into_iter().map(Result::unwrap).collect();
        assert_eq!(read, ["!LIST", "", "last"]);
        assert_eq!(lines(b"a\xffb")[0].as_deref().unwrap(), "a\u{fffd}b");
    }

    #[test]
    fn an_endless_line_costs_the_bound_and_the_next_is_read() {
        let text = [vec![b'x'; 1_000_000], b"\nnext\n".to_vec()].concat();
        let read = lines(&text);
        assert!(matches!(read[0], Err(LineError::TooLong)));
        assert_eq!(read[1].as_deref().unwrap(), "next");
        assert_eq!(read.len(), 2);
    }
}
