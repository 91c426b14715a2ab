//! Act 3: a file to three clients over bare datagrams, and every byte that did not come, counted.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use labkit::target::{Family, Target};
use labkit::units::show_bytes;
use labkit::{Failure, Session};
use tokio::task::spawn_blocking;
use udp_transfer::FileName;
use udp_transfer::classic::client::{self, Asking, Options};
use udp_transfer::classic::server::{self, Server};
use udp_transfer::report::Report;

use super::files::Files;
use super::serving::Running;
use super::stage::Stage;

const CLIENTS: u16 = 3;

/// What fits into one datagram: the unit in which raw UDP loses.
const DATAGRAM: usize = 65_507;

/// What Linux gives a socket that asks for nothing (`net.core.rmem_default`, halved): room for one full datagram and a bit.
const RECEIVE_BUFFER: usize = 104 << 10;

/// How fast each transfer is sent, in bit/s: the pace of a gigabit link.
const RATE: Option<NonZeroU64> = NonZeroU64::new(1_000_000_000);

/// How long nothing may come before a transfer counts as over: the protocol has no end mark.
const SILENCE: Duration = Duration::from_millis(700);

pub(super) async fn play(stage: &mut Stage, files: &Files) -> Result<(), Failure> {
    super::begin(stage, 3, "udp-transfer", "File transfer: what raw UDP loses");
    let session = stage.session().clone();
    let size = Files::SIZE;
    stage.say(&format!(
        "A server offers a file of {}. {CLIENTS} clients fetch it at once, each at the pace of a gigabit link, as\n\
         bare datagrams: no numbers, no acknowledgements, no end. Each has the receive buffer that Linux\n\
         gives unasked, {}.",
        show_bytes(size),
        show_bytes(RECEIVE_BUFFER as u64)
    ));
    let config = server::Config::new(files.offered());
    let server = Server::bind(server::Config { bind: ([127, 0, 0, 1], 0).into(), bitrate: RATE, ..config })?;
    let address = server.local_addr();
    let server = Running::start(address, &session, |session| async move { server.run(&session).await });
    let report = fetch(&server.target, &files.fetched("bare"), &session).await?;
    let served = server.stop().await?;
    stage.say(&report.table());

    let all = size * u64::from(CLIENTS);
    stage.expect(
        report.size == Some(size) && served.bytes == all,
        format!(
            "the server sent every byte {CLIENTS} times, {} in all, and saw no difference",
            show_bytes(served.bytes)
        ),
    );
    let (received, lost) = (report.bytes(), report.lost().unwrap_or(0));
    let added_up = received + lost == all && all_on_disk(&report)? == received;
    stage.expect(added_up, format!("{received} bytes came, {lost} did not, and together that is {all}"));
    let intact = pieces_are_intact(files.original(), &report).await?;
    stage.expect(
        intact,
        "what came is right and in order; whole datagrams are missing, and nothing in the files says where",
    );
    stage.say(&match lost {
        0 => "This time nothing was lost: this machine read fast enough. Nothing promised that.".to_owned(),
        _ => format!("{}.", report.verdict().text),
    });
    Ok(())
}

async fn fetch(server: &Target, output: &Path, session: &Session) -> Result<Report, Failure> {
    let asking = Asking { server: server.clone(), family: Family::Any, deadline: Duration::from_secs(3) };
    let options =
        Options { output: output.to_owned(), silence: SILENCE, receive_buffer: RECEIVE_BUFFER, ..Options::default() };
    let file = FileName::parse(Files::NAME).expect("a plain name");
    let config = client::Config { asking, file, clients: CLIENTS, options };
    let session = session.inner("udp-transfer-client", "client");
    session.tell_started(None, None);
    client::get(&config, &session).await
}

fn all_on_disk(report: &Report) -> Result<u64, Failure> {
    let paths = report.clients.iter().filter_map(|client| client.path.as_ref());
    paths
        .map(|path| {
            std::fs::metadata(path).map(|file| file.len()).map_err(|error| Failure::io("look at", path, &error))
        })
        .sum()
}

/// Whether each client's file is the original with whole datagrams left out.
async fn pieces_are_intact(original: PathBuf, report: &Report) -> Result<bool, Failure> {
    let paths: Vec<String> = report.clients.iter().filter_map(|client| client.path.clone()).collect();
    let compare = move || -> Result<bool, Failure> {
        for path in &paths {
            let got = pieces(Path::new(path))?;
            let mut sent = pieces(&original)?.into_iter();
            if !got.iter().all(|piece| sent.any(|original| original == *piece)) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    spawn_blocking(compare).await.expect("comparing files does not panic")
}

/// A file, datagram by datagram.
fn pieces(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let failed = |error: io::Error| Failure::io("read", path.display(), &error);
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut pieces = Vec::new();
    loop {
        let mut piece = Vec::with_capacity(DATAGRAM);
        let read = reader.by_ref().take(DATAGRAM as u64).read_to_end(&mut piece).map_err(failed)?;
        if read == 0 {
            return Ok(pieces);
        }
        pieces.push(piece);
    }
}
