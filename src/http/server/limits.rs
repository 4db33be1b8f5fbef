//! The limits of a listener.

use std::time::Duration;

use crate::http::routes::RELOAD_PATIENCE;

/// The limits of a listener and of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; if none of them can be dropped, another gets 503 and is closed.
    pub connections: usize,
    /// Connections of one address at a time; another replaces one of them.
    pub per_peer: usize,
    /// Of the connections, those with a long-lived answer; another replaces the oldest.
    pub long_lived: usize,
    /// Large answers that are made or wait to be read; other requests wait their turn.
    pub large: usize,
    /// For a turn; then 503.
    pub turn: Duration,
    /// For the TLS handshake and the request's head to arrive, together.
    pub header: Duration,
    /// For the answer to be read before another client may take its place.
    pub answer: Duration,
    /// For a client that takes nothing of its answer, whatever the answer.
    pub stalled: Duration,
    /// For the whole connection, which carries one request. A long-lived answer has no end.
    pub connection: Duration,
    /// For open connections to end when the daemon stops.
    pub ending: Duration,
}

impl Limits {
    /// For the listener: several Prometheus servers, a load balancer's checks, and a status page open on many screens.
    ///
    /// A reverse proxy is one address for all of its clients, so one address may have half of the connections.
    /// `config::needs` counts eight answers of `/metrics` per connection, which take 8 MB each for a thousand VPN connections.
    pub const TCP: Self = Self {
        connections: 64,
        per_peer: 32,
        long_lived: 16,
        large: 8,
        turn: Duration::from_secs(8), // Prometheus gives up after 10 s
        header: Duration::from_secs(5),
        answer: Duration::from_secs(2),
        stalled: Duration::from_secs(20),
        connection: Duration::from_secs(60),
        ending: ENDING,
    };

    /// For the control socket. A person and a package's script may reload at the same time, and wait for the outcome.
    pub const SOCKET: Self = Self {
        connections: 16,
        per_peer: 16,
        long_lived: 4,
        large: 2,
        turn: Duration::from_secs(8),
        header: Duration::from_secs(5),
        answer: Duration::from_secs(5),
        stalled: Duration::from_secs(20),
        connection: RELOAD_PATIENCE.saturating_add(Duration::from_secs(30)),
        ending: ENDING,
    };
}

/// An answer that is made takes milliseconds, and the daemon's end waits for nobody who has not asked yet.
const ENDING: Duration = Duration::from_millis(500);
