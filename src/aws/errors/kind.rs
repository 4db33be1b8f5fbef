//! What a failed call means to its caller, and which of AWS's error codes say so. The codes are those of the services' API
//! references ("Common Errors" and each operation's "Errors") and of the EC2 API Reference's "Error codes for the Amazon EC2 API".

use std::time::Duration;

use aws_smithy_runtime_api::http::Headers;

use crate::aws::permission::Call;

/// What a failure means to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// AWS throttled the call.
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
    /// Where the credentials come from has failed. It may pass by itself: a credential_process fails while the network is away.
    CredentialsFailed,
    /// The answer cannot be understood.
    Garbage,
    /// What was asked about does not exist.
    NotFound,
    /// The client token is known with other parameters.
    TokenKnown,
    /// AWS finds fault with the request. A person must act.
    Rejected,
}

/// What there is to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// A retry may do without anybody's help.
    Temporary,
    /// A permission or credentials are missing: a person must give them.
    Permission,
    /// The request is wrong: a person must correct it.
    Rejected,
    /// What was asked about does not exist.
    NotFound,
    /// The client token is known with other parameters.
    TokenKnown,
}

impl FailureKind {
    /// What there is to do about it.
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

    /// AWS's own word on when to come back.
    pub const fn retry_after(self) -> Option<Duration> {
        if let Self::Throttled { retry_after } = self { retry_after } else { None }
    }

    /// Whether it is about credentials, and not about what is asked with them.
    pub const fn is_of_credentials(self) -> bool {
        matches!(self, Self::CredentialsRefused | Self::CredentialsMissing | Self::CredentialsFailed)
    }

    /// Whether it was refused as this identity asked it: another may be allowed, or in the account that has what was asked for.
    pub const fn is_refusal(self) -> bool {
        match self.class() {
            FailureClass::Permission | FailureClass::Rejected | FailureClass::NotFound => true,
            FailureClass::Temporary => self.is_of_credentials(),
            FailureClass::TokenKnown => false,
        }
    }

    /// Whether AWS was reached: an answer came, whatever it said. Where something on the way answers in AWS's stead,
    /// that is taken for AWS's.
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

/// Refusals that a wrong clock of ours may be behind.
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

/// What is to be made is there already. An OpsItem's deduplication string is a token that others use as well.
const TOKEN_MISMATCH: &[&str] = &[
    "IdempotentParameterMismatch",
    "IdempotentParameterMismatchException",
    "IdempotencyParameterMismatch",
    "OpsItemAlreadyExistsException",
];

const CONFLICT: &[&str] = &["ConflictException", "OpsItemConflictException"];

/// What an error answer means. AWS gives every error of its own a code, and nothing on the way there knows these codes.
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

/// A conflict is about the token where a token makes something, and about another writer where something is changed.
const fn conflict(call: Call) -> FailureKind {
    match call {
        Call::StartIncident | Call::CreateTimelineEvent => FailureKind::TokenKnown,
        Call::GetMetricData
        | Call::ListMetrics
        | Call::DescribeVpnConnections
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
