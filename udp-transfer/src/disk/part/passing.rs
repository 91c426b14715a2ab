//! Chunks hashed as they are written: by whoever writes them, or by a thread beside, where a processor is free for it.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use arq::chunks::Chunking;

use crate::disk::hashing::{Following, Hashing};
use crate::disk::unwatched;

/// How many runs may wait for the thread: with 512 KiB each, what it is behind is still near the processor.
const WAITING: usize = 4;

/// A chunk of which bytes pass by, and whether it is full then.
pub(super) type Piece = (u32, bool);
/// What came of a chunk that is full; none when it could not be read again. The end will tell.
pub(super) type Value = (u32, Option<[u8; 32]>);

/// Hashes what passes by.
#[derive(Debug)]
struct Hasher {
    file: Arc<File>,
    chunking: Chunking,
    hashing: Hashing,
    /// The chunk that is written in order at the moment.
    following: Option<Following>,
}

impl Hasher {
    /// Takes the bytes that were written at `start`, which are of these chunks. Adds what came of those that are full.
    fn pass(&mut self, start: u64, bytes: &[u8], pieces: &[Piece], values: &mut Vec<Value>) {
        for &(index, is_full) in pieces {
            let range = self.chunking.range(index);
            let here = range.start.max(start)..range.end.min(start.saturating_add(bytes.len() as u64));
            let at = |offset: u64| usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
            self.follow(index, here.start, bytes.get(at(here.start)..at(here.end)).unwrap_or_default());
            if is_full {
                values.push((index, self.value(index, range.end)));
            }
        }
    }

    /// Goes on hashing the chunk that is written in order; begins with it where these are its first bytes.
    fn follow(&mut self, index: u32, start: u64, bytes: &[u8]) {
        if start == self.chunking.range(index).start {
            self.following = Some(Following::new(self.chunking, index));
        }
        let follows = self.following.as_mut().is_none_or(|following| following.take(index, start, bytes));
        // Behind a gap, or twice: what was hashed so far may not be what the file has. Of another chunk, it still is.
        if !follows && self.following.as_ref().is_some_and(|following| following.is_of(index)) {
            self.following = None;
        }
    }

    /// The value of a chunk that has all its bytes: they were hashed on the way, or are read again.
    fn value(&mut self, index: u32, end: u64) -> Option<[u8; 32]> {
        let followed = self.following.take_if(|following| following.is_of(index));
        followed
            .and_then(|following| following.value(index, end))
            .or_else(|| self.hashing.chunk(&self.file, self.chunking, index, &mut unwatched).ok())
    }
}

/// Where hashing happens.
#[derive(Debug)]
pub(super) enum Passing {
    /// Where the bytes are written.
    Here(Box<Hashed>),
    /// On a thread of its own.
    Beside(Beside),
}

/// A hasher and the room for what it finds.
#[derive(Debug)]
pub(super) struct Hashed {
    hasher: Hasher,
    values: Vec<Value>,
}

/// A thread that hashes, and what lies between it and us.
#[derive(Debug)]
pub(super) struct Beside {
    /// None once it is to end.
    runs: Option<SyncSender<Run>>,
    done: Receiver<Run>,
    under_way: usize,
    /// Buffers that came back.
    spare: Vec<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
}

/// A run on its way to the thread, and on its way back with what came of it.
#[derive(Debug)]
struct Run {
    start: u64,
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    values: Vec<Value>,
}

impl Passing {
    /// Hashes where the bytes are written.
    pub(super) fn new(file: Arc<File>, chunking: Chunking) -> Self {
        let hasher = Hasher { file, chunking, hashing: Hashing::default(), following: None };
        Passing::Here(Box::new(Hashed { hasher, values: Vec::new() }))
    }

    /// From now on, a thread of its own does it.
    pub(super) fn beside(file: Arc<File>, chunking: Chunking) -> io::Result<Self> {
        let mut hasher = Hasher { file, chunking, hashing: Hashing::default(), following: None };
        let (runs, waiting) = sync_channel::<Run>(WAITING);
        let (back, done) = sync_channel(WAITING + 1);
        let work = move || {
            for mut run in waiting {
                hasher.pass(run.start, &run.bytes, &run.pieces, &mut run.values);
                if back.send(run).is_err() {
                    return; // Nobody wants to know any more.
                }
            }
        };
        let thread = std::thread::Builder::new().name("hashing".to_owned()).spawn(work)?;
        Ok(Passing::Beside(Beside { runs: Some(runs), done, under_way: 0, spare: Vec::new(), thread: Some(thread) }))
    }

    /// Takes bytes that were written at `start`, which are of these chunks; `tell` hears what is known by now, of these or
    /// earlier ones. Gives an empty buffer back.
    pub(super) fn pass(
        &mut self,
        start: u64,
        mut bytes: Vec<u8>,
        pieces: Vec<Piece>,
        tell: impl FnMut(Value),
    ) -> Vec<u8> {
        match self {
            Passing::Here(here) => {
                here.hasher.pass(start, &bytes, &pieces, &mut here.values);
                // A thousand files may be written at once, and one is read again at a time: none keeps the room for that.
                here.hasher.hashing = Hashing::default();
                here.values.drain(..).for_each(tell);
                bytes.clear();
                bytes
            }
            Passing::Beside(beside) => {
                beside.collect(WAITING, tell);
                let run = Run { start, bytes, pieces, values: Vec::new() };
                if beside.runs.as_ref().is_some_and(|runs| runs.send(run).is_ok()) {
                    beside.under_way += 1;
                }
                beside.spare.pop().unwrap_or_default()
            }
        }
    }

    /// Waits for what is not known yet.
    pub(super) fn settle(&mut self, tell: impl FnMut(Value)) {
        match self {
            Passing::Here(_) => {}
            Passing::Beside(beside) => beside.collect(0, tell),
        }
    }
}

impl Beside {
    /// Takes back what is done, and waits while more than `most` are not.
    fn collect(&mut self, most: usize, mut tell: impl FnMut(Value)) {
        loop {
            let run = if self.under_way > most { self.done.recv().ok() } else { self.done.try_recv().ok() };
            // A thread that is no more has nothing under way: what it left unsaid, the end will find out.
            let Some(mut run) = run else { break };
            self.under_way -= 1;
            run.values.drain(..).for_each(&mut tell);
            run.bytes.clear();
            self.spare.push(run.bytes);
        }
    }
}

/// The thread holds the file, and with it the lock on it: it is waited for, some milliseconds at most.
impl Drop for Beside {
    fn drop(&mut self) {
        self.runs = None;
        self.collect(0, drop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
