//! Calls made by hand, to services whose SDK crates take minutes and gigabytes to compile for the few operations that are
//! needed. They go through the SDK's own orchestrator, so that credentials, signature, proxy, timeouts and the correction
//! of a wrong clock are the SDK's; what goes out and what comes back is written and read by the caller.
//!
//! An answer's body is taken unread, so that nothing of the SDK has it in hand when it logs: EC2's holds pre-shared keys.

use std::error::Error;
use std::fmt;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::service_clock_skew::ServiceClockSkewInterceptor;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::AuthSchemeOptionResolverParams;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_runtime_api::client::interceptors::context::{Error as AnyError, Output};
use aws_smithy_runtime_api::client::orchestrator::{
    HttpRequest, HttpResponse, OrchestratorError, SensitiveOutput,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::DeserializeResponse;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::config_bag::{ConfigBag, Layer};
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use aws_types::sdk_config::SharedHttpClient;
use hyper::body::Bytes;

use super::api::{Api, Draft, EXISTING, ErrorAnswer};
use super::endpoint;
use super::errors::Failure;
use super::exchange::{Capture, OPERATION_TIMEOUT, call};
use super::offset::ClockWatch;
use super::permission::Call;
use super::timing::Exchange;
use crate::domain::names::AwsPlace;

/// One service, called in one place; remembers how far our clock is off.
#[derive(Debug)]
pub(super) struct ByHand {
    api: &'static Api,
    pub(super) place: AwsPlace,
    endpoint: String,
    signing: SigV4OperationSigningConfig,
    http: SharedHttpClient,
    credentials: SharedCredentialsProvider,
    config: SdkConfig,
    skew: SharedInterceptor,
    clock: SharedInterceptor,
}

impl ByHand {
    /// `None` without a Region; the chain's configuration always has the rest.
    pub(super) fn new(
        api: &'static Api,
        config: &SdkConfig,
        place: AwsPlace,
        clock: ClockWatch,
    ) -> Option<Self> {
        let region = config.region().filter(|_| place.region.is_some())?.clone();
        Some(Self {
            endpoint: endpoint::of(api, config, region.as_ref()),
            signing: SigV4OperationSigningConfig {
                region: Some(SigningRegion::from(region)),
                name: Some(SigningName::from_static(api.signing_name)),
                ..SigV4OperationSigningConfig::default()
            },
            api,
            place,
            http: config.http_client()?,
            credentials: config.credentials_provider()?,
            config: config.clone(),
            skew: SharedInterceptor::new(ServiceClockSkewInterceptor::new()),
            clock: SharedInterceptor::new(clock),
        })
    }

    /// Makes a call, and gives its answer to `read` in the pieces in which it came.
    pub(super) async fn call<T, P>(
        &self,
        about: Call,
        draft: Draft,
        read: impl FnOnce(Vec<Bytes>) -> Result<T, P>,
    ) -> Result<(T, Exchange), Failure>
    where
        P: AsRef<str>,
    {
        let send = |capture| {
            let draft = draft.clone();
            async move { self.operation(about, capture).invoke(draft).await }
        };
        let (Unread(body), exchange) = call(about, &self.place, send).await?;
        let pieces = tokio::time::timeout(OPERATION_TIMEOUT, self.pieces(about, body)).await;
        let pieces = pieces.map_err(|_| Failure::timed_out(about, &self.place))??;
        let answer = read(pieces).map_err(|what| Failure::garbage(about, &self.place, what.as_ref()))?;
        Ok((answer, exchange))
    }

    async fn pieces(&self, about: Call, body: SdkBody) -> Result<Vec<Bytes>, Failure> {
        let garbage = |what: &str| Failure::garbage(about, &self.place, what);
        let mut stream = ByteStream::new(body);
        let mut pieces = Vec::new();
        let mut length = 0;
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|_| garbage("the answer is truncated"))?;
            length += piece.len();
            if length > self.api.longest_answer {
                return Err(garbage("the answer is longer than any of the service's"));
            }
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn operation(&self, about: Call, capture: Capture) -> Operation<Draft, Unread, ServiceError> {
        let mut bag = Layer::new(about.action());
        bag.store_put(AuthSchemeOptionResolverParams::new(()));
        bag.store_put(self.signing.clone());
        bag.store_put(SensitiveOutput);
        let mut components = RuntimeComponentsBuilder::new(about.action());
        components.push_auth_scheme(SigV4AuthScheme::new());
        components
            .set_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])));
        components.set_identity_resolver(SCHEME_ID, self.credentials.clone());
        components.set_identity_cache(self.config.identity_cache());
        components.set_time_source(self.config.time_source());
        components.set_sleep_impl(self.config.sleep_impl());
        let timeouts = self.config.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled);
        Operation::builder()
            .service_name(self.api.service_id)
            .operation_name(about.action())
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(self.http.clone())
            .endpoint_url(&self.endpoint)
            .timeout_config(timeouts)
            .no_retry()
            .with_connection_poisoning()
            .interceptor(self.skew.clone())
            .interceptor(self.clock.clone())
            .interceptor(capture)
            .runtime_plugin(
                StaticRuntimePlugin::new().with_config(bag.freeze()).with_runtime_components(components),
            )
            .serializer(request)
            .deserializer_impl(TakeBody { error: self.api.error })
            .build()
    }
}

fn request(draft: Draft) -> Result<HttpRequest, BoxError> {
    let Draft { content_type, target, body } = draft;
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("POST")?;
    request.set_uri("/")?;
    let headers = request.headers_mut();
    headers.insert("content-type", content_type);
    if let Some(target) = target {
        headers.insert("x-amz-target", target);
    }
    headers.insert("user-agent", concat!("bothends/", env!("CARGO_PKG_VERSION")));
    Ok(request)
}

/// An answer's body, not yet read.
struct Unread(SdkBody);

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unread")
    }
}

/// Takes the body away before anybody reads it; leaves errors to be read as usual.
#[derive(Debug)]
struct TakeBody {
    error: fn(&[u8]) -> Option<ErrorAnswer>,
}

impl DeserializeResponse for TakeBody {
    fn deserialize_streaming_with_config(
        &self,
        response: &mut HttpResponse,
        _config: &ConfigBag,
    ) -> Option<Result<Output, OrchestratorError<AnyError>>> {
        let success = response.status().is_success();
        success.then(|| Ok(Output::erase(Unread(std::mem::replace(response.body_mut(), SdkBody::taken())))))
    }

    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        _config: &ConfigBag,
    ) -> Result<Output, OrchestratorError<AnyError>> {
        let said = response.body().bytes().and_then(self.error);
        let mut meta = ErrorMetadata::builder();
        if let Some(ErrorAnswer { code, message, existing }) = said {
            meta = meta.code(code).message(message);
            if let Some(existing) = existing {
                meta = meta.custom(EXISTING, existing);
            }
        }
        Err(OrchestratorError::operation(AnyError::erase(ServiceError(meta.build()))))
    }
}

/// An error answer.
#[derive(Debug)]
struct ServiceError(ErrorMetadata);

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code().unwrap_or("an error without a code"))
    }
}

impl Error for ServiceError {}

impl ProvideErrorMetadata for ServiceError {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unread_answer_shows_nothing_of_itself() {
        assert_eq!(format!("{:?}", Unread(SdkBody::from("<preSharedKey>s3cr3t</preSharedKey>"))), "Unread");
    }
}
