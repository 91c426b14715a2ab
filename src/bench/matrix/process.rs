//! A program of ours in a process of its own, here or wherever a command of the user's leads, held by its stdin: it
//! begins when it is told to, and ends when it is told to or when we are gone.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use labkit::{Exit, Failure, text};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::bench::environment::take_settings_from;

/// What stands around each program: it says that it is there, waits for a line to begin, and ends the program at the
/// next line, or when its stdin is closed. So nothing outlives us, whatever ends us, and no signal has to find its way
/// into a container.
const AROUND: &str = r#"exec 3<&0
echo ready
read -r go || exit 0
"$@" </dev/null 3<&- &
program=$!
{ read -r stop; kill -TERM "$program"; } <&3 >/dev/null 2>&1 &
watch=$!
wait "$program"
status=$?
kill "$watch" 2>/dev/null
exit "$status""#;

/// How long a program may take until it is there, or until it has ended when told to.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much of what a program says on stderr is kept, in bytes and characters.
const SAID: u64 = 4_096;
const SHOWN: usize = 300;

/// A command that runs other commands, in words; nothing to run them here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Via(Vec<String>);

impl Via {
    pub(super) fn new(command: &str) -> Self {
        Via(command.split_whitespace().map(str::to_owned).collect())
    }
}

/// A program, and what it is told.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) via: Via,
    pub(super) words: Vec<String>,
}

/// A program that is there, and was or was not yet told to begin.
pub(super) struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: JoinHandle<String>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its last line, where that is JSON.
    pub(super) result: Option<Value>,
    pub(super) status: ExitStatus,
    /// What it said on stderr, in one line.
    pub(super) said: String,
}

impl Program {
    /// Starts it, up to where it waits to begin.
    pub(super) async fn start(&self) -> Result<Process, Failure> {
        let name = format!("{}{}", self.via.0.iter().map(|word| format!("{word} ")).collect::<String>(), self.words[0]);
        let mut words = self.via.0.iter().map(String::as_str).chain(["sh", "-c", AROUND, "bench"]);
        let mut command = Command::new(words.next().unwrap_or("sh"));
        command.args(words).args(&self.words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for us; we tell them.
        command.process_group(0);
        take_settings_from(&mut command);
        let mut child = command.spawn().map_err(|error| Failure::io("run", &name, &error))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else { unreachable!("both were asked for") };
        let stderr = tokio::spawn(async move {
            let (mut kept, mut rest) = (Vec::new(), stderr);
            // What cannot be read is not told.
            let _ = (&mut rest).take(SAID).read_to_end(&mut kept).await;
            let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
            let lines = String::from_utf8_lossy(&kept).lines().collect::<Vec<_>>().join("; ");
            text::show(lines.as_bytes(), SHOWN)
        });
        let mut process = Process { name, child, stdin, stdout: BufReader::new(stdout).lines(), stderr };
        match timeout(PATIENCE, process.line()).await {
            Ok(Some(line)) if line == "ready" => Ok(process),
            _ => Err(process.failed("it did not start").await),
        }
    }
}

impl Process {
    /// Tells it to begin.
    pub(super) async fn begin(&mut self) {
        if let Some(stdin) = &mut self.stdin {
            // One that is gone already is seen by what it does not print.
            let _ = stdin.write_all(b"go\n").await;
            let _ = stdin.flush().await;
        }
    }

    /// The next line it prints; none when there is no more.
    async fn line(&mut self) -> Option<String> {
        self.stdout.next_line().await.ok().flatten()
    }

    /// The address it says it listens on, in its first event.
    pub(super) async fn listening(mut self) -> Result<(Self, u16), Failure> {
        let started = timeout(PATIENCE, self.line()).await.ok().flatten();
        let event = started.and_then(|line| serde_json::from_str::<Value>(&line).ok());
        let port = event.as_ref().and_then(|event| event["local"].as_str()?.rsplit(':').next()?.parse().ok());
        match port {
            Some(port) => Ok((self, port)),
            None => Err(self.failed("it did not say where it listens").await),
        }
    }

    /// Waits until it ends by itself; `None` when `limit` passes first.
    pub(super) async fn wait(&mut self, limit: Duration) -> Option<Ended> {
        timeout(limit, self.ended()).await.ok()
    }

    /// Tells it to end, and waits for that; kills it when it does not.
    pub(super) async fn stop(mut self) -> Result<Ended, Failure> {
        self.stdin = None;
        match timeout(PATIENCE, self.ended()).await {
            Ok(ended) => Ok(ended),
            Err(_) => Err(self.failed("it did not end when told to").await),
        }
    }

    async fn ended(&mut self) -> Ended {
        let mut last = None;
        while let Some(line) = self.line().await {
            last = Some(line);
        }
        let status = self.child.wait().await.unwrap_or_default();
        let said = (&mut self.stderr).await.unwrap_or_default();
        Ended { result: last.and_then(|line| serde_json::from_str(&line).ok()), status, said }
    }

    /// Ends it at once, and says what was wrong, with what it said itself.
    async fn failed(mut self, what: &str) -> Failure {
        drop(self.stdin.take());
        // Gone already, or gone now.
        let _ = self.child.kill().await;
        let said = match timeout(Duration::from_secs(1), self.stderr).await {
            Ok(Ok(said)) if !said.is_empty() => format!(": {said}"),
            _ => String::new(),
        };
        Failure::new(Exit::Setup, "PROGRAM", format!("cannot run {}: {what}{said}", self.name)).hint(
            "run it by hand; --bin-dir says where the programs are, --server-via and --client-via how to get there",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program { via: Via::default(), words: ["sh", "-c", script].map(str::to_owned).to_vec() }
    }

    #[tokio::test]
    async fn it_begins_when_told_and_its_last_line_is_the_result() {
        let mut process = shell("echo words; echo '{\"a\": 1}'; echo oops >&2; exit 6").start().await.unwrap();
        process.begin().await;
        let ended = process.wait(PATIENCE).await.unwrap();
        assert_eq!(ended.result.unwrap()["a"], 1);
        assert_eq!((ended.status.code(), ended.said.as_str()), (Some(6), "oops"));
    }

    #[tokio::test]
    async fn it_ends_when_told_and_before_it_began_too() {
        let endless = shell("trap 'echo 7; exit 5' TERM; echo '{\"local\":\"0.0.0.0:99\"}'; while :; do sleep 1; done");
        let mut process = endless.start().await.unwrap();
        process.begin().await;
        let (process, port) = process.listening().await.unwrap();
        let ended = process.stop().await.unwrap();
        assert_eq!((port, ended.status.code(), ended.result), (99, Some(5), Some(7.into())));
        let ended = endless.start().await.unwrap().stop().await.unwrap();
        assert_eq!((ended.status.code(), ended.result), (Some(0), None));
    }

    #[tokio::test]
    async fn what_is_not_there_is_named() {
        let via = Via::new("castlab-no-such-command exec x");
        let failure = Program { via, words: vec!["sh".to_owned()] }.start().await.err().unwrap();
        assert!(failure.message.contains("castlab-no-such-command exec x sh"), "{failure}");
        let failure = Program { via: Via::new("false"), words: vec!["sh".to_owned()] }.start().await.err().unwrap();
        assert!(failure.message.contains("did not start"), "{failure}");
    }
}
