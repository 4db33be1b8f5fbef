//! What BIRD and FRR have in common: a session in an answer, a question for a prefix, and why there is no answer.

use std::fmt;
use std::io::{Error, ErrorKind};
use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::sensor::{BgpSession, Unavailable};

/// A neighbour's words are shown up to this many characters.
pub(super) const WORDS_MAX: usize = 100;

/// A session in a daemon's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BgpPeer {
    /// The neighbour.
    pub neighbour: IpAddr,
    /// What the daemon knows it by: BIRD's protocol, or FRR's VRF.
    pub at: Arc<str>,
    /// Whether it has been switched off.
    pub off: bool,
    /// Its state; `missing` is not known yet.
    pub session: BgpSession,
}

/// Whether a session's neighbour announces a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PrefixQuestion {
    /// Whose, by its place.
    pub(super) subject: usize,
    pub(super) at: Arc<str>,
    pub(super) neighbour: IpAddr,
    pub(super) prefix: Prefix,
    /// As configured.
    pub(super) text: Arc<str>,
}

/// A prefix without host bits: BIRD refuses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// Of `10.0.0.0/16`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let length: u8 = length.parse().ok()?;
        let address = match address.parse().ok()? {
            IpAddr::V4(ip) if length <= 32 => {
                IpAddr::V4((u32::from(ip) & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)).into())
            }
            IpAddr::V6(ip) if length <= 128 => IpAddr::V6(
                (u128::from(ip) & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)).into(),
            ),
            IpAddr::V4(_) | IpAddr::V6(_) => return None,
        };
        Some(Self { address, length })
    }

    pub(super) const fn is_ipv4(self) -> bool {
        self.address.is_ipv4()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// A neighbour's words, safe to show: bounded, on one line, without characters that are invisible or change the direction.
pub(super) fn words(text: &str) -> Arc<str> {
    let invisible = |c: char| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    // Joining blanks keeps more of it; its beginning matters.
    let head = text.chars().take(8 * WORDS_MAX).filter(|c| !invisible(*c));
    let shown: String = head.map(|c| if breaks(c) { ' ' } else { c }).collect();
    let joined = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.chars().take(WORDS_MAX).collect::<String>().trim_end().into()
}

/// Why there is no connection to a Unix socket, or a program does not start.
pub(super) fn not_had(error: &Error) -> Unavailable {
    use Unavailable::{Denied, HostError, NotRunning, NotThere};
    let reasons = [
        (ErrorKind::NotFound, NotThere),
        (ErrorKind::NotADirectory, NotThere),
        (ErrorKind::ConnectionRefused, NotRunning),
        (ErrorKind::PermissionDenied, Denied),
    ];
    reasons.into_iter().find(|(kind, _)| *kind == error.kind()).map_or(HostError, |(_, why)| why)
}
