//! AWS's maintenance of a tunnel's endpoint: what AWS says of it, and whether it explains that the tunnel is down.
//!
//! AWS replaces the endpoints of its tunnels, one tunnel of a connection at a time. The outside address stays; the tunnel is down
//! until IKE is negotiated anew (AWS Site-to-Site VPN User Guide, "Tunnel endpoint replacements"). Of a tunnel with tunnel
//! endpoint lifecycle control AWS says ahead that a replacement is pending, and "soon after" the date that it gives it replaces
//! the endpoint by itself; critical updates may come without notice ("Tunnel endpoint lifecycle control"). That an endpoint was
//! replaced shows afterwards in the date of the last one.

use std::time::Duration;

use super::time::Stamp;

/// A replacement is dated when it is complete or when it began, which AWS does not document: one that is dated up to this long
/// before the tunnel went down may be the cause of that.
const BEFORE_THE_DOWN: Duration = Duration::from_secs(10 * 60);

/// AWS's clock and the one of our dates may differ by up to this, see [`Calendar`](super::time::Calendar).
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// `MaintenanceDetails` of `GetVpnTunnelReplacementStatus`. Its dates are on AWS's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Whether a replacement is pending (`PendingMaintenance`).
    pub pending: bool,
    /// Soon after this AWS replaces the endpoint by itself (`MaintenanceAutoAppliedAfter`).
    pub applied_after: Option<Stamp>,
    /// When the endpoint was last replaced (`LastMaintenanceApplied`).
    pub last_applied: Option<Stamp>,
}

/// How a replacement of its endpoint explains that a tunnel is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// AWS replaced the endpoint about when the tunnel went down, or since.
    Applied {
        /// When.
        at: Stamp,
    },
    /// The date after which AWS replaces it by itself had come when the tunnel went down: AWS may be at it.
    Due {
        /// The date.
        since: Stamp,
    },
}

impl Maintenance {
    /// The date of a pending replacement: AWS replaces the endpoint soon after it.
    pub fn announced(&self) -> Option<Stamp> {
        self.applied_after.filter(|_| self.pending)
    }

    /// Whether a replacement explains that the tunnel has been down since `down`.
    pub fn explains(&self, down: Stamp, now: Stamp) -> Option<Replacement> {
        let from = down - BEFORE_THE_DOWN;
        let within = |at: &Stamp| *at >= from && *at <= now + CLOCK_TOLERANCE;
        if let Some(at) = self.last_applied.filter(within) {
            return Some(Replacement::Applied { at });
        }
        // A down of before the date has another cause.
        let has_come = |since: &Stamp| *since <= now && *since <= down + CLOCK_TOLERANCE;
        self.announced().filter(has_come).map(|since| Replacement::Due { since })
    }
}

/// What is known of the maintenance of a tunnel's endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MaintenanceState {
    /// AWS has not answered yet, or is not asked.
    #[default]
    NotAsked,
    /// The permission to ask is missing.
    Denied,
    /// AWS answered.
    Known {
        /// What.
        maintenance: Maintenance,
        /// As of this date, on AWS's clock.
        as_of: Stamp,
    },
}

/// What people should know of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaintenanceNews {
    /// A replacement is pending, or its date is another one.
    Announced,
    /// The endpoint was replaced.
    Applied,
    /// The replacement that was pending no longer is, and the endpoint was not replaced.
    Withdrawn,
    /// The permission to ask is missing.
    Denied,
}

impl MaintenanceState {
    /// What AWS said, if it did.
    pub const fn maintenance(&self) -> Option<&Maintenance> {
        match self {
            Self::Known { maintenance, as_of: _ } => Some(maintenance),
            Self::NotAsked | Self::Denied => None,
        }
    }

    /// Whether it says the same, perhaps of another time.
    pub fn says_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known { maintenance, .. }, Self::Known { maintenance: others, .. }) => {
                maintenance == others
            }
            (Self::NotAsked, Self::NotAsked) | (Self::Denied, Self::Denied) => true,
            (Self::NotAsked | Self::Denied | Self::Known { .. }, _) => false,
        }
    }

    /// What people should know when this follows `before`.
    pub fn news_after(&self, before: &Self) -> Option<MaintenanceNews> {
        let now = match (before, self) {
            (Self::Denied, Self::Denied) | (_, Self::NotAsked) => return None,
            (Self::NotAsked | Self::Known { .. }, Self::Denied) => return Some(MaintenanceNews::Denied),
            (_, Self::Known { maintenance, .. }) => maintenance,
        };
        let before = before.maintenance();
        let was_pending = before.is_some_and(|before| before.pending);
        if now.pending && (!was_pending || before.and_then(Maintenance::announced) != now.announced()) {
            return Some(MaintenanceNews::Announced);
        }
        // Without an earlier answer the last replacement may be years old.
        if before.is_some_and(|before| now.last_applied > before.last_applied) {
            return Some(MaintenanceNews::Applied);
        }
        (was_pending && !now.pending).then_some(MaintenanceNews::Withdrawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> Stamp {
        Stamp::from_secs(1_795_341_600 + seconds)
    }

    fn pending(after: Option<i64>) -> Maintenance {
        Maintenance { pending: true, applied_after: after.map(at), last_applied: None }
    }

    fn applied(when: i64) -> Maintenance {
        Maintenance { pending: false, applied_after: None, last_applied: Some(at(when)) }
    }

    #[test]
    fn a_replacement_is_announced_with_its_date_only_while_it_is_pending() {
        for (maintenance, announced) in [
            (Maintenance::default(), None),
            (pending(None), None),
            (pending(Some(HOUR)), Some(at(HOUR))),
            (Maintenance { pending: false, ..pending(Some(HOUR)) }, None),
            (applied(0), None),
        ] {
            assert_eq!(maintenance.announced(), announced, "{maintenance:?}");
        }
    }

    /// The tunnel has been down since 0, and now is half an hour later.
    #[test]
    fn a_down_is_explained_by_a_replacement_at_its_begin_or_during_it_or_by_a_date_that_had_come() {
        let due = |since| Some(Replacement::Due { since: at(since) });
        let done = |when| Some(Replacement::Applied { at: at(when) });
        for (maintenance, explanation) in [
            (Maintenance::default(), None),
            // The date of the last replacement.
            (applied(-601), None),
            (applied(-600), done(-600)),
            (applied(0), done(0)),
            (applied(1800), done(1800)),
            (applied(1860), done(1860)),
            (applied(1861), None),
            // The date after which AWS acts.
            (pending(None), None),
            (pending(Some(-86_400)), due(-86_400)),
            (pending(Some(0)), due(0)),
            (pending(Some(60)), due(60)),
            (pending(Some(61)), None),
            (pending(Some(HOUR)), None),
            (Maintenance { pending: false, ..pending(Some(0)) }, None),
            // What was done says more than what is due.
            (Maintenance { last_applied: Some(at(5)), ..pending(Some(0)) }, done(5)),
            (Maintenance { last_applied: Some(at(-86_400)), ..pending(Some(0)) }, due(0)),
        ] {
            assert_eq!(maintenance.explains(at(0), at(1800)), explanation, "{maintenance:?}");
        }
    }

    #[test]
    fn a_date_that_is_still_to_come_explains_nothing() {
        assert_eq!(pending(Some(30)).explains(at(0), at(20)), None);
        assert_eq!(pending(Some(30)).explains(at(0), at(30)), Some(Replacement::Due { since: at(30) }));
    }

    #[test]
    fn news_are_what_is_announced_applied_withdrawn_or_denied() {
        use MaintenanceNews::{Announced, Applied, Denied, Withdrawn};
        let known = |maintenance| MaintenanceState::Known { maintenance, as_of: at(0) };
        let (nothing, denied) = (MaintenanceState::NotAsked, MaintenanceState::Denied);
        let quiet = known(Maintenance::default());
        let again = Maintenance { last_applied: Some(at(1)), ..pending(Some(HOUR)) };
        for (before, after, news) in [
            (nothing, quiet, None),
            (nothing, known(applied(-86_400)), None),
            (nothing, known(pending(Some(HOUR))), Some(Announced)),
            (nothing, known(pending(None)), Some(Announced)),
            (quiet, quiet, None),
            (quiet, known(pending(Some(HOUR))), Some(Announced)),
            (known(pending(Some(HOUR))), known(pending(Some(HOUR))), None),
            (known(pending(Some(HOUR))), known(pending(Some(2 * HOUR))), Some(Announced)),
            (known(pending(None)), known(pending(Some(HOUR))), Some(Announced)),
            (known(pending(Some(HOUR))), known(applied(HOUR)), Some(Applied)),
            (known(pending(Some(HOUR))), quiet, Some(Withdrawn)),
            // Without notice.
            (quiet, known(applied(5)), Some(Applied)),
            (known(applied(5)), known(applied(6)), Some(Applied)),
            (known(applied(5)), known(applied(5)), None),
            // One after the other, between two questions.
            (known(pending(Some(0))), known(again), Some(Announced)),
            (known(pending(Some(HOUR))), known(again), Some(Applied)),
            (nothing, denied, Some(Denied)),
            (quiet, denied, Some(Denied)),
            (denied, denied, None),
            (denied, quiet, None),
            (denied, known(pending(Some(HOUR))), Some(Announced)),
            (known(pending(Some(HOUR))), nothing, None),
        ] {
            assert_eq!(after.news_after(&before), news, "{before:?} → {after:?}");
        }
    }

    #[test]
    fn the_same_words_of_a_later_time_are_no_change() {
        let known = |maintenance, seconds| MaintenanceState::Known { maintenance, as_of: at(seconds) };
        assert!(known(pending(None), 0).says_the_same(&known(pending(None), 60)));
        assert!(!known(pending(None), 0).says_the_same(&known(applied(0), 0)));
        assert!(!MaintenanceState::NotAsked.says_the_same(&MaintenanceState::Denied));
        assert!(MaintenanceState::Denied.says_the_same(&MaintenanceState::Denied));
    }
}
