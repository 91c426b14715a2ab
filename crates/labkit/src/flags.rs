//! The flags every binary has, with the same names and meanings.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

/// What every binary understands.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Who we say we are [default: the host's name]
    #[arg(long, global = true, env = "CASTLAB_NAME", hide_env_values = true)]
    pub name: Option<String>,

    /// Print one JSON object at the end, also on error
    #[arg(value_parser = switch(), long, global = true, env = "CASTLAB_JSON", hide_env_values = true)]
    pub json: bool,

    /// Print every event as a JSON line, and the result as the last
    #[arg(value_parser = switch(), long, global = true, env = "CASTLAB_JSON_STREAM", hide_env_values = true)]
    pub json_stream: bool,

    /// Write every event to FILE as JSON lines
    #[arg(long, global = true, value_name = "FILE", env = "CASTLAB_EVENTS", hide_env_values = true)]
    pub events: Option<PathBuf>,

    /// Print the result only
    #[arg(value_parser = switch(), short, long, global = true, env = "CASTLAB_QUIET", hide_env_values = true)]
    pub quiet: bool,

    /// Tell more on stderr; repeat for more (RUST_LOG works too)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, env = "CASTLAB_VERBOSE", hide_env_values = true)]
    pub verbose: u8,

    /// No progress bars
    #[arg(value_parser = switch(), long, global = true, env = "CASTLAB_NO_PROGRESS", hide_env_values = true)]
    pub no_progress: bool,

    /// Colour on stderr; NO_COLOR is obeyed
    #[arg(long, global = true, value_enum, default_value_t, env = "CASTLAB_COLOR", hide_env_values = true)]
    pub color: Color,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal that shows it.
    #[default]
    Auto,
    /// Even into a pipe.
    Always,
    /// Not at all.
    Never,
}

impl Common {
    /// The name we go by: the one given, else the host's.
    #[must_use]
    pub fn node(&self) -> String {
        match &self.name {
            Some(name) if !name.is_empty() => name.clone(),
            _ => host_name(),
        }
    }
}

/// How the environment turns a flag on: `1`, `true`, `yes`, `on`, or anything but `0`, `false`, `no`, `off` and nothing
/// at all. For every flag without a value: `value_parser = labkit::flags::switch()`.
#[must_use]
pub fn switch() -> FalseyValueParser {
    FalseyValueParser::new()
}

fn host_name() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "unnamed".to_owned())
}
