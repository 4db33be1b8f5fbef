//! The call `DescribeVpnConnections`, made by hand: `aws-sdk-ec2` takes minutes and gigabytes to compile for this one
//! operation. It goes through the SDK's own orchestrator, so that credentials, signature, proxy, timeouts and the
//! correction of a wrong clock are the SDK's.
//!
//! The answer holds pre-shared keys. The deserializer takes the body unread, so that nothing of the SDK has it in hand
//! when it logs, and it is read and parsed here, and dropped.

use std::collections::BTreeSet;
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

use super::answer::{self, Pieces, VpnConnection};
use crate::aws::connection::{OPERATION_TIMEOUT, Place};
use crate::aws::endpoint;
use crate::aws::errors::Failure;
use crate::aws::exchange::{Capture, Exchange, call};
use crate::aws::offset;
use crate::aws::permission::Call;
use crate::domain::names::VpnId;

const CALL: Call = Call::DescribeVpnConnections;
/// The version of the EC2 API that the names in `answer` are of.
const API_VERSION: &str = "2016-11-15";
/// Far more than any answer about the connections of one call.
const LONGEST_ANSWER: usize = 8 << 20;

/// A client for the one call; remembers how far our clock is off.
#[derive(Debug)]
pub(in crate::aws) struct Ec2 {
    place: Place,
    endpoint: String,
    signing: SigV4OperationSigningConfig,
    http: SharedHttpClient,
    credentials: SharedCredentialsProvider,
    config: SdkConfig,
    skew: SharedInterceptor,
    clock: SharedInterceptor,
}

impl Ec2 {
    /// `None` without a Region; the chain's configuration always has the rest.
    pub(in crate::aws) fn new(config: &SdkConfig, place: Place, clock: offset::Watch) -> Option<Self> {
        let region = config.region().filter(|_| place.region.is_some())?.clone();
        Some(Self {
            endpoint: endpoint::ec2(config, region.as_ref()),
            signing: SigV4OperationSigningConfig {
                region: Some(SigningRegion::from(region)),
                name: Some(SigningName::from_static("ec2")),
                ..SigV4OperationSigningConfig::default()
            },
            place,
            http: config.http_client()?,
            credentials: config.credentials_provider()?,
            config: config.clone(),
            skew: SharedInterceptor::new(ServiceClockSkewInterceptor::new()),
            clock: SharedInterceptor::new(clock),
        })
    }

    /// Asks about these connections.
    ///
    /// # Errors
    /// `NotFound` if AWS does not know one of them: the text then names it.
    pub(super) async fn describe(
        &self,
        ids: &BTreeSet<VpnId>,
    ) -> Result<(Vec<VpnConnection>, Exchange), Failure> {
        self.ask(form(ids)).await
    }

    /// Asks about the connections that have this tag. AWS takes `*` and `?` in the value as wildcards.
    ///
    /// # Errors
    /// Never `NotFound`: that none has it is an answer.
    pub(super) async fn describe_tagged(
        &self,
        key: &str,
        value: &str,
    ) -> Result<(Vec<VpnConnection>, Exchange), Failure> {
        self.ask(form_by_tag(key, value)).await
    }

    /// Finds out whether it may ask, and asks nothing: the answer would hold secrets that nobody needs for that.
    ///
    /// # Errors
    /// `Denied` if it may not.
    pub(in crate::aws) async fn dry_run(&self) -> Result<(), Failure> {
        let form = format!("Action=DescribeVpnConnections&Version={API_VERSION}&DryRun=true");
        match self.ask(form).await {
            // "If you have the required permissions, the error response is DryRunOperation" (EC2 API Reference).
            Err(failure) if failure.text.contains("(DryRunOperation)") => Ok(()),
            Ok(_) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    async fn ask(&self, form: String) -> Result<(Vec<VpnConnection>, Exchange), Failure> {
        let send = |capture| {
            let form = form.clone();
            async move { self.operation(capture).invoke(form).await }
        };
        let (Unread(body), exchange) = call(CALL, &self.place, send).await?;
        let read = tokio::time::timeout(OPERATION_TIMEOUT, self.read(body)).await;
        let connections = read.map_err(|_| Failure::timed_out(CALL, &self.place))??;
        Ok((connections, exchange))
    }

    async fn read(&self, body: SdkBody) -> Result<Vec<VpnConnection>, Failure> {
        let garbage = |what: &str| Failure::garbage(CALL, &self.place, what);
        let mut stream = ByteStream::new(body);
        let mut pieces = Vec::new();
        let mut length = 0;
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|_| garbage("the answer is truncated"))?;
            length += piece.len();
            if length > LONGEST_ANSWER {
                return Err(garbage("the answer is longer than any of EC2's"));
            }
            pieces.push(piece);
        }
        let mut pieces = Pieces::new(pieces);
        let connections = answer::connections(&mut pieces);
        for piece in pieces.into_inner() {
            // Overwritten where no one else holds it; the HTTP client may still share its read buffer.
            if let Ok(mut owned) = piece.try_into_mut() {
                owned.fill(0);
            }
        }
        connections.map_err(|garbled| garbage(garbled.as_str()))
    }

    fn operation(&self, capture: Capture) -> Operation<String, Unread, Ec2Error> {
        let mut bag = Layer::new("DescribeVpnConnections");
        bag.store_put(AuthSchemeOptionResolverParams::new(()));
        bag.store_put(self.signing.clone());
        bag.store_put(SensitiveOutput);
        let mut components = RuntimeComponentsBuilder::new("DescribeVpnConnections");
        components.push_auth_scheme(SigV4AuthScheme::new());
        components
            .set_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])));
        components.set_identity_resolver(SCHEME_ID, self.credentials.clone());
        components.set_identity_cache(self.config.identity_cache());
        components.set_time_source(self.config.time_source());
        components.set_sleep_impl(self.config.sleep_impl());
        let timeouts = self.config.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled);
        Operation::builder()
            .service_name("EC2")
            .operation_name("DescribeVpnConnections")
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
            .deserializer_impl(TakeBody)
            .build()
    }
}

/// The question as EC2's Query API has it. Ids are letters, digits and hyphens: nothing to escape.
fn form(ids: &BTreeSet<VpnId>) -> String {
    let mut form = format!("Action=DescribeVpnConnections&Version={API_VERSION}");
    for (index, id) in ids.iter().enumerate() {
        form.push_str(&format!("&VpnConnectionId.{}={id}", index + 1));
    }
    form
}

fn form_by_tag(key: &str, value: &str) -> String {
    let (name, value) = (percent_encoded(&format!("tag:{key}")), percent_encoded(value));
    format!(
        "Action=DescribeVpnConnections&Version={API_VERSION}&Filter.1.Name={name}&Filter.1.Value.1={value}"
    )
}

/// All but the unreserved characters (RFC 3986, section 2.3), byte by byte.
fn percent_encoded(text: &str) -> String {
    let byte = |b: u8| match b {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn request(form: String) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(form));
    request.set_method("POST")?;
    request.set_uri("/")?;
    let headers = request.headers_mut();
    headers.insert("content-type", "application/x-www-form-urlencoded");
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
struct TakeBody;

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
        let said = response.body().bytes().and_then(answer::error);
        let mut meta = ErrorMetadata::builder();
        if let Some((code, message)) = said {
            meta = meta.code(code).message(message);
        }
        Err(OrchestratorError::operation(AnyError::erase(Ec2Error(meta.build()))))
    }
}

/// An error answer of EC2.
#[derive(Debug)]
struct Ec2Error(ErrorMetadata);

impl fmt::Display for Ec2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code().unwrap_or("an error without a code"))
    }
}

impl Error for Ec2Error {}

impl ProvideErrorMetadata for Ec2Error {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_names_every_connection_by_number() {
        let ids = ["vpn-0a", "vpn-0b"].map(VpnId::new).into();
        assert_eq!(
            form(&ids),
            "Action=DescribeVpnConnections&Version=2016-11-15&VpnConnectionId.1=vpn-0a&VpnConnectionId.2=vpn-0b"
        );
    }

    #[test]
    fn a_tag_is_encoded_whatever_it_holds() {
        assert_eq!(
            form_by_tag("Stand ort", "Zürich & Bern=*"),
            "Action=DescribeVpnConnections&Version=2016-11-15&Filter.1.Name=tag%3AStand%20ort\
             &Filter.1.Value.1=Z%C3%BCrich%20%26%20Bern%3D%2A"
        );
    }

    #[test]
    fn an_unread_answer_shows_nothing_of_itself() {
        assert_eq!(format!("{:?}", Unread(SdkBody::from("<preSharedKey>s3cr3t</preSharedKey>"))), "Unread");
    }
}
