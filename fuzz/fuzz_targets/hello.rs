//! Any bytes, in any pieces, are a message of Hello Internet or not, and a greeting or not; none is read past its limit.
#![no_main]

use std::pin::Pin;
use std::task::{Context, Poll};

use anycast::greeting::{self, Greeting, check_name};
use anycast::hello;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
}

/// The stream of a peer that writes so many bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl AsyncRead for Pieces<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let (now, later) = self.0.split_at(self.1.min(self.0.len()).min(buffer.remaining()));
        buffer.put_slice(now);
        self.0 = later;
        Poll::Ready(Ok(()))
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece, bytes)) = bytes.split_first() else { return };
    let piece = usize::from(piece).max(1);
    RUNTIME.with(|runtime| runtime.block_on(messages(bytes, piece)));

    for language in [hello::language(bytes), hello::answering(bytes, "Rust")].into_iter().flatten() {
        assert!(!language.is_empty() && !language.chars().any(char::is_control));
        let said = [hello::goodbye(language, Some("Rust")), hello::goodbye(language, None)];
        assert!(said.iter().all(|said| hello::answering(said.as_bytes(), "Rust") == Some(language)));
    }
});

async fn messages(bytes: &[u8], piece: usize) {
    let message = hello::read_message(&mut Pieces(bytes, piece)).await.expect("this stream does not break");
    assert_eq!(message, &bytes[..bytes.len().min(hello::LONGEST)]);
    let mut answer = Vec::new();
    hello::read_to_end(&mut Pieces(bytes, piece), &mut answer).await.expect("this stream does not break");
    assert_eq!(answer, message);

    if let Ok(greeting) = Greeting::read(&mut Pieces(bytes, piece)).await {
        assert!(greeting.line.len() <= greeting::LONGEST && !greeting.line.contains(&b'\n'));
        assert!(!greeting.shown().chars().any(char::is_control));
        assert!(greeting.answer().is_none_or(|answer| check_name(&answer.name).is_ok()));
    }
}
