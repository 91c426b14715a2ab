//! A TCP stream that the reactor hears of only when somebody has to wait for it. A connection that lives for one question
//! often never has to, and what it would cost to watch it is a good part of what it costs at all.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use nix::errno::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop;

/// A connection, its end of it.
#[derive(Debug)]
pub struct Stream(State);

#[derive(Debug)]
enum State {
    /// Non-blocking, and unknown to the reactor.
    Fresh(std::net::TcpStream),
    /// Somebody waited for it once.
    Watched(TcpStream),
    /// It could not be watched, and is closed.
    Lost,
}

impl Stream {
    /// A connection that was accepted.
    ///
    /// # Errors
    /// When it cannot be made non-blocking.
    pub fn accepted(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Stream(State::Fresh(stream)))
    }

    /// Connects to `address`, from `source` where one is given.
    ///
    /// # Errors
    /// What the system says: refused, unreachable, timed out, no descriptor left.
    pub async fn connect(address: SocketAddr, source: Option<SocketAddr>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        if let Some(source) = source {
            // The port may still be known from the last connection that came from it.
            socket.set_reuse_address(true)?;
            socket.bind(&source.into())?;
        }
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => return Err(error),
            _ => {}
        }
        let stream: std::net::TcpStream = socket.into();
        // On loopback it is made before the call returns, whatever the call says.
        if stream.peer_addr().is_ok() {
            return Ok(Stream(State::Fresh(stream)));
        }
        let stream = TcpStream::from_std(stream)?;
        stream.writable().await?;
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(Stream(State::Watched(stream))),
        }
    }

    /// The address at our end.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.socket()?.local_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// The socket, to set its options.
    ///
    /// # Errors
    /// When it is closed, because it could not be watched.
    pub fn socket(&self) -> io::Result<SockRef<'_>> {
        match &self.0 {
            State::Fresh(stream) => Ok(SockRef::from(stream)),
            State::Watched(stream) => Ok(SockRef::from(stream)),
            State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Tells the reactor now, because we shall have to wait: trying first would be in vain.
    ///
    /// # Errors
    /// When the system has no room for one more.
    pub fn watch(&mut self) -> io::Result<()> {
        self.watched().map(drop)
    }

    fn watched(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if let State::Fresh(_) = self.0
            && let State::Fresh(stream) = std::mem::replace(&mut self.0, State::Lost)
        {
            self.0 = State::Watched(TcpStream::from_std(stream)?);
        }
        match &mut self.0 {
            State::Watched(stream) => Ok(Pin::new(stream)),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// What `attempt` gives at once; `None` where that would mean to wait, or the reactor knows us already.
    fn at_once<T>(&self, attempt: impl FnOnce(&std::net::TcpStream) -> io::Result<T>) -> Option<io::Result<T>> {
        let State::Fresh(stream) = &self.0 else { return None };
        Some(attempt(stream)).filter(|done| !matches!(done, Err(error) if error.kind() == io::ErrorKind::WouldBlock))
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let State::Fresh(_) = self.0 {
            // As the runtime's own stream: a peer whose bytes never run dry keeps no thread for itself.
            let turn = ready!(coop::poll_proceed(cx));
            let room = buffer.initialize_unfilled();
            if let Some(done) = self.at_once(|mut stream| stream.read(room)) {
                turn.made_progress();
                return Poll::Ready(done.map(|read| buffer.advance(read)));
            }
        }
        self.watched()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let State::Fresh(_) = self.0 {
            let turn = ready!(coop::poll_proceed(cx));
            if let Some(done) = self.at_once(|mut stream| stream.write(bytes)) {
                turn.made_progress();
                return Poll::Ready(done);
            }
        }
        self.watched()?.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // TCP keeps nothing back that flushing would send.
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.at_once(|stream| stream.shutdown(Shutdown::Write)) {
            // As the runtime's own stream has it: who was reset meanwhile need not be told that nothing more comes.
            Some(Err(error)) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            Some(done) => Poll::Ready(done),
            None => self.watched()?.poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn pair() -> (Stream, Stream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ours = Stream::connect(listener.local_addr().unwrap(), None).await.unwrap();
        (ours, Stream::accepted(listener.accept().unwrap().0).unwrap())
    }

    fn is_watched(stream: &Stream) -> bool {
        matches!(stream.0, State::Watched(_))
    }

    #[tokio::test]
    async fn what_is_there_at_once_is_had_without_being_watched() {
        let (mut ours, mut theirs) = pair().await;
        ours.write_all(b"question").await.unwrap();
        let mut question = [0; 8];
        theirs.read_exact(&mut question).await.unwrap();
        theirs.write_all(b"answer").await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut answer = String::new();
        ours.read_to_string(&mut answer).await.unwrap();
        assert_eq!((&question, answer.as_str()), (b"question", "answer"));
        assert!(!is_watched(&ours) && !is_watched(&theirs));
    }

    #[tokio::test]
    async fn whose_bytes_never_run_dry_lets_others_have_their_turn() {
        let (mut ours, mut theirs) = pair().await;
        ours.write_all(&vec![b'x'; 100_000]).await.unwrap();
        let others = tokio::spawn(async {});
        for _ in 0..100_000 {
            theirs.read_u8().await.unwrap();
            if others.is_finished() {
                return;
            }
        }
        panic!("whoever reads what is there is never interrupted");
    }

    #[tokio::test]
    async fn who_has_to_wait_is_watched_and_woken() {
        let (mut ours, mut theirs) = pair().await;
        let flood = vec![b'x'; 32 << 20];
        let (wrote, read) = tokio::join!(async { ours.write_all(&flood).await.map(|()| drop(ours)) }, async {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.map(|_| all.len())
        });
        wrote.unwrap();
        assert_eq!(read.unwrap(), 32 << 20);
        assert!(is_watched(&theirs));
    }

    #[tokio::test]
    async fn nobody_there_is_refused() {
        let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        bound.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = bound.local_addr().unwrap().as_socket().unwrap();
        let error = Stream::connect(address, None).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
