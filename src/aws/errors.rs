//! What a failed call means: one classification for all services.

mod kind;

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::credentials::SignInError;
use super::credentials::helper::HelperError;
use super::credentials::lack::{self, NoCredentials, RoleError};
use super::http::NoAnswer;
use super::permission::Call;
use super::text::{self, CODE_MAX, line, safe_text};
use super::timing::Exchange;
use crate::domain::names::AwsPlace;
use crate::outbound::{Certificate, ConnectError, What, io_text};

pub use kind::{FailureClass, FailureKind};

/// The error member with the id of an existing object.
pub(super) const EXISTING: &str = "existing";

/// A failed call.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its meaning for the caller.
    pub kind: FailureKind,
    /// The call.
    pub call: Call,
    /// What, where, and what to do, in an operator's words; the same text for the same problem, and never a secret.
    pub text: String,
    /// The times of the exchange, if there was an answer.
    pub(super) exchange: Option<Exchange>,
    /// The id of the existing object, if the service named it.
    pub(super) existing: Option<String>,
    cause: Option<Arc<Cause>>,
}

impl Failure {
    /// Classifies an SDK error.
    pub(super) fn of<E>(call: Call, place: &AwsPlace, error: SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        match &error {
            SdkError::ServiceError(service) => {
                Self::answered_by_aws(call, place, service.err(), service.raw())
            }
            SdkError::TimeoutError(_) => {
                Self::unanswered(call, place, FailureKind::TimedOut, "no answer in time", &error)
            }
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
                Self::unsent(call, place, &error)
            }
            SdkError::ResponseError(response) => {
                let status = response.raw().status().as_u16();
                let text = not_understood(call, place, status);
                let cause = Some(Arc::new(Cause::of(&error)));
                Self { kind: FailureKind::Garbage, call, text, exchange: None, existing: None, cause }
            }
            other => Self::unanswered(call, place, FailureKind::Unreachable, "the call failed", other),
        }
    }

    /// An invalid answer.
    pub(super) fn garbage(call: Call, place: &AwsPlace, what: &str) -> Self {
        let text = format!("{call} {place}: {what}");
        Self { kind: FailureKind::Garbage, call, text, exchange: None, existing: None, cause: None }
    }

    /// No answer within our own time limit.
    pub(super) fn timed_out(call: Call, place: &AwsPlace) -> Self {
        let text = format!("{call} {place}: no answer in time");
        Self { kind: FailureKind::TimedOut, call, text, exchange: None, existing: None, cause: None }
    }

    /// Neither the configuration nor the environment names a Region.
    pub(super) fn no_region(call: Call) -> Self {
        let text = format!("{call}: no Region is configured; set region under [aws], or AWS_REGION");
        Self {
            kind: FailureKind::CredentialsMissing,
            call,
            text,
            exchange: None,
            existing: None,
            cause: None,
        }
    }

    /// Whether other credentials, or a Region, may help.
    pub(super) const fn is_about_credentials(&self) -> bool {
        self.kind.is_of_credentials()
    }

    /// AWS's error code, if AWS answered.
    pub(super) fn code(&self) -> Option<&str> {
        self.cause.as_deref()?.code()
    }

    /// The profile of IAM Identity Center that must sign in, if that is missing.
    pub(super) fn sign_in(&self) -> Option<&str> {
        self.cause.as_deref()?.sign_in()
    }

    /// The role that may not be assumed, if the call failed for that reason.
    pub(super) fn unassumed(&self) -> Option<&str> {
        self.cause.as_deref()?.role()
    }

    /// Adds the times of the exchange.
    pub(super) fn at(self, exchange: Option<Exchange>) -> Self {
        Self { exchange, ..self }
    }

    fn answered_by_aws(
        call: Call,
        place: &AwsPlace,
        error: &impl ProvideErrorMetadata,
        raw: &HttpResponse,
    ) -> Self {
        let status = raw.status().as_u16();
        let kind = kind::of(call, error.code(), status, kind::retry_after(raw.headers()));
        let code = &line(error.code().unwrap_or("no error code"), CODE_MAX);
        let message = error.message().map(safe_text).unwrap_or_default();
        let text = match kind {
            FailureKind::Denied => denied(call, place, code, &message),
            FailureKind::CredentialsRefused => format!(
                "{call} {place}: AWS does not accept the daemon's credentials ({code}); renew them, and check this host's clock"
            ),
            FailureKind::Throttled { .. } => format!("{call} {place}: throttled by AWS ({code})"),
            FailureKind::TimedOut | FailureKind::Unreachable | FailureKind::ServiceFault => {
                format!("{call} {place}: AWS failed (HTTP {status}, {code})")
            }
            FailureKind::Garbage if status < 300 => not_understood(call, place, status),
            FailureKind::Garbage => format!(
                "{call} {place}: HTTP {status} without an AWS error code; a proxy or captive portal may have answered in place of AWS"
            ),
            FailureKind::NotFound
            | FailureKind::TokenKnown
            | FailureKind::Contended
            | FailureKind::CredentialsMissing
            | FailureKind::CredentialsFailed
            | FailureKind::Rejected => format!("{call} {place} was rejected ({code}): {message}"),
        };
        let cause = Cause::new(format!("HTTP {status}, {code}: {message}"), None);
        let existing = error.meta().extra(EXISTING).map(str::to_owned);
        let cause = cause.with_code(error.code());
        Self { kind, call, text, exchange: None, existing, cause: Some(Arc::new(cause)) }
    }

    /// The request was not sent: no credentials, or no connection.
    fn unsent(call: Call, place: &AwsPlace, error: &(dyn Error + 'static)) -> Self {
        let credentials = text::chain(error).find_map(|error| error.downcast_ref::<CredentialsError>());
        match credentials {
            Some(credentials) => Self::without_credentials(call, place, credentials),
            None => {
                let (timed_out, what) = unreached(error);
                let kind = if timed_out { FailureKind::TimedOut } else { FailureKind::Unreachable };
                let text = format!("{call} {place}: {what}");
                let cause = Some(Arc::new(Cause::of(error)));
                Self { kind, call, text, exchange: None, existing: None, cause }
            }
        }
    }

    fn without_credentials(call: Call, place: &AwsPlace, error: &CredentialsError) -> Self {
        let find = || text::chain(error);
        let failure = |kind, what: String, cause: Cause| {
            let text = format!("{call} {place}: {what}");
            Self { kind, call, text, exchange: None, existing: None, cause: Some(Arc::new(cause)) }
        };
        if let Some((answer, raw)) = lack::answer(error) {
            let role = find().find_map(|error| error.downcast_ref::<RoleError>());
            let role = role.map(|error| error.role.as_str()).or(place.role_arn.as_deref());
            let (kind, text, cause) = Self::refused_by_sts(call, place, role, answer, raw);
            return Self { kind, call, text, exchange: None, existing: None, cause: Some(Arc::new(cause)) };
        }
        let lack = find().find_map(|error| error.downcast_ref::<NoCredentials>());
        if let Some(lack) = lack {
            let found = safe_text(&lack.to_string());
            let what = format!("no AWS credentials: {found}; {}", lack.advice);
            return failure(FailureKind::CredentialsMissing, what, Cause::new(found, None));
        }
        let connector = find().find_map(|error| error.downcast_ref::<ConnectorError>());
        let helper = find().find_map(|error| error.downcast_ref::<HelperError>());
        let sign_in = find().find_map(|error| error.downcast_ref::<SignInError>());
        let late = matches!(error, CredentialsError::ProviderTimedOut(_))
            || lack::is_timeout(error)
            || connector.is_some_and(ConnectorError::is_timeout)
            || helper.is_some_and(HelperError::is_timeout);
        let cause = Cause::of(error);
        if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
            failure(FailureKind::CredentialsMissing, "no AWS credentials".to_owned(), cause)
        } else if matches!(error, CredentialsError::InvalidConfiguration(_)) {
            let what = format!("no AWS credentials: {}", text::deepest(error));
            failure(FailureKind::CredentialsMissing, what, cause)
        } else if late {
            let what = helper.map_or_else(
                || "the credentials' source did not answer in time".to_owned(),
                |helper| format!("no AWS credentials: {helper}"),
            );
            failure(FailureKind::TimedOut, what, cause)
        } else if connector.is_some() {
            let what = format!("no connection to the credentials' source: {}", unreached(error).1);
            failure(FailureKind::Unreachable, what, cause)
        } else if let Some(SignInError { profile, .. }) = sign_in {
            let (kind, what) = match lack::answer_to_session(error) {
                Some((answer, raw)) => refused_in_session(profile, answer, raw),
                None => (FailureKind::CredentialsMissing, None),
            };
            match what {
                Some(what) => failure(kind, format!("no AWS credentials: {what}"), Cause::new(what, None)),
                None => {
                    let what = format!(
                        "no AWS credentials: the profile {profile} signs in by IAM Identity Center, and has no session that \
                         works; run `aws sso login --profile {profile}`. Nobody signs in for a daemon: give it a \
                         credential_process (IAM Roles Anywhere) or keys"
                    );
                    failure(kind, what, cause.with_sign_in(profile))
                }
            }
        } else {
            let what = format!("no AWS credentials: {}", text::deepest(error));
            failure(FailureKind::CredentialsFailed, what, cause)
        }
    }

    /// STS answered without credentials for the role. A fault of STS itself is temporary.
    fn refused_by_sts(
        call: Call,
        place: &AwsPlace,
        role: Option<&str>,
        answer: &ErrorMetadata,
        raw: &HttpResponse,
    ) -> (FailureKind, String, Cause) {
        let status = raw.status().as_u16();
        let kind = kind::of(Call::AssumeRole, answer.code(), status, kind::retry_after(raw.headers()));
        let code = &line(answer.code().unwrap_or("no error code"), CODE_MAX);
        let message = answer.message().map(safe_text).unwrap_or_default();
        let at = format!("{call} {place}");
        let cause = Cause::new(format!("HTTP {status}, {code}: {message}"), None);
        let (kind, text) = match kind {
            FailureKind::Denied => {
                let on = role.map_or_else(|| Call::AssumeRole.resource().to_owned(), of_role);
                let text = denied_on(Call::AssumeRole, &on, place, code, &message);
                return (kind, text, cause.with_role(role));
            }
            FailureKind::CredentialsRefused => {
                let advice = "renew them, and check this host's clock";
                let what = "AWS does not accept the credentials to assume the role with";
                (kind, format!("{at}: {what} ({code}); {advice}"))
            }
            FailureKind::Throttled { .. } => {
                (kind, format!("{at}: no AWS credentials: throttled by STS ({code})"))
            }
            FailureKind::TimedOut
            | FailureKind::Unreachable
            | FailureKind::ServiceFault
            | FailureKind::Contended
            | FailureKind::CredentialsFailed
            | FailureKind::Garbage => (
                FailureKind::CredentialsFailed,
                format!("{at}: no AWS credentials: STS failed (HTTP {status}, {code})"),
            ),
            FailureKind::CredentialsMissing
            | FailureKind::NotFound
            | FailureKind::TokenKnown
            | FailureKind::Rejected => {
                let what = format!("{at}: no AWS credentials: STS rejects the role ({code}): {message}");
                (FailureKind::CredentialsMissing, what)
            }
        };
        (kind, text, cause)
    }

    fn unanswered(
        call: Call,
        place: &AwsPlace,
        kind: FailureKind,
        what: &str,
        error: &(dyn Error + 'static),
    ) -> Self {
        let deepest = text::deepest(error);
        Self {
            kind,
            call,
            text: format!("{call} {place}: {what}: {deepest}"),
            exchange: None,
            existing: None,
            cause: Some(Arc::new(Cause::of(error))),
        }
    }
}

fn not_understood(call: Call, place: &AwsPlace, status: u16) -> String {
    format!("{call} {place}: the answer (HTTP {status}) cannot be understood")
}

/// What is missing and what to do. AWS's own message names the principal and the policy at fault.
fn denied(call: Call, place: &AwsPlace, code: &str, message: &str) -> String {
    denied_on(call, call.resource(), place, code, message)
}

fn denied_on(call: Call, on: &str, place: &AwsPlace, code: &str, message: &str) -> String {
    let permission = call.permission();
    let detail = if message.is_empty() { String::new() } else { format!("; AWS says: {message}") };
    format!(
        "{call} {place} was refused ({code}): the permission {permission} on {on} is missing; grant it to the daemon's identity{detail}"
    )
}

/// The role on which `sts:AssumeRole` is needed.
fn of_role(role: &str) -> String {
    format!("{role}, whose trust policy must allow the daemon's own credentials,")
}

/// Why IAM Identity Center refuses the session of a profile; `None` if another session would help.
fn refused_in_session(
    profile: &str,
    answer: &ErrorMetadata,
    raw: &HttpResponse,
) -> (FailureKind, Option<String>) {
    let status = raw.status().as_u16();
    let code = &line(answer.code().unwrap_or("no error code"), CODE_MAX);
    let message = answer.message().map(|message| format!(": {}", safe_text(message))).unwrap_or_default();
    match status {
        401 => (FailureKind::CredentialsMissing, None),
        429 | 500.. => {
            let what = format!("IAM Identity Center failed (HTTP {status}, {code}{message})");
            (FailureKind::CredentialsFailed, Some(what))
        }
        _ => {
            let what = format!(
                "IAM Identity Center refuses the role of the profile {profile} ({code}{message}); check its sso_account_id and \
                 sso_role_name, and that this role is assigned to the user who signed in"
            );
            (FailureKind::CredentialsMissing, Some(what))
        }
    }
}

/// Whether AWS's refusal may be due to a wrong clock of ours.
pub(super) fn is_about_the_clock<E, R>(error: &SdkError<E, R>) -> bool
where
    E: ProvideErrorMetadata,
{
    error.as_service_error().and_then(|error| error.code()).is_some_and(|code| kind::CLOCK.contains(&code))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

/// The cause of a failed call: a chain of causes, as text. The SDK's own errors contain the whole HTTP answer and would print it
/// in their Debug form.
#[derive(Debug)]
struct Cause {
    text: String,
    /// AWS's error code, if AWS answered.
    code: Option<Box<str>>,
    /// The profile of IAM Identity Center whose session is missing or has expired.
    sign_in: Option<Box<str>>,
    /// The role that may not be assumed.
    role: Option<Box<str>>,
    source: Option<Box<Cause>>,
}

impl Cause {
    pub(super) fn new(text: String, source: Option<Box<Cause>>) -> Self {
        Self { text, code: None, sign_in: None, role: None, source }
    }

    fn with_code(self, code: Option<&str>) -> Self {
        Self { code: code.map(Box::from), ..self }
    }

    pub(super) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    fn with_sign_in(self, profile: &str) -> Self {
        Self { sign_in: Some(Box::from(profile)), ..self }
    }

    pub(super) fn sign_in(&self) -> Option<&str> {
        self.sign_in.as_deref()
    }

    fn with_role(self, role: Option<&str>) -> Self {
        Self { role: role.map(Box::from), ..self }
    }

    pub(super) fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let source = error.source().map(|source| Box::new(Self::of(source)));
        Self::new(safe_text(&error.to_string()), source)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

//--- why AWS was not reached, by the HTTP client's error types in the chain of causes

/// Whether time ran out; and what happened, where, and what to do.
fn unreached(error: &(dyn Error + 'static)) -> (bool, String) {
    let find = || text::chain(error);
    if let Some(error) = find().find_map(|error| error.downcast_ref::<ConnectError>()) {
        return (error.is_timeout(), unconnected(error));
    }
    if let Some(error) = find().find_map(|error| error.downcast_ref::<NoAnswer>()) {
        return (true, error.to_string());
    }
    if let Some(error) = find().find_map(|error| error.downcast_ref::<hyper::Error>()) {
        let what = if error.is_parse() {
            "the answer is not HTTP; a proxy or firewall on the way may have changed it".to_owned()
        } else {
            // Beyond the system's errors the library gives only text.
            let io = text::chain(error).find_map(|error| error.downcast_ref::<std::io::Error>());
            let how = io.map_or_else(|| text::deepest(error), io_text);
            format!("the connection broke before the answer was complete ({how})")
        };
        return (false, what);
    }
    let timed_out =
        find().filter_map(|error| error.downcast_ref::<ConnectorError>()).any(ConnectorError::is_timeout);
    let what = if timed_out { "no answer in time" } else { "no connection" };
    (timed_out, format!("{what}: {}", text::deepest(error)))
}

/// The text of a failed connection, and where trust in a certificate is configured.
fn unconnected(error: &ConnectError) -> String {
    match (&error.what, &error.authorities) {
        (What::Certificate(Certificate::Untrusted), None) => format!(
            "{error}; if a proxy or firewall inspects TLS here, name a PEM file with its CA certificate in AWS_CA_BUNDLE (ca_bundle of \
             a profile is not read), or add it to this host's store (update-ca-certificates)"
        ),
        (What::Certificate(Certificate::Untrusted), Some(file)) => format!(
            "{error}; only the CAs in {} (AWS_CA_BUNDLE) are trusted: add the one that signed it",
            file.display()
        ),
        (What::HandshakeBroken { large: true, .. }, _) => {
            format!("{error}; set [aws] tls_key_exchange = \"classic\"")
        }
        (
            What::Certificate(_)
            | What::NoHost
            | What::Unresolved(_)
            | What::Unconnected(_)
            | What::ProxyRefused { .. }
            | What::ProxyUnclear(_)
            | What::Tls(_)
            | What::HandshakeBroken { large: false, .. }
            | What::TimedOut { .. },
            _,
        ) => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
