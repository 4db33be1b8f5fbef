use std::collections::BTreeSet;

use super::*;
use crate::domain::scope::{ParentId, ParentKind};
use crate::silences::Target;
use crate::silences::tests::{at, plan, wanted, zones};

const NOW: &str = "2027-03-01T12:00:00Z";

fn calls_for(wanted: &NewSilence) -> Vec<String> {
    calls(wanted, &plan(), at(NOW), zones).unwrap()
}

#[test]
fn a_planned_silence_is_one_call_for_each_region() {
    let mut site = wanted(&[Target::Site], "2027-03-02T01:00:30Z", "2027-03-02T03:29:30Z", None);
    site.reason = "Telecom Italia's new line".into();
    let calls = calls_for(&site);
    assert_eq!(
        calls[1],
        r#"aws cloudwatch put-alarm-mute-rule \
  --region eu-west-1 \
  --name bothends-milan-1-site-20270302T0100-1 \
  --description 'Telecom Italia'\''s new line' \
  --rule '{"Schedule":{"Duration":"PT2H30M","Expression":"at(2027-03-02T01:00)","Timezone":"UTC"}}' \
  --mute-targets '{"AlarmNames":["bothends-vpn-0123456789abcdef0-one_sided","bothends-vpn-0123456789abcdef0-outage","bothends-vpn-0123456789abcdef0-redundancy_lost","bothends-vpn-0123456789abcdef0-unwatched"]}'"#
    );
    assert_eq!(calls.len(), 2);
    assert!(
        calls[0].contains("--region eu-central-1") && calls[0].matches("-outage").count() == 2,
        "{}",
        calls[0]
    );
}

#[test]
fn one_that_has_begun_is_muted_from_a_minute_to_come_to_its_end() {
    let milan = [Target::Vpn("Milan DC".to_owned())];
    let calls = calls_for(&wanted(&milan, NOW, "2027-03-01T12:30:00Z", None));
    assert!(calls[0].contains(r#""Duration":"PT28M","Expression":"at(2027-03-01T12:02)""#), "{}", calls[0]);
    assert!(
        calls_for(&wanted(&milan, NOW, "2027-03-01T12:01:30Z", None)).is_empty(),
        "it is over before AWS could mute"
    );
}

#[test]
fn a_weekly_one_is_muted_by_the_clocks_of_its_zone() {
    let milan = [Target::Vpn("Milan DC".to_owned())];
    let weekly = |from, until| calls_for(&wanted(&milan, from, until, Some("Europe/Berlin")));
    let [call] = <[String; 1]>::try_from(weekly("2027-03-06T21:30:00Z", "2027-03-07T01:00:00Z")).unwrap();
    assert!(
        call.contains(
            r#"{"Duration":"PT3H30M","Expression":"cron(30 22 * * SAT)","Timezone":"Europe/Berlin"}"#
        ),
        "{call}"
    );
    assert!(!call.contains("--start-date"), "{call}");
    let later = weekly("2027-04-05T20:30:00Z", "2027-04-05T21:00:00Z");
    assert!(later[0].ends_with("--start-date 2027-04-05T20:30:00Z"), "{}", later[0]);
    let begun = weekly(NOW, "2027-03-01T14:00:00Z");
    assert!(
        begun[0].contains("at(2027-03-01T12:02)") && begun[1].contains("cron(0 13 * * MON)"),
        "{begun:?}"
    );
    assert!(begun[1].contains("20270301T1200-weekly-1"), "{begun:?}");
}

#[test]
fn a_tunnel_mutes_lost_redundancy_alone_and_parents_mute_their_connections() {
    let until = "2027-03-01T14:00:00Z";
    let tunnel = calls_for(&wanted(&[Target::Tunnel("203.0.113.11".to_owned())], NOW, until, None));
    assert!(
        tunnel[0].contains(r#"{"AlarmNames":["bothends-vpn-0123456789abcdef0-redundancy_lost"]}"#),
        "{tunnel:?}"
    );
    for parent in [Target::Group("paris".to_owned()), Target::Uplink("wan1".to_owned())] {
        let calls = calls_for(&wanted(&[parent], NOW, until, None)).join("\n");
        assert!(
            calls.contains("vpn-0123456789abcdef0-outage") && calls.contains("vpn-0fedcba9876543210-outage"),
            "{calls}"
        );
        assert!(!calls.contains("vpn-00112233"), "{calls}");
    }
    let wrong = wanted(&[Target::Site], until, NOW, None);
    assert_eq!(calls(&wrong, &plan(), at(NOW), zones), Err(Refusal::Past { until: at(NOW) }));
}

#[test]
fn rules_of_one_time_have_names_of_their_own_for_a_rule_of_the_same_name_is_replaced() {
    let until = "2027-03-01T14:00:00Z";
    let named = |targets: &[Target]| {
        let calls = calls_for(&wanted(targets, NOW, until, None));
        let name = calls[0].lines().find_map(|line| line.trim().strip_prefix("--name ")).unwrap();
        name.trim_end_matches(" \\").to_owned()
    };
    let [milan, rome] =
        ["vpn-0123456789abcdef0", "vpn-0fedcba9876543210"].map(|id| Target::Vpn(id.to_owned()));
    let [tunnel, other] = ["203.0.113.11", "203.0.113.21"].map(|ip| Target::Tunnel(ip.to_owned()));
    assert_eq!(named(std::slice::from_ref(&milan)), "bothends-milan-1-vpn-0123456789abcdef0-20270301T1200-1");
    assert_eq!(named(&[Target::Group("paris".to_owned())]), "bothends-milan-1-group-paris-20270301T1200-1");
    assert_eq!(
        named(std::slice::from_ref(&milan)),
        named(&[Target::Vpn("Milan DC".to_owned())]),
        "the same silence"
    );
    let all: Vec<Vec<Target>> = vec![
        vec![Target::Site],
        vec![milan.clone()],
        vec![rome.clone()],
        vec![tunnel.clone()],
        vec![other.clone()],
        vec![Target::Uplink("wan1".to_owned())],
        vec![Target::Group("paris".to_owned())],
        vec![milan.clone(), rome.clone()],
        vec![milan, tunnel],
        vec![rome, other],
    ];
    let names: BTreeSet<String> = all.iter().map(|targets| named(targets)).collect();
    assert_eq!(names.len(), all.len(), "{names:?}");
    assert!(names.iter().all(|name| name.len() < 160), "{names:?}");
}

#[test]
fn names_that_look_the_same_are_told_apart() {
    let parent = |name: &str| {
        let id = ParentId { kind: ParentKind::Uplink, site: "milan 1".into(), name: name.into() };
        BTreeSet::from([SilenceScope::Parent(id)])
    };
    let name = |of: &str| rule_name(&plan(), &parent(of), at(NOW));
    assert_eq!(name("wan-1"), "bothends-milan-1-uplink-wan-1-20270301T1200");
    assert_ne!(name("wan.1"), name("wan-1"));
    assert_ne!(name("wan.1"), name("wan_1"));
}

#[test]
fn a_rule_has_at_most_a_hundred_alarms() {
    let mut plan = plan();
    let first = plan.vpns[0].clone();
    plan.vpns = (0..60)
        .map(|n| {
            let mut vpn = crate::domain::plan::VpnPlan::clone(&first);
            vpn.id = VpnId::new(format!("vpn-{n:08}"));
            Arc::new(vpn)
        })
        .collect();
    let site = wanted(&[Target::Site], "2027-03-02T01:00:00Z", "2027-03-02T03:00:00Z", None);
    let calls = calls(&site, &plan, at(NOW), zones).unwrap();
    let counts: Vec<_> = calls.iter().map(|call| call.matches("bothends-vpn-").count()).collect();
    assert_eq!(counts, [100, 100, 40]);
    let names: BTreeSet<_> =
        calls.iter().filter_map(|call| call.lines().find(|line| line.contains("--name"))).collect();
    assert_eq!(names.len(), 3);
}

/// Every alarm of the template that notifies somebody has this property.
const NOTIFIES: &str = "\n      AlarmActions:";

#[test]
fn the_alarms_that_notify_somebody_are_those_of_the_template() {
    let template = include_str!("../../../../packaging/aws/alarms.yaml");
    let name = "\n      AlarmName: !Sub bothends-${VpnConnectionId}-";
    let notifying = template.split(name).skip(1).filter_map(|alarm| {
        let kind = alarm.lines().next()?;
        // To where the next resource begins, two columns in.
        let own = alarm.find("\n\n").map_or(alarm, |end| &alarm[..end]);
        own.contains(NOTIFIES).then_some(kind)
    });
    assert_eq!(notifying.collect::<BTreeSet<_>>(), BTreeSet::from(ALARMS));
}
