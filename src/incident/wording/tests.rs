use std::time::Duration;

use super::*;
use crate::domain::board::{IncidentId, TunnelSnapshot};
use crate::domain::carrying::Carrying;
use crate::domain::names::{Role, SourceKind, VpnId};
use crate::domain::time::Now;
use crate::domain::verdict::{AwsEvidence, Evidence, LocalEvidence, Loss, View};
use crate::incident::raw_data::{RAW_DATA_MAX, raw_data};
use crate::incident::reconcile::world::settings;
use crate::incident::settings::{SinkRules, VpnSettings};

const OPENED: Stamp = Stamp::from_secs(1_795_348_800);

fn now(secs: u64) -> Now {
    Now::default().after(Duration::from_secs(1_795_348_800 + secs))
}

fn tunnel(last: u8) -> TunnelId {
    TunnelId { vpn: VpnId::new("vpn-0123456789abcdef0"), outside_ip: [203, 0, 113, last].into() }
}

fn snapshot(last: u8, local: Verdict, aws: Verdict, assessment: Assessment) -> TunnelSnapshot {
    let at = now(0);
    TunnelSnapshot {
        diagnosis: None,
        id: tunnel(last),
        name: format!("tunnel {}", last - 10).into(),
        role: Role::Active,
        local: View {
            verdict: local,
            since: at,
            evidence: Evidence::Local(LocalEvidence {
                last_reply: Some(at),
                stopped: None,
                losses_in_row: 10,
                first_loss: Some(at),
                last_loss: Some(Loss::Timeout),
                replies_in_row: 0,
                loss_percent: Some(33.333_333),
                median_rtt: Some(Duration::from_micros(12_345)),
                through: None,
            }),
        },
        aws: View {
            verdict: aws,
            since: at,
            evidence: Evidence::Aws(AwsEvidence {
                source: Some(SourceKind::CloudWatch),
                as_of: Some(OPENED),
                as_of_here: Some(at),
                changed: None,
                words: Some("0.0".into()),
            }),
        },
        assessment,
        carrying: Carrying::of(assessment),
        quality: Default::default(),
        quality_since: None,
    }
}

fn incident(kind: Kind, tunnels: Vec<TunnelSnapshot>) -> Incident {
    Incident {
        id: IncidentId { scope: VpnId::new("vpn-0123456789abcdef0").into(), kind, opened: OPENED },
        site: "milan-1".into(),
        name: "Milan DC, primary".into(),
        state: IncidentState::Open,
        began: Stamp::from_millis(OPENED.as_millis() - 30_500),
        found_at: None,
        withheld: None,
        children: Vec::new(),
        tunnels,
        timeline: vec![TimelineEntry { seq: 0, at: OPENED, what: TimelineChange::Opened, repeats: 0 }],
        related: None,
        worsened: 0,
        revision: 1,
    }
}

fn both_down() -> Vec<TunnelSnapshot> {
    vec![
        snapshot(11, Verdict::Down, Verdict::Down, Assessment::Down),
        snapshot(12, Verdict::Down, Verdict::Up, Assessment::Disputed(End::Local)),
    ]
}

fn entry(what: TimelineChange, repeats: u32) -> TimelineEntry {
    TimelineEntry { seq: 1, at: OPENED, what, repeats }
}

#[test]
fn a_title_names_site_connection_kind_and_the_tunnels_that_are_down() {
    let one = vec![
        snapshot(11, Verdict::Down, Verdict::Down, Assessment::Down),
        snapshot(12, Verdict::Up, Verdict::Up, Assessment::Healthy),
    ];
    let aws = vec![
        snapshot(11, Verdict::Up, Verdict::Down, Assessment::Disputed(End::Aws)),
        snapshot(12, Verdict::Up, Verdict::Down, Assessment::Disputed(End::Aws)),
    ];
    let each = vec![
        snapshot(11, Verdict::Down, Verdict::Up, Assessment::Disputed(End::Local)),
        snapshot(12, Verdict::Up, Verdict::Down, Assessment::Disputed(End::Aws)),
    ];
    let titles = [
        title(&incident(Kind::Outage, both_down())),
        title(&incident(Kind::RedundancyLost, one)),
        title(&incident(Kind::OneSided, aws)),
        title(&incident(Kind::OneSided, each)),
        title(&incident(Kind::Outage, Vec::new())),
    ];
    insta::assert_snapshot!(titles.join("\n"), @"
    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) down
    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): redundancy lost — tunnel 1 (203.0.113.11) down
    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): one-sided — only AWS says that tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) are down
    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): one-sided — this site says that tunnel 1 (203.0.113.11) is down, AWS says that tunnel 2 (203.0.113.12) is down
    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage
    ");
}

#[test]
fn a_title_shows_the_tunnels_as_they_are_and_not_as_they_were() {
    let mut incident = incident(Kind::RedundancyLost, both_down());
    let down = TimelineChange::Assessment {
        tunnel: tunnel(12),
        name: "tunnel 2".into(),
        assessment: Assessment::Down,
        carrying: Carrying::of(Assessment::Down),
    };
    incident.timeline.push(entry(down, 0));
    assert!(title(&incident).contains("tunnel 2 (203.0.113.12) down"), "{}", title(&incident));
}

#[test]
fn a_long_title_is_cut_to_the_sinks_limit() {
    let mut incident = incident(Kind::Outage, both_down());
    incident.name = "ä".repeat(500).into();
    assert_eq!(title(&incident).chars().count(), TITLE_MAX);
}

#[test]
fn a_note_says_in_words_what_happened() {
    let incident = incident(Kind::Outage, both_down());
    let view = |end, verdict, as_of| TimelineChange::View {
        tunnel: tunnel(11),
        name: "tunnel 1".into(),
        end,
        verdict,
        as_of,
    };
    let notes: Vec<String> = [
        entry(view(End::Aws, Verdict::Up, Some(OPENED)), 0),
        entry(view(End::Local, Verdict::Down, None), 3),
        entry(TimelineChange::Reopened, 0),
        entry(TimelineChange::Unwatched, 0),
    ]
    .iter()
    .map(|entry| note(&incident, entry, 1))
    .collect();
    insta::assert_snapshot!(notes.join("\n"), @"
    milan-1: tunnel 1 (203.0.113.11): AWS says up, as of 2026-11-22 12:00:00 UTC
    milan-1: tunnel 1 (203.0.113.11): this site says down (and 3 times before)
    milan-1: it is not over after all
    milan-1: no longer watched: the connection was removed from this site's configuration. This record stays open: close it by hand
    ");
}

#[test]
fn a_site_that_joins_a_record_says_how_it_sees_the_tunnels() {
    let incident = incident(Kind::Outage, both_down());
    insta::assert_snapshot!(joining_note(&incident), @"
    milan-1: outage also seen by this site, since 2026-11-22 11:59:29 UTC
    tunnel 1 (203.0.113.11): this site says down, AWS says down
    tunnel 2 (203.0.113.12): this site says down, AWS says up
    ");
}

fn rules(vpn: VpnSettings) -> SinkRules {
    let mut rules = settings("milan-1");
    rules.vpns = [(tunnel(11).vpn, vpn)].into();
    rules
}

#[test]
fn the_evidence_is_json_with_both_ends_of_every_tunnel() {
    let vpn = VpnSettings {
        region: "eu-west-1".into(),
        runbook_url: Some("https://wiki.example/vpn".into()),
        notes: Some("Ring the carrier first.".into()),
        ..VpnSettings::default()
    };
    let data = raw_data(&incident(Kind::Outage, both_down()), &rules(vpn), 0);
    let json: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!(json["tunnels"].as_array().unwrap().len(), 2);
    insta::assert_snapshot!(data.replace("},{", "},\n{"), @r#"
    {"site":"milan-1","scope":"connection","scope_name":"Milan DC, primary","vpn_id":"vpn-0123456789abcdef0","vpn_name":"Milan DC, primary","kind":"outage","began":"2026-11-22T11:59:29.5Z","opened":"2026-11-22T12:00:00Z","runbook_url":"https://wiki.example/vpn","notes":"Ring the carrier first.","tunnels":[{"name":"tunnel 1","outside_ip":"203.0.113.11","role":"active","assessment":"down","local":{"verdict":"down","since":"2026-11-22T12:00:00Z","last_reply":"2026-11-22T12:00:00Z","losses_in_row":10,"first_loss":"2026-11-22T12:00:00Z","last_loss":"timeout","replies_in_row":0,"loss_percent":33.3,"median_rtt_ms":12.345},"aws":{"verdict":"down","since":"2026-11-22T12:00:00Z","source":"cloudwatch","as_of":"2026-11-22T12:00:00Z","words":"0.0"}},
    {"name":"tunnel 2","outside_ip":"203.0.113.12","role":"active","assessment":"disputed","local":{"verdict":"down","since":"2026-11-22T12:00:00Z","last_reply":"2026-11-22T12:00:00Z","losses_in_row":10,"first_loss":"2026-11-22T12:00:00Z","last_loss":"timeout","replies_in_row":0,"loss_percent":33.3,"median_rtt_ms":12.345},"aws":{"verdict":"up","since":"2026-11-22T12:00:00Z","source":"cloudwatch","as_of":"2026-11-22T12:00:00Z","words":"0.0"}}],"children":[]}
    "#);
}

#[test]
fn evidence_that_does_not_fit_loses_details_then_tunnels_and_stays_json() {
    for count in [1_u8, 30, 90, 240] {
        let tunnels = (0..count)
            .map(|n| {
                let mut tunnel = snapshot(11, Verdict::Down, Verdict::Down, Assessment::Down);
                tunnel.id.outside_ip = [203, 0, 113, n].into();
                tunnel
            })
            .collect();
        let mut incident = incident(Kind::Outage, tunnels);
        incident.name = "\u{1}".repeat(10_000).into();
        let notes = Some("\"".repeat(10_000).into());
        let vpn = VpnSettings { region: "eu-west-1".into(), notes, ..VpnSettings::default() };
        let data = raw_data(&incident, &rules(vpn), 1);
        assert!(data.len() <= RAW_DATA_MAX, "{} bytes", data.len());
        let json: serde_json::Value = serde_json::from_str(&data).unwrap();
        let told = json["tunnels"].as_array().unwrap().len() as u64;
        let left_out = json.get("tunnels_left_out").and_then(serde_json::Value::as_u64).unwrap_or(0);
        assert_eq!(told + left_out, u64::from(count));
        assert!(json["tunnels"][0].get("name").is_some());
    }
}
