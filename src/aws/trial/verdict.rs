//! What an answer says of a permission.

use crate::aws::errors::FailureKind;

/// What a call was meant to bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// An answer.
    Answer,
    /// An answer, if there is what it asks about.
    AnswerIfThere,
    /// A refusal: what it asks for cannot be.
    Refusal,
}

/// What a trial showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// AWS did what was asked.
    Allowed,
    /// AWS refused what was asked, as it was meant to, and not for want of a permission.
    NotDenied,
    /// A permission is missing.
    Denied,
    /// There are no credentials, or AWS does not accept them.
    NoCredentials,
    /// It was not tried.
    NotTried,
    /// Something else went wrong, so that nothing is known.
    Failed,
}

impl Verdict {
    /// What an answer shows.
    pub fn of(meant: Meant, answer: Result<(), FailureKind>) -> Self {
        match answer {
            Ok(()) => Self::Allowed,
            Err(FailureKind::Denied) => Self::Denied,
            Err(
                FailureKind::CredentialsRefused
                | FailureKind::CredentialsMissing
                | FailureKind::CredentialsFailed,
            ) => Self::NoCredentials,
            Err(FailureKind::NotFound) => match meant {
                Meant::Refusal | Meant::AnswerIfThere => Self::NotDenied,
                Meant::Answer => Self::Failed,
            },
            Err(FailureKind::Rejected | FailureKind::TokenKnown | FailureKind::Contended) => match meant {
                Meant::Refusal => Self::NotDenied,
                Meant::Answer | Meant::AnswerIfThere => Self::Failed,
            },
            Err(
                FailureKind::Throttled { .. }
                | FailureKind::TimedOut
                | FailureKind::Unreachable
                | FailureKind::ServiceFault
                | FailureKind::Garbage,
            ) => Self::Failed,
        }
    }

    /// The words in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::NotDenied => "not denied",
            Self::Denied => "denied",
            Self::NoCredentials => "no credentials",
            Self::NotTried => "not tried",
            Self::Failed => "failed",
        }
    }
}
