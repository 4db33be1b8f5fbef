use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;

use super::*;
use crate::domain::names::AwsPlace;

fn milan() -> AwsPlace {
    AwsPlace { region: Some("eu-south-1".into()), role_arn: None }
}

fn answer(status: u16) -> HttpResponse {
    HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty())
}

fn refused(call: Call, status: u16, code: &str, message: &str) -> Failure {
    let error = match code {
        "" => ErrorMetadata::builder().build(),
        code => ErrorMetadata::builder().code(code).message(message).build(),
    };
    Failure::of(call, &milan(), SdkError::service_error(error, answer(status)))
}

#[test]
fn each_code_means_one_thing_to_every_service() {
    use FailureKind as K;
    for (call, status, code, expected) in [
        (Call::PutMetricData, 400, "Throttling", K::Throttled { retry_after: None }),
        (Call::StartIncident, 429, "ThrottlingException", K::Throttled { retry_after: None }),
        (Call::DescribeVpnConnections, 503, "RequestLimitExceeded", K::Throttled { retry_after: None }),
        (Call::GetMetricData, 403, "ExpiredToken", K::CredentialsRefused),
        (Call::GetMetricData, 403, "ExpiredTokenException", K::CredentialsRefused),
        (Call::DescribeVpnConnections, 400, "RequestExpired", K::CredentialsRefused),
        (Call::DescribeVpnConnections, 401, "AuthFailure", K::CredentialsRefused),
        (Call::GetMetricData, 403, "InvalidClientTokenId", K::CredentialsRefused),
        (Call::GetMetricData, 403, "AccessDenied", K::Denied),
        (Call::StartIncident, 403, "AccessDeniedException", K::Denied),
        (Call::DescribeVpnConnections, 403, "UnauthorizedOperation", K::Denied),
        (Call::GetMetricData, 403, "SomethingElse", K::Denied),
        (Call::GetMetricData, 200, "", K::Garbage),
        (Call::PutMetricData, 403, "", K::Garbage),
        (Call::PutMetricData, 400, "", K::Garbage),
        (Call::PutMetricData, 429, "", K::Throttled { retry_after: None }),
        (Call::DescribeVpnConnections, 400, "InvalidVpnConnectionID.NotFound", K::NotFound),
        (Call::GetIncidentRecord, 404, "ResourceNotFoundException", K::NotFound),
        (Call::StartIncident, 409, "ConflictException", K::TokenKnown),
        (Call::UpdateIncidentRecord, 409, "ConflictException", K::Contended),
        (Call::StartIncident, 400, "IdempotentParameterMismatchException", K::TokenKnown),
        (Call::StartIncident, 500, "InternalServerException", K::ServiceFault),
        (Call::PutMetricData, 503, "", K::ServiceFault),
        (Call::StartIncident, 400, "ValidationException", K::Rejected),
        (Call::PutMetricData, 400, "InvalidParameterValue", K::Rejected),
    ] {
        assert_eq!(refused(call, status, code, "").kind, expected, "{call} {status} {code}");
    }
}

#[test]
fn a_denial_says_call_place_permission_and_what_to_do() {
    let message =
        "User: arn:aws:iam::123456789012:user/gw is not authorized to perform: cloudwatch:GetMetricData";
    let failure = refused(Call::GetMetricData, 403, "AccessDenied", message);
    assert_eq!(
        failure.text,
        format!(
            "CloudWatch GetMetricData in eu-south-1 was refused (AccessDenied): the permission \
             cloudwatch:GetMetricData on * is missing; grant it to the daemon's identity; AWS says: {message}"
        )
    );
}

#[test]
fn a_denial_leaves_out_the_encoded_part_that_differs_each_time() {
    let text = |blob: &str| {
        let message = format!("You are not authorized. Encoded authorization failure message: {blob}");
        refused(Call::DescribeVpnConnections, 403, "UnauthorizedOperation", &message).text
    };
    assert_eq!(text("aaaa"), text("bbbb"));
}

#[test]
fn retry_after_is_kept() {
    let mut response = answer(429);
    response.headers_mut().insert("retry-after", "7");
    let error = ErrorMetadata::builder().code("ThrottlingException").build();
    let failure = Failure::of(Call::StartIncident, &milan(), SdkError::service_error(error, response));
    assert_eq!(failure.kind, FailureKind::Throttled { retry_after: Some(Duration::from_secs(7)) });
}

#[test]
fn the_canonical_request_that_aws_quotes_is_never_shown() {
    let message = "The request signature we calculated does not match. The Canonical String for this request should \
                   have been 'POST / x-amz-security-token:IQoJb3JpZ2luX2VjE'";
    for code in ["SignatureDoesNotMatch", "ValidationException"] {
        let failure = refused(Call::PutMetricData, 403, code, message);
        let mut shown = format!("{failure} {failure:?}");
        let mut cause = failure.source();
        while let Some(error) = cause {
            shown = format!("{shown} {error} {error:?}");
            cause = error.source();
        }
        assert!(!shown.contains("IQoJb3JpZ2luX2VjE"), "{shown}");
    }
}

fn unsent(place: &AwsPlace, error: CredentialsError) -> Failure {
    let error: SdkError<ErrorMetadata, HttpResponse> =
        SdkError::dispatch_failure(ConnectorError::other(error.into(), None));
    Failure::of(Call::GetMetricData, place, error)
}

#[test]
fn missing_credentials_are_distinguished_from_an_unreachable_source() {
    let kind = |error| unsent(&milan(), error).kind;
    assert_eq!(kind(CredentialsError::not_loaded_no_source()), FailureKind::CredentialsMissing);
    let late = CredentialsError::provider_timed_out(Duration::from_secs(5));
    assert_eq!(kind(late), FailureKind::TimedOut);
    let broken = CredentialsError::provider_error("the metadata service answered 500");
    assert_eq!(kind(broken), FailureKind::CredentialsFailed);
    let wrong = CredentialsError::invalid_configuration("the profile names no source");
    assert_eq!(kind(wrong), FailureKind::CredentialsMissing);
    let unreachable =
        CredentialsError::provider_error(ConnectorError::io(std::io::Error::other("refused").into()));
    assert_eq!(kind(unreachable), FailureKind::Unreachable);
}

fn sts(status: u16, code: &str) -> CredentialsError {
    let metadata = ErrorMetadata::builder().code(code).message("no").build();
    let error = aws_sdk_sts::operation::assume_role::AssumeRoleError::generic(metadata);
    CredentialsError::provider_error(SdkError::service_error(error, answer(status)))
}

#[test]
fn a_fault_of_sts_is_temporary_and_a_rejection_by_sts_is_not() {
    for (status, code, expected) in [
        (500, "InternalFailure", FailureKind::CredentialsFailed),
        (503, "ServiceUnavailable", FailureKind::CredentialsFailed),
        (502, "", FailureKind::CredentialsFailed),
        (400, "Throttling", FailureKind::Throttled { retry_after: None }),
        (429, "TooManyRequestsException", FailureKind::Throttled { retry_after: None }),
        (403, "AccessDenied", FailureKind::Denied),
        (403, "ExpiredToken", FailureKind::CredentialsRefused),
        (403, "InvalidClientTokenId", FailureKind::CredentialsRefused),
        (400, "ValidationError", FailureKind::CredentialsMissing),
    ] {
        let failure = unsent(&milan(), sts(status, code));
        assert_eq!(failure.kind, expected, "{status} {code}: {failure}");
        let temporary = status >= 500 || matches!(expected, FailureKind::Throttled { .. });
        assert_eq!(failure.kind.class() == FailureClass::Temporary, temporary, "{failure}");
        let throttled = matches!(expected, FailureKind::Throttled { .. });
        assert_eq!(failure.text.contains("throttled by STS"), throttled, "{failure}");
    }
}

#[test]
fn a_role_that_may_not_be_assumed_names_the_permission_for_it() {
    let place = AwsPlace { role_arn: Some("arn:aws:iam::123456789012:role/vpn".into()), ..milan() };
    let failure = unsent(&place, sts(403, "AccessDenied"));
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(failure.text.contains("sts:AssumeRole"), "{failure}");
    assert!(
        failure.text.contains("sts:AssumeRole on arn:aws:iam::123456789012:role/vpn, whose trust policy"),
        "{failure}"
    );
    assert_eq!(failure.unassumed(), Some("arn:aws:iam::123456789012:role/vpn"));
    let cause = failure.source().map(ToString::to_string);
    assert_eq!(cause.as_deref(), Some("HTTP 403, AccessDenied: no"));
}

#[test]
fn what_a_credential_process_prints_of_its_credentials_is_withheld() {
    let printed =
        CredentialsError::provider_error("could not parse response: {\"SecretAccessKey\": \"wJalrXUtn");
    let failure = unsent(&milan(), printed);
    assert!(!format!("{failure} {failure:?}").contains("wJalrXUtn"));
}

#[test]
fn a_timeout_and_a_failed_connection_are_distinguished() {
    let error = |source| SdkError::<ErrorMetadata, HttpResponse>::dispatch_failure(source);
    let timeout = ConnectorError::timeout("connect timed out".into());
    let refused = ConnectorError::io("connection refused".into());
    let kind = |source| Failure::of(Call::PutMetricData, &milan(), error(source)).kind;
    assert_eq!(kind(timeout), FailureKind::TimedOut);
    assert_eq!(kind(refused), FailureKind::Unreachable);
}

fn of_identity_center(status: u16, code: &str, message: &str) -> Failure {
    let metadata = ErrorMetadata::builder().code(code).message(message).build();
    let error = aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsError::generic(metadata);
    let error = CredentialsError::provider_error(SdkError::service_error(error, answer(status)));
    unsent(&milan(), CredentialsError::provider_error(SignInError::new("ops", error)))
}

#[test]
fn identity_centers_answers_become_text_and_an_expired_session_names_the_command() {
    let refused = of_identity_center(403, "ForbiddenException", "No access");
    assert_eq!(
        refused.text,
        "CloudWatch GetMetricData in eu-south-1: no AWS credentials: IAM Identity Center refuses the role of the profile ops \
         (ForbiddenException: No access); check its sso_account_id and sso_role_name, and that this role is \
         assigned to the user who signed in"
    );
    assert_eq!((refused.kind, refused.sign_in()), (FailureKind::CredentialsMissing, None));
    let over = of_identity_center(401, "UnauthorizedException", "Session token not found or invalid");
    assert_eq!((over.kind, over.sign_in()), (FailureKind::CredentialsMissing, Some("ops")));
    assert!(over.text.contains("works; run `aws sso login --profile ops`"), "{over}");
    assert_eq!(of_identity_center(503, "", "").kind, FailureKind::CredentialsFailed);
}

#[test]
fn a_cache_that_is_missing_or_broken_is_not_quoted() {
    let broken = CredentialsError::provider_error("Error at offset 13: expected `,`");
    let failure = unsent(&milan(), CredentialsError::provider_error(SignInError::new("ops", broken)));
    assert!(!failure.text.contains("offset"), "{failure}");
    assert_eq!(failure.sign_in(), Some("ops"));
}
