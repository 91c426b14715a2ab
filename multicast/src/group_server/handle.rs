//! A running server, from outside: a call to its group looks like a procedure call.

use std::time::Duration;

use labkit::{Exit, Failure};
use tokio::sync::{mpsc, oneshot};

use crate::call::{CallResult, Present, Refused};

/// What a handle asks of the server's loop.
#[derive(Debug)]
pub(super) enum Request {
    Call(Vec<u8>, Duration, oneshot::Sender<Result<CallResult, Refused>>),
    Cast(Vec<u8>, oneshot::Sender<Result<(), Refused>>),
    Present(oneshot::Sender<Vec<Present>>),
    /// Answered once at least so many are here, and everybody of these names.
    Gather(Gathering),
}

/// Somebody waits for members.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) count: usize,
    pub(super) names: Vec<Vec<u8>>,
    pub(super) done: oneshot::Sender<()>,
}

impl Gathering {
    pub(super) fn is_complete(&self, present: &[Present]) -> bool {
        let is_here = |name: &Vec<u8>| present.iter().any(|one| one.name == *name);
        present.len() >= self.count && self.names.iter().all(is_here)
    }
}

/// Speaks to a running server. Clones speak to the same one.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
}

impl Handle {
    pub(super) fn new(requests: mpsc::Sender<Request>) -> Self {
        Handle { requests }
    }

    /// Asks every member, and gives back every answer that came by the deadline, with the names of those that gave none.
    ///
    /// # Errors
    /// When the text is too long, too many calls are open, or the server has ended.
    pub async fn call(&self, text: &[u8], deadline: Duration) -> Result<CallResult, Failure> {
        let asked = self.ask(|answer| Request::Call(text.to_vec(), deadline, answer)).await?;
        asked.map_err(|refused| refuse("call the group", refused))
    }

    /// Says `text` to all members, in the group's order.
    ///
    /// # Errors
    /// When the text is too long, members lack too much as it is, or the server has ended.
    pub async fn cast(&self, text: &[u8]) -> Result<(), Failure> {
        let said = self.ask(|answer| Request::Cast(text.to_vec(), answer)).await?;
        said.map_err(|refused| refuse("say something to the group", refused))
    }

    /// Who is here.
    ///
    /// # Errors
    /// When the server has ended.
    pub async fn present(&self) -> Result<Vec<Present>, Failure> {
        self.ask(Request::Present).await
    }

    /// Waits until at least `count` members are here, and everybody of these names; gives up after `limit`, and says
    /// whether they came.
    ///
    /// # Errors
    /// When the server has ended.
    pub async fn gather(&self, count: usize, names: &[Vec<u8>], limit: Duration) -> Result<bool, Failure> {
        let gather = self.ask(|done| Request::Gather(Gathering { count, names: names.to_vec(), done }));
        match tokio::time::timeout(limit, gather).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Ok(false),
        }
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Failure> {
        let (sender, receiver) = oneshot::channel();
        let ended = || Failure::new(Exit::Interrupted, "ENDED", "the group server has ended").hint("start it again");
        self.requests.send(request(sender)).await.map_err(|_| ended())?;
        receiver.await.map_err(|_| ended())
    }
}

fn refuse(what: &str, refused: Refused) -> Failure {
    let (exit, hint) = match refused {
        Refused::TooLong => (Exit::Usage, "say it in several pieces"),
        Refused::Full => (Exit::Partial, "try again in a moment"),
        Refused::Outside | Refused::Nobody => (Exit::NobodyAnswered, "wait until members have joined"),
    };
    Failure::new(exit, "REFUSED", format!("cannot {what}: {refused}")).hint(hint)
}
