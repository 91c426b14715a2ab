//! Lines of standard input, read on a thread of their own so that a program never waits for one to end.

use std::io::{self, BufRead, BufReader, Read};

use tokio::sync::mpsc;

/// How many lines are read ahead.
const AHEAD: usize = 64;

/// Each line of `input` without its end (`\n` or `\r\n`), as bytes. A line of more than `longest` bytes is given with
/// `longest + 1` of them and is the last.
///
/// The thread ends with the input, with the first error, or when nobody receives; one that waits for a person to type
/// ends with the process.
pub(crate) fn lines(input: impl Read + Send + 'static, longest: usize) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let mut input = BufReader::new(input);
        while let Some(line) = next(&mut input, longest) {
            let is_last = line.as_ref().map_or(true, |line| line.len() > longest);
            if sender.blocking_send(line).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

fn next(input: &mut impl BufRead, longest: usize) -> Option<io::Result<Vec<u8>>> {
    let mut line = Vec::new();
    // Room for the line's end and for one byte too many.
    let limit = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(2);
    match input.take(limit).read_until(b'\n', &mut line) {
        Ok(0) => None,
        Err(error) => Some(Err(error)),
        Ok(_) => {
            if line.last() == Some(&b'\n') {
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
            }
            line.truncate(longest.saturating_add(1));
            Some(Ok(line))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(input: impl Read + Send + 'static) -> Vec<Vec<u8>> {
        let mut lines = lines(input, 10);
        let mut read = Vec::new();
        while let Some(line) = lines.recv().await {
            read.push(line.unwrap());
        }
        read
    }

    #[tokio::test]
    async fn a_line_is_a_message_whatever_its_end() {
        let lines = read(&b"one\n\ntwo\r\n\xff\nlast"[..]).await;
        assert_eq!(lines, [&b"one"[..], b"", b"two", b"\xff", b"last"]);
        assert!(read(&b""[..]).await.is_empty());
        assert_eq!(read(&b"1234567890\n1234567890\r\n"[..]).await, [b"1234567890", b"1234567890"]);
    }

    #[tokio::test]
    async fn an_endless_line_is_cut_and_is_the_last() {
        assert_eq!(read(io::repeat(b'x')).await, [vec![b'x'; 11]]);
    }
}
