//! As people read it: incidents of uplinks, sites and groups, and what was not sent because of one.

use super::super::super::message::{Change, Occasion, compose};
use super::super::super::raw_data::{RAW_DATA_MAX, raw_data};
use super::*;
use crate::domain::board::{Child, Trouble, Withheld};
use crate::domain::scope::{ParentId, ParentKind, Scope};
use crate::domain::silence::SilenceId;
use crate::domain::story::{Scene, Story};
use crate::incident::wording::TITLE_MAX;

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
    insta::assert_snapshot!(account.title, @"");
    insta::assert_snapshot!(account.short, @"");
    insta::assert_snapshot!(account.plain(&[]), @"");
    insta::assert_snapshot!(account.markdown(DESCRIPTION_MAX), @"");
    assert_limits(uplink().incident(), &rules());
}

#[test]
fn a_site_of_which_every_connection_is_down() {
    let account = account(&site());
    insta::assert_snapshot!(account.title, @"");
    insta::assert_snapshot!(account.short, @"");
    insta::assert_snapshot!(account.markdown(8000), @"");
    assert_eq!(account.flow, "does_not_flow");
    assert_limits(site().incident(), &rules());
}

#[test]
fn a_group_of_which_one_connection_is_down() {
    let account = account(&group());
    insta::assert_snapshot!(account.title, @"");
    insta::assert_snapshot!(account.short, @"");
    insta::assert_snapshot!(account.plain(&[]), @"");
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
    insta::assert_snapshot!(recovering.title, @"");
    insta::assert_snapshot!(recovering.plain(&[]), @"");
    let at = after(600).wall;
    story.set_state(IncidentState::Resolved { at });
    story.add(TimelineChange::Resolved, at);
    let over = account(&healthy(&story));
    insta::assert_snapshot!(over.short, @"");
    insta::assert_snapshot!(over.markdown(8000), @"");
    assert_eq!((over.steps.len(), over.withheld, over.flow), (0, None, "cannot_tell"));
}

#[test]
fn a_parents_record_that_was_found_open_claims_nothing() {
    let incident =
        Incident { found_at: Some(SinkId::new("incident_manager")), ..Incident::clone(uplink().incident()) };
    let account = Account::new(&incident, &rules());
    insta::assert_snapshot!(account.title, @"");
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
    insta::assert_snapshot!(account.title, @"");
    insta::assert_snapshot!(account.plain(&[]), @"");
    let silenced = Account::new(&released(Withheld::Silenced(SilenceId(7))), &settings());
    insta::assert_snapshot!(silenced.withheld.unwrap(), @"");
    // A sink that gets no parents' incidents was not kept from sending it.
    let mut other = settings();
    other.sink.scopes = Some([incident.id.scope.clone()].into());
    assert_eq!(Account::new(&incident, &other).withheld, None);
    assert_limits(&incident, &settings());
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
