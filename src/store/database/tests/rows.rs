//! The rows as they are on disks in the field: `rows.sql` holds them to the byte. What is there never changes; a release that
//! writes a row in another way adds rows to it, and reads these as they are.

use std::fmt::Write as _;

use rusqlite::Connection;

use super::*;
use crate::domain::board::{Child, IncidentState, Trouble, TunnelSnapshot, Withheld};
use crate::domain::carrying::{CannotTell, Carrying, NotCarrying};
use crate::domain::cause::{Cause, Confidence, Diagnosis};
use crate::domain::fact::{Fact, IncidentChange};
use crate::domain::names::{Destination, Kind, Role, SinkId, SourceKind, VpnId};
use crate::domain::rollup::RttBin;
use crate::domain::scope::{ParentId, ParentKind, Scope};
use crate::domain::side::Side;
use crate::domain::silence::SilenceId;
use crate::domain::verdict::{Assessment, Fault, Loss};
use crate::incident::sink::{LedgerRow, RecordId, RecordScope, StartRequest};
use crate::store::engine::StoreEngine;
use crate::store::fixture::{on_disk, settings};
use crate::store::schema;

const ROWS: &str = include_str!("rows.sql");

/// Table, and what its rows are ordered by.
const TABLES: [(&str, &str); 8] = [
    ("tunnel", "id"),
    ("seen_up", "tunnel, \"end\", check_kind, inside_ip"),
    ("incident", "vpn, kind, opened"),
    ("ledger", "sink, vpn, kind, opened, generation"),
    ("transition", "id"),
    ("rollup", "minute, tunnel, digest"),
    ("watched", "began"),
    ("paged", "vpn, kind, opened, sink"),
];

/// Every row, as the statement that inserts it.
fn dump(connection: &Connection) -> String {
    let mut text = String::new();
    for (table, order) in TABLES {
        let columns: Vec<String> =
            rows(connection, "SELECT name FROM pragma_table_info(?1)", [table], |row| row.get(0)).unwrap();
        let quoted: Vec<_> = columns.iter().map(|column| format!("quote(\"{column}\")")).collect();
        let query = format!("SELECT {} FROM \"{table}\" ORDER BY {order}", quoted.join(" || ', ' || "));
        let names: Vec<_> = columns.iter().map(|column| format!("\"{column}\"")).collect();
        let values: Vec<String> = rows(connection, &query, [], |row| row.get(0)).unwrap();
        for values in values {
            writeln!(text, "INSERT INTO \"{table}\" ({}) VALUES ({values});", names.join(", ")).unwrap();
        }
    }
    text
}

fn ago(secs: u64) -> Now {
    let ago = Duration::from_secs(secs);
    Now { mono: NOW.mono - ago, wall: NOW.wall - ago }
}

fn second() -> TunnelId {
    TunnelId { vpn: VpnId::new("vpn-2"), outside_ip: "2001:db8::1".parse().unwrap() }
}

const FAULTS: [Fault; 7] = [
    Fault::NoPermission,
    Fault::NoMemory,
    Fault::QueueFull,
    Fault::TooManyFiles,
    Fault::AddressMissing,
    Fault::HeldUp,
    Fault::Socket(-5),
];

fn verdicts() -> Vec<Verdict> {
    let whys = [
        Why::Starting,
        Why::NeverAnswered,
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
    let unknown = whys.into_iter().chain(FAULTS.map(Why::Fault)).map(Verdict::Unknown);
    [Verdict::Up, Verdict::Down].into_iter().chain(unknown).collect()
}

fn carryings() -> Vec<Carrying> {
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
    [Carrying::Carrying].into_iter().chain(not).chain(cannot_tell.map(Carrying::CannotTell)).collect()
}

/// A view of our end; every third one has no evidence yet.
fn local(verdict: Verdict, n: u64) -> View {
    let loss = [Loss::Timeout, Loss::NoPath, Loss::Blocked][usize::try_from(n % 3).unwrap()];
    let evidence = LocalEvidence {
        last_reply: Some(ago(300 + n)),
        stopped: Some(ago(299 + n)),
        losses_in_row: 7,
        first_loss: Some(ago(298)),
        last_loss: Some(loss),
        replies_in_row: 9,
        loss_percent: Some(100.0 / 3.0),
        median_rtt: Some(Duration::from_nanos(12_345_678_901)),
        through: None,
    };
    let evidence = if n % 3 == 2 { LocalEvidence::default() } else { evidence };
    View { verdict, since: ago(100 + n), evidence: Evidence::Local(evidence) }
}

/// A view of AWS's end, likewise.
fn aws(verdict: Verdict, n: u64) -> View {
    let evidence = AwsEvidence {
        source: Some(if n.is_multiple_of(2) { SourceKind::CloudWatch } else { SourceKind::Ec2 }),
        as_of: Some(ago(120).wall),
        as_of_here: Some(ago(119)),
        changed: Some(ago(7200).wall),
        words: Some("IPSEC IS \"UP\", it's ü\n".into()),
    };
    let evidence = if n % 3 == 2 { AwsEvidence::default() } else { evidence };
    View { verdict, since: ago(110 + n), evidence: Evidence::Aws(evidence) }
}

fn at<T: Clone>(list: &[T], n: usize) -> T {
    list[n % list.len()].clone()
}

fn snapshots() -> Vec<TunnelSnapshot> {
    let verdicts = verdicts();
    let snapshot = |(n, carrying): (usize, Carrying)| TunnelSnapshot {
        diagnosis: None,
        id: if n % 2 == 0 { tunnel() } else { second() },
        name: format!("tunnel {n}").into(),
        role: at(&[Role::Active, Role::Standby, Role::Unused], n),
        local: local(at(&verdicts, n), u64::try_from(n).unwrap()),
        aws: aws(at(&verdicts, n + 11), u64::try_from(n).unwrap()),
        assessment: at(&Assessment::ALL, n),
        carrying,
        quality: Default::default(),
        quality_since: None,
    };
    carryings().into_iter().enumerate().map(snapshot).collect()
}

fn timeline() -> Vec<TimelineEntry> {
    let plain = [
        TimelineChange::Opened,
        TimelineChange::Adopted { sink: SinkId::new("incident_manager") },
        TimelineChange::Confirmed,
        TimelineChange::Clearing,
        TimelineChange::Reopened,
        TimelineChange::Resolved,
        TimelineChange::Unwatched,
        TimelineChange::HandedOver,
        TimelineChange::Missed,
    ];
    let views = verdicts().into_iter().enumerate().map(|(n, verdict)| TimelineChange::View {
        tunnel: at(&[tunnel(), second()], n),
        name: "tunnel 1".into(),
        end: at(&[End::Local, End::Aws], n),
        verdict,
        as_of: (n % 2 == 1).then(|| ago(60).wall),
    });
    let assessments = carryings().into_iter().enumerate().map(|(n, carrying)| TimelineChange::Assessment {
        tunnel: tunnel(),
        name: "tunnel 1".into(),
        assessment: at(&Assessment::ALL, n),
        carrying,
    });
    let all = plain.into_iter().chain(views).chain(assessments);
    let entry = |(seq, what)| TimelineEntry { seq, at: ago(50).wall, what, repeats: seq % 3 };
    (0..).zip(all).map(entry).collect()
}

/// Of each kind and in each state. The last two are settled.
fn incidents() -> [Arc<Incident>; 4] {
    let id = |kind, secs| IncidentId { scope: VpnId::new("vpn-1").into(), kind, opened: ago(secs).wall };
    let full = Incident {
        id: id(Kind::Outage, 100),
        site: "milan-1".into(),
        name: "Milan \"HQ\"".into(),
        state: IncidentState::Open,
        began: ago(103).wall,
        found_at: Some(SinkId::new("webhook")),
        withheld: None,
        children: Vec::new(),
        tunnels: snapshots(),
        timeline: timeline(),
        related: Some(id(Kind::RedundancyLost, 200)),
        worsened: 2,
        revision: u64::MAX,
    };
    let entry = |what| vec![TimelineEntry { seq: 0, at: ago(200).wall, what, repeats: 0 }];
    let bare = Incident {
        id: id(Kind::RedundancyLost, 200),
        state: IncidentState::Resolved { at: ago(90).wall },
        found_at: None,
        tunnels: vec![],
        timeline: vec![],
        related: None,
        ..full.clone()
    };
    let unwatched = Incident {
        id: id(Kind::OneSided, 300),
        state: IncidentState::Unwatched { at: ago(80).wall },
        timeline: entry(TimelineChange::Unwatched),
        ..bare.clone()
    };
    let missed = Incident {
        id: id(Kind::Outage, 5000),
        state: IncidentState::Resolved { at: ago(4000).wall },
        timeline: entry(TimelineChange::Missed),
        ..bare.clone()
    };
    [full, bare, unwatched, missed].map(Arc::new)
}

fn parents() -> [ParentId; 3] {
    let id = |kind, name: &str| ParentId { kind, site: "milan-1".into(), name: name.into() };
    [id(ParentKind::Group, "paris"), id(ParentKind::Uplink, "wan1"), id(ParentKind::Site, "milan-1")]
}

/// Of a parent, and of a connection that it explains.
fn of_a_parent() -> [Arc<Incident>; 2] {
    let [group, uplink, site] = parents();
    let changes = [
        TimelineChange::Opened,
        TimelineChange::Withheld { by: Withheld::Explained(site) },
        TimelineChange::Withheld { by: Withheld::Explained(group) },
        TimelineChange::Children {
            down: vec!["Milan \"HQ\"".into(), "Paris".into()],
            back: vec!["Rome".into()],
            troubled: 2,
            of: 3,
        },
        TimelineChange::Withheld { by: Withheld::Silenced(SilenceId(u32::MAX)) },
        TimelineChange::Released,
    ];
    let entry = |(seq, what)| TimelineEntry { seq, at: ago(50).wall, what, repeats: 0 };
    let child = |n: u8, trouble| Child {
        vpn: VpnId::new(format!("vpn-{n}")),
        name: format!("it's {n}").into(),
        trouble,
    };
    let known =
        Trouble { kind: Some(Kind::RedundancyLost), since: ago(160).wall, cause: Some(Cause::PathToAws) };
    let unknown = Trouble { kind: None, since: ago(155).wall, cause: None };
    let parent = Incident {
        id: IncidentId { scope: Scope::Parent(uplink.clone()), kind: Kind::Outage, opened: ago(150).wall },
        site: "milan-1".into(),
        name: "wan1".into(),
        state: IncidentState::Open,
        began: ago(160).wall,
        found_at: None,
        withheld: Some(Withheld::Silenced(SilenceId(7))),
        children: vec![child(1, Some(known)), child(2, Some(unknown)), child(3, None)],
        tunnels: vec![],
        timeline: (0..).zip(changes).map(entry).collect(),
        related: None,
        worsened: 0,
        revision: 9,
    };
    let explained = Incident {
        id: IncidentId { scope: VpnId::new("vpn-2").into(), kind: Kind::Outage, opened: ago(140).wall },
        name: "it's 2".into(),
        withheld: Some(Withheld::Explained(uplink)),
        children: vec![],
        timeline: vec![],
        related: Some(parent.id.clone()),
        ..parent.clone()
    };
    [parent, explained].map(Arc::new)
}

fn ledger() -> [LedgerRow; 4] {
    let [full, bare, ..] = incidents();
    let [parent, _] = of_a_parent();
    let start = |kind| StartRequest {
        scope: RecordScope {
            of: VpnId::new("vpn-1").into(),
            kind,
            plan: "arn:plan".into(),
            source: "bothends.milan-1".into(),
            resource: "arn:vpn-1".into(),
        },
        client_token: "0123-4567".into(),
        title: "Milan: it's \"down\"".into(),
        impact: 2,
        triggered: ago(100).wall,
        description: "first line\nsecond line".into(),
        raw_data: "{\"a\":1}".into(),
    };
    let adopted = LedgerRow {
        sink: SinkId::new("incident_manager"),
        destination: Some(Destination::new("0123abcd")),
        incident: full.id.clone(),
        generation: 0,
        start: Some(start(Kind::Outage)),
        record: Some(RecordId("arn:record".into())),
        sent_upto: 3,
        closed_by_person_at: Some(2),
        related: true,
        linked: true,
        settled: true,
    };
    let begun = LedgerRow {
        generation: 1,
        start: Some(start(Kind::OneSided)),
        record: None,
        sent_upto: 0,
        closed_by_person_at: None,
        related: false,
        linked: false,
        settled: false,
        ..adopted.clone()
    };
    let of_parent = LedgerRow {
        incident: parent.id.clone(),
        start: Some(StartRequest {
            scope: RecordScope {
                of: parent.id.scope.clone(),
                resource: "bothends:uplink/milan-1/wan1".into(),
                ..start(Kind::Outage).scope
            },
            ..start(Kind::Outage)
        }),
        ..begun.clone()
    };
    let bare = LedgerRow {
        sink: SinkId::new("webhook"),
        destination: None,
        incident: bare.id.clone(),
        generation: 0,
        start: None,
        ..begun.clone()
    };
    [of_parent, adopted, begun, bare]
}

fn transitions() -> Vec<Fact> {
    let verdicts = verdicts();
    let views = verdicts.iter().enumerate().map(|(n, verdict)| {
        let number = u64::try_from(n).unwrap();
        let (end, view) = match n % 2 {
            0 => (End::Aws, aws(*verdict, number)),
            _ => (End::Local, local(*verdict, number)),
        };
        let tunnel = at(&[tunnel(), tunnel(), second()], n);
        Fact::ViewChanged { tunnel, end, from: at(&verdicts, n + 1), view, at: ago(600 - number) }
    });
    let assessments = Assessment::ALL.iter().enumerate().map(|(n, to)| {
        let number = u64::try_from(n).unwrap();
        Fact::AssessmentChanged {
            tunnel: tunnel(),
            from: at(&Assessment::ALL, n + 1),
            to: *to,
            local: local(at(&verdicts, n), number),
            aws: aws(at(&verdicts, n + 1), number),
            side: Side::Unknown,
            at: ago(500 - number),
        }
    });
    let cause = |cause| Diagnosis { cause, confidence: Confidence::Likely, clues: Vec::new(), lead: None };
    let named = [None].into_iter().chain(Cause::ALL.map(Some)).collect::<Vec<_>>();
    let causes = named.iter().enumerate().map(|(n, to)| Fact::CauseChanged {
        tunnel: tunnel(),
        from: at(&named, n + 1).map(cause),
        to: to.map(cause),
        at: ago(400),
    });
    let silences = [(None, Some(7)), (Some(7), Some(u32::MAX)), (Some(u32::MAX), None)];
    let silences = silences.map(|(from, to)| Fact::SilencedChanged {
        tunnel: second(),
        from: from.map(SilenceId),
        to: to.map(SilenceId),
        at: ago(300),
    });
    views.chain(assessments).chain(causes).chain(silences).collect()
}

fn seen() -> [SeenUp; 4] {
    let check = |tunnel| CheckId { tunnel, kind: CheckKind::Inside };
    let key = |ip: &str, own| RouteKey { inside_ip: ip.parse().unwrap(), own };
    let own = |ip: &str, interface: Option<&str>| {
        Some(OwnEnd { source_ip: ip.parse().unwrap(), interface: interface.map(Into::into) })
    };
    [
        SeenUp::Local(check(tunnel()), key("169.254.10.1", own("169.254.10.2", None))),
        SeenUp::Local(check(tunnel()), key("fd00::1", own("fd00::2", Some("vti1")))),
        SeenUp::Local(check(second()), key("169.254.20.1", None)),
        SeenUp::Aws(second()),
    ]
}

/// Unsent ones, newest first; and those that were sent.
fn rollups() -> ([Arc<Rollup>; 2], [Arc<Rollup>; 2]) {
    let of = |minute, tunnel, up, both_ends_down, rtt| {
        Arc::new(Rollup { tunnel, up, both_ends_down, rtt, ..Rollup::clone(&rollup(minute)) })
    };
    let bins = [(1, 2), (12_345_678, 55), (u64::MAX, 1)];
    let bins = bins.map(|(mean, count)| RttBin { mean: Duration::from_nanos(mean), count });
    let unsent = [
        of(-2, tunnel(), Some(true), None, bins.to_vec()),
        of(-3, second(), Some(false), Some(true), vec![]),
    ];
    let sent =
        [of(-4, tunnel(), None, Some(false), bins.to_vec()), of(-5, tunnel(), Some(true), None, vec![])];
    (unsent, sent)
}

/// A store that holds all of it.
fn write_samples(engine: &mut StoreEngine) {
    engine.record(&Fact::Watched { at: ago(700) }, NOW);
    for seen in seen() {
        engine.record(&Fact::SeenUp(seen), NOW);
    }
    let [full, bare, unwatched, missed] = incidents();
    let change = IncidentChange::Updated;
    for incident in [full, bare].into_iter().chain(of_a_parent()) {
        engine.record(&Fact::IncidentChanged { incident, change, at: NOW }, NOW);
    }
    engine.record(&Fact::IncidentSettled { incident: unwatched, at: ago(30) }, NOW);
    engine.record(&Fact::IncidentMissed { incident: missed, at: ago(20) }, NOW);
    ledger().into_iter().for_each(|row| engine.commit_row(row, NOW));
    transitions().iter().for_each(|fact| engine.record(fact, NOW));
    let (unsent, sent) = rollups();
    for rollup in unsent {
        engine.record(&Fact::RollupReady(rollup), NOW);
    }
    engine.sent(&sent, NOW);
    engine.commit(NOW).unwrap();
}

#[test]
fn what_is_written_is_what_the_files_in_the_field_hold_to_the_byte() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    write_samples(&mut engine);
    let written = dump(&on_disk(&settings.path));
    for (written, held) in written.lines().zip(ROWS.lines()) {
        assert_eq!(written, held);
    }
    assert_eq!(written, ROWS);
}

#[test]
fn what_the_files_in_the_field_hold_is_read_as_it_was_meant() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bothends.db");
    let mut connection = Connection::open(&path).unwrap();
    schema::migrate(&mut connection).unwrap();
    connection.execute_batch(ROWS).unwrap();
    drop(connection);

    let database = Database::open(&path, KEEP, MAX_SIZE, NOW).unwrap();
    let Found { mut remembered, ledger: found, silences: _, last_silence: _, unreadable, damage } =
        database.found(NOW).unwrap();
    assert_eq!((unreadable, damage), (vec![], None));
    let [full, bare, unwatched, _missed] = incidents();
    let [parent, explained] = of_a_parent();
    let open = [Arc::clone(&parent), full, Arc::clone(&bare), Arc::clone(&explained)];
    assert_eq!(remembered.incidents, open);
    assert_eq!(found, ledger());
    let mut seen = seen();
    seen.sort();
    remembered.seen_up.sort();
    assert_eq!(remembered.seen_up, seen);
    // The first one says of itself that it was missed, like the last one.
    let openings =
        [unwatched, bare, parent, explained].map(|it| (it.id.scope.clone(), it.id.kind, it.id.opened));
    assert_eq!(remembered.openings, openings);
    let (unsent, _sent) = rollups();
    assert_eq!(database.unsent(NOW.wall, 10).unwrap(), unsent);
    for sent in rollups().1 {
        assert!(!database.is_unsent(&sent).unwrap());
    }

    let changes = transitions();
    let of_our_end: Vec<_> = changes
        .iter()
        .filter_map(|fact| {
            let Fact::ViewChanged { tunnel, end: End::Local, from: _, view, at } = fact else { return None };
            Some((tunnel.clone(), at.wall, view))
        })
        .collect();
    for (tunnel, at, view) in &of_our_end {
        assert!(remembered.said.contains(&(tunnel.clone(), *at, view.verdict)), "{:?}", remembered.said);
    }
    let stopped = of_our_end.iter().find_map(|(_, _, view)| match &view.evidence {
        Evidence::Local(evidence) if view.verdict == Verdict::Down => evidence.stopped.map(|at| at.wall),
        Evidence::Local(_) | Evidence::Aws(_) => None,
    });
    assert_eq!(remembered.stopped, [(tunnel(), stopped.unwrap())]);
}
