//! Hears the clients of a group, answers them, and calls them as one calls a procedure.

use std::process::ExitCode;

fn main() -> ExitCode {
    labkit::program::main::<multicast::group_server::ServerArgs>()
}
