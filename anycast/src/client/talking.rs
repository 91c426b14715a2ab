//! What is said on one connection, and what was understood of the answer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::patience::Patience;
use super::{Config, Protocol};
use crate::answer::Answer;
use crate::greeting::{self, Greeting};
use crate::hello;
use crate::http::{self, ResponseHead};
use crate::stream::Stream;

/// How long a client waits for the replica's end of the stream once the greeting is whole.
const WAIT_FOR_CLOSE: Duration = Duration::from_millis(250);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The name the replica gave itself.
    pub(super) name: Option<String>,
    /// The answer, safe to show.
    pub(super) shown: String,
    /// How long it was.
    pub(super) bytes: u64,
}

/// Asks on a fresh connection. The caller sets the deadline.
pub(super) async fn ask(stream: &mut Stream, address: SocketAddr, config: &Config) -> Result<Said, String> {
    match config.protocol {
        Protocol::Greeting => be_greeted(stream).await,
        Protocol::Hello => say_hello(stream, config).await,
        Protocol::Http => {
            let mut received = Vec::new();
            get(stream, &mut received, address, &config.path, false).await.map(|(said, _)| said)
        }
    }
}

async fn be_greeted(stream: &mut Stream) -> Result<Said, String> {
    wait_for(stream)?;
    let greeting = Greeting::read(stream).await.map_err(|error| format!("no greeting: {error}"))?;
    if greeting.is_refusal() {
        return Err(format!("it has no room: {}", greeting.shown()));
    }
    let name = greeting.answer().map(|answer| answer.name);
    Ok(Said { name, shown: greeting.shown(), bytes: greeting.line.len() as u64 })
}

async fn say_hello(stream: &mut Stream, config: &Config) -> Result<Said, String> {
    let broken = |error: std::io::Error| format!("no goodbye: {error}");
    stream.write_all(hello::hello(&config.language).as_bytes()).await.map_err(broken)?;
    wait_for(stream)?;
    let mut answer = Vec::new();
    // The end of the stream is the end of the answer. From a server that does not close, what came is the answer.
    match tokio::time::timeout(config.timeout / 2, hello::read_to_end(stream, &mut answer)).await {
        Ok(ended) => ended.or_else(|error| if answer.is_empty() { Err(broken(error)) } else { Ok(()) })?,
        Err(_) if answer.is_empty() => return Err("no goodbye in time".to_owned()),
        Err(_) => {}
    }
    if answer.is_empty() {
        return Err("no goodbye: it closed without a word".to_owned());
    }
    let name = hello::answering(&answer, &config.language).map(str::to_owned);
    Ok(Said { name, shown: format!("\"{}\"", labkit::text::show(&answer, 120)), bytes: answer.len() as u64 })
}

/// Asks for `path`; whether the connection may carry another request. `received` keeps what came beyond the answer.
pub(super) async fn get(
    stream: &mut Stream,
    received: &mut Vec<u8>,
    host: SocketAddr,
    path: &str,
    keeps_open: bool,
) -> Result<(Said, bool), String> {
    let broken = |error: std::io::Error| format!("no answer: {error}");
    stream.write_all(&http::request(path, &host.to_string(), keeps_open)).await.map_err(broken)?;
    wait_for(stream)?;
    let mut buffer = [0; 2048];
    let head = loop {
        if let Some(head) = ResponseHead::parse(received)? {
            break head;
        }
        match stream.read(&mut buffer).await.map_err(broken)? {
            0 if received.is_empty() => return Err("no answer: it closed without a word".to_owned()),
            0 => return Err("no answer: it closed in the middle of one".to_owned()),
            read => received.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
    };
    // Of a long body, as much as an answer of ours may have; the connection cannot be used again then.
    let longest = greeting::LONGEST as u64;
    let wanted = head.body.unwrap_or(longest).min(longest);
    let end = head.length + usize::try_from(wanted).unwrap_or(greeting::LONGEST);
    let mut ended = false;
    while received.len() < end && !ended {
        match stream.read(&mut buffer).await.map_err(broken)? {
            0 => ended = true,
            read => received.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
    }
    let end = end.min(received.len());
    let body: Vec<u8> = received.drain(..end).skip(head.length).collect();
    let line = body.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if !(200..300).contains(&head.status) {
        let shown = labkit::text::show(line, 80);
        return Err(format!("it answered {}{}{shown}", head.status, if shown.is_empty() { "" } else { ": " }));
    }
    let answer = Answer::parse(line);
    let shown = if answer.is_some() || head.body.is_some_and(|bytes| bytes < 120) {
        labkit::text::show(line, 160)
    } else {
        format!("HTTP {}", head.status)
    };
    let open = keeps_open && head.keeps_open && !ended && head.body.is_some_and(|bytes| bytes <= longest);
    Ok((Said { name: answer.map(|answer| answer.name), shown, bytes: body.len() as u64 }, open))
}

/// The other side has to wake up first, so that trying to read at once would be in vain.
fn wait_for(stream: &mut Stream) -> Result<(), String> {
    stream.watch().map_err(|error| format!("no room to wait for an answer: {error}"))
}

/// Closes after the replica has: then it is the replica that remembers the connection for a minute (TIME-WAIT), and our
/// ports are free again.
///
/// A greeting is closed as in a textbook: its FIN is acknowledged at once, before ours is sent. Otherwise Linux lets the
/// acknowledgement ride on our own FIN, and a capture shows eight segments instead of nine.
pub(super) async fn close(stream: &mut Stream, protocol: Protocol, patience: &mut Patience) {
    let mut byte = [0];
    let ended = patience.within(WAIT_FOR_CLOSE, stream.read(&mut byte)).await;
    if let (Some(Ok(0)), false, Ok(socket)) = (ended, protocol == Protocol::Http, stream.socket()) {
        // Where the option does not exist, the close is one segment shorter and as good.
        let _ = socket.set_tcp_quickack(true);
    }
}
