//! What becomes of a datagram that came in: told apart by format, judged, counted, told.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use events::{Cause, Event, Time};
use labkit::Session;
use netsim::Link;

use super::teller::Teller;
use super::{Config, Filter, Framing};
use crate::payload::{self, Kind};
use crate::rtcp::Report;
use crate::rtp::Packet;
use crate::tally::Tally;
use crate::track::{Judged, Reorder, STREAMS, Tracker, Verdict};

/// Which stream: of which group, from which host, under which identity. The port is left out: a source's reports may
/// come from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The group's place in the list.
    pub group: usize,
    /// The host.
    pub host: IpAddr,
    /// The identity it gave itself for this run.
    pub ssrc: u32,
}

/// What came in and is no message for us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Foreign {
    /// Datagrams of another format than asked for.
    pub formats: u64,
    /// Datagrams of other sources than the one asked for.
    pub strangers: u64,
    /// Datagrams on the port for reports that are none.
    pub reports: u64,
}

/// A message that is ready to be told.
#[derive(Debug)]
struct Told {
    source: SocketAddr,
    flow: u64,
    number: u64,
    kind: Kind,
    /// Of a numbered message: its stream, and the judgement.
    judged: Option<(Key, Verdict)>,
    payload: Vec<u8>,
}

/// How many messages wait for their turn at most, over all streams: 64 KiB each at the worst.
const WAITING: usize = 2048;

/// Datagrams held back by `--impair`.
type Impaired = Link<(usize, SocketAddr, Vec<u8>)>;

/// Everything heard so far.
#[derive(Debug)]
pub(super) struct Hearing {
    pub(super) tally: Tally,
    pub(super) tracker: Tracker<Key>,
    pub(super) foreign: Foreign,
    wanted_sources: Vec<Option<IpAddr>>,
    framing: Framing,
    filter: Filter,
    waiting: HashMap<Key, Reorder<Told>>,
    /// How many messages wait in all of them.
    held: usize,
    /// With `--ordered`: of each stream, the message that only the next one can make believable.
    suspects: HashMap<Key, Told>,
    link: Option<Box<Impaired>>,
    teller: Teller,
    session: Session,
}

impl Hearing {
    pub(super) fn new(config: &Config, session: Session) -> Self {
        let link = config.impair.as_ref().map(|(impairment, seed)| Box::new(Link::new(impairment.clone(), *seed)));
        Hearing {
            tally: Tally::new(config.sources),
            tracker: Tracker::new(config.sources.min(STREAMS)),
            foreign: Foreign::default(),
            wanted_sources: config.groups.iter().map(crate::Group::source).collect(),
            framing: config.framing,
            filter: config.filter,
            waiting: HashMap::new(),
            held: 0,
            suspects: HashMap::new(),
            link,
            teller: Teller::new(session.output.clone()),
            session,
        }
    }

    /// How many messages were heard.
    pub(super) fn messages(&self) -> u64 {
        self.tally.total().all().datagrams
    }

    /// How many datagrams `--impair` dropped.
    pub(super) fn impaired(&self) -> u64 {
        self.link.as_ref().map_or(0, |link| {
            let tally = link.tally();
            tally.exact + tally.blackout + tally.burst + tally.chance + tally.queue
        })
    }

    /// When something that is held back comes out.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let link = self.link.as_ref().and_then(|link| link.poll_timeout());
        self.waiting.values().filter_map(Reorder::poll_timeout).chain(link).min()
    }

    /// Lets out what was held back and is due.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.let_out(now);
        if self.held == 0 {
            return;
        }
        let due: Vec<Told> =
            self.waiting.values_mut().flat_map(|order| std::iter::from_fn(|| order.poll(now))).collect();
        for told in due {
            self.tell(&told, now);
        }
        self.held = self.waiting.values().map(Reorder::waiting).sum();
    }

    /// Takes what `--impair` holds back until `until`, each at the time it came out.
    fn let_out(&mut self, until: Time) {
        while let Some(arrival) = self.link.as_mut().and_then(|link| link.poll(until)) {
            let (group, source, mut bytes) = arrival.packet;
            if let Some(damage) = arrival.damage {
                damage.apply(&mut bytes);
            }
            self.take(group, source, &bytes, arrival.at);
        }
    }

    /// Nothing more comes: what still waits is told.
    pub(super) fn end(&mut self, now: Time) {
        self.let_out(Time::MAX);
        let mut rest: Vec<Told> = self.waiting.values_mut().flat_map(Reorder::rest).collect();
        rest.sort_by_key(|told| told.number);
        for told in rest {
            self.tell(&told, now);
        }
        self.teller.catch_up();
    }

    /// A datagram came for a group.
    pub(super) fn handle(&mut self, group: usize, source: SocketAddr, bytes: &[u8], now: Time) {
        let Some(link) = &mut self.link else { return self.take(group, source, bytes, now) };
        // What becomes of it is in the link's own tally.
        let _ = link.handle(now, "message", bytes.len(), (group, source, bytes.to_vec()));
        self.handle_timeout(now);
    }

    fn take(&mut self, group: usize, source: SocketAddr, bytes: &[u8], now: Time) {
        if self.is_stranger(group, source) {
            return;
        }
        match (self.framing, Packet::decode(bytes)) {
            (Framing::Rtp, Ok(packet)) => self.take_numbered(group, source, &packet, now),
            (Framing::Auto, Ok(packet)) if packet.kind().is_some() => self.take_numbered(group, source, &packet, now),
            (Framing::Rtp, Err(reason)) => {
                self.foreign.formats += 1;
                if self.foreign.formats == 1 {
                    tracing::warn!("a datagram from {source} is passed over: {reason}; more of them are only counted");
                }
                self.tell_dropped(source, "datagram", bytes.len());
            }
            _ => self.take_raw(source, bytes, now),
        }
    }

    /// Whether another source alone is wanted: where the kernel does not filter, and right after joining, we must.
    fn is_stranger(&mut self, group: usize, source: SocketAddr) -> bool {
        let wanted = self.wanted_sources.get(group).copied().flatten();
        let is_stranger = wanted.is_some_and(|wanted| wanted != source.ip());
        self.foreign.strangers += u64::from(is_stranger);
        is_stranger
    }

    fn take_raw(&mut self, source: SocketAddr, bytes: &[u8], now: Time) {
        let kind = payload::classify(bytes);
        let heard = self.tally.hear(source, kind, bytes.len(), now);
        self.note_forgotten(heard.forgot, self.tally.forgotten(), self.tally.sources());
        let (flow, number) = (heard.flow, heard.number);
        self.tell_parts(source, flow, number, kind, None, bytes, now);
    }

    fn take_numbered(&mut self, group: usize, source: SocketAddr, packet: &Packet<'_>, now: Time) {
        let kind = kind_of(packet);
        let heard = self.tally.hear(source, kind, packet.payload.len(), now);
        self.note_forgotten(heard.forgot, self.tally.forgotten(), self.tally.sources());
        let key = Key { group, host: source.ip(), ssrc: packet.ssrc };
        let judged = self.tracker.hear(key, packet.number, packet.payload.len(), packet.timestamp, now);
        self.note_stream_forgotten(judged.forgot, now);
        self.filter(key, source, heard.flow, kind, &judged, packet.payload, now);
    }

    #[expect(clippy::too_many_arguments, reason = "a message has so many sides, and is told on the hot path")]
    fn filter(
        &mut self,
        key: Key,
        source: SocketAddr,
        flow: u64,
        kind: Kind,
        judged: &Judged<Key>,
        payload: &[u8],
        now: Time,
    ) {
        // People and ladders count from 1.
        let (number, verdict) = (judged.number.saturating_add(1), judged.verdict);
        match (self.filter, verdict) {
            (Filter::Dedupe | Filter::Ordered, Verdict::Duplicate) => {}
            (Filter::Ordered, _) => {
                let judged = Some((key, verdict));
                self.take_ordered(key, Told { source, flow, number, kind, judged, payload: payload.to_vec() }, now);
            }
            _ => self.tell_parts(source, flow, number, kind, Some((key, verdict)), payload, now),
        }
    }

    /// One that nobody would believe is kept until the next one says whether it was a stray, or the first of a new run.
    fn take_ordered(&mut self, key: Key, told: Told, now: Time) {
        match told.judged {
            Some((_, Verdict::Implausible | Verdict::Stale)) => {
                if self.suspects.len() < WAITING {
                    self.suspects.insert(key, told);
                }
            }
            Some((_, Verdict::InOrder | Verdict::Gap(_) | Verdict::Restarted)) => {
                let begins_anew = matches!(told.judged, Some((_, Verdict::Restarted)));
                let suspect = self.suspects.remove(&key);
                match suspect.filter(|suspect| suspect.number.checked_add(1) == Some(told.number)) {
                    Some(suspect) => {
                        self.put_in_order(key, suspect, begins_anew, now);
                        self.put_in_order(key, told, false, now);
                    }
                    None => self.put_in_order(key, told, begins_anew, now),
                }
            }
            _ => self.put_in_order(key, told, false, now),
        }
    }

    fn put_in_order(&mut self, key: Key, told: Told, begins_anew: bool, now: Time) {
        let order = self.waiting.entry(key).or_default();
        let mut due: Vec<Told> = Vec::new();
        let waited = order.waiting();
        if self.held >= WAITING || begins_anew {
            due.extend(order.rest());
            *order = Reorder::default();
        }
        order.push(told.number, told, now);
        due.extend(std::iter::from_fn(|| order.poll(now)));
        self.held = (self.held + order.waiting()).saturating_sub(waited);
        due.iter().for_each(|told| self.tell(told, now));
    }

    /// A datagram came on the port for reports.
    pub(super) fn handle_report(&mut self, group: usize, source: SocketAddr, bytes: &[u8], now: Time) {
        if self.is_stranger(group, source) {
            return;
        }
        let Ok(report) = Report::decode(bytes) else {
            self.foreign.reports += 1;
            return;
        };
        let key = Key { group, host: source.ip(), ssrc: report.ssrc };
        // A receiver's report tells nothing of what was sent, and its end is not that of a stream, unless we heard one.
        if report.totals.is_none() && !(report.bye && self.tracker.get(&key).is_some()) {
            return;
        }
        let forgot = self.tracker.report(key, &report, now);
        self.note_stream_forgotten(forgot, now);
    }

    fn note_forgotten(&self, forgot: Option<SocketAddr>, forgotten: u64, sources: usize) {
        if let (Some(forgot), 1) = (forgot, forgotten) {
            tracing::warn!(
                "more than {sources} sources: the one idle longest is forgotten, {forgot} first; their messages stay in the total"
            );
        }
    }

    fn note_stream_forgotten(&mut self, forgot: Option<Key>, now: Time) {
        let Some(forgot) = forgot else { return };
        self.suspects.remove(&forgot);
        // Those before them will not be waited for any more: their own turn is now.
        for told in self.waiting.remove(&forgot).iter_mut().flat_map(Reorder::rest) {
            self.held = self.held.saturating_sub(1);
            self.tell(&told, now);
        }
        if self.tracker.forgotten() == 1 {
            tracing::warn!(
                "more than {} streams of numbered messages: the one idle longest is followed no more, that of {} first",
                self.tracker.len(),
                forgot.host
            );
        }
    }

    fn tell(&self, told: &Told, now: Time) {
        let Told { source, flow, number, kind, judged, payload } = told;
        self.tell_parts(*source, *flow, *number, *kind, *judged, payload, now);
    }

    #[expect(clippy::too_many_arguments, reason = "a message has so many sides, and is told on the hot path")]
    fn tell_parts(
        &self,
        source: SocketAddr,
        flow: u64,
        number: u64,
        kind: Kind,
        judged: Option<(Key, Verdict)>,
        payload: &[u8],
        now: Time,
    ) {
        let name = || judged.and_then(|(key, _)| self.tracker.get(&key)?.name.as_deref());
        self.session.recorder.tell_in(flow, || Event::Received {
            peer: source.to_string(),
            what: kind.what().to_owned(),
            number: Some(number),
            bytes: u64::try_from(payload.len()).unwrap_or(u64::MAX),
            name: name().map(str::to_owned),
            elapsed_ns: None,
        });
        self.teller.tell(now, || {
            let (label, length, shown) = (kind.label(), payload.len(), payload::show(kind, payload));
            let Some((_, verdict)) = judged else {
                return format!("Received {label} from {source}, {length} bytes: {shown}");
            };
            let name = name().map(|name| format!("{} ", labkit::text::show(name.as_bytes(), 40))).unwrap_or_default();
            format!("Received {label} {number} from {name}{source}, {length} bytes: {shown}{}", note(verdict))
        });
    }

    fn tell_dropped(&self, source: SocketAddr, what: &str, bytes: usize) {
        self.session.recorder.tell(|| Event::Dropped {
            peer: source.to_string(),
            what: what.to_owned(),
            number: None,
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            cause: Cause::Foreign,
        });
    }
}

/// What the payload is: as the sender says, unless the bytes say otherwise.
fn kind_of(packet: &Packet<'_>) -> Kind {
    match packet.kind() {
        Some(Kind::Binary) => Kind::Binary,
        _ => payload::classify(packet.payload),
    }
}

/// What is worth saying of a message beside what it says itself.
fn note(verdict: Verdict) -> String {
    match verdict {
        Verdict::InOrder => String::new(),
        Verdict::Gap(1) => " [1 is missing before it]".to_owned(),
        Verdict::Gap(missing) => format!(" [{missing} are missing before it]"),
        Verdict::Late => " [late]".to_owned(),
        Verdict::Duplicate => " [again]".to_owned(),
        Verdict::Stale => " [too old to judge]".to_owned(),
        Verdict::Implausible => " [a number far ahead]".to_owned(),
        Verdict::Restarted => " [began anew]".to_owned(),
    }
}
