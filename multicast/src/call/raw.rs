//! Clients of system E as it was: raw lines from an address, with a number by order of appearance.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How many are remembered; then the one idle longest is forgotten.
const CLIENTS: usize = 1_000;

/// Everybody who sent a raw line.
#[derive(Clone, Debug, Default)]
pub(super) struct RawClients {
    rows: BTreeMap<SocketAddr, Raw>,
    /// Counts lines, so that it is known who was idle longest.
    turn: u64,
    /// How many were given a number.
    numbered: u64,
    forgotten: u64,
}

#[derive(Clone, Debug)]
struct Raw {
    name: Vec<u8>,
    turn: u64,
    /// Bytes that came from there and were not answered yet.
    credit: u64,
}

impl RawClients {
    /// A line came. `is_free` says whether a name is nobody else's. Gives how the client is called, and its line.
    ///
    /// A line that begins with `Client 7: ` says its number itself, as some clients of the original do.
    pub(super) fn hear<'a>(
        &mut self,
        from: SocketAddr,
        line: &'a [u8],
        is_free: impl Fn(&[u8]) -> bool,
    ) -> (Vec<u8>, &'a [u8]) {
        self.turn += 1;
        if !self.rows.contains_key(&from) {
            self.make_room();
            let name = self.next_number(&is_free);
            self.rows.insert(from, Raw { name, turn: 0, credit: 0 });
        }
        let own = own_number(line).filter(|(name, _)| is_free(name) && self.find(name).is_none_or(|one| one == from));
        let Some(raw) = self.rows.get_mut(&from) else { return (Vec::new(), line) };
        raw.turn = self.turn;
        raw.credit = raw.credit.saturating_add(line.len() as u64);
        let Some((name, text)) = own else { return (raw.name.clone(), line) };
        raw.name = name.to_vec();
        (raw.name.clone(), text)
    }

    fn next_number(&mut self, is_free: &impl Fn(&[u8]) -> bool) -> Vec<u8> {
        loop {
            self.numbered += 1;
            let name = self.numbered.to_string().into_bytes();
            if is_free(&name) && self.find(&name).is_none() {
                return name;
            }
        }
    }

    /// Whether `bytes` may be sent there. An address has proved nothing by sending: it gets no more than came from it,
    /// unless it is this machine or everybody is trusted.
    pub(super) fn spend(&mut self, to: SocketAddr, bytes: usize, trusted: bool) -> bool {
        let Some(raw) = self.rows.get_mut(&to) else { return false };
        if trusted || to.ip().is_loopback() {
            return true;
        }
        match raw.credit.checked_sub(bytes as u64) {
            Some(left) => {
                raw.credit = left;
                true
            }
            None => false,
        }
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<SocketAddr> {
        self.rows.iter().find(|(_, row)| row.name == name).map(|(address, _)| *address)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.rows.iter().map(|(address, row)| (*address, row.name.as_slice()))
    }

    /// How many were forgotten.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn make_room(&mut self) {
        while self.rows.len() >= CLIENTS {
            let Some(idle) = self.rows.iter().min_by_key(|(_, row)| row.turn).map(|(address, _)| *address) else {
                return;
            };
            self.rows.remove(&idle);
            self.forgotten += 1;
        }
    }
}

/// `Client 7: text` as `7` and `text`.
fn own_number(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.strip_prefix(b"Client ")?;
    let digits = rest.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = rest.split_at_checked(digits)?;
    let text = rest.strip_prefix(b": ")?;
    (digits > 0).then_some((number, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u32) -> SocketAddr {
        (std::net::Ipv4Addr::from(0xc000_0200 + last), 9).into()
    }

    #[test]
    fn each_address_has_a_number_that_is_nobody_elses_name() {
        let mut raw = RawClients::default();
        let is_free = |name: &[u8]| name != b"2";
        let mut name = |last, line: &'static str| {
            let (name, text) = raw.hear(address(last), line.as_bytes(), is_free);
            (String::from_utf8(name).unwrap(), std::str::from_utf8(text).unwrap())
        };
        assert_eq!(name(1, "a"), ("1".into(), "a"));
        assert_eq!(name(2, "b"), ("3".into(), "b"));
        assert_eq!(name(1, "Client 7: c"), ("7".into(), "c"), "it says its own number");
        assert_eq!(name(1, "d"), ("7".into(), "d"), "and is called so from there on");
        assert_eq!(name(2, "Client 7: e"), ("3".into(), "Client 7: e"), "which is somebody else's");
        assert_eq!(name(2, "Client x: e"), ("3".into(), "Client x: e"));
        assert_eq!(raw.find(b"3"), Some(address(2)));
    }

    #[test]
    fn a_stranger_far_away_gets_no_more_than_it_sent() {
        let mut raw = RawClients::default();
        raw.hear(address(1), &[0; 10], |_| true);
        assert!(raw.spend(address(1), 6, false) && !raw.spend(address(1), 6, false));
        assert!(raw.spend(address(1), 4, false) && raw.spend(address(1), 9_999, true));
        assert!(!raw.spend(address(2), 0, true), "nobody we know");
    }

    #[test]
    fn memory_is_bounded_and_the_one_idle_longest_goes() {
        let mut raw = RawClients::default();
        for last in 0..1_001 {
            raw.hear(address(last), b"x", |_| true);
            raw.hear(address(0), b"x", |_| true);
        }
        assert_eq!((raw.rows.len(), raw.forgotten()), (CLIENTS, 1));
        assert!(raw.rows.contains_key(&address(0)) && !raw.rows.contains_key(&address(1)));
    }
}
