//! What may be typed after `castlab`.

use clap::{Parser, Subcommand};
use labkit::{Common, Exit, Failure, Program, Session};

use crate::{demo, ladder};

/// Networking labs on the command line: anycast, multicast and file transfer over UDP
#[derive(Parser, Clone, Debug)]
#[command(
    name = "castlab",
    version,
    before_help = "Examples:
  castlab                       the demo: all three labs on loopback, in a few seconds
  castlab demo --seed 7         the same choices and losses on purpose each time
  castlab demo --json           what happened, as one JSON object
  castlab ladder run.jsonl      who sent what when, drawn from an --events file"
)]
pub struct Args {
    /// What to do; without it, the demo.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The common options.
    #[command(flatten)]
    pub common: Common,
}

/// What castlab can do.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Run a short version of every lab on loopback: no Docker, no root, no network
    Demo(demo::Args),

    /// Draw recorded events as a time-sequence diagram
    Ladder(ladder::Args),
}

impl Program for Args {
    const ROLE: &'static str = "castlab";
    const LOG: &'static str = "error";

    fn common(&self) -> &Common {
        &self.common
    }

    async fn run(self, session: Session) -> Result<Exit, Failure> {
        match self.command {
            None => demo::run(&demo::Args::default(), &session).await,
            Some(Command::Demo(args)) => demo::run(&args, &session).await,
            Some(Command::Ladder(args)) => ladder::run(&args, &session),
        }
    }
}
