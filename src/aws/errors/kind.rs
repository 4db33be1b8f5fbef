//! The meaning of a failed call, and which AWS error codes have it. Codes from the services' API references ("Common Errors" and
//! each operation's "Errors") and the EC2 API Reference's "Error codes for the Amazon EC2 API".

use std::time::Duration;

use aws_smithy_runtime_api::http::Headers;

use crate::aws::permission::Call;

/// The meaning of a failure for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// AWS throttled the call.
    Throttled {
        /// When to come back, according to AWS.
        retry_after: Option<Duration>,
    },
    /// No answer in time.
    TimedOut,
    /// No connection, or it broke.
    Unreachable,
    /// AWS is at fault (5xx).
    ServiceFault,
    /// Two writers collided; the same request will succeed later.
    Contended,
    /// A permission is missing. A person must act.
    Denied,
    /// The credentials have expired or are not accepted. They are loaded afresh; if that does not help, a person must act.
    CredentialsRefused,
    /// There are no credentials, or no Region. A person must act.
    CredentialsMissing,
    /// The source of the credentials failed. May pass by itself: a credential_process fails while the network is away.
    CredentialsFailed,
    /// The answer is invalid.
    Garbage,
    /// The object of the call does not exist.
    NotFound,
    /// The client token is known with other parameters.
    TokenKnown,
    /// AWS rejects the request. A person must act.
    Rejected,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// Retry; nobody need act.
    Temporary,
    /// A permission or credentials are missing: a person must provide them.
    Permission,
    /// The request is wrong: a person must correct it.
    Rejected,
    /// The object of the call does not exist.
    NotFound,
    /// The client token is known with other parameters.
    TokenKnown,
}

impl FailureKind {
    /// What to do about it.
    pub const fn class(self) -> FailureClass {
        match self {
            Self::Throttled { .. }
            | Self::TimedOut
            | Self::Unreachable
            | Self::ServiceFault
            | Self::Contended
            | Self::CredentialsFailed
            | Self::Garbage => FailureClass::Temporary,
            Self::Denied | Self::CredentialsRefused | Self::CredentialsMissing => FailureClass::Permission,
            Self::Rejected => FailureClass::Rejected,
            Self::NotFound => FailureClass::NotFound,
            Self::TokenKnown => FailureClass::TokenKnown,
        }
    }

    /// When to come back, according to AWS.
    pub const fn retry_after(self) -> Option<Duration> {
        if let Self::Throttled { retry_after } = self { retry_after } else { None }
    }

    /// Whether it concerns credentials, and not the call itself.
    pub const fn is_of_credentials(self) -> bool {
        matches!(self, Self::CredentialsRefused | Self::CredentialsMissing | Self::CredentialsFailed)
    }

    /// Whether it was refused to this identity: another identity may be allowed, or be in the account that has the object.
    pub const fn is_refusal(self) -> bool {
        match self.class() {
            FailureClass::Permission | FailureClass::Rejected | FailureClass::NotFound => true,
            FailureClass::Temporary => self.is_of_credentials(),
            FailureClass::TokenKnown => false,
        }
    }

    /// Whether AWS was reached: an answer came, whatever it said. If a middlebox answers instead of AWS, that counts as AWS's
    /// answer.
    pub const fn reached_aws(self) -> bool {
        match self {
            Self::TimedOut | Self::Unreachable | Self::CredentialsMissing | Self::CredentialsFailed => false,
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

/// Refusals that may be due to a wrong clock of ours.
pub(super) const CLOCK: &[&str] = &[
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "RequestTimeTooSkewed",
    "RequestExpired",
    "AccessDeniedException",
];

pub(super) const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedAccess",
    "NotAuthorized",
    "OptInRequired",
    "OpsItemAccessDeniedException",
    "AuthorizationError",
    "KMSAccessDenied",
];

pub(super) const REFUSED_CREDENTIALS: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "AuthFailure",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "InvalidToken",
    "UnrecognizedClientException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "RequestTimeTooSkewed",
];

const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "KMSThrottling",
    "SlowDown",
];

const NOT_FOUND: &[&str] = &[
    "ResourceNotFoundException",
    "ResourceNotFound",
    "InvalidVpnConnectionID.NotFound",
    "OpsItemNotFoundException",
    "NotFound",
];

const FAULTS: &[&str] = &[
    "InternalServerException",
    "InternalServerError",
    "InternalFailure",
    "InternalServiceFault",
    "InternalError",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Unavailable",
    "RequestTimeout",
    "RequestTimeoutException",
];

/// The object to create exists already. An OpsItem's deduplication string is a token that others use as well.
const TOKEN_MISMATCH: &[&str] = &[
    "IdempotentParameterMismatch",
    "IdempotentParameterMismatchException",
    "IdempotencyParameterMismatch",
    "OpsItemAlreadyExistsException",
];

const CONFLICT: &[&str] = &["ConflictException", "OpsItemConflictException"];

/// Classifies an error answer. AWS gives each of its errors a code, and no middlebox knows these codes.
pub(super) fn of(call: Call, code: Option<&str>, status: u16, retry_after: Option<Duration>) -> FailureKind {
    let among = |codes: &[&str]| code.is_some_and(|code| codes.contains(&code));
    if among(THROTTLED) || status == 429 {
        FailureKind::Throttled { retry_after }
    } else if among(DENIED) {
        FailureKind::Denied
    } else if among(REFUSED_CREDENTIALS) {
        FailureKind::CredentialsRefused
    } else if among(NOT_FOUND) {
        FailureKind::NotFound
    } else if among(TOKEN_MISMATCH) {
        FailureKind::TokenKnown
    } else if among(CONFLICT) {
        conflict(call)
    } else if among(FAULTS) || status >= 500 {
        FailureKind::ServiceFault
    } else if code.is_none() {
        FailureKind::Garbage
    } else if status == 403 {
        FailureKind::Denied
    } else {
        FailureKind::Rejected
    }
}

/// A conflict is about the token where a call creates something, and about another writer where it changes something.
const fn conflict(call: Call) -> FailureKind {
    match call {
        Call::StartIncident | Call::CreateTimelineEvent => FailureKind::TokenKnown,
        Call::GetMetricData
        | Call::ListMetrics
        | Call::DescribeVpnConnections
        | Call::GetVpnTunnelReplacementStatus
        | Call::PutMetricData
        | Call::ListIncidentRecords
        | Call::GetIncidentRecord
        | Call::UpdateRelatedItems
        | Call::UpdateIncidentRecord
        | Call::ListReplicationSets
        | Call::DescribeOpsItems
        | Call::GetOpsItem
        | Call::CreateOpsItem
        | Call::UpdateOpsItem
        | Call::Publish
        | Call::GetTopicAttributes
        | Call::GetReplicationSet
        | Call::GetResponsePlan
        | Call::GetCallerIdentity
        | Call::AssumeRole => FailureKind::Contended,
    }
}

/// `Retry-After` in seconds (RFC 9110, section 10.2.3), or AWS's own header in milliseconds.
pub(super) fn retry_after(headers: &Headers) -> Option<Duration> {
    let number = |name: &str| headers.get(name).and_then(|value| value.trim().parse::<u64>().ok());
    number("x-amz-retry-after")
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))
}
