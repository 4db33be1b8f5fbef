//! AWS's rejections: one cause, as each service words it.
//!
//! Sources: the `errors` of the models, each API reference's "Common errors" page, and the EC2 API's "Error codes" page.

use serde_json::{Map, Value};

use super::api::Service;
use super::check::Invalid;

/// Why a request is rejected.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refusal {
    NotSigned,
    UnknownKey,
    WrongSignature(String),
    /// Signed too long ago, or in the future.
    Skewed(String),
    ExpiredToken,
    Denied {
        principal: String,
        action: String,
    },
    Throttled,
    Internal,
    Unavailable,
    UnknownOperation(String),
    /// Bytes that do not decode.
    Malformed(String),
    Invalid(Invalid),
    /// An error of this operation only.
    Coded(Coded),
}

/// An error as sent on the wire.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Coded {
    pub(super) status: u16,
    /// The code of the Query protocols (`Throttling`).
    pub(super) code: &'static str,
    /// The name in the Smithy model (`ThrottlingException`), which CBOR and REST-JSON carry.
    pub(super) name: &'static str,
    pub(super) message: String,
    /// Further members of the error's shape.
    pub(super) members: Map<String, Value>,
}

impl Coded {
    pub(super) fn new(
        status: u16,
        code: &'static str,
        name: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code, name, message: message.into(), members: Map::new() }
    }

    pub(super) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }
}

impl From<Coded> for Refusal {
    fn from(coded: Coded) -> Self {
        Self::Coded(coded)
    }
}

impl Refusal {
    /// The error as `service` words it.
    pub(super) fn coded(self, service: Service) -> Coded {
        match self {
            Self::NotSigned => not_signed(service),
            Self::UnknownKey => unknown_key(service),
            Self::WrongSignature(why) => wrong_signature(service, why),
            Self::Skewed(why) => skewed(service, why),
            Self::ExpiredToken => expired(service),
            Self::Denied { principal, action } => denied(service, &principal, &action),
            Self::Throttled => throttled(service),
            Self::Internal => internal(service),
            Self::Unavailable => unavailable(service),
            Self::UnknownOperation(what) => unknown_operation(service, &what),
            Self::Malformed(why) => malformed(service, why),
            Self::Invalid(invalid) => invalid_member(service, &invalid),
            Self::Coded(coded) => coded,
        }
    }
}

fn not_signed(service: Service) -> Coded {
    let status = match service {
        Service::CloudWatch | Service::Incidents | Service::Sns | Service::Sts => 403,
        Service::Ssm => 400,
        Service::Ec2 => 401,
    };
    let code = "MissingAuthenticationToken";
    Coded::new(status, code, "MissingAuthenticationTokenException", "Missing Authentication Token")
}

fn unknown_key(service: Service) -> Coded {
    let message = "The security token included in the request is invalid.";
    match service {
        Service::Ssm => of_json("UnrecognizedClientException", message),
        Service::Ec2 => Coded::new(
            401,
            "AuthFailure",
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
        ),
        Service::CloudWatch | Service::Incidents | Service::Sns | Service::Sts => {
            Coded::new(403, "InvalidClientTokenId", "UnrecognizedClientException", message)
        }
    }
}

fn wrong_signature(service: Service, why: String) -> Coded {
    match service {
        Service::Ssm => of_json("InvalidSignatureException", why),
        Service::CloudWatch | Service::Ec2 | Service::Incidents | Service::Sns | Service::Sts => {
            Coded::new(403, "SignatureDoesNotMatch", "InvalidSignatureException", why)
        }
    }
}

/// A client error in AWS JSON 1.1 is always a 400.
fn of_json(name: &'static str, message: impl Into<String>) -> Coded {
    Coded::new(400, name, name, message)
}

fn skewed(service: Service, why: String) -> Coded {
    match service {
        Service::Ssm => of_json("InvalidSignatureException", why),
        Service::Ec2 => Coded::new(400, "RequestExpired", "RequestExpired", "Request has expired."),
        Service::CloudWatch | Service::Incidents | Service::Sns | Service::Sts => {
            Coded::new(403, "SignatureDoesNotMatch", "InvalidSignatureException", why)
        }
    }
}

fn expired(service: Service) -> Coded {
    let message = "The security token included in the request is expired";
    match service {
        Service::Ssm => of_json("ExpiredTokenException", message),
        Service::Ec2 => Coded::new(400, "RequestExpired", "RequestExpired", "Request has expired."),
        Service::CloudWatch | Service::Incidents | Service::Sns | Service::Sts => {
            Coded::new(403, "ExpiredToken", "ExpiredTokenException", message)
        }
    }
}

fn denied(service: Service, principal: &str, action: &str) -> Coded {
    let action = format!("{}:{action}", service.action_prefix());
    let message = format!(
        "User: {principal} is not authorized to perform: {action} because no identity-based policy allows the \
         {action} action"
    );
    match service {
        Service::Sns => Coded::new(403, "AuthorizationError", "AuthorizationErrorException", message),
        Service::Ssm => of_json("AccessDeniedException", message),
        Service::Ec2 => {
            let message = format!("You are not authorized to perform this operation. {message}");
            Coded::new(403, "UnauthorizedOperation", "UnauthorizedOperation", message)
        }
        Service::CloudWatch | Service::Incidents | Service::Sts => {
            Coded::new(403, "AccessDenied", "AccessDeniedException", message)
        }
    }
}

fn throttled(service: Service) -> Coded {
    match service {
        Service::Ssm => of_json("ThrottlingException", "Rate exceeded"),
        Service::CloudWatch | Service::Sns | Service::Sts => {
            Coded::new(400, "Throttling", "ThrottlingException", "Rate exceeded")
        }
        Service::Ec2 => {
            Coded::new(503, "RequestLimitExceeded", "RequestLimitExceeded", "Request limit exceeded.")
        }
        Service::Incidents => Coded::new(429, "ThrottlingException", "ThrottlingException", "Rate exceeded")
            .with("serviceCode", "ssm-incidents")
            .with("quotaCode", "L-00000000"),
    }
}

fn internal(service: Service) -> Coded {
    let message = "An internal error has occurred";
    match service {
        Service::Ssm => Coded::new(500, "InternalServerError", "InternalServerError", message),
        Service::CloudWatch => Coded::new(500, "InternalServiceError", "InternalServiceFault", message),
        Service::Ec2 => Coded::new(500, "InternalError", "InternalError", message),
        Service::Incidents => Coded::new(500, "InternalServerException", "InternalServerException", message),
        Service::Sns => Coded::new(500, "InternalError", "InternalErrorException", message),
        Service::Sts => Coded::new(500, "InternalFailure", "InternalFailure", message),
    }
}

fn unavailable(service: Service) -> Coded {
    let message = "The service is unavailable. Please try again shortly.";
    match service {
        Service::Ec2 => Coded::new(503, "Unavailable", "Unavailable", message),
        Service::CloudWatch | Service::Incidents | Service::Sns | Service::Ssm | Service::Sts => {
            Coded::new(503, "ServiceUnavailable", "ServiceUnavailableException", message)
        }
    }
}

fn unknown_operation(service: Service, what: &str) -> Coded {
    match service {
        Service::Ssm => of_json("UnknownOperationException", ""),
        Service::CloudWatch | Service::Incidents => {
            Coded::new(404, "UnknownOperationException", "UnknownOperationException", "")
        }
        Service::Ec2 | Service::Sns | Service::Sts => {
            let message = format!("The action {what} is not valid for this web service.");
            Coded::new(400, "InvalidAction", "InvalidAction", message)
        }
    }
}

fn malformed(service: Service, why: String) -> Coded {
    match service {
        Service::Ssm => of_json("SerializationException", why),
        Service::CloudWatch | Service::Incidents => {
            Coded::new(400, "SerializationException", "SerializationException", why)
        }
        Service::Ec2 | Service::Sns | Service::Sts => {
            Coded::new(400, "MalformedQueryString", "MalformedQueryString", why)
        }
    }
}

fn invalid_member(service: Service, invalid: &Invalid) -> Coded {
    match service {
        Service::CloudWatch => invalid_for_cloudwatch(invalid),
        Service::Ec2 => invalid_for_ec2(invalid),
        Service::Incidents | Service::Ssm => match invalid {
            Invalid::WrongType { path, wanted } => malformed(service, format!("{path} is not {wanted}")),
            Invalid::Missing { .. } | Invalid::Unknown { .. } | Invalid::OutOfBounds { .. } => {
                Coded::new(400, "ValidationException", "ValidationException", sentence(invalid))
            }
        },
        Service::Sns => {
            let message = format!("Invalid parameter: {}", sentence(invalid));
            Coded::new(400, "InvalidParameter", "InvalidParameterException", message)
        }
        Service::Sts => Coded::new(400, "ValidationError", "ValidationError", sentence(invalid)),
    }
}

fn invalid_for_cloudwatch(invalid: &Invalid) -> Coded {
    match invalid {
        Invalid::Missing { path } => {
            let message = format!("The parameter {path} is required.");
            Coded::new(400, "MissingParameter", "MissingRequiredParameterException", message)
        }
        Invalid::WrongType { path, wanted } => {
            malformed(Service::CloudWatch, format!("{path} is not {wanted}"))
        }
        Invalid::Unknown { .. } | Invalid::OutOfBounds { .. } => {
            Coded::new(400, "InvalidParameterValue", "InvalidParameterValueException", sentence(invalid))
        }
    }
}

fn invalid_for_ec2(invalid: &Invalid) -> Coded {
    match invalid {
        Invalid::Missing { path } => {
            let message = format!("The request must contain the parameter {path}");
            Coded::new(400, "MissingParameter", "MissingParameter", message)
        }
        Invalid::Unknown { path } => {
            let message = format!("The parameter {path} is not recognized");
            Coded::new(400, "UnknownParameter", "UnknownParameter", message)
        }
        Invalid::WrongType { .. } | Invalid::OutOfBounds { .. } => {
            Coded::new(400, "InvalidParameterValue", "InvalidParameterValue", sentence(invalid))
        }
    }
}

fn sentence(invalid: &Invalid) -> String {
    match invalid {
        Invalid::Missing { path } => {
            format!(
                "1 validation error detected: Value null at '{path}' failed to satisfy constraint: Member must not be null"
            )
        }
        // AWS ignores unknown members, so a misspelt one goes unnoticed there; here it is an error.
        Invalid::Unknown { path } => format!("The member {path} does not exist in this operation's model"),
        Invalid::WrongType { path, wanted } => format!("{path} is not {wanted}"),
        Invalid::OutOfBounds { path, found, constraint } => {
            format!(
                "1 validation error detected: Value '{found}' at '{path}' failed to satisfy constraint: {constraint}"
            )
        }
    }
}
