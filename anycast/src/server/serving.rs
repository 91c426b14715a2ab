//! One connection, from accept to close, in the protocol the replica speaks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use events::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Protocol;
use super::door::reset;
use super::replica::{Health, Replica};
use crate::answer::{Answer, Form};
use crate::hello;
use crate::http::{self, Request, Status};
use crate::stream::Stream;

/// How much a peer may still send while it closes: enough for any request meant for another protocol.
const DRAIN_AT_MOST: usize = 64 * 1024;

/// Where and how one connection is served.
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) peer: SocketAddr,
    pub(super) flow: u64,
    pub(super) protocol: Protocol,
    pub(super) is_beside: bool,
    /// The address it came in at, where every connection of this door comes in at one.
    pub(super) local: Option<SocketAddr>,
    pub(super) replica: Arc<Replica>,
}

/// How a connection ended that did not break.
enum End {
    /// In order; the stream is to be read until the peer closes too.
    Closed,
    /// In order, while nothing was under way.
    Idle,
    /// On purpose, with a reset.
    Misbehaved,
}

/// What was read of a request.
enum Asked {
    Request(Request),
    /// The peer closed, said nothing more in time, or the replica stops: not one byte of a request is here.
    Nothing,
}

impl Connection {
    /// Serves and closes, counts and tells.
    pub(super) async fn serve(mut self) {
        let (replica, peer, deadline) = (self.replica.clone(), self.peer, self.replica.config.deadline);
        replica.session.recorder.tell_in(self.flow, || Event::Connected { peer: peer.to_string(), elapsed_ns: None });
        // Being slow on purpose does not count against the deadline; a request of HTTP has both for itself.
        if self.protocol != Protocol::Http {
            self.dawdle().await;
        }
        let late = || too_late(deadline);
        let ended = match self.protocol {
            Protocol::Greeting => tokio::time::timeout(deadline, self.greet()).await.unwrap_or_else(|_| Err(late())),
            Protocol::Hello => tokio::time::timeout(deadline, self.say_goodbye()).await.unwrap_or_else(|_| Err(late())),
            Protocol::Http => self.serve_http().await,
        };
        match ended {
            Ok(End::Closed) => {
                let _ = tokio::time::timeout(deadline / 2, drain(&mut self.stream)).await;
            }
            Ok(End::Idle) => {}
            Ok(End::Misbehaved) => {
                self.tell_failure("broken off on purpose");
                reset(self.stream);
            }
            Err(error) => self.tell_failure(&error.to_string()),
        }
    }

    /// Waits before an answer, where that is wanted. (A sleep of nothing would still cost up to a millisecond.)
    async fn dawdle(&self) {
        let slow = self.replica.config.slow;
        if !slow.is_zero() {
            tokio::time::sleep(slow).await;
        }
    }

    async fn greet(&mut self) -> io::Result<End> {
        let Some(answer) = self.replica.next_answer(self.local()) else { return Ok(End::Misbehaved) };
        let greeting = answer.line(self.replica.config.form);
        self.stream.write_all(greeting.as_bytes()).await?;
        self.stream.shutdown().await?;
        self.tell_answer("greeting", greeting.len());
        Ok(End::Closed)
    }

    async fn say_goodbye(&mut self) -> io::Result<End> {
        let message = hello::read_message(&mut self.stream).await?;
        let config = &self.replica.config;
        let said = labkit::text::show(&message, 120);
        self.replica.session.output.line(format!("[server] received \"{said}\" from {}", self.peer));
        if message.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed without a word"));
        }
        if self.replica.next_answer(None).is_none() {
            return Ok(End::Misbehaved);
        }
        let challenged = hello::language(&message).filter(|_| config.challenge);
        let goodbye = hello::goodbye(&config.language, challenged);
        self.stream.write_all(goodbye.as_bytes()).await?;
        self.stream.shutdown().await?;
        self.tell_answer("goodbye", goodbye.len());
        Ok(End::Closed)
    }

    /// Request after request, until the peer or the replica has enough.
    async fn serve_http(&mut self) -> io::Result<End> {
        let (replica, deadline) = (self.replica.clone(), self.replica.config.deadline);
        let (mut received, mut told_no_delay) = (Vec::new(), false);
        loop {
            let read = async { tokio::time::timeout(deadline, read_request(&mut self.stream, &mut received)).await };
            let asked = match replica.stop.or(read).await {
                Some(Ok(asked)) => asked?,
                Some(Err(_)) if received.is_empty() => Ok(Asked::Nothing),
                Some(Err(_)) => Err(Status(408)),
                None => Ok(Asked::Nothing),
            };
            let request = match asked {
                Ok(Asked::Request(request)) => request,
                Ok(Asked::Nothing) => return Ok(End::Idle),
                Err(status) => {
                    let answer = http::response(status, &format!("{status}\n"), false, false, false);
                    tokio::time::timeout(deadline, self.stream.write_all(&answer))
                        .await
                        .map_err(|_| too_late(deadline))??;
                    self.stream.shutdown().await?;
                    self.tell_failure(&format!("answered {status}"));
                    return Ok(End::Closed);
                }
            };
            received.drain(..request.length);
            let keeps_open = request.keeps_open && replica.health() != Health::Draining;
            if request.path == "/" {
                self.dawdle().await;
            }
            if keeps_open && !told_no_delay {
                // A client that waits for each answer must not wait for Nagle too.
                self.stream.socket()?.set_tcp_nodelay(true)?;
                told_no_delay = true;
            }
            let respond = self.respond(&request, keeps_open);
            if !tokio::time::timeout(deadline, respond).await.map_err(|_| too_late(deadline))?? {
                return Ok(End::Misbehaved);
            }
            if !keeps_open {
                // All that came was read, so closing at once resets nothing.
                return if received.is_empty() {
                    Ok(End::Idle)
                } else {
                    self.stream.shutdown().await.map(|()| End::Closed)
                };
            }
        }
    }

    /// Answers one request; `false` when it is broken off on purpose instead.
    async fn respond(&mut self, request: &Request, keeps_open: bool) -> io::Result<bool> {
        let (status, body, is_json) = match request.path.as_str() {
            "/" => {
                let Some(answer) = self.replica.next_answer(self.local()) else { return Ok(false) };
                (Status(200), self.body(&answer, request), request.wants_json)
            }
            "/health" => match self.replica.health() {
                Health::Healthy => (Status(200), "healthy\n".to_owned(), false),
                Health::Draining => (Status(503), "draining\n".to_owned(), false),
                Health::Failing => (Status(503), "failing\n".to_owned(), false),
            },
            _ => (Status(404), "nothing here: / says who answers, /health whether it is well\n".to_owned(), false),
        };
        let bytes = http::response(status, &body, is_json, request.is_head, keeps_open);
        self.stream.write_all(&bytes).await?;
        if request.path == "/" {
            self.tell_answer("answer", bytes.len());
        }
        Ok(true)
    }

    fn body(&self, answer: &Answer, request: &Request) -> String {
        answer.line(if request.wants_json { Form::Json } else { Form::Full })
    }

    /// The address the peer reached us at; only asked for where it is told.
    fn local(&self) -> Option<SocketAddr> {
        if self.protocol == Protocol::Greeting && self.replica.config.form == Form::Plain {
            return None;
        }
        let local = match self.local {
            Some(local) => local,
            None => self.stream.local_addr().ok()?,
        };
        Some(SocketAddr::new(local.ip().to_canonical(), local.port()))
    }

    fn tell_answer(&self, what: &str, bytes: usize) {
        if self.is_beside {
            return;
        }
        let session = &self.replica.session;
        self.replica.count_greeted();
        if session.output.tells_lines() {
            session.output.line(format!("[server] greeted {}", self.peer));
        }
        session.recorder.tell_in(self.flow, || Event::Sent {
            peer: self.peer.to_string(),
            what: what.to_owned(),
            number: None,
            bytes: bytes as u64,
        });
    }

    fn tell_failure(&self, problem: &str) {
        if self.is_beside {
            return;
        }
        self.replica.count_failed();
        tracing::debug!(peer = %self.peer, "not answered: {problem}");
        self.replica.session.recorder.tell_in(self.flow, || Event::Failed {
            what: "answer".to_owned(),
            peer: Some(self.peer.to_string()),
            reason: problem.to_owned(),
        });
    }
}

fn too_late(deadline: Duration) -> io::Error {
    let limit = labkit::units::show_duration(deadline);
    io::Error::new(io::ErrorKind::TimedOut, format!("not done within {limit}"))
}

/// Reads until the head of a request is whole; `received` never grows past the longest head and one read.
async fn read_request(stream: &mut Stream, received: &mut Vec<u8>) -> io::Result<Result<Asked, Status>> {
    let mut buffer = [0; 2048];
    loop {
        match Request::parse(received) {
            Ok(Some(request)) => return Ok(Ok(Asked::Request(request))),
            Ok(None) => {}
            Err(refused) => return Ok(Err(refused.status())),
        }
        match stream.read(&mut buffer).await? {
            0 if received.is_empty() => return Ok(Ok(Asked::Nothing)),
            0 => return Ok(Err(Status(400))),
            read => received.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// Reads what the peer still sends until it closes too. Closing over unread bytes would send a reset, and a reset takes
/// the answer with it when the peer has not read it yet (RFC 1122 section 4.2.2.13). The caller sets the deadline.
pub(super) async fn drain(stream: &mut Stream) {
    let (mut buffer, mut room) = ([0; 512], DRAIN_AT_MOST);
    // Whatever happens now, the answer is out.
    while room > 0 {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => room = room.saturating_sub(read),
        }
    }
}
