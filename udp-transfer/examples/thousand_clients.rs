//! What a thousand slow clients at once cost a server, in a process of its own, and the one process they are all in: memory.
//!
//! `cargo run --release -p udp-transfer --example thousand_clients [CLIENTS]`

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use arq::catalogue::FileName;
use labkit::target::Target;
use labkit::{Common, Exit, Failure, Session, Shutdown};
use udp_transfer::reliable::Limits;
use udp_transfer::reliable::client::{self, Asking, Config, Wanted};
use udp_transfer::reliable::server::{self, Server};

/// Of the file each of them fetches, in bytes; and how fast, in bit/s.
const SIZE: usize = 1 << 20;
const RATE: u64 = 1_000_000;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let first = args.next();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match (runtime, first.as_deref(), args.next()) {
        (Err(error), ..) => Err(Failure::io("start", "the async runtime", &error)),
        (Ok(runtime), Some("serve"), Some(root)) => runtime.block_on(serve(Path::new(&root))),
        (Ok(runtime), clients, _) => {
            runtime.block_on(measure(clients.and_then(|clients| clients.parse().ok()).unwrap_or(1_000)))
        }
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            tracing::error!("{failure}");
            failure.exit.into()
        }
    }
}

async fn serve(root: &Path) -> Result<Exit, Failure> {
    let limits = Limits { per_address: 10_000, sessions: 10_000, handshakes_per_address: 10_000, ..Limits::default() };
    let bind = ([127, 0, 0, 1], 0).into();
    let server = Server::bind(server::Config { bind, limits, ..server::Config::new(root) })?;
    server.run(&Session::new("thousand-clients", &Common::default(), Shutdown::on_signals()?)?).await?;
    Ok(Exit::Done)
}

async fn measure(clients: u16) -> Result<Exit, Failure> {
    let session = Session::new("thousand-clients", &Common::default(), Shutdown::on_signals()?)?;
    let failed = |what: &'static str| move |error: std::io::Error| Failure::io(what, "this benchmark", &error);
    let folder = std::env::temp_dir().join(format!("thousand-clients-{}", std::process::id()));
    let (root, output) = (folder.join("root"), folder.join("output"));
    std::fs::create_dir_all(&root).map_err(failed("make a folder for"))?;
    std::fs::write(root.join("a.bin"), vec![7; SIZE]).map_err(failed("write a file for"))?;

    let program = std::env::current_exe().map_err(failed("find"))?;
    let mut child = Command::new(program)
        .arg("serve")
        .arg(&root)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed("start a server for"))?;
    let mut banner = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut banner).map_err(failed("read the server's banner for"))?;
    }
    let address = banner.trim_start_matches("[server] listening on ").split(',').next().unwrap_or_default();
    let target: Target = address.parse().map_err(Failure::usage)?;
    let wanted = Wanted::Named(FileName::new("a.bin").into_iter().collect());
    // One by one first, so that idle means: warm, and nobody there.
    let one = Config::new(Asking::new(target.clone()), wanted.clone(), folder.join("one"));
    client::get(&one, &session).await?;
    let idle = kilobytes(child.id(), "VmRSS");
    let asking = Asking { receive_buffer: 64 << 10, ..Asking::new(target) };
    let all = Config { clients, bitrate: Some(RATE), ..Config::new(asking, wanted, output) };
    let report = client::get(&all, &session).await?;
    let peak = kilobytes(child.id(), "VmHWM");

    let mut times: Vec<_> = report.rows.iter().map(|row| row.elapsed).collect();
    times.sort_unstable();
    session.output.result(format!(
        "{clients} clients at {} Mbit/s: {}\nserver: {idle} KiB idle, {peak} KiB at its highest: {} KiB more\nclients: {} KiB at \
         their highest, all in one process\nmedian {:.2} s, slowest {:.2} s",
        RATE / 1_000_000,
        report.verdict().text,
        peak.saturating_sub(idle),
        kilobytes(std::process::id(), "VmHWM"),
        times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64(),
        times.last().copied().unwrap_or_default().as_secs_f64(),
    ));
    // It is ours, and done.
    let _ = child.kill();
    let _ = child.wait();
    let _ = std::fs::remove_dir_all(&folder);
    Ok(report.verdict().exit)
}

fn kilobytes(process: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    line.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}
