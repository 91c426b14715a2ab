//! The datagrams of the handshake.

use super::cursor::Reader;
use super::{CHECKSUM, DecodeError};
use crate::{SessionId, limits};

pub(super) const MAGIC: [u8; 4] = *b"CLAB";
/// The version of everything on the wire. Magic, version, kind and client id keep their places in every version.
pub const VERSION: u8 = 2;

/// One datagram of the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Client to server, padded with zeros to `datagram` bytes: it asks for a session with datagrams of that length, and
    /// proves at once that the path carries them in this direction.
    Hello {
        /// The name the client wants to be called by.
        client: SessionId,
        /// How long datagrams shall be.
        datagram: u16,
        /// The proof that the client receives what is sent to its address; none in the first hello.
        cookie: Option<Cookie>,
    },
    /// Server to client: say that again, with this.
    Retry {
        /// Whom it answers.
        client: SessionId,
        /// The name that the server will want to be called by: what is asked in the session may follow the second hello at
        /// once. Like the cookie, nobody knows it but who receives what is sent to that address.
        server: SessionId,
        /// The proof, to be sent back as it is.
        cookie: Cookie,
    },
    /// Server to client, padded to `datagram` bytes, which proves the other direction: the session begins.
    Accept {
        /// Whom it answers.
        client: SessionId,
        /// The name the server wants to be called by.
        server: SessionId,
        /// How long datagrams are.
        datagram: u16,
    },
    /// Server to client: no.
    Refuse {
        /// Whom it answers.
        client: SessionId,
        /// Why.
        reason: Refusal,
        /// After how many seconds asking again makes sense; zero if it never does.
        retry_after: u16,
    },
    /// Server to client: what you sent is of no session I know. A restarted server says so, and its clients ask for a new
    /// one at once instead of after a silence. Shorter than anything it answers, and it ends nothing by itself: forged,
    /// it costs one hello.
    Gone {
        /// The server's id in that session, which nobody but the two and those between have seen.
        session: SessionId,
    },
}

/// A server's signature under "this address asked me for this, then". The server keeps nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// When it was issued, by the server's clock.
    pub issued: u64,
    /// A keyed BLAKE3 hash over everything it stands for.
    pub mac: [u8; 32],
}

/// Why a server refuses a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// It has as many clients, or as many from this address, as it wants.
    Busy = 1,
    /// It speaks another version: the one in this datagram.
    Version = 2,
    /// It is going away.
    ShuttingDown = 3,
}

const HELLO: u8 = 1;
const RETRY: u8 = 2;
const ACCEPT: u8 = 3;
const REFUSE: u8 = 4;
const GONE: u8 = 5;

impl Handshake {
    pub(super) fn decode(reader: &mut Reader<'_>, length: usize) -> Result<Self, DecodeError> {
        reader.array::<4>()?;
        let (version, kind, client) = (reader.u8()?, reader.u8()?, SessionId(reader.u64()?));
        if version != VERSION {
            return Err(DecodeError::OtherVersion { version, client });
        }
        match kind {
            HELLO => {
                let datagram = datagram_length(reader, length)?;
                let cookie = match reader.u8()? {
                    0 => None,
                    1 => Some(cookie(reader)?),
                    _ => return Err(DecodeError::BadField("cookie")),
                };
                reader.padding()?;
                Ok(Handshake::Hello { client, datagram, cookie })
            }
            RETRY => Ok(Handshake::Retry { client, server: SessionId(reader.u64()?), cookie: cookie(reader)? }),
            ACCEPT => {
                let server = SessionId(reader.u64()?);
                let datagram = datagram_length(reader, length)?;
                reader.padding()?;
                Ok(Handshake::Accept { client, server, datagram })
            }
            REFUSE => {
                let code = reader.u8()?;
                let reason = Refusal::ALL.into_iter().find(|reason| *reason as u8 == code);
                let reason = reason.ok_or(DecodeError::BadField("reason"))?;
                Ok(Handshake::Refuse { client, reason, retry_after: reader.u16()? })
            }
            GONE => Ok(Handshake::Gone { session: client }),
            _ => Err(DecodeError::UnknownKind(kind)),
        }
    }

    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        let start = to.len();
        to.extend_from_slice(&MAGIC);
        to.push(VERSION);
        let mut begin = |kind: u8, client: &SessionId| {
            to.push(kind);
            to.extend_from_slice(&client.0.to_be_bytes());
        };
        match self {
            Handshake::Hello { client, datagram, cookie } => {
                begin(HELLO, client);
                to.extend_from_slice(&datagram.to_be_bytes());
                to.push(u8::from(cookie.is_some()));
                if let Some(cookie) = cookie {
                    put_cookie(to, cookie);
                }
                pad(to, start, *datagram);
            }
            Handshake::Retry { client, server, cookie } => {
                begin(RETRY, client);
                to.extend_from_slice(&server.0.to_be_bytes());
                put_cookie(to, cookie);
            }
            Handshake::Accept { client, server, datagram } => {
                begin(ACCEPT, client);
                to.extend_from_slice(&server.0.to_be_bytes());
                to.extend_from_slice(&datagram.to_be_bytes());
                pad(to, start, *datagram);
            }
            Handshake::Refuse { client, reason, retry_after } => {
                begin(REFUSE, client);
                to.push(*reason as u8);
                to.extend_from_slice(&retry_after.to_be_bytes());
            }
            Handshake::Gone { session } => begin(GONE, session),
        }
    }

    /// The kind's name in events.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Handshake::Hello { .. } => "hello",
            Handshake::Retry { .. } => "retry",
            Handshake::Accept { .. } => "accept",
            Handshake::Refuse { .. } => "refuse",
            Handshake::Gone { .. } => "gone",
        }
    }
}

impl Refusal {
    /// Every reason there is.
    pub const ALL: [Refusal; 3] = [Refusal::Busy, Refusal::Version, Refusal::ShuttingDown];
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::Busy => "the server is busy, with clients in all or with clients from this address",
            Refusal::Version => "the server speaks another version of the protocol",
            Refusal::ShuttingDown => "the server is shutting down",
        })
    }
}

/// The length a padded datagram speaks of: at least the smallest we use, and exactly its own.
fn datagram_length(reader: &mut Reader<'_>, length: usize) -> Result<u16, DecodeError> {
    let datagram = reader.u16()?;
    let fits = (limits::SMALLEST_DATAGRAM..=limits::LARGEST_DATAGRAM).contains(&datagram);
    if fits && usize::from(datagram) == length { Ok(datagram) } else { Err(DecodeError::BadField("datagram length")) }
}

fn cookie(reader: &mut Reader<'_>) -> Result<Cookie, DecodeError> {
    Ok(Cookie { issued: reader.u64()?, mac: reader.array()? })
}

fn put_cookie(to: &mut Vec<u8>, cookie: &Cookie) {
    to.extend_from_slice(&cookie.issued.to_be_bytes());
    to.extend_from_slice(&cookie.mac);
}

/// Zeros up to where the checksum begins.
fn pad(to: &mut Vec<u8>, start: usize, datagram: u16) {
    to.resize((start + usize::from(datagram)).saturating_sub(CHECKSUM).max(to.len()), 0);
}
