//! Any bytes are a request or a reason, and an answer or a reason; what is read is as long as it says, and no longer.
#![no_main]

use anycast::answer::Answer;
use anycast::http::{LONGEST_HEAD, Request, ResponseHead, Status, response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(request)) = Request::parse(bytes) {
        let length = request.length;
        assert!(length <= bytes.len().min(LONGEST_HEAD));
        assert!(!request.path.chars().any(|c| c.is_ascii_control() || c == '?'));
        assert_eq!(Request::parse(&bytes[..length - 1]), Ok(None), "its last byte is what makes it whole");
        assert_eq!(Request::parse(&bytes[..length]), Ok(Some(request)), "what follows changes nothing");
    }
    if let Ok(Some(head)) = ResponseHead::parse(bytes) {
        assert!(head.length <= bytes.len().min(LONGEST_HEAD));
        assert_eq!(ResponseHead::parse(&bytes[..head.length]), Ok(Some(head)), "what follows changes nothing");
        let _ = Answer::parse(&bytes[head.length..]);
    }
    // What we answer with these bytes in it is read back as it was meant, whatever they are.
    let body = String::from_utf8_lossy(bytes);
    let answer = response(Status(200), &body, false, false, true);
    let head = ResponseHead::parse(&answer).expect("ours is HTTP").expect("and whole");
    assert_eq!((head.status, head.body, head.keeps_open), (200, Some(body.len() as u64), true));
    assert_eq!(&answer[head.length..], body.as_bytes());
});
