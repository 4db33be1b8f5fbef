//! The conditions of the three kinds, in three-valued truth.

use super::names::{End, Kind, Role};
use super::verdict::{Assessment, Verdict};

/// True, false, or not to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// The evidence does not say.
    Unknown,
}

impl Truth {
    /// Both.
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            (Self::Unknown, Self::True | Self::Unknown) | (Self::True, Self::Unknown) => Self::Unknown,
        }
    }

    /// At least one.
    pub const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::False, Self::False) => Self::False,
            (Self::Unknown, Self::False | Self::Unknown) | (Self::False, Self::Unknown) => Self::Unknown,
        }
    }

    const fn known(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }

    fn all(truths: impl Iterator<Item = Self>) -> Self {
        truths.fold(Self::True, Self::and)
    }

    fn any(truths: impl Iterator<Item = Self>) -> Self {
        truths.fold(Self::False, Self::or)
    }
}

/// What a condition looks at, for each tunnel that is not unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelTruth {
    /// What it is for.
    pub role: Role,
    /// What our checks say.
    pub local: Verdict,
    /// What AWS says.
    pub aws: Verdict,
    /// Both together.
    pub assessment: Assessment,
    /// Whether our checks have ever seen it Up.
    pub local_seen_up: bool,
    /// Whether AWS has ever said Up.
    pub aws_seen_up: bool,
}

/// Whether the condition of `kind` holds. `cut_off`: AWS cannot be reached at all.
pub fn opens(kind: Kind, tunnels: &[TunnelTruth], cut_off: bool) -> Truth {
    match kind {
        Kind::Outage => outage(tunnels),
        Kind::RedundancyLost => redundancy_lost(tunnels),
        Kind::OneSided => one_sided(tunnels, cut_off),
    }
}

/// Whether the closing condition of `kind` holds.
pub fn closes(kind: Kind, tunnels: &[TunnelTruth]) -> Truth {
    let some_healthy = Truth::any(tunnels.iter().map(healthy));
    match kind {
        Kind::Outage => some_healthy,
        Kind::RedundancyLost => {
            Truth::all(tunnels.iter().filter(|tunnel| tunnel.role == Role::Active).map(healthy))
        }
        Kind::OneSided => some_healthy.or(outage(tunnels)),
    }
}

/// An active tunnel is Down, and every other tunnel is locally Down.
fn outage(tunnels: &[TunnelTruth]) -> Truth {
    let an_active_is_down = Truth::any(tunnels.iter().map(active_and_down));
    // A tunnel that is Down is locally Down, so "every other" is "every".
    let all_locally_down = Truth::all(tunnels.iter().map(|tunnel| said_down(tunnel.local)));
    an_active_is_down.and(all_locally_down)
}

/// An active tunnel is Down, and it is not known to be an outage: what is lost for certain is told, even while the other
/// tunnel cannot be asked.
fn redundancy_lost(tunnels: &[TunnelTruth]) -> Truth {
    let an_active_is_down = Truth::any(tunnels.iter().map(active_and_down));
    match outage(tunnels) {
        Truth::True => Truth::False,
        Truth::False | Truth::Unknown => an_active_is_down,
    }
}

/// Every tunnel is Down by one and the same end, which has seen it Up before, and nothing is agreed.
///
/// While AWS cannot be reached, nobody can be told what our end alone says, and once it can be, that may be over: such time
/// does not count. Where AWS is reached and refuses, people can be told.
fn one_sided(tunnels: &[TunnelTruth], cut_off: bool) -> Truth {
    let nothing_agreed = Truth::known(
        !tunnels.iter().any(|tunnel| tunnel.assessment == Assessment::Down) && !tunnels.is_empty(),
    );
    let all_down_by = |end| Truth::all(tunnels.iter().map(|tunnel| down_by(tunnel, end)));
    let tellable = if cut_off { Truth::Unknown } else { Truth::True };
    nothing_agreed.and(all_down_by(End::Local).and(tellable).or(all_down_by(End::Aws)))
}

fn down_by(tunnel: &TunnelTruth, end: End) -> Truth {
    let (verdict, seen_up) = match end {
        End::Local => (tunnel.local, tunnel.local_seen_up),
        End::Aws => (tunnel.aws, tunnel.aws_seen_up),
    };
    said_down(verdict).and(Truth::known(seen_up))
}

const fn said_down(verdict: Verdict) -> Truth {
    match verdict {
        Verdict::Down => Truth::True,
        Verdict::Up => Truth::False,
        Verdict::Unknown(_) => Truth::Unknown,
    }
}

/// Whether an active tunnel is Down by both ends. While one end says Down and the other does not know, it cannot be said.
fn active_and_down(tunnel: &TunnelTruth) -> Truth {
    match tunnel.role {
        Role::Standby | Role::Unused => Truth::False,
        Role::Active => match tunnel.assessment {
            Assessment::Down => Truth::True,
            Assessment::Healthy | Assessment::Disputed(_) => Truth::False,
            Assessment::Unconfirmed(_) | Assessment::Blind => Truth::Unknown,
        },
    }
}

fn healthy(tunnel: &TunnelTruth) -> Truth {
    match tunnel.assessment {
        Assessment::Healthy => Truth::True,
        Assessment::Down | Assessment::Disputed(_) | Assessment::Unconfirmed(_) => Truth::False,
        Assessment::Blind => Truth::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Why;
    use super::*;
    use crate::domain::correlate::correlate;

    const UP: Verdict = Verdict::Up;
    const DOWN: Verdict = Verdict::Down;
    const UNKNOWN: Verdict = Verdict::Unknown(Why::Stale);

    fn tunnel(role: Role, local: Verdict, aws: Verdict) -> TunnelTruth {
        TunnelTruth {
            role,
            local,
            aws,
            assessment: correlate(local, aws),
            local_seen_up: true,
            aws_seen_up: true,
        }
    }

    fn active(local: Verdict, aws: Verdict) -> TunnelTruth {
        tunnel(Role::Active, local, aws)
    }

    fn standby(local: Verdict, aws: Verdict) -> TunnelTruth {
        tunnel(Role::Standby, local, aws)
    }

    #[test]
    fn an_outage_is_an_agreed_active_tunnel_with_every_other_locally_down() {
        let outage = |tunnels: &[TunnelTruth]| opens(Kind::Outage, tunnels, false);
        assert_eq!(outage(&[active(DOWN, DOWN)]), Truth::True);
        assert_eq!(outage(&[active(DOWN, DOWN), active(DOWN, UP)]), Truth::True);
        assert_eq!(outage(&[active(DOWN, DOWN), active(DOWN, UNKNOWN)]), Truth::True);
        assert_eq!(outage(&[active(DOWN, DOWN), active(UP, DOWN)]), Truth::False);
        assert_eq!(outage(&[active(DOWN, DOWN), active(UNKNOWN, DOWN)]), Truth::Unknown);
        assert_eq!(outage(&[active(DOWN, UP), active(DOWN, UP)]), Truth::False);
        assert_eq!(outage(&[active(DOWN, UNKNOWN), active(DOWN, UNKNOWN)]), Truth::Unknown);
        assert_eq!(outage(&[standby(DOWN, DOWN), active(UP, UP)]), Truth::False);
        assert_eq!(outage(&[active(DOWN, DOWN), standby(DOWN, DOWN)]), Truth::True);
        assert_eq!(outage(&[active(DOWN, UP), standby(DOWN, DOWN)]), Truth::False);
        assert_eq!(outage(&[]), Truth::False);
    }

    #[test]
    fn redundancy_is_lost_when_an_active_tunnel_is_agreed_down_and_it_is_no_certain_outage() {
        let lost = |tunnels: &[TunnelTruth]| opens(Kind::RedundancyLost, tunnels, false);
        assert_eq!(lost(&[active(DOWN, DOWN), active(UP, UP)]), Truth::True);
        assert_eq!(lost(&[active(DOWN, DOWN), active(UNKNOWN, UP)]), Truth::True);
        assert_eq!(lost(&[active(DOWN, DOWN), active(DOWN, UP)]), Truth::False);
        assert_eq!(lost(&[standby(DOWN, DOWN), active(UP, UP)]), Truth::False);
        assert_eq!(lost(&[active(DOWN, UNKNOWN), active(UP, UP)]), Truth::Unknown);
    }

    #[test]
    fn one_sided_needs_every_tunnel_down_by_the_same_end_that_has_seen_it_up_and_no_agreement() {
        let one_sided = |tunnels: &[TunnelTruth]| opens(Kind::OneSided, tunnels, false);
        assert_eq!(one_sided(&[active(DOWN, UP), active(DOWN, UNKNOWN)]), Truth::True);
        assert_eq!(one_sided(&[active(UP, DOWN), standby(UNKNOWN, DOWN)]), Truth::True);
        assert_eq!(one_sided(&[active(DOWN, UP), active(UP, DOWN)]), Truth::False);
        assert_eq!(one_sided(&[active(DOWN, DOWN), active(DOWN, UP)]), Truth::False);
        assert_eq!(one_sided(&[active(DOWN, UP), active(UNKNOWN, UP)]), Truth::Unknown);
        let never_up_by_aws = TunnelTruth { aws_seen_up: false, ..active(UP, DOWN) };
        assert_eq!(one_sided(&[never_up_by_aws]), Truth::False);
    }

    #[test]
    fn while_cut_off_what_our_end_alone_says_is_neither_held_nor_refuted() {
        let cut_off = |kind, tunnels: &[TunnelTruth]| opens(kind, tunnels, true);
        let down = active(DOWN, UNKNOWN);
        assert_eq!(cut_off(Kind::OneSided, &[down, active(DOWN, UP)]), Truth::Unknown);
        assert_eq!(cut_off(Kind::OneSided, &[down, active(UNKNOWN, UNKNOWN)]), Truth::Unknown);
        assert_eq!(cut_off(Kind::OneSided, &[down, active(UP, UP)]), Truth::False);
        assert_eq!(cut_off(Kind::OneSided, &[active(DOWN, DOWN), active(DOWN, UP)]), Truth::False);
        assert_eq!(cut_off(Kind::OneSided, &[active(UP, DOWN), active(UP, DOWN)]), Truth::True);
        assert_eq!(cut_off(Kind::Outage, &[active(DOWN, DOWN), down]), Truth::True);
    }

    #[test]
    fn nothing_is_ever_closed_by_not_knowing() {
        let blind = active(UP, UNKNOWN);
        for kind in Kind::ALL {
            assert_eq!(closes(kind, &[blind, blind]), Truth::Unknown, "{kind:?}");
            assert_ne!(
                closes(kind, &[active(DOWN, UNKNOWN), active(UNKNOWN, DOWN)]),
                Truth::True,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn each_kind_closes_on_its_own_condition() {
        let (well, dead) = (active(UP, UP), active(DOWN, DOWN));
        assert_eq!(closes(Kind::Outage, &[well, dead]), Truth::True);
        assert_eq!(closes(Kind::RedundancyLost, &[well, dead]), Truth::False);
        assert_eq!(closes(Kind::RedundancyLost, &[well, standby(DOWN, DOWN)]), Truth::True);
        assert_eq!(closes(Kind::OneSided, &[well, active(DOWN, UP)]), Truth::True);
        assert_eq!(closes(Kind::OneSided, &[dead, active(DOWN, UP)]), Truth::True);
        assert_eq!(closes(Kind::OneSided, &[active(DOWN, UP), active(DOWN, UP)]), Truth::False);
        assert_eq!(closes(Kind::OneSided, &[dead, active(UNKNOWN, DOWN)]), Truth::Unknown);
    }
}
