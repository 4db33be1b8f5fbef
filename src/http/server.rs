//! Serves, within limits: a scraper that hangs, or a hundred of them, must not cost the router its memory.
//!
//! One task accepts, one task per connection answers. Dropping [`serve`]'s future ends them all.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time;

pub use super::routes::{About, Metrics, Sources};

/// What a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; one more is told 503 and closed.
    pub connections: usize,
    /// For the request's head to arrive.
    pub header: Duration,
    /// For a connection as a whole: it carries one request.
    pub connection: Duration,
}

impl Default for Limits {
    /// Two Prometheis, a load balancer's check and a few people fit into 16; an answer takes milliseconds.
    fn default() -> Self {
        Self { connections: 16, header: Duration::from_secs(5), connection: Duration::from_secs(15) }
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
    let router = super::routes::router(sources);
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (ending, ends) = watch::channel(());
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted.map(|(stream, _)| stream),
            Some(_) = connections.join_next() => continue,
        };
        match stream {
            Ok(stream) => match Arc::clone(&slots).try_acquire_owned() {
                Ok(slot) => {
                    let (router, ends) = (router.clone(), ends.clone());
                    connections.spawn(async move {
                        answer(stream, router, limits, ends).await;
                        drop(slot);
                    });
                }
                Err(_) => turn_away(&stream),
            },
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

async fn answer(stream: TcpStream, router: Router, limits: Limits, mut ends: watch::Receiver<()>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(READ_BUFFER)
        // A scrape a minute gains nothing from an open connection, and an idle one would hold a slot.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
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
