//! Commands from standard input: single keys on a terminal, lines otherwise.

use std::io::{self, BufRead, BufReader, IsTerminal, Read};

use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use tokio::sync::mpsc;

use super::command::Command;

/// How many commands are read ahead.
const AHEAD: usize = 16;
/// The longest line that is read, in bytes.
const LONGEST: u64 = 1000;

/// Where commands come from. Dropping it gives the terminal back as it was.
#[derive(Debug)]
pub(super) struct Keys {
    commands: mpsc::Receiver<Command>,
    before: Option<Termios>,
}

impl Keys {
    /// Listens to standard input. The thread that reads ends with its end, or with the process.
    pub(super) fn listen() -> Self {
        let before = terminal_of_ours();
        let (sender, commands) = mpsc::channel(AHEAD);
        match &before {
            Some(settings) => {
                let mut plain = settings.clone();
                // Keys at once and unseen; Ctrl-C stays what it is.
                plain.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
                let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &plain);
                tracing::info!("keys: j join, l leave, p print, q quit");
                std::thread::spawn(move || read_keys(&sender));
            }
            None if !io::stdin().is_terminal() => {
                std::thread::spawn(move || read_lines(io::stdin(), &sender));
            }
            // A terminal that belongs to somebody else: reading from the background would stop us.
            None => {}
        }
        Keys { commands, before }
    }

    /// The next command; never, once there are no more.
    pub(super) async fn next(&mut self) -> Command {
        match self.commands.recv().await {
            Some(command) => command,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
    }
}

/// How our terminal is set, where standard input is one and we are in its foreground.
fn terminal_of_ours() -> Option<Termios> {
    let foreground = nix::unistd::tcgetpgrp(io::stdin()).ok()?;
    if foreground != nix::unistd::getpgrp() { None } else { termios::tcgetattr(io::stdin()).ok() }
}

fn read_keys(to: &mpsc::Sender<Command>) {
    for key in io::stdin().lock().bytes() {
        let Ok(key) = key else { return };
        if let Some(command) = Command::of_key(key)
            && to.blocking_send(command).is_err()
        {
            return;
        }
    }
}

fn read_lines(input: impl Read, to: &mpsc::Sender<Command>) {
    let mut input = BufReader::new(input);
    let mut told = false;
    loop {
        let mut line = Vec::new();
        match (&mut input).take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.trim_ascii().is_empty() => {}
            Ok(_) => match String::from_utf8_lossy(&line).parse() {
                Ok(command) => {
                    if to.blocking_send(command).is_err() {
                        return;
                    }
                }
                // Only once: whoever pipes us a novel shall not get a novel of warnings.
                Err(reason) if !told => {
                    told = true;
                    tracing::warn!("standard input: {reason}; further lines of this kind are passed over");
                }
                Err(_) => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::Action;
    use super::*;

    #[test]
    fn lines_are_commands_and_nonsense_is_passed_over() {
        let (sender, mut receiver) = mpsc::channel(AHEAD);
        let endless = [b'x'; 5000];
        read_lines([&b"leave\n\n\xff\n"[..], &endless, b"\n join 239.1.1.1:6000\r\nquit"].concat().as_slice(), &sender);
        drop(sender);
        let mut actions = Vec::new();
        while let Some(command) = receiver.blocking_recv() {
            actions.push((command.action, command.group.is_some()));
        }
        assert_eq!(actions, [(Action::Leave, false), (Action::Join, true), (Action::Quit, false)]);
    }
}
