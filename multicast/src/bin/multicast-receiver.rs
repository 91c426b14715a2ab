//! Joins a multicast group and tells what it hears.

use std::process::ExitCode;

fn main() -> ExitCode {
    labkit::program::main::<multicast::receiver::ReceiverArgs>()
}
