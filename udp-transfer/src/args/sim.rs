//! What may be typed after `udp-transfer-sim`.

use std::time::Duration;

use arq::Policy;
use arq::congestion::Choice;
use clap::{Parser, Subcommand};
use labkit::units::show_duration;
use labkit::{Common, Exit, Failure, Program, Session};
use netsim::{Chance, Impairment};
use serde_json::json;

use crate::sim::{Contest, Contestant, Course, Row, Run, Scenario, Table};

/// Run the machines of the reliable modes in virtual time: no sockets, no waiting
#[derive(Parser, Clone, Debug)]
#[command(
    name = "udp-transfer-sim",
    version,
    before_help = "Examples:
  udp-transfer-sim                                             each mode over more and more loss
  udp-transfer-sim --modes go-back-n:8,go-back-n:64 --loss 5%,10% --link delay=50ms
  udp-transfer-sim congestion                                  each congestion control on each kind of path
  udp-transfer-sim run 'selective-repeat | 8 blocks | window 5 | there: delay=10ms,drop=block:1 | back: delay=10ms' \\
      --events run.jsonl && castlab ladder run.jsonl           one scenario, drawn"
)]
pub struct SimArgs {
    /// One scenario instead of the table.
    #[command(subcommand)]
    pub command: Option<SimCommand>,

    /// The table.
    #[command(flatten)]
    pub table: TableArgs,

    /// The common options.
    #[command(flatten)]
    pub common: Common,
}

/// What can be simulated besides the table.
#[derive(Subcommand, Clone, Debug)]
pub enum SimCommand {
    /// One scenario, with its events
    Run {
        /// MODE | N blocks | window N | seed N | there: LINK | back: LINK (a LINK is what --impair takes)
        scenario: String,
    },
    /// Each congestion control on each kind of path: the share of the line it uses, the queue it keeps, what it sends twice
    #[command(before_help = "Examples:
  udp-transfer-sim congestion
  udp-transfer-sim congestion --json
  udp-transfer-sim congestion --seed 7                         other losses")]
    Congestion {
        /// Where all chance comes from
        #[arg(long, value_name = "N", default_value_t = 1, env = "CASTLAB_SEED", hide_env_values = true)]
        seed: u64,
    },
}

/// What goes into the table.
#[derive(clap::Args, Clone, Debug)]
pub struct TableArgs {
    /// The modes
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "MODE",
        default_value = "raw,stop-and-wait,go-back-n:8,go-back-n:64,selective-repeat",
        env = "CASTLAB_MODES",
        hide_env_values = true
    )]
    pub modes: Vec<Policy>,

    /// The chance that a datagram is lost, each way
    #[arg(long, value_parser = share, value_delimiter = ',', value_name = "SHARE", default_value = "0%,1%,5%,10%,20%,30%", env = "CASTLAB_LOSS", hide_env_values = true)]
    pub loss: Vec<Chance>,

    /// The link besides the loss, each way
    #[arg(long, value_name = "LINK", default_value = "delay=10ms", env = "CASTLAB_LINK", hide_env_values = true)]
    pub link: Impairment,

    /// How many blocks the file has
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000), env = "CASTLAB_BLOCKS", hide_env_values = true)]
    pub blocks: u64,

    /// Over how many seeds to take the mean
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=100_000), env = "CASTLAB_RUNS", hide_env_values = true)]
    pub runs: u64,

    /// The first of them
    #[arg(long, value_name = "N", default_value_t = 1, env = "CASTLAB_SEED", hide_env_values = true)]
    pub seed: u64,
}

impl Program for SimArgs {
    const ROLE: &'static str = "udp-transfer-sim";

    fn common(&self) -> &Common {
        &self.common
    }

    async fn run(self, session: Session) -> Result<Exit, Failure> {
        match &self.command {
            None => table(self.table, &session).await,
            Some(SimCommand::Run { scenario }) => run(scenario, &session).await,
            Some(SimCommand::Congestion { seed }) => congestion(*seed, &session).await,
        }
    }
}

fn share(text: &str) -> Result<Chance, String> {
    let link: Impairment =
        format!("loss={text}").parse().map_err(|error: netsim::ImpairmentError| error.to_string())?;
    Ok(link.loss)
}

async fn table(args: TableArgs, session: &Session) -> Result<Exit, Failure> {
    session.tell_started(None, Some(args.seed));
    let work = move || {
        let scenario = Scenario { blocks: args.blocks, seed: args.seed, ..Scenario::default() }.over(&args.link);
        Table::of(&scenario, &args.modes, &args.loss, args.runs)
    };
    let table = simulated(work, session).await;
    session.output.json(&json!({ "role": session.role, "rows": table.rows.iter().map(row).collect::<Vec<_>>() }));
    session.output.result(table.to_string().trim_end());
    Ok(Exit::Done)
}

/// Nothing of it is lost when it is stopped: it can be run again, to the letter.
async fn simulated<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static, session: &Session) -> T {
    let Some(result) = session.shutdown.or(tokio::task::spawn_blocking(work)).await else {
        std::process::exit(i32::from(Exit::Interrupted.code()));
    };
    result.expect("a simulation does not panic")
}

async fn congestion(seed: u64, session: &Session) -> Result<Exit, Failure> {
    session.tell_started(None, Some(seed));
    let work = move || Contest::of(&Course::ALL, &[Choice::NewReno, Choice::Cubic, Choice::Bbr], seed);
    let contest = simulated(work, session).await;
    let rows = contest.rows.iter().map(contestant).collect::<Vec<_>>();
    session.output.json(&json!({ "role": session.role, "rows": rows }));
    session.output.result(contest.to_string().trim_end());
    Ok(Exit::Done)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn contestant(row: &Contestant) -> serde_json::Value {
    json!({
        "path": row.course.path,
        "beside": row.course.beside.map(|other| other.to_string()),
        "congestion": row.congestion.to_string(),
        "line_used_permille": row.used,
        "mean_queue_ns": nanos(row.queue.0),
        "longest_queue_ns": nanos(row.queue.1),
        "blocks_sent_per_block": row.sent_per_block,
    })
}

fn row(row: &Row) -> serde_json::Value {
    json!({
        "mode": row.policy.to_string(),
        "loss": row.loss.to_string(),
        "runs": row.runs,
        "whole": row.whole,
        "ns_per_block": nanos(row.time_per_block),
        "blocks_sent_per_block": row.sent_per_block,
        "datagrams_per_block": row.datagrams_per_block,
    })
}

/// Its records go where those of a real run go; their times count from zero.
async fn run(line: &str, session: &Session) -> Result<Exit, Failure> {
    let scenario: Scenario = line.parse().map_err(Failure::usage)?;
    let run = Scenario { listen: true, ..scenario }.run();
    for record in &run.records {
        session.recorder.pass_on(record);
    }
    session.output.json(&json!({
        "role": session.role,
        "whole": run.is_whole(),
        "blocks": run.blocks,
        "blocks_held": run.held.len(),
        "blocks_sent": run.blocks_sent,
        "blocks_sent_again": run.sent_again,
        "datagrams": run.datagrams,
        "last_stored_ns": nanos(run.last_stored),
    }));
    session.output.result(verdict(&run));
    Ok(if run.is_whole() { Exit::Done } else { Exit::Partial })
}

fn verdict(run: &Run) -> String {
    let held = match run.held.len() {
        all if all == run.blocks => format!("all {all} blocks arrived"),
        some => format!("{some} of {} blocks arrived", run.blocks),
    };
    let time = show_duration(run.last_stored);
    format!(
        "{held} in {time}: {} sent, {} of them again, {} datagrams in all",
        run.blocks_sent, run.sent_again, run.datagrams
    )
}
