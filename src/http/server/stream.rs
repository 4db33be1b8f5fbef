//! A client's stream whose writes fail once the client has taken nothing for too long, and whose first byte can be looked at.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The stream of a client.
#[derive(Debug)]
pub(super) struct ClientStream<S> {
    stream: S,
    /// Read, and not yet given to the reader.
    first: Option<u8>,
    /// How long a write may wait.
    patience: Duration,
    /// Since a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ClientStream<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, first: None, patience, stalled: None }
    }

    /// The first byte, which stays to be read; `None` at the end.
    pub(super) async fn first(&mut self) -> io::Result<Option<u8>> {
        if self.first.is_none() {
            let mut byte = [0];
            self.first = (self.stream.read(&mut byte).await? == 1).then_some(byte[0]);
        }
        Ok(self.first)
    }

    fn while_patient<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let outcome = write(Pin::new(&mut self.stream), cx);
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client does not read its answer")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buf.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.while_patient(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.while_patient(cx, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.while_patient(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.while_patient(cx, AsyncWrite::poll_shutdown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn a_write_fails_once_nothing_was_taken_for_long_and_not_while_a_little_is() {
        let (client, mut other) = duplex(4);
        let mut watched = ClientStream::new(client, PATIENCE);
        let reads = tokio::spawn(async move {
            let mut four = [0; 4];
            for _ in 0..3 {
                sleep(PATIENCE - Duration::from_secs(1)).await;
                other.read_exact(&mut four).await.unwrap();
            }
            other
        });
        // Longer than the patience in all, and never for as long at a time.
        watched.write_all(&[7; 16]).await.unwrap();
        let _stays_open = reads.await.unwrap();
        let error = watched.write_all(&[7; 16]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn the_first_byte_is_looked_at_and_still_read() {
        let (client, mut other) = duplex(64);
        other.write_all(b"GET /").await.unwrap();
        drop(other);
        let mut watched = ClientStream::new(client, PATIENCE);
        assert_eq!(watched.first().await.unwrap(), Some(b'G'));
        assert_eq!(watched.first().await.unwrap(), Some(b'G'));
        let mut text = String::new();
        watched.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "GET /");
        assert_eq!(watched.first().await.unwrap(), None);
    }
}
