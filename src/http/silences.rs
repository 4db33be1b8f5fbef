//! Silences at the control socket: `GET /silences`, `POST /silences` and `DELETE /silences/ID`.
//!
//! The socket lets in root and the daemon's own user. Who adds or ends a silence is the user that the kernel names (SO_PEERCRED),
//! whatever the request says, and that is checked again: a socket whose mode somebody has changed lets nobody hold back pages.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Extension, Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::listener::Caller;
use super::status_json::SilenceJson;
use crate::domain::silence::SilenceId;
use crate::domain::time::Stamp;
use crate::process;
use crate::silences::{NewSilence, Target, Until};

/// Where silences are.
pub const SILENCES_PATH: &str = "/silences";

/// The longest wait of a command: a commit takes milliseconds, and on a disk that hangs it is given up after 5 s.
pub const SILENCES_PATIENCE: Duration = Duration::from_secs(30);

/// The longest request: as many targets as there may be silences, and a reason.
const REQUEST_MAX: usize = 32 * 1024;

/// A request to add silences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddJson {
    /// What to silence: a silence each.
    pub targets: Vec<TargetJson>,
    /// The beginning of the first window, RFC 3339; null for at once.
    pub from: Option<String>,
    /// Its end, RFC 3339.
    pub until: Option<String>,
    /// Or how long it lasts, in seconds.
    pub length_seconds: Option<u64>,
    /// The time zone in which it comes back every week.
    pub weekly: Option<String>,
    /// Why.
    pub reason: String,
}

/// What to silence, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scope", content = "name", rename_all = "snake_case")]
pub enum TargetJson {
    /// Everything that the daemon watches.
    Site,
    /// A connection: its id or name.
    Connection(String),
    /// A tunnel: its outside address, after its connection and a slash or alone.
    Tunnel(String),
    /// A group: its name.
    Group(String),
    /// What goes over an uplink: its name.
    Uplink(String),
}

/// A silence that goes on after another one has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillSilenced {
    /// Its number.
    pub by: u32,
    /// When its present window ends.
    pub until: String,
    /// Whether it covers all that the other one did.
    pub whole: bool,
}

/// The answer of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum SilenceAnswer {
    /// All silences.
    Listed {
        /// By number.
        silences: Vec<SilenceJson>,
    },
    /// They are in force.
    Added {
        /// Those that were added.
        silences: Vec<SilenceJson>,
        /// Why the store does not have them: a restart would lose them.
        unsaved: Option<String>,
    },
    /// It is over.
    Ended {
        /// As it was.
        silence: Box<SilenceJson>,
        /// The silence that still covers what it silenced, or a part of that.
        still: Option<StillSilenced>,
        /// Why the store still has it: a restart would bring it back.
        unsaved: Option<String>,
    },
    /// Nothing has changed.
    Refused {
        /// Why.
        problem: String,
    },
    /// Nothing has changed: the caller may not.
    NotAllowed {
        /// Why.
        problem: String,
    },
    /// The daemon is ending.
    Ending,
    /// There are too many requests at once; this one was dropped.
    Busy,
}

/// A question to the part of the daemon that has the silences.
#[derive(Debug)]
pub struct SilenceRequest {
    /// What is asked.
    pub what: SilenceQuestion,
    /// Takes the answer. Dropping it answers that the daemon is ending.
    pub answer: oneshot::Sender<SilenceAnswer>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SilenceQuestion {
    /// Which silences there are.
    List,
    /// To add some.
    Add {
        /// Which.
        wanted: NewSilence,
        /// The user who asks.
        by: u32,
    },
    /// To end one.
    End {
        /// Which.
        id: SilenceId,
        /// The user who asks.
        by: u32,
    },
}

/// The routes.
pub(super) fn routes(requests: mpsc::Sender<SilenceRequest>) -> Router {
    let (add_to, end_at) = (requests.clone(), requests.clone());
    let add = move |caller, body| add(add_to.clone(), caller, body);
    let end = move |caller, id| end(end_at.clone(), caller, id);
    Router::new()
        .route(SILENCES_PATH, get(move || ask(requests.clone(), SilenceQuestion::List)).post(add))
        .route(&format!("{SILENCES_PATH}/{{id}}"), delete(end))
        .layer(DefaultBodyLimit::max(REQUEST_MAX))
}

async fn add(
    requests: mpsc::Sender<SilenceRequest>,
    Extension(caller): Extension<Caller>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let wanted = body
        .map_err(|error| format!("the request cannot be read: {error}"))
        .and_then(|body| {
            serde_json::from_slice(&body)
                .map_err(|error| format!("this is no request to add silences: {error}"))
        })
        .and_then(AddJson::wanted);
    match (allowed(caller), wanted) {
        (Err(problem), _) => SilenceAnswer::NotAllowed { problem }.into_response(),
        (Ok(_), Err(problem)) => SilenceAnswer::Refused { problem }.into_response(),
        (Ok(by), Ok(wanted)) => ask(requests, SilenceQuestion::Add { wanted, by }).await,
    }
}

async fn end(
    requests: mpsc::Sender<SilenceRequest>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    match (allowed(caller), id.parse()) {
        (Err(problem), _) => SilenceAnswer::NotAllowed { problem }.into_response(),
        (Ok(_), Err(_)) => {
            let problem = format!("{id:?} is no number of a silence; `bothends silence list` shows them");
            SilenceAnswer::Refused { problem }.into_response()
        }
        (Ok(by), Ok(id)) => ask(requests, SilenceQuestion::End { id: SilenceId(id), by }).await,
    }
}

async fn ask(requests: mpsc::Sender<SilenceRequest>, what: SilenceQuestion) -> Response {
    let (answer, answered) = oneshot::channel();
    let answer = match requests.try_send(SilenceRequest { what, answer }) {
        Ok(()) => answered.await.unwrap_or(SilenceAnswer::Ending),
        Err(mpsc::error::TrySendError::Full(_)) => SilenceAnswer::Busy,
        Err(mpsc::error::TrySendError::Closed(_)) => SilenceAnswer::Ending,
    };
    answer.into_response()
}

/// The user who asks, if it may change silences.
fn allowed(Caller(user): Caller) -> Result<u32, String> {
    let own = process::user();
    match user {
        Some(user) if user == 0 || user == own => Ok(user),
        Some(user) => Err(format!(
            "user id {user} may not change silences: run as root, or as the user that bothends runs as (id {own})"
        )),
        None => Err("the kernel does not say who asks".to_owned()),
    }
}

impl AddJson {
    /// In the daemon's terms.
    fn wanted(self) -> Result<NewSilence, String> {
        let Self { targets, from, until, length_seconds, weekly, reason } = self;
        let until = match (until, length_seconds) {
            (Some(until), None) => Until::At(stamp("until", &until)?),
            (None, Some(seconds)) => Until::After(Duration::from_secs(seconds)),
            (Some(_), Some(_)) | (None, None) => {
                return Err("give either until or length_seconds".to_owned());
            }
        };
        Ok(NewSilence {
            targets: targets.into_iter().map(Into::into).collect(),
            from: from.as_deref().map(|from| stamp("from", from)).transpose()?,
            until,
            weekly: weekly.map(Into::into),
            reason: reason.into(),
        })
    }
}

fn stamp(key: &str, text: &str) -> Result<Stamp, String> {
    let at: Timestamp = text.parse().map_err(|error| format!("{key}: {text:?} is no time: {error}"))?;
    Ok(Stamp::from_millis(at.as_millisecond()))
}

impl From<TargetJson> for Target {
    fn from(target: TargetJson) -> Self {
        match target {
            TargetJson::Site => Self::Site,
            TargetJson::Connection(name) => Self::Vpn(name),
            TargetJson::Tunnel(name) => Self::Tunnel(name),
            TargetJson::Group(name) => Self::Group(name),
            TargetJson::Uplink(name) => Self::Uplink(name),
        }
    }
}

impl From<Target> for TargetJson {
    fn from(target: Target) -> Self {
        match target {
            Target::Site => Self::Site,
            Target::Vpn(name) => Self::Connection(name),
            Target::Tunnel(name) => Self::Tunnel(name),
            Target::Group(name) => Self::Group(name),
            Target::Uplink(name) => Self::Uplink(name),
        }
    }
}

impl IntoResponse for SilenceAnswer {
    fn into_response(self) -> Response {
        let code = match self {
            Self::Listed { .. } | Self::Added { .. } | Self::Ended { .. } => StatusCode::OK,
            Self::Refused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotAllowed { .. } => StatusCode::FORBIDDEN,
            Self::Ending | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        (code, Json(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_daemons_own_user_may_change_silences() {
        assert_eq!(allowed(Caller(Some(0))), Ok(0));
        assert_eq!(allowed(Caller(Some(process::user()))), Ok(process::user()));
        let other = process::user() + 1;
        let problem = allowed(Caller(Some(other))).unwrap_err();
        assert!(
            problem.contains(&format!("user id {other} may not")) && problem.contains("run as root"),
            "{problem}"
        );
        assert!(allowed(Caller(None)).is_err());
    }

    #[test]
    fn a_request_is_read_as_it_was_written_and_what_is_none_is_refused_with_its_place() {
        let request = AddJson {
            targets: vec![TargetJson::Site, TargetJson::Connection("Milan".to_owned())],
            from: Some("2026-12-01T02:00:00Z".to_owned()),
            until: Some("2026-12-01T04:00:00+01:00".to_owned()),
            length_seconds: None,
            weekly: None,
            reason: "work".to_owned(),
        };
        let text = serde_json::to_string(&request).unwrap();
        assert!(
            text.starts_with(r#"{"targets":[{"scope":"site"},{"scope":"connection","name":"Milan"}]"#),
            "{text}"
        );
        let wanted = serde_json::from_str::<AddJson>(&text).unwrap().wanted().unwrap();
        assert_eq!(wanted.targets, [Target::Site, Target::Vpn("Milan".to_owned())]);
        let (from, until) = wanted.window(Stamp::default());
        assert_eq!(until.since(from), Duration::from_secs(3600));
        let at_once = AddJson { from: None, until: None, length_seconds: Some(600), ..request.clone() };
        let wanted = at_once.clone().wanted().unwrap();
        assert_eq!((wanted.from, wanted.until), (None, Until::After(Duration::from_secs(600))));
        for without_an_end in [
            AddJson { length_seconds: None, ..at_once.clone() },
            AddJson { until: Some("2026-12-01T04:00:00Z".to_owned()), ..at_once },
        ] {
            assert_eq!(without_an_end.wanted().unwrap_err(), "give either until or length_seconds");
        }
        let problem = AddJson { until: Some("tomorrow".to_owned()), ..request }.wanted().unwrap_err();
        assert!(problem.starts_with("until: \"tomorrow\" is no time"), "{problem}");
    }
}
