//! Serves within limits: scrapers that hang, even a hundred of them, must not exhaust memory or keep others from their answers.
//! When all slots are in use, a client that has not sent a request is dropped first, then one that does not read its answer.
//!
//! One task accepts, one task per connection answers. Dropping [`serve`]'s future ends them all.

use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time;

use super::listener::{Caller, Listener};
use super::routes::{App, RELOAD_PATIENCE};
use crate::catalogue::parts::Detail;
use crate::clock;
use crate::domain::time::Moment;

/// The limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; if none of them can be dropped, another gets 503 and is closed.
    pub connections: usize,
    /// Connections of one address at a time; another replaces one of them.
    pub per_peer: usize,
    /// For the request's head to arrive.
    pub header: Duration,
    /// For the answer to be read before another client may take the slot.
    pub answer: Duration,
    /// For the whole connection, which carries one request.
    pub connection: Duration,
    /// For open connections to end when the daemon stops.
    pub ending: Duration,
}

impl Limits {
    /// For the listener. 8 are enough for two Prometheus servers, a load balancer's check and a few people; an answer takes milliseconds.
    /// Each may hold a page of metrics in memory, 8 MB for a thousand VPN connections.
    pub const TCP: Self = Self {
        connections: 8,
        per_peer: 6,
        header: Duration::from_secs(5),
        answer: Duration::from_secs(2),
        connection: Duration::from_secs(15),
        ending: ENDING,
    };

    /// For the control socket. A person and a package's script may reload at the same time, and wait for the outcome.
    pub const SOCKET: Self = Self {
        connections: 8,
        per_peer: 8,
        header: Duration::from_secs(5),
        answer: Duration::from_secs(5),
        connection: RELOAD_PATIENCE.saturating_add(Duration::from_secs(10)),
        ending: ENDING,
    };
}

/// An answer that is made takes milliseconds, and the daemon's end waits for nobody who has not asked yet.
const ENDING: Duration = Duration::from_millis(500);

/// The pause after accept failed, usually for lack of file descriptors: without it this would be a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Marks an answer that goes on for as long as its reader stays, in the answer's extensions.
#[derive(Debug, Clone, Copy)]
pub struct LongLived;

/// Requests have short heads. What adds a silence has a body, for which its route has a limit.
const READ_BUFFER: usize = 16 * 1024;

/// Serves until `shutdown` completes. Then it accepts no more connections, and open ones may finish within the limits.
pub async fn serve<L: Listener>(listener: L, app: App, limits: Limits, shutdown: impl Future<Output = ()>) {
    let mut slots = Slots { limits, taken: Vec::new() };
    let (ending, ends) = watch::channel(());
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
                    let state = Arc::<Mutex<ConnectionState>>::default();
                    let app = app.clone();
                    let answered =
                        answer::<L>((stream, peer.caller), app, Arc::clone(&state), limits, ends.clone());
                    slots.taken.push(Taken { peer: peer.address, state, task: connections.spawn(answered) });
                } else {
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

/// The open connections, oldest first.
struct Slots {
    limits: Limits,
    taken: Vec<Taken>,
}

struct Taken {
    /// The client's address; `None` on the control socket.
    peer: Option<IpAddr>,
    state: Arc<Mutex<ConnectionState>>,
    task: AbortHandle,
}

/// The progress of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ConnectionState {
    /// No request has arrived.
    #[default]
    Silent,
    /// A request is being answered.
    Asked,
    /// The answer has been ready to read since this moment.
    Answered(Moment),
}

impl Slots {
    /// Whether there is a slot for a client of this address, if need be by dropping a connection.
    fn make_room_for(&mut self, peer: Option<IpAddr>) -> bool {
        self.taken.retain(|taken| !taken.task.is_finished());
        let share = self.taken.iter().filter(|taken| taken.peer == peer).count();
        let dropped = if share >= self.limits.per_peer {
            self.first_to_drop(|taken| taken.peer == peer)
        } else if self.taken.len() >= self.limits.connections {
            self.first_to_drop(|_| true)
        } else {
            return true;
        };
        let Some(index) = dropped else { return false };
        self.taken.remove(index).task.abort();
        true
    }

    /// A client in good order sends its request at once and reads the answer at once.
    fn first_to_drop(&self, among: impl Fn(&Taken) -> bool) -> Option<usize> {
        let now = clock::now().mono;
        let silent = |state: ConnectionState| state == ConnectionState::Silent;
        let slow = |state: ConnectionState| match state {
            ConnectionState::Answered(at) => now.since(at) >= self.limits.answer,
            ConnectionState::Silent | ConnectionState::Asked => false,
        };
        let first = |is: &dyn Fn(ConnectionState) -> bool| {
            self.taken.iter().position(|taken| among(taken) && is(*lock(&taken.state)))
        };
        first(&silent).or_else(|| first(&slow))
    }
}

/// The state is valid after every statement, so a poisoned lock is harmless.
fn lock(state: &Mutex<ConnectionState>) -> std::sync::MutexGuard<'_, ConnectionState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer<L: Listener>(
    (stream, caller): (L::Stream, Caller),
    app: App,
    state: Arc<Mutex<ConnectionState>>,
    limits: Limits,
    mut ends: watch::Receiver<()>,
) {
    let service = service_fn(move |request| {
        *lock(&state) = ConnectionState::Asked;
        let (answer, state) = (app.answer(request, caller), Arc::clone(&state));
        async move {
            let answer = answer.await;
            *lock(&state) = ConnectionState::Answered(clock::now().mono);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(READ_BUFFER)
        // A scrape per minute gains nothing from keep-alive, and an idle connection would hold a slot.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let end = time::sleep(limits.connection);
    tokio::pin!(end);
    let mut ending = false;
    loop {
        tokio::select! {
            served = &mut connection => {
                if let Err(error) = served {
                    Detail::HttpClientLeft(&error).record().emit();
                }
                return;
            }
            () = &mut end => return,
            _ = ends.changed(), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Sends 503 if that is possible without waiting; the connection closes with the stream.
fn turn_away<L: Listener>(stream: &L::Stream) {
    const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Length: 21\r\nConnection: close\r\n\r\ntoo many connections\n";
    L::try_write(stream, BUSY);
}

#[cfg(test)]
mod tests;
