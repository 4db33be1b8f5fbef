//! The answer at each path, the names allowed in the `Host` header, and the reload of the control socket. Its silences are in
//! [`silences`].

use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::history::{self, HISTORY_PATH, History, Readings};
use super::listener::Caller;
use super::pages::{self, Pages};
use super::silences::{self, SilenceRequest};
use super::status_json::StatusJson;
use super::text::text;
use crate::domain::status::Status;
use crate::domain::time::Now;
use crate::health::overview::{OpenProblem, ShownProblems};
use crate::health::readiness::{Readiness, stuck};
use crate::records::Records;

/// Renders the metrics from the status and the open problems; returns their `Content-Type` as well.
pub type Metrics = dyn Fn(&Status, &[OpenProblem], Now) -> (&'static str, String) + Send + Sync;

/// The daemon's version and mode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Its version.
    pub version: &'static str,
    /// Whether incidents are sent (`raise`) or only recorded (`observe`).
    pub mode: &'static str,
}

/// Where the answers come from.
#[derive(Clone)]
pub struct Sources {
    /// The driver's newest status.
    pub status: watch::Receiver<Arc<Status>>,
    /// The open problems.
    pub problems: watch::Receiver<ShownProblems>,
    /// The records that are open at the sinks.
    pub records: Records,
    /// The daemon, as of the last reload.
    pub about: watch::Receiver<About>,
    /// Renders `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Reads what is remembered.
    pub history: Arc<History>,
    /// Renders the pages for people.
    pub pages: Arc<dyn Pages>,
    /// The names allowed in the `Host` header.
    pub hosts: Hosts,
    /// Both clocks; tests replace it.
    pub now: fn() -> Now,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl Sources {
    fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }

    fn problems(&self) -> ShownProblems {
        Arc::clone(&self.problems.borrow())
    }
}

/// The routes and the names under which they are served.
#[derive(Debug, Clone)]
pub struct App {
    router: Router,
    hosts: Arc<Hosts>,
}

impl App {
    /// The routes for every client. Any other path is 404, any method but GET and HEAD 405.
    pub fn public(sources: Sources) -> Self {
        let hosts = Arc::new(sources.hosts.clone());
        let pages = pages::routes(Arc::clone(&sources.pages));
        let readings = Readings::default();
        let history = move |State(sources): State<Sources>, RawQuery(query): RawQuery| {
            let query = query.as_deref().unwrap_or_default();
            ready(history::answer(query, &sources.status(), &*sources.history, &readings))
        };
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/status", get(status))
            .route(HISTORY_PATH, get(history))
            .fallback(|| async {
                text(StatusCode::NOT_FOUND, "try /, /metrics, /healthz, /readyz, /status or /history\n")
            })
            .with_state(sources)
            .merge(pages);
        Self { router, hosts }
    }

    /// The routes for root and the daemon's own user, who alone can connect to the control socket.
    pub fn control(
        sources: Sources,
        reloads: mpsc::Sender<ReloadRequest>,
        silences: mpsc::Sender<SilenceRequest>,
    ) -> Self {
        let Self { router, hosts } = Self::public(sources);
        let router = router.route("/reload", post(move || reload(reloads.clone())));
        Self { router: router.merge(silences::routes(silences)), hosts }
    }

    /// These routes, for tests of how answers are served.
    #[cfg(test)]
    pub(super) fn of_tests(router: Router) -> Self {
        Self { router, hosts: Arc::default() }
    }

    /// Answers one request.
    pub(super) fn answer(
        &self,
        mut request: Request<Incoming>,
        caller: Caller,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        // HTTP/1.0 has no Host header, and no browser uses it.
        let header = request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default());
        let names = [header, request.uri().authority().map(Authority::as_str)];
        let is_ours = names.into_iter().flatten().all(|authority| self.hosts.include(authority));
        request.extensions_mut().insert(caller);
        let router = self.router.clone();
        async move {
            if is_ours { TowerToHyperService::new(router).call(request).await } else { Ok(misdirected()) }
        }
    }
}

/// The answer to a request under a name that is not ours.
fn misdirected() -> Response {
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

/// The method and path of a reload.
pub const RELOAD_REQUEST: &str = "POST /reload";

/// The longest wait of a command. A reload takes milliseconds, even while AWS cannot be reached.
pub const RELOAD_PATIENCE: Duration = Duration::from_secs(30);

/// A request to read the configuration again.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Takes the answer. Dropping it answers that the daemon is ending.
    pub answer: oneshot::Sender<ReloadAnswer>,
}

/// The outcome of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ReloadAnswer {
    /// The configuration is in force.
    InForce {
        /// The number of connections.
        vpns: usize,
        /// The number of tunnels that are probed.
        tunnels: usize,
        /// Warnings, and settings that take effect only at the next start; a line each.
        notes: Vec<String>,
    },
    /// The configuration is wrong; the previous one stays in force.
    Refused {
        /// Every problem, a line each.
        problems: Vec<String>,
    },
    /// The daemon is ending, and did nothing.
    Ending,
    /// There are too many requests at once; this one was dropped.
    Busy,
}

async fn reload(requests: mpsc::Sender<ReloadRequest>) -> Response {
    let (answer, answered) = oneshot::channel();
    let answer = match requests.try_send(ReloadRequest { answer }) {
        Ok(()) => answered.await.unwrap_or(ReloadAnswer::Ending),
        Err(mpsc::error::TrySendError::Full(_)) => ReloadAnswer::Busy,
        Err(mpsc::error::TrySendError::Closed(_)) => ReloadAnswer::Ending,
    };
    let code = match answer {
        ReloadAnswer::InForce { .. } => StatusCode::OK,
        ReloadAnswer::Refused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        ReloadAnswer::Ending | ReloadAnswer::Busy => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(answer)).into_response()
}

/// The names allowed in the `Host` header, besides addresses, which cannot be rebound, and `localhost` (RFC 6761, 6.3).
///
/// A web page can point a name of its own at 127.0.0.1 (DNS rebinding), make a browser request it from the listener, and read the
/// answer. The `Host` header still holds that name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<Arc<str>>);

impl Hosts {
    /// The configured names and this host's own.
    pub fn new(configured: &[Arc<str>], own: Option<&str>) -> Self {
        Self(configured.iter().cloned().chain(own.map(Arc::from)).collect())
    }

    /// Whether `authority`, a host with or without a port (RFC 9110, 7.2), is one of them.
    fn include(&self, authority: &str) -> bool {
        let host = without_port(authority).trim_end_matches('.');
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if address.parse::<IpAddr>().is_ok() {
            return true;
        }
        let host = host.to_ascii_lowercase();
        host == "localhost"
            || host.ends_with(".localhost")
            || self.0.iter().any(|name| name.trim_end_matches('.').eq_ignore_ascii_case(&host))
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host,
        Some(_) | None => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_localhost_and_our_own_names_are_allowed() {
        let hosts = Hosts::new(&["gw1.example.com".into()], Some("gw1"));
        for ours in [
            "127.0.0.1",
            "127.0.0.1:9846",
            "192.0.2.7:9846",
            "[::1]:9846",
            "[2001:db8::1]",
            "localhost",
            "LocalHost:9846",
            "metrics.localhost",
            "gw1",
            "gw1:9846",
            "GW1.example.com.",
            "gw1.example.com:443",
        ] {
            assert!(hosts.include(ours), "{ours}");
        }
        for other in [
            "evil.example",
            "evil.example:9846",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "gw1.evil.example",
            "xlocalhost",
            "",
            ":9846",
            "[::1",
        ] {
            assert!(!hosts.include(other), "{other}");
        }
    }

    #[test]
    fn an_answer_is_one_line_of_json_even_with_line_breaks_in_it() {
        let answer = ReloadAnswer::Refused { problems: vec!["a: b\nc".to_owned()] };
        let line = serde_json::to_string(&answer).unwrap();
        assert_eq!(line, r#"{"outcome":"refused","problems":["a: b\nc"]}"#);
        assert_eq!(serde_json::from_str::<ReloadAnswer>(&line).unwrap(), answer);
    }

    #[test]
    fn an_answer_of_a_later_version_may_have_more_keys() {
        let line = r#"{"outcome":"in_force","vpns":1,"tunnels":2,"notes":[],"since":"today"}"#;
        let answer = ReloadAnswer::InForce { vpns: 1, tunnels: 2, notes: Vec::new() };
        assert_eq!(serde_json::from_str::<ReloadAnswer>(line).unwrap(), answer);
    }
}
