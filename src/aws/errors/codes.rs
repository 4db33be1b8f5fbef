//! AWS's error codes and what they mean. The codes are those of the services' API references ("Common Errors" and each
//! operation's "Errors") and of the EC2 API Reference's "Error codes for the Amazon EC2 API".

use std::time::Duration;

use aws_smithy_runtime_api::http::Headers;

use super::FailureKind;
use crate::aws::permission::Call;

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
pub(super) fn kind_of(
    call: Call,
    code: Option<&str>,
    status: u16,
    retry_after: Option<Duration>,
) -> FailureKind {
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
