//! The processes that are measured: what they are started with, what they cost in processor time and memory, and that none
//! of them outlives us.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use labkit::{Clock, Exit, Failure};
use nix::sys::signal::{Signal, kill};
use nix::time::ClockId;
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::place::Place;
use crate::bench::environment::take_settings_from;

/// How long a server may take until it listens, and until it has ended.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often we look at what others have written into `/proc`.
const LOOK: Duration = Duration::from_millis(20);

/// A program and its arguments.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

impl Launch {
    pub(super) fn new<A: Into<OsString>>(program: impl Into<PathBuf>, arguments: impl IntoIterator<Item = A>) -> Self {
        Launch { program: program.into(), arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// With more arguments.
    pub(super) fn and<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        take_settings_from(&mut command);
        command.args(&self.arguments).stdin(Stdio::null());
        command
    }

    fn failed(&self, what: &str, error: &std::io::Error) -> Failure {
        Failure::io(what, self.program.display(), error)
    }
}

/// What one side of a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    /// Seconds of processor time.
    pub(super) cpu: f64,
    /// The most memory that was in use, in bytes, over all its processes.
    pub(super) memory: u64,
}

/// A command that ran to its end.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) elapsed: Duration,
    pub(super) memory: u64,
}

/// Runs a command to its end; it is killed when nobody waits for that any more.
pub(super) async fn run(launch: &Launch, place: &Place, clock: &Clock) -> Result<Ended, Failure> {
    let began = clock.elapsed();
    let mut command = launch.command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = place.spawn(&mut command).map_err(|error| launch.failed("start", &error))?;
    let pid = child.id();
    let mut output = std::pin::pin!(child.wait_with_output());
    let mut memory = 0;
    let output = loop {
        tokio::select! {
            output = &mut output => break output.map_err(|error| launch.failed("wait for", &error))?,
            () = tokio::time::sleep(LOOK) => memory = memory.max(pid.map_or(0, peak_memory)),
        }
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        elapsed: clock.elapsed() - began,
        memory,
    })
}

/// A process that serves until it is stopped. Dropped, it is told to end.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    log: PathBuf,
    /// It and its children, as of the last [`Daemon::forget`]: nginx serves from processes of its own.
    pids: Vec<u32>,
}

impl Daemon {
    /// Starts it; its output goes to `log`, and is read when it has ended.
    pub(super) fn start(launch: &Launch, place: &Place, log: PathBuf) -> Result<Self, Failure> {
        let open = |path: &Path| File::create(path).map_err(|error| Failure::io("create", path.display(), &error));
        let mut command = launch.command();
        command.stdout(open(&log)?).stderr(open(&log.with_extension("err"))?);
        let child = place.spawn(&mut command).map_err(|error| launch.failed("start", &error))?;
        let pids = child.id().into_iter().collect();
        Ok(Daemon { child, log, pids })
    }

    /// Waits until it listens on `port`.
    pub(super) async fn listens(&mut self, port: u16) -> Result<(), Failure> {
        let waits = async {
            while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
                if self.pids.iter().any(|&pid| is_bound(pid, port)) {
                    return true;
                }
                tokio::time::sleep(LOOK).await;
            }
            false
        };
        if tokio::time::timeout(PATIENCE, waits).await == Ok(true) {
            return Ok(());
        }
        let said = std::fs::read_to_string(self.log.with_extension("err")).unwrap_or_default();
        let said = labkit::text::show(said.trim().as_bytes(), 300);
        Err(Failure::new(Exit::Setup, "PEER", format!("nobody listens on port {port}: {said}")))
    }

    /// What it has cost so far: processor time since it started, memory since [`Daemon::forget`].
    pub(super) fn cost(&self) -> Cost {
        Cost {
            cpu: self.pids.iter().map(|&pid| cpu_time(pid)).sum::<Duration>().as_secs_f64(),
            memory: self.pids.iter().map(|&pid| peak_memory(pid)).sum(),
        }
    }

    /// Lets the kernel count the most memory from now on, of all processes that there are by now.
    pub(super) fn forget(&mut self) {
        self.pids = self.child.id().into_iter().collect();
        self.pids.extend(children_of(&self.pids));
        for pid in &self.pids {
            // Where it does not, the peak is the one since the start: more than it need be, and never less.
            let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
    }

    /// Tells it to end, and gives what it wrote to stdout.
    pub(super) async fn stop(mut self, signal: Signal) -> String {
        self.tell(signal);
        if tokio::time::timeout(PATIENCE, self.child.wait()).await.is_err() {
            self.tell(Signal::SIGKILL);
            let _ = self.child.wait().await;
        }
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where it is asked to end, it ends its own children; where it is killed, nobody would.
    fn tell(&self, signal: Signal) {
        let Some(main) = self.child.id() else { return };
        let children = if signal == Signal::SIGKILL { children_of(&[main]) } else { Vec::new() };
        for pid in [main].into_iter().chain(children).filter_map(|pid| i32::try_from(pid).ok()) {
            // Gone already is as good.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.tell(Signal::SIGTERM);
    }
}

/// The processes whose parent is one of these. Not every kernel lists the children of a process, so all are looked at.
fn children_of(parents: &[u32]) -> Vec<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        parent(&stat).is_some_and(|parent| parents.contains(&parent))
    };
    pids.filter(is_child).collect()
}

/// From `PID (NAME) STATE PARENT …`, where the name may hold anything.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// All of its threads, those that ended included.
fn cpu_time(pid: u32) -> Duration {
    let clock = i32::try_from(pid).ok().and_then(|pid| ClockId::pid_cpu_clock_id(Pid::from_raw(pid)).ok());
    clock.and_then(|clock| clock.now().ok()).map_or(Duration::ZERO, Duration::from)
}

/// The most memory a process had at once, in bytes.
fn peak_memory(pid: u32) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/status")).ok().and_then(|status| high_water(&status)).unwrap_or(0)
}

fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Whether somebody in the process's network is bound to that port.
fn is_bound(pid: u32, port: u16) -> bool {
    ["tcp", "udp"].iter().any(|protocol| {
        let table = std::fs::read_to_string(format!("/proc/{pid}/net/{protocol}")).unwrap_or_default();
        holds(&table, port)
    })
}

/// Whether a table of `/proc/net` has a socket that waits on `port`: listening (0A), or unconnected (07).
fn holds(table: &str, port: u16) -> bool {
    let port = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next(), fields.nth(1));
        local.is_some_and(|local| local.ends_with(&port)) && matches!(state, Some("0A" | "07"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::keeper::Keeper;

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        assert_eq!(high_water("Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2 << 20));
        assert_eq!(high_water("Name:\tx\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn a_parent_is_found_behind_any_name() {
        assert_eq!(parent("12 (nginx: (worker) 3) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 nginx S 7"), None);
    }

    #[test]
    fn a_port_is_held_by_who_waits_on_it_and_not_by_a_connection() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
                     1: 0100007F:1F91 0100007F:8888 01 00000000:00000000\n\
                     2: 0100007F:1F92 00000000:0000 07 00000000:00000000\n";
        assert_eq!([8080, 8081, 8082, 8083].map(|port| holds(table, port)), [true, false, true, false]);
    }

    #[tokio::test]
    async fn a_daemon_that_ends_at_once_is_told_with_what_it_said() {
        let folder = tempfile::tempdir().unwrap();
        let launch = Launch::new("sh", ["-c", "echo no room >&2; exit 3"]);
        let here = Place::here(&Keeper::start(folder.path()).unwrap());
        let mut daemon = Daemon::start(&launch, &here, folder.path().join("log")).unwrap();
        let failure = daemon.listens(1).await.unwrap_err();
        assert!(failure.message.contains("no room"), "{failure}");
    }

    #[tokio::test]
    async fn a_command_gives_its_output_its_code_and_its_time() {
        let launch = Launch::new("sh", ["-c", "echo one; echo two >&2; exit 7"]);
        let folder = tempfile::tempdir().unwrap();
        let here = Place::here(&Keeper::start(folder.path()).unwrap());
        let ended = run(&launch, &here, &Clock::start()).await.unwrap();
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(7), "one\n", "two\n"));
        assert!(ended.elapsed > Duration::ZERO);
    }
}
