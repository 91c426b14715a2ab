//! Where a program tells what happens: the `--events` file, and stdout with `--json-stream`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use events::{Event, Record, Writer};

use crate::exit::{Exit, Failure};
use crate::{Clock, Output};

/// Tells events in the name of one node. Costs nothing when nobody asked: the event is not even built.
#[derive(Clone, Debug)]
pub struct Recorder {
    node: Arc<str>,
    clock: Clock,
    file: Option<Arc<EventsFile>>,
    stream: Option<Output>,
    /// Held from the stamping of a record to its last write, so that times never run backwards in what is written.
    turn: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct EventsFile {
    path: PathBuf,
    inside: Mutex<Inside>,
}

/// One write a record, unbuffered, so that the file is whole even when we are killed.
#[derive(Debug)]
struct Inside {
    writer: Writer<File>,
    failed: Option<io::Error>,
}

impl Recorder {
    /// One that nobody listens to.
    #[must_use]
    pub fn deaf(node: &str, clock: Clock) -> Self {
        Recorder { node: node.into(), clock, file: None, stream: None, turn: Arc::default() }
    }

    /// Also writes to `path`, replacing what is there.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn to_file(self, path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|error| Failure::io("create the events file", path.display(), &error))?;
        let inside = Mutex::new(Inside { writer: Writer::new(file), failed: None });
        Ok(Recorder { file: Some(Arc::new(EventsFile { path: path.to_owned(), inside })), ..self })
    }

    /// Also writes each record as a line of `output`.
    #[must_use]
    pub fn to_stream(self, output: Output) -> Self {
        Recorder { stream: Some(output), ..self }
    }

    /// The same listeners, told by another node: for programs inside a program.
    #[must_use]
    pub fn as_node(&self, node: &str) -> Self {
        Recorder { node: node.into(), ..self.clone() }
    }

    /// The clock the records are stamped by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Tells that `event` happened now.
    pub fn tell(&self, event: impl FnOnce() -> Event) {
        self.tell_of(None, event);
    }

    /// Tells that `event` happened now, in one flow of this node.
    pub fn tell_in(&self, flow: u64, event: impl FnOnce() -> Event) {
        self.tell_of(Some(flow), event);
    }

    fn tell_of(&self, flow: Option<u64>, event: impl FnOnce() -> Event) {
        if self.file.is_none() && self.stream.is_none() {
            return;
        }
        let (node, event) = (self.node.to_string(), event());
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&Record { time: self.clock.now(), node, flow, event });
    }

    /// Passes on a record that somebody else made: one of a run in virtual time, say.
    pub fn pass_on(&self, record: &Record) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(record);
    }

    fn write(&self, record: &Record) {
        if let Some(file) = &self.file {
            file.write(record);
        }
        if let Some(stream) = &self.stream {
            stream.stream(&record.to_line());
        }
    }

    /// Whether every record told so far was written.
    ///
    /// # Errors
    /// The first write that failed (a full disk, say); later records were not written.
    pub fn check(&self) -> Result<(), Failure> {
        match &self.file {
            Some(file) => file.check(),
            None => Ok(()),
        }
    }
}

impl EventsFile {
    fn write(&self, record: &Record) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.failed.is_none()
            && let Err(error) = inside.writer.write(record)
        {
            tracing::error!("events are no longer written to {}: {error}", self.path.display());
            inside.failed = Some(error);
        }
    }

    fn check(&self) -> Result<(), Failure> {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        match &inside.failed {
            Some(error) => Err(Failure::io("write events to", self.path.display(), error).exit(Exit::Partial)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_in_the_file_as_soon_as_they_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let recorder = Recorder::deaf("a", Clock::start()).to_file(&path).unwrap();
        recorder.tell(|| Event::Phase { name: "one".into() });
        recorder.as_node("b").tell_in(4, || Event::Phase { name: "two".into() });
        let text = std::fs::read_to_string(&path).unwrap();
        let records: Vec<Record> = text.lines().map(|line| Record::from_line(line).unwrap()).collect();
        assert_eq!(records.iter().map(|r| r.node.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(records[1].flow, Some(4));
        assert!(records[0].time <= records[1].time);
        recorder.check().unwrap();
    }

    #[test]
    fn times_never_run_backwards_however_many_threads_tell() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let recorder = Recorder::deaf("a", Clock::start()).to_file(&path).unwrap();
        std::thread::scope(|threads| {
            for node in ["b", "c", "d", "e"] {
                let recorder = recorder.as_node(node);
                threads.spawn(move || {
                    for _ in 0..500 {
                        recorder.tell(|| Event::Phase { name: "one".into() });
                    }
                });
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        let times: Vec<_> = text.lines().map(|line| Record::from_line(line).unwrap().time).collect();
        assert_eq!(times.len(), 2_000);
        assert!(times.is_sorted());
    }

    #[test]
    fn without_a_listener_the_event_is_not_even_built() {
        Recorder::deaf("a", Clock::start()).tell(|| unreachable!("nobody asked"));
    }

    #[test]
    fn a_full_disk_is_told_at_the_end() {
        let full = Path::new("/dev/full");
        let recorder = Recorder::deaf("a", Clock::start()).to_file(full).unwrap();
        recorder.tell(|| Event::Phase { name: "lost".into() });
        let failure = recorder.check().unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Partial, "DISK-FULL"));
        assert!(failure.message.contains("/dev/full"), "{failure}");
    }
}
