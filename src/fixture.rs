//! A status for tests: one connection, tunnel 1 cut, tunnel 2 healthy, an incident open.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::board::{
    Child, Incident, IncidentId, IncidentState, TimelineChange, TimelineEntry, Trouble, TunnelSnapshot,
    Withheld,
};
use crate::domain::carrying::{CannotTell, Carrying};
use crate::domain::cause::{Cause, Clue, Confidence, Diagnosis};
use crate::domain::maintenance::MaintenanceState;
use crate::domain::names::{
    AwsPlace, CheckKind, End, Kind, Role, Routing, SourceId, SourceKind, TunnelId, VpnId,
};
use crate::domain::quality::{Bound, Degradation, Measured, Quality};
use crate::domain::scope::{ParentId, ParentKind, ParentState, Scope};
use crate::domain::sensor::{Finding, Path, Reach, SensorKind, Unavailable};
use crate::domain::silence::{FromNow, Silence, SilenceId, SilenceScope};
use crate::domain::status::{
    CheckStatus, ParentStatus, Phase, SensorStatus, SourceStatus, Status, TunnelStatus, VpnStatus,
};
use crate::domain::time::{Moment, Now, Stamp};
use crate::domain::verdict::{Assessment, AwsEvidence, Evidence, LocalEvidence, Loss, Verdict, View, Why};

/// 2025-11-22T03:12:00Z, 100 s after the origin.
pub(crate) fn start() -> Now {
    Now { mono: Moment::from_nanos(100_000_000_000), wall: Stamp::from_secs(1_763_781_120) }
}

pub(crate) fn after(seconds: u64) -> Now {
    start().after(Duration::from_secs(seconds))
}

pub(crate) fn tunnel(n: u8) -> TunnelId {
    TunnelId { vpn: vpn(), outside_ip: IpAddr::from([203, 0, 113, 10 + n]) }
}

pub(crate) fn vpn() -> VpnId {
    VpnId::new("vpn-0123456789abcdef0")
}

pub(crate) fn local_down() -> View {
    View {
        verdict: Verdict::Down,
        since: after(7),
        evidence: Evidence::Local(LocalEvidence {
            last_reply: Some(after(3)),
            stopped: Some(after(3)),
            losses_in_row: 10,
            first_loss: Some(after(4)),
            last_loss: Some(Loss::Timeout),
            replies_in_row: 0,
            loss_percent: Some(100.0),
            median_rtt: Some(Duration::from_micros(12_340)),
            through: None,
        }),
    }
}

pub(crate) fn local_up() -> View {
    View {
        verdict: Verdict::Up,
        since: start(),
        evidence: Evidence::Local(LocalEvidence {
            last_reply: Some(after(29)),
            replies_in_row: 29,
            loss_percent: Some(0.0),
            median_rtt: Some(Duration::from_micros(11_900)),
            ..LocalEvidence::default()
        }),
    }
}

pub(crate) fn aws(verdict: Verdict) -> View {
    let (words, as_of) = match verdict {
        Verdict::Up => (Some("TunnelState 1"), Some(after(10).wall)),
        Verdict::Down => (Some("TunnelState 0"), Some(after(10).wall)),
        Verdict::Unknown(Why::Stale) => (Some("TunnelState 1"), Some(Stamp::from_secs(1_763_694_660))),
        Verdict::Unknown(_) => (None, None),
    };
    View {
        verdict,
        since: after(12),
        evidence: Evidence::Aws(AwsEvidence {
            source: as_of.map(|_| SourceKind::CloudWatch),
            as_of,
            as_of_here: as_of.map(|_| after(10)),
            changed: as_of.map(|_| after(9).wall),
            words: words.map(Arc::from),
        }),
    }
}

/// The path to AWS is broken.
pub(crate) fn path_broken() -> Diagnosis {
    Diagnosis {
        cause: Cause::PathToAws,
        confidence: Confidence::Certain,
        clues: vec![
            Clue::OutsideSilent,
            Clue::ReferencesAnswer,
            Clue::PathEndsAt { hop: 4, address: [198, 51, 100, 9].into() },
        ],
        lead: None,
    }
}

pub(crate) fn incident() -> Incident {
    let entry = |seq, seconds, what| TimelineEntry { seq, at: after(seconds).wall, what, repeats: 0 };
    Incident {
        id: IncidentId { scope: vpn().into(), kind: Kind::RedundancyLost, opened: after(20).wall },
        site: "milan-1".into(),
        name: "Milan DC, primary".into(),
        state: IncidentState::Open,
        began: after(12).wall,
        found_at: None,
        withheld: None,
        children: Vec::new(),
        tunnels: vec![
            TunnelSnapshot {
                diagnosis: None,
                id: tunnel(1),
                name: "tunnel 1".into(),
                role: Role::Active,
                local: local_down(),
                aws: aws(Verdict::Down),
                assessment: Assessment::Down,
                carrying: Carrying::of(Assessment::Down),
                quality: Default::default(),
                quality_since: None,
            },
            TunnelSnapshot {
                diagnosis: None,
                id: tunnel(2),
                name: "tunnel 2".into(),
                role: Role::Standby,
                local: local_up(),
                aws: aws(Verdict::Up),
                assessment: Assessment::Healthy,
                carrying: Carrying::of(Assessment::Healthy),
                quality: Default::default(),
                quality_since: None,
            },
        ],
        timeline: vec![
            entry(0, 20, TimelineChange::Opened),
            entry(
                1,
                25,
                TimelineChange::View {
                    tunnel: tunnel(2),
                    name: "tunnel 2".into(),
                    end: End::Aws,
                    verdict: Verdict::Unknown(Why::Stale),
                    as_of: Some(after(10).wall),
                },
            ),
            entry(
                2,
                25,
                TimelineChange::Assessment {
                    tunnel: tunnel(2),
                    name: "tunnel 2".into(),
                    assessment: Assessment::Blind,
                    carrying: Carrying::CannotTell(CannotTell::AwsUnknown),
                },
            ),
        ],
        related: None,
        worsened: 0,
        revision: 3,
    }
}

/// The uplink of two connections.
pub(crate) fn uplink() -> ParentId {
    ParentId { kind: ParentKind::Uplink, site: "milan-1".into(), name: "wan1".into() }
}

/// The uplink of the connection and of another is cut; the other works again. A silence withholds it.
pub(crate) fn incident_of_uplink() -> Incident {
    let trouble = Trouble { kind: Some(Kind::Outage), since: after(12).wall, cause: Some(Cause::PathToAws) };
    let [first, second] = ["Milan DC, primary", "Paris"].map(Arc::from);
    let other = VpnId::new("vpn-0fedcba9876543210");
    let entry = |seq, seconds, what| TimelineEntry { seq, at: after(seconds).wall, what, repeats: 0 };
    Incident {
        id: IncidentId { scope: Scope::Parent(uplink()), kind: Kind::Outage, opened: after(20).wall },
        name: "wan1".into(),
        withheld: Some(Withheld::Silenced(SilenceId(7))),
        children: vec![
            Child { vpn: vpn(), name: Arc::clone(&first), trouble: Some(trouble) },
            Child { vpn: other, name: Arc::clone(&second), trouble: None },
        ],
        tunnels: Vec::new(),
        timeline: vec![
            entry(0, 20, TimelineChange::Opened),
            entry(1, 20, TimelineChange::Withheld { by: Withheld::Silenced(SilenceId(7)) }),
            entry(
                2,
                25,
                TimelineChange::Children { down: vec![first], back: vec![second], troubled: 1, of: 2 },
            ),
        ],
        ..incident()
    }
}

/// The uplink of four connections is down: two of them do not carry traffic, the third has no incident so far.
pub(crate) fn uplink_incident() -> Incident {
    let trouble = |kind| Trouble { kind, since: after(3).wall, cause: Some(Cause::UplinkDown) };
    let child = |vpn: &str, name: &str, trouble| Child { vpn: VpnId::new(vpn), name: name.into(), trouble };
    let opened = TimelineEntry { seq: 0, at: after(20).wall, what: TimelineChange::Opened, repeats: 0 };
    Incident {
        id: IncidentId { scope: Scope::Parent(uplink()), kind: Kind::Outage, opened: after(20).wall },
        name: "wan1".into(),
        tunnels: Vec::new(),
        children: vec![
            child(vpn().as_str(), "Milan DC, primary", Some(trouble(Some(Kind::Outage)))),
            child("vpn-0b", "Paris", Some(trouble(Some(Kind::Outage)))),
            child("vpn-0c", "Rome", Some(trouble(None))),
            child("vpn-0d", "Turin", None),
        ],
        timeline: vec![opened],
        ..incident()
    }
}

/// Tunnel 1 is slower than usual.
pub(crate) const fn slow() -> Degradation {
    Degradation::Latency {
        rtt: Duration::from_micros(212_345),
        bound: Bound::Usual(Duration::from_micros(11_900)),
    }
}

/// Taken 30 s in, with AWS's evidence 20 s old.
pub(crate) fn status() -> Status {
    let check = |verdict, suspect| CheckStatus {
        kind: CheckKind::Inside,
        votes: true,
        verdict,
        suspect,
        asked: true,
        ticks_skipped: 0,
        fresh_client: crate::domain::clients::Fresh::Works,
    };
    let tunnels = vec![
        TunnelStatus {
            diagnosis: Some(path_broken()),
            diagnosed_since: after(14),
            sensors: vec![
                SensorStatus {
                    kind: SensorKind::Bgp,
                    as_of: Some(after(28)),
                    last: Some(Finding::Bgp(Err(Unavailable::Denied))),
                },
                SensorStatus {
                    kind: SensorKind::Path,
                    as_of: Some(after(29)),
                    last: Some(Finding::Path(Ok(Path {
                        outside: Reach::Silent,
                        references: vec![(
                            [192, 0, 2, 1].into(),
                            Reach::Answers { rtt: Duration::from_millis(3) },
                        )],
                        interface: None,
                    }))),
                },
            ],
            id: tunnel(1),
            name: "tunnel 1".into(),
            role: Role::Active,
            uplink: Some("wan1".into()),
            local: local_down(),
            aws: aws(Verdict::Down),
            assessment: Assessment::Down,
            carrying: Carrying::of(Assessment::Down),
            quality: Quality::Unknown,
            measured: Measured::default(),
            assessed_since: after(12),
            aws_evidence_age: Duration::from_secs(20),
            accepted_routes: None,
            maintenance: MaintenanceState::NotAsked,
            checks: vec![check(Verdict::Down, false)],
            silenced: None,
        },
        TunnelStatus {
            diagnosis: None,
            diagnosed_since: start(),
            sensors: Vec::new(),
            id: tunnel(2),
            name: "tunnel 2".into(),
            role: Role::Standby,
            uplink: None,
            local: local_up(),
            aws: aws(Verdict::Unknown(Why::NotAsked)),
            assessment: Assessment::Blind,
            carrying: Carrying::CannotTell(CannotTell::AwsUnknown),
            quality: Quality::Good,
            measured: Measured {
                loss_percent: Some(0.0),
                rtt: Some(Duration::from_micros(11_900)),
                jitter: Some(Duration::from_micros(400)),
                usual_rtt: Some(Duration::from_micros(11_700)),
                usual_jitter: Some(Duration::from_micros(350)),
            },
            assessed_since: after(12),
            aws_evidence_age: Duration::from_secs(30),
            accepted_routes: None,
            maintenance: MaintenanceState::NotAsked,
            checks: vec![check(Verdict::Up, false)],
            silenced: None,
        },
    ];
    let source = SourceId {
        kind: SourceKind::CloudWatch,
        place: AwsPlace { region: Some("eu-west-1".into()), role_arn: None },
    };
    Status {
        at: after(30),
        site: "milan-1".into(),
        vpns: vec![VpnStatus {
            id: vpn(),
            name: "Milan DC, primary".into(),
            routing: Routing::Bgp,
            tunnels,
            stale_after: Duration::from_secs(600),
            sources: vec![source.clone()],
            phases: vec![
                (Kind::Outage, Phase::Clear),
                (Kind::RedundancyLost, Phase::Open),
                (Kind::OneSided, Phase::Clear),
            ],
        }],
        incidents: vec![Arc::new(incident())],
        parents: Vec::new(),
        is_date_confirmed: true,
        silences: Arc::default(),
        sources: vec![SourceStatus {
            id: source,
            last_answer: Some(after(12)),
            refusals_in_row: 0,
            cut_off: false,
        }],
    }
}

/// The same with what its connections share: the uplink is down and its incident explains the connection's; the connection's group
/// is silenced.
pub(crate) fn site() -> Status {
    let parent = |kind, name: &str, state, phase| ParentStatus {
        id: ParentId { kind, site: "milan-1".into(), name: name.into() },
        state,
        since: after(7),
        vpns: vec![(vpn(), "Milan DC, primary".into()), (VpnId::new("vpn-0b"), "Paris".into())],
        phases: vec![
            (Kind::Outage, phase),
            (Kind::RedundancyLost, Phase::Clear),
            (Kind::OneSided, Phase::Clear),
        ],
    };
    let explained = Incident { withheld: Some(Withheld::Explained(uplink())), ..incident() };
    Status {
        parents: vec![
            parent(ParentKind::Group, "hubs", ParentState::Up, Phase::Clear),
            parent(ParentKind::Uplink, "wan1", ParentState::Down, Phase::Open),
            parent(ParentKind::Site, "milan-1", ParentState::Unknown, Phase::Clear),
        ],
        silences: [silence()].into(),
        incidents: vec![Arc::new(uplink_incident()), Arc::new(explained)],
        ..status()
    }
}

/// From 10 s to an hour after the start.
pub(crate) fn silence() -> Silence {
    Silence {
        id: SilenceId(3),
        of: SilenceScope::Parent(ParentId {
            kind: ParentKind::Group,
            site: "milan-1".into(),
            name: "hubs".into(),
        }),
        from: after(10).wall,
        until: after(3600).wall,
        weekly: Some("Europe/Rome".into()),
        reason: "change 4711".into(),
        by: 1000,
        added: start().wall,
        from_now: FromNow::default(),
    }
}

/// Compares a published JSON Schema, by its path in the repository, with what the type says; with BOTHENDS_WRITE=1 writes it.
pub(crate) fn schema_of<T: schemars::JsonSchema>(path: &str) {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let made = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let file = in_repository(path);
    if std::env::var_os("BOTHENDS_WRITE").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let published = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(published == made, "{path} is out of date: BOTHENDS_WRITE=1 cargo test --lib schema");
}

/// What is wrong with the value by a published JSON Schema, as an independent validator says; empty if it is valid.
pub(crate) fn schema_errors(path: &str, value: &serde_json::Value) -> String {
    let schema = serde_json::from_str(&std::fs::read_to_string(in_repository(path)).unwrap()).unwrap();
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("http://localhost/schema.json", schema).unwrap();
    let schema = compiler.compile("http://localhost/schema.json", &mut schemas).unwrap();
    schemas.validate(value, schema).err().map(|error| format!("{error:#}")).unwrap_or_default()
}

fn in_repository(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
