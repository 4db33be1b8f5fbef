//! Every record as people read it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::super::fact::{TICKS_WORTH_A_RECORD, record};
use super::super::silence::uncovered;
use super::super::{Code, Component, JournalRecord, Names, Notice, Problem};
use super::samples;
use crate::domain::board::{Child, Incident, IncidentId, IncidentState, Withheld};
use crate::domain::event::SeenUp;
use crate::domain::fact::{Fact, IncidentChange};
use crate::domain::maintenance::{Maintenance, MaintenanceState};
use crate::domain::names::{CheckId, CheckKind, End, Kind, Role, Routing, SinkId};
use crate::domain::plan::{
    AwsRules, IncidentRules, Plan, ProbeRules, QualityRules, Route, RouteKey, TunnelPlan, VpnPlan,
};
use crate::domain::quality::{Bound, Degradation, Quality};
use crate::domain::rollup::Rollup;
use crate::domain::scope::{ParentId, ParentKind, Scope};
use crate::domain::side::Side;
use crate::domain::silence::{Silence, SilenceId, SilenceScope};
use crate::domain::time::Stamp;
use crate::domain::verdict::{Assessment, Evidence, Fault, LocalEvidence, Outcome, Verdict, View, Why};
use crate::fixture::{self, after};
use crate::process::Exit;
use crate::silences::cover::Lost;

fn names() -> Names {
    let tunnel = |n: u8, role| {
        Arc::new(TunnelPlan {
            id: fixture::tunnel(n),
            name: format!("tunnel {n}").into(),
            role,
            through: Default::default(),
            uplink: None,
            sensors: Default::default(),
            route: Arc::new(Route {
                inside_ip: [169, 254, 9 + n, 1].into(),
                source_ip: [169, 254, 9 + n, 2].into(),
                interface: None,
                fwmark: None,
            }),
        })
    };
    let second = Duration::from_secs(1);
    let ten = NonZeroU32::MIN.saturating_add(9);
    let vpn = VpnPlan {
        id: fixture::vpn(),
        name: "Milan DC, primary".into(),
        routing: Routing::Unknown,
        tunnels: vec![tunnel(1, Role::Active), tunnel(2, Role::Standby)],
        probe: ProbeRules {
            interval: second,
            suspect_interval: second,
            timeout: second,
            down_after: ten,
            up_after: ten,
        },
        quality: QualityRules::default(),
        incident: IncidentRules {
            open_after_outage: second,
            open_after_redundancy_lost: second,
            one_sided_after: None,
            degraded_after: None,
            resolve_after: second,
            start_grace: second,
        },
        aws: AwsRules {
            poll_interval: second,
            suspect_poll_interval: second,
            stale_after: second,
            sources: Vec::new(),
        },
    };
    Names::from(&Plan {
        site: "milan-1".into(),
        votes_if_address: None,
        vpns: vec![Arc::new(vpn)],
        parents: Vec::new(),
        sinks: Vec::new(),
    })
}

/// `WARN DISPUTED text KEY=value`
fn shown(record: &JournalRecord) -> String {
    let fields: Vec<_> = record
        .fields
        .iter()
        .filter(|(key, _)| !["VPN_ID", "TUNNEL_IP", "SITE", "INCIDENT"].contains(key))
        .map(|(key, value)| format!(" {key}={value}"))
        .collect();
    format!("{} {} {}{}", record.level, record.kind.name, record.message, fields.concat())
}

fn lines(facts: impl IntoIterator<Item = Fact>) -> String {
    let names = names();
    let lines: Vec<_> = facts
        .into_iter()
        .map(|fact| record(&fact, &names).map_or_else(|| "-".to_owned(), |record| shown(&record)))
        .collect();
    lines.join("\n")
}

fn check() -> CheckId {
    CheckId { tunnel: fixture::tunnel(1), kind: CheckKind::Inside }
}

fn view_changed(end: End, from: Verdict, view: View) -> Fact {
    Fact::ViewChanged { tunnel: fixture::tunnel(1), end, from, view, at: after(15) }
}

fn local_unknown(why: Why) -> View {
    View {
        verdict: Verdict::Unknown(why),
        since: after(15),
        evidence: Evidence::Local(LocalEvidence::default()),
    }
}

fn assessed(tunnel: u8, to: Assessment, local: View, aws: View) -> Fact {
    Fact::AssessmentChanged {
        tunnel: fixture::tunnel(tunnel),
        from: Assessment::Healthy,
        to,
        local,
        aws,
        side: Side::Unknown,
        at: after(15),
    }
}

#[test]
fn what_is_no_transition_is_no_record() {
    let rollup = Rollup {
        tunnel: fixture::tunnel(1),
        minute: Stamp::default(),
        replies: 60,
        late: 0,
        lost: 0,
        faults: 0,
        rtt: Vec::new(),
        up: Some(true),
        both_ends_down: Some(false),
    };
    let facts = [
        Fact::EchoEnded { check: check(), outcome: Outcome::Reply { rtt: Duration::from_millis(1) } },
        Fact::TicksSkipped { check: check(), count: TICKS_WORTH_A_RECORD - 1 },
        Fact::RollupReady(Arc::new(rollup)),
        Fact::CouldVote { vpn: fixture::vpn(), minute: Stamp::default() },
        Fact::Watched { at: after(4) },
        Fact::SilencedChanged {
            tunnel: fixture::tunnel(1),
            from: None,
            to: Some(fixture::silence().id),
            at: after(4),
        },
    ];
    assert_eq!(lines(facts), "-\n-\n-\n-\n-\n-");
}

#[test]
fn checks_are_recorded_quietly() {
    insta::assert_snapshot!(lines([
        Fact::TicksSkipped { check: check(), count: 3600 },
        Fact::Suspicion { check: check(), suspect: true, at: after(4) },
        Fact::Suspicion { check: check(), suspect: false, at: after(5) },
        Fact::SeenUp(SeenUp::Local(check(), RouteKey { inside_ip: [169, 254, 10, 1].into(), own: None })),
        Fact::SeenUp(SeenUp::Aws(fixture::tunnel(1))),
        Fact::Resumed { gap: Duration::from_secs(3 * 3600), at: after(15) },
        Fact::AddressHeld { address: [192, 0, 2, 100].into(), held: true, at: after(15) },
        Fact::AddressHeld { address: [192, 0, 2, 100].into(), held: false, at: after(15) },
    ]), @r"
    INFO TICKS_SKIPPED milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): 3600 probes were skipped: the host slept, or was too busy CHECK=inside
    DEBUG SUSPICION milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): check inside is suspect: a reply is overdue CHECK=inside
    DEBUG SUSPICION milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): check inside is no longer suspect CHECK=inside
    INFO FIRST_SEEN_UP milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): 169.254.10.1 answered for the first time: our end has a vote END=local
    INFO FIRST_SEEN_UP milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): AWS has seen it up for the first time END=aws
    WARN RESUMED milan-1: monitoring paused for 3 h: the host slept, or the process was stalled
    INFO ADDRESS_HELD milan-1: this host holds 192.0.2.100: it probes and votes ADDRESS=192.0.2.100
    INFO ADDRESS_NOT_HELD milan-1: this host does not hold 192.0.2.100: it does not probe or vote ADDRESS=192.0.2.100
    ");
}

#[test]
fn maintenance_is_recorded_with_its_date_and_what_to_do() {
    insta::assert_snapshot!(lines(samples::maintenance(&fixture::tunnel(1))), @r"
    WARN MAINTENANCE_ANNOUNCED milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): AWS will replace its endpoint soon after 2025-11-27T03:12:00Z, unless you apply the maintenance before; the tunnel goes down for some minutes: make sure that the other one works MAINTENANCE_AFTER=2025-11-27T03:12:00Z
    WARN MAINTENANCE_ANNOUNCED milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): AWS will replace its endpoint, and gives no date; the tunnel goes down for some minutes: make sure that the other one works
    INFO MAINTENANCE_OVER milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): AWS replaced its endpoint at 03:12:03Z MAINTENANCE_APPLIED=2025-11-22T03:12:03Z
    INFO MAINTENANCE_OVER milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): AWS no longer announces a replacement of its endpoint, and did not replace it
    INFO MAINTENANCE_UNKNOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): whether AWS will replace its endpoint is unknown: the permission ec2:GetVpnTunnelReplacementStatus is missing
    ");
    let known = |seconds| MaintenanceState::Known {
        maintenance: Maintenance { last_applied: Some(after(seconds).wall), ..Maintenance::default() },
        as_of: after(4).wall,
    };
    let first = Fact::MaintenanceChanged {
        tunnel: fixture::tunnel(1),
        from: MaintenanceState::NotAsked,
        to: known(3),
        at: after(4),
    };
    assert_eq!(lines([first]), "-", "the last replacement may be years old");
}

#[test]
fn a_degraded_tunnel_is_recorded_with_what_is_wrong_and_what_would_be_right() {
    let loss = Degradation::Loss { percent: 30.0, limit: 5.0 };
    let (jitter, limit) = (Duration::from_millis(45), Duration::from_millis(30));
    let jitter = Degradation::Jitter { jitter, bound: Bound::Limit(limit) };
    let changes = [
        (1, Quality::Unknown, Quality::Good),
        (1, Quality::Good, Quality::Degraded(loss)),
        (1, Quality::Degraded(loss), Quality::Degraded(fixture::slow())),
        (1, Quality::Degraded(fixture::slow()), Quality::Good),
        (2, Quality::Good, Quality::Degraded(jitter)),
        (2, Quality::Degraded(jitter), Quality::Unknown),
    ];
    insta::assert_snapshot!(lines(changes.map(|(tunnel, from, to)| {
        Fact::QualityChanged { tunnel: fixture::tunnel(tunnel), from, to, at: after(15) }
    })), @r"
    -
    WARN TUNNEL_DEGRADED milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): up, but degraded: loss 30 % (accepted: 5 %) REASON=loss QUALITY=degraded
    WARN TUNNEL_DEGRADED milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): up, but degraded: median round trip 212.3 ms (usual: 11.9 ms) REASON=latency QUALITY=degraded
    INFO TUNNEL_QUALITY_RESTORED milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): no longer degraded: loss, latency and jitter are as they should be QUALITY=good
    INFO TUNNEL_DEGRADED milan-1: Milan DC, primary: tunnel 2 (203.0.113.12): up, but degraded: jitter 45.0 ms (accepted: 30.0 ms) REASON=jitter QUALITY=degraded
    -
    ");
}

#[test]
fn a_view_is_recorded_with_its_evidence() {
    insta::assert_snapshot!(lines([
        view_changed(End::Local, Verdict::Up, fixture::local_down()),
        view_changed(End::Local, Verdict::Down, fixture::local_up()),
        view_changed(End::Aws, Verdict::Up, fixture::aws(Verdict::Down)),
        view_changed(End::Aws, Verdict::Unknown(Why::NotAsked), fixture::aws(Verdict::Up)),
        view_changed(End::Aws, Verdict::Up, fixture::aws(Verdict::Unknown(Why::Stale))),
        view_changed(End::Aws, Verdict::Up, fixture::aws(Verdict::Unknown(Why::Gone))),
    ]), @r"
    INFO END_DOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): down by our end: no reply from 169.254.10.1 since 03:12:03Z, 10 echoes lost; before: up END=local VERDICT=down
    INFO END_UP milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): up by our end: 169.254.10.1 answers in 11.9 ms, loss 0 %; before: down END=local VERDICT=up
    INFO END_DOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): down by AWS: cloudwatch: TunnelState 0, as of 03:12:10Z; before: up END=aws VERDICT=down
    INFO END_UP milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): up by AWS: cloudwatch: TunnelState 1, as of 03:12:10Z; before: unknown END=aws VERDICT=up
    WARN END_UNKNOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by AWS: AWS's newest evidence is too old, cloudwatch: TunnelState 1, as of 2025-11-21T03:11:00Z; before: up END=aws VERDICT=unknown ERROR=stale
    WARN END_UNKNOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by AWS: AWS is deleting, or does not have, this VPN connection; before: up END=aws VERDICT=unknown ERROR=gone
    ");
}

#[test]
fn an_end_without_a_verdict_says_why_and_what_to_look_at() {
    let local = [
        Why::Starting,
        Why::NeverAnswered,
        Why::Fault(Fault::NoPermission),
        Why::Fault(Fault::AddressMissing),
        Why::Fault(Fault::Socket(97)),
        Why::Silent,
        Why::Unused,
    ]
    .map(|why| view_changed(End::Local, Verdict::Up, local_unknown(why)));
    insta::assert_snapshot!(lines(local), @r"
    INFO END_UNKNOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by our end: 169.254.10.1 has not been probed for long enough; before: up END=local VERDICT=unknown ERROR=starting
    WARN NEVER_ANSWERED milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by our end: 169.254.10.1 has never answered, so our end has no vote; is inside_ip right, and does the gateway let ICMP echo through?; before: up END=local VERDICT=unknown ERROR=never answered
    ERROR PROBE_NOT_PERMITTED milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by our end: fault: no permission for an ICMP socket, or for its fwmark; before: up END=local VERDICT=unknown ERROR=fault: no permission for an ICMP socket, or for its fwmark
    WARN PROBE_ADDRESS_MISSING milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by our end: fault: this host does not have the source address or interface; before: up END=local VERDICT=unknown ERROR=fault: this host does not have the source address or interface
    ERROR CANNOT_PROBE milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by our end: fault: socket error 97; before: up END=local VERDICT=unknown ERROR=fault: socket error 97
    WARN PROBES_STALLED milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by our end: nothing sent; before: up END=local VERDICT=unknown ERROR=nothing sent
    INFO END_UNKNOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by our end: unused; before: up END=local VERDICT=unknown ERROR=unused
    ");
    let aws = [Why::NotAsked, Why::NoData, Why::Fraction, Why::Future, Why::Contradiction, Why::Garbage]
        .map(|why| view_changed(End::Aws, Verdict::Up, fixture::aws(Verdict::Unknown(why))));
    insta::assert_snapshot!(lines(aws), @r"
    INFO END_UNKNOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by AWS: AWS has not answered; before: up END=aws VERDICT=unknown ERROR=AWS has not answered
    WARN END_UNKNOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by AWS: AWS has no data on this tunnel (is outside_ip right?); before: up END=aws VERDICT=unknown ERROR=no data
    INFO END_UNKNOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by AWS: the tunnel changed within AWS's period; before: up END=aws VERDICT=unknown ERROR=fraction
    INFO END_UNKNOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by AWS: stamped in the future; before: up END=aws VERDICT=unknown ERROR=stamped in the future
    WARN END_UNKNOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by AWS: AWS's sources contradict each other; before: up END=aws VERDICT=unknown ERROR=contradiction
    INFO END_UNKNOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unknown by AWS: not understood; before: up END=aws VERDICT=unknown ERROR=not understood
    ");
}

#[test]
fn an_assessment_is_recorded_with_the_evidence_of_both_ends() {
    let (up, down) = (Verdict::Up, Verdict::Down);
    let silent = || fixture::aws(Verdict::Unknown(Why::NotAsked));
    insta::assert_snapshot!(lines([
        assessed(1, Assessment::Down, fixture::local_down(), fixture::aws(down)),
        assessed(1, Assessment::Disputed(End::Local), fixture::local_down(), fixture::aws(up)),
        assessed(1, Assessment::Disputed(End::Aws), fixture::local_up(), fixture::aws(down)),
        assessed(1, Assessment::Unconfirmed(End::Local), fixture::local_down(), silent()),
        assessed(1, Assessment::Healthy, fixture::local_up(), fixture::aws(up)),
        assessed(1, Assessment::Blind, fixture::local_up(), silent()),
        assessed(2, Assessment::Down, fixture::local_down(), fixture::aws(down)),
    ]), @r"
    WARN BOTH_ENDS_DOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): both ends agree that it is down: down by our end: no reply from 169.254.10.1 since 03:12:03Z, 10 echoes lost; down by AWS: cloudwatch: TunnelState 0, as of 03:12:10Z ASSESSMENT=down LOCAL_VIEW=down by our end: no reply from 169.254.10.1 since 03:12:03Z, 10 echoes lost AWS_VIEW=down by AWS: cloudwatch: TunnelState 0, as of 03:12:10Z NOT_PASSING_SINCE=2025-11-22T03:12:03Z
    WARN DISPUTED milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): disputed: down by our end: no reply from 169.254.10.1 since 03:12:03Z, 10 echoes lost; up by AWS: cloudwatch: TunnelState 1, as of 03:12:10Z ASSESSMENT=disputed LOCAL_VIEW=down by our end: no reply from 169.254.10.1 since 03:12:03Z, 10 echoes lost AWS_VIEW=up by AWS: cloudwatch: TunnelState 1, as of 03:12:10Z NOT_PASSING_SINCE=2025-11-22T03:12:03Z
    WARN DISPUTED milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): disputed: up by our end: 169.254.10.1 answers in 11.9 ms, loss 0 %; down by AWS: cloudwatch: TunnelState 0, as of 03:12:10Z ASSESSMENT=disputed LOCAL_VIEW=up by our end: 169.254.10.1 answers in 11.9 ms, loss 0 % AWS_VIEW=down by AWS: cloudwatch: TunnelState 0, as of 03:12:10Z
    WARN UNCONFIRMED milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): unconfirmed: down by our end: no reply from 169.254.10.1 since 03:12:03Z, 10 echoes lost; unknown by AWS: AWS has not answered ASSESSMENT=unconfirmed LOCAL_VIEW=down by our end: no reply from 169.254.10.1 since 03:12:03Z, 10 echoes lost AWS_VIEW=unknown by AWS: AWS has not answered NOT_PASSING_SINCE=2025-11-22T03:12:03Z
    INFO HEALTHY milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): healthy: up by our end: 169.254.10.1 answers in 11.9 ms, loss 0 %; up by AWS: cloudwatch: TunnelState 1, as of 03:12:10Z ASSESSMENT=healthy LOCAL_VIEW=up by our end: 169.254.10.1 answers in 11.9 ms, loss 0 % AWS_VIEW=up by AWS: cloudwatch: TunnelState 1, as of 03:12:10Z
    INFO BLIND milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): blind: up by our end: 169.254.10.1 answers in 11.9 ms, loss 0 %; unknown by AWS: AWS has not answered ASSESSMENT=blind LOCAL_VIEW=up by our end: 169.254.10.1 answers in 11.9 ms, loss 0 % AWS_VIEW=unknown by AWS: AWS has not answered
    INFO BOTH_ENDS_DOWN milan-1: Milan DC, primary: tunnel 2 (203.0.113.12): both ends agree that it is down: down by our end: no reply from 169.254.11.1 since 03:12:03Z, 10 echoes lost; down by AWS: cloudwatch: TunnelState 0, as of 03:12:10Z ASSESSMENT=down LOCAL_VIEW=down by our end: no reply from 169.254.11.1 since 03:12:03Z, 10 echoes lost AWS_VIEW=down by AWS: cloudwatch: TunnelState 0, as of 03:12:10Z NOT_PASSING_SINCE=2025-11-22T03:12:03Z
    ");
}

#[test]
fn losses_without_a_path_name_the_kernels_reason() {
    let because = |loss| {
        let evidence = LocalEvidence { losses_in_row: 1, last_loss: Some(loss), ..LocalEvidence::default() };
        View { verdict: Verdict::Down, since: after(1), evidence: Evidence::Local(evidence) }
    };
    use crate::domain::verdict::Loss;
    insta::assert_snapshot!(lines([Loss::Timeout, Loss::NoPath, Loss::Blocked]
        .map(|loss| view_changed(End::Local, Verdict::Up, because(loss)))), @r"
    INFO END_DOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): down by our end: no reply from 169.254.10.1, 1 echo lost; before: up END=local VERDICT=down
    INFO END_DOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): down by our end: no reply from 169.254.10.1, 1 echo lost (the kernel has no path to it); before: up END=local VERDICT=down
    INFO END_DOWN milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): down by our end: no reply from 169.254.10.1, 1 echo lost (the kernel refuses to send: an XFRM policy or the firewall); before: up END=local VERDICT=down
    ");
}

#[test]
fn what_opens_at_once_is_not_said_to_be_pending() {
    let pending = |opens_in| Fact::IncidentPending {
        scope: fixture::vpn().into(),
        kind: Kind::Outage,
        opens_in,
        at: after(12),
    };
    assert_eq!(lines([pending(Duration::ZERO)]), "-");
    assert_ne!(lines([pending(Duration::from_millis(1))]), "-");
}

#[test]
fn what_a_reload_takes_out_of_a_silence_is_named_with_what_to_do() {
    let silence = Silence { id: SilenceId(18), ..fixture::silence() };
    let plan = crate::silences::tests::plan();
    insta::assert_snapshot!(uncovered(&silence, &Lost::Everything, &plan), @"silence 18 (group hubs) matches nothing any more: its connections are not silenced. If the work goes on, silence them by their new name");
    let of = SilenceScope::Connection(fixture::vpn());
    let silence = Silence { of, ..silence };
    insta::assert_snapshot!(uncovered(&silence, &Lost::Everything, &plan), @"silence 18 (Milan DC (vpn-0123456789abcdef0)) matches nothing any more: what has taken its place is not silenced. If the work goes on, silence that");
}

#[test]
fn the_course_of_an_incident_is_recorded() {
    let vpn = fixture::vpn();
    let incident = Arc::new(Incident { related: Some(fixture::incident().id), ..fixture::incident() });
    let changes = [
        IncidentChange::Opened,
        IncidentChange::Adopted,
        IncidentChange::Confirmed,
        IncidentChange::Updated,
        IncidentChange::Worsened,
        IncidentChange::Released,
        IncidentChange::Clearing,
        IncidentChange::Reopened,
        IncidentChange::Resolved,
        IncidentChange::Unwatched,
        IncidentChange::HandedOver,
    ];
    let mut facts = vec![
        Fact::IncidentMissed {
            incident: Arc::new(Incident {
                state: IncidentState::Resolved { at: after(400).wall },
                ..fixture::incident()
            }),
            at: after(700),
        },
        Fact::IncidentPending {
            scope: vpn.clone().into(),
            kind: Kind::Outage,
            opens_in: Duration::from_secs(30),
            at: after(12),
        },
        Fact::IncidentPending {
            scope: vpn.clone().into(),
            kind: Kind::OneSided,
            opens_in: Duration::from_secs(900),
            at: after(12),
        },
        Fact::IncidentAverted { scope: vpn.into(), kind: Kind::Outage, at: after(14) },
    ];
    facts.extend(changes.map(|change| Fact::IncidentChanged {
        incident: Arc::clone(&incident),
        change,
        at: after(600),
    }));
    facts.push(Fact::IncidentSettled { incident, at: after(700) });
    insta::assert_snapshot!(lines(facts), @r"
    WARN INCIDENT_MISSED milan-1: Milan DC, primary: redundancy_lost incident: both ends had tunnel 1 (203.0.113.11), tunnel 2 (203.0.113.12) down from 03:12:12Z to 03:18:40Z, while AWS could not be reached: nobody was paged SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost
    INFO INCIDENT_PENDING milan-1: Milan DC, primary: outage: nothing gets through the connection; an incident opens in 30 s if this goes on SCOPE=vpn-0123456789abcdef0 KIND=outage
    INFO INCIDENT_PENDING milan-1: Milan DC, primary: one_sided: no tunnel is up at both ends, and the ends do not agree; an incident opens in 15 min if this goes on SCOPE=vpn-0123456789abcdef0 KIND=one_sided
    INFO INCIDENT_AVERTED milan-1: Milan DC, primary: outage: over before an incident opened; nobody was paged SCOPE=vpn-0123456789abcdef0 KIND=outage
    WARN INCIDENT_OPENED milan-1: Milan DC, primary: redundancy_lost incident: an active tunnel is down, and whether another works cannot be told since 03:12:12Z: tunnel 1 (203.0.113.11) down by our end, down by AWS, tunnel 2 (203.0.113.12, standby) up by our end, up by AWS; follows the incident vpn-0123456789abcdef0/redundancy_lost/1763781140000 SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost TUNNELS=tunnel 1 (203.0.113.11) down by our end, down by AWS, tunnel 2 (203.0.113.12, standby) up by our end, up by AWS
    INFO INCIDENT_ADOPTED milan-1: Milan DC, primary: redundancy_lost incident: found open at a sink, created 03:12:20Z; adopted: tunnel 1 (203.0.113.11) down by our end, down by AWS, tunnel 2 (203.0.113.12, standby) up by our end, up by AWS SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost TUNNELS=tunnel 1 (203.0.113.11) down by our end, down by AWS, tunnel 2 (203.0.113.12, standby) up by our end, up by AWS
    WARN INCIDENT_CONFIRMED milan-1: Milan DC, primary: redundancy_lost incident: this site sees it too: an active tunnel is down, and whether another works cannot be told SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost
    DEBUG INCIDENT_UPDATED milan-1: Milan DC, primary: redundancy_lost incident: its timeline has 3 lines SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost
    WARN INCIDENT_WORSENED milan-1: Milan DC, primary: redundancy_lost incident: worse: another tunnel is down, or the same one again SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost
    WARN INCIDENT_RELEASED milan-1: Milan DC, primary: redundancy_lost incident: sent from here on, with its true start 03:12:12Z: what withheld it is over; an active tunnel is down, and whether another works cannot be told SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost
    INFO INCIDENT_CLEARING milan-1: Milan DC, primary: redundancy_lost incident: every active tunnel carries traffic again; it is resolved if that lasts SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost
    WARN INCIDENT_REOPENED milan-1: Milan DC, primary: redundancy_lost incident: not over: an active tunnel is down, and whether another works cannot be told SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost
    INFO INCIDENT_RESOLVED milan-1: Milan DC, primary: redundancy_lost incident: resolved, 9 min 48 s after it began SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost
    WARN INCIDENT_UNWATCHED milan-1: Milan DC, primary: redundancy_lost incident: its connection was removed from the configuration; its records stay open: close them by hand SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost
    INFO INCIDENT_HANDED_OVER milan-1: Milan DC, primary: redundancy_lost incident: handed over: its records stay open; the host that now holds the address adopts them SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost
    INFO INCIDENT_SETTLED milan-1: Milan DC, primary: redundancy_lost incident: every sink has been informed that it is over SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost
    ");
}

#[test]
fn an_incident_of_a_parent_is_recorded_with_its_connections_and_one_that_is_not_sent_says_why() {
    let changed = |incident: Incident, change| Fact::IncidentChanged {
        incident: Arc::new(incident),
        change,
        at: after(600),
    };
    let uplink = fixture::uplink_incident;
    let mut many = uplink();
    many.children = (1..=60)
        .map(|n| Child {
            name: format!("Site {n}").into(),
            ..uplink().children[usize::from(n > 58) * 3].clone()
        })
        .collect();
    let of = |kind, incident: Incident| {
        let scope = Scope::Parent(ParentId { kind, ..fixture::uplink() });
        Incident { id: IncidentId { scope, ..incident.id.clone() }, ..incident }
    };
    let recovered = Incident {
        children: uplink().children.into_iter().map(|child| Child { trouble: None, ..child }).collect(),
        ..uplink()
    };
    let withheld = |by| Incident { withheld: Some(by), ..fixture::incident() };
    let explained = || withheld(Withheld::Explained(fixture::uplink()));
    let facts = [
        Fact::IncidentPending {
            scope: uplink().id.scope,
            kind: Kind::Outage,
            opens_in: Duration::from_secs(30),
            at: after(12),
        },
        changed(many, IncidentChange::Opened),
        changed(uplink(), IncidentChange::Opened),
        changed(of(ParentKind::Site, uplink()), IncidentChange::Reopened),
        changed(of(ParentKind::Group, uplink()), IncidentChange::Clearing),
        changed(recovered, IncidentChange::Confirmed),
        changed(uplink(), IncidentChange::Resolved),
        changed(explained(), IncidentChange::Opened),
        changed(withheld(Withheld::Silenced(SilenceId(3))), IncidentChange::Opened),
        changed(explained(), IncidentChange::Resolved),
        changed(fixture::incident(), IncidentChange::Released),
    ];
    insta::assert_snapshot!(lines(facts), @r"
    INFO INCIDENT_PENDING milan-1: uplink wan1: outage: nothing gets out over it: no tunnel over it is up, and nothing outside answers; an incident opens in 30 s if this goes on SCOPE=uplink/milan-1/wan1 KIND=outage
    WARN INCIDENT_OPENED milan-1: uplink wan1: outage incident: 58 of 60 connections do not carry traffic since 03:12:12Z: Site 1, Site 2, Site 3, Site 4, Site 5, Site 6, Site 7, Site 8 and 50 more SCOPE=uplink/milan-1/wan1 KIND=outage TUNNELS=Site 1, Site 2, Site 3, Site 4, Site 5, Site 6, Site 7, Site 8 and 50 more CAUSE=uplink_down
    WARN INCIDENT_OPENED milan-1: uplink wan1: outage incident: 2 of 4 connections do not carry traffic, 1 more is affected since 03:12:12Z: Milan DC, primary, Paris, Rome SCOPE=uplink/milan-1/wan1 KIND=outage TUNNELS=Milan DC, primary, Paris, Rome CAUSE=uplink_down
    WARN INCIDENT_REOPENED milan-1: the whole site: outage incident: not over: 2 of 4 connections do not carry traffic, 1 more is affected SCOPE=site/milan-1 KIND=outage
    INFO INCIDENT_CLEARING milan-1: group wan1: outage incident: one of its connections carries traffic again; it is resolved if that lasts SCOPE=group/milan-1/wan1 KIND=outage
    WARN INCIDENT_CONFIRMED milan-1: uplink wan1: outage incident: this site sees it too: none of 4 connections is affected any more SCOPE=uplink/milan-1/wan1 KIND=outage
    INFO INCIDENT_RESOLVED milan-1: uplink wan1: outage incident: resolved, 9 min 48 s after it began SCOPE=uplink/milan-1/wan1 KIND=outage
    INFO INCIDENT_OPENED milan-1: Milan DC, primary: redundancy_lost incident: an active tunnel is down, and whether another works cannot be told since 03:12:12Z: tunnel 1 (203.0.113.11) down by our end, down by AWS, tunnel 2 (203.0.113.12, standby) up by our end, up by AWS; not sent: explained by uplink wan1 SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost WITHHELD=uplink/milan-1/wan1 TUNNELS=tunnel 1 (203.0.113.11) down by our end, down by AWS, tunnel 2 (203.0.113.12, standby) up by our end, up by AWS
    INFO INCIDENT_OPENED milan-1: Milan DC, primary: redundancy_lost incident: an active tunnel is down, and whether another works cannot be told since 03:12:12Z: tunnel 1 (203.0.113.11) down by our end, down by AWS, tunnel 2 (203.0.113.12, standby) up by our end, up by AWS; not sent: silence 3 SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost WITHHELD=silence 3 TUNNELS=tunnel 1 (203.0.113.11) down by our end, down by AWS, tunnel 2 (203.0.113.12, standby) up by our end, up by AWS
    INFO INCIDENT_RESOLVED milan-1: Milan DC, primary: redundancy_lost incident: resolved, 9 min 48 s after it began SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost WITHHELD=uplink/milan-1/wan1
    WARN INCIDENT_RELEASED milan-1: Milan DC, primary: redundancy_lost incident: sent from here on, with its true start 03:12:12Z: what withheld it is over; an active tunnel is down, and whether another works cannot be told SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost
    ");
}

#[test]
fn unusable_evidence_names_who_answered_and_is_a_warning_unless_who_asked_gives_one() {
    let source = fixture::status().sources[0].id.clone();
    let facts = [Why::Garbage, Why::Future].map(|why| Fact::EvidenceUnusable {
        source: source.clone(),
        tunnel: fixture::tunnel(1),
        verdict: Verdict::Unknown(why),
    });
    insta::assert_snapshot!(lines(facts), @r"
    INFO EVIDENCE_UNUSABLE milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): the answer of cloudwatch in eu-west-1 cannot be used: not understood; it counts as unknown END=aws VERDICT=unknown ERROR=not understood
    WARN EVIDENCE_UNUSABLE milan-1: Milan DC, primary: tunnel 1 (203.0.113.11): the answer of cloudwatch in eu-west-1 cannot be used: stamped in the future; it counts as unknown END=aws VERDICT=unknown ERROR=stamped in the future
    ");
}

#[test]
fn what_happens_to_the_daemon_is_recorded() {
    let sink = Component::Sink("incident_manager".to_owned());
    let source = Component::Source(fixture::status().sources[0].id.to_string());
    let denied = Problem::of(Code::SinkRejects, "AccessDenied: allow ssm-incidents:StartIncident");
    let slow = Problem::of(Code::AwsThrottled, "throttled");
    let other = Problem::of(Code::AddressesDiffer, "AWS's addresses are others");
    let addresses = Component::Addresses("vpn-0123456789abcdef0".to_owned());
    let (webhook, incident) = (SinkId::new("webhook-2"), fixture::incident().id.clone());
    let left = |record| Notice::LeftOpen { sink: &webhook, incident: &incident, name: "Milan DC", record };
    let notices = [
        Notice::Started { version: "0.1.0", vpns: 1, tunnels: 2, mode: "raise" },
        Notice::Reloaded { vpns: 2, tunnels: 4 },
        Notice::ReloadRefused { problems: "bothends.toml:3: vpn.id: expected vpn-…" },
        Notice::Problem { component: &sink, problem: &denied },
        Notice::Problem { component: &source, problem: &slow },
        Notice::ProblemOver { component: &sink, code: Code::SinkRejects },
        Notice::Problem { component: &addresses, problem: &other },
        Notice::ProblemOver { component: &addresses, code: Code::AddressesDiffer },
        Notice::FactsDropped { consumer: "store", count: 12 },
        Notice::Stopping { after: Duration::from_secs(3600) },
        Notice::Unfinished { after: Duration::from_secs(4) },
        Notice::ConfigurationWarning { what: "[http] listen changed, which needs a restart" },
        Notice::CannotStart { why: "a directory is no store", exit: Exit::Internal },
        left(Some("bothends/vpn-0123456789abcdef0/outage")),
        left(None),
    ];
    let lines: Vec<_> = notices.iter().map(|notice| shown(&notice.record(Some("milan-1")))).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    INFO STARTED milan-1: bothends 0.1.0 started: 2 tunnels in 1 VPN connection; incidents: raise
    INFO CONFIGURATION_RELOADED milan-1: configuration reloaded: 4 tunnels in 2 VPN connections
    ERROR CONFIGURATION_REFUSED milan-1: reload refused; the previous configuration stays in force: bothends.toml:3: vpn.id: expected vpn-… ERROR=bothends.toml:3: vpn.id: expected vpn-…
    ERROR PROBLEM_SINK_REJECTS milan-1: sink incident_manager: AccessDenied: allow ssm-incidents:StartIncident COMPONENT=sink incident_manager PROBLEM=sink_rejects SINK=incident_manager ERROR=AccessDenied: allow ssm-incidents:StartIncident
    WARN PROBLEM_AWS_THROTTLED milan-1: source cloudwatch in eu-west-1: throttled COMPONENT=source cloudwatch in eu-west-1 PROBLEM=aws_throttled ERROR=throttled
    INFO PROBLEM_ENDED milan-1: sink incident_manager: problem ended: A sink rejects what it is sent COMPONENT=sink incident_manager PROBLEM=sink_rejects SINK=incident_manager
    WARN PROBLEM_ADDRESSES_DIFFER milan-1: addresses vpn-0123456789abcdef0: AWS's addresses are others COMPONENT=addresses vpn-0123456789abcdef0 PROBLEM=addresses_differ ERROR=AWS's addresses are others
    INFO PROBLEM_ENDED milan-1: addresses vpn-0123456789abcdef0: problem ended: AWS has other tunnel addresses than the configuration COMPONENT=addresses vpn-0123456789abcdef0 PROBLEM=addresses_differ
    ERROR FACTS_DROPPED milan-1: 12 events did not reach the store: it is too slow COMPONENT=store
    INFO STOPPING milan-1: stopping after 1 h
    WARN UNFINISHED milan-1: shutdown timed out 4 s after the signal; unfinished requests are retried at the next start
    WARN CONFIGURATION_WARNING milan-1: [http] listen changed, which needs a restart ERROR=[http] listen changed, which needs a restart
    ERROR CANNOT_START milan-1: cannot start: a directory is no store ERROR=a directory is no store
    WARN RECORD_LEFT_OPEN milan-1: Milan DC: redundancy_lost incident: sink webhook-2 is no longer configured to take it; bothends/vpn-0123456789abcdef0/outage stays open there: close it by hand SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=webhook-2
    WARN RECORD_LEFT_OPEN milan-1: Milan DC: redundancy_lost incident: sink webhook-2 is no longer configured to take it; it is not known whether it was opened there: look for it and close it by hand SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=webhook-2
    ");
}

#[test]
fn what_is_not_in_the_configuration_is_named_by_its_id() {
    let fact = view_changed(End::Aws, Verdict::Up, fixture::aws(Verdict::Down));
    let record = record(&fact, &Names::default()).unwrap();
    assert!(
        record.message.contains("vpn-0123456789abcdef0: 203.0.113.11: down by AWS"),
        "{}",
        record.message
    );
    assert_eq!(record.fields[0], ("VPN_ID", "vpn-0123456789abcdef0".to_owned()));
    assert_eq!(record.fields[1], ("TUNNEL_IP", "203.0.113.11".to_owned()));
}

#[test]
fn a_record_on_a_parent_has_its_scope_and_no_connection() {
    let incident = fixture::incident_of_uplink();
    let mut records = samples::of_sinks(&incident);
    let released = IncidentChange::Released;
    let fact = Fact::IncidentChanged { incident: Arc::new(incident), change: released, at: after(30) };
    records.push(record(&fact, &names()).unwrap());
    for record in records {
        assert!(record.fields.contains(&("SCOPE", "uplink/milan-1/wan1".to_owned())), "{record:?}");
        assert!(record.fields.iter().all(|(name, _)| *name != "VPN_ID"), "{record:?}");
        let names_it = ["milan-1: wan1 (uplink/milan-1/wan1): ", "milan-1: uplink wan1: "];
        assert!(names_it.iter().any(|name| record.message.starts_with(name)), "{}", record.message);
    }
}

#[test]
fn what_happens_at_sinks_and_to_parts_is_recorded() {
    let of = |records: Vec<JournalRecord>| records.iter().map(shown).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(of(samples::at_sinks()), @"
    INFO RECORD_CREATED milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: created record oi-0123456789ab SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    WARN RECORD_CREATED_UNCHECKED milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: created without checking for an existing record, because listing the records fails. If there is one, this one is closed as its duplicate SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    INFO RECORD_ADOPTED milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: record oi-0123456789ab was already open and is used SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    INFO RECORD_CLOSED milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: record closed SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    INFO RECORD_DUPLICATE_CLOSED milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: closed oi-ba9876543210, a duplicate of oi-0123456789ab SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    INFO RECORD_LEFTOVER_CLOSED milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: closed oi-0123456789ab, which was left open SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    INFO RECORD_CLOSED_BY_OTHERS milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: record oi-0123456789ab was closed by somebody else; it stays closed until the incident worsens SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    WARN RECORD_MISSING milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: record oi-0123456789ab no longer exists; it counts as closed SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    WARN RECORD_ABANDONED milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: no longer known here; its record oi-0123456789ab stays open: close it by hand SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    WARN RECORD_ABANDONED milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: no longer known here; its record (not known) stays open: close it by hand SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    INFO MESSAGE_DELIVERED milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: sent SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    INFO MESSAGE_DELIVERED milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: end sent SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    INFO MESSAGE_DELIVERED milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: sent that this site no longer watches it SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    WARN END_NOT_SENT milan-1: Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: ops_center: its end was rejected and is not sent; a later incident of the same kind is open SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    WARN RECORD_ABANDONED milan-1: ops_center: incident vpn-0123456789abcdef0/redundancy_lost/1763781140000 is no longer known here; its record oi-0123456789ab stays open: close it by hand SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    WARN RECORD_ABANDONED milan-1: ops_center: incident vpn-0123456789abcdef0/redundancy_lost/1763781140000 is no longer known here; its end was not sent: close it by hand SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost SINK=ops_center
    ERROR LEDGER_UNREADABLE milan-1: ops_center: what was sent before the start cannot be read; open records are looked for at the sink: disk I/O error SINK=ops_center ERROR=disk I/O error
    ERROR LEDGER_UNREADABLE milan-1: ops_center: what was sent before the start cannot be read; what is open is sent again: disk I/O error SINK=ops_center ERROR=disk I/O error
    ");
    insta::assert_snapshot!(of(samples::of_parts()), @r#"
    ERROR STORE_DAMAGED store /var/lib/bothends/bothends.db: database disk image is malformed. It is kept as /var/lib/bothends/bothends.db.damaged-2025-11-22T03-12-04Z, and a new one is created from memory: check the disk
    ERROR STORE_DAMAGED store /var/lib/bothends/bothends.db: database disk image is malformed. It is kept as /var/lib/bothends/bothends.db.damaged-2025-11-22T03-12-04Z, and a new one is created from memory; 12 unsent one-minute rollups for CloudWatch are lost: check the disk
    ERROR STORE_DAMAGED store /var/lib/bothends/bothends.db: database disk image is malformed. It is kept as /var/lib/bothends/bothends.db.damaged-2025-11-22T03-12-04Z, and a new one is created from memory; unsent metrics for CloudWatch are lost, how many is not known: check the disk
    ERROR STORE_FILE_REPLACED store /var/lib/bothends/bothends.db: the file was removed or replaced; another is written in its place
    ERROR STORE_FILE_REPLACED store /var/lib/bothends/bothends.db: its log (-wal) was removed or replaced; what that held is written into the file
    WARN STORE_ENTRY_UNREADABLE store /var/lib/bothends/bothends.db: cannot read the first-seen-up entry aws vpn-1 x; it is left in the file ENTRY=seen_up aws vpn-1 x
    WARN STORE_ENTRY_UNREADABLE store /var/lib/bothends/bothends.db: cannot read incident vpn-1/outage/0: expected value at line 1 column 1; it is left as it is ENTRY=incident vpn-1/outage/0
    WARN STORE_ENTRY_UNREADABLE store /var/lib/bothends/bothends.db: cannot read silence 3: expected value at line 1 column 1; it is left in the file, and silences nothing ENTRY=silence 3
    WARN STORE_ENTRY_UNREADABLE store /var/lib/bothends/bothends.db: cannot read a ledger row of webhook: expected value at line 1 column 1; it is left as it is, and its record at the sink is looked for again ENTRY=ledger webhook vpn-1/outage/0/0
    WARN STORE_FULL store /var/lib/bothends/bothends.db: store full or retention exceeded ([store] max_size, keep): dropping the oldest unsent metrics; bothends_rollups_dropped_total counts them
    WARN STORE_SECOND_INCIDENT store /var/lib/bothends/bothends.db: the file, unusable until now, has vpn-0123456789abcdef0/redundancy_lost/1763781140000 as open, while another incident of this kind is open; it is now closed in the file: check whether its record is still open at a sink SCOPE=vpn-0123456789abcdef0 KIND=redundancy_lost
    WARN STORE_SECOND_INCIDENT store /var/lib/bothends/bothends.db: the file, unusable until now, has uplink/milan-1/wan1/outage/1763781140000 as open, while another incident of this kind is open; it is now closed in the file: check whether its record is still open at a sink SCOPE=uplink/milan-1/wan1 KIND=outage
    WARN STORE_SILENCE_RENUMBERED store /var/lib/bothends/bothends.db: the file, unusable until now, has a silence 1 of group/milan-1/hubs, while another one was given that number; the one in the file is silence 3 from now on: change 4711 ENTRY=silence 1 SILENCE=3 SCOPE=group/milan-1/hubs REASON=change 4711
    WARN METRICS_TOO_OLD metrics: 12 one-minute rollups are two weeks old by AWS's clock, the limit of CloudWatch; they are dropped
    WARN METRICS_IN_FUTURE metrics: this host's clock was ahead of AWS's: one-minute rollups dated in the future by AWS's clock are wrong and are dropped; bothends_rollups_dropped_total counts them
    WARN METRIC_REJECTED metrics: milan-1 vpn-1: CloudWatch rejects the datum RoundTripTime of 1763781124000 ms since 1970, Value(NaN); it is dropped: InvalidParameterValue METRIC=RoundTripTime DIMENSIONS=milan-1 vpn-1
    INFO TUNNEL_STATE_ELSEWHERE CloudWatch has no data on vpn-0123456789abcdef0 203.0.113.11 under VpnId and TunnelIpAddress, and some under TunnelIpAddress: that is used
    WARN TLS_FALLBACK the TLS handshake timed out
    WARN ADDRESS_UNKNOWN cannot find out whether this host holds 192.0.2.100: out of memory; the last known state is kept ADDRESS=192.0.2.100
    ERROR PROBE_INTERNAL_ERROR an echo could not be made: out of memory
    ERROR PROBE_INTERNAL_ERROR vpn-0123456789abcdef0 203.0.113.11: a probe socket was never released and is closed to make room
    DEBUG DEBUG_DETAIL out of memory DETAIL=lookup_failed
    DEBUG DEBUG_DETAIL a question to AWS was left out: the pollers are busy DETAIL=question_left_out
    DEBUG DEBUG_DETAIL cannot find out whether this host holds 192.0.2.100: out of memory DETAIL=address_unknown
    DEBUG DEBUG_DETAIL cannot list this host's addresses: out of memory DETAIL=addresses_unknown
    DEBUG DEBUG_DETAIL an echo was answered with an ICMP error: "out of memory" DETAIL=icmp_error
    DEBUG DEBUG_DETAIL the HTTP listener cannot accept: out of memory DETAIL=cannot_accept
    DEBUG DEBUG_DETAIL the control socket cannot accept: out of memory DETAIL=cannot_accept
    DEBUG DEBUG_DETAIL an HTTP client left early or was cut: out of memory DETAIL=http_client_left
    DEBUG DEBUG_DETAIL store /var/lib/bothends/bothends.db: no lock beside it: out of memory DETAIL=no_store_lock
    DEBUG DEBUG_DETAIL store /var/lib/bothends/bothends.db: it cannot be locked: out of memory DETAIL=store_not_locked
    DEBUG DEBUG_DETAIL systemd could not be notified of "out of memory": out of memory DETAIL=not_notified
    DEBUG DEBUG_DETAIL systemd is not notified of the reload: no monotonic time: out of memory DETAIL=reload_not_notified
    "#);
}
