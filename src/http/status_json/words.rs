//! Words that several parts of `/status` share.

use crate::domain::verdict::Verdict;

/// Why a verdict is unknown.
pub(super) fn why(verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::Up | Verdict::Down => None,
        Verdict::Unknown(why) => Some(why.as_str().to_owned()),
    }
}
