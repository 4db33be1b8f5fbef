//! What each path answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;

use super::status_json::{StatusJson, component};
use crate::clock;
use crate::domain::status::Status;
use crate::domain::time::Now;
use crate::health::{Problems, Severity};

/// A status older than this means that the core is stuck: it gives one every second or so.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// Renders the metrics from the status and their `Content-Type` with them.
pub type Metrics = dyn Fn(&Status, Now) -> (&'static str, String) + Send + Sync;

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
    pub problems: watch::Receiver<Problems>,
    /// The daemon, as of the last reload.
    pub about: watch::Receiver<About>,
    /// The scrape.
    pub metrics: Arc<Metrics>,
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
        problems: watch::Receiver<Problems>,
        about: watch::Receiver<About>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { status, problems, about, metrics, now: clock::now }
    }

    fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
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

async fn metrics(State(sources): State<Sources>) -> Response {
    let (content_type, text) = (sources.metrics)(&sources.status(), (sources.now)());
    ([(CONTENT_TYPE, content_type)], text).into_response()
}

async fn healthz(State(sources): State<Sources>) -> Response {
    match stuck(&sources.status(), (sources.now)()) {
        None => text(StatusCode::OK, "ok\n"),
        Some(stuck) => text(StatusCode::SERVICE_UNAVAILABLE, stuck),
    }
}

async fn readyz(State(sources): State<Sources>) -> Response {
    let readiness = Readiness::of(&sources.status(), &sources.problems.borrow(), (sources.now)());
    text(readiness.code, readiness.text)
}

async fn status(State(sources): State<Sources>) -> Response {
    let body = StatusJson::of(
        &sources.status(),
        &sources.problems.borrow(),
        sources.about.borrow().version,
        sources.about.borrow().mode,
        (sources.now)(),
    );
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Whether the daemon does its job, and what stands in its way: a first line for the answer, then a line per problem.
#[derive(Debug, PartialEq, Eq)]
struct Readiness {
    code: StatusCode,
    text: String,
}

impl Readiness {
    fn of(status: &Status, problems: &Problems, now: Now) -> Self {
        let mut against = Vec::new();
        against.extend(stuck(status, now));
        if status.vpns.is_empty() || !status.every_tunnel_asked() {
            against.push("starting: not every tunnel has been asked once\n".to_owned());
        }
        let failed = problems.values().any(|problem| problem.severity == Severity::Failed);
        let ready = against.is_empty() && !failed;
        let mut text = if ready { "ready\n" } else { "not ready\n" }.to_owned();
        text.extend(against);
        for (of, problem) in problems {
            let severity = match problem.severity {
                Severity::Failed => "failed",
                Severity::Degraded => "degraded",
            };
            text.push_str(&format!("{severity}: {}: {}\n", component(of), problem.text.replace('\n', "; ")));
        }
        Self { code: if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text }
    }
}

fn stuck(status: &Status, now: Now) -> Option<String> {
    let age = now.mono.since(status.at.mono);
    (age > STUCK_AFTER).then(|| format!("stuck: the core has said nothing for {} s\n", age.as_secs()))
}

fn text(code: StatusCode, text: impl Into<String>) -> Response {
    (code, [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")], text.into())
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::health::{Component, Problem};

    fn problems(severity: Severity) -> Problems {
        let problem =
            Problem { severity, text: "AccessDenied:\nallow ssm-incidents:StartIncident".to_owned() };
        Problems::from([(Component::Sink("incident_manager".to_owned()), problem)])
    }

    #[test]
    fn a_daemon_that_has_asked_every_tunnel_is_ready() {
        let status = fixture::status();
        assert_eq!(
            Readiness::of(&status, &Problems::new(), status.at),
            Readiness { code: StatusCode::OK, text: "ready\n".to_owned() }
        );
    }

    #[test]
    fn a_failed_component_makes_it_not_ready_and_is_named_in_one_line() {
        let status = fixture::status();
        assert_eq!(
            Readiness::of(&status, &problems(Severity::Failed), status.at),
            Readiness {
                code: StatusCode::SERVICE_UNAVAILABLE,
                text: "not ready\n\
                    failed: sink incident_manager: AccessDenied:; allow ssm-incidents:StartIncident\n"
                    .to_owned()
            }
        );
    }

    #[test]
    fn a_degraded_component_is_told_and_leaves_it_ready() {
        let status = fixture::status();
        let readiness = Readiness::of(&status, &problems(Severity::Degraded), status.at);
        assert_eq!(readiness.code, StatusCode::OK);
        assert!(readiness.text.starts_with("ready\ndegraded: sink incident_manager: "), "{}", readiness.text);
    }

    #[test]
    fn until_every_tunnel_was_asked_it_is_starting() {
        let mut status = fixture::status();
        status.vpns[0].tunnels[0].checks[0].asked = false;
        let readiness = Readiness::of(&status, &Problems::new(), status.at);
        assert_eq!(readiness.code, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(readiness.text, "not ready\nstarting: not every tunnel has been asked once\n");
        let nothing_yet = Readiness::of(&Status::default(), &Problems::new(), Now::default());
        assert_eq!(nothing_yet.code, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn a_core_that_says_nothing_is_stuck() {
        let status = fixture::status();
        assert_eq!(stuck(&status, status.at.after(STUCK_AFTER)), None);
        let later = status.at.after(STUCK_AFTER + Duration::from_secs(1));
        assert_eq!(stuck(&status, later), Some("stuck: the core has said nothing for 11 s\n".to_owned()));
        let readiness = Readiness::of(&status, &Problems::new(), later);
        assert_eq!(readiness.code, StatusCode::SERVICE_UNAVAILABLE);
    }
}
