//! Serves, within limits: a scraper that hangs, or a hundred of them, must not cost the router its memory, nor anybody else his
//! answer. Where all places are taken, whoever has not asked yet makes room, then whoever has not taken his answer.
//!
//! One task accepts, one task per connection answers. Dropping [`serve`]'s future ends them all.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time;

use super::host::Hosts;
use super::routes;
use crate::clock;
use crate::domain::time::Moment;

pub use super::routes::{About, Metrics, Sources};

/// What a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; where none of them makes room, one more is told 503 and closed.
    pub connections: usize,
    /// Connections of one address at a time; one more takes the place of another of them.
    pub per_peer: usize,
    /// For the request's head to arrive.
    pub header: Duration,
    /// For the answer to be taken before the place may be another's.
    pub answer: Duration,
    /// For a connection as a whole: it carries one request.
    pub connection: Duration,
}

impl Default for Limits {
    /// Two Prometheus servers, a load balancer's check and a few people fit into 8; an answer takes milliseconds. Each may hold a
    /// whole page of metrics in memory, which is 8 MB for a thousand connections.
    fn default() -> Self {
        Self {
            connections: 8,
            per_peer: 6,
            header: Duration::from_secs(5),
            answer: Duration::from_secs(2),
            connection: Duration::from_secs(15),
        }
    }
}

/// After accept failed (no file descriptor left, usually), it is tried again after this long: at once would be a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Requests have no body and short heads.
const READ_BUFFER: usize = 16 * 1024;

/// Serves until `shutdown` ends; then no connection is accepted any more, and the open ones may finish within the limits.
pub async fn serve(
    listener: TcpListener,
    sources: Sources,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let hosts = Arc::new(sources.hosts.clone());
    let router = super::routes::router(sources);
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
                if places.have_room_for(peer.ip()) {
                    let asked = Arc::<AtomicBool>::default();
                    let app =
                        App { router: router.clone(), hosts: Arc::clone(&hosts), asked: Arc::clone(&asked) };
                    let task = connections.spawn(answer(stream, app, limits, ends.clone()));
                    places.taken.push(Taken { by: peer.ip(), since: clock::now().mono, asked, task });
                } else {
                    turn_away(&stream);
                }
            }
            Err(error) => {
                log::debug!("the HTTP listener cannot accept: {error}");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drop(ending);
    while connections.join_next().await.is_some() {}
}

/// Who is connected, in the order in which they came.
struct Places {
    limits: Limits,
    taken: Vec<Taken>,
}

struct Taken {
    by: IpAddr,
    since: Moment,
    /// Whether a request's head has arrived.
    asked: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Places {
    /// Whether there is a place for one more of this address; if need be, another one's.
    fn have_room_for(&mut self, peer: IpAddr) -> bool {
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
        let silent = |taken: &Taken| !taken.asked.load(Ordering::Relaxed);
        let slow = |taken: &Taken| now.since(taken.since) >= self.limits.answer;
        let first =
            |is: &dyn Fn(&Taken) -> bool| self.taken.iter().position(|taken| among(taken) && is(taken));
        first(&silent).or_else(|| first(&slow))
    }
}

/// What answers on one connection.
struct App {
    router: Router,
    hosts: Arc<Hosts>,
    asked: Arc<AtomicBool>,
}

impl App {
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        self.asked.store(true, Ordering::Relaxed);
        // HTTP/1.0 knows no Host, and no browser speaks it.
        let header = request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default());
        let meant = [header, request.uri().authority().map(Authority::as_str)];
        let is_ours = meant.into_iter().flatten().all(|authority| self.hosts.know(authority));
        let router = self.router.clone();
        async move {
            if is_ours {
                TowerToHyperService::new(router).call(request).await
            } else {
                Ok(routes::misdirected())
            }
        }
    }
}

async fn answer(stream: TcpStream, app: App, limits: Limits, mut ends: watch::Receiver<()>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(READ_BUFFER)
        // A scrape a minute gains nothing from an open connection, and an idle one would hold a slot.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service_fn(move |request| app.answer(request)));
    tokio::pin!(connection);
    let end = time::sleep(limits.connection);
    tokio::pin!(end);
    let mut ending = false;
    loop {
        tokio::select! {
            served = &mut connection => {
                if let Err(error) = served {
                    log::trace!("an HTTP client left early or was cut: {error}");
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
fn turn_away(stream: &TcpStream) {
    const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Length: 21\r\nConnection: close\r\n\r\ntoo many connections\n";
    _ = stream.try_write(BUSY);
}

#[cfg(test)]
mod tests;
