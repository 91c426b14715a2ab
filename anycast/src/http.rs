//! As much of HTTP/1.1 (RFC 9112) as stands behind a load balancer: requests without a body in, short answers out. Pure.

use std::fmt;

/// The longest head of a message taken, in bytes.
pub const LONGEST_HEAD: usize = 8 * 1024;

/// The most header fields taken.
const MOST_FIELDS: usize = 64;

/// A request whose head is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whether only the head of the answer is wanted.
    pub is_head: bool,
    /// The path, without what follows a question mark.
    pub path: String,
    /// Whether JSON is asked for.
    pub wants_json: bool,
    /// Whether the connection may serve another request.
    pub keeps_open: bool,
    /// How many bytes of what came it took.
    pub length: usize,
}

/// Why what came is no request that is served: the status it is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not HTTP, or a version of it that we do not speak.
    Malformed,
    /// Another method than GET and HEAD.
    Method,
    /// It brings a body.
    Body,
    /// A head beyond [`LONGEST_HEAD`] or with too many fields.
    TooLarge,
}

/// What an answer says about the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u16);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.0 {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            413 => "Content Too Large",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            _ => "Answer",
        };
        write!(f, "{} {reason}", self.0)
    }
}

impl Refused {
    /// The status that says so.
    #[must_use]
    pub fn status(self) -> Status {
        Status(match self {
            Refused::Malformed => 400,
            Refused::Method => 405,
            Refused::Body => 413,
            Refused::TooLarge => 431,
        })
    }
}

impl Request {
    /// Reads the request at the start of `bytes`; `None` while its head is not whole.
    ///
    /// # Errors
    /// When it never will be a request that is served.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Refused> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut parsed = httparse::Request::new(&mut fields);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length <= LONGEST_HEAD => length,
            Ok(httparse::Status::Partial) if bytes.len() < LONGEST_HEAD => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Refused::TooLarge),
            Err(_) => return Err(Refused::Malformed),
        };
        let field = |name: &str| parsed.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        let says = |name: &str, word: &str| {
            field(name).is_some_and(|field| String::from_utf8_lossy(field.value).to_lowercase().contains(word))
        };
        let is_head = match parsed.method {
            Some("GET") => false,
            Some("HEAD") => true,
            _ => return Err(Refused::Method),
        };
        let brings_body = field("Transfer-Encoding").is_some()
            || field("Content-Length").is_some_and(|field| field.value.trim_ascii() != b"0");
        if brings_body {
            return Err(Refused::Body);
        }
        // RFC 9112 section 3.2: a request of version 1.1 without Host is answered with 400.
        let is_1_1 = parsed.version == Some(1);
        if is_1_1 && field("Host").is_none() {
            return Err(Refused::Malformed);
        }
        let target = parsed.path.unwrap_or_default();
        Ok(Some(Request {
            is_head,
            path: target.split(['?', '#']).next().unwrap_or_default().to_owned(),
            wants_json: says("Accept", "application/json"),
            // RFC 9112 section 9.3.
            keeps_open: !says("Connection", "close") && (is_1_1 || says("Connection", "keep-alive")),
            length,
        }))
    }
}

/// An answer, ready to be sent.
#[must_use]
pub fn response(status: Status, body: &str, is_json: bool, is_head: bool, keeps_open: bool) -> Vec<u8> {
    let kind = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
    let connection = if keeps_open { "keep-alive" } else { "close" };
    let allow = if status.0 == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    let retry = if status.0 == 503 { "Retry-After: 1\r\n" } else { "" };
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: {connection}\r\n{allow}{retry}\r\n",
        body.len()
    )
    .into_bytes();
    if !is_head {
        bytes.extend_from_slice(body.as_bytes());
    }
    bytes
}

/// The request a client sends.
#[must_use]
pub fn request(path: &str, host: &str, keeps_open: bool) -> Vec<u8> {
    let connection = if keeps_open { "keep-alive" } else { "close" };
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nConnection: {connection}\r\n\r\n").into_bytes()
}

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// Its status.
    pub status: u16,
    /// How long its body is, where it says so.
    pub body: Option<u64>,
    /// Whether the connection may carry another request.
    pub keeps_open: bool,
    /// How many bytes of what came the head took.
    pub length: usize,
}

impl ResponseHead {
    /// Reads the head at the start of `bytes`; `None` while it is not whole.
    ///
    /// # Errors
    /// When it is not HTTP, or longer than [`LONGEST_HEAD`].
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut parsed = httparse::Response::new(&mut fields);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < LONGEST_HEAD => return Ok(None),
            Ok(httparse::Status::Partial) => return Err("the head of its answer never ends"),
            Err(_) => return Err("its answer is no HTTP"),
        };
        let field = |name: &str| {
            let found = parsed.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(found.value).ok()
        };
        let closes = field("Connection").is_some_and(|value| value.to_lowercase().contains("close"));
        Ok(Some(ResponseHead {
            status: parsed.code.unwrap_or_default(),
            body: field("Content-Length").and_then(|value| value.trim().parse().ok()),
            keeps_open: parsed.version == Some(1) && !closes,
            length,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Option<Request>, Refused> {
        Request::parse(text.as_bytes())
    }

    #[test]
    fn what_a_browser_and_a_load_balancer_ask_is_understood() {
        let get =
            parse("GET /health?x=1 HTTP/1.1\r\nHost: a\r\nAccept: text/html,application/json\r\n\r\nGET").unwrap();
        let get = get.unwrap();
        assert_eq!((get.path.as_str(), get.wants_json, get.keeps_open, get.is_head), ("/health", true, true, false));
        assert_eq!(
            get.length,
            "GET /health?x=1 HTTP/1.1\r\nHost: a\r\nAccept: text/html,application/json\r\n\r\n".len()
        );
        assert!(!parse("HEAD / HTTP/1.0\r\n\r\n").unwrap().unwrap().keeps_open);
        assert!(!parse("GET / HTTP/1.1\r\nhost: a\r\nconnection: Close\r\n\r\n").unwrap().unwrap().keeps_open);
        assert_eq!(parse("GET / HTT").unwrap(), None);
    }

    #[test]
    fn what_is_not_served_says_why() {
        for (text, refused) in [
            ("GET / HTTP/1.1\r\n\r\n", Refused::Malformed),
            ("\x16\x03\x01\x02\x00\x01\r\n", Refused::Malformed),
            ("GET / HTTP/9.9\r\nHost: a\r\n\r\n", Refused::Malformed),
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", Refused::Method),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", Refused::Body),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Refused::Body),
        ] {
            assert_eq!(parse(text), Err(refused), "{text}");
        }
        let long = format!("GET / HTTP/1.1\r\nHost: {}", "a".repeat(LONGEST_HEAD));
        assert_eq!(parse(&long), Err(Refused::TooLarge));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MOST_FIELDS + 1));
        assert_eq!(parse(&many), Err(Refused::TooLarge));
    }

    #[test]
    fn our_answers_are_read_back() {
        let bytes = response(Status(503), "draining\n", false, false, false);
        let head = ResponseHead::parse(&bytes).unwrap().unwrap();
        assert_eq!((head.status, head.body, head.keeps_open), (503, Some(9), false));
        assert_eq!(&bytes[head.length..], b"draining\n");
        assert!(Request::parse(&request("/", "a:80", true)).unwrap().unwrap().keeps_open);
        assert!(ResponseHead::parse(b"SSH-2.0-x\r\n").is_err());
        assert!(ResponseHead::parse(&[b"HTTP/1.1 200 OK\r\na: ".as_slice(), &[b'a'; LONGEST_HEAD]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Request::parse(&bytes);
            let _ = ResponseHead::parse(&bytes);
        }
    }
}
