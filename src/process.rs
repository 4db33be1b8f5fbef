//! The process: its environment, and how it ends.

use std::collections::BTreeMap;
use std::process::ExitCode;

/// The environment, as far as it is text.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The user that this process acts as.
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// How a command ended, in the numbers of sysexits(3), which service managers and Ansible read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Well.
    Success,
    /// It did what it was asked, and the answer is bad news: a tunnel did not answer, the daemon does not.
    BadNews,
    /// The arguments were wrong (EX_USAGE).
    Usage,
    /// Something that should not happen (EX_SOFTWARE).
    Internal,
    /// A permission is missing (EX_NOPERM).
    Permission,
    /// The configuration is wrong (EX_CONFIG).
    Configuration,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::BadNews => 1,
            Self::Usage => 64,
            Self::Internal => 70,
            Self::Permission => 77,
            Self::Configuration => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
