//! What a benchmark would leave behind if it were killed: a small shell, held by its stdin, knows of every process and of
//! the folder, and ends and removes them as soon as we are gone, whatever ended us.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use labkit::Failure;

/// Reads what there is until we are gone. A process is known by its number and its start (field 22 of
/// `/proc/PID/stat`, counted behind the name, which may hold anything), so that nobody else is ended who has the
/// number meanwhile. Who does not end when asked to is killed.
const KEEPER: &str = r#"folder=$1 processes=
while read -r one; do processes="$processes $one"; done
end() {
    for one in $processes; do
        read -r stat <"/proc/${one%:*}/stat" || continue
        set -- ${stat##*)}
        [ "${20}" = "${one#*:}" ] && kill "-$signal" "${one%:*}" && some=yes
    done
}
some= signal=TERM; end
[ -z "$some" ] || sleep 1
signal=KILL; end
rm -rf -- "$folder""#;

/// The process that outlives us for a moment. Clones share it.
#[derive(Clone, Debug)]
pub struct Keeper(Arc<Held>);

#[derive(Debug)]
struct Held {
    stdin: Mutex<Option<ChildStdin>>,
    child: Mutex<Child>,
}

impl Keeper {
    /// Starts it; the folder goes with us from now on.
    ///
    /// # Errors
    /// When there is no shell.
    pub fn start(folder: &Path) -> Result<Self, Failure> {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper"]).arg(folder);
        // In a group of its own: what is sent to ours does not end it.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| Failure::io("run", "sh", &error))?;
        let stdin = child.stdin.take();
        Ok(Keeper(Arc::new(Held { stdin: Mutex::new(stdin), child: Mutex::new(child) })))
    }

    /// From now on, that process ends with us. One that is gone already needs nobody.
    pub fn process(&self, pid: u32) {
        if let Some(start) = start_of(pid) {
            self.tell(&format!("{pid}:{start}"));
        }
    }

    fn tell(&self, line: &str) {
        let mut stdin = self.0.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stdin) = stdin.as_mut() {
            // Where somebody ended it nothing is kept any more, which is no reason to measure nothing.
            let _ = writeln!(stdin, "{line}");
        }
    }
}

/// An end of ours that is no accident: what is left is little, and it is waited for.
impl Drop for Held {
    fn drop(&mut self) {
        drop(self.stdin.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.child.get_mut().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

/// When a process started, in ticks since the machine did.
fn start_of(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_process_and_a_folder_go_with_us_even_where_nobody_can_tell() {
        let folder = tempfile::tempdir().unwrap().keep();
        std::fs::write(folder.join("file"), "x").unwrap();
        let mut deaf = Command::new("sh")
            .args(["-c", "trap '' TERM; echo ready; while :; do sleep 1; done"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        deaf.stdout.take().unwrap().read_exact(&mut [0; 6]).unwrap();
        let mut other = Command::new("sleep").arg("60").spawn().unwrap();
        let keeper = Keeper::start(&folder).unwrap();
        keeper.process(deaf.id());
        // Somebody else has the number by now.
        keeper.tell(&format!("{}:1", other.id()));
        drop(keeper);
        assert!(!deaf.wait().unwrap().success() && !folder.exists());
        assert!(other.try_wait().unwrap().is_none(), "a stranger is left alone");
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
