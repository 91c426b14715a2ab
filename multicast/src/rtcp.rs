//! What a source says of itself beside its messages: RTCP sender reports, its name, its end (RFC 3550 section 6).
//!
//! Each datagram is a compound: a sender report with the totals so far, a description with the name, and at the end a
//! BYE. From the totals a receiver knows what it missed at the tail, which no gap shows.

use events::Time;

/// Packet types, RFC 3550 section 12.1.
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const BYE: u8 = 203;

/// Items of a description, RFC 3550 section 6.5.
const CNAME: u8 = 1;
const NAME: u8 = 2;

/// From the epoch of NTP (1900) to that of Unix (1970), in seconds.
const NTP_TO_UNIX: u64 = 2_208_988_800;
/// The longest an item may be: its length field has one byte.
const LONGEST_ITEM: usize = 255;

/// One report of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Who.
    pub ssrc: u32,
    /// What it sent so far, where it is a sender's report.
    pub totals: Option<Totals>,
    /// Its canonical name (`sender1@192.0.2.7`): the same in every run.
    pub cname: Option<String>,
    /// The name it goes by.
    pub name: Option<String>,
    /// Whether this is its end.
    pub bye: bool,
}

/// What a source sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages, the last 32 bits of their number.
    pub packets: u32,
    /// Bytes of their payloads, the last 32 bits.
    pub octets: u32,
    /// The timestamp of now, as messages carry it.
    pub timestamp: u32,
    /// The wall clock, as NTP writes it: seconds since 1900 in the upper half, fractions in the lower.
    pub ntp: u64,
}

/// `time` as NTP writes it (RFC 3550 section 4).
#[must_use]
pub fn ntp(time: Time) -> u64 {
    let (seconds, nanos) = (time.as_nanos() / 1_000_000_000, time.as_nanos() % 1_000_000_000);
    (((seconds + NTP_TO_UNIX) & 0xffff_ffff) << 32) | ((nanos << 32) / 1_000_000_000)
}

impl Report {
    /// The compound packet. Names are cut to 255 bytes, at a character.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Totals { packets, octets, timestamp, ntp } = self.totals.unwrap_or_default();
        let mut body = self.ssrc.to_be_bytes().to_vec();
        if self.totals.is_some() {
            body.extend_from_slice(&ntp.to_be_bytes());
            for word in [timestamp, packets, octets] {
                body.extend_from_slice(&word.to_be_bytes());
            }
        }
        write_part(&mut bytes, 0, if self.totals.is_some() { SENDER_REPORT } else { RECEIVER_REPORT }, &body);
        write_part(&mut bytes, 1, DESCRIPTION, &self.description());
        if self.bye {
            write_part(&mut bytes, 1, BYE, &self.ssrc.to_be_bytes());
        }
        bytes
    }

    fn description(&self) -> Vec<u8> {
        let mut chunk = self.ssrc.to_be_bytes().to_vec();
        for (item, text) in [(CNAME, &self.cname), (NAME, &self.name)] {
            let Some(text) = text else { continue };
            let text = cut(text);
            chunk.extend_from_slice(&[item, u8::try_from(text.len()).unwrap_or(0)]);
            chunk.extend_from_slice(text.as_bytes());
        }
        // The list ends with at least one zero, and the chunk on a word.
        chunk.resize((chunk.len() + 4) / 4 * 4, 0);
        chunk
    }

    /// Takes a compound packet apart; what is said of other sources than the first is passed over.
    ///
    /// # Errors
    /// When it is none by RFC 3550 appendix A.2: another version, a length that does not add up, or no report first.
    pub fn decode(bytes: &[u8]) -> Result<Self, NotRtcp> {
        let mut report = Report::default();
        let mut rest = bytes;
        let mut is_first = true;
        while let Some((part, after)) = next_part(rest)? {
            if is_first {
                if !matches!(part.kind, SENDER_REPORT | RECEIVER_REPORT) {
                    return Err(NotRtcp);
                }
                report.ssrc = word(part.body, 0).ok_or(NotRtcp)?;
            }
            report.take(&part)?;
            (rest, is_first) = (after, false);
        }
        if is_first { Err(NotRtcp) } else { Ok(report) }
    }

    fn take(&mut self, part: &Part<'_>) -> Result<(), NotRtcp> {
        match part.kind {
            SENDER_REPORT if word(part.body, 0) == Some(self.ssrc) => {
                let word = |index| word(part.body, index).ok_or(NotRtcp);
                let ntp = (u64::from(word(1)?) << 32) | u64::from(word(2)?);
                self.totals = Some(Totals { ntp, timestamp: word(3)?, packets: word(4)?, octets: word(5)? });
            }
            DESCRIPTION if part.count > 0 && word(part.body, 0) == Some(self.ssrc) => self.take_items(part.body),
            BYE => {
                self.bye |= (0..usize::from(part.count)).any(|index| word(part.body, index) == Some(self.ssrc));
            }
            _ => {}
        }
        Ok(())
    }

    fn take_items(&mut self, chunk: &[u8]) {
        let mut rest = chunk.get(4..).unwrap_or_default();
        // A zero ends the list.
        while let &[item @ 1..=u8::MAX, length, ref after @ ..] = rest {
            let Some(text) = after.get(..usize::from(length)) else { return };
            let text = String::from_utf8_lossy(text).into_owned();
            match item {
                CNAME => self.cname = Some(text),
                NAME => self.name = Some(text),
                _ => {}
            }
            rest = after.get(usize::from(length)..).unwrap_or_default();
        }
    }
}

/// `text`, or as many of its first characters as an item holds.
fn cut(text: &str) -> &str {
    let end = (0..=LONGEST_ITEM.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// No RTCP, or none that says who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRtcp;

/// One packet of a compound.
struct Part<'a> {
    kind: u8,
    count: u8,
    body: &'a [u8],
}

fn next_part(bytes: &[u8]) -> Result<Option<(Part<'_>, &[u8])>, NotRtcp> {
    let &[first, kind, length0, length1, ref rest @ ..] = bytes else {
        return if bytes.is_empty() { Ok(None) } else { Err(NotRtcp) };
    };
    let length = usize::from(u16::from_be_bytes([length0, length1])) * 4;
    match (first >> 6, rest.get(..length), rest.get(length..)) {
        (2, Some(body), Some(after)) => Ok(Some((Part { kind, count: first & 0x1f, body }, after))),
        _ => Err(NotRtcp),
    }
}

fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let at = index * 4;
    bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes)
}

fn write_part(to: &mut Vec<u8>, count: u8, kind: u8, body: &[u8]) {
    // The length counts words and leaves the first out, which is the header.
    let length = u16::try_from(body.len() / 4).unwrap_or(u16::MAX);
    to.extend_from_slice(&[0x80 | count, kind]);
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report() -> Report {
        Report {
            ssrc: 0x0102_0304,
            totals: Some(Totals { packets: 7, octets: 700, timestamp: 90_000, ntp: 5 << 32 }),
            cname: Some("sender1@192.0.2.7".into()),
            name: Some("sender1".into()),
            bye: true,
        }
    }

    #[test]
    fn a_report_is_right_to_the_byte() {
        let report = Report { cname: Some("ab".into()), name: None, ..report() };
        let expected: &[&[u8]] = &[
            &[0x80, 200, 0, 6, 1, 2, 3, 4, 0, 0, 0, 5, 0, 0, 0, 0, 0, 1, 0x5f, 0x90, 0, 0, 0, 7, 0, 0, 2, 0xbc],
            &[0x81, 202, 0, 3, 1, 2, 3, 4, 1, 2, b'a', b'b', 0, 0, 0, 0],
            &[0x81, 203, 0, 1, 1, 2, 3, 4],
        ];
        assert_eq!(report.encode(), expected.concat());
    }

    #[test]
    fn the_clock_of_ntp() {
        assert_eq!(ntp(Time::from_nanos(1_500_000_000)), ((NTP_TO_UNIX + 1) << 32) | (1 << 31));
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let good = report().encode();
        for cut in [1, 3, 5, good.len() - 1] {
            assert_eq!(Report::decode(&good[..cut]), Err(NotRtcp), "{cut}");
        }
        assert_eq!(Report::decode(b""), Err(NotRtcp));
        assert_eq!(Report::decode(&good[28..]), Err(NotRtcp), "a description alone");
        assert_eq!(Report::decode(&[0x80, 200, 0, 0]), Err(NotRtcp), "nobody speaks");
        assert_eq!(Report::decode(b"Hello, this is a multicast message"), Err(NotRtcp));
    }

    #[test]
    fn names_are_cut_at_a_character() {
        let long = Report { name: Some("é".repeat(200)), ..report() };
        let name = Report::decode(&long.encode()).unwrap().name.unwrap();
        assert_eq!(name, "é".repeat(127));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ssrc: u32, packets: u32, name in "\\PC{0,60}", bye: bool) {
            let report = Report { ssrc, totals: Some(Totals { packets, ..Totals::default() }), name: Some(name), bye, ..report() };
            prop_assert_eq!(Report::decode(&report.encode()).unwrap(), report);
        }

        #[test]
        fn any_bytes_are_a_report_or_not(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), real: bool) {
            if real && bytes.len() >= 8 {
                bytes[..4].copy_from_slice(&[0x80, 201, 0, 1]);
            }
            let _ = Report::decode(&bytes);
        }
    }
}
