//! Fetches files over datagrams, by several clients at once, and says what was lost.

use std::process::ExitCode;

fn main() -> ExitCode {
    labkit::program::main::<udp_transfer::args::ClientArgs>()
}
