//! The 64 bytes of a probe: exactly one encoding of every message, and a decoder for any bytes at all.
//!
//! ```text
//!    0  "CLDP"              4  version 1          5  kind 1 to 4      6  port (answer there)
//!    8  who says it        16  to whom, or 0     24  number
//!   28  of your multicasts: sent, heard          36  of your unicasts: sent, heard
//!   44  name: 20 bytes of UTF-8, zeros behind
//! ```

use core::fmt;

use super::Path;

/// How long every message is, in bytes.
pub const LENGTH: usize = 64;

const MAGIC: [u8; 4] = *b"CLDP";
const VERSION: u8 = 1;
const NAME: usize = 20;

/// A message of the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is for.
    pub kind: Kind,
    /// The UDP port where its sender hears unicast.
    pub port: u16,
    /// Who says it: a random number, never 0.
    pub id: u64,
    /// To whom; 0 where that is not known.
    pub to: u64,
    /// Counts hellos, or the unicasts to one peer, from 1.
    pub number: u32,
    /// How many of the other's multicasts its sender heard.
    pub multicast: Path,
    /// How many of the other's unicasts its sender heard.
    pub unicast: Path,
    /// The name its sender goes by.
    pub name: Name,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To the group: here I am.
    Hello,
    /// To who said hello.
    Answer,
    /// To who answered: do you hear this?
    Ask,
    /// To who asked.
    Reply,
}

/// A name of at most 20 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name([u8; NAME]);

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadMessage {
    /// Not 64 bytes that begin with our mark: something else on this port.
    Foreign,
    /// Of another version.
    Version(u8),
    /// Ours, and impossible.
    Malformed,
}

impl Message {
    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        put(0, &MAGIC);
        put(4, &[VERSION, self.kind.number()]);
        put(6, &self.port.to_be_bytes());
        put(8, &self.id.to_be_bytes());
        put(16, &self.to.to_be_bytes());
        put(24, &self.number.to_be_bytes());
        put(28, &self.multicast.sent.to_be_bytes());
        put(32, &self.multicast.heard.to_be_bytes());
        put(36, &self.unicast.sent.to_be_bytes());
        put(40, &self.unicast.heard.to_be_bytes());
        put(44, &self.name.0);
        bytes
    }

    /// Reads any bytes.
    ///
    /// # Errors
    /// When they are no message, or one that [`Message::encode`] would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMessage> {
        let bytes: &[u8; LENGTH] = bytes.try_into().map_err(|_| BadMessage::Foreign)?;
        if bytes[..4] != MAGIC {
            return Err(BadMessage::Foreign);
        }
        if bytes[4] != VERSION {
            return Err(BadMessage::Version(bytes[4]));
        }
        let message = Message {
            kind: Kind::of(bytes[5]).ok_or(BadMessage::Malformed)?,
            port: u16::from_be_bytes(part(bytes, 6)),
            id: u64::from_be_bytes(part(bytes, 8)),
            to: u64::from_be_bytes(part(bytes, 16)),
            number: u32::from_be_bytes(part(bytes, 24)),
            multicast: path(bytes, 28),
            unicast: path(bytes, 36),
            name: Name::read(part(bytes, 44)).ok_or(BadMessage::Malformed)?,
        };
        if message.is_possible() { Ok(message) } else { Err(BadMessage::Malformed) }
    }

    fn is_possible(&self) -> bool {
        let hello = self.kind == Kind::Hello;
        let told = [self.multicast, self.unicast];
        let nothing_told = self.to == 0 && told == [Path::default(); 2];
        self.id != 0
            && self.port != 0
            && self.number != 0
            && told.iter().all(|path| path.heard <= path.sent)
            && (!hello || nothing_told)
    }
}

fn part<const N: usize>(bytes: &[u8; LENGTH], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

fn path(bytes: &[u8; LENGTH], at: usize) -> Path {
    Path { sent: u32::from_be_bytes(part(bytes, at)), heard: u32::from_be_bytes(part(bytes, at + 4)) }
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Kind::Hello => 1,
            Kind::Answer => 2,
            Kind::Ask => 3,
            Kind::Reply => 4,
        }
    }

    fn of(number: u8) -> Option<Self> {
        [Kind::Hello, Kind::Answer, Kind::Ask, Kind::Reply].into_iter().find(|kind| kind.number() == number)
    }

    /// Its name in events.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Kind::Hello => "hello",
            Kind::Answer => "answer",
            Kind::Ask => "ask",
            Kind::Reply => "reply",
        }
    }
}

impl Name {
    /// As much of `text` as fits.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; NAME];
        let mut length = 0;
        for character in text.chars().filter(|character| *character != '\0') {
            let end = length + character.len_utf8();
            if end > NAME {
                break;
            }
            character.encode_utf8(&mut bytes[length..end]);
            length = end;
        }
        Name(bytes)
    }

    fn read(bytes: [u8; NAME]) -> Option<Self> {
        let text = core::str::from_utf8(&bytes).ok()?;
        (Name::new(text.trim_end_matches('\0')).0 == bytes).then_some(Name(bytes))
    }

    /// The text: a stranger's, to be shown with care.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default().trim_end_matches('\0')
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for BadMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadMessage::Foreign => f.write_str("not of this probe"),
            BadMessage::Version(version) => write!(f, "of version {version} of the probe; ours is {VERSION}"),
            BadMessage::Malformed => f.write_str("a probe that makes no sense"),
        }
    }
}

impl core::error::Error for BadMessage {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn hello() -> Message {
        let (multicast, unicast) = (Path::default(), Path::default());
        Message { kind: Kind::Hello, port: 5007, id: 7, to: 0, number: 3, multicast, unicast, name: Name::new("left") }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let answer = Message { kind: Kind::Answer, to: 9, ..hello() };
        for bad in [
            Message { id: 0, ..hello() },
            Message { port: 0, ..hello() },
            Message { number: 0, ..hello() },
            Message { to: 9, ..hello() },
            Message { multicast: Path { sent: 1, heard: 2 }, ..answer },
            Message { name: Name([0xff; NAME]), ..answer },
        ] {
            assert_eq!(Message::decode(&bad.encode()), Err(BadMessage::Malformed), "{:?}", bad.kind);
        }
        let mut bytes = hello().encode();
        bytes[4] = 2;
        assert_eq!(Message::decode(&bytes), Err(BadMessage::Version(2)));
        bytes[0] = b'X';
        assert_eq!(Message::decode(&bytes), Err(BadMessage::Foreign));
        assert_eq!(Message::decode(&bytes[..63]), Err(BadMessage::Foreign));
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(Name::new("a-very-long-name-of-ä-host").as_str(), "a-very-long-name-of-");
        assert_eq!(Name::new("nineteen-bytes-here-ä").as_str(), "nineteen-bytes-here-");
        assert_eq!(Name::new("").as_str(), "");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_message_with_one_encoding_or_a_reason(
            kind in 0_u8..6, rest in proptest::collection::vec(any::<u8>(), 0..80), ascii in any::<bool>()
        ) {
            let mut bytes = [&MAGIC[..], &[VERSION, kind], &rest].concat();
            if ascii && bytes.len() >= LENGTH {
                bytes.truncate(LENGTH);
                bytes[50..].fill(0);
                bytes[44..50].fill(b'x');
            }
            if let Ok(message) = Message::decode(&bytes) {
                prop_assert_eq!(&message.encode()[..], &bytes[..]);
            }
        }
    }
}
