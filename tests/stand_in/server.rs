//! The listener: HTTP/1.1 by hyper, and the ways in which a connection can fail.

use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use super::pipeline::{self, Delivery, End};
use super::state::State;

/// The most that is read of a request's body; every service's own limit is lower.
const LARGEST_READ: usize = 4 << 20;

/// A request as received.
pub(super) struct Incoming {
    pub(super) method: String,
    pub(super) path: String,
    /// Raw, without the question mark.
    pub(super) query: String,
    /// Lower-case names, in the order of arrival.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Incoming {
    /// The first header called `name` (lower case).
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An answer as sent.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Every answer has a request id; its value does not matter.
    pub(super) const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

    pub(super) fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        let headers = vec![
            ("content-type", content_type.to_owned()),
            ("x-amzn-requestid", Self::REQUEST_ID.to_owned()),
        ];
        Self { status, headers, body }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Accepts connections until `stopped` resolves, which it also does when its sender is dropped.
pub(super) async fn serve(
    listener: TcpListener,
    state: Arc<Mutex<State>>,
    mut stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let accepted = tokio::select! {
            _ = &mut stopped => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, Arc::clone(&state)))),
            // Out of file descriptors, or a peer that is gone: the next accept may succeed, but not at once.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: tokio::net::TcpStream, state: Arc<Mutex<State>>) {
    // A second handle on the socket, for requesting a reset while hyper holds the first.
    let Ok(handle) = stream.as_fd().try_clone_to_owned().map(socket2::Socket::from) else { return };
    let handle = Arc::new(handle);
    let service = service_fn(move |request| answer(request, Arc::clone(&state), Arc::clone(&handle)));
    // An error here is a connection that ended early: by us on purpose, or by the client.
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(
    request: hyper::Request<hyper::body::Incoming>,
    state: Arc<Mutex<State>>,
    handle: Arc<socket2::Socket>,
) -> io::Result<hyper::Response<Sent>> {
    let request = read(request).await?;
    let Delivery { delay, end } = pipeline::respond(&state, &request);
    if delay > 0.0 {
        tokio::time::sleep(Duration::try_from_secs_f64(delay).unwrap_or(Duration::MAX)).await;
    }
    let (reply, cut) = match end {
        End::Whole(reply) => (reply, false),
        End::Cut(reply) => (reply, true),
        End::Closed => return Err(io::Error::other("closed without an answer")),
        End::Reset => {
            // Closing with no time to linger sends RST.
            handle.set_linger(Some(Duration::ZERO))?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    };
    let mut response = hyper::Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Sent::new(reply.body, cut)).map_err(io::Error::other)
}

async fn read(request: hyper::Request<hyper::body::Incoming>) -> io::Result<Incoming> {
    let (parts, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > LARGEST_READ {
            return Err(io::Error::other("a body beyond every limit"));
        }
    }
    let headers = parts.headers.iter();
    let headers = headers.map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    Ok(Incoming {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: bytes,
    })
}

/// A body that can break off half way through its `Content-Length`.
struct Sent {
    length: u64,
    data: Option<Bytes>,
    cut: bool,
    flushed: bool,
}

impl Sent {
    fn new(body: Vec<u8>, cut: bool) -> Self {
        let mut data = Bytes::from(body);
        let length = data.len() as u64;
        if cut {
            data.truncate(data.len() / 2);
        }
        Self { length, data: Some(data), cut, flushed: false }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.cut && !self.flushed {
            // hyper flushes its buffer when a body is not ready, but not when it fails.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.cut.then(|| Err(io::Error::other("cut off on purpose"))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
