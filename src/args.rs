//! What may be typed after `castlab`.

use clap::{Parser, Subcommand};
use labkit::{Common, Exit, Failure, Program, Session};

use crate::{bench, demo, doctor, interfaces, ladder};

/// Networking labs on the command line: anycast, multicast and file transfer over UDP
#[derive(Parser, Clone, Debug)]
#[command(
    name = "castlab",
    version,
    before_help = "Examples:
  castlab                       the demo: all three labs on loopback, in a few seconds
  castlab demo --seed 7         the same choices and losses on purpose each time
  castlab demo --json           what happened, as one JSON object
  castlab ladder run.jsonl      who sent what when, drawn from an --events file
  castlab doctor 224.1.1.1      why nothing arrives, with a command to try; castlab interfaces lists where it could"
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

    /// Find why multicast does not arrive, here or between two machines
    Doctor(doctor::Args),

    /// Measure how fast the labs' programs are, against others in the same run
    Bench(bench::Args),

    /// List the interfaces: which would be used, why the others not, which groups are joined
    Interfaces(interfaces::Args),
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
            Some(Command::Doctor(args)) => doctor::run(&args, &session).await,
            Some(Command::Bench(args)) => bench::run(args, &self.common, &session).await,
            Some(Command::Interfaces(args)) => interfaces::run(&args, &session).await,
        }
    }
}
