//! `castlab ladder`: recorded events as a time-sequence diagram.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use events::{Reader, Record};
use labkit::{Exit, Failure, Session};
use serde_json::json;
use view::ladder::{LadderError, ladder};

/// More records than this make no diagram that anybody reads.
const MOST_RECORDS: usize = 100_000;

/// What may be typed after `castlab ladder`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Files that --events wrote: one of a simulation, or one of each end
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Draw these two ends only, where there are more
    #[arg(
        long,
        value_name = "NAME,NAME",
        value_delimiter = ',',
        num_args = 1,
        env = "CASTLAB_BETWEEN",
        hide_env_values = true
    )]
    pub between: Vec<String>,
}

/// Draws the files' records.
///
/// # Errors
/// When a file cannot be read or holds something else, or there are not two ends to draw.
pub fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    if !matches!(args.between.len(), 0 | 2) {
        return Err(Failure::usage("--between takes two names: --between NAME,NAME"));
    }
    let mut records = Vec::new();
    for file in &args.files {
        read(file, &mut records)?;
    }
    if let [one, other] = args.between.as_slice() {
        records.retain(|record| record.node == *one || record.node == *other);
    }
    records.sort_by_key(|record| record.time);
    let drawn = ladder(&records).map_err(|error| explain(&error))?;
    session.output.json(&json!({ "role": session.role, "ladder": drawn }));
    session.output.result(drawn.trim_end());
    Ok(Exit::Done)
}

fn read(path: &Path, records: &mut Vec<Record>) -> Result<(), Failure> {
    let file = File::open(path).map_err(|error| Failure::io("open", path.display(), &error))?;
    for record in Reader::new(BufReader::new(file)) {
        let record = record.map_err(|error| {
            Failure::new(Exit::Setup, "NO-EVENTS", format!("{}: {error}", path.display()))
                .hint("any castlab program writes such a file with --events FILE")
        })?;
        if records.len() == MOST_RECORDS {
            let message = format!("more than {MOST_RECORDS} records: nobody reads such a diagram");
            return Err(Failure::new(Exit::Setup, "TOO-MANY-EVENTS", message).hint("record a shorter run"));
        }
        records.push(record);
    }
    Ok(())
}

fn explain(error: &LadderError) -> Failure {
    let failure = Failure::new(Exit::Setup, "NO-LADDER", error.to_string());
    match error {
        LadderError::TooMany(names) => failure.hint(format!("choose two: --between {}", names.join(","))),
        LadderError::NothingHappened => failure.hint("the file needs events of datagrams that were sent and received"),
    }
}
