//! Serves within limits: clients that hang, even all that there may be, must not exhaust memory or keep others from their answers.
//!
//! | limit | where |
//! |---|---|
//! | the numbers | `limits` |
//! | connections at a time, in all and of one address, and who is dropped for another | `slots` |
//! | large answers in memory at a time | `turns` |
//! | a client that takes nothing | `stream` |
//!
//! One task accepts, one task per connection answers. Dropping [`serve`]'s future ends them all.

mod limits;
mod slots;
mod stream;
mod turns;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{self, Sleep};
use tokio_rustls::TlsAcceptor;

use self::slots::{ConnectionState, LongLivedSlot, LongLivedSlots, Slots, Taken, lock};
use self::stream::ClientStream;
use self::turns::{SMALL, Turn, Turns};
use super::listener::{Caller, Listener};
use super::long_lived::LongLived;
use super::protection::Protection;
use super::routes::App;
use super::text::text;
use super::token;
use crate::catalogue::parts::Detail;
use crate::clock;

pub use self::limits::Limits;

/// The pause after accept failed, usually for lack of file descriptors: without it this would be a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Requests have short heads. What adds a silence has a body, for which its route has a limit.
const READ_BUFFER: usize = 16 * 1024;

/// Serves until `shutdown` completes. Then it accepts no more connections, and open ones may finish within the limits. Each
/// connection is protected as `protection` says when it begins.
pub async fn serve<L: Listener>(
    listener: L,
    app: App,
    protection: watch::Receiver<Protection>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let mut slots = Slots { limits, taken: Vec::new() };
    let (ending, ends) = watch::channel(());
    let turns = Arc::new(Turns::new(limits.large));
    let shared = Shared { app, protection, limits, turns, long_lived: Arc::default() };
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match stream {
            Ok((stream, peer)) => {
                if slots.make_room_for(peer.address) {
                    let connection = Connection::new(shared.clone(), peer.caller);
                    let state = Arc::clone(&connection.state);
                    let task = connections.spawn(connection.serve(stream, ends.clone()));
                    slots.taken.push(Taken { peer: peer.address, state, task });
                } else if shared.protection.borrow().tls.is_none() {
                    turn_away::<L>(&stream);
                }
            }
            Err(error) => {
                Detail::CannotAccept(L::KIND, &error).record().emit();
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drop(ending);
    let ended = async { while connections.join_next().await.is_some() {} };
    _ = time::timeout(limits.ending, ended).await;
}

/// What all connections of a listener share.
#[derive(Debug, Clone)]
struct Shared {
    app: App,
    protection: watch::Receiver<Protection>,
    limits: Limits,
    turns: Arc<Turns>,
    long_lived: Arc<LongLivedSlots>,
}

/// One connection, which carries one request.
struct Connection {
    shared: Shared,
    caller: Caller,
    state: Arc<Mutex<ConnectionState>>,
    /// What its answer occupies, until the connection ends.
    held: Arc<Mutex<Option<Held>>>,
    /// Its answer is large and ready.
    large: Arc<Notify>,
    /// It has to end: another takes its place.
    leave: Arc<Notify>,
}

/// Until when a connection must have come to this.
#[derive(Debug)]
struct Deadlines {
    /// Its request's head has arrived.
    head: Pin<Box<Sleep>>,
    /// It has ended.
    whole: Pin<Box<Sleep>>,
}

/// What an answer occupies until it is dropped.
enum Held {
    Turn(#[expect(dead_code, reason = "only its drop counts")] Turn),
    LongLived(#[expect(dead_code, reason = "only its drop counts")] LongLivedSlot),
}

impl Connection {
    fn new(shared: Shared, caller: Caller) -> Self {
        Self {
            shared,
            caller,
            state: Arc::default(),
            held: Arc::default(),
            large: Arc::default(),
            leave: Arc::default(),
        }
    }

    async fn serve<S>(self, stream: S, mut ends: watch::Receiver<()>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Limits { header, connection, stalled, .. } = self.shared.limits;
        let mut deadlines =
            Deadlines { head: Box::pin(time::sleep(header)), whole: Box::pin(time::sleep(connection)) };
        let stream = ClientStream::new(stream, stalled);
        let tls = self.shared.protection.borrow().tls.clone();
        let Some(tls) = tls else { return self.converse(stream, deadlines, ends).await };
        let secured = tokio::select! {
            secured = secured(stream, TlsAcceptor::from(tls.config)) => secured,
            () = &mut deadlines.head => return,
            _ = ends.changed() => return,
        };
        match secured {
            Ok(Some(stream)) => self.converse(stream, deadlines, ends).await,
            Ok(None) => {}
            Err(error) => Detail::HttpClientLeft(&error).record().emit(),
        }
    }

    async fn converse<S>(&self, stream: S, mut deadlines: Deadlines, mut ends: watch::Receiver<()>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request| self.answer(request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.shared.limits.header)
            .max_buf_size(READ_BUFFER)
            // A scrape per minute gains nothing from keep-alive, and an idle connection would hold a slot.
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let gives_way = self.gives_way();
        tokio::pin!(gives_way);
        let (mut head_due, mut whole_due, mut ending) = (true, true, false);
        loop {
            tokio::select! {
                served = &mut connection => {
                    if let Err(error) = served {
                        Detail::HttpClientLeft(&error).record().emit();
                    }
                    return;
                }
                () = &mut deadlines.head, if head_due => {
                    if self.is(ConnectionState::Silent) {
                        return;
                    }
                    head_due = false;
                }
                () = &mut deadlines.whole, if whole_due => {
                    if !self.is(ConnectionState::LongLived) {
                        return;
                    }
                    whole_due = false;
                }
                () = &mut gives_way => return,
                _ = ends.changed(), if !ending => {
                    if self.is(ConnectionState::LongLived) {
                        return;
                    }
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    fn is(&self, state: ConnectionState) -> bool {
        *lock(&self.state) == state
    }

    /// Completes when the connection has to end for another: its slot is needed, or its answer has waited to be read for long and
    /// its turn is needed.
    async fn gives_way(&self) {
        let slow = async {
            self.large.notified().await;
            time::sleep(self.shared.limits.answer).await;
            self.shared.turns.wanted().await;
            *lock(&self.held) = None;
        };
        tokio::select! {
            () = self.leave.notified() => {}
            () = slow => {}
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response, Infallible> {
        *lock(&self.state) = ConnectionState::Asked;
        let Shared { app, protection, limits, turns, long_lived } = &self.shared;
        if !protection.borrow().admits(request.uri().path(), request.headers()) {
            *lock(&self.state) = ConnectionState::Answered(clock::now().mono);
            return Ok(token::refusal());
        }
        let mut turn = None;
        if may_be_large(&request) {
            turn = turns.take(limits.turn).await;
            if turn.is_none() {
                *lock(&self.state) = ConnectionState::Answered(clock::now().mono);
                return Ok(busy());
            }
        }
        let answer = app.answer(request, self.caller).await?;
        if answer.extensions().get::<LongLived>().is_some() {
            let slot = long_lived.enter(&self.leave, limits.long_lived);
            *lock(&self.held) = Some(Held::LongLived(slot));
            *lock(&self.state) = ConnectionState::LongLived;
            return Ok(answer);
        }
        // A streamed body has no size, and is made as it is read.
        let is_large = answer.body().size_hint().exact().is_some_and(|size| size > SMALL);
        if let Some(turn) = turn.filter(|_| is_large) {
            *lock(&self.held) = Some(Held::Turn(turn));
            self.large.notify_one();
        }
        *lock(&self.state) = ConnectionState::Answered(clock::now().mono);
        Ok(answer)
    }
}

/// The first byte of a TLS connection: a handshake record (RFC 8446, 5.1). No HTTP request begins with it.
const HANDSHAKE: u8 = 0x16;

/// The stream in TLS; `None` if the client does not speak it, and has been answered.
async fn secured<S>(
    mut stream: ClientStream<S>,
    acceptor: TlsAcceptor,
) -> io::Result<Option<impl AsyncRead + AsyncWrite + Unpin + Send>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    const HTTPS_ONLY: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Length: 42\r\nConnection: close\r\n\r\nthis port speaks TLS: use an https:// URL\n";
    match stream.first().await? {
        Some(HANDSHAKE) => Ok(Some(acceptor.accept(stream).await?)),
        Some(_) => {
            // Unread bytes would reset the connection before the answer is read.
            let mut request = vec![0; READ_BUFFER];
            _ = stream.read(&mut request).await?;
            _ = stream.read(&mut request).await?;
            stream.write_all(HTTPS_ONLY).await?;
            stream.shutdown().await?;
            Ok(None)
        }
        None => Ok(None),
    }
}

/// A load balancer's check must not wait for scrapes, nor anything for a reload, which takes as long as the disk.
fn may_be_large(request: &Request<Incoming>) -> bool {
    let reads = *request.method() == Method::GET || *request.method() == Method::HEAD;
    reads && !["/healthz", "/readyz"].contains(&request.uri().path())
}

/// The answer to a request whose turn did not come.
fn busy() -> Response {
    let answer = text(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once; try again\n");
    ([(RETRY_AFTER, "1")], answer).into_response()
}

/// Sends 503 if that is possible without waiting; the connection closes with the stream.
fn turn_away<L: Listener>(stream: &L::Stream) {
    const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Length: 21\r\nRetry-After: 1\r\nConnection: close\r\n\r\ntoo many connections\n";
    L::try_write(stream, BUSY);
}

#[cfg(test)]
mod tests;
