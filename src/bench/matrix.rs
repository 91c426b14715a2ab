//! `castlab bench matrix`: the report of the course's file transfer from one command: clients × sizes × modes, with plain
//! TCP as a yardstick, as tables and two figures.
//!
//! It runs the real programs, so what is measured is what people use: `process` holds them, `measuring` makes one run,
//! `reading` takes rows from what they print, and `received` beside it holds every file against the source. The rest is what comes
//! of the rows: `summary`, `report`, `figures`.

mod args;
mod figures;
mod measuring;
mod mode;
mod place;
mod plan;
mod process;
mod progress;
mod reading;
mod report;
mod results;
mod row;
mod summary;
pub mod tcp;

use std::path::Path;

use events::{Event, Outcome};
use labkit::{Common, Exit, Failure, Session};

pub use args::Args;
use measuring::Bench;
use plan::Estimate;
use progress::Progress;
use results::{Ended, Host, Results};

/// What a report consists of.
const FILES: [&str; 5] = ["report.md", "report.csv", "report.json", "throughput.svg", "loss.svg"];

/// Measures, and tells what was measured.
///
/// # Errors
/// When the arguments make no sense, programs or room are missing, or the report cannot be written.
pub async fn run(args: &Args, common: &Common, session: &Session) -> Result<Exit, Failure> {
    let plan = args.plan()?;
    if let Some(folder) = &args.output {
        prepare(folder, args.force)?;
    }
    session.tell_started(None, None);
    let bench = off_the_loop({
        let (args, plan) = (args.clone(), plan.clone());
        move || Bench::set_up(&args, &plan)
    })
    .await?;
    let mut results = Results {
        command: args.command(),
        host: Host::here(args, bench.place.is_memory()),
        plan,
        rows: Vec::new(),
        runs: 0,
        ended: Ended::Complete,
    };
    results.ended = measure(&bench, args, &mut results, common, session).await;
    if let Ended::Failed(failure) = &results.ended
        && results.runs == 0
    {
        return Err(failure.clone());
    }
    let outcome = match (&results.ended, results.exit()) {
        (Ended::Interrupted, _) => Outcome::Interrupted,
        (Ended::Failed(_), _) => Outcome::Partial,
        (Ended::Complete, Exit::Done) => Outcome::Complete,
        (Ended::Complete, _) => Outcome::Failed,
    };
    session.recorder.tell(|| Event::Finished { outcome, reason: None });
    tell(&results, args, session)?;
    Ok(results.exit())
}

/// Every run in turn, until all are made, somebody stops it, or it cannot go on.
async fn measure(bench: &Bench, args: &Args, results: &mut Results, common: &Common, session: &Session) -> Ended {
    let plan = results.plan.clone();
    let estimate = Estimate::new(&plan, args.silence, args.bitrate.unwrap_or(args::RAW_BITRATE));
    let mut progress = Progress::new(&plan, estimate, common);
    let mut ended = Ended::Complete;
    for (which, run) in plan.runs().into_iter().enumerate() {
        let cell = plan.cells()[run.cell];
        if session.shutdown.is_requested() {
            ended = Ended::Interrupted;
            break;
        }
        progress.begin(which, session);
        let begun = session.clock.now();
        session.recorder.tell(|| Event::Phase {
            name: format!("round {}: {}, clients: {}, {} bytes", run.round, cell.mode, cell.clients, cell.size),
        });
        match bench.run(cell, run, &session.shutdown).await {
            Ok(Some(rows)) => results.rows.extend(rows),
            Ok(None) => {
                ended = Ended::Interrupted;
                break;
            }
            Err(failure) => {
                ended = Ended::Failed(failure);
                break;
            }
        }
        results.runs += 1;
        progress.end(which, session.clock.now() - begun);
    }
    progress.finish();
    ended
}

/// The folder of the report, and whether one is there already: before anything is measured, not after.
fn prepare(folder: &Path, may_replace: bool) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::io("make the folder", folder.display(), &error))?;
    match FILES.iter().map(|name| folder.join(name)).find(|path| !may_replace && path.exists()) {
        Some(path) => Err(Failure::new(Exit::Setup, "FILE-EXISTS", format!("{} is there already", path.display()))
            .hint("--force replaces it, or choose another --output")),
        None => Ok(()),
    }
}

fn tell(results: &Results, args: &Args, session: &Session) -> Result<(), Failure> {
    let json = results.to_json(session.role);
    session.output.json(&json);
    session.output.result(report::text(results));
    let Some(folder) = &args.output else { return Ok(()) };
    let json = serde_json::to_string_pretty(&json).expect("a value always has a text form");
    let contents = [
        report::markdown(results),
        report::csv(results),
        json + "\n",
        figures::throughput(results).svg(),
        figures::loss(results).svg(),
    ];
    for (name, content) in FILES.iter().zip(contents) {
        let path = folder.join(name);
        std::fs::write(&path, content)
            .map_err(|error| Failure::io("write", path.display(), &error).exit(Exit::Partial))?;
    }
    session.output.result(format!("report: {}", folder.join(FILES[0]).display()));
    Ok(())
}

async fn off_the_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
