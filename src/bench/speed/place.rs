//! Where a process runs: in our network, or in a namespace of its own that is gone, with all its interfaces, as soon as
//! nobody is in it any more. Nothing has to be cleaned up, however we end: the keeper ends who is in it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::process::Stdio;
use std::sync::Arc;

use labkit::{Exit, Failure};
use nix::sched::{CloneFlags, setns, unshare};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;

use crate::bench::keeper::Keeper;

/// A network to run processes in.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// None for the one we are in ourselves.
    namespace: Option<Arc<File>>,
    keeper: Keeper,
}

impl Place {
    /// The network we are in ourselves.
    pub(super) fn here(keeper: &Keeper) -> Self {
        Place { namespace: None, keeper: keeper.clone() }
    }

    /// A network of its own, with a loopback interface and nothing else.
    pub(super) fn apart(keeper: &Keeper) -> Result<Self, Failure> {
        let made = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        });
        let namespace = Some(Arc::new(made.map_err(|error| refused(&error))?));
        let place = Place { namespace, keeper: keeper.clone() };
        place.run("ip", &["link", "set", "lo", "up"])?;
        Ok(place)
    }

    /// Does `work` on a thread in this network: sockets and devices made there belong to it, and so do child processes.
    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        match &self.namespace {
            None => work(),
            Some(namespace) => on_a_thread(|| {
                setns(namespace, CloneFlags::CLONE_NEWNET)?;
                work()
            }),
        }
    }

    /// Starts a process in this network. It does not outlive us.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let runtime = Handle::current();
        let child = self.inside(|| {
            let _context = runtime.enter();
            command.spawn()
        })?;
        child.id().into_iter().for_each(|pid| self.keeper.process(pid));
        Ok(child)
    }

    /// Runs a command of setting up in this network, to its end.
    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> Result<(), Failure> {
        let shown = || format!("{program} {}", arguments.join(" "));
        let mut command = std::process::Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        let output = self.inside(|| command.output()).map_err(|error| Failure::io("run", shown(), &error))?;
        if output.status.success() {
            return Ok(());
        }
        let said = labkit::text::show(output.stderr.trim_ascii(), 300);
        Err(Failure::new(Exit::Setup, "PATH", format!("`{}` failed: {said}", shown())))
    }

    /// Under which name `ip link … netns NAME` finds this network.
    pub(super) fn name(&self) -> String {
        match &self.namespace {
            None => format!("/proc/{}/ns/net", std::process::id()),
            Some(namespace) => format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd()),
        }
    }
}

/// The network namespace belongs to the thread: only a thread that ends afterwards may change it.
fn on_a_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join().expect("setting up does not panic"))
}

fn refused(error: &io::Error) -> Failure {
    Failure::new(Exit::Setup, "NO-NAMESPACE", format!("cannot make a network namespace: {error}"))
        .hint("run it as root, or as `unshare --user --map-root-user castlab bench speed …`")
}
