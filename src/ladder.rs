//! `castlab ladder`: recorded events as a time-sequence diagram.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use events::{Event, Reader, Record, Time};
use labkit::{Exit, Failure, Session};
use serde_json::json;
use view::ladder::{LadderError, ladder};

/// More records than this make no diagram that anybody reads.
const MOST_RECORDS: usize = 100_000;
/// The longest text of a record that is drawn, in characters.
const LONGEST: usize = 200;

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
    let mut files = Vec::new();
    for file in &args.files {
        files.push(read(file)?);
    }
    tell_apart(&mut files);
    let mut records: Vec<Record> = files.into_iter().flatten().collect();
    if records.len() > MOST_RECORDS {
        return Err(too_many());
    }
    if let [one, other] = args.between.as_slice() {
        records.retain(|record| record.node == *one || record.node == *other);
    }
    records.sort_by_key(|record| record.time);
    from_the_first_message(&mut records);
    records.iter_mut().for_each(make_harmless);
    let drawn = ladder(&records).map_err(|error| explain(&error))?;
    session.output.json(&json!({ "role": session.role, "ladder": drawn }));
    session.output.result(drawn.trim_end());
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<Vec<Record>, Failure> {
    let mut records = Vec::new();
    let file = File::open(path).map_err(|error| Failure::io("open", path.display(), &error))?;
    for record in Reader::new(BufReader::new(file)) {
        let record = record.map_err(|error| {
            // What stands there may be anything.
            let error = labkit::text::show(error.to_string().as_bytes(), LONGEST);
            Failure::new(Exit::Setup, "NO-EVENTS", format!("{}: {error}", path.display()))
                .hint("any castlab program writes such a file with --events FILE")
        })?;
        if records.len() == MOST_RECORDS {
            return Err(too_many());
        }
        records.push(record);
    }
    Ok(records)
}

fn too_many() -> Failure {
    let message = format!("more than {MOST_RECORDS} records: nobody reads such a diagram");
    Failure::new(Exit::Setup, "TOO-MANY-EVENTS", message).hint("record a shorter run")
}

/// Times are read as milliseconds since the first message, not since 1970.
fn from_the_first_message(records: &mut [Record]) {
    let is_message = |record: &&Record| matches!(record.event, Event::Sent { .. } | Event::Received { .. });
    let Some(first) = records.iter().find(is_message).map(|record| record.time) else { return };
    for record in records {
        record.time = Time::ZERO + (record.time - first);
    }
}

/// What is drawn of a record may be a stranger's, a reason that a server gave, say: no file moves the reader's cursor.
fn make_harmless(record: &mut Record) {
    let clean = |text: &mut String| {
        let shown = labkit::text::show(text.as_bytes(), LONGEST);
        if *text != shown {
            *text = shown;
        }
    };
    clean(&mut record.node);
    match &mut record.event {
        Event::Sent { peer, what, .. } | Event::Received { peer, what, .. } | Event::Dropped { peer, what, .. } => {
            clean(peer);
            clean(what);
        }
        Event::Finished { reason: Some(reason), .. } => clean(reason),
        // Of these nothing is drawn, or nothing but numbers.
        _ => {}
    }
}

/// Both ends on one machine go by its name unless they were given others: then each is called by what it is, `server` or
/// `client`.
fn tell_apart(files: &mut [Vec<Record>]) {
    let node_of = |records: &[Record]| records.first().map(|record| record.node.clone());
    let nodes: Vec<Option<String>> = files.iter().map(|records| node_of(records)).collect();
    for (which, records) in files.iter_mut().enumerate() {
        let is_shared = nodes.iter().enumerate().any(|(other, node)| other != which && *node == nodes[which]);
        let Some(role) = role_of(records).filter(|_| is_shared) else { continue };
        for record in records.iter_mut().filter(|record| Some(&record.node) == nodes[which].as_ref()) {
            record.node.clone_from(&role);
        }
    }
}

/// What the program that wrote it is: the last word of `udp-transfer-server`, say.
fn role_of(records: &[Record]) -> Option<String> {
    records.iter().find_map(|record| match &record.event {
        Event::Started { role, .. } => role.rsplit('-').next().map(str::to_owned),
        _ => None,
    })
}

fn explain(error: &LadderError) -> Failure {
    let failure = Failure::new(Exit::Setup, "NO-LADDER", error.to_string());
    match error {
        LadderError::TooMany(names) => {
            let two: Vec<&str> = names.iter().take(2).map(String::as_str).collect();
            failure.hint(format!("choose two, such as --between {}", two.join(",")))
        }
        LadderError::TooWide => failure.hint("record with a smaller window or at a lower rate, or a shorter run"),
        LadderError::NothingHappened => failure.hint("the file needs events of datagrams that were sent and received"),
    }
}
