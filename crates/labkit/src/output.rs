//! What goes to stdout: lines for people, or JSON for programs; and a reader who leaves early is no error.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use crate::flags::Common;
use crate::{Exit, Failure, Shutdown};

/// The result of a program, on stdout. Clones write to the same place.
#[derive(Clone, Debug)]
pub struct Output {
    form: Form,
    quiet: bool,
    shutdown: Shutdown,
    ended: Arc<OnceLock<io::Error>>,
    /// Whether the one object was written.
    told: Arc<AtomicBool>,
}

/// In which form the result is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Lines for people.
    Text,
    /// One JSON object at the end.
    Json,
    /// One JSON object per event, and one at the end.
    JsonStream,
    /// Nothing: somebody else tells.
    Muted,
}

impl Output {
    /// As the flags ask. When the reader of our stdout goes away, `shutdown` is requested: there is nobody to work for.
    #[must_use]
    pub fn new(flags: &Common, shutdown: Shutdown) -> Self {
        let form = match (flags.json_stream, flags.json) {
            (true, _) => Form::JsonStream,
            (_, true) => Form::Json,
            _ => Form::Text,
        };
        Output { form, quiet: flags.quiet, shutdown, ended: Arc::default(), told: Arc::default() }
    }

    /// Whether [`Output::line`] prints: where making the line costs something, thousands of times a second.
    #[must_use]
    pub fn tells_lines(&self) -> bool {
        self.form == Form::Text && !self.quiet
    }

    /// A line told while the work goes on; not with `--quiet` or JSON.
    pub fn line(&self, line: impl AsRef<str>) {
        if self.tells_lines() {
            self.write(line.as_ref());
        }
    }

    /// A part of the result; not with JSON.
    pub fn result(&self, text: impl AsRef<str>) {
        if self.form == Form::Text {
            self.write(text.as_ref());
        }
    }

    /// The result as one JSON object, where JSON was asked for.
    pub fn json(&self, result: &impl Serialize) {
        if self.is_json() {
            self.told.store(true, Ordering::SeqCst);
            self.write(&serde_json::to_string(result).expect("our results always have a JSON form"));
        }
    }

    /// Whether the result was written as JSON: what goes wrong after it is for people, since one object is all there is.
    #[must_use]
    pub fn has_told_json(&self) -> bool {
        self.told.load(Ordering::SeqCst)
    }

    /// Whether JSON was asked for.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(self.form, Form::Json | Form::JsonStream)
    }

    /// An output that says nothing, for a program inside a program.
    #[must_use]
    pub fn muted(&self) -> Self {
        Output { form: Form::Muted, ..self.clone() }
    }

    /// Whether the reader of our stdout went away: it has seen enough, and there is nobody to work for.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ended.get().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Whether all of the result was written, or its reader wanted no more.
    ///
    /// # Errors
    /// The first write that failed (a full disk, say).
    pub fn check(&self) -> Result<(), Failure> {
        match self.ended.get() {
            Some(error) if !self.is_closed() => Err(Failure::io("write to", "stdout", error).exit(Exit::Partial)),
            _ => Ok(()),
        }
    }

    /// One event, with `--json-stream`.
    pub(crate) fn stream(&self, line: &str) {
        if self.form == Form::JsonStream {
            self.write(line);
        }
    }

    fn write(&self, text: &str) {
        if self.ended.get().is_some() {
            return;
        }
        let mut stdout = io::stdout().lock();
        let written =
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
        if let Err(error) = written {
            // Only the first is kept; nothing is written after it.
            let _ = self.ended.set(error);
            self.shutdown.request();
        }
    }
}
