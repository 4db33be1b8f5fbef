//! What each path answers.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;

use super::host::Hosts;
use super::status_json::StatusJson;
use crate::clock;
use crate::domain::status::Status;
use crate::domain::time::Now;
use crate::health::overview::{OpenProblem, ShownProblems};
use crate::health::readiness::{Readiness, stuck};
use crate::records::Records;

/// Renders the metrics from the status and the open problems, and their `Content-Type` with them.
pub type Metrics = dyn Fn(&Status, &[OpenProblem], Now) -> (&'static str, String) + Send + Sync;

/// What the daemon is, and by which configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Its version.
    pub version: &'static str,
    /// Whether incidents are sent (`raise`) or only decided (`observe`).
    pub mode: &'static str,
}

/// Where the answers come from.
#[derive(Clone)]
pub struct Sources {
    /// The driver's newest status.
    pub status: watch::Receiver<Arc<Status>>,
    /// The open problems.
    pub problems: watch::Receiver<ShownProblems>,
    /// What is open at the sinks.
    pub records: Records,
    /// The daemon, as of the last reload.
    pub about: watch::Receiver<About>,
    /// The scrape.
    pub metrics: Arc<Metrics>,
    /// The names that may be asked by.
    pub hosts: Hosts,
    /// Both clocks; another one in tests.
    pub now: fn() -> Now,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl Sources {
    /// The daemon's sources, on its own clock.
    pub fn new(
        status: watch::Receiver<Arc<Status>>,
        problems: watch::Receiver<ShownProblems>,
        records: Records,
        about: watch::Receiver<About>,
        metrics: Arc<Metrics>,
        hosts: Hosts,
    ) -> Self {
        Self { status, problems, records, about, metrics, hosts, now: clock::now }
    }

    fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }

    fn problems(&self) -> ShownProblems {
        Arc::clone(&self.problems.borrow())
    }
}

/// Every path; any other is 404, any method but GET and HEAD 405.
pub(super) fn router(sources: Sources) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .fallback(|| async { text(StatusCode::NOT_FOUND, "try /metrics, /healthz, /readyz or /status\n") })
        .with_state(sources)
}

/// To somebody who asks under a name that is not ours.
pub(super) fn misdirected() -> Response {
    let what = "this listener does not serve the name in the Host header: use its IP address, or list the name in [http] hosts\n";
    text(StatusCode::MISDIRECTED_REQUEST, what)
}

async fn metrics(State(sources): State<Sources>) -> Response {
    let (content_type, text) = (sources.metrics)(&sources.status(), &sources.problems(), (sources.now)());
    ([(CONTENT_TYPE, content_type)], text).into_response()
}

async fn healthz(State(sources): State<Sources>) -> Response {
    match stuck(&sources.status(), (sources.now)()) {
        None => text(StatusCode::OK, "ok\n"),
        Some(stuck) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{stuck}\n")),
    }
}

async fn readyz(State(sources): State<Sources>) -> Response {
    let Readiness { ready, lines } = Readiness::of(&sources.status(), &sources.problems(), (sources.now)());
    let (code, first) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    let mut body = format!("{first}\n");
    for line in lines {
        body.push_str(&line);
        body.push('\n');
    }
    text(code, body)
}

async fn status(State(sources): State<Sources>) -> Response {
    let body = StatusJson::of(
        &sources.status(),
        &sources.problems(),
        &sources.records,
        sources.about.borrow().version,
        sources.about.borrow().mode,
        (sources.now)(),
    );
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn text(code: StatusCode, text: impl Into<String>) -> Response {
    (code, [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")], text.into())
        .into_response()
}
