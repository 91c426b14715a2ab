//! Questions about the catalogue, and looking at the folder again when somebody asks.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arq::catalogue::Entry;
use arq::wire::{Reply, Request, fitting};
use arq::{CloseReason, FileId};
use events::Time;
use labkit::units::show_bytes;
use labkit::{Clock, Failure, Shutdown};
use tokio::task::JoinHandle;

use crate::disk::offer::{Offer, Scan, ServeError, Source};

/// A question waits for a look at the folder, unless that takes longer than this: then what was seen before will do.
const PATIENCE: Duration = Duration::from_secs(2);
/// Looking takes at most one part in so many of the time, however many ask.
const SHARE: u32 = 10;

/// The offer, and when it was last looked at.
pub(super) struct Catalogue {
    pub(super) offer: Offer,
    /// When the last look began and ended.
    looked: Option<(Time, Time)>,
    looking: Option<(Time, JoinHandle<Result<Scan, Failure>>)>,
    /// Files that are being served: a thousand clients of one file share one handle.
    open: HashMap<FileId, Weak<Source>>,
    shutdown: Shutdown,
}

impl Catalogue {
    pub(super) fn new(offer: Offer, shutdown: Shutdown) -> Self {
        Catalogue { offer, looked: None, looking: None, open: HashMap::new(), shutdown }
    }

    /// Looks at the folder again, away from the loop, unless somebody is at it or has just been.
    pub(super) fn look(&mut self, now: Time) {
        let rests = self.looked.is_some_and(|(begun, ended)| now < ended + (ended - begun) * SHARE);
        if self.looking.is_some() || rests {
            return;
        }
        let (offer, shutdown) = (self.offer.clone(), self.shutdown.clone());
        let mut told = 0;
        let scan = tokio::task::spawn_blocking(move || {
            offer.rescan(&mut |done, of| {
                if done - told > 4 << 30 {
                    told = done;
                    tracing::info!("hashing: {} of {}", show_bytes(done), show_bytes(of));
                }
                if shutdown.is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
        });
        self.looking = Some((now, scan));
    }

    /// Waits until a look has ended; for ever when there is none.
    pub(super) async fn looked(&mut self, clock: Clock) -> Result<Option<Scan>, Failure> {
        let Some((begun, scan)) = &mut self.looking else { return std::future::pending().await };
        let (begun, ended) = (*begun, scan.await);
        self.looking = None;
        let first = self.looked.is_none();
        self.looked = Some((begun, clock.now()));
        match ended {
            Ok(Ok(scan)) => Ok(Some(scan)),
            Ok(Err(failure)) if first => Err(failure),
            Ok(Err(failure)) => {
                tracing::warn!("{failure}");
                Ok(None)
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Waits for the look under way, if there is one.
    pub(super) async fn finish(&mut self) {
        if let Some((_, scan)) = self.looking.take() {
            // It was told to stop; what it found is of no use any more.
            let _ = scan.await;
        }
    }

    /// Opens a file for serving. A change since it was hashed is seen by this, and has the folder looked at again.
    pub(super) fn open(&mut self, now: Time, file: FileId) -> Result<Arc<Source>, ServeError> {
        // Opened each time, so that it is the one on offer now; kept only if nobody has it open.
        let opened = match self.offer.open_file(file) {
            Ok(opened) => opened,
            Err(error) => {
                self.look(now);
                return Err(error);
            }
        };
        if let Some(shared) = self.open.get(&file).and_then(Weak::upgrade)
            && shared.check_unchanged().is_ok()
        {
            return Ok(shared);
        }
        self.open.retain(|_, source| source.strong_count() > 0);
        let opened = Arc::new(opened);
        self.open.insert(file, Arc::downgrade(&opened));
        Ok(opened)
    }

    /// Whether what is known was seen after `asked`, when the client first asked; if not, somebody looks, and the client
    /// asks again.
    fn is_fresh(&mut self, now: Time, asked: Time) -> bool {
        if self.looked.is_some_and(|(begun, _)| begun >= asked) {
            return true;
        }
        self.look(now);
        self.looked.is_some() && now - asked >= PATIENCE
    }

    /// The answer to a question, for a session with datagrams of `datagram` bytes. `waiting` is since when that session
    /// waits for an answer that needs a look at the folder.
    pub(super) fn answer(&mut self, now: Time, request: &Request, datagram: u16, waiting: &mut Option<Time>) -> Reply {
        let asked = *waiting.get_or_insert(now);
        let reply = self.answer_since(now, asked, request, datagram);
        if reply != Reply::Deny(CloseReason::Busy) {
            *waiting = None;
        }
        reply
    }

    fn answer_since(&mut self, now: Time, asked: Time, request: &Request, datagram: u16) -> Reply {
        match request {
            // Later pages are of the listing the first one was of.
            Request::List { generation, from } => {
                if *from == 0 && !self.is_fresh(now, asked) {
                    return Reply::Deny(CloseReason::Busy);
                }
                self.page(*generation, *from, datagram)
            }
            Request::Find(name) => {
                let found = self.offer.listing().find(name).cloned();
                match found {
                    Some(entry) if self.is_still(&entry) => Reply::Found(entry),
                    _ if !self.is_fresh(now, asked) => Reply::Deny(CloseReason::Busy),
                    _ => Reply::Deny(CloseReason::NotFound),
                }
            }
            Request::Chunks { file, from } => {
                let listing = self.offer.listing();
                let Some(all) = listing.chunks(*file) else { return Reply::Deny(CloseReason::NotFound) };
                let rest = usize::try_from(*from).ok().and_then(|from| all.get(from..)).unwrap_or_default();
                let count = fitting(datagram, rest.iter().map(|value| value.len()));
                Reply::Chunks {
                    file: *file,
                    total: u32::try_from(all.len()).unwrap_or(u32::MAX),
                    from: *from,
                    values: rest.iter().take(count).copied().collect(),
                }
            }
        }
    }

    fn page(&self, generation: u64, from: u64, datagram: u16) -> Reply {
        let listing = self.offer.listing();
        if generation != 0 && generation != listing.generation() {
            return Reply::Deny(CloseReason::Changed);
        }
        let rest = usize::try_from(from).ok().and_then(|from| listing.entries().get(from..)).unwrap_or_default();
        let count = fitting(datagram, rest.iter().map(Entry::encoded_length));
        Reply::Page {
            generation: listing.generation(),
            total: listing.entries().len() as u64,
            from,
            entries: rest.iter().take(count).cloned().collect(),
        }
    }

    /// Whether the file lies there as it was hashed.
    fn is_still(&self, entry: &Entry) -> bool {
        match self.offer.open_file(entry.file) {
            Ok(_) | Err(ServeError::Unreadable(_)) => true,
            Err(ServeError::Unknown | ServeError::Vanished | ServeError::Changed) => false,
        }
    }
}
