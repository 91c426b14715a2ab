//! Sends messages to a multicast group.

use std::process::ExitCode;

fn main() -> ExitCode {
    labkit::program::main::<multicast::sender::SenderArgs>()
}
