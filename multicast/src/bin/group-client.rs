//! A member of a group: says and hears what is for all, and answers calls.

use std::process::ExitCode;

fn main() -> ExitCode {
    labkit::program::main::<multicast::group_client::ClientArgs>()
}
