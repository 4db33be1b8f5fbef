//! Serves, within limits: a scraper that hangs, or a hundred of them, must not cost the router its memory, nor anybody else his
//! answer. Where all places are taken, a client that has not asked yet makes room, then one that has not taken its answer.
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

use super::listener::Listener;
use super::routes::{App, RELOAD_PATIENCE};
use crate::catalogue::parts::Detail;
use crate::clock;
use crate::domain::time::Moment;

/// What a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; where none of them makes room, one more gets 503 and is closed.
    pub connections: usize,
    /// Connections of one address at a time; one more takes the place of another of them.
    pub per_peer: usize,
    /// For the request's head to arrive.
    pub header: Duration,
    /// For the answer to be taken before the place may be another's.
    pub answer: Duration,
    /// For a connection as a whole: it carries one request.
    pub connection: Duration,
    /// For the open connections to end once the daemon does.
    pub ending: Duration,
}

impl Limits {
    /// Of the listener. Two Prometheus servers, a load balancer's check and a few people fit into 8; an answer takes milliseconds. Each
    /// may hold a whole page of metrics in memory, which is 8 MB for a thousand connections.
    pub const TCP: Self = Self {
        connections: 8,
        per_peer: 6,
        header: Duration::from_secs(5),
        answer: Duration::from_secs(2),
        connection: Duration::from_secs(15),
        ending: Duration::from_secs(15),
    };

    /// Of the control socket. A person and a package's script may reload at once, and wait for the outcome.
    pub const SOCKET: Self = Self {
        connections: 8,
        per_peer: 8,
        header: Duration::from_secs(5),
        answer: Duration::from_secs(5),
        connection: RELOAD_PATIENCE.saturating_add(Duration::from_secs(10)),
        ending: Duration::from_millis(500),
    };
}

/// After accept failed (no file descriptor left, usually), it is tried again after this long: at once would be a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Requests have no body and short heads.
const READ_BUFFER: usize = 16 * 1024;

/// Serves until `shutdown` ends; then no connection is accepted any more, and the open ones may finish within the limits.
pub async fn serve<L: Listener>(listener: L, app: App, limits: Limits, shutdown: impl Future<Output = ()>) {
    let mut places = Places { limits, taken: Vec::new() };
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
                if places.have_room_for(peer) {
                    let state = Arc::<Mutex<ConnectionState>>::default();
                    let answered = answer::<L>(stream, app.clone(), Arc::clone(&state), limits, ends.clone());
                    places.taken.push(Taken { by: peer, state, task: connections.spawn(answered) });
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

/// Who is connected, in the order in which they came.
struct Places {
    limits: Limits,
    taken: Vec<Taken>,
}

struct Taken {
    /// The address that it comes from; the control socket does not know.
    by: Option<IpAddr>,
    state: Arc<Mutex<ConnectionState>>,
    task: AbortHandle,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ConnectionState {
    /// No request's head has arrived.
    #[default]
    Silent,
    /// The answer is being made.
    Asked,
    /// The answer is there to be taken, since this moment.
    Answered(Moment),
}

impl Places {
    /// Whether there is a place for one more of this address; if need be, another one's.
    fn have_room_for(&mut self, peer: Option<IpAddr>) -> bool {
        self.taken.retain(|taken| !taken.task.is_finished());
        let share = self.taken.iter().filter(|taken| taken.by == peer).count();
        let yields = if share >= self.limits.per_peer {
            self.first_to_yield(|taken| taken.by == peer)
        } else if self.taken.len() >= self.limits.connections {
            self.first_to_yield(|_| true)
        } else {
            return true;
        };
        let Some(index) = yields else { return false };
        self.taken.remove(index).task.abort();
        true
    }

    /// Who asks does so at once, and who wants the answer takes it.
    fn first_to_yield(&self, among: impl Fn(&Taken) -> bool) -> Option<usize> {
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

/// What is shared is valid after every statement, so a panic elsewhere spoils nothing.
fn lock(state: &Mutex<ConnectionState>) -> std::sync::MutexGuard<'_, ConnectionState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer<L: Listener>(
    stream: L::Stream,
    app: App,
    state: Arc<Mutex<ConnectionState>>,
    limits: Limits,
    mut ends: watch::Receiver<()>,
) {
    let service = service_fn(move |request| {
        *lock(&state) = ConnectionState::Asked;
        let (answer, state) = (app.answer(request), Arc::clone(&state));
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
        // A scrape a minute gains nothing from an open connection, and an idle one would hold a slot.
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

/// Says why, if that is possible without waiting; the connection closes with the stream.
fn turn_away<L: Listener>(stream: &L::Stream) {
    const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Length: 21\r\nConnection: close\r\n\r\ntoo many connections\n";
    L::try_write(stream, BUSY);
}

#[cfg(test)]
mod tests;
