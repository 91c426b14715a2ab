//! nginx with curl, UFTP, and QUIC by crate quinn.

use labkit::Failure;

use super::super::path;
use super::super::process::Launch;
use super::Job;

/// UFTP's own: the sender has no word for another.
pub(super) const UFTP_PORT: u16 = 1044;

/// Announced to the first group, sent to the second.
const UFTP_GROUPS: [&str; 4] = ["-M", "230.4.4.1", "-P", "230.5.5.1"];
/// In bytes: the most a stock kernel with a raised limit grants.
const BUFFER: &str = "4194304";

pub(super) fn nginx(job: &Job<'_>) -> Result<Launch, Failure> {
    let (desk, root, target) = (job.desk.display(), job.root.display(), job.target());
    // The files belong to whoever runs this; workers that became somebody else could not read them.
    let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
    let text = format!(
        "{user} worker_processes 2; daemon off; pid {desk}/nginx.pid; error_log stderr warn;
         events {{ worker_connections 1024; }}
         http {{
             access_log off; sendfile on; tcp_nopush on;
             client_body_temp_path {desk}/body; proxy_temp_path {desk}/proxy; fastcgi_temp_path {desk}/fastcgi;
             uwsgi_temp_path {desk}/uwsgi; scgi_temp_path {desk}/scgi;
             server {{ listen {target}; root {root}; }}
         }}\n"
    );
    let path = job.desk.join("nginx.conf");
    std::fs::write(&path, text).map_err(|error| Failure::io("write", path.display(), &error))?;
    Ok(Launch::new(job.tools.path("nginx"), ["-p"]).and([job.desk]).and(["-e", "stderr", "-c"]).and([path]))
}

pub(super) fn curl(job: &Job<'_>) -> Vec<Vec<Launch>> {
    let url = format!("http://{}/{}", job.target(), job.name);
    let one = |client: u16| {
        let file = job.out.join(format!("{client}.bin"));
        vec![Launch::new(job.tools.path("curl"), ["-s", "-S", "--fail", "-o"]).and([file]).and([&url])]
    };
    (1..=job.clients).map(one).collect()
}

pub(super) fn curl_and_b3sum(job: &Job<'_>) -> Vec<Vec<Launch>> {
    let mut clients = curl(job);
    for (client, commands) in (1u16..).zip(&mut clients) {
        let file = job.out.join(format!("{client}.bin"));
        commands.push(Launch::new(job.tools.path("b3sum"), [file]));
    }
    clients
}

pub(super) fn uftpd(job: &Job<'_>) -> Launch {
    Launch::new(job.tools.path("uftpd"), ["-d", "-I", job.route.devices.1, "-M", UFTP_GROUPS[1], "-B", BUFFER, "-D"])
        .and([job.out])
}

/// The rate is the best of those tried on one wire; higher ones change nothing. The times are for round trips of a
/// millisecond: with its own it waits for seconds at each step. Who shall receive
/// is named, or it would wait a second for others to come.
pub(super) fn uftp(job: &Job<'_>) -> Launch {
    let pace =
        ["-R", "2500000", "-r", "0.1:0.01:1.0", "-s", "20", "-b", "1400", "-B", BUFFER, "-I", job.route.devices.0];
    Launch::new(job.tools.path("uftp"), pace)
        .and(UFTP_GROUPS)
        .and(["-H", &path::CLIENT.to_string()])
        .and([job.root.join(job.name)])
}

pub(super) fn quic_server(control: &str, job: &Job<'_>) -> Launch {
    Launch::new(job.tools.path("quic-bulk"), ["serve", &job.target(), "--congestion", control, "--certificate"])
        .and([certificate(control, job)])
        .and(["--window", &window(job), "--root"])
        .and([job.root])
}

pub(super) fn quic_clients(control: &str, job: &Job<'_>) -> Vec<Vec<Launch>> {
    let one = |client: u16| {
        let get = Launch::new(job.tools.path("quic-bulk"), ["get", &job.target(), job.name, "--certificate"]);
        let output = job.out.join(format!("{client}.bin"));
        vec![get.and([certificate(control, job)]).and(["--window", &window(job), "--output"]).and([output])]
    };
    (1..=job.clients).map(one).collect()
}

/// In bytes: small windows are faster where the path is short; a long one needs two bandwidth-delay products.
fn window(job: &Job<'_>) -> String {
    let path = job.route.path.bottleneck().map_or(0, |(_, bytes)| bytes * 2);
    path.max(2 << 20).to_string()
}

/// Made by the server, trusted by its clients.
fn certificate(control: &str, job: &Job<'_>) -> std::path::PathBuf {
    job.desk.join(format!("quic-{control}.der"))
}
