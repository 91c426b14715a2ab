//! Datagrams to bytes and back.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::cursor::Reader;
use super::{
    Body, Cookie, Datagram, DecodeError, Entry, EntryBody, GroupBody, Held, JOIN, MAGIC, MOST_SAID, Seat, Welcome, Why,
};
use crate::call::{HUB, MEMBERS, NAME, Order, TEXT};

/// CRC32C of all before it.
const CHECKSUM: usize = 4;

const KIND_JOIN: u8 = 1;
const KIND_RETRY: u8 = 2;
const KIND_WELCOME: u8 = 3;
const KIND_REFUSE: u8 = 4;
const KIND_REPORT: u8 = 5;
const KIND_CAST: u8 = 6;
const KIND_LINE: u8 = 7;
const KIND_LINE_ACK: u8 = 8;
const KIND_ANSWER: u8 = 9;
const KIND_LEAVE: u8 = 10;
const KIND_BEAT: u8 = 11;
const KIND_GONE: u8 = 12;
const KIND_ENTRY: u8 = 13;
const KIND_CALL: u8 = 14;

/// Whether bytes claim to be a datagram of a group, well-formed or not; else they are a raw line.
#[must_use]
pub fn is_framed(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC[..3])
}

/// Puts the checksum behind the fields of a datagram.
pub fn seal(fields: &mut Vec<u8>) {
    fields.extend(crc_fast::crc32_iscsi(fields).to_be_bytes());
}

/// Reads one datagram.
///
/// # Errors
/// Why it is none.
pub fn decode(bytes: &[u8]) -> Result<Datagram, DecodeError> {
    // The kernel's checksum does not protect on loopback or between containers.
    let (fields, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(DecodeError::Foreign)?;
    let mut reader = Reader::new(fields);
    if reader.array::<4>().map_err(|_| DecodeError::Foreign)? != MAGIC {
        return Err(DecodeError::Foreign);
    }
    if crc_fast::crc32_iscsi(fields) != u32::from_be_bytes(*sum) {
        return Err(DecodeError::Damaged);
    }
    let kind = reader.u8()?;
    let datagram = match kind {
        KIND_JOIN => {
            let (client, name) = (reader.u64()?, reader.text(NAME)?);
            let cookie = if flag(&mut reader)? { Some(cookie(&mut reader)?) } else { None };
            if bytes.len() != JOIN {
                return Err(DecodeError::BadField("padding"));
            }
            reader.padding()?;
            Datagram::Join { client, name, cookie }
        }
        KIND_RETRY => Datagram::Retry { client: reader.u64()?, cookie: cookie(&mut reader)? },
        KIND_WELCOME => Datagram::Welcome(welcome(&mut reader)?),
        KIND_REFUSE => Datagram::Refuse { client: reader.u64()? },
        KIND_ENTRY | KIND_CALL => Datagram::Group { session: reader.u64()?, body: group_body(kind, &mut reader)? },
        _ => {
            let seat = seat(&mut reader)?;
            Datagram::Seat(seat, body(kind, &mut reader)?)
        }
    };
    reader.end()?;
    Ok(datagram)
}

fn body(kind: u8, reader: &mut Reader<'_>) -> Result<Body, DecodeError> {
    Ok(match kind {
        KIND_REPORT => Body::Report(Held::decode(reader)?),
        KIND_CAST => Body::Cast { seq: reader.positive()?, stamp: stamp(reader)?, text: reader.text(TEXT)? },
        KIND_LINE => Body::Line { seq: reader.positive()?, text: reader.text(TEXT)? },
        KIND_LINE_ACK => Body::LineAck { seq: reader.positive()? },
        KIND_ANSWER => Body::Answer { call: reader.u64()?, text: reader.text(TEXT)? },
        KIND_LEAVE => Body::Leave,
        KIND_BEAT => Body::Beat { newest: reader.u64()?, admitted: reader.u32()? },
        KIND_GONE => Body::Gone { why: why(reader)?, newest: reader.u64()? },
        _ => return Err(DecodeError::BadField("kind")),
    })
}

fn group_body(kind: u8, reader: &mut Reader<'_>) -> Result<GroupBody, DecodeError> {
    if kind == KIND_CALL {
        return Ok(GroupBody::Call { call: reader.u64()?, within: millis(reader)?, text: reader.text(TEXT)? });
    }
    let (number, origin, seq) = (reader.u64()?, reader.u32()?, reader.positive()?);
    let (stamp, name) = (stamp(reader)?, reader.text(NAME)?);
    let body = match reader.u8()? {
        0 => EntryBody::Cast(reader.text(TEXT)?),
        1 => EntryBody::Join(reader.positive()?),
        2 => EntryBody::Leave(reader.positive()?, why(reader)?),
        _ => return Err(DecodeError::BadField("entry")),
    };
    // Who comes and goes is the hub's to say; and a report can name no number higher than this.
    if number == 0 || number == u64::MAX || (body.about().is_some() && origin != HUB) {
        return Err(DecodeError::BadField("entry"));
    }
    Ok(GroupBody::Entry(Entry { number, origin, seq, stamp, name, body }))
}

fn welcome(reader: &mut Reader<'_>) -> Result<Welcome, DecodeError> {
    let welcome = Welcome {
        client: reader.u64()?,
        seat: seat(reader)?,
        session: reader.u64()?,
        base: reader.u64()?,
        order: Order::from_code(reader.u8()?).ok_or(DecodeError::BadField("order"))?,
        group: address(reader)?,
        heartbeat: millis(reader)?,
        silence: millis(reader)?,
    };
    // A hub that says otherwise would have its members report, or join anew, without a pause.
    let is_calm = !welcome.heartbeat.is_zero() && welcome.silence >= welcome.heartbeat;
    match (welcome.base <= MOST_SAID, is_calm) {
        (true, true) => Ok(welcome),
        (false, _) => Err(DecodeError::BadField("base")),
        (true, false) => Err(DecodeError::BadField("heartbeat")),
    }
}

fn seat(reader: &mut Reader<'_>) -> Result<Seat, DecodeError> {
    Ok(Seat { member: reader.positive()?, key: reader.u64()? })
}

fn cookie(reader: &mut Reader<'_>) -> Result<Cookie, DecodeError> {
    Ok(Cookie { issued: reader.u64()?, mac: reader.array()? })
}

fn stamp(reader: &mut Reader<'_>) -> Result<Vec<(u32, u32)>, DecodeError> {
    let count = usize::from(reader.u8()?);
    if count > MEMBERS + 1 {
        return Err(DecodeError::BadField("stamp"));
    }
    let mut stamp: Vec<(u32, u32)> = Vec::with_capacity(count);
    for _ in 0..count {
        let (origin, seq) = (reader.u32()?, reader.positive()?);
        if stamp.last().is_some_and(|&(last, _)| last >= origin) {
            return Err(DecodeError::BadField("stamp"));
        }
        stamp.push((origin, seq));
    }
    Ok(stamp)
}

fn why(reader: &mut Reader<'_>) -> Result<Why, DecodeError> {
    let code = usize::from(reader.u8()?);
    Why::ALL.get(code).copied().ok_or(DecodeError::BadField("reason"))
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::BadField("flag")),
    }
}

fn address(reader: &mut Reader<'_>) -> Result<Option<SocketAddr>, DecodeError> {
    let ip: IpAddr = match reader.u8()? {
        0 => return Ok(None),
        4 => reader.array::<4>()?.into(),
        6 => reader.array::<16>()?.into(),
        _ => return Err(DecodeError::BadField("address")),
    };
    if !ip.is_multicast() {
        return Err(DecodeError::BadField("address"));
    }
    Ok(Some((ip, reader.u16()?).into()))
}

fn millis(reader: &mut Reader<'_>) -> Result<Duration, DecodeError> {
    Ok(Duration::from_millis(reader.u32()?.into()))
}

impl Datagram {
    /// As bytes. Texts and names must be within their limits.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(self.kind());
        match self {
            Datagram::Join { client, name, cookie } => {
                out.extend(client.to_be_bytes());
                put_text(name, &mut out);
                out.push(u8::from(cookie.is_some()));
                cookie.iter().for_each(|cookie| put_cookie(cookie, &mut out));
                out.resize(JOIN - CHECKSUM, 0);
            }
            Datagram::Retry { client, cookie } => {
                out.extend(client.to_be_bytes());
                put_cookie(cookie, &mut out);
            }
            Datagram::Welcome(welcome) => put_welcome(welcome, &mut out),
            Datagram::Refuse { client } => out.extend(client.to_be_bytes()),
            Datagram::Seat(seat, body) => {
                put_seat(seat, &mut out);
                put_body(body, &mut out);
            }
            Datagram::Group { session, body } => {
                out.extend(session.to_be_bytes());
                put_group_body(body, &mut out);
            }
        }
        seal(&mut out);
        out
    }

    /// Its name in events and for `--impair drop=`.
    #[must_use]
    pub fn what(&self) -> &'static str {
        what(self.kind())
    }

    fn kind(&self) -> u8 {
        match self {
            Datagram::Join { .. } => KIND_JOIN,
            Datagram::Retry { .. } => KIND_RETRY,
            Datagram::Welcome(_) => KIND_WELCOME,
            Datagram::Refuse { .. } => KIND_REFUSE,
            Datagram::Seat(_, body) => match body {
                Body::Report(_) => KIND_REPORT,
                Body::Cast { .. } => KIND_CAST,
                Body::Line { .. } => KIND_LINE,
                Body::LineAck { .. } => KIND_LINE_ACK,
                Body::Answer { .. } => KIND_ANSWER,
                Body::Leave => KIND_LEAVE,
                Body::Beat { .. } => KIND_BEAT,
                Body::Gone { .. } => KIND_GONE,
            },
            Datagram::Group { body: GroupBody::Entry(_), .. } => KIND_ENTRY,
            Datagram::Group { body: GroupBody::Call { .. }, .. } => KIND_CALL,
        }
    }
}

/// The kind of datagram these bytes are, for people and for `--impair drop=`; a raw line is a `line` too.
#[must_use]
pub(crate) fn what_of(bytes: &[u8]) -> &'static str {
    if is_framed(bytes) { what(bytes.get(4).copied().unwrap_or(0)) } else { what(KIND_LINE) }
}

fn what(kind: u8) -> &'static str {
    match kind {
        KIND_JOIN => "join",
        KIND_RETRY => "retry",
        KIND_WELCOME => "welcome",
        KIND_REFUSE => "refuse",
        KIND_REPORT => "report",
        KIND_CAST => "cast",
        KIND_LINE => "line",
        KIND_LINE_ACK => "line-ack",
        KIND_ANSWER => "answer",
        KIND_LEAVE => "leave",
        KIND_BEAT => "beat",
        KIND_GONE => "gone",
        KIND_ENTRY => "entry",
        KIND_CALL => "call",
        _ => "unknown",
    }
}

fn put_body(body: &Body, out: &mut Vec<u8>) {
    match body {
        Body::Report(held) => held.encode(out),
        Body::Cast { seq, stamp, text } => {
            out.extend(seq.to_be_bytes());
            put_stamp(stamp, out);
            put_text(text, out);
        }
        Body::Line { seq, text } => {
            out.extend(seq.to_be_bytes());
            put_text(text, out);
        }
        Body::LineAck { seq } => out.extend(seq.to_be_bytes()),
        Body::Answer { call, text } => {
            out.extend(call.to_be_bytes());
            put_text(text, out);
        }
        Body::Leave => {}
        Body::Beat { newest, admitted } => {
            out.extend(newest.to_be_bytes());
            out.extend(admitted.to_be_bytes());
        }
        Body::Gone { why, newest } => {
            put_why(*why, out);
            out.extend(newest.to_be_bytes());
        }
    }
}

fn put_group_body(body: &GroupBody, out: &mut Vec<u8>) {
    match body {
        GroupBody::Call { call, within, text } => {
            out.extend(call.to_be_bytes());
            put_millis(*within, out);
            put_text(text, out);
        }
        GroupBody::Entry(entry) => {
            out.extend(entry.number.to_be_bytes());
            out.extend(entry.origin.to_be_bytes());
            out.extend(entry.seq.to_be_bytes());
            put_stamp(&entry.stamp, out);
            put_text(&entry.name, out);
            match &entry.body {
                EntryBody::Cast(text) => {
                    out.push(0);
                    put_text(text, out);
                }
                EntryBody::Join(member) => {
                    out.push(1);
                    out.extend(member.to_be_bytes());
                }
                EntryBody::Leave(member, why) => {
                    out.push(2);
                    out.extend(member.to_be_bytes());
                    put_why(*why, out);
                }
            }
        }
    }
}

fn put_welcome(welcome: &Welcome, out: &mut Vec<u8>) {
    out.extend(welcome.client.to_be_bytes());
    put_seat(&welcome.seat, out);
    out.extend(welcome.session.to_be_bytes());
    out.extend(welcome.base.to_be_bytes());
    out.push(welcome.order.code());
    match welcome.group.map(|group| (group.ip(), group.port())) {
        None => out.push(0),
        Some((IpAddr::V4(ip), port)) => {
            out.push(4);
            out.extend(ip.octets());
            out.extend(port.to_be_bytes());
        }
        Some((IpAddr::V6(ip), port)) => {
            out.push(6);
            out.extend(ip.octets());
            out.extend(port.to_be_bytes());
        }
    }
    put_millis(welcome.heartbeat, out);
    put_millis(welcome.silence, out);
}

fn put_seat(seat: &Seat, out: &mut Vec<u8>) {
    out.extend(seat.member.to_be_bytes());
    out.extend(seat.key.to_be_bytes());
}

fn put_cookie(cookie: &Cookie, out: &mut Vec<u8>) {
    out.extend(cookie.issued.to_be_bytes());
    out.extend(cookie.mac);
}

fn put_stamp(stamp: &[(u32, u32)], out: &mut Vec<u8>) {
    out.push(u8::try_from(stamp.len()).expect("a stamp names at most every member and the hub"));
    for (origin, seq) in stamp {
        out.extend(origin.to_be_bytes());
        out.extend(seq.to_be_bytes());
    }
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend(u16::try_from(text.len()).expect("texts and names are within their limits").to_be_bytes());
    out.extend(text);
}

fn put_why(why: Why, out: &mut Vec<u8>) {
    let code = Why::ALL.iter().position(|one| *one == why).and_then(|code| u8::try_from(code).ok());
    out.push(code.expect("every reason is in the list"));
}

fn put_millis(duration: Duration, out: &mut Vec<u8>) {
    out.extend(u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).to_be_bytes());
}
