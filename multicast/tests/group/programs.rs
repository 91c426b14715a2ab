//! The real binaries, started, read line by line, typed at, and ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin(program));
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn run(program: &str, args: &[&str]) -> Output {
    command(program, args).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A program that runs; killed when dropped.
pub(crate) struct Running {
    child: Child,
    typed: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
    /// All it has printed so far.
    pub(crate) printed: String,
}

impl Running {
    pub(crate) fn start(program: &str, args: &[&str]) -> Self {
        Running::of(command(program, args))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { typed: child.stdin.take(), child, lines, printed: String::new() }
    }

    /// A server on a free port, and its address.
    pub(crate) fn server(args: &[&str]) -> (Self, String) {
        let mut server = Running::start("group-server", &[&["--bind", "127.0.0.1:0"], args].concat());
        let line = server.until("Group server listening on ");
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        (server, address)
    }

    /// A client that has joined.
    pub(crate) fn client(server: &str, name: &str, args: &[&str]) -> Self {
        let mut client = Running::start("group-client", &[&["--server", server, "--name", name], args].concat());
        client.until("that is us");
        client
    }

    /// Reads on until a line that holds `word`, and gives that line.
    pub(crate) fn until(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "ended before '{word}': {}", self.printed);
            self.printed += &line;
            if line.contains(word) {
                return line;
            }
        }
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.typed.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Nothing more is typed.
    pub(crate) fn close_input(&mut self) {
        self.typed = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// All it printed to its end, and its exit code.
    pub(crate) fn end(mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        self.printed += &rest;
        let code = self.child.wait().unwrap().code();
        (std::mem::take(&mut self.printed), code)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
