//! A replica: answers every TCP connection with who it is.

use std::process::ExitCode;

fn main() -> ExitCode {
    labkit::program::main::<anycast::args::ServerArgs>()
}
