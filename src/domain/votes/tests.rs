//! Every reason of each end, and what a connection is worth without it.

use super::*;
use crate::domain::time::Now;
use crate::fixture;

const STALE: Duration = Duration::from_secs(600);

/// Two tunnels on which both ends have a vote, as of an hour after the start.
fn status() -> Status {
    let mut status = fixture::status();
    status.at = fixture::after(3600);
    for tunnel in &mut status.vpns[0].tunnels {
        tunnel.local = fixture::local_up();
        tunnel.aws = fixture::aws(Verdict::Up);
        tunnel.aws_evidence_age = Duration::from_secs(60);
    }
    status
}

/// An end does not know, and has never known, since so many seconds before now.
fn unknown(status: &mut Status, tunnel: usize, end: End, why: Why, seconds: u64) {
    let since = Now {
        mono: status.at.mono - Duration::from_secs(seconds),
        wall: status.at.wall - Duration::from_secs(seconds),
    };
    let tunnel = &mut status.vpns[0].tunnels[tunnel];
    let verdict = Verdict::Unknown(why);
    match end {
        End::Local => {
            let evidence = Evidence::Local(super::super::verdict::LocalEvidence::default());
            tunnel.local = super::super::verdict::View { verdict, since, evidence };
        }
        End::Aws => {
            tunnel.aws = super::super::verdict::View { since, ..fixture::aws(verdict) };
            tunnel.aws_evidence_age = Duration::from_secs(seconds);
        }
    }
}

fn after(end: End, why: Why, seconds: u64) -> Vote {
    let mut status = status();
    unknown(&mut status, 0, end, why, seconds);
    vote(&status.vpns[0].tunnels[0], end, STALE, status.at)
}

#[test]
fn a_shared_path_is_a_vote_and_a_host_that_never_answered_is_named_as_one() {
    assert_eq!(after(End::Local, Why::Shared, 3600), Vote::Has);
    let mut status = status();
    unknown(&mut status, 0, End::Local, Why::NeverAnswered, 601);
    let tunnel = &mut status.vpns[0].tunnels[0];
    tunnel.local.evidence =
        Evidence::Local(LocalEvidence { through: Some([10, 0, 0, 10].into()), ..LocalEvidence::default() });
    assert_eq!(vote(tunnel, End::Local, STALE, status.at), Vote::Lacks(Lack::HostNeverAnswered));
}

#[test]
fn an_end_that_has_never_known_lacks_its_vote_once_its_time_is_over() {
    let table = [
        (End::Local, Why::NeverAnswered, Lack::NeverAnswered),
        (End::Local, Why::Fault(Fault::AddressMissing), Lack::AddressMissing),
        (End::Local, Why::Fault(Fault::NoPermission), Lack::NotPermitted),
        (End::Local, Why::Fault(Fault::NoMemory), Lack::NoSocket),
        (End::Local, Why::Fault(Fault::TooManyFiles), Lack::NoSocket),
        (End::Local, Why::Fault(Fault::Socket(22)), Lack::NoSocket),
        (End::Local, Why::Fault(Fault::HeldUp), Lack::Silent),
        (End::Local, Why::Fault(Fault::QueueFull), Lack::Silent),
        (End::Local, Why::Starting, Lack::Silent),
        (End::Local, Why::Silent, Lack::Silent),
        (End::Aws, Why::NotAsked, Lack::Old),
        (End::Aws, Why::NoData, Lack::NoData),
        (End::Aws, Why::Fraction, Lack::Unclear),
        (End::Aws, Why::Future, Lack::Unclear),
        (End::Aws, Why::Contradiction, Lack::Unclear),
        (End::Aws, Why::Garbage, Lack::Unclear),
    ];
    for (end, why, lack) in table {
        assert_eq!(after(end, why, 600), Vote::NotYet, "{why}");
        assert_eq!(after(end, why, 601), Vote::Lacks(lack), "{why}");
    }
}

#[test]
fn gone_or_stale_evidence_is_missing_at_once_and_unexpected_never() {
    assert_eq!(after(End::Aws, Why::Gone, 0), Vote::Lacks(Lack::Gone));
    assert_eq!(after(End::Aws, Why::Stale, 0), Vote::Lacks(Lack::Old));
    for why in [Why::NotHere, Why::Unused] {
        assert_eq!(after(End::Local, why, 86_400), Vote::NotExpected);
    }
}

#[test]
fn an_end_that_has_known_wavers_for_as_long_as_its_evidence_may_age() {
    let mut status = status();
    status.vpns[0].tunnels[0].local.verdict = Verdict::Unknown(Why::Fault(Fault::AddressMissing));
    status.vpns[0].tunnels[0].local.since = status.at;
    let of = |status: &Status, end| vote(&status.vpns[0].tunnels[0], end, STALE, status.at);
    assert_eq!(of(&status, End::Local), Vote::Has);
    // CloudWatch answers without data: what it said before counts until it is too old.
    status.vpns[0].tunnels[0].aws.verdict = Verdict::Unknown(Why::NoData);
    status.vpns[0].tunnels[0].aws_evidence_age = STALE;
    assert_eq!(of(&status, End::Aws), Vote::Has);
    status.vpns[0].tunnels[0].aws_evidence_age = STALE + Duration::from_secs(1);
    assert_eq!(of(&status, End::Aws), Vote::Lacks(Lack::NoData));
}

#[test]
fn a_source_that_is_exchanged_has_its_time_though_watching_began_long_ago() {
    let mut status = status();
    unknown(&mut status, 0, End::Aws, Why::NotAsked, 5);
    status.vpns[0].tunnels[0].aws_evidence_age = Duration::from_secs(86_400);
    assert_eq!(vote(&status.vpns[0].tunnels[0], End::Aws, STALE, status.at), Vote::NotYet);
}

fn lacks(status: &Status) -> Vec<(Lack, usize, bool)> {
    missing(status).iter().map(|missing| (missing.lack, missing.tunnels.len(), missing.decidable)).collect()
}

#[test]
fn a_standby_that_never_answers_leaves_the_connection_decidable_and_the_only_active_one_does_not() {
    let mut status = status();
    assert_eq!(lacks(&status), []);
    unknown(&mut status, 1, End::Local, Why::NeverAnswered, 3600);
    assert_eq!(lacks(&status), [(Lack::NeverAnswered, 1, true)]);

    let mut status = self::status();
    unknown(&mut status, 0, End::Local, Why::NeverAnswered, 3600);
    assert_eq!(lacks(&status), [(Lack::NeverAnswered, 1, false)], "the standby alone opens no incident");
    status.vpns[0].tunnels[1].role = Role::Active;
    assert_eq!(lacks(&status), [(Lack::NeverAnswered, 1, true)]);
    status.vpns[0].tunnels[1].role = Role::Unused;
    assert_eq!(lacks(&status), [(Lack::NeverAnswered, 1, false)]);
}

#[test]
fn with_no_active_tunnel_the_standby_ones_decide() {
    let mut status = status();
    status.vpns[0].tunnels[0].role = Role::Standby;
    unknown(&mut status, 0, End::Local, Why::NeverAnswered, 3600);
    assert_eq!(lacks(&status), [(Lack::NeverAnswered, 1, true)]);
    unknown(&mut status, 1, End::Aws, Why::NoData, 3600);
    assert_eq!(lacks(&status), [(Lack::NoData, 1, false), (Lack::NeverAnswered, 1, false)]);
}

#[test]
fn an_unused_tunnel_and_a_standby_host_lack_no_vote() {
    let mut status = status();
    unknown(&mut status, 0, End::Local, Why::NotHere, 86_400);
    unknown(&mut status, 1, End::Aws, Why::NoData, 86_400);
    status.vpns[0].tunnels[1].role = Role::Unused;
    assert_eq!(lacks(&status), []);
    assert_eq!(starting(&status).count(), 0);
}

#[test]
fn a_connection_is_starting_until_both_ends_vote_on_a_deciding_tunnel() {
    let mut status = status();
    status.vpns[0].tunnels[1].role = Role::Active;
    for tunnel in [0, 1] {
        unknown(&mut status, tunnel, End::Aws, Why::NotAsked, 5);
    }
    assert_eq!(starting(&status).count(), 1);
    status.vpns[0].tunnels[1].aws = fixture::aws(Verdict::Down);
    assert_eq!(starting(&status).count(), 0, "one will do");
    status.vpns[0].tunnels[1].role = Role::Standby;
    assert_eq!(starting(&status).count(), 1, "a standby will not");
    unknown(&mut status, 0, End::Aws, Why::NotAsked, 601);
    assert_eq!(starting(&status).count(), 0, "now it is a problem");
    assert_eq!(lacks(&status), [(Lack::Old, 1, false)]);
}
