//! Since when packets have not passed: the beginning that incident, record, journal, `/status` and metrics show.
//!
//! It is apart from the times at which each end noticed ([`View::since`]), at which both agreed, and at which an incident
//! opened.
//!
//! | local | AWS | since |
//! |---|---|---|
//! | Down | any | the last reply before it; without one in this run, what the run before knew, or else the first lost echo |
//! | Up | Down, agreed (BGP is down) | when AWS says that it changed |
//! | Up | anything else | packets pass |
//! | Unknown | Down | the last reply, if AWS's word changed before it or does not tell; or else when AWS says that it changed |
//! | Unknown | Up, Unknown | it cannot be said |

use std::time::Duration;

use super::board::TunnelSnapshot;
use super::names::{Kind, Role};
use super::status::TunnelStatus;
use super::time::{Moment, Now, Stamp};
use super::verdict::{Assessment, Evidence, Verdict, View};

/// A clock that is disciplined drifts by less than this; one that was set right jumps by more.
const CLOCK_SET_RIGHT: Duration = Duration::from_secs(10);

/// Since when packets have not passed through a tunnel, by the evidence of both ends.
pub fn not_passing_since(local: &View, aws: &View, assessment: Assessment) -> Option<Now> {
    match (local.verdict, aws.verdict) {
        (Verdict::Down, _) => match &local.evidence {
            Evidence::Local(evidence) => Some(evidence.stopped.unwrap_or(local.since)),
            Evidence::Aws(_) => Some(local.since),
        },
        (Verdict::Up, Verdict::Down) => match assessment {
            Assessment::Down => changed_at_aws(aws),
            Assessment::Healthy
            | Assessment::Disputed(_)
            | Assessment::Unconfirmed(_)
            | Assessment::Blind => None,
        },
        (Verdict::Unknown(_), Verdict::Down) => match &local.evidence {
            Evidence::Local(evidence) => evidence.last_reply.max(changed_at_aws(aws)),
            Evidence::Aws(_) => changed_at_aws(aws),
        },
        (Verdict::Up, Verdict::Up | Verdict::Unknown(_))
        | (Verdict::Unknown(_), Verdict::Up | Verdict::Unknown(_)) => None,
    }
}

/// When AWS says that its verdict began, on our clocks. The verdict already held when we first received it: `LastStatusChange`
/// also moves when a phase of IKE or IPsec changes while the tunnel stays Down.
fn changed_at_aws(aws: &View) -> Option<Now> {
    let Evidence::Aws(evidence) = &aws.evidence else { return None };
    let here = evidence.as_of_here?;
    let ago = match (evidence.as_of, evidence.changed) {
        (Some(as_of), Some(changed)) => as_of.since(changed),
        (Some(_) | None, None) | (None, Some(_)) => Duration::ZERO,
    };
    let changed = Now { mono: here.mono - ago, wall: here.wall - ago };
    Some(if aws.since.mono < changed.mono { aws.since } else { changed })
}

/// When an incident of `kind` that opens at `opened` began: the time since when the missing packets have made its condition
/// hold, or since when a tunnel has been degraded.
pub fn began(kind: Kind, tunnels: &[TunnelSnapshot], opened: Now) -> Stamp {
    let since = |tunnel: &TunnelSnapshot| tunnel.not_passing_since().map(|since| dated(since, opened));
    let agreed =
        |tunnel: &&TunnelSnapshot| tunnel.role == Role::Active && tunnel.assessment == Assessment::Down;
    // A tunnel that never answered here is not known to have carried traffic: AWS's evidence on it does not move a known start.
    let last = |since: &dyn Fn(&TunnelSnapshot) -> Option<Stamp>| {
        let answered = tunnels.iter().filter(|tunnel| has_answered(tunnel)).filter_map(since).max();
        answered.or_else(|| tunnels.iter().filter_map(since).max())
    };
    let began = match kind {
        // Nothing passed after the last of them stopped.
        Kind::Outage => last(&since),
        Kind::RedundancyLost => tunnels.iter().filter(agreed).filter_map(since).min(),
        Kind::OneSided => last(&|tunnel| by_one_end(tunnel).map(|since| dated(since, opened))),
        Kind::Degraded => {
            let degraded = tunnels.iter().filter(|tunnel| tunnel.quality.is_degraded());
            degraded.filter_map(|tunnel| tunnel.quality_since).map(|since| dated(since, opened)).min()
        }
    };
    began.unwrap_or(opened.wall).min(opened.wall)
}

/// Whether an echo was ever answered: our end is Up or Down, or knows a last reply.
fn has_answered(tunnel: &TunnelSnapshot) -> bool {
    match (tunnel.local.verdict, &tunnel.local.evidence) {
        (Verdict::Up | Verdict::Down, _) => true,
        (Verdict::Unknown(_), Evidence::Local(evidence)) => evidence.last_reply.is_some(),
        (Verdict::Unknown(_), Evidence::Aws(_)) => false,
    }
}

/// The evidence that the start of an incident is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The last reply.
    LastReply,
    /// The first lost echo; no reply is known.
    FirstLoss,
    /// When our end noticed; nothing else is known.
    Noticed,
    /// AWS's evidence.
    Aws,
}

/// The evidence for the start of an incident of `kind` that opened with these tunnels; see [`began`].
pub fn basis(kind: Kind, tunnels: &[TunnelSnapshot]) -> Option<Basis> {
    let agreed =
        |tunnel: &&TunnelSnapshot| tunnel.role == Role::Active && tunnel.assessment == Assessment::Down;
    let since = |tunnel: &TunnelSnapshot| Some((tunnel.not_passing_since()?.mono, basis_of(tunnel)));
    let by_one_end = |tunnel: &TunnelSnapshot| Some((by_one_end(tunnel)?.mono, basis_of(tunnel)));
    let last = |since: &dyn Fn(&TunnelSnapshot) -> Option<(Moment, Basis)>| {
        let answered = tunnels.iter().filter(|tunnel| has_answered(tunnel)).filter_map(since);
        let answered = answered.max_by_key(|(at, _)| *at);
        answered.or_else(|| tunnels.iter().filter_map(since).max_by_key(|(at, _)| *at))
    };
    let latest = match kind {
        Kind::Outage => last(&since),
        Kind::RedundancyLost => tunnels.iter().filter(agreed).filter_map(since).min_by_key(|(at, _)| *at),
        Kind::OneSided => last(&by_one_end),
        Kind::Degraded => None,
    };
    latest.map(|(_, basis)| basis)
}

fn basis_of(tunnel: &TunnelSnapshot) -> Basis {
    let Evidence::Local(local) = &tunnel.local.evidence else { return Basis::Aws };
    match (tunnel.local.verdict, local.stopped) {
        (Verdict::Down, None) => Basis::Noticed,
        (Verdict::Down, stopped) if stopped == local.first_loss && stopped != local.last_reply => {
            Basis::FirstLoss
        }
        (Verdict::Down, Some(_)) => Basis::LastReply,
        (Verdict::Unknown(_), _) if local.last_reply > changed_at_aws(&tunnel.aws) => Basis::LastReply,
        (Verdict::Up | Verdict::Unknown(_), _) => Basis::Aws,
    }
}

/// The date of a past moment, by today's knowledge of the clock (which may have been wrong at the time).
pub fn dated(at: Now, now: Now) -> Stamp {
    let by_now = now.wall - now.mono.since(at.mono);
    let apart = by_now.since(at.wall).max(at.wall.since(by_now));
    if apart < CLOCK_SET_RIGHT { at.wall } else { by_now }
}

/// One end's own evidence about a tunnel, even where the other end says that packets pass.
fn by_one_end(tunnel: &TunnelSnapshot) -> Option<Now> {
    match (tunnel.local.verdict, tunnel.aws.verdict) {
        (Verdict::Up, Verdict::Down) => changed_at_aws(&tunnel.aws),
        (Verdict::Down | Verdict::Unknown(_), _) | (Verdict::Up, Verdict::Up | Verdict::Unknown(_)) => {
            tunnel.not_passing_since()
        }
    }
}

impl TunnelSnapshot {
    /// See [`not_passing_since`].
    pub fn not_passing_since(&self) -> Option<Now> {
        not_passing_since(&self.local, &self.aws, self.assessment)
    }
}

impl TunnelStatus {
    /// See [`not_passing_since`].
    pub fn not_passing_since(&self) -> Option<Now> {
        not_passing_since(&self.local, &self.aws, self.assessment)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::carrying::Carrying;
    use super::super::names::{End, TunnelId, VpnId};
    use super::super::time::Moment;
    use super::super::verdict::{AwsEvidence, LocalEvidence, Why};
    use super::*;

    const UNKNOWN: Verdict = Verdict::Unknown(Why::NeverAnswered);

    fn at(secs: i64) -> Now {
        Now { mono: Moment::from_nanos(secs * 1_000_000_000), wall: Stamp::from_secs(secs) }
    }

    fn local(verdict: Verdict, since: i64, stopped: Option<i64>, last_reply: Option<i64>) -> View {
        let evidence = LocalEvidence {
            stopped: stopped.map(at),
            last_reply: last_reply.map(at),
            ..LocalEvidence::default()
        };
        View { verdict, since: at(since), evidence: Evidence::Local(evidence) }
    }

    /// AWS's clock is an hour ahead.
    fn aws(verdict: Verdict, as_of: i64, changed: Option<i64>) -> View {
        let there = |secs: i64| Stamp::from_secs(secs + 3600);
        let evidence = AwsEvidence {
            as_of: Some(there(as_of)),
            as_of_here: Some(at(as_of)),
            changed: changed.map(there),
            ..AwsEvidence::default()
        };
        View { verdict, since: at(as_of), evidence: Evidence::Aws(evidence) }
    }

    fn snapshot(role: Role, local: View, aws: View, assessment: Assessment) -> TunnelSnapshot {
        let id = TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, 1].into() };
        let carrying = Carrying::of(assessment);
        TunnelSnapshot {
            id,
            name: Arc::from("tunnel"),
            role,
            local,
            aws,
            assessment,
            carrying,
            diagnosis: None,
            quality: Default::default(),
            quality_since: None,
        }
    }

    fn dead(role: Role, stopped: i64) -> TunnelSnapshot {
        let local = local(Verdict::Down, stopped + 3, Some(stopped), Some(stopped));
        snapshot(role, local, aws(Verdict::Down, stopped + 30, Some(stopped + 9)), Assessment::Down)
    }

    #[test]
    fn it_is_the_last_reply_and_neither_when_our_end_noticed_nor_when_aws_did() {
        for aws in [aws(Verdict::Up, 90, Some(5)), aws(Verdict::Down, 90, Some(70)), aws(UNKNOWN, 90, None)] {
            // A late straggler does not move it.
            let local = local(Verdict::Down, 63, Some(60), Some(80));
            assert_eq!(not_passing_since(&local, &aws, Assessment::Down), Some(at(60)));
        }
    }

    #[test]
    fn with_bgp_down_and_probes_passing_it_is_the_time_of_awss_change() {
        let up = local(Verdict::Up, 0, None, Some(99));
        let down = aws(Verdict::Down, 90, Some(70));
        assert_eq!(not_passing_since(&up, &down, Assessment::Down), Some(at(70)));
        assert_eq!(not_passing_since(&up, &down, Assessment::Disputed(End::Aws)), None);
        assert_eq!(not_passing_since(&up, &aws(Verdict::Up, 90, None), Assessment::Healthy), None);
    }

    #[test]
    fn with_our_end_unknown_it_is_the_later_of_both_and_none_unless_aws_says_down() {
        let unknown = |last_reply| local(UNKNOWN, 0, None, last_reply);
        let since = |local: &View| {
            not_passing_since(local, &aws(Verdict::Down, 90, Some(70)), Assessment::Unconfirmed(End::Aws))
        };
        assert_eq!(since(&unknown(None)), Some(at(70)));
        assert_eq!(since(&unknown(Some(10))), Some(at(70)));
        assert_eq!(since(&unknown(Some(75))), Some(at(75)));
        for other in [Verdict::Up, UNKNOWN] {
            assert_eq!(
                not_passing_since(&unknown(Some(10)), &aws(other, 90, Some(70)), Assessment::Blind),
                None
            );
        }
    }

    #[test]
    fn an_outage_began_when_the_last_tunnel_stopped_and_lost_redundancy_when_the_first_did() {
        let (first, last) = (dead(Role::Active, 60), dead(Role::Active, 600));
        let opened = at(700);
        let tunnels = [first, last];
        assert_eq!(began(Kind::Outage, &tunnels, opened), Stamp::from_secs(600));
        assert_eq!(began(Kind::RedundancyLost, &tunnels, opened), Stamp::from_secs(60));
        let standby = [dead(Role::Standby, 60), dead(Role::Active, 600)];
        assert_eq!(began(Kind::RedundancyLost, &standby, opened), Stamp::from_secs(600));
    }

    #[test]
    fn a_tunnel_that_never_answered_moves_no_beginning() {
        let never = |as_of, changed| {
            let aws = aws(Verdict::Down, as_of, changed);
            snapshot(Role::Active, local(UNKNOWN, 0, None, None), aws, Assessment::Unconfirmed(End::Aws))
        };
        // LastStatusChange moves, or CloudWatch's first datapoint after a restart is later.
        for other in [never(900, Some(880)), never(900, None)] {
            assert_eq!(began(Kind::Outage, &[dead(Role::Active, 60), other.clone()], at(1000)), at(60).wall);
            let here = local(Verdict::Down, 63, Some(60), Some(60));
            let one =
                snapshot(Role::Active, here, aws(Verdict::Up, 900, None), Assessment::Disputed(End::Local));
            assert_eq!(began(Kind::OneSided, &[one, other], at(1000)), at(60).wall);
        }
        // One that did answer, whatever keeps our end from knowing now.
        let faulty = local(UNKNOWN, 0, None, Some(500));
        let aws_down = aws(Verdict::Down, 900, Some(80));
        let other = snapshot(Role::Active, faulty, aws_down, Assessment::Unconfirmed(End::Aws));
        assert_eq!(began(Kind::Outage, &[dead(Role::Active, 60), other], at(1000)), at(500).wall);
        // Where none has, the last of them.
        let tunnels = [never(900, Some(300)), never(900, Some(400))];
        assert_eq!(began(Kind::OneSided, &tunnels, at(1000)), at(400).wall);
    }

    #[test]
    fn a_change_stamped_later_than_its_receipt_is_no_beginning() {
        let up = local(Verdict::Up, 0, None, Some(899));
        let heard_of = |since| View { since: at(since), ..aws(Verdict::Down, 900, Some(880)) };
        assert_eq!(not_passing_since(&up, &heard_of(70), Assessment::Down), Some(at(70)));
        assert_eq!(not_passing_since(&up, &heard_of(890), Assessment::Down), Some(at(880)));
    }

    #[test]
    fn one_ends_view_began_when_that_end_saw_the_last_tunnel_stop() {
        let up = || local(Verdict::Up, 0, None, Some(99));
        let by_aws = |changed| {
            let aws = aws(Verdict::Down, 800, Some(changed));
            snapshot(Role::Active, up(), aws, Assessment::Disputed(End::Aws))
        };
        assert_eq!(began(Kind::OneSided, &[by_aws(70), by_aws(90)], at(1000)), Stamp::from_secs(90));
    }

    #[test]
    fn a_beginning_names_its_evidence() {
        let down = |stopped, last_reply, first_loss: Option<i64>| {
            let mut tunnel = dead(Role::Active, 60);
            tunnel.local.evidence = Evidence::Local(LocalEvidence {
                stopped: Option::map(stopped, at),
                last_reply: Option::map(last_reply, at),
                first_loss: first_loss.map(at),
                ..LocalEvidence::default()
            });
            basis(Kind::Outage, &[tunnel])
        };
        assert_eq!(down(Some(60), Some(60), Some(61)), Some(Basis::LastReply));
        // A late straggler, and what the run before knew.
        assert_eq!(down(Some(60), Some(80), Some(61)), Some(Basis::LastReply));
        assert_eq!(down(Some(60), None, Some(90)), Some(Basis::LastReply));
        assert_eq!(down(Some(61), None, Some(61)), Some(Basis::FirstLoss));
        assert_eq!(down(None, None, None), Some(Basis::Noticed));
        let by_aws = |verdict, last_reply, kind| {
            let assessment = Assessment::Unconfirmed(End::Aws);
            let aws = aws(Verdict::Down, 90, Some(70));
            basis(kind, &[snapshot(Role::Active, local(verdict, 0, None, last_reply), aws, assessment)])
        };
        assert_eq!(by_aws(UNKNOWN, Some(10), Kind::Outage), Some(Basis::Aws));
        assert_eq!(by_aws(UNKNOWN, Some(75), Kind::Outage), Some(Basis::LastReply));
        assert_eq!(by_aws(Verdict::Up, Some(99), Kind::OneSided), Some(Basis::Aws));
        // One that never answered moves no beginning.
        let up_to = |stopped| {
            let mut never = snapshot(
                Role::Active,
                local(UNKNOWN, 0, None, None),
                aws(Verdict::Down, 90, Some(70)),
                Assessment::Unconfirmed(End::Aws),
            );
            never.id.outside_ip = [203, 0, 113, 2].into();
            basis(Kind::Outage, &[never, dead(Role::Active, stopped)])
        };
        assert_eq!((up_to(60), up_to(80)), (Some(Basis::LastReply), Some(Basis::LastReply)));
        assert_eq!(basis(Kind::RedundancyLost, &[dead(Role::Standby, 60)]), None);
    }

    #[test]
    fn nothing_began_after_it_opened() {
        let opened = at(50);
        assert_eq!(began(Kind::Outage, &[dead(Role::Active, 60)], opened), opened.wall);
        assert_eq!(began(Kind::Outage, &[], opened), opened.wall);
    }

    #[test]
    fn a_beginning_that_was_dated_by_a_wrong_clock_is_dated_by_the_right_one() {
        let now = Now { mono: at(700).mono, wall: Stamp::from_secs(1_800_000_700) };
        assert_eq!(began(Kind::Outage, &[dead(Role::Active, 60)], now), Stamp::from_secs(1_800_000_060));
    }
}
