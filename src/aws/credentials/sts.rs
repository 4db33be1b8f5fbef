//! What STS and IAM Identity Center answered when credentials were to be had from them, by the SDK's own types.

use std::error::Error;

use aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::aws::words::chain;

/// STS's error answer, if that is what stands behind an error.
pub(in crate::aws) fn answer<'e>(
    error: &'e (dyn Error + 'static),
) -> Option<(&'e ErrorMetadata, &'e HttpResponse)> {
    chain(error).find_map(|error| {
        answer_of::<AssumeRoleError>(error).or_else(|| answer_of::<AssumeRoleWithWebIdentityError>(error))
    })
}

/// The error answer of IAM Identity Center to who is signed in, if that is what stands behind an error.
pub(in crate::aws) fn answer_to_session<'e>(
    error: &'e (dyn Error + 'static),
) -> Option<(&'e ErrorMetadata, &'e HttpResponse)> {
    chain(error).find_map(answer_of::<GetRoleCredentialsError>)
}

fn answer_of<'e, E>(error: &'e (dyn Error + 'static)) -> Option<(&'e ErrorMetadata, &'e HttpResponse)>
where
    E: Error + ProvideErrorMetadata + 'static,
{
    if let SdkError::ServiceError(service) = error.downcast_ref::<SdkError<E, HttpResponse>>()? {
        Some((service.err().meta(), service.raw()))
    } else {
        None
    }
}

/// Whether STS did not answer in time.
pub(in crate::aws) fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        let of_session = error.downcast_ref::<SdkError<GetRoleCredentialsError, HttpResponse>>();
        let of_role = error.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>();
        let of_token = error.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>();
        matches!(of_session, Some(SdkError::TimeoutError(_)))
            || matches!(of_role, Some(SdkError::TimeoutError(_)))
            || matches!(of_token, Some(SdkError::TimeoutError(_)))
    })
}
