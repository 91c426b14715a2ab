//! The machines of the reliable modes in virtual time: the table of modes and losses, and single scenarios.

use std::process::ExitCode;

fn main() -> ExitCode {
    labkit::program::main::<udp_transfer::args::SimArgs>()
}
