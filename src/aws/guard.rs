//! Bounds answers before the SDK sees them: in length, in number of parts, and without times that the SDK's clock correction and
//! parsers cannot handle. With `panic = "abort"` one such answer would end the daemon, and the next start as well.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::timing::date_of;
use crate::domain::time::Stamp;

/// AWS's answers are dated between 2020 and 2100.
const EARLIEST: Stamp = Stamp::from_secs(1_577_836_800);
const LATEST: Stamp = Stamp::from_secs(4_102_444_800);
/// Limit on an answer's members and elements. The largest expected answer, a list of a hundred records, has about three thousand;
/// each costs the parser up to a hundred bytes or so, and a body of nothing but brackets is mostly these.
const MOST_PARTS: usize = 40_000;

/// The time, if it is plausible for an answer of AWS.
pub(super) fn plausible(at: Stamp) -> Option<Stamp> {
    Some(at).filter(|at| (EARLIEST..=LATEST).contains(at))
}

/// The format of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyFormat {
    /// JSON, counted piece by piece.
    Json,
    /// CBOR, counted as a whole.
    Cbor,
    /// Only the length is limited: the parser is ours, or no answer contains lists.
    Any,
}

/// An HTTP client that enforces these bounds on answers.
#[derive(Debug)]
pub(super) struct Guarded {
    inner: SharedHttpClient,
    longest: usize,
    format: BodyFormat,
}

impl Guarded {
    /// `longest`: more than any expected answer.
    pub(super) fn client(
        inner: impl HttpClient + 'static,
        longest: usize,
        format: BodyFormat,
    ) -> SharedHttpClient {
        SharedHttpClient::new(Self { inner: SharedHttpClient::new(inner), longest, format })
    }
}

impl HttpClient for Guarded {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(GuardedConnector { inner, longest: self.longest, format: self.format })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

#[derive(Debug)]
struct GuardedConnector {
    inner: SharedHttpConnector,
    longest: usize,
    format: BodyFormat,
}

impl HttpConnector for GuardedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answer, longest, format) = (self.inner.call(request), self.longest, self.format);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            without_absurd_date(&mut answer);
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            *answer.body_mut() = bounded(body, longest, format).await;
            Ok(answer)
        })
    }
}

/// The SDK corrects its clock by any Date, and signs with it.
fn without_absurd_date(answer: &mut HttpResponse) {
    if date_of(answer).is_some_and(|date| plausible(date).is_none()) {
        answer.headers_mut().remove("date");
    }
}

async fn bounded(body: SdkBody, longest: usize, format: BodyFormat) -> SdkBody {
    match format {
        BodyFormat::Any => SdkBody::from_body_1_x(Limited::new(body, longest)),
        BodyFormat::Json => SdkBody::from_body_1_x(Counted {
            inner: Limited::new(Box::pin(body), longest),
            json: Json::default(),
        }),
        BodyFormat::Cbor => {
            let whole = Limited::new(body, longest).collect().await;
            let bytes = whole.and_then(|whole| {
                let bytes = whole.to_bytes();
                cbor(&bytes).map_err(io::Error::other)?;
                Ok(bytes)
            });
            match bytes {
                Ok(bytes) => SdkBody::from(bytes),
                Err(error) => SdkBody::from_body_1_x(Broken(Some(error))),
            }
        }
    }
}

/// A body that cannot be parsed, of an answer that has arrived: to the caller it is an invalid answer, not an unreachable
/// service.
struct Broken(Option<Box<dyn std::error::Error + Send + Sync>>);

impl Body for Broken {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

/// Why an answer is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absurd {
    /// It has more parts than any expected answer.
    TooManyParts,
    /// A time before 1970.
    Time,
}

impl fmt::Display for Absurd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyParts => "the answer has far more members than any of the service's",
            Self::Time => "the answer has a time before 1970",
        })
    }
}

impl std::error::Error for Absurd {}

/// A body of JSON, counted as it arrives.
struct Counted {
    inner: Limited<Pin<Box<SdkBody>>>,
    json: Json,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let frame = frame?;
        if let Some(bytes) = frame.data_ref() {
            self.json.count(bytes).map_err(io::Error::other)?;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The state of a JSON scan, across pieces.
#[derive(Debug, Default)]
pub(super) struct Json {
    parts: usize,
    in_text: bool,
    escaped: bool,
    before: u8,
}

impl Json {
    /// Whether a complete text is within the bounds.
    pub(super) fn is_plausible(text: &[u8]) -> bool {
        Self::default().count(text).is_ok()
    }

    /// Counts opening and dividing characters of objects and lists. No expected member has a negative number; as a time it might
    /// lie a billionth of a second before 1970, which the SDK's parser cannot handle.
    fn count(&mut self, bytes: &[u8]) -> Result<(), Absurd> {
        for byte in bytes.iter().copied() {
            if self.in_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' | b',' => self.parts += 1,
                b'-' if !matches!(self.before, b'e' | b'E') => return Err(Absurd::Time),
                _ => {}
            }
            if self.parts > MOST_PARTS {
                return Err(Absurd::TooManyParts);
            }
            self.before = byte;
        }
        Ok(())
    }
}

/// Walks all items of a CBOR text (RFC 8949): counts them, and looks for times (tag 1) before 1970. Malformed CBOR is left to the
/// parser.
fn cbor(text: &[u8]) -> Result<(), Absurd> {
    let mut rest = text;
    let mut parts = 0;
    let mut is_time = false;
    while let Some((&head, after)) = rest.split_first() {
        rest = after;
        parts += 1;
        if parts > MOST_CBOR_PARTS {
            return Err(Absurd::TooManyParts);
        }
        let (major, info) = (head >> 5, head & 0x1f);
        let length = match info {
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => 0,
        };
        let Some((argument, after)) = rest.split_at_checked(length) else { return Ok(()) };
        rest = after;
        let value = argument.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        let value = if length == 0 { u64::from(info) } else { value };
        let negative = major == 1
            || (major == 7 && length >= 2 && argument.first().is_some_and(|byte| byte & 0x80 != 0));
        if is_time && negative {
            return Err(Absurd::Time);
        }
        is_time = major == 6 && value == 1;
        if matches!(major, 2 | 3) && info != 31 {
            let skipped = usize::try_from(value).ok().and_then(|length| rest.get(length..));
            let Some(after) = skipped else { return Ok(()) };
            rest = after;
        }
    }
    Ok(())
}

/// The answer to a call about 500 tunnels has an hour of minutes each: a time and a value are three items.
const MOST_CBOR_PARTS: usize = 150_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn json(pieces: &[&str]) -> Result<(), Absurd> {
        let mut json = Json::default();
        pieces.iter().try_for_each(|piece| json.count(piece.as_bytes()))
    }

    #[test]
    fn empty_lists_are_counted_and_characters_inside_strings_are_not() {
        let many = "{},".repeat(MOST_PARTS);
        assert_eq!(json(&["[", &many, "{}]"]), Err(Absurd::TooManyParts));
        assert_eq!(json(&["[\"", &many, "\\\"", &many, "\"]"]), Ok(()));
        assert_eq!(json(&[r#"{"a":"x\\"#, r#"\"","b":[1,2]}"#]), Ok(()));
    }

    #[test]
    fn a_number_below_zero_is_no_value_of_an_answer_and_an_exponent_may_be() {
        assert_eq!(json(&[r#"{"creationTime":1.7e9,"x":1E-3,"y":1e","#, "-3}"]), Ok(()));
        assert_eq!(json(&[r#"{"creationTime":"#, "-1.5}"]), Err(Absurd::Time));
        assert_eq!(json(&[r#"{"title":"-1.5"}"#]), Ok(()));
    }

    #[test]
    fn a_time_in_cbor_is_not_before_1970_and_items_are_counted() {
        // {"t": 1(1.5)}, {"t": 1(-1.5)}, {"t": 1(-2)}, and -1.5 that is no time.
        let float = |value: f64| [&[0xfb][..], &value.to_be_bytes()].concat();
        let member = |value: &[u8]| [&[0xa1, 0x61, b't'][..], value].concat();
        let time = |value: &[u8]| member(&[&[0xc1][..], value].concat());
        assert_eq!(cbor(&time(&float(1.5))), Ok(()));
        assert_eq!(cbor(&time(&float(-1.5))), Err(Absurd::Time));
        assert_eq!(cbor(&time(&[0x21])), Err(Absurd::Time));
        assert_eq!(cbor(&member(&float(-1.5))), Ok(()));
        assert_eq!(cbor(&[0xa0_u8].repeat(MOST_CBOR_PARTS + 1)), Err(Absurd::TooManyParts));
        // A string of the same bytes is one item; the parser refuses a truncated text.
        let long = [&[0x5a, 0x00, 0x10, 0x00, 0x00][..], &[0xa0; 1 << 20]].concat();
        assert_eq!(cbor(&long), Ok(()));
        assert_eq!(cbor(&long[..100]), Ok(()));
    }

    #[test]
    fn a_date_of_another_age_is_dropped() {
        for (date, stays) in [
            ("Sun, 22 Nov 2026 10:00:00 GMT", true),
            ("Thu, 01 Jan 1970 00:00:00 GMT", false),
            ("Sun, 22 Nov 2126 10:00:00 GMT", false),
        ] {
            let status = aws_smithy_runtime_api::http::StatusCode::try_from(200_u16).unwrap();
            let mut answer = HttpResponse::new(status, SdkBody::empty());
            answer.headers_mut().insert("date", date);
            without_absurd_date(&mut answer);
            assert_eq!(answer.headers().get("date").is_some(), stays, "{date}");
        }
    }

    #[tokio::test]
    async fn a_body_ends_where_it_is_longer_than_it_may_be() {
        let body = || SdkBody::from_body_1_x(http_body_util::Full::new(Bytes::from_static(&[b' '; 100])));
        for format in [BodyFormat::Any, BodyFormat::Json, BodyFormat::Cbor] {
            let read = |longest| async move {
                let body = bounded(body(), longest, format).await;
                body.collect().await.map(|whole| whole.to_bytes().len()).map_err(|_| ())
            };
            assert_eq!(read(100).await, Ok(100), "{format:?}");
            assert_eq!(read(99).await, Err(()), "{format:?}");
        }
    }
}
