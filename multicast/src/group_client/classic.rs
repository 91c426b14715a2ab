//! A client of system E as it was: each line a datagram, each datagram that comes back a message.

use std::io;
use std::time::Duration;

use events::Event;
use labkit::{Failure, Session, socket};
use tokio::sync::mpsc;

use super::summary::{Ended, Summary};
use super::{Config, any_port};
use crate::group_io::gate::{BUFFER, Gate};
use crate::group_io::{length, show_text};

/// Sends each line, shows each answer; when the lines end, waits until there are as many answers as lines.
///
/// # Errors
/// When the socket cannot be opened, or fails.
pub(super) async fn run(
    config: &Config,
    session: &Session,
    mut lines: mpsc::Receiver<io::Result<Vec<u8>>>,
) -> Result<Summary, Failure> {
    let socket = socket::bind_udp(any_port(config.server))?;
    session.tell_started(Some(socket::local(&socket)?.to_string()), None);
    let mut gate = Gate::new(socket, config.impairment.clone(), session);
    let (started, mut buffer) = (session.clock.now(), vec![0; BUFFER]);
    let (stop, duration) = (session.shutdown.requested(), super::wait(config.duration));
    tokio::pin!(stop, duration);
    let (mut sent, mut messages, mut foreign) = (0, 0, 0);
    let mut open = true;
    // By when answers must have come, once the lines have ended.
    let mut limit = None;
    let ended = loop {
        gate.flush(session.clock.now()).await;
        if !open && sent > 0 && messages >= sent && gate.poll_timeout().is_none() {
            break Ended::Done;
        }
        let now = session.clock.now();
        let nap = gate.poll_timeout().map_or(Duration::from_secs(3600), |due| due - now);
        let patience = limit.map(|limit| limit - now);
        tokio::select! {
            received = gate.receive(&mut buffer) => match received {
                Ok((length, from)) if from == config.server => {
                    messages += 1;
                    tell_message(session, from, &buffer[..length]);
                }
                Ok(_) => foreign += 1,
                Err(error) if super::is_harmless(&error) => {}
                Err(error) => return Err(Failure::io("receive from", config.server, &error)),
            },
            () = tokio::time::sleep(nap) => {}
            line = lines.recv(), if open => match line {
                Some(Ok(line)) if line == b"/quit" => break Ended::Done,
                Some(Ok(line)) => {
                    sent += 1;
                    session.recorder.tell(|| Event::Sent {
                        peer: config.server.to_string(),
                        what: "line".into(),
                        number: None,
                        bytes: length(line.len()),
                    });
                    gate.send(session.clock.now(), config.server, line).await;
                }
                Some(Err(_)) | None => {
                    open = false;
                    limit = (sent > 0).then(|| session.clock.now() + config.deadline);
                }
            },
            () = super::wait(patience), if patience.is_some() => break Ended::Unanswered,
            () = &mut duration => break Ended::Duration,
            () = &mut stop => break Ended::Stopped,
        }
    };
    let interrupted = session.shutdown.was_interrupted() && (config.duration.is_some() || (!open && sent > 0));
    let elapsed = session.clock.now() - started;
    let summary = Summary {
        server: config.server,
        member: None,
        elapsed,
        lines: sent,
        messages,
        said: 0,
        seen: 0,
        answered: 0,
        foreign,
        ended,
        complete: true,
        interrupted,
    };
    session.recorder.tell(|| Event::Finished { outcome: summary.outcome(), reason: None });
    Ok(summary)
}

/// A message from the server, as the original shows it.
pub(super) fn tell_message(session: &Session, from: std::net::SocketAddr, text: &[u8]) {
    session.recorder.tell(|| Event::Received {
        peer: from.to_string(),
        what: "line".into(),
        number: None,
        bytes: length(text.len()),
        name: None,
        elapsed_ns: None,
    });
    session.output.line(format!("Message from Server: {}", show_text(text)));
}
