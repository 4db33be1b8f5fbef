//! What is written is read back as it was.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::domain::board::{
    Child, Incident, IncidentId, IncidentState, TimelineChange, TimelineEntry, Trouble, TunnelSnapshot,
    Withheld,
};
use crate::domain::carrying::{CannotTell, Carrying, NotCarrying};
use crate::domain::cause::{Cause, Clue, Confidence, Diagnosis};
use crate::domain::names::{End, Kind, Role, SourceKind};
use crate::domain::quality::{Bound, Degradation, Quality};
use crate::domain::sensor::{Link, Refusal};
use crate::domain::side::Lead;
use crate::domain::verdict::{
    Assessment, AwsEvidence, Evidence, Fault, LocalEvidence, Loss, Verdict, View, Why,
};
use crate::incident::sink::{LedgerRow, RecordId, RecordScope, StartRequest};
use crate::store::history::TransitionBody;

const ANCHOR: Now = Now { mono: Moment::ORIGIN, wall: Stamp::from_secs(1_800_000_000) };

fn now() -> impl Strategy<Value = Now> {
    (-1_000_000_000_i64..1_000_000_000).prop_map(|millis| Now {
        mono: Moment::from_nanos(millis * 1_000_000),
        wall: Stamp::from_millis(ANCHOR.wall.as_millis() + millis),
    })
}

fn stamp() -> impl Strategy<Value = Stamp> {
    any::<i32>().prop_map(|millis| Stamp::from_millis(1_800_000_000_000 + i64::from(millis)))
}

fn words() -> impl Strategy<Value = Arc<str>> {
    any::<String>().prop_map(Arc::from)
}

fn tunnel() -> impl Strategy<Value = TunnelId> {
    (any::<String>(), any::<IpAddr>())
        .prop_map(|(vpn, outside_ip)| TunnelId { vpn: VpnId::new(vpn), outside_ip })
}

fn end() -> impl Strategy<Value = End> {
    select(vec![End::Local, End::Aws])
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        select(vec![
            Fault::NoPermission,
            Fault::NoMemory,
            Fault::QueueFull,
            Fault::TooManyFiles,
            Fault::AddressMissing
        ]),
        any::<i32>().prop_map(Fault::Socket),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let why = prop_oneof![
        select(vec![
            Why::Starting,
            Why::NeverAnswered,
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
        ]),
        fault().prop_map(Why::Fault),
    ];
    prop_oneof![Just(Verdict::Up), Just(Verdict::Down), why.prop_map(Verdict::Unknown)]
}

fn assessment() -> impl Strategy<Value = Assessment> {
    select(Assessment::ALL.to_vec())
}

fn carrying() -> impl Strategy<Value = Carrying> {
    let not = [NotCarrying::BothEndsDown, NotCarrying::BgpDown, NotCarrying::LocalDown, NotCarrying::AwsDown];
    let cannot_tell = [
        CannotTell::BgpUnconfirmed,
        CannotTell::Disputed,
        CannotTell::AwsUnknown,
        CannotTell::Starting,
        CannotTell::LocalUnknown,
        CannotTell::Unused,
    ];
    let not = not.map(Carrying::NotCarrying).into_iter();
    let all = not.chain(cannot_tell.map(Carrying::CannotTell)).chain([Carrying::Carrying]);
    select(all.collect::<Vec<_>>())
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let loss = select(vec![Loss::Timeout, Loss::NoPath, Loss::Blocked]);
    let percent = (0..=400_u16).prop_map(|quarters| f64::from(quarters) / 4.0);
    let rtt = any::<u64>().prop_map(Duration::from_nanos);
    let local = (
        option::of(now()),
        option::of(now()),
        any::<u32>(),
        option::of(now()),
        option::of(loss),
        any::<u32>(),
        option::of(percent),
        option::of(rtt),
    )
        .prop_map(
            |(
                last_reply,
                stopped,
                losses_in_row,
                first_loss,
                last_loss,
                replies_in_row,
                loss_percent,
                median_rtt,
            )| {
                Evidence::Local(LocalEvidence {
                    last_reply,
                    stopped,
                    losses_in_row,
                    first_loss,
                    last_loss,
                    replies_in_row,
                    loss_percent,
                    median_rtt,
                    through: None,
                })
            },
        );
    let source = select(vec![SourceKind::CloudWatch, SourceKind::Ec2]);
    let aws = (
        option::of(source),
        option::of(stamp()),
        option::of(now()),
        option::of(stamp()),
        option::of(words()),
    )
        .prop_map(|(source, as_of, as_of_here, changed, words)| {
            Evidence::Aws(AwsEvidence { source, as_of, as_of_here, changed, words })
        });
    prop_oneof![local, aws]
}

fn view() -> impl Strategy<Value = View> {
    (verdict(), now(), evidence()).prop_map(|(verdict, since, evidence)| View { verdict, since, evidence })
}

fn id() -> impl Strategy<Value = IncidentId> {
    (scope(), kind(), stamp()).prop_map(|(scope, kind, opened)| IncidentId { scope, kind, opened })
}

fn kind() -> impl Strategy<Value = Kind> {
    select(Kind::ALL.to_vec())
}

/// A site's name may hold anything, a slash too; a connection's id may not look like a parent.
fn scope() -> impl Strategy<Value = Scope> {
    let connection = "[^/]*".prop_map(|id| Scope::Connection(VpnId::new(id)));
    prop_oneof![connection, parent().prop_map(Scope::Parent)]
}

fn parent() -> impl Strategy<Value = ParentId> {
    let of_a_site = |kind| {
        (any::<String>(), "[^/]*").prop_map(move |(site, name)| ParentId {
            kind,
            site: site.into(),
            name: name.into(),
        })
    };
    let site = words().prop_map(|name| ParentId { kind: ParentKind::Site, site: Arc::clone(&name), name });
    prop_oneof![of_a_site(ParentKind::Group), of_a_site(ParentKind::Uplink), site]
}

fn withheld() -> impl Strategy<Value = Withheld> {
    let silenced = any::<u32>().prop_map(|id| Withheld::Silenced(SilenceId(id)));
    prop_oneof![parent().prop_map(Withheld::Explained), silenced]
}

fn child() -> impl Strategy<Value = Child> {
    let cause = option::of(select(Cause::ALL.to_vec()));
    let trouble =
        (option::of(kind()), stamp(), cause).prop_map(|(kind, since, cause)| Trouble { kind, since, cause });
    (any::<String>(), words(), option::of(trouble)).prop_map(|(vpn, name, trouble)| Child {
        vpn: VpnId::new(vpn),
        name,
        trouble,
    })
}

fn hops() -> impl Strategy<Value = Arc<[Option<IpAddr>]>> {
    proptest::collection::vec(option::of(any::<IpAddr>()), 0..5).prop_map(Arc::from)
}

fn clue() -> impl Strategy<Value = Clue> {
    let plain = select(vec![
        Clue::IkeDaemonNotRunning,
        Clue::SendBlocked,
        Clue::NothingCanBeSent,
        Clue::NoRouteToOutside,
        Clue::OutsideBlocked,
        Clue::OutsideAnswers,
        Clue::OutsideSilent,
        Clue::ReferencesAnswer,
        Clue::ReferencesSilent,
        Clue::OtherOutsideAnswers,
        Clue::OtherOutsideSilent,
        Clue::ReplacementUnderWay,
        Clue::IkeAbsent,
        Clue::IkeConnecting,
        Clue::IkeUnanswered,
        Clue::IkeEstablished,
        Clue::ChildAbsent,
        Clue::OutboundMoves,
        Clue::InboundMoves,
        Clue::InboundStopped,
        Clue::OutboundStopped,
        Clue::PeerHeardNothing,
        Clue::BgpEstablished,
        Clue::BgpWithoutPolicy,
        Clue::AwsSaysBgpDown,
        Clue::AwsSaysIpsecUp,
        Clue::AwsSaysIpsecDown,
        Clue::ProbesAnswered,
        Clue::AwsReceives,
        Clue::AwsReceivesNothing,
        Clue::AwsSends,
        Clue::AwsSendsNothing,
    ]);
    prop_oneof![
        plain,
        fault().prop_map(Clue::HostFault),
        select(Refusal::ALL.to_vec()).prop_map(Clue::PeerRefused),
        select(vec![Link::Up, Link::Down, Link::Missing]).prop_map(Clue::UplinkInterface),
        (any::<u8>(), any::<IpAddr>()).prop_map(|(hop, address)| Clue::PathEndsAt { hop, address }),
        (hops(), option::of(hops())).prop_map(|(now, before)| Clue::Hops { now, before }),
        words().prop_map(Clue::BgpState),
        words().prop_map(Clue::BgpLastError),
        words().prop_map(Clue::PrefixMissing),
        any::<(u16, u16)>().prop_map(|(answering, of)| Clue::HostsAnswer { answering, of }),
        any::<(u16, u16)>().prop_map(|(now, before)| Clue::LargestPacket { now, before }),
        any::<u8>().prop_map(|percent| Clue::Lost { percent }),
        any::<(u32, u32)>().prop_map(|(now, usual)| Clue::Slow { now, usual }),
    ]
}

fn diagnosis() -> impl Strategy<Value = Diagnosis> {
    let confidence = select(vec![Confidence::Possible, Confidence::Likely, Confidence::Certain]);
    let clues = proptest::collection::vec(clue(), 0..4);
    let lead = option::of(select(Lead::ALL.to_vec()));
    (select(Cause::ALL.to_vec()), confidence, clues, lead)
        .prop_map(|(cause, confidence, clues, lead)| Diagnosis { cause, confidence, clues, lead })
}

fn quality() -> impl Strategy<Value = Quality> {
    let bound = prop_oneof![nanoseconds().prop_map(Bound::Limit), nanoseconds().prop_map(Bound::Usual)];
    // Fractions that JSON holds exactly.
    let quarters = |most: u8| (0..most).prop_map(|quarters| f64::from(quarters) / 4.0);
    let loss =
        (quarters(200), quarters(100)).prop_map(|(percent, limit)| Degradation::Loss { percent, limit });
    let latency = (nanoseconds(), bound.clone()).prop_map(|(rtt, bound)| Degradation::Latency { rtt, bound });
    let jitter = (nanoseconds(), bound).prop_map(|(jitter, bound)| Degradation::Jitter { jitter, bound });
    let degraded = prop_oneof![loss, latency, jitter].prop_map(Quality::Degraded);
    prop_oneof![Just(Quality::Good), Just(Quality::Unknown), degraded]
}

fn nanoseconds() -> impl Strategy<Value = Duration> + Clone {
    any::<u64>().prop_map(Duration::from_nanos)
}

fn snapshot() -> impl Strategy<Value = TunnelSnapshot> {
    let role = select(vec![Role::Active, Role::Standby, Role::Unused]);
    let judged = (assessment(), carrying(), option::of(diagnosis()), quality(), option::of(now()));
    (tunnel(), words(), role, view(), view(), judged).prop_map(
        |(id, name, role, local, aws, (assessment, carrying, diagnosis, quality, quality_since))| {
            TunnelSnapshot {
                id,
                name,
                role,
                local,
                aws,
                assessment,
                carrying,
                diagnosis,
                quality,
                quality_since,
            }
        },
    )
}

fn entry() -> impl Strategy<Value = TimelineEntry> {
    let view = (tunnel(), words(), end(), verdict(), option::of(stamp())).prop_map(
        |(tunnel, name, end, verdict, as_of)| TimelineChange::View { tunnel, name, end, verdict, as_of },
    );
    let assessment =
        (tunnel(), words(), assessment(), carrying()).prop_map(|(tunnel, name, assessment, carrying)| {
            TimelineChange::Assessment { tunnel, name, assessment, carrying }
        });
    let cause = (tunnel(), words(), diagnosis())
        .prop_map(|(tunnel, name, diagnosis)| TimelineChange::Cause { tunnel, name, diagnosis });
    let quality = (tunnel(), words(), quality())
        .prop_map(|(tunnel, name, quality)| TimelineChange::Quality { tunnel, name, quality });
    let names = || prop::collection::vec(words(), 0..3);
    let children = (names(), names(), any::<u32>(), any::<u32>())
        .prop_map(|(down, back, troubled, of)| TimelineChange::Children { down, back, troubled, of });
    let withheld = withheld().prop_map(|by| TimelineChange::Withheld { by });
    let plain = select(vec![
        TimelineChange::Opened,
        TimelineChange::Adopted { sink: SinkId::new("incident_manager") },
        TimelineChange::Confirmed,
        TimelineChange::Released,
        TimelineChange::Clearing,
        TimelineChange::Reopened,
        TimelineChange::Resolved,
        TimelineChange::Unwatched,
        TimelineChange::HandedOver,
        TimelineChange::Missed,
    ]);
    let what = prop_oneof![view, assessment, cause, quality, children, withheld, plain];
    (any::<u32>(), stamp(), what, any::<u32>()).prop_map(|(seq, at, what, repeats)| TimelineEntry {
        seq,
        at,
        what,
        repeats,
    })
}

fn incident() -> impl Strategy<Value = Incident> {
    let state = prop_oneof![
        Just(IncidentState::Open),
        stamp().prop_map(|at| IncidentState::Resolved { at }),
        stamp().prop_map(|at| IncidentState::Unwatched { at }),
    ];
    let lists = (prop::collection::vec(snapshot(), 0..4), prop::collection::vec(entry(), 0..8));
    let found_at = option::of(any::<String>().prop_map(SinkId::new));
    let of_parents = (option::of(withheld()), prop::collection::vec(child(), 0..3));
    (
        (id(), words(), words(), state, stamp(), found_at),
        lists,
        of_parents,
        (option::of(id()), any::<u32>(), any::<u64>()),
    )
        .prop_map(
            |(
                (id, site, name, state, began, found_at),
                (tunnels, timeline),
                (withheld, children),
                (related, worsened, revision),
            )| {
                Incident {
                    id,
                    site,
                    name,
                    state,
                    began,
                    found_at,
                    withheld,
                    children,
                    tunnels,
                    timeline,
                    related,
                    worsened,
                    revision,
                }
            },
        )
}

fn start() -> impl Strategy<Value = StartRequest> {
    let scope = (id(), any::<String>(), any::<String>(), any::<String>()).prop_map(
        |(IncidentId { scope, kind, opened: _ }, plan, source, resource)| RecordScope {
            of: scope,
            kind,
            plan,
            source,
            resource,
        },
    );
    (scope, any::<String>(), any::<String>(), any::<u8>(), stamp(), any::<String>(), any::<String>())
        .prop_map(|(scope, client_token, title, impact, triggered, description, raw_data)| StartRequest {
            scope,
            client_token,
            title,
            impact,
            triggered,
            description,
            raw_data,
        })
}

fn row() -> impl Strategy<Value = LedgerRow> {
    let key = (any::<String>(), option::of(any::<String>()), id(), any::<u32>());
    let progress = (any::<u32>(), option::of(any::<u32>()), any::<bool>(), any::<bool>(), any::<bool>());
    (key, option::of(start()), option::of(any::<String>()), progress).prop_map(
        |(
            (sink, destination, incident, generation),
            start,
            record,
            (sent_upto, closed_by_person_at, related, linked, settled),
        )| {
            LedgerRow {
                sink: SinkId::new(sink),
                destination: destination.map(Destination::new),
                incident,
                generation,
                start,
                record: record.map(RecordId),
                sent_upto,
                closed_by_person_at,
                related,
                linked,
                settled,
            }
        },
    )
}

/// A row as the release before rows named a destination reads and writes it. It stays as it is.
#[derive(serde::Serialize, serde::Deserialize)]
struct RowBefore {
    sink: String,
    incident: serde_json::Value,
    generation: u32,
    start: Option<serde_json::Value>,
    record: Option<String>,
    told: u32,
    closed_by_person_at: Option<u32>,
    related: bool,
    settled: bool,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_incident_survives(incident in incident()) {
        let text = serde_json::to_string(&incident).unwrap();
        prop_assert_eq!(read_incident(&text, ANCHOR).unwrap(), incident);
    }

    #[test]
    fn a_ledger_row_survives(row in row()) {
        prop_assert_eq!(serde_json::from_str::<LedgerRow>(&serde_json::to_string(&row).unwrap()).unwrap(), row);
    }

    #[test]
    fn a_ledger_row_goes_back_and_forth_between_releases_and_loses_but_its_destination_and_links(row in row()) {
        let text = serde_json::to_string(&row).unwrap();
        let read_then: RowBefore = serde_json::from_str(&text).unwrap();
        let back = serde_json::from_str::<LedgerRow>(&serde_json::to_string(&read_then).unwrap()).unwrap();
        prop_assert_eq!(back, LedgerRow { destination: None, linked: false, ..row });
    }

    #[test]
    fn round_trip_times_survive(bins in prop::collection::vec((any::<u64>(), any::<u32>()), 0..24)) {
        let bins: Vec<_> = bins
            .into_iter()
            .map(|(mean, count)| RttBin { mean: Duration::from_nanos(mean), count })
            .collect();
        prop_assert_eq!(read_rtt(&write_rtt(&bins)).unwrap(), bins);
    }

    #[test]
    fn a_transition_survives_but_for_the_monotonic_clock(view in view(), other in view()) {
        let body = TransitionBody::Assessment { from: Assessment::Blind, to: Assessment::Down, local: view, aws: other };
        let text = serde_json::to_string(&body).unwrap();
        let read: TransitionBody = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);
        let is_that = matches!(read, TransitionBody::Assessment { from: Assessment::Blind, to: Assessment::Down, .. });
        prop_assert!(is_that);
    }
}

#[test]
fn moments_keep_their_distance_on_the_wall_clock_in_another_run() {
    let now = Now { mono: Moment::from_nanos(77), wall: Stamp::from_secs(1000) };
    let mut read: Now = serde_json::from_str(&serde_json::to_string(&now).unwrap()).unwrap();
    let anchor = Now { mono: Moment::from_nanos(5_000_000_000), wall: Stamp::from_secs(1010) };
    anchored(&mut read, anchor);
    assert_eq!(read, Now { mono: Moment::from_nanos(-5_000_000_000), ..now });
}

#[test]
fn a_text_of_an_unknown_shape_is_an_error() {
    assert!(read_incident("{\"id\":7}", ANCHOR).is_err());
    assert!(serde_json::from_str::<LedgerRow>("").is_err());
    assert!(read_rtt("[[1]]").is_err());
}

/// Takes the members of these names out of every object.
fn without(names: &[&str], value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            members.retain(|name, _| !names.contains(&name.as_str()));
            members.values_mut().for_each(|member| without(names, member));
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(|value| without(names, value)),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_incident_of_a_release_that_did_not_judge_traffic_is_read_by_its_assessments(incident in incident()) {
        let mut value: serde_json::Value = serde_json::from_str(&serde_json::to_string(&incident).unwrap()).unwrap();
        without(&["carrying", "found_at", "related", "stopped", "as_of", "words"], &mut value);
        let mut expected = incident;
        (expected.found_at, expected.related) = (None, None);
        for tunnel in &mut expected.tunnels {
            tunnel.carrying = Carrying::of(tunnel.assessment);
            for view in [&mut tunnel.local, &mut tunnel.aws] {
                match &mut view.evidence {
                    Evidence::Local(evidence) => evidence.stopped = None,
                    Evidence::Aws(evidence) => (evidence.as_of, evidence.words) = (None, None),
                }
            }
        }
        for entry in &mut expected.timeline {
            if let TimelineChange::Assessment { assessment, carrying, .. } = &mut entry.what {
                *carrying = Carrying::of(*assessment);
            } else if let TimelineChange::View { as_of, .. } = &mut entry.what {
                *as_of = None;
            }
        }
        prop_assert_eq!(read_incident(&value.to_string(), ANCHOR).unwrap(), expected);
    }

    #[test]
    fn a_ledger_row_of_a_release_that_knew_less_is_read(row in row()) {
        let mut value: serde_json::Value = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
        without(&["linked", "description", "destination", "record", "closed_by_person_at"], &mut value);
        let start = row.start.clone().map(|start| StartRequest { description: String::new(), ..start });
        let (destination, record, closed_by_person_at) = (None, None, None);
        let expected = LedgerRow { linked: false, start, destination, record, closed_by_person_at, ..row };
        prop_assert_eq!(serde_json::from_str::<LedgerRow>(&value.to_string()).unwrap(), expected);
    }
}

#[test]
fn a_word_that_is_not_known_is_an_error() {
    let row = |kind: &str| {
        format!(
            r#"{{"sink":"s","destination":null,"incident":{{"vpn":"v","kind":"{kind}","opened":1}},"generation":0,"start":null,"record":null,"told":0,"closed_by_person_at":null,"related":false,"settled":false,"later":7}}"#
        )
    };
    assert!(
        serde_json::from_str::<LedgerRow>(&row("outage")).is_ok(),
        "what a later release adds is passed over"
    );
    let error = serde_json::from_str::<LedgerRow>(&row("drought")).unwrap_err().to_string();
    assert!(error.contains("unknown variant `drought`"), "{error}");
    let error = serde_json::from_str::<LedgerRow>(&row("outage").replace(r#""told":0,"#, ""))
        .unwrap_err()
        .to_string();
    assert!(error.contains("missing field `told`"), "{error}");
}

#[test]
fn the_digest_of_a_minute_never_changes() {
    let rollup = Rollup {
        tunnel: TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, 1].into() },
        minute: Stamp::from_secs(60),
        replies: 59,
        late: 0,
        lost: 1,
        faults: 0,
        rtt: vec![RttBin { mean: Duration::from_micros(12_500), count: 59 }],
        up: Some(true),
        both_ends_down: None,
    };
    // Files in the field hold it.
    assert_eq!(digest(&rollup), DIGEST);
    assert_ne!(digest(&Rollup { replies: 58, ..rollup }), DIGEST);
}

const DIGEST: i64 = 6_144_448_536_726_499_681;

#[test]
fn an_incident_of_a_release_that_did_not_judge_quality_is_read() {
    let mut incident = crate::fixture::incident();
    for tunnel in &mut incident.tunnels {
        (tunnel.quality, tunnel.quality_since) = (Quality::Good, Some(tunnel.local.since));
    }
    let mut value = serde_json::to_value(&incident).unwrap();
    for tunnel in value["tunnels"].as_array_mut().unwrap() {
        let tunnel = tunnel.as_object_mut().unwrap();
        assert!(tunnel.remove("quality").is_some() && tunnel.remove("quality_since").is_some());
    }
    let read = read_incident(&value.to_string(), ANCHOR).unwrap();
    assert!(read.tunnels.iter().all(|it| (it.quality, it.quality_since) == (Quality::Unknown, None)));
    assert_eq!(read.timeline, incident.timeline);
}

/// The body of a row as releases wrote it when every incident was a connection's. It stays as it is.
const OF_A_CONNECTION: &str = r#"{"id":{"vpn":"vpn-1","kind":"outage","opened":1799995000000},"site":"milan-1","vpn_name":"Milan \"HQ\"","state":"open","began":1799994990000,"tunnels":[],"timeline":[{"seq":0,"at":1799995000000,"what":"opened","repeats":0}],"related":{"vpn":"vpn-1","kind":"redundancy_lost","opened":1799990000000},"worsened":2,"revision":3}"#;

#[test]
fn an_incident_of_a_release_that_knew_no_parents_is_read_and_written_as_it_was() {
    let read = read_incident(OF_A_CONNECTION, ANCHOR).unwrap();
    let id = |kind, opened| IncidentId {
        scope: Scope::Connection(VpnId::new("vpn-1")),
        kind,
        opened: Stamp::from_millis(opened),
    };
    let opened = Stamp::from_millis(1_799_995_000_000);
    let expected = Incident {
        id: id(Kind::Outage, 1_799_995_000_000),
        site: "milan-1".into(),
        name: "Milan \"HQ\"".into(),
        state: IncidentState::Open,
        began: Stamp::from_millis(1_799_994_990_000),
        found_at: None,
        withheld: None,
        children: Vec::new(),
        tunnels: Vec::new(),
        timeline: vec![TimelineEntry { seq: 0, at: opened, what: TimelineChange::Opened, repeats: 0 }],
        related: Some(id(Kind::RedundancyLost, 1_799_990_000_000)),
        worsened: 2,
        revision: 3,
    };
    assert_eq!(read, expected);
    assert_eq!(serde_json::to_string(&read).unwrap(), OF_A_CONNECTION);
}
