//! The conditions of the kinds, in three-valued truth, and for how long one has held.

use std::time::Duration;

use super::carrying::{CannotTell, Carrying};
use super::names::{End, Kind, Role};
use super::time::Moment;
use super::verdict::{Assessment, Verdict, Why};

/// True, false, or unknown.
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

    /// The opposite.
    pub const fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }

    /// Known either way.
    pub const fn known(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }

    fn all(truths: impl Iterator<Item = Self>) -> Self {
        truths.fold(Self::True, Self::and)
    }

    fn any(truths: impl Iterator<Item = Self>) -> Self {
        truths.fold(Self::False, Self::or)
    }
}

/// The input of a condition, for each used tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelTruth {
    /// Its role.
    pub role: Role,
    /// What our checks say.
    pub local: Verdict,
    /// What AWS says.
    pub aws: Verdict,
    /// Both together.
    pub assessment: Assessment,
    /// Whether it carries traffic.
    pub carrying: Carrying,
    /// Whether our checks have ever seen it Up.
    pub local_seen_up: bool,
    /// Whether AWS has ever said Up.
    pub aws_seen_up: bool,
    /// Whether AWS's last verdict was Down, apart from Unknown.
    pub aws_said_down: bool,
    /// Whether it is Up by our end, but degraded; unknown where it is not Up, and false where it never was.
    pub degraded: Truth,
}

/// Whether the condition of `kind` holds. `cut_off`: AWS cannot be reached at all.
pub fn opens(kind: Kind, tunnels: &[TunnelTruth], cut_off: bool) -> Truth {
    match kind {
        Kind::Outage => outage(tunnels),
        Kind::RedundancyLost => redundancy_lost(tunnels),
        Kind::OneSided => one_sided(tunnels, cut_off),
        Kind::Degraded => degraded(tunnels),
    }
}

/// Whether the closing condition of `kind` holds. Without tunnels it does not.
pub fn closes(kind: Kind, tunnels: &[TunnelTruth]) -> Truth {
    let some_carries = Truth::any(tunnels.iter().map(carries));
    match kind {
        Kind::Outage => some_carries,
        Kind::RedundancyLost => {
            // Where a reload has left no active tunnel, all of them must carry.
            let needed = |tunnel: &&TunnelTruth| tunnel.role == Role::Active || !has_active(tunnels);
            Truth::known(!tunnels.is_empty()).and(Truth::all(tunnels.iter().filter(needed).map(carries)))
        }
        Kind::OneSided => some_carries.or(outage(tunnels)),
        Kind::Degraded => Truth::known(!tunnels.is_empty()).and(degraded(tunnels).not()),
    }
}

fn has_active(tunnels: &[TunnelTruth]) -> bool {
    tunnels.iter().any(|tunnel| tunnel.role == Role::Active)
}

/// Both ends agree that an active tunnel is Down, and no other tunnel carries traffic.
fn outage(tunnels: &[TunnelTruth]) -> Truth {
    let an_active_is_down = Truth::any(tunnels.iter().map(active_and_down));
    // A tunnel that is Down does not carry, so "every other" is "every".
    let none_carries = Truth::all(tunnels.iter().map(|tunnel| carries_not(tunnel.carrying)));
    an_active_is_down.and(none_carries)
}

/// An active tunnel is Down, and it is not known to be an outage: a certain loss is reported even while the state of the other
/// tunnels is unknown.
fn redundancy_lost(tunnels: &[TunnelTruth]) -> Truth {
    let an_active_is_down = Truth::any(tunnels.iter().map(active_and_down));
    match outage(tunnels) {
        Truth::True => Truth::False,
        Truth::False | Truth::Unknown => an_active_is_down,
    }
}

/// No active tunnel is agreed Down, yet none is known to carry: one end or the other says Down of each tunnel, and of an active one
/// an end that has seen it Up.
///
/// While AWS cannot be reached, our end's evidence alone can reach no sink, and may be out of date once it can: that time does
/// not count. Where AWS is reached and refuses, it does.
fn one_sided(tunnels: &[TunnelTruth], cut_off: bool) -> Truth {
    let agreed = |tunnel: &TunnelTruth| tunnel.role == Role::Active && tunnel.assessment == Assessment::Down;
    // Then it is an outage, or redundancy is lost.
    let not_agreed = Truth::known(!tunnels.iter().any(agreed));
    let local_counts = if cut_off { Truth::Unknown } else { Truth::True };
    let an_active_is_down = Truth::any(tunnels.iter().map(|tunnel| {
        let [here, there] = [End::Local, End::Aws].map(|end| active_and_down_by(tunnel, end));
        here.and(local_counts).or(there)
    }));
    not_agreed
        .and(an_active_is_down)
        .and(Truth::all(tunnels.iter().map(|it| down_by_some_end(it, local_counts))))
}

/// A tunnel is degraded. It needs no agreement, because AWS does not measure it. A tunnel that goes down meanwhile is neither
/// degraded nor good.
fn degraded(tunnels: &[TunnelTruth]) -> Truth {
    Truth::any(tunnels.iter().map(|tunnel| tunnel.degraded))
}

/// Whether the tunnel is active and this end, which has seen it Up, says Down.
fn active_and_down_by(tunnel: &TunnelTruth, end: End) -> Truth {
    let (said, seen_up) = match end {
        End::Local => (tunnel.local, tunnel.local_seen_up),
        End::Aws => (tunnel.aws, tunnel.aws_seen_up),
    };
    match tunnel.role {
        Role::Standby | Role::Unused => Truth::False,
        Role::Active => said_down(said).and(Truth::known(seen_up)),
    }
}

/// Whether an end says Down of a tunnel. `local_counts`: our end's evidence alone counts as that. Where our end says that
/// packets pass, and AWS is silent and has not said Down before, neither end says Down: otherwise our end's blips would add up
/// for as long as AWS is silent.
fn down_by_some_end(tunnel: &TunnelTruth, local_counts: Truth) -> Truth {
    match (tunnel.assessment, tunnel.carrying) {
        (Assessment::Down, _) => Truth::True,
        (_, Carrying::CannotTell(CannotTell::Starting)) => Truth::Unknown,
        (
            Assessment::Healthy | Assessment::Disputed(_) | Assessment::Unconfirmed(_) | Assessment::Blind,
            Carrying::Carrying | Carrying::NotCarrying(_) | Carrying::CannotTell(_),
        ) => match (tunnel.local, tunnel.aws) {
            (Verdict::Up | Verdict::Unknown(Why::Shared), Verdict::Unknown(_)) if !tunnel.aws_said_down => {
                Truth::False
            }
            (local, aws) => said_down(local).and(local_counts).or(said_down(aws)),
        },
    }
}

const fn carries_not(carrying: Carrying) -> Truth {
    match carrying {
        Carrying::Carrying => Truth::False,
        Carrying::NotCarrying(_) => Truth::True,
        Carrying::CannotTell(_) => Truth::Unknown,
    }
}

const fn said_down(verdict: Verdict) -> Truth {
    match verdict {
        Verdict::Down => Truth::True,
        Verdict::Up | Verdict::Unknown(Why::Shared) => Truth::False,
        Verdict::Unknown(_) => Truth::Unknown,
    }
}

/// Whether the tunnel is active and agreed Down. While one end says Down and the other does not know, or BGP may be down, that is
/// unknown.
fn active_and_down(tunnel: &TunnelTruth) -> Truth {
    match tunnel.role {
        Role::Standby | Role::Unused => Truth::False,
        Role::Active => match (tunnel.assessment, tunnel.carrying) {
            (Assessment::Down, _) => Truth::True,
            (Assessment::Disputed(End::Aws), Carrying::CannotTell(CannotTell::BgpUnconfirmed))
            | (Assessment::Unconfirmed(_) | Assessment::Blind, _) => Truth::Unknown,
            (Assessment::Healthy | Assessment::Disputed(_), _) => Truth::False,
        },
    }
}

/// Whether a tunnel carries for certain, which closes incidents. Where either end says Down it does not.
fn carries(tunnel: &TunnelTruth) -> Truth {
    match tunnel.assessment {
        Assessment::Healthy => Truth::True,
        Assessment::Down | Assessment::Disputed(_) | Assessment::Unconfirmed(_) => Truth::False,
        Assessment::Blind => Truth::Unknown,
    }
}

/// For how long a condition has held, by its share of the time.
///
/// The held time grows while the condition holds, runs back at the same pace while it does not, and pauses while it is unknown. So
/// a flapping line is judged by its state for most of the time, and not by its last good moment:
///
/// - A condition that never holds, or holds once for less than is needed, never has held.
/// - If each period of holding is shorter than needed, and an at least equally long period of not holding follows, it never has
///   held.
/// - If it holds for `on` and does not for `off` in turn, and `on` is longer, it has held by the end of round
///   `1 + (needed - on) / (on - off)`, rounded up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hold {
    held: Duration,
    /// Since when the held time grows, or runs back.
    moving: Option<(HoldDirection, Moment)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HoldDirection {
    Up,
    Back,
}

impl Hold {
    /// The truth of the condition from `now` on. At most `needed` counts: a longer time of holding does not take longer to run
    /// back.
    pub fn observe(&mut self, truth: Truth, needed: Duration, now: Moment) {
        if let Some((way, since)) = self.moving.take() {
            let passed = now.since(since);
            self.held = match way {
                HoldDirection::Up => (self.held + passed).min(needed),
                HoldDirection::Back => self.held.saturating_sub(passed),
            };
        }
        self.moving = match truth {
            Truth::True => Some((HoldDirection::Up, now)),
            Truth::False if self.held > Duration::ZERO => Some((HoldDirection::Back, now)),
            Truth::False | Truth::Unknown => None,
        };
    }

    /// The process was held up for this long: that time does not count.
    pub fn held_up(&mut self, gap: Duration) {
        self.moving = self.moving.map(|(way, since)| (way, since + gap));
    }

    /// Whether it holds now and has held for long enough.
    pub fn has_held(&self, needed: Duration) -> bool {
        matches!(self.moving, Some((HoldDirection::Up, _))) && self.held >= needed
    }

    /// Whether nothing is left of it.
    pub fn is_spent(&self) -> bool {
        self.moving.is_none() && self.held == Duration::ZERO
    }

    /// When it will have held for long enough, if it goes on.
    pub fn held_at(&self, needed: Duration) -> Option<Moment> {
        match self.moving {
            Some((HoldDirection::Up, since)) => Some(since + needed.saturating_sub(self.held)),
            Some((HoldDirection::Back, _)) | None => None,
        }
    }

    /// When nothing will be left of it, if it goes on.
    pub fn spent_at(&self) -> Option<Moment> {
        match self.moving {
            Some((HoldDirection::Back, since)) => Some(since + self.held),
            Some((HoldDirection::Up, _)) | None => None,
        }
    }
}

//--- grace

/// Repeats within this time count at most [`REPEATS_MAX`] times.
const REPEATED_WITHIN: Duration = Duration::from_secs(3600);

/// A failover, the way back, and one more.
const REPEATS_MAX: usize = 3;

/// How long nothing opens after a start, a takeover or a hold-up.
///
/// After a start or a takeover the tunnels may still be coming up; after a hold-up (the host slept, or the process was stopped)
/// the evidence is old. So nothing opens for `start_grace`, or until both ends agree that an active tunnel is Down: after a
/// start or a takeover by what our end has found since, but not by BGP, which comes up after IPsec; after a hold-up by later
/// evidence. Then neither repeated takeovers and hold-ups nor a process that is killed again and again can suppress an outage:
/// the grace ends with the agreement, and `open_after` counts from there. A series of Downs outlasts a restart
/// ([`downs`](super::downs)), because CloudWatch may be later than the next restart. Where the ends do not agree, takeovers and
/// hold-ups have this effect at most three times an hour.
#[derive(Debug, Clone, Copy)]
pub struct Grace {
    started: Moment,
    taken_over: Latest,
    held_up: Latest,
    /// The last hold-up, whether or not it counts.
    last_hold_up: Option<Moment>,
}

/// The latest that count, oldest first.
#[derive(Debug, Clone, Copy, Default)]
struct Latest([Option<Moment>; REPEATS_MAX]);

impl Latest {
    fn add(&mut self, now: Moment) {
        if self.0[0].is_none_or(|oldest| now.since(oldest) >= REPEATED_WITHIN) {
            self.0.rotate_left(1);
            self.0[REPEATS_MAX - 1] = Some(now);
        }
    }

    fn until(&self, start_grace: Duration) -> Option<Moment> {
        self.0[REPEATS_MAX - 1].map(|last| last + start_grace)
    }
}

impl Grace {
    /// The daemon starts.
    pub fn new(now: Moment) -> Self {
        Self { started: now, taken_over: Latest::default(), held_up: Latest::default(), last_hold_up: None }
    }

    /// This host takes over.
    pub fn taken_over(&mut self, now: Moment) {
        self.taken_over.add(now);
    }

    /// The process was held up until now.
    pub fn held_up(&mut self, now: Moment) {
        self.last_hold_up = Some(now);
        self.held_up.add(now);
    }

    /// Until when nothing opens. `agreed`: both ends agree on a tunnel that is Down. `agreed_after`: they do by evidence later
    /// than a moment.
    pub fn until(
        &self,
        start_grace: Duration,
        agreed: bool,
        agreed_after: impl FnOnce(Moment) -> bool,
    ) -> Moment {
        let fresh = self.last_hold_up.is_some_and(agreed_after);
        let held_up = if fresh { None } else { self.held_up.until(start_grace) };
        let (started, taken_over) = if agreed {
            (self.started, None)
        } else {
            (self.started + start_grace, self.taken_over.until(start_grace))
        };
        [taken_over, held_up].into_iter().flatten().fold(started, Moment::max)
    }
}

#[cfg(test)]
mod tests;
