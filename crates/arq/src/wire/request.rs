//! What a client asks besides files themselves, and what a server answers: the catalogue, and the hashes of chunks.

use super::cursor::Reader;
use super::{CHECKSUM, DecodeError, ENVELOPE};
use crate::catalogue::{Entry, FileName};
use crate::{CloseReason, FileId};

/// A question. It may be asked again and again: the flow tells which answer belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A page of the catalogue.
    List {
        /// The catalogue the pages so far were of; zero for any.
        generation: u64,
        /// Which entry shall be the page's first.
        from: u64,
    },
    /// One file by its name.
    Find(FileName),
    /// The hashes of a file's chunks: see [`chunks`](crate::chunks).
    Chunks {
        /// Which file.
        file: FileId,
        /// Which chunk shall be the first.
        from: u32,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A page of the catalogue.
    Page {
        /// Which catalogue: it changes when the catalogue does, and pages of two are never mixed.
        generation: u64,
        /// How many entries it has.
        total: u64,
        /// Which entry the page begins with.
        from: u64,
        /// As many as fit.
        entries: Vec<Entry>,
    },
    /// The file that was asked for.
    Found(Entry),
    /// Hashes of chunks.
    Chunks {
        /// Which file.
        file: FileId,
        /// How many chunks it has.
        total: u32,
        /// Which chunk the first value is of.
        from: u32,
        /// As many as fit.
        values: Vec<[u8; 32]>,
    },
    /// No, and why.
    Deny(CloseReason),
}

/// How many of `items`, of the lengths given, fit into one reply of a session with datagrams of `datagram` bytes.
pub fn fitting(datagram: u16, lengths: impl Iterator<Item = usize>) -> usize {
    let room = usize::from(datagram).saturating_sub(ENVELOPE + CHECKSUM + PAGE_FIXED);
    let mut used = 0_usize;
    lengths
        .take_while(|length| {
            used = used.saturating_add(*length);
            used <= room
        })
        .count()
}

/// The longest head of a reply: generation, total, from, count.
const PAGE_FIXED: usize = 8 + 8 + 8 + 2;

impl Request {
    pub(super) fn code(&self) -> u8 {
        match self {
            Request::List { .. } => 16,
            Request::Find(_) => 17,
            Request::Chunks { .. } => 18,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Request::List { .. } => "list",
            Request::Find(_) => "find",
            Request::Chunks { .. } => "chunks",
        }
    }

    pub(super) fn decode(kind: u8, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match kind {
            16 => Ok(Request::List { generation: reader.u64()?, from: reader.u64()? }),
            17 => Ok(Request::Find(name(reader)?)),
            18 => Ok(Request::Chunks { file: FileId(reader.u64()?), from: reader.u32()? }),
            _ => Err(DecodeError::UnknownKind(kind)),
        }
    }

    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Request::List { generation, from } => {
                to.extend_from_slice(&generation.to_be_bytes());
                to.extend_from_slice(&from.to_be_bytes());
            }
            Request::Find(name) => put_name(to, name),
            Request::Chunks { file, from } => {
                to.extend_from_slice(&file.0.to_be_bytes());
                to.extend_from_slice(&from.to_be_bytes());
            }
        }
    }
}

impl Reply {
    pub(super) fn code(&self) -> u8 {
        match self {
            Reply::Page { .. } => 32,
            Reply::Found(_) => 33,
            Reply::Chunks { .. } => 34,
            Reply::Deny(_) => 35,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Reply::Page { .. } => "page",
            Reply::Found(_) => "found",
            Reply::Chunks { .. } => "hashes",
            Reply::Deny(_) => "deny",
        }
    }

    pub(super) fn decode(kind: u8, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match kind {
            32 => {
                let (generation, total, from) = (reader.u64()?, reader.u64()?, reader.u64()?);
                let mut entries = Vec::new();
                for _ in 0..reader.u16()? {
                    entries.push(entry(reader)?); // Each takes bytes off the datagram: it cannot outgrow it.
                }
                Ok(Reply::Page { generation, total, from, entries })
            }
            33 => Ok(Reply::Found(entry(reader)?)),
            34 => {
                let (file, total, from) = (FileId(reader.u64()?), reader.u32()?, reader.u32()?);
                let count = usize::from(reader.u16()?);
                let mut bytes = Reader::new(reader.bytes(32 * count)?);
                let mut values = Vec::with_capacity(count);
                while !bytes.is_empty() {
                    values.push(bytes.array()?);
                }
                Ok(Reply::Chunks { file, total, from, values })
            }
            35 => Ok(Reply::Deny(CloseReason::from_code(reader.u8()?).ok_or(DecodeError::BadField("reason"))?)),
            _ => Err(DecodeError::UnknownKind(kind)),
        }
    }

    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Reply::Page { generation, total, from, entries } => {
                for number in [generation, total, from] {
                    to.extend_from_slice(&number.to_be_bytes());
                }
                let entries = entries.get(..usize::from(u16::MAX)).unwrap_or(entries);
                to.extend_from_slice(&u16::try_from(entries.len()).unwrap_or(u16::MAX).to_be_bytes());
                for entry in entries {
                    put_entry(to, entry);
                }
            }
            Reply::Found(entry) => put_entry(to, entry),
            Reply::Chunks { file, total, from, values } => {
                to.extend_from_slice(&file.0.to_be_bytes());
                to.extend_from_slice(&total.to_be_bytes());
                to.extend_from_slice(&from.to_be_bytes());
                let values = values.get(..usize::from(u16::MAX)).unwrap_or(values);
                to.extend_from_slice(&u16::try_from(values.len()).unwrap_or(u16::MAX).to_be_bytes());
                for value in values {
                    to.extend_from_slice(value);
                }
            }
            Reply::Deny(reason) => to.push(reason.code()),
        }
    }
}

fn entry(reader: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    Ok(Entry {
        file: FileId(reader.u64()?),
        size: reader.u64()?,
        modified: reader.u64()?,
        hash: reader.array()?,
        name: name(reader)?,
    })
}

fn put_entry(to: &mut Vec<u8>, entry: &Entry) {
    for number in [entry.file.0, entry.size, entry.modified] {
        to.extend_from_slice(&number.to_be_bytes());
    }
    to.extend_from_slice(&entry.hash);
    put_name(to, &entry.name);
}

fn name(reader: &mut Reader<'_>) -> Result<FileName, DecodeError> {
    let length = usize::from(reader.u16()?);
    let text = std::str::from_utf8(reader.bytes(length)?).map_err(|_| DecodeError::BadField("file name"))?;
    FileName::new(text).map_err(|_| DecodeError::BadField("file name"))
}

fn put_name(to: &mut Vec<u8>, name: &FileName) {
    // A file name is at most 512 bytes long.
    to.extend_from_slice(&u16::try_from(name.as_str().len()).unwrap_or(u16::MAX).to_be_bytes());
    to.extend_from_slice(name.as_str().as_bytes());
}
