//! `POST /reload`: the configuration is read again, and the answer comes when it is in force or refused.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

/// What a client asks for.
pub const REQUEST: &str = "POST /reload";

/// A reload takes milliseconds, also while AWS cannot be reached. A command waits no longer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A request, and where its answer goes.
#[derive(Debug)]
pub struct ReloadRequest {
    /// If it is dropped, the answer is that the daemon is ending.
    pub answer: oneshot::Sender<ReloadAnswer>,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ReloadAnswer {
    /// The configuration is in force.
    InForce {
        /// How many connections are in it.
        vpns: usize,
        /// How many tunnels are probed.
        tunnels: usize,
        /// What is allowed but deserves a look, and what takes force with the next start only; a line each.
        notes: Vec<String>,
    },
    /// The configuration is wrong, and the one before stays in force.
    Refused {
        /// Everything that is wrong, a line each.
        problems: Vec<String>,
    },
    /// The daemon is ending, and did nothing.
    Ending,
    /// Too many ask at once, and nothing was done for this one.
    Busy,
}

/// Hands requests on.
pub(super) fn route(requests: mpsc::Sender<ReloadRequest>) -> Router {
    Router::new().route("/reload", post(move || reload(requests.clone())))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_line_of_json_whatever_is_in_it() {
        let answer = ReloadAnswer::Refused { problems: vec!["a: b\nc".to_owned()] };
        let line = serde_json::to_string(&answer).unwrap();
        assert_eq!(line, r#"{"outcome":"refused","problems":["a: b\nc"]}"#);
        assert_eq!(serde_json::from_str::<ReloadAnswer>(&line).unwrap(), answer);
    }

    #[test]
    fn an_answer_of_a_later_version_may_tell_more() {
        let line = r#"{"outcome":"in_force","vpns":1,"tunnels":2,"notes":[],"since":"today"}"#;
        let answer = ReloadAnswer::InForce { vpns: 1, tunnels: 2, notes: Vec::new() };
        assert_eq!(serde_json::from_str::<ReloadAnswer>(line).unwrap(), answer);
    }
}
