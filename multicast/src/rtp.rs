//! Numbered messages on the wire: RTP as it is (RFC 3550 section 5.1), one message a packet.
//!
//! The header's 16-bit sequence number wraps after 65,536 messages, so each message also carries the upper 24 bits of its
//! number in a one-byte header extension (RFC 8285, id 1). Numbers begin at 0: whoever joins late knows from the first
//! message how many it missed. RFC 3550 would rather have them begin at random, against attacks on encrypted streams;
//! nothing here is encrypted.

use std::fmt;

use crate::payload::Kind;

/// Ticks of the timestamp in a second: the clock rate RFC 3551 gives to most payloads.
pub const CLOCK_RATE: u32 = 90_000;
/// The bytes our header takes: 12 of RTP and 8 of its extension.
pub const HEADER: usize = 20;
/// One more than the highest message number that can be written: 16 bits of RTP and 24 of the extension.
pub const NUMBERS: u64 = 1 << 40;

/// The version of RTP, in the first two bits.
const VERSION: u8 = 2;
/// The mark of one-byte header extensions (RFC 8285 section 4.2).
const ONE_BYTE: [u8; 2] = [0xbe, 0xde];
/// Our element: id 1, three bytes (the length field says one less).
const ELEMENT: u8 = 0x12;

/// The payload types of text, JSON and binary: from the dynamic range (RFC 3551 section 3).
#[must_use]
pub fn payload_type(kind: Kind) -> u8 {
    match kind {
        Kind::Text => 96,
        Kind::Json => 97,
        Kind::Binary => 98,
    }
}

/// An RTP packet, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Who sends it, in this run: a random number (the synchronization source).
    pub ssrc: u32,
    /// Its number, as far as it says: see [`Number`].
    pub number: Number,
    /// When it was sent, in ticks of [`CLOCK_RATE`], from a random start.
    pub timestamp: u32,
    /// What the payload is, see [`payload_type`].
    pub payload_type: u8,
    /// The payload.
    pub payload: &'a [u8],
}

/// A message's place in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Counted from the stream's first message, which is 0: what our senders write.
    Full(u64),
    /// The last 16 bits of some number, as any RTP sender writes.
    Short(u16),
}

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRtp {
    /// Too short for the header they announce.
    Short,
    /// Another version than 2: most other things begin otherwise.
    Version,
    /// A payload type that stands for RTCP (RFC 5761 section 4).
    Rtcp,
    /// The padding is longer than the payload, or none where some is announced.
    Padding,
}

impl fmt::Display for NotRtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotRtp::Short => "too short for an RTP header",
            NotRtp::Version => "not version 2 of RTP",
            NotRtp::Rtcp => "RTCP on the port of RTP",
            NotRtp::Padding => "impossible RTP padding",
        })
    }
}

impl<'a> Packet<'a> {
    /// Takes any bytes apart, by RFC 3550 section 5.1.
    ///
    /// # Errors
    /// Why they are no RTP packet.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, NotRtp> {
        let &[first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3, ref rest @ ..] = bytes else {
            return Err(if bytes.first().is_some_and(|first| first >> 6 != VERSION) {
                NotRtp::Version
            } else {
                NotRtp::Short
            });
        };
        if first >> 6 != VERSION {
            return Err(NotRtp::Version);
        }
        if matches!(second, 192..=223) {
            return Err(NotRtp::Rtcp);
        }
        let sources = usize::from(first & 0x0f) * 4;
        let mut payload = rest.get(sources..).ok_or(NotRtp::Short)?;
        let mut upper = None;
        if first & 0x10 != 0 {
            (upper, payload) = extension(payload).ok_or(NotRtp::Short)?;
        }
        if first & 0x20 != 0 {
            payload = without_padding(payload).ok_or(NotRtp::Padding)?;
        }
        let sequence = u16::from_be_bytes([s0, s1]);
        let number = match upper {
            Some(upper) => Number::Full((upper << 16) | u64::from(sequence)),
            None => Number::Short(sequence),
        };
        Ok(Packet {
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
            number,
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            payload_type: second & 0x7f,
            payload,
        })
    }

    /// What the payload is, where it is one of ours: a full number and one of our payload types. Of bytes that mean
    /// something else, one in 2⁴⁰ looks so.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        let full = matches!(self.number, Number::Full(_));
        [Kind::Text, Kind::Json, Kind::Binary].into_iter().find(|&kind| full && payload_type(kind) == self.payload_type)
    }
}

/// The upper bits of the number, where the extension is ours, and what follows it.
fn extension(bytes: &[u8]) -> Option<(Option<u64>, &[u8])> {
    let &[mark0, mark1, length0, length1, ref rest @ ..] = bytes else { return None };
    let length = usize::from(u16::from_be_bytes([length0, length1])) * 4;
    let (inside, after) = (rest.get(..length)?, rest.get(length..)?);
    let upper = match ([mark0, mark1], inside) {
        (ONE_BYTE, &[ELEMENT, a, b, c]) => Some(u64::from(u32::from_be_bytes([0, a, b, c]))),
        _ => None,
    };
    Some((upper, after))
}

/// The last byte says how many bytes of padding there are, itself included.
fn without_padding(bytes: &[u8]) -> Option<&[u8]> {
    let padding = usize::from(*bytes.last()?);
    if padding == 0 { None } else { bytes.get(..bytes.len().checked_sub(padding)?) }
}

/// Writes the header of a message of ours; its payload follows as it is. Numbers from [`NUMBERS`] on begin again at 0.
pub fn write_header(to: &mut Vec<u8>, kind: Kind, ssrc: u32, number: u64, timestamp: u32) {
    let [_, _, _, upper @ .., low0, low1] = number.to_be_bytes();
    to.extend_from_slice(&[(VERSION << 6) | 0x10, payload_type(kind), low0, low1]);
    to.extend_from_slice(&timestamp.to_be_bytes());
    to.extend_from_slice(&ssrc.to_be_bytes());
    to.extend_from_slice(&[ONE_BYTE[0], ONE_BYTE[1], 0, 1, ELEMENT]);
    to.extend_from_slice(&upper);
}

/// `time` in ticks of [`CLOCK_RATE`], the last 32 bits of them.
#[must_use]
pub fn ticks(time: events::Time) -> u32 {
    let ticks = u128::from(time.as_nanos()) * u128::from(CLOCK_RATE) / 1_000_000_000;
    u32::try_from(ticks & u128::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(kind: Kind, number: u64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_header(&mut bytes, kind, 0x0102_0304, number, 90_000);
        assert_eq!(bytes.len(), HEADER);
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn a_message_is_right_to_the_byte() {
        let bytes = written(Kind::Json, 0x01_0203_fffe, b"[]");
        let header = [0x90, 97, 0xff, 0xfe, 0, 1, 0x5f, 0x90, 1, 2, 3, 4, 0xbe, 0xde, 0, 1, 0x12, 1, 2, 3];
        assert_eq!(bytes, [&header[..], b"[]"].concat());
    }

    #[test]
    fn impossible_fields_are_refused_with_their_reason() {
        let padded = |padding: u8| [&[0xa0, 98, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0][..], &[7, 7, padding]].concat();
        for (bytes, reason) in [
            (b"".to_vec(), NotRtp::Short),
            (b"Hello, this is a multicast message".to_vec(), NotRtp::Version),
            (vec![0x80; 11], NotRtp::Short),
            (vec![0x80, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], NotRtp::Rtcp),
            (vec![0x8f, 98, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], NotRtp::Short),
            (vec![0x90, 98, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0xff, 0xff, 0], NotRtp::Short),
            (padded(0), NotRtp::Padding),
            (padded(4), NotRtp::Padding),
        ] {
            assert_eq!(Packet::decode(&bytes), Err(reason), "{bytes:02x?}");
        }
        assert_eq!(Packet::decode(&padded(3)).unwrap().payload, b"");
    }

    #[test]
    fn a_foreign_stream_has_short_numbers_and_no_kind() {
        let bytes = [0x81, 0x80 | 98, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 2, 9, 9, 9, 9, b'x'];
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!((packet.number, packet.payload_type, packet.payload), (Number::Short(65_535), 98, &b"x"[..]));
        assert_eq!(packet.kind(), None);
    }

    #[test]
    fn a_second_has_ninety_thousand_ticks() {
        assert_eq!(ticks(events::Time::from_nanos(1_500_000_000)), 135_000);
        assert!(ticks(events::Time::MAX) > 0);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(number in 0..NUMBERS, payload in proptest::collection::vec(any::<u8>(), 0..50)) {
            for kind in [Kind::Text, Kind::Json, Kind::Binary] {
                let bytes = written(kind, number, &payload);
                let packet = Packet::decode(&bytes).unwrap();
                prop_assert_eq!((packet.number, packet.kind()), (Number::Full(number), Some(kind)));
                prop_assert_eq!((packet.ssrc, packet.timestamp, packet.payload), (0x0102_0304, 90_000, &payload[..]));
            }
        }

        #[test]
        fn any_bytes_are_a_packet_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(packet) = Packet::decode(&bytes) {
                prop_assert!(packet.payload.len() + 12 <= bytes.len());
            }
        }
    }
}
