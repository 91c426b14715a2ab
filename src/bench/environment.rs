//! What a program of ours is started with: what somebody set for themselves must not change what is measured.

use tokio::process::Command;

/// Takes the settings of our programs out of what it would inherit.
pub fn take_settings_from(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CASTLAB_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
}
