//! The pages for people: `/`, `/vpn/ID`, and the news of both at `/events`. What they say is rendered elsewhere ([`Pages`]).
//!
//! News carry no content: a script that hears of a change asks for its page again. So a reader that is slow costs a number,
//! and not a copy of the page.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::header::{HeaderName, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, Stream};
use tokio::sync::watch;
use tokio::time;

use super::long_lived::LongLived;
use super::text::text;

/// Between two pieces of news.
const NEWS_EVERY: Duration = Duration::from_secs(1);

/// After this long without news a sign of life is sent, so that proxies keep the connection and readers know that it works.
const BEAT_EVERY: Duration = Duration::from_secs(15);

/// After this long a reader that lost the connection should try again.
const RETRY: Duration = Duration::from_secs(3);

const SAME_ORIGIN: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What a page is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Everything.
    Site,
    /// One connection, by its id.
    Vpn(String),
}

/// What came of rendering a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    /// The HTML.
    Page(Bytes),
    /// There is no such connection.
    Unknown,
    /// The page could not be made, which is a defect.
    Failed(String),
}

/// Renders the pages.
pub trait Pages: Send + Sync {
    /// The page as it is now, within a second.
    fn render(&self, subject: Subject) -> BoxFuture<'_, Rendered>;

    /// A number that changes whenever what the pages show has changed; its sender ends when the daemon does.
    fn versions(&self) -> watch::Receiver<u64>;

    /// The `Content-Security-Policy` that fits the pages.
    fn policy(&self) -> &HeaderValue;
}

/// `/`, `/vpn/ID` and `/events`.
pub(super) fn routes(pages: Arc<dyn Pages>) -> Router {
    Router::new()
        .route("/", get(site))
        .route("/vpn/{id}", get(vpn))
        .route("/events", get(events))
        .with_state(pages)
}

async fn site(State(pages): State<Arc<dyn Pages>>) -> Response {
    page(&*pages, Subject::Site).await
}

async fn vpn(State(pages): State<Arc<dyn Pages>>, Path(id): Path<String>) -> Response {
    page(&*pages, Subject::Vpn(id)).await
}

async fn page(pages: &dyn Pages, subject: Subject) -> Response {
    match pages.render(subject).await {
        Rendered::Page(html) => {
            let headers = [
                (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
                (CACHE_CONTROL, HeaderValue::from_static("no-store")),
                (CONTENT_SECURITY_POLICY, pages.policy().clone()),
                (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
                (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
                (SAME_ORIGIN, HeaderValue::from_static("same-origin")),
            ];
            (headers, Body::from(html)).into_response()
        }
        Rendered::Unknown => {
            text(StatusCode::NOT_FOUND, "this daemon does not watch that connection; / shows those it does\n")
        }
        Rendered::Failed(why) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!(
                "the page could not be made: {why}\n/status has the same as JSON. Please report this as a bug.\n"
            ),
        ),
    }
}

async fn events(State(pages): State<Arc<dyn Pages>>) -> Response {
    let beat = Event::default().comment("alive").event("beat").data("alive");
    let news = Sse::new(news(pages.versions())).keep_alive(KeepAlive::new().interval(BEAT_EVERY).event(beat));
    let mut response =
        ([(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")], news).into_response();
    response.extensions_mut().insert(LongLived);
    response
}

/// The version at once, and from then on the newest one after each change, at most one a second. Ends with the daemon.
fn news(versions: watch::Receiver<u64>) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold((versions, true), |(mut versions, first)| async move {
        if !first {
            time::sleep(NEWS_EVERY).await;
            versions.changed().await.ok()?;
        }
        let version = *versions.borrow_and_update();
        let event = Event::default().event("version").data(version.to_string());
        let event = if first { event.retry(RETRY) } else { event };
        Some((Ok(event), (versions, false)))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::pin::pin;

    use futures_util::StreamExt as _;

    use super::*;

    /// Two pages.
    pub(in crate::http) struct Stub {
        policy: HeaderValue,
        /// Dropped with the stub, which then sends no news any more.
        version: watch::Sender<u64>,
    }

    impl Default for Stub {
        fn default() -> Self {
            Self { policy: HeaderValue::from_static("default-src 'none'"), version: watch::channel(7).0 }
        }
    }

    impl Pages for Stub {
        fn render(&self, subject: Subject) -> BoxFuture<'_, Rendered> {
            let rendered = match subject {
                Subject::Site => Rendered::Page(Bytes::from_static(b"<!doctype html>the site")),
                Subject::Vpn(id) if id == "vpn-0a" => {
                    Rendered::Page(Bytes::from_static(b"<!doctype html>vpn-0a"))
                }
                Subject::Vpn(id) if id == "vpn-bad" => Rendered::Failed("no such field".to_owned()),
                Subject::Vpn(_) => Rendered::Unknown,
            };
            Box::pin(std::future::ready(rendered))
        }

        fn versions(&self) -> watch::Receiver<u64> {
            self.version.subscribe()
        }

        fn policy(&self) -> &HeaderValue {
            &self.policy
        }
    }

    fn text(event: Option<Result<Event, Infallible>>) -> Option<String> {
        event.map(|event| format!("{event:?}"))
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "the paused clock is the test's own time")]
    async fn a_reader_hears_the_version_at_once_and_then_only_the_newest_each_second() {
        let (sender, versions) = watch::channel(7);
        let mut news = pin!(news(versions));
        let first = text(news.next().await).unwrap();
        assert!(first.contains("data: 7") && first.contains("retry: 3000"), "{first}");
        for version in 8..=20 {
            sender.send_replace(version);
        }
        let before = tokio::time::Instant::now();
        let second = text(news.next().await).unwrap();
        assert!(second.contains("data: 20"), "{second}");
        assert_eq!(before.elapsed(), NEWS_EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_change_nothing_comes_and_with_the_daemon_it_ends() {
        let (sender, versions) = watch::channel(7);
        let mut news = pin!(news(versions));
        assert!(news.next().await.is_some());
        assert!(time::timeout(BEAT_EVERY * 10, news.next()).await.is_err());
        drop(sender);
        assert!(news.next().await.is_none());
    }
}
