//! Ending well: the first Ctrl-C (or SIGTERM) asks everything to finish, the second stops now.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::exit::{Exit, Failure};

/// A request to finish, shared by every task of a program.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    interrupted: Arc<AtomicBool>,
}

impl Shutdown {
    /// One that only [`Shutdown::request`] fires: for tests and for programs inside a program.
    #[must_use]
    pub fn manual() -> Self {
        Self::default()
    }

    /// One that SIGINT and SIGTERM fire. A second signal ends the process at once with 130.
    ///
    /// # Errors
    /// When the signals cannot be listened for.
    pub fn on_signals() -> Result<Self, Failure> {
        let listen = |kind, name| signal(kind).map_err(|error| Failure::io("listen for", name, &error));
        let mut interrupt = listen(SignalKind::interrupt(), "SIGINT")?;
        let mut terminate = listen(SignalKind::terminate(), "SIGTERM")?;
        let shutdown = Self::manual();
        let told = shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if told.interrupted.swap(true, Ordering::SeqCst) {
                    std::process::exit(i32::from(Exit::Interrupted.code()));
                }
                tracing::info!("finishing; once more to stop now");
                told.request();
            }
        });
        Ok(shutdown)
    }

    /// Asks everything to finish.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// Whether everything was asked to finish, by whomever.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Whether a signal asked.
    #[must_use]
    pub fn was_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// Resolves once everything is asked to finish.
    pub fn requested(&self) -> WaitForCancellationFutureOwned {
        self.token.clone().cancelled_owned()
    }

    /// What `work` gives, or `None` when everything was asked to finish first.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.token.run_until_cancelled(work).await
    }

    /// A request that this one fires too, and that can be fired alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Shutdown { token: self.token.child_token(), interrupted: self.interrupted.clone() }
    }
}
