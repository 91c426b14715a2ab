//! A file server that runs beside the act, until it is stopped.

use std::net::SocketAddr;

use labkit::target::Target;
use labkit::{Failure, Session};
use tokio::task::JoinHandle;

/// One that is running, and what it will say that it served.
pub(super) struct Running<Served> {
    pub(super) target: Target,
    session: Session,
    task: JoinHandle<Result<Served, Failure>>,
}

impl<Served: Send + 'static> Running<Served> {
    /// Starts what is bound to `address`; `run` is given the session to run in.
    pub(super) fn start<Run>(address: SocketAddr, stage: &Session, run: impl FnOnce(Session) -> Run) -> Self
    where
        Run: Future<Output = Result<Served, Failure>> + Send + 'static,
    {
        let session = stage.inner("udp-transfer-server", "server");
        let target = Target { host: address.ip().to_string(), port: Some(address.port()) };
        let task = tokio::spawn(run(session.clone()));
        Running { target, session, task }
    }

    pub(super) async fn stop(self) -> Result<Served, Failure> {
        self.session.shutdown.request();
        self.task.await.expect("a server does not panic")
    }
}
