//! As people read it: incidents of uplinks, sites and groups, and what was not sent because of one.

use super::super::super::message::{Change, Occasion, compose};
use super::super::super::raw_data::{RAW_DATA_MAX, raw_data};
use super::*;
use crate::domain::board::{Child, Trouble, Withheld};
use crate::domain::scope::{ParentId, ParentKind, Scope};
use crate::domain::silence::SilenceId;
use crate::domain::story::{Scene, Story};
use crate::incident::wording::{self, TITLE_MAX};

fn parent(kind: ParentKind, name: &str) -> ParentId {
    ParentId { kind, site: "milan-1".into(), name: name.into() }
}

/// Connection `n` of a parent: `None` where it is not affected.
fn child(n: u64, trouble: Option<(Option<Kind>, Option<Cause>)>) -> Child {
    let trouble = trouble.map(|(kind, cause)| Trouble { kind, since: after(n % 7).wall, cause });
    Child { vpn: VpnId::new(format!("vpn-{n:017x}")), name: format!("Shop {n}").into(), trouble }
}

fn story(kind: ParentKind, name: &str, of: Kind, children: Vec<Child>) -> Story {
    let id = parent(kind, name);
    let name = Arc::clone(&id.name);
    let scene = Scene { site: "milan-1".into(), name, tunnels: Vec::new(), children, related: None };
    Story::open(Scope::Parent(id), of, scene, after(0))
}

/// An uplink of 60 connections, of which 58 are affected.
fn uplink() -> Story {
    let outage = |cause| Some((Some(Kind::Outage), cause));
    let trouble = |n| match n {
        7 => None,
        8 => None,
        9 => outage(Some(Cause::IkeDown)),
        10 => Some((Some(Kind::RedundancyLost), Some(Cause::UplinkDown))),
        11 => Some((None, None)),
        _ => outage(Some(Cause::UplinkDown)),
    };
    story(ParentKind::Uplink, "wan1", Kind::Outage, (1..=60).map(|n| child(n, trouble(n))).collect())
}

fn site() -> Story {
    let outage = Some((Some(Kind::Outage), Some(Cause::GatewayHost)));
    story(ParentKind::Site, "milan-1", Kind::Outage, (1..=12).map(|n| child(n, outage)).collect())
}

fn group() -> Story {
    let outage = Some((Some(Kind::Outage), Some(Cause::IkeDown)));
    let children = vec![Child { name: "HQ".into(), ..child(1, outage) }, child(2, None)];
    story(ParentKind::Group, "paris", Kind::RedundancyLost, children)
}

fn account(story: &Story) -> Account {
    Account::new(story.incident(), &rules())
}

/// With the connections of every parent here.
fn rules() -> SinkRules {
    let mut rules = settings();
    let common = VpnSettings {
        region: "eu-west-1".into(),
        runbook_url: Some("https://wiki.example.com/vpn".into()),
        ..VpnSettings::default()
    };
    rules.vpns.extend((1..=60).map(|n| (child(n, None).vpn, common.clone())));
    rules
}

fn assert_limits(incident: &Incident, rules: &SinkRules) {
    let account = Account::new(incident, rules);
    assert!(account.title.chars().count() <= TITLE_MAX, "{}", account.title);
    assert!(account.short.len() <= 160 && account.short.is_ascii(), "{}", account.short);
    for max in [DESCRIPTION_MAX, 8000] {
        let text = account.markdown(max);
        assert!(text.len() <= max && text.ends_with(KEPT_CURRENT), "{text}");
    }
    let data = raw_data(incident, rules, 0);
    assert!(data.len() <= RAW_DATA_MAX, "{}", data.len());
    let json: serde_json::Value = serde_json::from_str(&data).unwrap();
    let affected = incident.children.iter().filter(|child| child.trouble.is_some()).count() as u64;
    let shown = json["children"].as_array().unwrap().len() as u64;
    assert_eq!(shown + json["children_left_out"].as_u64().unwrap_or(0), affected);
}

#[test]
fn an_uplink_with_sixty_connections() {
    let account = account(&uplink());
    insta::assert_snapshot!(account.title, @"OUTAGE milan-1: uplink wan1 is down: 58 of 60 connections affected");
    insta::assert_snapshot!(account.short, @"OUTAGE milan-1: uplink wan1 is down: 58 of 60 connections affected. Since 2026-11-22 12:00:00 UTC");
    insta::assert_snapshot!(account.plain(&[]), @"
    OUTAGE milan-1: uplink wan1 is down: 58 of 60 connections affected

    Why: This site's uplink is down (uplink_down: 56)
    Why: IKE is down (ike_down: 1)
    Since 2026-11-22 12:00:00 UTC.
    No traffic flows over 56 of 60 connections; 1 has lost redundancy; 1 has trouble without an incident so far; 2 are not affected.

    Do first:
    1. Look at uplink wan1: its interface and its modem. Neither its references nor AWS answer over it. If both are in order, call its carrier.
    2. `bothends status` on this gateway: what answers over which uplink, and since when?
    3. Leave the connections alone: they come back with the uplink.

    58 of 60 connections are affected, 2 are not:
    - Shop 14 (vpn-0000000000000000e): outage since 2026-11-22 12:00:00 UTC: this site's uplink is down
    - Shop 21 (vpn-00000000000000015): outage since 2026-11-22 12:00:00 UTC: this site's uplink is down
    - Shop 28 (vpn-0000000000000001c): outage since 2026-11-22 12:00:00 UTC: this site's uplink is down
    - Shop 35 (vpn-00000000000000023): outage since 2026-11-22 12:00:00 UTC: this site's uplink is down
    - Shop 42 (vpn-0000000000000002a): outage since 2026-11-22 12:00:00 UTC: this site's uplink is down
    - Shop 49 (vpn-00000000000000031): outage since 2026-11-22 12:00:00 UTC: this site's uplink is down
    - Shop 56 (vpn-00000000000000038): outage since 2026-11-22 12:00:00 UTC: this site's uplink is down
    - Shop 1 (vpn-00000000000000001): outage since 2026-11-22 12:00:01 UTC: this site's uplink is down
    - Shop 15 (vpn-0000000000000000f): outage since 2026-11-22 12:00:01 UTC: this site's uplink is down
    - Shop 22 (vpn-00000000000000016): outage since 2026-11-22 12:00:01 UTC: this site's uplink is down
    - Shop 29 (vpn-0000000000000001d): outage since 2026-11-22 12:00:01 UTC: this site's uplink is down
    - Shop 36 (vpn-00000000000000024): outage since 2026-11-22 12:00:01 UTC: this site's uplink is down
    - Shop 43 (vpn-0000000000000002b): outage since 2026-11-22 12:00:01 UTC: this site's uplink is down
    - Shop 50 (vpn-00000000000000032): outage since 2026-11-22 12:00:01 UTC: this site's uplink is down
    - Shop 57 (vpn-00000000000000039): outage since 2026-11-22 12:00:01 UTC: this site's uplink is down
    - Shop 16 (vpn-00000000000000010): outage since 2026-11-22 12:00:02 UTC: this site's uplink is down
    - Shop 2 (vpn-00000000000000002): outage since 2026-11-22 12:00:02 UTC: this site's uplink is down
    - Shop 23 (vpn-00000000000000017): outage since 2026-11-22 12:00:02 UTC: this site's uplink is down
    - Shop 30 (vpn-0000000000000001e): outage since 2026-11-22 12:00:02 UTC: this site's uplink is down
    - Shop 37 (vpn-00000000000000025): outage since 2026-11-22 12:00:02 UTC: this site's uplink is down
    - and 38 more

    Not sent because of this: the incidents of these connections that it explains. What is still down when this is over is sent then.

    Runbook: https://wiki.example.com/vpn

    Sent by bothends 0.1.0 at site milan-1.
    Shop 14 in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0000000000000000e
    Shop 21 in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-00000000000000015
    Shop 28 in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0000000000000001c
    ");
    insta::assert_snapshot!(account.markdown(DESCRIPTION_MAX), @"
    **OUTAGE milan-1: uplink wan1 is down: 58 of 60 connections affected**

    **Why:** This site's uplink is down (uplink_down: 56)

    **Why:** IKE is down (ike_down: 1)

    Since 2026-11-22 12:00:00 UTC.

    **No traffic flows over 56 of 60 connections; 1 has lost redundancy; 1 has trouble without an incident so far; 2 are not affected.**

    **Do first:**

    1. Look at uplink wan1: its interface and its modem. Neither its references nor AWS answer over it. If both are in order, call its carrier.
    2. `bothends status` on this gateway: what answers over which uplink, and since when?
    3. Leave the connections alone: they come back with the uplink.

    **58 of 60 connections are affected, 2 are not:**

    - Shop 14 (vpn-0000000000000000e): outage since 2026-11-22 12:00:00 UTC: this site's uplink is down
    - Shop 21 (vpn-00000000000000015): outage since 2026-11-22 12:00:00 UTC: this site's uplink is down
    - Shop 28 (vpn-0000000000000001c): outage since 2026-11-22 12:00:00 UTC: this site's uplink is down
    - Shop 35 (vpn-00000000000000023): outage since 2026-11-22 12:00:00 UTC: this site's uplink is down
    - Shop 42 (vpn-0000000000000002a): outage since 2026-11-22 12:00:00 UTC: this site's uplink is down
    - and 53 more

    Not sent because of this: the incidents of these connections that it explains. What is still down when this is over is sent then.

    **Runbook:** https://wiki.example.com/vpn

    Sent by bothends 0.1.0 at site milan-1.

    _Kept current by bothends. Anything written below this line stays._
    ");
    assert_limits(uplink().incident(), &rules());
}

#[test]
fn a_site_of_which_every_connection_is_down() {
    let account = account(&site());
    insta::assert_snapshot!(account.title, @"OUTAGE milan-1: all 12 connections are down");
    insta::assert_snapshot!(account.short, @"OUTAGE milan-1: all 12 connections are down. Since 2026-11-22 12:00:00 UTC");
    insta::assert_snapshot!(account.markdown(8000), @"
    **OUTAGE milan-1: all 12 connections are down**

    **Why:** This gateway's system (gateway_host: 12)

    Since 2026-11-22 12:00:00 UTC.

    **No traffic flows over any of 12 connections.**

    **Do first:**

    1. Look at this gateway itself: `bothends status`, `ip -br addr`, `journalctl -b -p warning`.
    2. Does it reach the Internet (`ping` a host there)? If not, call the carrier.
    3. If it does: is the IPsec daemon running (`systemctl status strongswan`), and what does its log say?

    **All 12 connections are affected:**

    - Shop 7 (vpn-00000000000000007): outage since 2026-11-22 12:00:00 UTC: this gateway's system
    - Shop 1 (vpn-00000000000000001): outage since 2026-11-22 12:00:01 UTC: this gateway's system
    - Shop 8 (vpn-00000000000000008): outage since 2026-11-22 12:00:01 UTC: this gateway's system
    - Shop 2 (vpn-00000000000000002): outage since 2026-11-22 12:00:02 UTC: this gateway's system
    - Shop 9 (vpn-00000000000000009): outage since 2026-11-22 12:00:02 UTC: this gateway's system
    - Shop 10 (vpn-0000000000000000a): outage since 2026-11-22 12:00:03 UTC: this gateway's system
    - Shop 3 (vpn-00000000000000003): outage since 2026-11-22 12:00:03 UTC: this gateway's system
    - Shop 11 (vpn-0000000000000000b): outage since 2026-11-22 12:00:04 UTC: this gateway's system
    - Shop 4 (vpn-00000000000000004): outage since 2026-11-22 12:00:04 UTC: this gateway's system
    - Shop 12 (vpn-0000000000000000c): outage since 2026-11-22 12:00:05 UTC: this gateway's system
    - Shop 5 (vpn-00000000000000005): outage since 2026-11-22 12:00:05 UTC: this gateway's system
    - Shop 6 (vpn-00000000000000006): outage since 2026-11-22 12:00:06 UTC: this gateway's system

    Not sent because of this: the incidents of these connections that it explains. What is still down when this is over is sent then.

    **Runbook:** https://wiki.example.com/vpn

    Sent by bothends 0.1.0 at site milan-1.
    - [Shop 7 in the AWS console](https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-00000000000000007)
    - [Shop 1 in the AWS console](https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-00000000000000001)
    - [Shop 8 in the AWS console](https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-00000000000000008)

    _Kept current by bothends. Anything written below this line stays._
    ");
    assert_eq!(account.flow, "does_not_flow");
    assert_limits(site().incident(), &rules());
}

#[test]
fn a_group_of_which_one_connection_is_down() {
    let account = account(&group());
    insta::assert_snapshot!(account.title, @"REDUNDANCY LOST milan-1: group paris: 1 of 2 connections is down: HQ");
    insta::assert_snapshot!(account.short, @"REDUNDANCY LOST milan-1: group paris: 1 of 2 connections is down: HQ. Since 2026-11-22 12:00:00 UTC");
    insta::assert_snapshot!(account.plain(&[]), @"
    REDUNDANCY LOST milan-1: group paris: 1 of 2 connections is down: HQ

    Why: IKE is down (ike_down: 1)
    Since 2026-11-22 12:00:00 UTC.
    No traffic flows over 1 of 2 connections; 1 is not affected.

    Do first:
    1. Look at HQ, and leave the other connections of group paris alone.
    2. `bothends status` on this gateway has the cause and the first step of each connection.

    1 of 2 connections is affected, 1 is not:
    - HQ (vpn-00000000000000001): outage since 2026-11-22 12:00:01 UTC: IKE is down

    Not sent because of this: the incidents of these connections that it explains. What is still down when this is over is sent then.

    Runbook: https://wiki.example.com/vpn

    Sent by bothends 0.1.0 at site milan-1.
    HQ in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-00000000000000001
    ");
    assert_limits(group().incident(), &rules());
}

#[test]
fn a_parent_is_recovering_and_over_and_says_how_many_it_was() {
    let mut story = uplink();
    let healthy = |story: &Story| {
        let children = (1..=60).map(|n| child(n, None)).collect();
        Story::resume(Arc::new(Incident { children, ..Incident::clone(story.incident()) }))
    };
    story.add(
        TimelineChange::Children { down: vec!["Shop 7".into()], back: Vec::new(), troubled: 59, of: 60 },
        after(60).wall,
    );
    story.add(TimelineChange::Clearing, after(300).wall);
    let recovering = account(&healthy(&story));
    insta::assert_snapshot!(recovering.title, @"OUTAGE milan-1: uplink wan1 was down: 59 of 60 connections affected — recovering");
    insta::assert_snapshot!(recovering.plain(&[]), @"
    OUTAGE milan-1: uplink wan1 was down: 59 of 60 connections affected — recovering

    Since 2026-11-22 12:00:00 UTC. Recovering since 2026-11-22 12:05:00 UTC.
    No connection is affected any more.

    Do first:
    1. Wait, and change nothing while it settles. If it goes down again, this record says so.

    Runbook: https://wiki.example.com/vpn

    Sent by bothends 0.1.0 at site milan-1.
    ");
    let at = after(600).wall;
    story.set_state(IncidentState::Resolved { at });
    story.add(TimelineChange::Resolved, at);
    let over = account(&healthy(&story));
    insta::assert_snapshot!(over.short, @"OVER: OUTAGE milan-1: uplink wan1 was down: 59 of 60 connections affected. From 2026-11-22 12:00:00 to 2026-11-22 12:10:00 UTC");
    insta::assert_snapshot!(over.markdown(8000), @"
    **OUTAGE milan-1: uplink wan1 was down: 59 of 60 connections affected**

    Over. From 2026-11-22 12:00:00 UTC to 2026-11-22 12:10:00 UTC (10 min). Resolved by bothends.

    **No connection is affected any more.**

    **Runbook:** https://wiki.example.com/vpn

    Sent by bothends 0.1.0 at site milan-1.

    _Kept current by bothends. Anything written below this line stays._
    ");
    assert_eq!((over.steps.len(), over.withheld, over.flow), (0, None, "cannot_tell"));
}

#[test]
fn a_parents_record_that_was_found_open_claims_nothing() {
    let incident =
        Incident { found_at: Some(SinkId::new("incident_manager")), ..Incident::clone(uplink().incident()) };
    let account = Account::new(&incident, &rules());
    insta::assert_snapshot!(account.title, @"OUTAGE milan-1: uplink wan1: this site follows a record that it found open");
    assert_eq!(account.withheld, None);
}

fn released(by: Withheld) -> Incident {
    let tunnels = [11, 12].map(|last| tunnel(last, TIMED_OUT, (Verdict::Down, "DOWN"), Assessment::Down));
    let scene = Scene {
        site: "milan-1".into(),
        name: "Milan DC, primary".into(),
        tunnels: tunnels.into(),
        children: Vec::new(),
        related: None,
    };
    let mut story = Story::open(VpnId::new(VPN).into(), Kind::Outage, scene, after(0));
    story.add(TimelineChange::Withheld { by }, after(0).wall);
    story.add(TimelineChange::Released, after(9600).wall);
    Incident::clone(story.incident())
}

#[test]
fn a_connection_that_was_not_sent_until_now_says_so_and_why() {
    let by = Withheld::Explained(parent(ParentKind::Uplink, "wan1"));
    let incident = released(by);
    let account = Account::new(&incident, &settings());
    insta::assert_snapshot!(account.title, @"[milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) down");
    insta::assert_snapshot!(account.plain(&[]), @r#"
    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) down

    Down since 2026-11-22 11:59:29 UTC (the last reply).
    No traffic flows: no tunnel of this connection works.

    tunnel 1 (203.0.113.11): down at both ends
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): down at both ends
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN" at 2026-11-22 11:59:40 UTC)

    Likely: this site's uplink, IPsec daemon or firewall, which all tunnels share. AWS replaces one tunnel endpoint at a time.

    Do first:
    1. Uplink: does this gateway reach the Internet (`ping` a host there)? If not, call the provider.
    2. IPsec: `swanctl --list-sas`. No IKE SA to 203.0.113.11: is the IPsec daemon running (`systemctl status strongswan`), and what does its log say?
    3. AWS: open the connection in the console (Tunnel details), and the AWS Health Dashboard of the Region.

    Not sent until 2026-11-22 14:40:00 UTC: uplink wan1 was down.

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    AWS's view: TunnelState in CloudWatch: https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#metricsV2:graph=~(metrics~(~(~'AWS*2fVPN~'TunnelState~'VpnId~'vpn-0123456789abcdef0~'TunnelIpAddress~'203.0.113.11)~(~'AWS*2fVPN~'TunnelState~'VpnId~'vpn-0123456789abcdef0~'TunnelIpAddress~'203.0.113.12))~view~'timeSeries~region~'eu-west-1~stat~'Minimum~period~60~start~'-PT3H~end~'P0D)
    This site's view: TunnelUp in CloudWatch: https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#metricsV2:graph=~(metrics~(~(~'BothEnds~'TunnelUp~'VpnId~'vpn-0123456789abcdef0~'TunnelIpAddress~'203.0.113.11)~(~'BothEnds~'TunnelUp~'VpnId~'vpn-0123456789abcdef0~'TunnelIpAddress~'203.0.113.12))~view~'timeSeries~region~'eu-west-1~stat~'Minimum~period~60~start~'-PT3H~end~'P0D)
    "#);
    let silenced = Account::new(&released(Withheld::Silenced(SilenceId(7))), &settings());
    insta::assert_snapshot!(silenced.withheld.unwrap(), @"Not sent until 2026-11-22 14:40:00 UTC: silence 7 was on.");
    // A sink that gets no parents' incidents was not kept from sending it.
    let mut other = settings();
    other.sink.scopes = Some([incident.id.scope.clone()].into());
    assert_eq!(Account::new(&incident, &other).withheld, None);
    assert_limits(&incident, &settings());
}

#[test]
fn the_resolved_title_of_a_group_says_how_many_were_down_at_most() {
    let mut story = group();
    let children = |down: &[&str], back: &[&str], troubled| TimelineChange::Children {
        down: down.iter().map(|name| Arc::from(*name)).collect(),
        back: back.iter().map(|name| Arc::from(*name)).collect(),
        troubled,
        of: 2,
    };
    story.add(children(&[], &["HQ"], 0), after(200).wall);
    let at = after(600).wall;
    story.set_state(IncidentState::Resolved { at });
    story.add(TimelineChange::Resolved, at);
    let healthy = vec![child(1, None), child(2, None)];
    let over = |story: &Story| Incident { children: healthy.clone(), ..Incident::clone(story.incident()) };
    let title = |story: &Story| Account::new(&over(story), &rules()).title;
    assert_eq!(title(&story), "REDUNDANCY LOST milan-1: group paris: 1 of 2 connections was down");
    let mut both = group();
    both.add(children(&["Branch"], &[], 2), after(100).wall);
    both.add(children(&[], &["HQ", "Branch"], 0), after(200).wall);
    both.set_state(IncidentState::Resolved { at });
    assert_eq!(title(&both), "REDUNDANCY LOST milan-1: group paris: all 2 connections were down");
}

#[test]
fn what_is_sent_late_says_in_its_timeline_what_no_longer_holds_it_back() {
    let note = |by| {
        let incident = released(by);
        let entry = incident.timeline.iter().find(|entry| entry.what == TimelineChange::Released).unwrap();
        wording::line(&incident, entry)
    };
    assert_eq!(
        note(Withheld::Silenced(SilenceId(11))),
        "sent now: silence 11 no longer covers it, and the connection is still down"
    );
    assert_eq!(
        note(Withheld::Explained(parent(ParentKind::Uplink, "wan1"))),
        "sent now: uplink wan1 no longer explains it, and the connection is still down"
    );
}

#[test]
fn whatever_the_names_are_every_text_of_a_parent_keeps_its_limits() {
    for of in [2, 60, 500] {
        for name in ["x".repeat(300), "ü".repeat(300), "\"\u{1}".repeat(300)] {
            for kind in ParentKind::ALL {
                let outage = Some((Some(Kind::Outage), Some(Cause::UplinkDown)));
                let named = |n| Child { name: name.as_str().into(), ..child(n, outage) };
                let story = story(kind, &name, Kind::Outage, (1..=of).map(named).collect());
                assert_limits(story.incident(), &rules());
            }
        }
    }
}

#[test]
fn programs_get_the_scope_and_the_connections() {
    let rules = rules();
    let occasion = Occasion {
        sink: &rules.sink.destination,
        change: Change::Opened,
        generation: 0,
        sent_upto: 0,
        at: after(0).wall,
    };
    let message = compose(uplink().incident(), &rules, occasion);
    assert_eq!(message.key, "bothends/uplink/milan-1/wan1/outage");
    let data = message.data;
    let said = |name: &str| data[name].as_str().unwrap().to_owned();
    assert_eq!(
        ["scope", "scope_name", "vpn_id", "vpn_name"].map(said),
        ["uplink", "wan1", "uplink/milan-1/wan1", "uplink wan1"]
    );
    assert_eq!(
        (data["children"].as_array().unwrap().len(), data["children_left_out"].as_u64()),
        (20, Some(38))
    );
    let first = &data["children"][0];
    assert_eq!((&first["kind"], &first["cause"]), (&"outage".into(), &"uplink_down".into()));
    assert_eq!(data["runbook_url"], "https://wiki.example.com/vpn", "all connections have the same");
    let titles = data["links"].as_array().unwrap().iter().map(|link| link["title"].to_string());
    assert_eq!(titles.count(), 3);
}
