//! Act 4: the same file to the same clients over a network that loses on purpose, and nothing is missing.

use std::path::{Path, PathBuf};

use arq::catalogue::FileName;
use labkit::target::Target;
use labkit::units::show_bytes;
use labkit::{Failure, Session, table};
use tokio::task::spawn_blocking;
use udp_transfer::reliable::Impaired;
use udp_transfer::reliable::client::{self, Asking, Config, Report, Wanted};
use udp_transfer::reliable::server::{self, Server};
use udp_transfer::report::megabytes_per_second;

use super::files::Files;
use super::serving::Running;
use super::stage::Stage;

const CLIENTS: u16 = 3;
/// What the network between does.
const LOSS: &str = "loss=2%";

pub(super) async fn play(stage: &mut Stage, files: &Files, seed: u64) -> Result<(), Failure> {
    super::begin(stage, 4, "udp-transfer-whole", "File transfer: what it takes to lose nothing");
    stage.say(&format!(
        "The same file, the same clients. Now every block has a number, receivers say what is missing, and the\n\
         sender sends that again. To make it hard, the clients throw away 2 % of all datagrams, both ways\n\
         (--impair {LOSS})."
    ));
    let session = stage.session().clone();
    let config = server::Config::new(files.offered());
    let server = Server::bind(server::Config { bind: ([127, 0, 0, 1], 0).into(), ..config })?;
    let address = server.local_addr();
    let server = Running::start(address, &session, |session| async move { server.run(&session).await });
    let report = fetch(&server.target, &files.fetched("whole"), seed, &session).await?;
    let served = server.stop().await?;
    stage.say(&table(&report));

    let thrown_away = report.network.lost;
    stage.expect(thrown_away > 0, format!("{thrown_away} of {} datagrams were thrown away", report.network.datagrams));
    let again: Option<u64> = report.rows.iter().map(|row| row.sent_again).sum();
    stage.expect(
        again == Some(served.sent_again) && served.sent_again > 0,
        format!("the server sent {} blocks again, and the clients count the same", served.sent_again),
    );
    let same = are_the_same(files.original(), &report).await?;
    let all = show_bytes(Files::SIZE * u64::from(CLIENTS));
    stage.expect(same, format!("all {CLIENTS} files are the original, byte for byte: {all}, and not one missing"));
    stage.say(
        "This is what TCP does in the kernel. Here it can be watched: `castlab ladder`, and the guide of the lab.",
    );
    Ok(())
}

fn table(report: &Report) -> String {
    let mut table = table::new(&["file", "success", "bytes", "seconds", "MB/s", "re-sent"]);
    for row in &report.rows {
        let name = row.path.as_deref().map(Path::new).and_then(Path::file_name).unwrap_or(row.name.as_ref());
        table.add_row([
            name.to_string_lossy().into_owned(),
            if row.is_whole() { "verified" } else { "no" }.to_owned(),
            row.fetched.to_string(),
            format!("{:.3}", row.elapsed.as_secs_f64()),
            format!("{:.1}", megabytes_per_second(row.fetched, row.elapsed)),
            row.sent_again.map_or_else(|| "?".to_owned(), |again| again.to_string()),
        ]);
    }
    table.to_string()
}

async fn fetch(server: &Target, output: &Path, seed: u64, session: &Session) -> Result<Report, Failure> {
    let impaired = Impaired { impairment: LOSS.parse().expect("a plain impairment"), seed };
    let asking = Asking { impaired: Some(impaired), ..Asking::new(server.clone()) };
    let name = FileName::new(Files::NAME).expect("a plain name");
    let config = Config { clients: CLIENTS, ..Config::new(asking, Wanted::Named(vec![name]), output) };
    let session = session.inner("udp-transfer-client", "client");
    session.tell_started(None, Some(seed));
    client::get(&config, &session).await
}

/// Compared here, and not taken from the client's own word.
async fn are_the_same(original: PathBuf, report: &Report) -> Result<bool, Failure> {
    let copies: Vec<Option<String>> = report.rows.iter().map(|row| row.path.clone()).collect();
    let compare = move || -> Result<bool, Failure> {
        let read = |path: &Path| std::fs::read(path).map_err(|error| Failure::io("read", path.display(), &error));
        let original = read(&original)?;
        for copy in &copies {
            let Some(path) = copy else { return Ok(false) };
            if read(Path::new(path))? != original {
                return Ok(false);
            }
        }
        Ok(copies.len() == usize::from(CLIENTS))
    };
    spawn_blocking(compare).await.expect("comparing files does not panic")
}
