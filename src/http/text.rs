//! An answer in words.

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};

/// The answer; it is not kept anywhere.
pub(super) fn text(code: StatusCode, text: impl Into<String>) -> Response {
    (code, [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")], text.into())
        .into_response()
}
