//! Asks one of several replicas, and tallies who answered.

use std::process::ExitCode;

fn main() -> ExitCode {
    labkit::program::main::<anycast::args::ClientArgs>()
}
