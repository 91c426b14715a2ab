//! A short version of every lab, on loopback, with real sockets and files: told in plain words, and checked.

mod anycast;
mod files;
mod multicast;
mod serving;
mod stage;
mod transfer;
mod whole;

use std::time::Duration;

use events::{Event, Outcome};
use labkit::{Exit, Failure, Session};

use stage::Stage;

/// How long the whole demo may take; it needs a few seconds.
const DEADLINE: Duration = Duration::from_secs(20);

/// What may be typed after `castlab demo`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Where every random choice comes from
    #[arg(long, value_name = "N", default_value_t = Args::default().seed, env = "CASTLAB_SEED", hide_env_values = true)]
    pub seed: u64,
}

impl Default for Args {
    fn default() -> Self {
        Args { seed: 42 }
    }
}

/// Plays every act. All that must happen did: [`Exit::Done`]; else [`Exit::CheckFailed`].
///
/// # Errors
/// When a lab cannot be set up on this machine's loopback interface.
pub async fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    session.tell_started(None, Some(args.seed));
    let mut stage = Stage::new(session);
    let played = tokio::select! {
        played = tokio::time::timeout(DEADLINE, play(&mut stage, args)) => played,
        () = session.shutdown.requested() => {
            stage.curtain(Outcome::Interrupted);
            return Ok(Exit::Interrupted);
        }
    };
    match played {
        Ok(played) => played?,
        Err(_) => {
            stage.curtain(Outcome::Failed);
            let took_too_long = format!("the demo was not over after {} s", DEADLINE.as_secs());
            return Err(Failure::new(Exit::Deadline, "DEADLINE", took_too_long));
        }
    }
    let all_well = stage.all_well();
    stage.curtain(if all_well { Outcome::Complete } else { Outcome::Failed });
    Ok(if all_well { Exit::Done } else { Exit::CheckFailed })
}

async fn play(stage: &mut Stage, args: &Args) -> Result<(), Failure> {
    anycast::play(stage, args.seed).await?;
    multicast::play(stage, args.seed).await?;
    let files = files::Files::make(args.seed).await?;
    transfer::play(stage, &files).await?;
    whole::play(stage, &files, args.seed).await
}

/// Tells that an act begins, to people and in the events.
fn begin(stage: &mut Stage, number: u8, lab: &'static str, title: &str) {
    stage.session().recorder.tell(|| Event::Phase { name: lab.to_owned() });
    stage.act(lab, &format!("{number} · {title}"));
}
