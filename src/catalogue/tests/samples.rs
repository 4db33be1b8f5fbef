//! Records of every kind, in every way in which their fields can differ.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::fact;
use super::super::notice::Stuck;
use super::super::parts::{Detail, ListenerKind, MetricsNotice, Oddity, StoreNotice, Unreadable};
use super::super::parts::{Instead, LedgerUnreadable, NoticeReason, SinkNotice};
use super::super::silence::{SilenceChange, SilenceNotice};
use super::super::{Code, Component, JournalRecord, Names, Notice, Problem, Severity};
use crate::domain::board::{Incident, IncidentId, Withheld};
use crate::domain::cause::{Cause, Confidence, Diagnosis};
use crate::domain::event::SeenUp;
use crate::domain::fact::{Fact, IncidentChange};
use crate::domain::maintenance::{Maintenance, MaintenanceState};
use crate::domain::names::{CheckId, CheckKind, End, Kind, RecordId, Role, SinkId, TunnelId};
use crate::domain::plan::RouteKey;
use crate::domain::quality::Quality;
use crate::domain::scope::{ParentId, ParentKind, Scope};
use crate::domain::side::Side;
use crate::domain::silence::{FromNow, Silence, SilenceId, SilenceScope};
use crate::domain::verdict::{Assessment, Evidence, Fault, LocalEvidence, Verdict, View, Why};
use crate::fixture::{self, after};
use crate::process::Exit;

const WHYS: [Why; 22] = [
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
    Why::BgpUnknown,
    Why::Unused,
    Why::NotHere,
    Why::Shared,
    Why::NotAsked,
    Why::NoData,
    Why::Stale,
    Why::Fraction,
    Why::Future,
    Why::Contradiction,
    Why::Gone,
    Why::Garbage,
];

const CHANGES: [IncidentChange; 11] = [
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

/// Those of facts and those of notices; of facts with names and without, as after a reload that took them away.
pub(super) fn records() -> Vec<JournalRecord> {
    let facts: Vec<_> =
        views().into_iter().chain(assessments()).chain(incidents()).chain(happenings()).collect();
    let names = [Names::default(), Names::sample(Role::Active), Names::sample(Role::Standby)];
    let recorded = |names| facts.iter().map(move |fact| fact::record(fact, names).expect("worth a record"));
    let mut records: Vec<_> = names.iter().flat_map(recorded).collect();
    records.extend(notices());
    records.extend(at_sinks());
    records.extend(of_sinks(&fixture::incident_of_uplink()));
    records.extend(of_parts());
    records.extend(of_silences());
    records
}

fn of_silences() -> Vec<JournalRecord> {
    let wan = ParentId { kind: ParentKind::Uplink, site: "milan-1".into(), name: "wan1".into() };
    let scopes = [
        (SilenceScope::Site, None),
        (SilenceScope::Parent(wan), None),
        (SilenceScope::Connection(fixture::vpn()), Some("Europe/Rome".into())),
        (SilenceScope::Tunnel(fixture::tunnel(1)), None),
    ];
    let changes = [
        SilenceChange::Added,
        SilenceChange::Began,
        SilenceChange::Ended { by: None },
        SilenceChange::Ended { by: Some(0) },
    ];
    let silences = scopes.map(|(of, weekly)| Silence {
        id: SilenceId(3),
        of,
        from: fixture::start().wall,
        until: after(7200).wall,
        weekly,
        reason: "the line is moved to the new hall".into(),
        by: 1000,
        added: fixture::start().wall,
        from_now: FromNow::default(),
    });
    let record =
        |silence: &Silence, change| SilenceNotice { silence, what: "Milan DC", change }.record("milan-1");
    silences.iter().flat_map(|silence| changes.map(|change| record(silence, change))).collect()
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
            side: if verdict == Verdict::Up { Side::ThisGateway } else { Side::Unknown },
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
    let mut with = with;
    with.tunnels[0].diagnosis = Some(fixture::path_broken());
    let without = Incident { tunnels: Vec::new(), ..fixture::incident() };
    let explained = Incident { withheld: Some(Withheld::Explained(fixture::uplink())), ..without.clone() };
    let of_parents = ParentKind::ALL.map(|kind| {
        let mut incident = fixture::uplink_incident();
        incident.id.scope = Scope::Parent(ParentId { kind, ..fixture::uplink() });
        incident
    });
    let childless = Incident { children: Vec::new(), ..fixture::uplink_incident() };
    let mut all = vec![with, without, explained, fixture::incident_of_uplink(), childless];
    all.extend(of_parents);
    let at = after(600);
    let mut facts = Vec::new();
    for kind in Kind::ALL {
        let opens_in = Duration::from_secs(30);
        for scope in [Scope::Connection(fixture::vpn()), Scope::Parent(fixture::uplink())] {
            facts.push(Fact::IncidentPending { scope: scope.clone(), kind, opens_in, at });
            facts.push(Fact::IncidentAverted { scope, kind, at });
        }
        for mut incident in all.clone() {
            incident.id.kind = kind;
            let incident = Arc::new(incident);
            // What is released is no longer withheld.
            let changes = CHANGES
                .into_iter()
                .filter(|change| incident.withheld.is_none() || *change != IncidentChange::Released);
            facts.extend(changes.map(|change| Fact::IncidentChanged {
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
        let (degraded, tunnel) = (Quality::Degraded(fixture::slow()), fixture::tunnel(1));
        let (from, to) = if yes { (Quality::Good, degraded) } else { (degraded, Quality::Good) };
        facts.push(Fact::QualityChanged { tunnel, from, to, at: after(4) });
    }
    let named = fixture::path_broken();
    let unknown =
        Diagnosis { cause: Cause::Unknown, confidence: Confidence::Possible, clues: Vec::new(), lead: None };
    for (from, to) in
        [(None, Some(named.clone())), (Some(named), Some(unknown.clone())), (Some(unknown), None)]
    {
        facts.push(Fact::CauseChanged { tunnel: fixture::tunnel(1), from, to, at: after(5) });
    }
    facts.extend(verdicts().map(|verdict| Fact::EvidenceUnusable {
        source: source.clone(),
        tunnel: fixture::tunnel(1),
        verdict,
    }));
    facts.extend(maintenance(&fixture::tunnel(1)));
    facts
}

/// Announced with a date and without, applied, withdrawn, and not allowed to ask.
pub(super) fn maintenance(tunnel: &TunnelId) -> [Fact; 5] {
    let known = |maintenance| MaintenanceState::Known { maintenance, as_of: after(4).wall };
    let quiet = Maintenance::default();
    let dateless = Maintenance { pending: true, ..quiet };
    let dated = Maintenance { applied_after: Some(after(5 * 86_400).wall), ..dateless };
    let applied = Maintenance { last_applied: Some(after(3).wall), ..quiet };
    [
        (MaintenanceState::NotAsked, known(dated)),
        (known(quiet), known(dateless)),
        (known(dated), known(applied)),
        (known(dated), known(quiet)),
        (MaintenanceState::NotAsked, MaintenanceState::Denied),
    ]
    .map(|(from, to)| Fact::MaintenanceChanged { tunnel: tunnel.clone(), from, to, at: after(4) })
}

fn notices() -> Vec<JournalRecord> {
    let hour = Duration::from_secs(3600);
    let (sink, incident) = (SinkId::new("webhook-2"), fixture::incident().id.clone());
    let of_uplink = fixture::incident_of_uplink().id;
    let left = |record| Notice::LeftOpen { sink: &sink, incident: &incident, name: "Milan", record };
    let mut records: Vec<_> = [
        left(Some("bothends/vpn-0123456789abcdef0/outage")),
        left(None),
        Notice::LeftOpen { sink: &sink, incident: &of_uplink, name: "wan1", record: None },
        Notice::StaysOpen { sink: &sink, incident: &incident, name: "Milan", record: "oi-0123456789ab" },
        Notice::StaysOpen { sink: &sink, incident: &of_uplink, name: "wan1", record: "oi-ba9876543210" },
        Notice::Started { version: "0.1.0", vpns: 1, tunnels: 2, mode: "raise" },
        Notice::Stopping { after: hour },
        Notice::Unfinished { after: hour },
        Notice::Reloaded { vpns: 2, tunnels: 4 },
        Notice::ReloadRefused { problems: "a mistake" },
        Notice::ConfigurationWarning { what: "a slip" },
        Notice::CannotStart { why: "a mistake", exit: Exit::Configuration },
        Notice::CannotStart { why: "no permission", exit: Exit::Permission },
        Notice::CannotStart { why: "no memory", exit: Exit::Internal },
        Notice::LogLevelInvalid { why: "a slip" },
        Notice::ControlSocketFailing { why: "it is no directory" },
        Notice::Stuck { part: Stuck::Core, since: hour },
        Notice::Stuck { part: Stuck::IoThread, since: hour },
        Notice::RecordsDropped { count: 12 },
        Notice::FactsDropped { consumer: "store", count: 12 },
    ]
    .iter()
    .flat_map(|notice| [notice.record(Some("milan-1")), notice.record(None)])
    .collect();
    for code in Code::ALL.iter().copied() {
        for component in components(code) {
            for severity in [Severity::Degraded, Severity::Failed] {
                let problem = Problem::of(code, "it does not work").with(severity);
                let notice = Notice::Problem { component: &component, problem: &problem };
                records.push(notice.record(Some("milan-1")));
            }
            records.push(Notice::ProblemOver { component: &component, code }.record(Some("milan-1")));
        }
    }
    records
}

/// Of an incident of the Board, and of one that is known no more.
pub(super) fn at_sinks() -> Vec<JournalRecord> {
    let (incident, sink) = (fixture::incident(), SinkId::new("ops_center"));
    let mut records = of_sinks(&incident);
    let record = || RecordId("oi-0123456789ab".to_owned());
    records.extend(
        [NoticeReason::LeftOpen(Some(record())), NoticeReason::EndUnknown]
            .map(|reason| SinkNotice { name: None, ..SinkNotice::of(&incident, &sink, reason) }.record()),
    );
    records.extend([Instead::Search, Instead::SendAgain].map(|instead| {
        LedgerUnreadable { site: "milan-1", sink: &sink, instead, error: "disk I/O error" }.record()
    }));
    records
}

/// Everything that a sink's task says of an incident of the Board.
pub(super) fn of_sinks(incident: &Incident) -> Vec<JournalRecord> {
    let sink = SinkId::new("ops_center");
    let record = || RecordId("oi-0123456789ab".to_owned());
    let reasons = [
        NoticeReason::Created(record()),
        NoticeReason::CreatedWithoutList,
        NoticeReason::Adopted(record()),
        NoticeReason::Closed,
        NoticeReason::ClosedDuplicate { younger: RecordId("oi-ba9876543210".to_owned()), oldest: record() },
        NoticeReason::ClosedLeftover(record()),
        NoticeReason::ClosedElsewhere(record()),
        NoticeReason::Gone(record()),
        NoticeReason::LeftOpen(Some(record())),
        NoticeReason::LeftOpen(None),
        NoticeReason::Sent,
        NoticeReason::SentEnd,
        NoticeReason::SentUnwatched,
        NoticeReason::EndNotSent,
    ];
    reasons.into_iter().map(|reason| SinkNotice::of(incident, &sink, reason).record()).collect()
}

pub(super) fn of_parts() -> Vec<JournalRecord> {
    let (path, tunnel) = (Path::new("/var/lib/bothends/bothends.db"), fixture::tunnel(1));
    let (address, error) = ([192, 0, 2, 100].into(), "out of memory");
    let damaged = |lost| StoreNotice::SetAside {
        damage: "store /var/lib/bothends/bothends.db: database disk image is malformed".to_owned(),
        aside: "/var/lib/bothends/bothends.db.damaged-2025-11-22T03-12-04Z".into(),
        lost,
    };
    let because = || "expected value at line 1 column 1".to_owned();
    let store = [
        damaged(Some(0)),
        damaged(Some(12)),
        damaged(None),
        StoreNotice::FileReplaced,
        StoreNotice::LogReplaced,
        StoreNotice::Unreadable(Unreadable::SeenUp("aws vpn-1 x".to_owned())),
        StoreNotice::Unreadable(Unreadable::Incident { id: "vpn-1/outage/0".to_owned(), error: because() }),
        StoreNotice::Unreadable(Unreadable::Silence { id: 3, error: because() }),
        StoreNotice::Unreadable(Unreadable::LedgerRow {
            sink: "webhook".to_owned(),
            row: "vpn-1/outage/0/0".to_owned(),
            error: because(),
        }),
        StoreNotice::Full,
        StoreNotice::OpenTwice(fixture::incident().id),
        StoreNotice::OpenTwice(fixture::incident_of_uplink().id),
        StoreNotice::Renumbered { before: SilenceId(1), silence: fixture::silence() },
    ];
    let rejected = MetricsNotice::Rejected {
        dimensions: "milan-1 vpn-1".to_owned(),
        name: "RoundTripTime",
        stamp: 1_763_781_124_000,
        value: "Value(NaN)".to_owned(),
        why: "InvalidParameterValue".to_owned(),
    };
    let metrics = [MetricsNotice::TooOld(12), MetricsNotice::InFuture, rejected];
    let odd = [
        Oddity::TunnelStateElsewhere { tunnel: &tunnel, dimensions: "TunnelIpAddress" },
        Oddity::TlsFallback { why: "the TLS handshake timed out" },
        Oddity::AddressUnknown { address, error: &error },
        Oddity::EchoNotMade { error: &error },
        Oddity::ClientNotRetired { tunnel: &tunnel },
    ];
    let details = [
        Detail::LookupFailed(&error),
        Detail::QuestionLeftOut,
        Detail::AddressUnknown(address, &error),
        Detail::AddressesUnknown(&error),
        Detail::IcmpError(&error),
        Detail::CannotAccept(ListenerKind::Http, &error),
        Detail::CannotAccept(ListenerKind::Control, &error),
        Detail::HttpClientLeft(&error),
        Detail::NoStoreLock(path, &error),
        Detail::StoreNotLocked(path, &error),
        Detail::NotNotified(&error, &error),
        Detail::ReloadNotNotified(&error),
    ];
    let store = store.iter().map(|notice| notice.record(path));
    let rest = metrics.iter().map(MetricsNotice::record).chain(odd.map(Oddity::record));
    store.chain(rest).chain(details.map(Detail::record)).collect()
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
        Code::SilenceZoneUnknown => vec![Component::Silences],
        Code::ClockOff => vec![Component::Clock],
        Code::ListenerFailing => vec![Component::Listener],
        Code::ListenerFileFailing => vec![Component::ListenerCertificate, Component::ListenerToken],
        Code::CertificateExpiring => vec![Component::ListenerCertificate],
    }
}

/// Pairs of one kind that are on two subjects, and must not be written one in place of the other.
pub(super) fn of_two_subjects() -> Vec<[JournalRecord; 2]> {
    let (path, error) = (Path::new("/var/lib/bothends/bothends.db"), "out of memory");
    let incident = fixture::incident();
    let later = Incident {
        id: IncidentId { opened: incident.id.opened + Duration::from_secs(3600), ..incident.id.clone() },
        ..incident.clone()
    };
    let sink = SinkId::new("ops_center");
    let record = || RecordId("oi-0123456789ab".to_owned());
    let mut pairs: Vec<_> = [
        NoticeReason::Created(record()),
        NoticeReason::CreatedWithoutList,
        NoticeReason::Adopted(record()),
        NoticeReason::Closed,
        NoticeReason::ClosedDuplicate { younger: record(), oldest: record() },
        NoticeReason::ClosedLeftover(record()),
        NoticeReason::ClosedElsewhere(record()),
        NoticeReason::Gone(record()),
        NoticeReason::LeftOpen(Some(record())),
        NoticeReason::EndUnknown,
        NoticeReason::Sent,
        NoticeReason::EndNotSent,
    ]
    .into_iter()
    .map(|cause| [&incident, &later].map(|incident| SinkNotice::of(incident, &sink, cause.clone()).record()))
    .collect();
    let because = || "expected value".to_owned();
    let unreadable = [
        ["aws vpn-1 x", "aws vpn-1 y"].map(|row| Unreadable::SeenUp(row.to_owned())),
        ["vpn-1/outage/0", "vpn-2/outage/0"]
            .map(|id| Unreadable::Incident { id: id.to_owned(), error: because() }),
        ["vpn-1/outage/0/0", "vpn-1/outage/0/1"].map(|row| Unreadable::LedgerRow {
            sink: "webhook".to_owned(),
            row: row.to_owned(),
            error: because(),
        }),
    ];
    pairs.extend(unreadable.map(|pair| pair.map(|row| StoreNotice::Unreadable(row).record(path))));
    pairs.push([&incident, &later].map(|incident| StoreNotice::OpenTwice(incident.id.clone()).record(path)));
    pairs.push([1, 2].map(|before| {
        let before = SilenceId(before);
        StoreNotice::Renumbered { before, silence: fixture::silence() }.record(path)
    }));
    let rejected = |dimensions: &str, name| MetricsNotice::Rejected {
        dimensions: dimensions.to_owned(),
        name,
        stamp: 0,
        value: "Value(NaN)".to_owned(),
        why: "InvalidParameterValue".to_owned(),
    };
    let metrics = [("vpn-1", "TunnelUp"), ("vpn-1", "PacketLoss"), ("vpn-2", "PacketLoss")]
        .map(|(dimensions, name)| rejected(dimensions, name).record());
    pairs.extend([[0, 1], [1, 2]].map(|pair| pair.map(|n: usize| metrics[n].clone())));
    let tunnels = [1, 2].map(fixture::tunnel);
    pairs.push(tunnels.each_ref().map(|tunnel| Oddity::ClientNotRetired { tunnel }.record()));
    pairs.push(
        tunnels
            .each_ref()
            .map(|tunnel| Oddity::TunnelStateElsewhere { tunnel, dimensions: "TunnelIpAddress" }.record()),
    );
    let of_fact = |fact: Fact| fact::record(&fact, &Names::default()).expect("worth a record");
    pairs.push(tunnels.clone().map(|tunnel| {
        of_fact(Fact::TicksSkipped { check: CheckId { tunnel, kind: CheckKind::Inside }, count: 3600 })
    }));
    pairs.extend(
        [0, 2, 4].map(|n: usize| tunnels.each_ref().map(|tunnel| of_fact(maintenance(tunnel)[n].clone()))),
    );
    pairs.push(tunnels.map(|tunnel| of_fact(Fact::SeenUp(SeenUp::Aws(tunnel)))));
    let ledgers = [SinkId::new("webhook"), sink];
    pairs.push(
        ledgers
            .each_ref()
            .map(|sink| LedgerUnreadable { site: "milan-1", sink, instead: Instead::Search, error }.record()),
    );
    pairs.push(
        [Stuck::Core, Stuck::IoThread]
            .map(|part| Notice::Stuck { part, since: Duration::from_secs(60) }.record(None)),
    );
    pairs.push(
        ["store", "publisher"].map(|consumer| Notice::FactsDropped { consumer, count: 1 }.record(None)),
    );
    pairs.push([Detail::QuestionLeftOut, Detail::LookupFailed(&error)].map(Detail::record));
    pairs
}
