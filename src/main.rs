//! `castlab`: the demo, and whatever looks at all labs at once.

use std::process::ExitCode;

fn main() -> ExitCode {
    labkit::program::main::<castlab::args::Args>()
}
