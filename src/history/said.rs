//! A verdict without its reason.

use crate::domain::verdict::Verdict;

/// What an end says of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Said {
    /// Up.
    Up,
    /// Down.
    Down,
    /// Nothing that counts.
    Unknown,
}

impl Said {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Up, Self::Down, Self::Unknown];

    /// The word used in `/history`, as in `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

impl From<Verdict> for Said {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Up => Self::Up,
            Verdict::Down => Self::Down,
            Verdict::Unknown(_) => Self::Unknown,
        }
    }
}
