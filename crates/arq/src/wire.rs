//! The wire format: every datagram there is, to bytes and back.
//!
//! Big-endian, fixed fields first, a CRC32C over everything before it at the end: on virtual links and on loopback the
//! kernel does not check UDP's own sum, and corrupted datagrams do arrive.
//!
//! ```text
//! handshake   "CLAB" · version 2 · kind 1 · client id 8 · …                        · crc 4
//! session     kind 1 · receiver's id 8 · flow 4 · packet number 8 · …              · crc 4
//! block       3      · id 8            · flow 4 · number 8 · block 8 · its bytes   · crc 4
//! ```
//!
//! Decoding is total: any bytes give a value or a reason. It is canonical: exactly one encoding of a value is accepted,
//! so that `encode(decode(bytes)) == bytes`. And it allocates nothing that is larger than the datagram itself.

mod cursor;
mod handshake;
mod request;
mod transfer;

#[cfg(test)]
mod tests;

pub use handshake::{Cookie, Handshake, Refusal, VERSION};
pub use request::{Reply, Request, fitting};
pub use transfer::{BLOCK_HEAD, begin_block, encode_block};

pub(crate) use transfer::about;

use crate::{Body, Flow, PacketNumber, SessionId};
use cursor::Reader;

/// How much longer a datagram is than the block it carries.
pub const BLOCK_OVERHEAD: usize = BLOCK_HEAD + CHECKSUM;
/// The length of the checksum at the end of every datagram.
pub const CHECKSUM: usize = 4;
/// The length of what every datagram of a session begins with.
pub(crate) const ENVELOPE: usize = 1 + 8 + 4 + 8;

/// One datagram, decoded. The bytes of a block stay where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// Before there is a session.
    Handshake(Handshake),
    /// Of a transfer: for a [`Sender`](crate::Sender) or a [`Receiver`](crate::Receiver). The bytes are those of a block,
    /// and empty for everything else.
    Transfer(Envelope, Body, &'a [u8]),
    /// A client asks the server something.
    Request(Envelope, Request),
    /// The server answers.
    Reply(Envelope, Reply),
    /// The client leaves: its session may be forgotten. There is no answer.
    Leave(Envelope),
}

/// What every datagram of a session begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// The session, by the name its receiver gave it.
    pub to: SessionId,
    /// Which transfer, or which request.
    pub flow: Flow,
    /// The packet's number within its flow and direction; zero for requests, which are repeated as they are.
    pub number: PacketNumber,
}

/// Why bytes are no datagram of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DecodeError {
    /// It ends too soon.
    #[error("it is too short")]
    TooShort,
    /// Something follows where nothing should.
    #[error("it is too long")]
    TooLong,
    /// The checksum is that of other bytes.
    #[error("its checksum is wrong")]
    Checksum,
    /// There is no such kind.
    #[error("its kind {0} is unknown")]
    UnknownKind(u8),
    /// Another version of the protocol; the one who asked can be told so.
    #[error("it is of version {version}, and this is version {VERSION}")]
    OtherVersion {
        /// Which.
        version: u8,
        /// Who asked.
        client: SessionId,
    },
    /// A field has a value that means nothing, or that is written differently.
    #[error("its {0} has no meaning")]
    BadField(&'static str),
}

/// Decodes one datagram.
///
/// # Errors
/// When the bytes are not exactly one datagram, written the one way it can be written.
pub fn decode(datagram: &[u8]) -> Result<Datagram<'_>, DecodeError> {
    let (sealed, sum) = datagram.split_last_chunk::<CHECKSUM>().ok_or(DecodeError::TooShort)?;
    if crc_fast::crc32_iscsi(sealed) != u32::from_be_bytes(*sum) {
        return Err(DecodeError::Checksum);
    }
    let mut reader = Reader::new(sealed);
    if sealed.first_chunk() == Some(&handshake::MAGIC) {
        let handshake = Handshake::decode(&mut reader, datagram.len())?;
        reader.end()?;
        return Ok(Datagram::Handshake(handshake));
    }
    let kind = reader.u8()?;
    let envelope =
        Envelope { to: SessionId(reader.u64()?), flow: Flow(reader.u32()?), number: PacketNumber(reader.u64()?) };
    let decoded = match kind {
        1..=5 => {
            let (body, payload) = transfer::decode(kind, &mut reader)?;
            if envelope.number == PacketNumber::NONE {
                return Err(DecodeError::BadField("packet number"));
            }
            Datagram::Transfer(envelope, body, payload)
        }
        16..=18 => Datagram::Request(unnumbered(envelope)?, Request::decode(kind, &mut reader)?),
        32..=35 => Datagram::Reply(unnumbered(envelope)?, Reply::decode(kind, &mut reader)?),
        LEAVE => Datagram::Leave(unnumbered(envelope)?),
        _ => return Err(DecodeError::UnknownKind(kind)),
    };
    reader.end()?;
    Ok(decoded)
}

const LEAVE: u8 = 48;

fn unnumbered(envelope: Envelope) -> Result<Envelope, DecodeError> {
    if envelope.number == PacketNumber::NONE { Ok(envelope) } else { Err(DecodeError::BadField("packet number")) }
}

impl Datagram<'_> {
    /// Appends the datagram to `to`, which may hold others already: a batch is one buffer.
    pub fn encode(&self, to: &mut Vec<u8>) {
        let start = to.len();
        match self {
            Datagram::Handshake(handshake) => handshake.encode(to),
            Datagram::Transfer(envelope, Body::Block(block, _), payload) => {
                begin_block(to, *envelope, *block);
                to.extend_from_slice(payload);
            }
            Datagram::Transfer(envelope, body, _) => transfer::encode(to, *envelope, body),
            Datagram::Request(envelope, request) => {
                begin(to, request.code(), *envelope);
                request.encode(to);
            }
            Datagram::Reply(envelope, reply) => {
                begin(to, reply.code(), *envelope);
                reply.encode(to);
            }
            Datagram::Leave(envelope) => begin(to, LEAVE, *envelope),
        }
        seal(to, start);
    }

    /// The kind's name in events, ladders and `drop=` rules.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Datagram::Handshake(handshake) => handshake.kind(),
            Datagram::Transfer(_, body, _) => body.kind(),
            Datagram::Request(_, request) => request.kind(),
            Datagram::Reply(_, reply) => reply.kind(),
            Datagram::Leave(_) => "leave",
        }
    }
}

/// Ends the datagram that begins at `start` with its checksum.
pub fn seal(datagrams: &mut Vec<u8>, start: usize) {
    let sum = datagrams.get(start..).map_or(0, crc_fast::crc32_iscsi);
    datagrams.extend_from_slice(&sum.to_be_bytes());
}

fn begin(to: &mut Vec<u8>, kind: u8, envelope: Envelope) {
    to.push(kind);
    to.extend_from_slice(&envelope.to.0.to_be_bytes());
    to.extend_from_slice(&envelope.flow.0.to_be_bytes());
    to.extend_from_slice(&envelope.number.0.to_be_bytes());
}
