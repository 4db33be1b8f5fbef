//! What is shown, what is hidden behind what, and when the daemon is ready.

use std::time::Duration;

use super::overview::{Configured, SinkUse};
use super::overview::{OpenProblem, Overview};
use super::readiness::{Readiness, stuck};
use super::*;
use crate::domain::names::{AwsPlace, Destination, End, Kind, Role, SinkId, VpnId};
use crate::domain::plan::SinkPlan;
use crate::domain::status::Status;
use crate::domain::time::Now;
use crate::domain::verdict::{Evidence, Fault, LocalEvidence, Verdict, View, Why};
use crate::fixture;

/// Both ends see both tunnels up, an hour after the start.
fn healthy() -> Status {
    let mut status = fixture::status();
    status.at = fixture::after(3600);
    for tunnel in &mut status.vpns[0].tunnels {
        tunnel.role = Role::Active;
        tunnel.local = fixture::local_up();
        tunnel.aws = fixture::aws(Verdict::Up);
        tunnel.aws_evidence_age = Duration::from_secs(60);
    }
    status
}

/// From the start on an end does not know.
fn unknown(mut status: Status, tunnels: &[usize], end: End, why: Why) -> Status {
    for tunnel in tunnels {
        let tunnel = &mut status.vpns[0].tunnels[*tunnel];
        let verdict = Verdict::Unknown(why);
        match end {
            End::Local => {
                let evidence = Evidence::Local(LocalEvidence::default());
                tunnel.local = View { verdict, since: fixture::start(), evidence };
            }
            End::Aws => {
                tunnel.aws = View { since: fixture::start(), ..fixture::aws(verdict) };
                tunnel.aws_evidence_age = Duration::from_secs(3600);
            }
        }
    }
    status
}

fn source() -> Component {
    Component::Source(fixture::status().sources[0].id.to_string())
}

fn stated<const N: usize>(problems: [(Component, Code); N]) -> Problems {
    problems.map(|(component, code)| (component, Problem::of(code, "as it is"))).into()
}

/// A webhook, and Incident Manager where the source is, each of which takes everything.
fn configured() -> Configured {
    let way = fixture::status().sources.remove(0).id.place;
    Configured {
        sinks: vec![sink("webhook", None), sink("incident_manager", Some(way.clone()))],
        publisher: Some(way),
    }
}

fn sink(id: &str, way: Option<AwsPlace>) -> SinkUse {
    let plan = SinkPlan {
        id: SinkId::new(id),
        destination: Destination::new(id),
        kinds: Kind::ALL.into(),
        scopes: None,
    };
    SinkUse { plan, way }
}

fn preparation(sink: &str) -> Component {
    Component::Preparation(sink.to_owned())
}

fn look(stated: &Problems, status: &Status) -> Vec<OpenProblem> {
    Overview::default().look(stated, status, &configured(), status.at.mono)
}

fn codes(open: &[OpenProblem]) -> Vec<(&'static str, &'static str)> {
    open.iter().map(|of| (of.problem.severity.as_str(), of.problem.code.entry().word)).collect()
}

fn ready(stated: &Problems, status: &Status) -> bool {
    Readiness::of(status, &look(stated, status), status.at).ready
}

#[test]
fn nothing_wrong_is_nothing_shown() {
    assert_eq!(look(&Problems::new(), &healthy()), []);
    assert_eq!(Readiness::of(&healthy(), &[], healthy().at), Readiness { ready: true, lines: Vec::new() });
}

#[test]
fn a_connection_that_cannot_be_decided_on_is_failed_and_the_text_says_so() {
    let whys = [
        (End::Aws, Why::NotAsked, "aws_evidence_old"),
        (End::Aws, Why::Stale, "aws_evidence_old"),
        (End::Aws, Why::NoData, "no_aws_data"),
        (End::Aws, Why::Garbage, "aws_evidence_unclear"),
        (End::Aws, Why::Gone, "connection_gone"),
        (End::Local, Why::NeverAnswered, "never_answered"),
        (End::Local, Why::Fault(Fault::AddressMissing), "address_missing"),
        (End::Local, Why::Fault(Fault::NoPermission), "probe_not_permitted"),
        (End::Local, Why::Fault(Fault::TooManyFiles), "probe_failing"),
        (End::Local, Why::Silent, "probe_silent"),
    ];
    for (end, why, word) in whys {
        let status = unknown(healthy(), &[0, 1], end, why);
        let open = look(&Problems::new(), &status);
        assert_eq!(codes(&open), [("failed", word)], "{why}");
        assert!(!ready(&Problems::new(), &status), "{why}");
    }
    let status = unknown(healthy(), &[0, 1], End::Local, Why::NeverAnswered);
    insta::assert_snapshot!(look(&Problems::new(), &status)[0].problem.text, @"Milan DC, primary: tunnel 1 (203.0.113.11), tunnel 2 (203.0.113.12): AWS's inside address has never answered. No tunnel has a vote of both ends: no outage can be confirmed.");
}

#[test]
fn one_tunnel_of_two_is_degraded_and_leaves_it_ready() {
    let status = unknown(healthy(), &[1], End::Local, Why::NeverAnswered);
    assert_eq!(codes(&look(&Problems::new(), &status)), [("degraded", "never_answered")]);
    assert!(ready(&Problems::new(), &status));
    // Permission is the host's, and never a tunnel's alone.
    let status = unknown(healthy(), &[1], End::Local, Why::Fault(Fault::NoPermission));
    assert_eq!(codes(&look(&Problems::new(), &status)), [("failed", "probe_not_permitted")]);
}

#[test]
fn what_a_source_explains_is_shown_as_the_sources_problem_and_as_bad() {
    let away = stated([(source(), Code::AwsUnreachable)]);
    assert_eq!(codes(&look(&away, &healthy())), [("degraded", "aws_unreachable")]);
    assert!(ready(&away, &healthy()), "it may pass");
    let status = unknown(healthy(), &[0, 1], End::Aws, Why::Stale);
    assert_eq!(codes(&look(&away, &status)), [("failed", "aws_unreachable")]);
    assert!(!ready(&away, &status));
    let status = unknown(healthy(), &[1], End::Aws, Why::Stale);
    assert_eq!(
        codes(&look(&away, &status)),
        [("degraded", "aws_unreachable")],
        "the other tunnel is watched"
    );
}

#[test]
fn a_source_that_fails_beside_one_that_answers_explains_nothing() {
    let mut status = unknown(healthy(), &[0, 1], End::Aws, Why::Stale);
    let mut second = status.sources[0].id.clone();
    second.kind = crate::domain::names::SourceKind::Ec2;
    status.vpns[0].sources.push(second.clone());
    let one = stated([(source(), Code::AwsUnreachable)]);
    assert_eq!(
        codes(&look(&one, &status)),
        [("failed", "aws_evidence_old"), ("degraded", "aws_unreachable")]
    );
    let both =
        stated([(source(), Code::AwsUnreachable), (Component::Source(second.to_string()), Code::AwsDenied)]);
    assert_eq!(codes(&look(&both, &status)), [("failed", "aws_unreachable"), ("failed", "aws_denied")]);
}

#[test]
fn no_data_of_a_connection_whose_addresses_differ_is_the_addresses_problem() {
    let addresses = Component::Addresses(fixture::vpn().to_string());
    let status = unknown(healthy(), &[0, 1], End::Aws, Why::NoData);
    let open = look(&stated([(addresses, Code::AddressesDiffer)]), &status);
    assert_eq!(codes(&open), [("failed", "addresses_differ")]);
    let other = Component::Addresses("vpn-00112233".to_owned());
    let open = look(&stated([(other, Code::AddressesDiffer)]), &status);
    assert_eq!(codes(&open), [("failed", "no_aws_data"), ("degraded", "addresses_differ")]);
}

#[test]
fn a_connection_that_is_gone_has_no_other_problem() {
    let mut status = unknown(healthy(), &[0], End::Aws, Why::Gone);
    status = unknown(status, &[1], End::Aws, Why::NoData);
    assert_eq!(codes(&look(&Problems::new(), &status)), [("failed", "connection_gone")]);
}

#[test]
fn a_sink_that_fails_for_a_while_is_degraded_and_then_failed() {
    let sink = stated([(Component::Sink("webhook".to_owned()), Code::SinkUnreachable)]);
    let status = healthy();
    let mut overview = Overview::default();
    let mut at = |seconds| {
        codes(&overview.look(&sink, &status, &configured(), status.at.mono + Duration::from_secs(seconds)))[0]
            .0
    };
    assert_eq!((at(0), at(299), at(300)), ("degraded", "degraded", "failed"));
    // Once it has been over, it has its time again.
    assert_eq!(overview.look(&Problems::new(), &status, &configured(), status.at.mono), []);
    assert_eq!(codes(&overview.look(&sink, &status, &configured(), status.at.mono))[0].0, "degraded");
}

/// How it is shown after so many seconds.
fn severity_after(
    seconds: u64,
    stated: &Problems,
    configured: &Configured,
) -> Vec<(&'static str, &'static str)> {
    let (status, mut overview) = (healthy(), Overview::default());
    overview.look(stated, &status, configured, status.at.mono);
    codes(&overview.look(stated, &status, configured, status.at.mono + Duration::from_secs(seconds)))
}

#[test]
fn a_sink_that_could_not_be_used_for_long_makes_it_not_ready_where_no_other_could() {
    let webhook = stated([(preparation("webhook"), Code::SinkNotPrepared)]);
    let mut only = configured();
    only.sinks.truncate(1);
    assert_eq!(severity_after(599, &webhook, &only), [("degraded", "sink_not_prepared")]);
    assert_eq!(severity_after(600, &webhook, &only), [("failed", "sink_not_prepared")]);
    let status = healthy();
    let mut overview = Overview::default();
    overview.look(&webhook, &status, &only, status.at.mono);
    let later = overview.look(&webhook, &status, &only, status.at.mono + Duration::from_secs(600));
    assert!(!Readiness::of(&status, &later, status.at).ready);
    // Another takes what it takes.
    assert_eq!(severity_after(600, &webhook, &configured()), [("degraded", "sink_not_prepared")]);
    // Another takes some of it.
    for part in [true, false] {
        let mut some = configured();
        let other = &mut some.sinks[1].plan;
        if part {
            other.kinds = [Kind::Outage].into()
        } else {
            other.scopes = Some([VpnId::new("vpn-1").into()].into())
        }
        assert_eq!(severity_after(600, &webhook, &some), [("failed", "sink_not_prepared")]);
    }
    // The other could not be used, either.
    let both = stated([
        (preparation("webhook"), Code::SinkNotPrepared),
        (preparation("incident_manager"), Code::SinkNotPrepared),
    ]);
    assert_eq!(severity_after(600, &both, &configured()), [("failed", "sink_not_prepared"); 2]);
    // A sink without a connection that is watched keeps nobody from anything.
    let mut none = only;
    none.sinks[0].plan.scopes = Some([VpnId::new("vpn-1").into()].into());
    assert_eq!(severity_after(600, &webhook, &none), [("degraded", "sink_not_prepared")]);
}

#[test]
fn a_problem_of_aws_explains_no_webhooks_problem() {
    for cause in [Code::AwsUnreachable, Code::CredentialsFailing, Code::CredentialsSourceFailing] {
        let of = |sink| {
            let problems = stated([(source(), cause), (preparation(sink), Code::SinkNotPrepared)]);
            words(&look(&problems, &healthy())).contains(&"sink_not_prepared")
        };
        assert!(of("webhook"), "{cause:?}");
        assert!(!of("incident_manager"), "{cause:?}");
    }
}

#[test]
fn an_unreachable_region_explains_what_goes_to_it_and_nothing_else() {
    let problems = stated([
        (source(), Code::AwsUnreachable),
        (preparation("incident_manager"), Code::SinkNotPrepared),
        (Component::Publisher, Code::MetricsFailing),
    ]);
    assert_eq!(words(&look(&problems, &healthy())), ["aws_unreachable"]);
    let mut elsewhere = configured();
    let frankfurt = Some("eu-central-1".into());
    elsewhere.sinks[1].way.as_mut().unwrap().region = frankfurt.clone();
    elsewhere.publisher.as_mut().unwrap().region = frankfurt;
    let status = healthy();
    let open = Overview::default().look(&problems, &status, &elsewhere, status.at.mono);
    assert_eq!(words(&open), ["aws_unreachable", "sink_not_prepared", "metrics_failing"]);
}

const ROLE_A: &str = "arn:aws:iam::111122223333:role/a";
const ROLE_B: &str = "arn:aws:iam::111122223333:role/b";

#[test]
fn an_identity_explains_what_is_done_with_it_and_nothing_of_another() {
    let mut status = healthy();
    status.sources[0].id.place.role_arn = Some(ROLE_A.into());
    let of_a = Component::Source(status.sources[0].id.to_string());
    let expiring = |role| (Component::credentials(Some(role)), Code::CredentialsExpiring);
    let shown = |role| {
        words(&look(&stated([(of_a.clone(), Code::CredentialsFailing), expiring(role)]), &status)).len()
    };
    assert_eq!((shown(ROLE_A), shown(ROLE_B)), (1, 2));
    // A role's credentials are had with the daemon's own.
    let own = stated([(source(), Code::CredentialsFailing), expiring(ROLE_B)]);
    assert_eq!(words(&look(&own, &healthy())), ["credentials_failing"]);
    // What the sink does with its own identity is not A's fault.
    let incomplete = (Component::Sink("incident_manager".to_owned()), Code::SinkIncomplete);
    let problems = stated([(of_a, Code::CredentialsFailing), incomplete]);
    assert_eq!(words(&look(&problems, &status)), ["credentials_failing", "sink_incomplete"]);
    let mut as_a = configured();
    as_a.sinks[1].way.as_mut().unwrap().role_arn = Some(ROLE_A.into());
    let open = Overview::default().look(&problems, &status, &as_a, status.at.mono);
    assert_eq!(words(&open), ["credentials_failing"]);
}

#[test]
fn credentials_that_fail_are_one_problem_however_many_ask_with_them() {
    let mut status = unknown(healthy(), &[0, 1], End::Aws, Why::Stale);
    let mut second = status.sources[0].id.clone();
    second.kind = crate::domain::names::SourceKind::Ec2;
    status.vpns[0].sources.push(second.clone());
    let ec2 = Component::Source(second.to_string());
    let sink = Component::Sink("incident_manager".to_owned());
    for code in [Code::CredentialsFailing, Code::CredentialsSourceFailing] {
        let problems = stated([
            (source(), code),
            (ec2.clone(), code),
            (sink.clone(), Code::SinkIncomplete),
            (preparation("incident_manager"), Code::SinkNotPrepared),
            (Component::Publisher, Code::MetricsFailing),
        ]);
        let open = look(&problems, &status);
        assert_eq!(codes(&open), [("failed", code.entry().word)]);
        assert_eq!(open[0].component, Component::credentials(None));
        // Where one source answers all the same, the evidence is not old because of them.
        let one = stated([(source(), code)]);
        assert!(words(&look(&one, &status)).contains(&"aws_evidence_old"), "{code:?}");
    }
}

#[test]
fn a_cut_off_site_explains_whatever_needs_aws() {
    let status = unknown(healthy(), &[0, 1], End::Aws, Why::Stale);
    for cause in [Code::AwsUnreachable, Code::CredentialsSourceFailing] {
        let problems = stated([
            (Component::Site, Code::SiteCutOff),
            (source(), cause),
            (Component::credentials(None), Code::CredentialsExpiring),
            (Component::Sink("incident_manager".to_owned()), Code::SinkIncomplete),
            (preparation("incident_manager"), Code::SinkNotPrepared),
            (preparation("webhook"), Code::SinkNotPrepared),
            (Component::Publisher, Code::MetricsFailing),
        ]);
        assert_eq!(words(&look(&problems, &status)), ["site_cut_off", "sink_not_prepared"], "{cause:?}");
    }
}

#[test]
fn observe_is_shown_and_leaves_it_ready() {
    let observe = stated([(Component::Mode, Code::Observe)]);
    assert!(ready(&observe, &healthy()));
    assert_eq!(codes(&look(&observe, &healthy())), [("degraded", "observe")]);
}

#[test]
fn the_worst_comes_first_and_a_line_says_what_to_do() {
    let problems = stated([
        (Component::Mode, Code::Observe),
        (Component::Store, Code::StoreFailing),
        (source(), Code::AwsThrottled),
    ]);
    let status = healthy();
    let open = look(&problems, &status);
    assert_eq!(words(&open), ["store_failing", "aws_throttled", "observe"]);
    let lines = Readiness::of(&status, &open, status.at).lines;
    insta::assert_snapshot!(lines.join("\n"), @r#"
    failed: store_failing: store: as it is. First: `df -h /var/lib/bothends` and `journalctl -k`: free space or fix the disk. Writing resumes by itself; do not restart before it does.
    degraded: aws_throttled: source cloudwatch in eu-west-1: as it is. First: Find what else in the account calls the same API. If throttling persists, raise poll_interval or the service quota.
    degraded: observe: mode: as it is. First: When you trust what you see, set mode = "raise" in [incident], then `systemctl reload bothends`.
    "#);
}

fn words(open: &[OpenProblem]) -> Vec<&'static str> {
    open.iter().map(|of| of.problem.code.entry().word).collect()
}

#[test]
fn until_both_ends_have_reported_it_is_starting() {
    let mut status = fixture::status();
    for tunnel in [0, 1] {
        status = unknown(status, &[tunnel], End::Aws, Why::NotAsked);
    }
    let starting = Readiness::of(&status, &[], status.at);
    assert_eq!(
        starting.lines,
        ["starting: Milan DC, primary: waiting for the first verdict of both ends (a problem after 600 s)"]
    );
    assert!(!starting.ready);
    status.vpns[0].tunnels[0].checks[0].asked = false;
    let starting = Readiness::of(&status, &[], status.at);
    assert_eq!(starting.lines, ["starting: not every tunnel has been probed yet"]);
    assert!(!Readiness::of(&Status::default(), &[], Now::default()).ready);
}

#[test]
fn a_core_that_says_nothing_is_stuck() {
    let status = healthy();
    assert_eq!(stuck(&status, status.at.after(Duration::from_secs(10))), None);
    let later = status.at.after(Duration::from_secs(11));
    assert_eq!(stuck(&status, later).unwrap(), "stuck: no status from the core for 11 s");
    assert!(!Readiness::of(&status, &[], later).ready);
}

#[test]
fn a_thousand_connections_without_data_are_a_hundred_lines_and_a_count() {
    let mut status = unknown(healthy(), &[0, 1], End::Aws, Why::NoData);
    let vpn = status.vpns[0].clone();
    status.vpns = (0..1000)
        .map(|n| {
            let mut vpn = vpn.clone();
            vpn.id = VpnId::new(format!("vpn-{n:08x}"));
            vpn
        })
        .collect();
    let open = look(&Problems::new(), &status);
    assert_eq!(open.len(), 1000);
    let lines = Readiness::of(&status, &open, status.at).lines;
    assert_eq!((lines.len(), lines[100].as_str()), (101, "and 900 more problems; /status has them all"));
    // One cause is one line.
    let open = look(&stated([(source(), Code::CredentialsFailing)]), &{
        status.vpns.iter_mut().flat_map(|vpn| &mut vpn.tunnels).for_each(|tunnel| {
            tunnel.aws.verdict = Verdict::Unknown(Why::Stale);
        });
        status
    });
    assert_eq!(codes(&open), [("failed", "credentials_failing")]);
}

#[test]
fn a_text_that_is_too_long_is_cut_with_a_count() {
    let problem = Problem::of(Code::ReloadRefused, "é".repeat(2500));
    assert!(problem.text.ends_with("é… (500 more characters)"), "{}", problem.text);
    assert_eq!(Problem::of(Code::ReloadRefused, "é".repeat(2000)).text, "é".repeat(2000));
}
