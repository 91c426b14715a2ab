//! Serves the files of a folder over datagrams.

use std::process::ExitCode;

fn main() -> ExitCode {
    labkit::program::main::<udp_transfer::args::ServerArgs>()
}
