//! Records of every kind, in every way in which their fields can differ.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::board::Incident;
use crate::domain::event::SeenUp;
use crate::domain::fact::{Fact, IncidentChange};
use crate::domain::names::{CheckId, CheckKind, End, Kind, Role, SinkId};
use crate::domain::plan::RouteKey;
use crate::domain::verdict::{Assessment, Evidence, Fault, LocalEvidence, Verdict, View, Why};
use crate::fixture::{self, after};
use crate::health::{Code, Component, Problem, Severity};
use crate::telemetry::names::Names;
use crate::telemetry::wording::{self, Notice, Record};

const WHYS: [Why; 20] = [
    Why::Starting,
    Why::NeverAnswered,
    Why::Fault(Fault::NoPermission),
    Why::Fault(Fault::NoMemory),
    Why::Fault(Fault::QueueFull),
    Why::Fault(Fault::TooManyFiles),
    Why::Fault(Fault::AddressMissing),
    Why::Fault(Fault::HeldUp),
    Why::Fault(Fault::Socket(97)),
    Why::Silent,
    Why::Unused,
    Why::NotHere,
    Why::NotAsked,
    Why::NoData,
    Why::Stale,
    Why::Fraction,
    Why::Future,
    Why::Contradiction,
    Why::Gone,
    Why::Garbage,
];

const CHANGES: [IncidentChange; 10] = [
    IncidentChange::Opened,
    IncidentChange::TakenUp,
    IncidentChange::Witnessed,
    IncidentChange::Updated,
    IncidentChange::Worsened,
    IncidentChange::Clearing,
    IncidentChange::Reopened,
    IncidentChange::Resolved,
    IncidentChange::Unwatched,
    IncidentChange::HandedOver,
];

/// Those of facts and those of notices; of facts with names and without, as after a reload that took them away.
pub(super) fn records() -> Vec<Record> {
    let facts: Vec<_> =
        views().into_iter().chain(assessments()).chain(incidents()).chain(happenings()).collect();
    let names = [Names::default(), Names::sample(Role::Active), Names::sample(Role::Standby)];
    let told = |names| facts.iter().map(move |fact| wording::record(fact, names).expect("worth a record"));
    let mut records: Vec<_> = names.iter().flat_map(told).collect();
    records.extend(notices());
    records
}

fn verdicts() -> impl Iterator<Item = Verdict> {
    [Verdict::Up, Verdict::Down].into_iter().chain(WHYS.map(Verdict::Unknown))
}

fn view(end: End, verdict: Verdict) -> View {
    match end {
        End::Local => View { verdict, since: after(7), evidence: Evidence::Local(LocalEvidence::default()) },
        End::Aws => fixture::aws(verdict),
    }
}

fn views() -> Vec<Fact> {
    let of = |end| {
        verdicts().map(move |verdict| Fact::ViewChanged {
            tunnel: fixture::tunnel(1),
            end,
            from: Verdict::Up,
            view: view(end, verdict),
            at: after(15),
        })
    };
    of(End::Local).chain(of(End::Aws)).collect()
}

fn assessments() -> Vec<Fact> {
    let all = [
        Assessment::Healthy,
        Assessment::Down,
        Assessment::Disputed(End::Local),
        Assessment::Disputed(End::Aws),
        Assessment::Unconfirmed(End::Local),
        Assessment::Unconfirmed(End::Aws),
        Assessment::Blind,
    ];
    let facts = all.into_iter().flat_map(|to| {
        verdicts().map(move |verdict| Fact::AssessmentChanged {
            tunnel: fixture::tunnel(1),
            from: Assessment::Blind,
            to,
            local: view(End::Local, verdict),
            aws: view(End::Aws, verdict),
            at: after(15),
        })
    });
    facts.collect()
}

fn incidents() -> Vec<Fact> {
    let with = Incident {
        related: Some(fixture::incident().id),
        found_at: Some(SinkId::new("incident_manager")),
        ..fixture::incident()
    };
    let without = Incident { tunnels: Vec::new(), ..fixture::incident() };
    let (vpn, at) = (fixture::vpn(), after(600));
    let mut facts = Vec::new();
    for kind in Kind::ALL {
        let opens_in = Duration::from_secs(30);
        facts.push(Fact::IncidentPending { vpn: vpn.clone(), kind, opens_in, at });
        facts.push(Fact::IncidentAverted { vpn: vpn.clone(), kind, at });
        for mut incident in [with.clone(), without.clone()] {
            incident.id.kind = kind;
            let incident = Arc::new(incident);
            facts.extend(CHANGES.map(|change| Fact::IncidentChanged {
                incident: Arc::clone(&incident),
                change,
                at,
            }));
            facts.push(Fact::IncidentSettled { incident: Arc::clone(&incident), at });
            facts.push(Fact::IncidentMissed { incident, at });
        }
    }
    facts
}

fn happenings() -> Vec<Fact> {
    let check = CheckId { tunnel: fixture::tunnel(1), kind: CheckKind::Inside };
    let source = fixture::status().sources[0].id.clone();
    let address = [192, 0, 2, 100].into();
    let mut facts = vec![
        Fact::TicksSkipped { check: check.clone(), count: 3600 },
        Fact::SeenUp(SeenUp::Local(
            check.clone(),
            RouteKey { inside_ip: [169, 254, 10, 1].into(), own: None },
        )),
        Fact::SeenUp(SeenUp::Aws(fixture::tunnel(1))),
        Fact::Resumed { gap: Duration::from_secs(60), at: after(60) },
    ];
    for yes in [true, false] {
        facts.push(Fact::Suspicion { check: check.clone(), suspect: yes, at: after(4) });
        facts.push(Fact::AddressHeld { address, held: yes, at: after(4) });
    }
    facts.extend(verdicts().map(|verdict| Fact::EvidenceUnusable {
        source: source.clone(),
        tunnel: fixture::tunnel(1),
        verdict,
    }));
    facts
}

fn notices() -> Vec<Record> {
    let hour = Duration::from_secs(3600);
    let (sink, incident) = (SinkId::new("webhook-2"), fixture::incident().id.clone());
    let left = |record| Notice::LeftOpen { sink: &sink, incident: &incident, vpn_name: "Milan", record };
    let mut records: Vec<_> = [
        left(Some("bothends/vpn-0123456789abcdef0/outage")),
        left(None),
        Notice::StaysOpen { sink: &sink, incident: &incident, vpn_name: "Milan", record: "oi-0123456789ab" },
        Notice::Started { version: "0.1.0", vpns: 1, tunnels: 2, mode: "raise" },
        Notice::Stopping { after: hour },
        Notice::Unfinished { after: hour },
        Notice::Reloaded { vpns: 2, tunnels: 4 },
        Notice::ReloadRefused { problems: "a mistake" },
        Notice::ConfigurationWarning { what: "a slip" },
        Notice::CannotStart { why: "a mistake" },
        Notice::FactsDropped { consumer: "store", count: 12 },
    ]
    .iter()
    .flat_map(|notice| [notice.record(Some("milan-1")), notice.record(None)])
    .collect();
    for code in Code::ALL.iter().copied() {
        for component in components(code) {
            for severity in [Severity::Degraded, Severity::Failed] {
                let problem = Problem::new(code, "it does not work").with(severity);
                let notice = Notice::Problem { component: &component, problem: &problem };
                records.push(notice.record(Some("milan-1")));
            }
            records.push(Notice::ProblemOver { component: &component, code }.record(Some("milan-1")));
        }
    }
    records
}

/// What has such a problem.
fn components(code: Code) -> Vec<Component> {
    let vpn = || "vpn-0123456789abcdef0".to_owned();
    let (source, sink) =
        (Component::Source("cloudwatch".to_owned()), Component::Sink("incident_manager".to_owned()));
    match code {
        Code::SiteCutOff => vec![Component::Site],
        Code::AwsUnreachable
        | Code::AwsThrottled
        | Code::AwsDenied
        | Code::AwsRefuses
        | Code::AwsFailing
        | Code::AwsAnswerInvalid => vec![source],
        Code::CredentialsFailing | Code::CredentialsSourceFailing | Code::CredentialsExpiring => {
            vec![Component::Credentials("default".to_owned())]
        }
        Code::ConnectionGone
        | Code::NoAwsData
        | Code::AwsEvidenceOld
        | Code::AwsEvidenceUnclear
        | Code::NeverAnswered
        | Code::AddressMissing
        | Code::ProbeSilent => vec![Component::Connection(vpn())],
        Code::ConnectionUnconfirmed => vec![Component::Identity(vpn())],
        Code::AddressesSwapped => vec![Component::HostAddresses(vpn())],
        Code::AddressesDiffer => vec![Component::Addresses(vpn())],
        Code::ProbeNotPermitted | Code::ProbeFailing | Code::RawSockets => vec![Component::Probe],
        Code::SinkRejects | Code::SinkUnreachable | Code::SinkIncomplete => vec![sink],
        Code::FreshSocketFails => vec![Component::FreshSocket(vpn())],
        Code::SinkNotPrepared => vec![Component::Preparation("incident_manager".to_owned())],
        Code::Observe => vec![Component::Mode],
        Code::MetricsFailing => vec![Component::Publisher],
        Code::StoreFailing => vec![Component::Store],
        Code::ReloadRefused | Code::RestartNeeded => vec![Component::Configuration],
        Code::ClockOff => vec![Component::Clock],
        Code::ListenerFailing => vec![Component::Listener],
    }
}
