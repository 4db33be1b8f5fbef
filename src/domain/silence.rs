//! Silences: planned times in which incidents are recorded and not sent.
//!
//! The core knows one window of each silence. One that comes back every week gets its next window from outside, where time
//! zones are known.

use std::fmt;
use std::sync::Arc;

use super::names::{TunnelId, VpnId};
use super::scope::ParentId;
use super::time::Stamp;

/// Which silence: a number that is not given twice while the store lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SilenceId(pub u32);

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A planned time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Which.
    pub id: SilenceId,
    /// What it silences.
    pub of: SilenceScope,
    /// When it begins, or began.
    pub from: Stamp,
    /// When it ends: later than `from`, by at most 7 days.
    pub until: Stamp,
    /// Whether it comes back every week, and in which time zone (an IANA name) the hour stays the same.
    pub weekly: Option<Arc<str>>,
    /// Why, in the words of who added it.
    pub reason: Arc<str>,
    /// The numeric user id of who added it.
    pub by: u32,
    /// When it was added, by the clock of then.
    pub added: Stamp,
    /// Which of its times this run has reckoned from its clock.
    pub from_now: FromNow,
}

/// Which times of a silence were reckoned from the clock when it was added, where nobody gave a date. Should that clock turn out to be
/// wrong, they move with it. It is not stored: the next run may begin with a wrong clock, and what is stored had a right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FromNow {
    /// It began at once.
    pub from: bool,
    /// It lasts for a duration since then.
    pub until: bool,
}

/// What a silence silences.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SilenceScope {
    /// Everything that this daemon watches.
    Site,
    /// A group, or what goes over an uplink.
    Parent(ParentId),
    /// A connection.
    Connection(VpnId),
    /// A tunnel.
    Tunnel(TunnelId),
}

impl SilenceScope {
    /// The word for what it is, used in metrics, logs and `/status`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Parent(parent) => parent.kind.as_str(),
            Self::Connection(_) => "connection",
            Self::Tunnel(_) => "tunnel",
        }
    }
}

/// As it is stored: `site`, a parent, a connection's id, or that and the outside address of a tunnel.
impl fmt::Display for SilenceScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site => f.write_str("site"),
            Self::Parent(parent) => parent.fmt(f),
            Self::Connection(vpn) => vpn.fmt(f),
            Self::Tunnel(tunnel) => tunnel.fmt(f),
        }
    }
}

impl Silence {
    /// Whether it silences at this time. One that began when it was added, in this run, has begun: a clock that is set back changes
    /// nothing. Of another run's the date alone is known, and a host may start in 1970.
    pub fn is_active(&self, at: Stamp) -> bool {
        let has_begun = self.from_now.from && self.from <= self.added;
        (has_begun || self.from <= at) && at < self.until
    }

    /// The same silence after the date has jumped: it `is` now what was expected to be another.
    #[must_use]
    pub fn moved(&self, expected: Stamp, is: Stamp) -> Self {
        let shift = |at: Stamp, moves| if moves { at + is.since(expected) - expected.since(is) } else { at };
        let FromNow { from, until } = self.from_now;
        Self { from: shift(self.from, from), until: shift(self.until, until), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn silence(from: i64, from_now: FromNow) -> Silence {
        Silence {
            id: SilenceId(1),
            of: SilenceScope::Site,
            from: Stamp::from_secs(from),
            until: Stamp::from_secs(from + 600),
            weekly: None,
            reason: "work".into(),
            by: 0,
            added: Stamp::from_secs(1000),
            from_now,
        }
    }

    #[test]
    fn what_began_when_it_was_added_has_begun_whatever_a_clock_that_is_set_back_says() {
        let at_once = FromNow { from: true, until: false };
        let active = |from, from_now, at| silence(from, from_now).is_active(Stamp::from_secs(at));
        assert!(active(1000, at_once, 720) && active(1000, at_once, 1599));
        assert!(!active(1000, at_once, 1600));
        assert!(!active(1001, at_once, 1000), "a later week has not");
        let given = FromNow::default();
        assert!(!active(1000, given, 999) && active(1000, given, 1000));
    }

    #[test]
    fn only_what_was_reckoned_from_the_clock_moves_with_it() {
        let (expected, is) = (Stamp::from_secs(1100), Stamp::from_secs(1100 + 280));
        let shift = Duration::from_secs(280);
        for (from, until) in [(true, true), (true, false), (false, false)] {
            let before = silence(1000, FromNow { from, until });
            let after = before.moved(expected, is);
            assert_eq!(after.from, if from { before.from + shift } else { before.from });
            assert_eq!(after.until, if until { before.until + shift } else { before.until });
            assert_eq!(after.added, before.added);
            assert_eq!(after.moved(is, expected), before, "back again");
        }
    }
}
