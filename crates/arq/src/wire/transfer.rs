//! The datagrams of a transfer.

use std::time::Duration;

use super::cursor::Reader;
use super::{CHECKSUM, DecodeError, ENVELOPE, Envelope, begin, seal};
use crate::congestion::Choice;
use crate::policy::{Reporting, Resend, Window};
use crate::told::About;
use crate::{BlockNumber, BlockRange, Body, CloseReason, Ecn, FileId, Marks, Open, PacketNumber, Policy, Report};

const OPEN: u8 = 1;
const REPORT: u8 = 2;
const BLOCK: u8 = 3;
const DONE: u8 = 4;
const CLOSE: u8 = 5;

/// How long a datagram is before the bytes of its block begin.
pub const BLOCK_HEAD: usize = ENVELOPE + 8;
const REPORT_FIXED: usize = 8 + 8 + 1 + 8 + 4 + 4 + 8 + 8;
const OPEN_FIXED: usize = 8 + 32 + POLICY + 8 + 1 + 1;
const POLICY: usize = 1 + 4 + 4 + 4;

/// Appends the head of a block's datagram: its bytes follow, and then [`seal`]. In between, a positional read can put
/// them where they belong, without a copy.
pub fn begin_block(to: &mut Vec<u8>, envelope: Envelope, block: BlockNumber) {
    begin(to, BLOCK, envelope);
    to.extend_from_slice(&block.0.to_be_bytes());
}

/// Appends a whole datagram with a block whose bytes are at hand.
pub fn encode_block(to: &mut Vec<u8>, envelope: Envelope, block: BlockNumber, payload: &[u8]) {
    let start = to.len();
    begin_block(to, envelope, block);
    to.extend_from_slice(payload);
    seal(to, start);
}

/// The body, and for a block its bytes.
pub(super) fn decode<'a>(kind: u8, reader: &mut Reader<'a>) -> Result<(Body, &'a [u8]), DecodeError> {
    let body = match kind {
        BLOCK => {
            let block = BlockNumber(reader.u64()?);
            let payload = reader.rest();
            let length = u16::try_from(payload.len()).map_err(|_| DecodeError::TooLong)?;
            if length == 0 {
                return Err(DecodeError::BadField("empty block"));
            }
            return Ok((Body::Block(block, length), payload));
        }
        REPORT => Body::Report(report(reader)?),
        OPEN => Body::Open(Open {
            file: FileId(reader.u64()?),
            hash: reader.array()?,
            policy: policy(reader)?,
            rate: reader.u64()?,
            congestion: congestion(reader)?,
            ecn: flag(reader)?,
            report: report(reader)?,
        }),
        DONE => Body::Done { again: reader.u64()?, heard: flag(reader)?, ecn: ecn(reader)? },
        CLOSE => Body::Close(CloseReason::from_code(reader.u8()?).ok_or(DecodeError::BadField("reason"))?),
        _ => return Err(DecodeError::UnknownKind(kind)),
    };
    Ok((body, &[]))
}

pub(super) fn encode(to: &mut Vec<u8>, envelope: Envelope, body: &Body) {
    match body {
        Body::Open(open) => {
            begin(to, OPEN, envelope);
            to.extend_from_slice(&open.file.0.to_be_bytes());
            to.extend_from_slice(&open.hash);
            put_policy(to, &open.policy);
            to.extend_from_slice(&open.rate.to_be_bytes());
            to.push(congestion_code(open.congestion));
            to.push(u8::from(open.ecn));
            put_report(to, &open.report);
        }
        Body::Report(report) => {
            begin(to, REPORT, envelope);
            put_report(to, report);
        }
        Body::Block(block, _) => begin_block(to, envelope, *block),
        Body::Done { again, heard, ecn } => {
            begin(to, DONE, envelope);
            to.extend_from_slice(&again.to_be_bytes());
            to.push(u8::from(*heard));
            to.push(ecn.code());
        }
        Body::Close(reason) => {
            begin(to, CLOSE, envelope);
            to.push(reason.code());
        }
    }
}

/// What events say about a packet; its length is that of the datagram.
pub(crate) fn about(body: &Body) -> About {
    let report_length = |report: &Report| REPORT_FIXED + 16 * report.missing.len();
    let length = match body {
        Body::Open(open) => OPEN_FIXED + report_length(&open.report),
        Body::Report(report) => report_length(report),
        Body::Block(_, length) => 8 + usize::from(*length),
        Body::Done { .. } => 10,
        Body::Close(_) => 1,
    };
    About { what: body.kind(), number: body.ordinal(), bytes: (ENVELOPE + length + CHECKSUM) as u64 }
}

fn report(reader: &mut Reader<'_>) -> Result<Report, DecodeError> {
    let (floor, seen) = (BlockNumber(reader.u64()?), BlockNumber(reader.u64()?));
    let newest = PacketNumber(reader.u64()?);
    let delay = Duration::from_micros(u64::from(reader.u32()?));
    let credit = reader.u32()?;
    let marks = Marks { ect0: reader.u64()?, ce: reader.u64()? };
    let count = usize::from(reader.u8()?);
    // Sixteen bytes each: nothing is set aside before it is known that they are there.
    let mut holes = Reader::new(reader.bytes(16 * count)?);
    let mut missing = Vec::with_capacity(count);
    while !holes.is_empty() {
        missing.push(BlockRange::new(holes.u64()?, holes.u64()?));
    }
    let report = Report { floor, seen, missing, newest, delay, credit, marks };
    if report.is_consistent() { Ok(report) } else { Err(DecodeError::BadField("report")) }
}

fn put_report(to: &mut Vec<u8>, report: &Report) {
    to.extend_from_slice(&report.floor.0.to_be_bytes());
    to.extend_from_slice(&report.seen.0.to_be_bytes());
    to.extend_from_slice(&report.newest.0.to_be_bytes());
    let delay = u32::try_from(report.delay.as_micros()).unwrap_or(u32::MAX);
    to.extend_from_slice(&delay.to_be_bytes());
    to.extend_from_slice(&report.credit.to_be_bytes());
    to.extend_from_slice(&report.marks.ect0.to_be_bytes());
    to.extend_from_slice(&report.marks.ce.to_be_bytes());
    let missing = report.missing.get(..Report::MOST_RANGES).unwrap_or(&report.missing);
    to.push(u8::try_from(missing.len()).unwrap_or(u8::MAX));
    for hole in missing {
        to.extend_from_slice(&hole.start.0.to_be_bytes());
        to.extend_from_slice(&hole.end.0.to_be_bytes());
    }
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::BadField("flag")),
    }
}

fn ecn(reader: &mut Reader<'_>) -> Result<Ecn, DecodeError> {
    Ecn::from_code(reader.u8()?).ok_or(DecodeError::BadField("ECN state"))
}

/// A congestion control by its number; a window that never changes has none, for nobody may ask it of another.
fn congestion(reader: &mut Reader<'_>) -> Result<Option<Choice>, DecodeError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => Ok(Some(Choice::NewReno)),
        2 => Ok(Some(Choice::Cubic)),
        3 => Ok(Some(Choice::Bbr)),
        _ => Err(DecodeError::BadField("congestion control")),
    }
}

const fn congestion_code(asked: Option<Choice>) -> u8 {
    match asked {
        None | Some(Choice::Fixed { .. }) => 0,
        Some(Choice::NewReno) => 1,
        Some(Choice::Cubic) => 2,
        Some(Choice::Bbr) => 3,
    }
}

/// The wire knows the textbook's four modes, each with the one or two numbers it leaves open.
fn policy(reader: &mut Reader<'_>) -> Result<Policy, DecodeError> {
    let (mode, window, every, delay) = (reader.u8()?, reader.u32()?, reader.u32()?, reader.u32()?);
    let bad = Err(DecodeError::BadField("mode"));
    match (mode, window, every, delay) {
        (0, 0, 0, 0) => Ok(Policy::RAW),
        (1, 0, 0, 0) => Ok(Policy::STOP_AND_WAIT),
        (2, 1..=Policy::LARGEST_WINDOW, 0, 0) => Ok(Policy::go_back_n(window)),
        (3, 0, 1.., 0..=LONGEST_REPORT_DELAY) => {
            let report = Reporting::Delayed { every, delay: Duration::from_micros(u64::from(delay)) };
            Ok(Policy { report, ..Policy::SELECTIVE_REPEAT })
        }
        _ => bad,
    }
}

/// No receiver may put its reports off for longer than a second, in microseconds: the sender's timer would follow.
const LONGEST_REPORT_DELAY: u32 = 1_000_000;

fn put_policy(to: &mut Vec<u8>, policy: &Policy) {
    let (mode, window) = match (policy.resend, policy.window) {
        (Resend::Nothing, _) => (0, 0),
        (Resend::TheOne, _) => (1, 0),
        (Resend::WholeWindow, Window::Blocks(window)) => (2, window),
        (Resend::WholeWindow, Window::Unlimited | Window::Congestion) => (2, Policy::LARGEST_WINDOW),
        (Resend::Missing, _) => (3, 0_u32),
    };
    let (every, delay) = match policy.report {
        Reporting::Delayed { every, delay } if mode == 3 => {
            (every, u32::try_from(delay.as_micros()).unwrap_or(u32::MAX))
        }
        Reporting::EveryBlock if mode == 3 => (1, 0),
        Reporting::Never | Reporting::EveryBlock | Reporting::Delayed { .. } => (0, 0_u32),
    };
    to.push(mode);
    to.extend_from_slice(&window.to_be_bytes());
    to.extend_from_slice(&every.to_be_bytes());
    to.extend_from_slice(&delay.to_be_bytes());
}
