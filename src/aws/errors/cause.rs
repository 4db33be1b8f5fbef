//! What stands behind a failed call, kept apart from the SDK's own errors.

use std::error::Error;
use std::fmt;

use crate::aws::words::safe_words;

/// A chain of causes, as words. The SDK's own errors hold the whole HTTP answer and would print it in their Debug form.
#[derive(Debug)]
pub(super) struct Cause {
    words: String,
    /// AWS's code, where AWS answered with one.
    code: Option<Box<str>>,
    /// The profile of IAM Identity Center whose session is missing or over.
    sign_in: Option<Box<str>>,
    /// The role that may not be assumed.
    role: Option<Box<str>>,
    source: Option<Box<Cause>>,
}

impl Cause {
    pub(super) fn new(words: String, source: Option<Box<Cause>>) -> Self {
        Self { words, code: None, sign_in: None, role: None, source }
    }

    pub(super) fn with_code(self, code: Option<&str>) -> Self {
        Self { code: code.map(Box::from), ..self }
    }

    pub(super) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    pub(super) fn with_sign_in(self, profile: &str) -> Self {
        Self { sign_in: Some(Box::from(profile)), ..self }
    }

    pub(super) fn sign_in(&self) -> Option<&str> {
        self.sign_in.as_deref()
    }

    pub(super) fn with_role(self, role: Option<&str>) -> Self {
        Self { role: role.map(Box::from), ..self }
    }

    pub(super) fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let source = error.source().map(|source| Box::new(Self::of(source)));
        Self::new(safe_words(&error.to_string()), source)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
