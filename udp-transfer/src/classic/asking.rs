//! One question and its answer, over UDP: asked again when nothing comes, given up after a deadline.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use events::Event;
use labkit::units::show_duration;
use labkit::{Exit, Failure, Session, socket};

use super::command::{Command, LARGEST_DATAGRAM};

/// How often a question is asked within its deadline: a datagram may be lost on either way.
const TRIES: u32 = 3;

/// An answer, and who gave it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) server: SocketAddr,
    pub(crate) answer: Vec<u8>,
}

/// The answer of the first of `addresses` that answers; each has `deadline` for it.
///
/// # Errors
/// The failure of the last, when none answers.
pub(crate) async fn first_to_answer(
    addresses: &[SocketAddr],
    command: &Command,
    deadline: Duration,
    session: &Session,
) -> Result<Asked, Failure> {
    let mut last = Failure::new(Exit::Setup, "NAME-UNRESOLVED", "the server's name has no address");
    for &server in addresses {
        match ask(server, command, deadline, session).await {
            Ok(answer) => return Ok(Asked { server, answer }),
            Err(failure) if failure.exit == Exit::Interrupted => return Err(failure),
            Err(failure) => {
                session.recorder.tell(|| Event::Failed {
                    what: command.kind().to_owned(),
                    peer: Some(server.to_string()),
                    reason: failure.message.clone(),
                });
                last = failure;
            }
        }
    }
    Err(last)
}

/// The answer of `server`. Every question has a socket of its own, so that a late answer is taken for no other.
///
/// # Errors
/// When no answer comes in time, the port is closed, or the address cannot be reached.
pub(crate) async fn ask(
    server: SocketAddr,
    command: &Command,
    deadline: Duration,
    session: &Session,
) -> Result<Vec<u8>, Failure> {
    let what = format!("ask {} of", command.to_text().split_whitespace().next().unwrap_or_default());
    let asking = async {
        match exchange(server, command, deadline, session).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(silent(server, command, deadline)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Err(Failure::io(&what, server, &error).exit(Exit::NobodyAnswered))
            }
            Err(error) => Err(Failure::io(&what, server, &error)),
        }
    };
    let interrupted = || Failure::new(Exit::Interrupted, "INTERRUPTED", format!("stopped waiting for {server}"));
    session.shutdown.or(asking).await.unwrap_or_else(|| Err(interrupted()))
}

fn silent(server: SocketAddr, command: &Command, deadline: Duration) -> Failure {
    let waited = show_duration(deadline);
    Failure::new(
        Exit::NobodyAnswered,
        "NO-ANSWER",
        format!("{server} did not answer {} within {waited}", labkit::text::show(command.to_text().as_bytes(), 80)),
    )
    .hint("is the server running there, on that port, and bound to an address you can reach? A firewall drops silently")
}

async fn exchange(
    server: SocketAddr,
    command: &Command,
    deadline: Duration,
    session: &Session,
) -> io::Result<Option<Vec<u8>>> {
    let any: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = socket::bind_udp(any).map_err(|failure| io::Error::other(failure.message))?;
    // Connected: the kernel passes on nobody else's datagrams, and tells at once when the port is closed.
    socket.connect(server).await?;
    let asked = session.clock.now();
    let (text, mut buffer) = (command.to_text(), vec![0; LARGEST_DATAGRAM]);
    for _ in 0..TRIES {
        socket.send(text.as_bytes()).await?;
        session.recorder.tell(|| Event::Sent {
            peer: server.to_string(),
            what: command.kind().to_owned(),
            number: None,
            bytes: text.len() as u64,
        });
        if let Ok(received) = tokio::time::timeout(deadline / TRIES, socket.recv(&mut buffer)).await {
            buffer.truncate(received?);
            session.recorder.tell(|| Event::Received {
                peer: server.to_string(),
                what: "answer".to_owned(),
                number: None,
                bytes: buffer.len() as u64,
                name: None,
                elapsed_ns: u64::try_from(session.clock.now().since(asked).as_nanos()).ok(),
            });
            return Ok(Some(buffer));
        }
    }
    Ok(None)
}
