//! Calls without an SDK crate, for services whose crates take minutes and gigabytes to compile although a few operations are
//! enough. They go through the SDK's own orchestrator: credentials, signature, proxy, timeouts and clock correction are the
//! SDK's. The caller writes the request and reads the answer.
//!
//! The body of an answer bypasses the SDK, which might log it: EC2's contains pre-shared keys.

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
use aws_types::service_config::ServiceConfigKey;
use hyper::body::Bytes;

use super::errors::{EXISTING, Failure};
use super::exchange::{Capture, OPERATION_TIMEOUT, call};
use super::permission::Call;
use super::timing::ClockWatch;
use super::timing::Exchange;
use crate::domain::names::AwsPlace;

/// One service in one place; remembers how far our clock is off.
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
            endpoint: endpoint(api, config, region.as_ref()),
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

    /// Makes a call and passes the answer's body to `read`, in the pieces in which it arrived.
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
        let (UnreadBody(body), exchange) = call(about, &self.place, send).await?;
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

    fn operation(&self, about: Call, capture: Capture) -> Operation<Draft, UnreadBody, ServiceError> {
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

/// The unread body of an answer.
struct UnreadBody(SdkBody);

impl fmt::Debug for UnreadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnreadBody")
    }
}

/// Takes the body before the SDK reads it; errors are read as usual.
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
        success
            .then(|| Ok(Output::erase(UnreadBody(std::mem::replace(response.body_mut(), SdkBody::taken())))))
    }

    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        _config: &ConfigBag,
    ) -> Result<Output, OrchestratorError<AnyError>> {
        let parsed = response.body().bytes().and_then(self.error);
        let mut meta = ErrorMetadata::builder();
        if let Some(ErrorAnswer { code, message, existing }) = parsed {
            meta = meta.code(code).message(message);
            if let Some(existing) = existing {
                meta = meta.custom(EXISTING, existing);
            }
        }
        Err(OrchestratorError::operation(AnyError::erase(ServiceError(meta.build()))))
    }
}

/// An error answer, as the SDK's orchestrator needs it.
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

//--- a service, its requests and its answers

/// The particulars of a service.
#[derive(Debug)]
pub(super) struct Api {
    /// Its id in `AWS_ENDPOINT_URL_<ID>` and the profile's `services` section.
    pub(super) service_id: &'static str,
    /// The first label of its host names.
    pub(super) host: &'static str,
    /// Its name in signatures.
    pub(super) signing_name: &'static str,
    /// Parses an error answer.
    pub(super) error: fn(&[u8]) -> Option<ErrorAnswer>,
    /// The longest answer accepted; far more than any expected one.
    pub(super) longest_answer: usize,
}

/// The content of an error answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ErrorAnswer {
    pub(super) code: String,
    pub(super) message: String,
    /// The id of the existing object, if the error is that it exists already.
    pub(super) existing: Option<String>,
}

/// The content of a request.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) content_type: &'static str,
    /// `X-Amz-Target`, if the protocol uses it.
    pub(super) target: Option<&'static str>,
    pub(super) body: String,
}

/// A form body of the Query protocols.
pub(super) fn form<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut form = String::new();
    for (name, value) in parameters {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        for byte in value.bytes() {
            // RFC 3986's unreserved characters.
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                form.push(char::from(byte));
            } else {
                form.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    form
}

//--- endpoints: the SDK's clients know theirs, calls made by hand need them here

/// A service's endpoint: `AWS_ENDPOINT_URL_<ID>` or the profile's `services` section, then `AWS_ENDPOINT_URL` or the profile's
/// `endpoint_url`, then the Region's own; the order of the AWS SDKs and Tools Reference Guide ("Service-specific endpoints").
fn endpoint(api: &Api, config: &SdkConfig, region: &str) -> String {
    configured(api, config).unwrap_or_else(|| {
        let (fips, dual_stack) = (config.use_fips(), config.use_dual_stack());
        regional(api.host, region, fips.unwrap_or(false), dual_stack.unwrap_or(false))
    })
}

/// Incident Manager's endpoint from a `services` section that calls it `ssm_incidents`, the spelling of the AWS SDKs and Tools
/// Reference Guide ("Service-specific endpoints"). The Rust SDK reads only `ssm-incidents`.
pub(super) fn incident_manager_endpoint(config: &SdkConfig) -> Option<String> {
    if config.get_origin("endpoint_url").is_client_config() {
        return None;
    }
    let named = |service_id| {
        let key = ServiceConfigKey::builder();
        let key = key.service_id(service_id).env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
        config.service_config()?.load_config(key)
    };
    // The environment variable has the same name for both spellings and is read with the first.
    named("SSM Incidents").or_else(|| named("SSM_Incidents"))
}

fn configured(api: &Api, config: &SdkConfig) -> Option<String> {
    let everywhere = || config.endpoint_url().map(str::to_owned);
    if config.get_origin("endpoint_url").is_client_config() {
        return everywhere();
    }
    let key = ServiceConfigKey::builder()
        .service_id(api.service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let for_it = key.ok().zip(config.service_config()).and_then(|(key, service)| service.load_config(key));
    for_it.or_else(everywhere)
}

/// The partitions, from the SDK's own `partitions.json`: prefix of the Regions, name in ARNs, plain host suffix, dual-stack host
/// suffix.
const PARTITIONS: [(&str, &str, &str, &str); 8] = [
    ("cn-", "aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com", "api.aws"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("us-iso-", "aws-iso", "c2s.ic.gov", "api.aws.ic.gov"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("eusc-", "aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("", ANY, "amazonaws.com", "api.aws"),
];
const ANY: &str = "aws";

/// The partition of a Region, as in ARNs.
pub fn partition(region: &str) -> &'static str {
    let found = PARTITIONS.iter().find(|(prefix, ..)| region.starts_with(prefix));
    found.map_or(ANY, |(_, partition, ..)| partition)
}

/// The Region's own endpoint of a service, by the first label of its host names.
pub(super) fn regional(host: &str, region: &str, fips: bool, dual_stack: bool) -> String {
    let (plain, dual) = PARTITIONS
        .iter()
        .find(|(prefix, ..)| region.starts_with(prefix))
        .map_or(("amazonaws.com", "api.aws"), |(_, _, plain, dual)| (*plain, *dual));
    let suffix = if dual_stack { dual } else { plain };
    // In GovCloud the plain endpoints of EC2, SSM and SNS are FIPS endpoints already (the services' endpoint rules).
    let already_fips = region.starts_with("us-gov-") && !dual_stack;
    let fips = if fips && !already_fips { "-fips" } else { "" };
    format!("https://{host}{fips}.{region}.{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unread_answer_hides_its_content_in_debug() {
        assert_eq!(
            format!("{:?}", UnreadBody(SdkBody::from("<preSharedKey>s3cr3t</preSharedKey>"))),
            "UnreadBody"
        );
    }

    #[test]
    fn a_form_escapes_reserved_characters() {
        assert_eq!(form([("A", "b-1"), ("Text", "a=b & ü\n")]), "A=b-1&Text=a%3Db%20%26%20%C3%BC%0A");
    }

    #[test]
    fn a_region_is_in_the_partition_that_its_name_begins_with() {
        for (region, expected) in [
            ("eu-west-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-isob-east-1", "aws-iso-b"),
        ] {
            assert_eq!(partition(region), expected);
        }
    }

    #[tokio::test]
    async fn a_profile_may_spell_incident_manager_as_the_guide_or_as_the_sdk_does() {
        use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
        for spelling in ["ssm_incidents", "ssm-incidents"] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let text = format!(
                "[default]\nregion = eu-west-1\nservices = local\n[services local]\n{spelling} =\n  endpoint_url = http://127.0.0.1:9\n"
            );
            std::fs::write(file.path(), text).unwrap();
            let files = EnvConfigFiles::builder().with_file(EnvConfigFileKind::Config, file.path()).build();
            let http =
                crate::aws::http::client(None, false, Default::default(), &Default::default()).unwrap();
            let loader = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12()).http_client(http);
            let config = loader.profile_files(files).no_credentials().load().await;
            assert_eq!(
                incident_manager_endpoint(&config).as_deref(),
                Some("http://127.0.0.1:9"),
                "{spelling}"
            );
        }
    }

    #[test]
    fn the_endpoint_follows_partition_fips_and_dual_stack() {
        for (region, fips, dual_stack, expected) in [
            ("eu-west-1", false, false, "https://ec2.eu-west-1.amazonaws.com"),
            ("eu-west-1", true, false, "https://ec2-fips.eu-west-1.amazonaws.com"),
            ("eu-west-1", false, true, "https://ec2.eu-west-1.api.aws"),
            ("us-east-1", true, true, "https://ec2-fips.us-east-1.api.aws"),
            ("cn-north-1", false, false, "https://ec2.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", true, false, "https://ec2.us-gov-west-1.amazonaws.com"),
            ("us-isob-east-1", false, false, "https://ec2.us-isob-east-1.sc2s.sgov.gov"),
        ] {
            assert_eq!(regional("ec2", region, fips, dual_stack), expected);
        }
    }
}
