//! Records to and from JSON lines, over any reader or writer.

use std::fmt;
use std::io::{self, BufRead, Write};

use crate::Record;

/// The longest line a [`Reader`] takes, in bytes: far above any record, and a bound on what a hostile file can cost.
const LONGEST_LINE: u64 = 1 << 20;

/// Writes records, one a line.
#[derive(Debug)]
pub struct Writer<W: Write> {
    inner: W,
}

impl<W: Write> Writer<W> {
    /// Writes to `inner`, which should be buffered.
    pub fn new(inner: W) -> Self {
        Writer { inner }
    }

    /// Writes one record as one line.
    ///
    /// # Errors
    /// Those of the writer inside.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        let mut line = record.to_line();
        line.push('\n');
        self.inner.write_all(line.as_bytes())
    }

    /// Hands everything written so far to the writer inside and flushes it.
    ///
    /// # Errors
    /// Those of the writer inside.
    pub fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }

    /// The writer inside.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

/// Reads records, one a line; empty lines are passed over.
#[derive(Debug)]
pub struct Reader<R: BufRead> {
    inner: R,
    line: u64,
}

/// Why a line gave no record.
#[derive(Debug)]
pub enum LineError {
    /// The file could not be read on.
    Read(io::Error),
    /// The line holds no record; counted from 1.
    Malformed {
        /// Which line.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineError::Read(error) => write!(f, "reading events: {error}"),
            LineError::Malformed { line, reason } => write!(f, "line {line} holds no event record: {reason}"),
        }
    }
}

impl std::error::Error for LineError {}

impl<R: BufRead> Reader<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        Reader { inner, line: 0 }
    }

    fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let read = io::Read::take(&mut self.inner, LONGEST_LINE).read_until(b'\n', &mut bytes)?;
        self.line += 1;
        Ok((read > 0).then_some(bytes))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Record, LineError> {
        serde_json::from_slice(bytes)
            .map_err(|error| LineError::Malformed { line: self.line, reason: error.to_string() })
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.read_line() {
                Err(error) => return Some(Err(LineError::Read(error))),
                Ok(None) => return None,
                Ok(Some(bytes)) if bytes.trim_ascii().is_empty() => {}
                Ok(Some(bytes)) => return Some(self.parse(&bytes)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Time};

    fn phase(name: &str) -> Record {
        Record::new(Time::from_nanos(1), "n", Event::Phase { name: name.into() })
    }

    #[test]
    fn what_was_written_is_read_back() {
        let mut writer = Writer::new(Vec::new());
        for name in ["one", "two\nlines", "três"] {
            writer.write(&phase(name)).unwrap();
        }
        let bytes = writer.into_inner();
        assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), 3, "a line break inside a name is escaped");
        let read: Vec<Record> = Reader::new(&bytes[..]).map(Result::unwrap).collect();
        assert_eq!(read, [phase("one"), phase("two\nlines"), phase("três")]);
    }

    #[test]
    fn a_bad_line_is_named_and_the_rest_is_still_read() {
        let text = format!("{}\n\nnonsense\n{}\n", phase("a").to_line(), phase("b").to_line());
        let read: Vec<_> = Reader::new(text.as_bytes()).collect();
        assert!(matches!(read[1], Err(LineError::Malformed { line: 3, .. })), "{read:?}");
        assert_eq!(read[2].as_ref().unwrap(), &phase("b"));
    }

    #[test]
    fn an_endless_line_costs_no_more_than_the_bound() {
        let endless = io::BufReader::new(io::Read::take(io::repeat(b'['), 3 * LONGEST_LINE));
        assert_eq!(Reader::new(endless).filter(Result::is_err).count(), 3);
    }
}
