//! A store's file with a long history of outages, made through the store's own interface: of one connection with two tunnels, each
//! outage some minutes long, as the core reports them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::board::{
    Incident, IncidentId, IncidentState, TimelineChange, TimelineEntry, TunnelSnapshot,
};
use bothends::domain::carrying::Carrying;
use bothends::domain::cause::{Cause, Confidence, Diagnosis};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::{Destination, End, Kind, RecordId, Role, SinkId, SourceKind, TunnelId, VpnId};
use bothends::domain::quality::Quality;
use bothends::domain::rollup::{Rollup, RttBin};
use bothends::domain::side::Side;
use bothends::domain::time::{Moment, Now, Stamp};
use bothends::domain::verdict::{Assessment, AwsEvidence, Evidence, LocalEvidence, Verdict, View, Why};
use bothends::incident::sink::LedgerRow;
use bothends::settings::StoreSettings;
use bothends::store::StoreEngine;

/// When it ends: 2027-01-15T08:00:00Z.
pub const END: Stamp = Stamp::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long an outage lasts; it is paged after ten seconds.
const LASTS: Duration = Duration::from_secs(240);

/// The settings of a store that holds all of it.
pub fn settings(directory: &Path) -> StoreSettings {
    StoreSettings {
        path: directory.join("bothends.db"),
        max_size: 2_000_000_000,
        keep: 400 * DAY,
        spool: false,
    }
}

/// The connection's tunnels.
pub fn tunnels() -> [TunnelId; 2] {
    [1, 2].map(|n| TunnelId { vpn: VpnId::new("vpn-0a1b2c3d4e5f60718"), outside_ip: [203, 0, 113, n].into() })
}

/// Writes that many outages, evenly over that many days until [`END`], and the minutes of the last of these days, up to seven.
/// Each outage is of tunnel 1 alone, and every third one of both.
pub fn write(settings: &StoreSettings, outages: u32, days: u32) -> StoreEngine {
    let span = DAY * days;
    let begin = Now { mono: Moment::ORIGIN, wall: END - span };
    let (mut engine, _) = StoreEngine::open(settings, begin).expect("the directory can be written");
    engine.record(&Fact::Watched { at: begin }, begin);
    for tunnel in tunnels() {
        up(&mut engine, &tunnel, Verdict::Unknown(Why::Starting), begin);
    }
    for n in 0..outages {
        let at = begin.after(span * n / outages + Duration::from_secs(60));
        outage(&mut engine, n, at);
        if n % 500 == 0 {
            engine.commit(at).expect("the disk can be written");
        }
    }
    let end = begin.after(span);
    for minute in (1..=24 * 60 * i64::from(days.min(7))).rev() {
        let minute = Stamp::from_millis(END.minute().as_millis() - minute * 60_000);
        for tunnel in tunnels() {
            engine.record(&Fact::RollupReady(Arc::new(rollup(tunnel, minute))), end);
        }
        if minute.as_millis() % 3_600_000 == 0 {
            engine.commit(end).expect("the disk can be written");
        }
    }
    engine.record(&Fact::Watched { at: end }, end);
    engine.commit(end).expect("the disk can be written");
    engine
}

fn rollup(tunnel: TunnelId, minute: Stamp) -> Rollup {
    let rtt = vec![RttBin { mean: Duration::from_micros(11_900), count: 58 }];
    let (up, both_ends_down) = (Some(true), Some(false));
    Rollup { tunnel, minute, replies: 58, late: 0, lost: 2, faults: 0, rtt, up, both_ends_down }
}

fn local(verdict: Verdict, since: Now) -> View {
    let evidence = LocalEvidence {
        last_reply: Some(since),
        stopped: Some(since),
        losses_in_row: 10,
        first_loss: Some(since),
        last_loss: None,
        replies_in_row: 0,
        loss_percent: Some(100.0),
        median_rtt: Some(Duration::from_micros(11_900)),
        through: None,
    };
    View { verdict, since, evidence: Evidence::Local(evidence) }
}

fn aws(verdict: Verdict, since: Now) -> View {
    let evidence = AwsEvidence {
        source: Some(SourceKind::CloudWatch),
        as_of: Some(since.wall),
        as_of_here: Some(since),
        changed: Some(since.wall),
        words: None,
    };
    View { verdict, since, evidence: Evidence::Aws(evidence) }
}

fn named(cause: Cause) -> Diagnosis {
    Diagnosis { cause, confidence: Confidence::Likely, clues: Vec::new(), lead: None }
}

fn view(engine: &mut StoreEngine, tunnel: &TunnelId, end: End, from: Verdict, view: View, at: Now) {
    engine.record(&Fact::ViewChanged { tunnel: tunnel.clone(), end, from, view, at }, at);
}

fn assessed(
    engine: &mut StoreEngine,
    tunnel: &TunnelId,
    (from, to): (Assessment, Assessment),
    (said, at): ((Verdict, Verdict), Now),
) {
    let (local, aws) = (local(said.0, at), aws(said.1, at));
    let side = Side::Unknown;
    engine.record(&Fact::AssessmentChanged { tunnel: tunnel.clone(), from, to, local, aws, side, at }, at);
}

fn up(engine: &mut StoreEngine, tunnel: &TunnelId, from: Verdict, at: Now) {
    let later = at.after(Duration::from_secs(1));
    view(engine, tunnel, End::Local, from, local(Verdict::Up, at), at);
    let from = if from == Verdict::Down { from } else { Verdict::Unknown(Why::NotAsked) };
    view(engine, tunnel, End::Aws, from, aws(Verdict::Up, later), later);
    let from = if from == Verdict::Down { Assessment::Down } else { Assessment::Blind };
    let said = (Verdict::Up, Verdict::Up);
    assessed(engine, tunnel, (from, Assessment::Healthy), (said, later));
}

fn outage(engine: &mut StoreEngine, n: u32, at: Now) {
    let [first, second] = tunnels();
    let both = [first.clone(), second];
    let concerned = if n.is_multiple_of(3) { &both[..] } else { &both[..1] };
    let after = |secs| at.after(Duration::from_secs(secs));
    for tunnel in concerned {
        view(engine, tunnel, End::Local, Verdict::Up, local(Verdict::Down, after(3)), after(3));
        view(engine, tunnel, End::Aws, Verdict::Up, aws(Verdict::Down, after(9)), after(9));
        let said = (Verdict::Down, Verdict::Down);
        assessed(engine, tunnel, (Assessment::Healthy, Assessment::Down), (said, after(9)));
        let cause = Some(named(Cause::IkeDown));
        engine
            .record(&Fact::CauseChanged { tunnel: tunnel.clone(), from: None, to: cause, at: after(12) }, at);
    }
    let opened = incident(concerned, at.wall, after(10).wall, IncidentState::Open);
    let change = IncidentChange::Opened;
    engine.record(&Fact::IncidentChanged { incident: Arc::clone(&opened), change, at: after(10) }, after(10));
    let row = |settled| LedgerRow {
        sink: SinkId::new("incident_manager"),
        destination: Some(Destination::new("0123")),
        incident: opened.id.clone(),
        generation: 0,
        start: None,
        record: Some(RecordId("arn:aws:ssm-incidents::0123:incident-record/plan/abc".into())),
        sent_upto: 3,
        closed_by_person_at: None,
        related: false,
        linked: true,
        settled,
    };
    engine.commit_row(row(false), after(11));
    let ends = at.after(LASTS);
    for tunnel in concerned {
        up(engine, tunnel, Verdict::Down, ends);
        let cause = Some(named(Cause::IkeDown));
        engine.record(&Fact::CauseChanged { tunnel: tunnel.clone(), from: cause, to: None, at: ends }, ends);
    }
    let settled = ends.after(Duration::from_secs(130));
    let state = IncidentState::Resolved { at: settled.wall };
    engine.commit_row(row(true), settled);
    engine.forget(&SinkId::new("incident_manager"), &opened.id, settled);
    let incident = incident(concerned, at.wall, after(10).wall, state);
    engine.record(&Fact::IncidentSettled { incident, at: settled }, settled);
}

fn incident(concerned: &[TunnelId], began: Stamp, opened: Stamp, state: IncidentState) -> Arc<Incident> {
    let name: Arc<str> = "Milan DC, primary".into();
    let then = Now { mono: Moment::ORIGIN, wall: began };
    let snapshot = |tunnel: TunnelId| {
        let is_down = concerned.contains(&tunnel);
        let (said, assessment) =
            if is_down { (Verdict::Down, Assessment::Down) } else { (Verdict::Up, Assessment::Healthy) };
        TunnelSnapshot {
            id: tunnel,
            name: "tunnel".into(),
            role: Role::Active,
            local: local(said, then),
            aws: aws(said, then),
            assessment,
            carrying: Carrying::of(assessment),
            diagnosis: is_down.then(|| named(Cause::IkeDown)),
            quality: Quality::Unknown,
            quality_since: None,
        }
    };
    let entries = concerned.iter().flat_map(|tunnel| {
        let (tunnel, name) = (tunnel.clone(), Arc::<str>::from("tunnel"));
        let verdict = |end, verdict| TimelineChange::View {
            tunnel: tunnel.clone(),
            name: Arc::clone(&name),
            end,
            verdict,
            as_of: Some(began),
        };
        let cause = TimelineChange::Cause {
            tunnel: tunnel.clone(),
            name: Arc::clone(&name),
            diagnosis: named(Cause::IkeDown),
        };
        let healthy = TimelineChange::Assessment {
            tunnel: tunnel.clone(),
            name: Arc::clone(&name),
            assessment: Assessment::Healthy,
            carrying: Carrying::Carrying,
        };
        [cause, verdict(End::Local, Verdict::Up), verdict(End::Aws, Verdict::Up), healthy]
    });
    let over = match state {
        IncidentState::Open => vec![],
        IncidentState::Resolved { .. } | IncidentState::Unwatched { .. } => {
            vec![TimelineChange::Clearing, TimelineChange::Resolved]
        }
    };
    let changes = [TimelineChange::Opened].into_iter().chain(entries).chain(over);
    let timeline = (0..).zip(changes).map(|(seq, what)| TimelineEntry { seq, at: opened, what, repeats: 0 });
    let kind = if concerned.len() > 1 { Kind::Outage } else { Kind::RedundancyLost };
    Arc::new(Incident {
        id: IncidentId { scope: concerned[0].vpn.clone().into(), kind, opened },
        site: "milan-1".into(),
        name,
        state,
        began,
        found_at: None,
        withheld: None,
        children: Vec::new(),
        tunnels: tunnels().map(snapshot).into(),
        timeline: timeline.collect(),
        related: None,
        worsened: 0,
        revision: 1,
    })
}
