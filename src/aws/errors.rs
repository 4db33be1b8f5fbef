//! What a failed call means: one classification for every service.

mod codes;
mod words;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::by_hand::EXISTING;
use super::connection::Place;
use super::exchange::Exchange;
use super::permission::Call;
pub(super) use codes::CLOCK_CODES;
use words::{Cause, safe_words};

/// A call that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What it means to the caller.
    pub kind: FailureKind,
    /// What was called.
    pub call: Call,
    /// What, where, and what to do, in an operator's words; the same words for the same problem, and never a secret.
    pub text: String,
    /// What the answer said of time, if there was one.
    pub(super) exchange: Option<Exchange>,
    /// What is there already, where the service says so.
    pub(super) existing: Option<String>,
    cause: Option<Arc<Cause>>,
}

/// What a failure means to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// AWS asks us to slow down.
    Throttled {
        /// AWS's own word on when to come back.
        retry_after: Option<Duration>,
    },
    /// No answer in time.
    TimedOut,
    /// No connection, or it broke.
    Unreachable,
    /// AWS is at fault (5xx).
    ServiceFault,
    /// Two writers met; the same again will do.
    Contended,
    /// A permission is missing. A person must act.
    Denied,
    /// The credentials have expired or are not accepted. They are loaded afresh; if that does not help, a person must act.
    CredentialsRefused,
    /// There are no credentials, or no Region. A person must act.
    CredentialsMissing,
    /// The answer cannot be understood.
    Garbage,
    /// What was asked about does not exist.
    NotFound,
    /// The client token is known with other parameters.
    TokenKnown,
    /// AWS finds fault with the request. A person must act.
    Rejected,
}

impl FailureKind {
    /// Whether a permission or credentials are what is missing.
    pub const fn is_of_permission(self) -> bool {
        match self {
            Self::Denied | Self::CredentialsRefused | Self::CredentialsMissing => true,
            Self::Throttled { .. }
            | Self::TimedOut
            | Self::Unreachable
            | Self::ServiceFault
            | Self::Contended
            | Self::Garbage
            | Self::NotFound
            | Self::TokenKnown
            | Self::Rejected => false,
        }
    }

    /// Whether a retry may do without anybody's help.
    pub const fn is_temporary(self) -> bool {
        match self {
            Self::Throttled { .. }
            | Self::TimedOut
            | Self::Unreachable
            | Self::ServiceFault
            | Self::Contended
            | Self::Garbage => true,
            Self::Denied
            | Self::CredentialsRefused
            | Self::CredentialsMissing
            | Self::NotFound
            | Self::TokenKnown
            | Self::Rejected => false,
        }
    }

    /// Whether AWS was reached: an answer came, whatever it said. Where something on the way answers in AWS's stead,
    /// that is taken for AWS's.
    pub const fn reached_aws(self) -> bool {
        match self {
            Self::TimedOut | Self::Unreachable | Self::CredentialsMissing => false,
            Self::Throttled { .. }
            | Self::ServiceFault
            | Self::Contended
            | Self::Denied
            | Self::CredentialsRefused
            | Self::Garbage
            | Self::NotFound
            | Self::TokenKnown
            | Self::Rejected => true,
        }
    }
}

impl Failure {
    /// Classifies what the SDK says.
    pub(super) fn of<E>(call: Call, place: &Place, error: SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        match &error {
            SdkError::ServiceError(service) => Self::said_by_aws(call, place, service.err(), service.raw()),
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

    /// An answer that makes no sense.
    pub(super) fn garbage(call: Call, place: &Place, what: &str) -> Self {
        let text = format!("{call} {place}: {what}");
        Self { kind: FailureKind::Garbage, call, text, exchange: None, existing: None, cause: None }
    }

    /// No answer within the bounds of our own.
    pub(super) fn timed_out(call: Call, place: &Place) -> Self {
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

    /// Whether other credentials, or a Region, may mend it.
    pub(super) const fn is_about_credentials(&self) -> bool {
        match self.kind {
            FailureKind::CredentialsRefused | FailureKind::CredentialsMissing => true,
            FailureKind::Throttled { .. }
            | FailureKind::TimedOut
            | FailureKind::Unreachable
            | FailureKind::ServiceFault
            | FailureKind::Contended
            | FailureKind::Denied
            | FailureKind::Garbage
            | FailureKind::NotFound
            | FailureKind::TokenKnown
            | FailureKind::Rejected => false,
        }
    }

    /// The same failure, with what its answer said of time.
    pub(super) fn at(self, exchange: Option<Exchange>) -> Self {
        Self { exchange, ..self }
    }

    fn said_by_aws(call: Call, place: &Place, error: &impl ProvideErrorMetadata, raw: &HttpResponse) -> Self {
        let status = raw.status().as_u16();
        let kind = codes::kind_of(call, error.code(), status, codes::retry_after(raw.headers()));
        let code = error.code().unwrap_or("no error code");
        let message = error.message().map(safe_words).unwrap_or_default();
        let text = match kind {
            FailureKind::Denied => denied(call, place, code, &message),
            FailureKind::CredentialsRefused => format!(
                "{call} {place}: AWS does not accept the daemon's credentials ({code}); renew them, and check this host's clock"
            ),
            FailureKind::Throttled { .. } => format!("{call} {place}: AWS asks us to slow down ({code})"),
            FailureKind::TimedOut | FailureKind::Unreachable | FailureKind::ServiceFault => {
                format!("{call} {place}: AWS failed (HTTP {status}, {code})")
            }
            FailureKind::Garbage if status < 300 => not_understood(call, place, status),
            FailureKind::Garbage => format!(
                "{call} {place}: the answer (HTTP {status}) has no error code of AWS's; does a proxy answer in its stead?"
            ),
            FailureKind::NotFound
            | FailureKind::TokenKnown
            | FailureKind::Contended
            | FailureKind::CredentialsMissing
            | FailureKind::Rejected => format!("{call} {place} was rejected ({code}): {message}"),
        };
        let cause = Cause::new(format!("HTTP {status}, {code}: {message}"), None);
        let existing = error.meta().extra(EXISTING).map(str::to_owned);
        Self { kind, call, text, exchange: None, existing, cause: Some(Arc::new(cause)) }
    }

    /// The request did not leave: no credentials, or no connection.
    fn unsent(call: Call, place: &Place, error: &(dyn Error + 'static)) -> Self {
        let credentials = words::chain(error).find_map(|error| error.downcast_ref::<CredentialsError>());
        match credentials {
            Some(credentials) => Self::without_credentials(call, place, credentials),
            None if words::mentions(error, "region") && place.region.is_none() => Self::no_region(call),
            None => {
                let timed_out = words::chain(error)
                    .filter_map(|error| error.downcast_ref::<ConnectorError>())
                    .any(ConnectorError::is_timeout);
                let kind = if timed_out { FailureKind::TimedOut } else { FailureKind::Unreachable };
                Self::unanswered(call, place, kind, "no connection", error)
            }
        }
    }

    fn without_credentials(call: Call, place: &Place, error: &CredentialsError) -> Self {
        let by_code = |codes: &[&str]| codes.iter().any(|code| words::mentions(error, code));
        let reached =
            !words::chain(error).any(|error| error.is::<ConnectorError>() || words::is_timeout(error));
        let assumed = place.role_arn.is_some();
        let cause = Some(Arc::new(Cause::of(error)));
        let (kind, what) = if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
            let advice = "write keys to /etc/bothends/credentials (chmod 600) and restart the service, or give it a profile, a credential_process (IAM Roles Anywhere) or AWS_ACCESS_KEY_ID";
            (FailureKind::CredentialsMissing, format!("no AWS credentials; {advice}"))
        } else if matches!(error, CredentialsError::ProviderTimedOut(_)) {
            (FailureKind::TimedOut, "the credentials' source did not answer in time".to_owned())
        } else if assumed && by_code(codes::DENIED) {
            let text = denied(Call::AssumeRole, place, "AccessDenied", "");
            return Self { kind: FailureKind::Denied, call, text, exchange: None, existing: None, cause };
        } else if by_code(CLOCK_CODES) || by_code(codes::REFUSED_CREDENTIALS) {
            let advice = "renew them, and check this host's clock";
            let what = format!("AWS does not accept the credentials to assume the role with; {advice}");
            (FailureKind::CredentialsRefused, what)
        } else if !reached {
            let what = format!("no connection to the credentials' source: {}", words::deepest(error));
            (FailureKind::Unreachable, what)
        } else {
            (FailureKind::CredentialsMissing, format!("no AWS credentials: {}", words::deepest(error)))
        };
        Self { kind, call, text: format!("{call} {place}: {what}"), exchange: None, existing: None, cause }
    }

    fn unanswered(
        call: Call,
        place: &Place,
        kind: FailureKind,
        what: &str,
        error: &(dyn Error + 'static),
    ) -> Self {
        let deepest = words::deepest(error);
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

fn not_understood(call: Call, place: &Place, status: u16) -> String {
    format!("{call} {place}: the answer (HTTP {status}) cannot be understood")
}

/// What is missing and what to do about it. AWS's own message names the principal and the policy at fault.
fn denied(call: Call, place: &Place, code: &str, message: &str) -> String {
    let permission = call.permission();
    let said = if message.is_empty() { String::new() } else { format!("; AWS says: {message}") };
    format!(
        "{call} {place} was refused ({code}): the permission {permission} on {} is missing; allow it to the daemon's identity{said}",
        call.resource()
    )
}

/// Whether AWS refused a request as if our clock were wrong.
pub(super) fn is_about_the_clock<E, R>(error: &SdkError<E, R>) -> bool
where
    E: ProvideErrorMetadata,
{
    error.as_service_error().and_then(|error| error.code()).is_some_and(|code| CLOCK_CODES.contains(&code))
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

#[cfg(test)]
mod tests;
