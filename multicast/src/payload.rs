//! What a raw datagram carries: the three payloads of the lab, and how a receiver tells them apart again.

use labkit::text;
use serde::Serialize;
use serde::de::IgnoredAny;

/// The most bytes an IPv4 datagram carries: 65,535 less 20 of IPv4 header and 8 of UDP (RFC 791, RFC 768).
pub const LONGEST_V4: usize = 65_507;
/// The most bytes an IPv6 datagram carries: its length field leaves the IPv6 header out (RFC 8200 section 3).
pub const LONGEST_V6: usize = 65_527;
/// How many random bytes the third payload has.
pub const RANDOM_BYTES: usize = 16;

/// How much of a text is shown, in characters.
const SHOWN_TEXT: usize = 200;
/// How much of a binary payload is shown, in bytes.
const SHOWN_BINARY: usize = 32;

/// What a payload is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Text that can be printed.
    Text,
    /// A JSON object or array.
    Json,
    /// Anything else.
    Binary,
}

impl Kind {
    /// As people write it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Json => "JSON",
            Kind::Binary => "binary",
        }
    }

    /// As events write it.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Json => "json",
            Kind::Binary => "binary",
        }
    }
}

/// One datagram to send, and what the sender means by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// Its bytes, sent as they are: no header, no length.
    pub bytes: Vec<u8>,
}

impl Message {
    /// The greeting every sender sends: `Hello, this is a multicast message from NAME.`
    #[must_use]
    pub fn greeting(name: &str) -> Self {
        Message::text(format!("Hello, this is a multicast message from {name}."))
    }

    /// One reading of a sensor: `{"sensor": "temp", "value": 22.29}`, spaced as Python writes it; `value` is a JSON
    /// number and stays as it was typed.
    #[must_use]
    pub fn reading(sensor: &str, value: &str) -> Self {
        let sensor = serde_json::Value::from(sensor);
        Message { kind: Kind::Json, bytes: format!(r#"{{"sensor": {sensor}, "value": {value}}}"#).into_bytes() }
    }

    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Message { kind: Kind::Text, bytes: text.into().into_bytes() }
    }

    /// Bytes with no meaning of their own.
    #[must_use]
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Message { kind: Kind::Binary, bytes: bytes.into() }
    }

    /// A JSON object or array, sent as it was typed.
    ///
    /// # Errors
    /// When it is no JSON, or a lone number, string, boolean or null: nobody could tell that from text.
    pub fn json(value: &str) -> Result<Self, String> {
        serde_json::from_str::<IgnoredAny>(value).map_err(|error| format!("it is no JSON: {error}"))?;
        match classify(value.as_bytes()) {
            Kind::Json => Ok(Message { kind: Kind::Json, bytes: value.as_bytes().to_vec() }),
            _ => {
                Err("a lone JSON value cannot be told from text: make it an object or array, or send it as text".into())
            }
        }
    }

    /// A payload of which only the bytes are known.
    #[must_use]
    pub fn guess(bytes: Vec<u8>) -> Self {
        Message { kind: classify(&bytes), bytes }
    }
}

/// What `payload` is taken for. Raw datagrams carry no label, so this is a guess from the bytes alone: a JSON object or
/// array is JSON, printable UTF-8 (with tabs and line ends) is text, and so is nothing at all; the rest is binary.
#[must_use]
pub fn classify(payload: &[u8]) -> Kind {
    let Ok(text) = std::str::from_utf8(payload) else { return Kind::Binary };
    // The parser skips what it reads: no memory is taken and no depth is too deep.
    let looks_like_json = text.trim_start().starts_with(['{', '[']);
    if looks_like_json && serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return Kind::Json;
    }
    let printable = text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'));
    if printable { Kind::Text } else { Kind::Binary }
}

/// `payload` on one line, cut to a length people read and safe for their terminal.
#[must_use]
pub fn show(kind: Kind, payload: &[u8]) -> String {
    match kind {
        _ if payload.is_empty() => "(empty)".to_owned(),
        Kind::Text | Kind::Json => text::show(payload, SHOWN_TEXT),
        Kind::Binary => text::hex(payload, SHOWN_BINARY),
    }
}

/// How many IP packets a payload of `bytes` becomes on a link of `mtu` bytes: 1 where it fits, `None` where the MTU is
/// below what IP allows.
///
/// Fragments but the last carry a multiple of 8 bytes (RFC 791 section 3.2, RFC 8200 section 4.5).
#[must_use]
pub fn fragments(bytes: usize, mtu: usize, is_v6: bool) -> Option<usize> {
    let (header, fragment_header) = if is_v6 { (40, 8) } else { (20, 0) };
    let datagram = bytes.checked_add(8)?;
    if datagram <= mtu.checked_sub(header)? {
        return Some(1);
    }
    let room = mtu.checked_sub(header + fragment_header)? / 8 * 8;
    (room > 0).then(|| datagram.div_ceil(room))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_classic_payloads_are_right_to_the_byte() {
        assert_eq!(Message::greeting("sender1").bytes, b"Hello, this is a multicast message from sender1.");
        assert_eq!(Message::reading("temp", "22.29").bytes, br#"{"sensor": "temp", "value": 22.29}"#);
        assert_eq!(Message::reading("humidity", "22.29").bytes, br#"{"sensor": "humidity", "value": 22.29}"#);
        assert_eq!(Message::reading("a\"b", "-1e3").bytes, br#"{"sensor": "a\"b", "value": -1e3}"#);
    }

    #[test]
    fn a_receiver_tells_them_apart() {
        for (payload, kind) in [
            (&b"Hello, this is a multicast message from sender1."[..], Kind::Text),
            (br#"{"sensor": "temp", "value": 22.29}"#, Kind::Json),
            (b" [1, 2]\n", Kind::Json),
            ("Grüße\tan alle ✓\r\n".as_bytes(), Kind::Text),
            (b"", Kind::Text),
            (b"42", Kind::Text),
            (b"\"quoted\"", Kind::Text),
            (br#"{"cut": "#, Kind::Text),
            (br#"{"a": 1} trailing"#, Kind::Text),
            (b"bell\x07", Kind::Binary),
            (b"\xff\xfe", Kind::Binary),
            (b"{\"a\": \"\xc3\"}", Kind::Binary),
            (&[0; 16], Kind::Binary),
        ] {
            assert_eq!(classify(payload), kind, "{}", payload.escape_ascii());
        }
    }

    #[test]
    fn the_deepest_json_a_datagram_can_hold_is_read_without_harm() {
        let deep = [vec![b'['; LONGEST_V4 / 2], vec![b']'; LONGEST_V4 / 2]].concat();
        assert_eq!(classify(&deep), Kind::Json);
        assert_eq!(classify(&vec![b'['; LONGEST_V4]), Kind::Text);
    }

    #[test]
    fn json_to_send_is_checked_and_left_as_typed() {
        assert_eq!(Message::json("{ \"a\":1.0 }").unwrap().bytes, b"{ \"a\":1.0 }");
        for text in ["", "{", "nonsense", "{'a': 1}", "42", "null", "\"a\"", "{} {}", "[NaN]"] {
            assert!(Message::json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fragments_as_ip_makes_them() {
        for (bytes, mtu, is_v6, expected) in [
            (1472, 1500, false, Some(1)),
            (1473, 1500, false, Some(2)),
            (4000, 1500, false, Some(3)),
            (LONGEST_V4, 1500, false, Some(45)),
            (LONGEST_V4, 65_536, false, Some(1)),
            (1452, 1500, true, Some(1)),
            (1453, 1500, true, Some(2)),
            (0, 68, false, Some(1)),
            (100, 20, false, None),
            (100, 0, true, None),
            (usize::MAX, 1500, false, None),
        ] {
            assert_eq!(fragments(bytes, mtu, is_v6), expected, "{bytes} bytes at {mtu}");
        }
    }

    #[test]
    fn nothing_a_stranger_sends_reaches_the_terminal_raw() {
        assert_eq!(show(Kind::Text, b"a\nb\x1b"), "a\\nb\\u{1b}");
        assert_eq!(show(Kind::Binary, &[0x1b, 0xff]), "1b ff");
        assert_eq!(show(Kind::Text, b""), "(empty)");
        assert!(show(Kind::Text, &[b'a'; LONGEST_V4]).len() < 300);
    }

    proptest! {
        #[test]
        fn any_bytes_are_classified_and_shown(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let shown = show(classify(&bytes), &bytes);
            prop_assert!(!shown.chars().any(char::is_control));
        }

        #[test]
        fn any_printable_text_is_text_or_json(text in "\\PC*") {
            prop_assert_ne!(classify(text.as_bytes()), Kind::Binary);
        }
    }
}
