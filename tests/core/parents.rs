//! What several connections share: one cause is one page, and nothing that it hides is lost.

use std::net::IpAddr;
use std::sync::Arc;

use bothends::domain::board::{TimelineChange, Withheld};
use bothends::domain::cause::Cause;
use bothends::domain::event::Event;
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::{Kind, Routing};
use bothends::domain::plan::{Plan, VpnPlan};
use bothends::domain::scope::{ParentState, Scope};

use crate::site::*;
use crate::world::*;

const OPEN_AFTER: u64 = 30;
const RESOLVE_AFTER: u64 = 300;

fn wan1() -> Scope {
    Scope::Parent(uplink("wan1"))
}

fn wan2() -> Scope {
    Scope::Parent(uplink("wan2"))
}

fn site_scope() -> Scope {
    Scope::Parent(the_site())
}

fn by_wan1() -> Option<Withheld> {
    Some(Withheld::Explained(uplink("wan1")))
}

fn sorted(mut pages: Vec<(Scope, Kind)>) -> Vec<(Scope, Kind)> {
    pages.sort();
    pages
}

/// Four connections over one uplink, two over another.
fn two_uplinks() -> Plan {
    site_plan(&[WAN1, WAN1, WAN1, WAN1, WAN2, WAN2], &[])
}

/// Four connections with a tunnel over each uplink.
fn dual_homed() -> Plan {
    site_plan(&[BOTH; 4], &[])
}

/// Two pairs of connections that back each other up; all over one uplink, apart from two connections outside the groups.
fn grouped() -> Plan {
    site_plan(&[WAN1, WAN1, WAN1, WAN1, WAN2, WAN2], &[("paris", &[0, 1]), ("rome", &[2, 3])])
}

#[test]
fn an_uplink_that_is_cut_is_one_page_and_its_connections_are_recorded_without_one() {
    let mut plan = two_uplinks();
    for vpn in &mut plan.vpns {
        let probe = two_active().vpns[0].probe;
        *vpn = Arc::new(VpnPlan { probe, ..VpnPlan::clone(vpn) });
    }
    let mut site = Site::healthy(plan);
    site.cut("wan1");
    let cut = site.world.now.wall;
    site.run(600);
    assert_eq!(site.paged(), [(wan1(), Kind::Outage)]);
    let incident = site.the_open(&wan1(), Kind::Outage);
    assert_eq!((incident.children.len(), &*incident.name), (4, "wan1"));
    for child in &incident.children {
        let trouble = child.trouble.as_ref().unwrap();
        assert_eq!((trouble.kind, trouble.cause), (Some(Kind::Outage), Some(Cause::UplinkDown)));
        assert!(trouble.since >= cut - secs(6) && trouble.since <= cut + secs(6), "since when");
    }
    assert!(incident.began >= cut - secs(6) && incident.began <= cut + secs(6), "the true start");
    for n in 0..4 {
        let child = site.the_open(&scope_of(n), Kind::Outage);
        assert_eq!(child.withheld, by_wan1());
        assert!(child.began <= cut + secs(6));
    }
    assert_eq!(site.state(&uplink("wan1")), ParentState::Down);
    assert_eq!(site.state(&uplink("wan2")), ParentState::Up);
    site.heal();
    site.run(600);
    for scope in (0..4).map(scope_of).chain([wan1()]) {
        assert_eq!(site.count(&scope, IncidentChange::Resolved), 1, "{scope}");
    }
    assert_eq!((site.released(), site.paged().len()), (vec![], 1));
    site.check_over();
}

#[test]
fn the_list_of_connections_grows_by_few_entries_however_many_there_are() {
    let mut site = Site::healthy(seldom_probed(site_plan(&[WAN1; 40], &[])));
    site.cut("wan1");
    site.run(300);
    site.heal();
    site.run(600);
    let changes: Vec<_> = site.changes().filter(|(_, incident, _)| incident.id.scope == wan1()).collect();
    let (_, last, _) = changes.last().unwrap();
    let children: Vec<_> = last
        .timeline
        .iter()
        .filter_map(|entry| match &entry.what {
            TimelineChange::Children { down, back, troubled, of } => Some((down, back, *troubled, *of)),
            _ => None,
        })
        .collect();
    assert!(last.timeline.len() < 20 && changes.len() < 20, "{} {}", last.timeline.len(), changes.len());
    let Some((_, back, troubled, of)) = children.last() else { panic!("who came back is listed") };
    assert!(!back.is_empty() && *troubled == 0 && *of == 40, "{children:?}");
    assert!(children.iter().all(|(down, back, _, _)| down.len() <= 8 && back.len() <= 8));
    assert_eq!(last.worsened, 0, "who joins is no worsening");
}

#[test]
fn of_two_uplinks_the_first_that_is_cut_takes_redundancy_and_the_second_is_the_outage() {
    let mut site = Site::healthy(dual_homed());
    site.cut("wan1");
    site.run(400);
    assert_eq!(site.paged(), [(wan1(), Kind::RedundancyLost)]);
    site.cut("wan2");
    site.run(400);
    assert_eq!(site.paged(), [(wan1(), Kind::RedundancyLost), (wan2(), Kind::Outage)]);
    for n in 0..4 {
        assert_eq!(site.withheld(&scope_of(n), Kind::Outage), Some(Withheld::Explained(uplink("wan2"))));
        assert!(site.withheld(&scope_of(n), Kind::RedundancyLost).is_some());
    }
    // The first is back, the second is not.
    site.splice("wan1");
    site.run(800);
    assert_eq!(site.paged().len(), 2, "{:?}", site.paged());
    site.heal();
    site.run(1500);
    assert_eq!((site.released(), site.paged().len()), (vec![], 2));
    site.check_over();
}

#[test]
fn both_uplinks_cut_at_once_are_no_page_of_the_site_and_none_of_a_connection() {
    let mut site = Site::healthy(dual_homed());
    site.cut("wan1");
    site.cut("wan2");
    site.run(600);
    assert!(
        site.paged()
            .iter()
            .all(|(scope, kind)| *kind == Kind::Outage && (*scope == wan1() || *scope == wan2()))
    );
    assert!((1..=2).contains(&site.paged().len()), "{:?}", site.paged());
    site.heal();
    site.run(900);
    assert_eq!(site.released(), []);
    site.check_over();
}

#[test]
fn a_connection_that_was_down_before_keeps_its_own_page() {
    let mut site = Site::healthy(two_uplinks());
    site.fail(0);
    site.run(120);
    site.cut("wan1");
    site.run(300);
    assert_eq!(site.paged(), [(scope_of(0), Kind::Outage), (wan1(), Kind::Outage)]);
    assert_eq!(site.withheld(&scope_of(0), Kind::Outage), None, "it has its record");
    site.splice("wan1");
    site.run(600);
    assert_eq!(site.open().len(), 1);
    site.heal();
    site.run(600);
    assert_eq!((site.released(), site.paged().len()), (vec![], 2));
    site.check_over();
}

/// Whether the fault began before the cut and was about to open, or during it.
#[test]
fn a_fault_hidden_under_a_parents_outage_is_paged_when_that_is_over() {
    for before_the_cut in [true, false] {
        let mut site = Site::healthy(two_uplinks());
        if before_the_cut {
            site.fail(0);
            site.run(OPEN_AFTER - 15);
        }
        site.cut("wan1");
        site.run(200);
        site.fail(0);
        site.run(200);
        assert_eq!(site.paged(), [(wan1(), Kind::Outage)], "{before_the_cut}");
        let began = site.the_open(&scope_of(0), Kind::Outage).began;
        site.splice("wan1");
        site.run(RESOLVE_AFTER - 20);
        assert_eq!(site.paged().len(), 1, "{before_the_cut}: it may be a straggler");
        site.run(100);
        assert_eq!(site.released(), [scope_of(0)], "{before_the_cut}");
        let page = site.pages().pop().unwrap();
        assert_eq!((&page.scope, page.kind), (&scope_of(0), Kind::Outage));
        let over = site.resolved_at(&wan1(), Kind::Outage).unwrap();
        assert!(page.at.since(over) <= secs(10) && over.since(page.at) <= secs(10), "{before_the_cut}");
        assert_eq!(site.the_open(&scope_of(0), Kind::Outage).began, began, "the true start");
        site.heal();
        site.run(600);
        site.check_over();
    }
}

#[test]
fn a_connection_that_breaks_when_the_uplink_is_back_is_paged_at_once() {
    let mut site = Site::healthy(two_uplinks());
    site.cut("wan1");
    site.run(200);
    site.splice("wan1");
    site.run(60);
    // While the uplink's incident is still clearing.
    assert_eq!(site.open_of(&wan1()).len(), 1);
    site.fail(0);
    let broke = site.world.now.mono;
    site.run(100);
    let pages = site.pages();
    assert_eq!(pages.len(), 2, "{pages:?}");
    assert!(pages[1].scope == scope_of(0) && pages[1].at.since(broke) <= secs(OPEN_AFTER + 30));
    site.heal();
    site.run(1500);
    site.check_over();
}

#[test]
fn a_fault_on_the_other_uplink_is_paged_at_once() {
    let mut site = Site::healthy(two_uplinks());
    site.cut("wan1");
    site.run(200);
    site.fail(5);
    site.run(OPEN_AFTER + 30);
    assert_eq!(site.paged(), [(wan1(), Kind::Outage), (scope_of(5), Kind::Outage)]);
    // A tunnel of a connection with a tunnel on each.
    let mut site = Site::healthy(dual_homed());
    site.cut("wan1");
    site.run(400);
    site.fail_tunnel(2, 2);
    site.run(OPEN_AFTER + 30);
    assert_eq!(site.paged(), [(wan1(), Kind::RedundancyLost), (scope_of(2), Kind::Outage)]);
    site.heal();
    site.run(1500);
    site.check_over();
}

#[test]
fn a_gateway_that_is_dead_behind_uplinks_that_answer_is_one_page_of_the_site() {
    for plan in [two_uplinks(), dual_homed()] {
        let mut site = Site::healthy(plan);
        site.set_dead(true);
        site.run(400);
        assert_eq!(site.paged(), [(site_scope(), Kind::Outage)]);
        assert_eq!(site.state(&uplink("wan1")), ParentState::Up);
        site.heal();
        site.run(900);
        assert_eq!((site.released(), site.paged().len()), (vec![], 1));
        site.check_over();
    }
}

/// It has flapped, so that it clears for longer than its uplink.
#[test]
fn a_connection_that_breaks_again_by_another_cause_while_it_clears_waits_for_its_explanation() {
    let mut site = Site::healthy(two_uplinks());
    site.fail(0);
    site.run(100);
    site.heal();
    site.run(400);
    site.cut("wan1");
    site.run(100);
    site.heal();
    site.run(400);
    assert_eq!(site.open_of(&wan1()), []);
    assert_eq!(site.withheld(&scope_of(0), Kind::Outage), by_wan1(), "it clears");
    site.set_dead(true);
    site.run(200);
    let own = (scope_of(0), Kind::Outage);
    assert_eq!(site.paged(), [own, (wan1(), Kind::Outage), (site_scope(), Kind::Outage)]);
    // Alone it is a page like any other.
    site.heal();
    site.run(400);
    site.fail(0);
    let broke = site.world.now.mono;
    site.run(100);
    assert_eq!(site.released(), [scope_of(0)]);
    let at = site.pages()[3].at;
    assert!(at.since(broke) >= secs(OPEN_AFTER) && at.since(broke) <= secs(OPEN_AFTER + 20));
    site.heal();
    site.run(4000);
    site.check_over();
}

#[test]
fn what_is_still_down_when_the_site_is_back_is_paged() {
    let mut site = Site::healthy(two_uplinks());
    site.set_dead(true);
    site.run(100);
    site.fail(3);
    site.set_dead(false);
    site.run(RESOLVE_AFTER + 30);
    assert_eq!(site.paged(), [(site_scope(), Kind::Outage), (scope_of(3), Kind::Outage)]);
    let over = site.resolved_at(&site_scope(), Kind::Outage).unwrap();
    let at = site.pages()[1].at;
    assert!(at.since(over) <= secs(10) && over.since(at) <= secs(10));
    site.heal();
    site.run(900);
    site.check_over();
}

#[test]
fn of_a_group_one_is_lost_redundancy_and_both_are_an_outage() {
    let paris = Scope::Parent(group("paris"));
    let mut site = Site::healthy(grouped());
    site.fail(0);
    site.run(100);
    assert_eq!(site.paged(), [(paris.clone(), Kind::RedundancyLost)]);
    assert_eq!(site.withheld(&scope_of(0), Kind::Outage), Some(Withheld::Explained(group("paris"))));
    site.fail(1);
    site.run(100);
    assert_eq!(site.paged(), [(paris.clone(), Kind::RedundancyLost), (paris.clone(), Kind::Outage)]);
    site.mend(1);
    site.run(600);
    assert_eq!(site.count(&paris, IncidentChange::Resolved), 1, "the outage");
    assert_eq!(site.the_open(&paris, Kind::RedundancyLost).children[0].name.as_ref(), "C0");
    site.heal();
    site.run(900);
    assert_eq!((site.released(), site.paged().len()), (vec![], 2));
    site.check_over();
}

/// Connections of a group fail one by one, each for a cause of its own.
#[test]
fn a_further_connection_of_a_group_worsens_its_incident_and_one_of_an_uplink_does_not() {
    let mut site = Site::healthy(site_plan(&[WAN1; 4], &[("paris", &[0, 1, 2])]));
    let paris = Scope::Parent(group("paris"));
    site.fail(0);
    site.run(120);
    assert_eq!(site.the_open(&paris, Kind::RedundancyLost).worsened, 0);
    site.fail(1);
    site.run(120);
    assert_eq!(site.the_open(&paris, Kind::RedundancyLost).worsened, 1);
    assert_eq!(site.count(&paris, IncidentChange::Worsened), 1);

    let mut site = Site::healthy(two_uplinks());
    site.fail(0);
    site.run(120);
    site.cut("wan1");
    site.run(120);
    assert_eq!(site.the_open(&wan1(), Kind::Outage).worsened, 0);
}

#[test]
fn a_groups_lost_redundancy_is_over_although_aws_is_silent_about_a_connection_that_was_never_down() {
    let mut site = Site::healthy(site_plan(&[WAN1; 4], &[("paris", &[0, 1, 2])]));
    let paris = Scope::Parent(group("paris"));
    for which in [1, 2] {
        site.world.aws.insert(tunnel_of(2, which), Aws::Nothing);
    }
    site.run(1200);
    site.broken.extend([1, 2].map(|which| tunnel_of(0, which)));
    for which in [1, 2] {
        site.world.lines.insert(tunnel_of(0, which), Line::Swallows);
        site.world.aws.insert(tunnel_of(0, which), Aws::Down);
    }
    site.run(120);
    assert_eq!(site.paged(), [(paris.clone(), Kind::RedundancyLost)]);
    for which in [1, 2] {
        site.world.lines.insert(tunnel_of(0, which), FAST);
        site.world.aws.insert(tunnel_of(0, which), Aws::Up);
    }
    site.run(900);
    assert!(site.resolved_at(&paris, Kind::RedundancyLost).is_some());
}

#[test]
fn a_member_of_a_group_behind_a_cut_uplink_is_the_uplinks_and_then_the_groups() {
    let paris = Scope::Parent(group("paris"));
    let mut site = Site::healthy(grouped());
    site.cut("wan1");
    site.run(300);
    assert_eq!(site.paged(), [(wan1(), Kind::Outage)]);
    site.fail(0);
    site.splice("wan1");
    site.run(RESOLVE_AFTER + 60);
    assert_eq!(site.paged(), [(wan1(), Kind::Outage), (paris.clone(), Kind::RedundancyLost)]);
    assert_eq!(site.withheld(&scope_of(0), Kind::Outage), Some(Withheld::Explained(group("paris"))));
    let over = site.resolved_at(&wan1(), Kind::Outage).unwrap();
    let at = site.pages()[1].at;
    assert!(at.since(over) <= secs(10) && over.since(at) <= secs(10));
    site.heal();
    site.run(900);
    assert_eq!(site.released(), []);
    site.check_over();
}

/// AWS agrees before the references have been silent for two looks, or they have never answered.
#[test]
fn a_parent_that_only_may_be_down_withholds_nothing() {
    // Its references were never known to answer: nothing is known of the uplink.
    let mut site = Site::with_mute_references(two_uplinks(), &["wan1"]);
    site.cut("wan1");
    site.run(60);
    let own: Vec<_> = (0..4).map(|n| (scope_of(n), Kind::Outage)).collect();
    assert_eq!(sorted(site.paged()), own);
    site.heal();
    site.run(600);
    site.check_over();
    // It is never asked of, or it answers once in a while.
    let mut site = Site::healthy(two_uplinks());
    site.cut("wan1");
    let paths: Vec<_> = site.world.senses.keys().cloned().collect();
    paths.iter().for_each(|path| drop(site.world.senses.remove(path)));
    site.run(60);
    assert_eq!(sorted(site.paged()), own);
    for page in site.pages() {
        assert!(page.at.since(site.pages()[0].at) <= secs(10));
    }
}

#[test]
fn an_incident_that_opened_before_its_parent_was_known_to_be_down_keeps_its_record() {
    let mut site = Site::healthy(two_uplinks());
    site.cut("wan1");
    let senses = std::mem::take(&mut site.world.senses);
    site.run(60);
    assert_eq!(site.paged().len(), 4);
    site.world.senses = senses;
    site.run(300);
    assert_eq!(site.paged().len(), 4, "the uplink has nothing to explain: {:?}", site.paged());
    assert!(site.open().iter().all(|incident| incident.withheld.is_none()));
}

#[test]
fn connections_without_bgp_are_not_the_uplinks() {
    let mut plan = two_uplinks();
    for vpn in &mut plan.vpns {
        *vpn = Arc::new(VpnPlan { routing: Routing::Bgp, ..VpnPlan::clone(vpn) });
    }
    let mut site = Site::healthy(plan);
    site.bgp_down.extend([1, 2].map(|which| tunnel_of(0, which)));
    site.happens();
    site.run(200);
    assert_eq!(site.paged(), [(scope_of(0), Kind::Outage)], "one connection alone");
    site.heal();
    site.run(600);
    // All of them: the gateway's BGP daemon is dead, and its uplinks are not.
    site.bgp_down.extend((0..6).flat_map(|n| [1, 2].map(|which| tunnel_of(n, which))));
    site.happens();
    site.run(300);
    assert_eq!(site.paged()[1..], [(site_scope(), Kind::Outage)]);
    site.heal();
    site.run(1500);
    assert_eq!(site.released(), []);
    site.check_over();
}

#[test]
fn what_aws_does_not_agree_to_is_one_sided_and_the_uplinks() {
    let mut site = Site::healthy(two_uplinks());
    site.up_by_aws.extend((0..4).flat_map(|n| [1, 2].map(|which| tunnel_of(n, which))));
    site.cut("wan1");
    site.run(1200);
    assert_eq!(site.paged(), [(wan1(), Kind::OneSided)]);
    assert_eq!(site.withheld(&scope_of(1), Kind::OneSided), by_wan1());
    // AWS comes to agree: that is worse.
    site.up_by_aws.clear();
    site.happens();
    site.run(300);
    assert_eq!(site.paged(), [(wan1(), Kind::OneSided), (wan1(), Kind::Outage)]);
    site.heal();
    site.run(900);
    assert_eq!(site.released(), []);
    site.check_over();
}

#[test]
fn what_aws_says_late_of_an_uplink_that_is_back_is_the_uplinks() {
    let mut plan = two_uplinks();
    for vpn in &mut plan.vpns {
        Arc::make_mut(vpn).incident.one_sided_after = Some(secs(60));
    }
    let mut site = Site::healthy(plan);
    site.cut("wan1");
    site.run(200);
    site.splice("wan1");
    for tunnel in (0..4).flat_map(|n| [1, 2].map(|which| tunnel_of(n, which))) {
        site.world.aws.insert(tunnel, Aws::Down);
    }
    site.run(150);
    assert!(!site.open_of(&scope_of(0)).is_empty());
    site.heal();
    site.run(1500);
    assert_eq!(site.paged(), [(wan1(), Kind::Outage)]);
    site.check_over();
}

//--- restarts, reloads, twins

/// In each phase of an uplink's outage, with a fault hidden under it.
fn in_each_phase(meddle: impl FnMut(&mut Site, &str)) {
    in_phases(&["pending", "open", "clearing", "straggling"], meddle);
}

fn in_phases(phases: &[&str], mut meddle: impl FnMut(&mut Site, &str)) {
    for phase in phases.iter().copied() {
        let mut site = Site::healthy(two_uplinks());
        site.cut("wan1");
        site.run(20);
        if phase == "pending" {
            meddle(&mut site, phase);
        }
        site.run(200);
        site.fail(2);
        if phase == "open" {
            meddle(&mut site, phase);
        }
        site.run(200);
        site.splice("wan1");
        site.run(60);
        if phase == "clearing" {
            meddle(&mut site, phase);
        }
        site.run(150);
        if phase == "straggling" {
            meddle(&mut site, phase);
        }
        site.run(RESOLVE_AFTER + 300);
        assert_eq!(site.paged(), [(wan1(), Kind::Outage), (scope_of(2), Kind::Outage)], "{phase}");
        assert_eq!(site.released(), [scope_of(2)], "{phase}");
        site.check();
        site.heal();
        site.run(1500);
        assert_eq!(site.paged().len(), 2, "{phase}");
        site.check_over();
    }
}

const OPEN_ALREADY: [&str; 3] = ["open", "clearing", "straggling"];

#[test]
fn a_restart_in_any_phase_loses_nothing_and_pages_nothing_twice() {
    in_phases(&OPEN_ALREADY, |site, _| site.restart(&[]));
    // Killed again and again.
    in_phases(&OPEN_ALREADY, |site, _| {
        for _ in 0..3 {
            site.restart(&[]);
            site.run(10);
        }
    });
}

#[test]
fn a_restart_behind_an_uplink_that_was_known_to_be_down_before_anything_opened_is_its_page() {
    let mut site = Site::healthy(two_uplinks());
    site.cut("wan1");
    site.run(20);
    site.restart(&[]);
    site.run(300);
    assert_eq!(site.paged(), [(wan1(), Kind::Outage)]);
    site.heal();
    site.run(900);
    site.check_over();
}

#[test]
fn a_hold_up_in_any_phase_loses_nothing_and_pages_nothing_twice() {
    in_each_phase(|site, _| site.world.sleep(secs(90)));
}

#[test]
fn a_date_that_jumps_in_any_phase_changes_nothing() {
    for by in [-7200, 7200] {
        in_each_phase(|site, _| {
            site.world.wrong_by = by;
            site.run(5);
            site.world.wrong_by = 0;
        });
    }
}

#[test]
fn a_reload_that_changes_nothing_of_it_loses_nothing() {
    in_each_phase(|site, _| site.reload(site.plan.clone()));
}

#[test]
fn without_its_parent_a_connection_is_paged_and_with_it_again_nothing_is_paged_twice() {
    let mut site = Site::healthy(two_uplinks());
    site.cut("wan1");
    site.run(200);
    let parents = site.plan.parents.iter().filter(|parent| parent.id != uplink("wan1"));
    let without = Plan { parents: parents.cloned().collect(), ..site.plan.clone() };
    site.reload(without);
    site.run(60);
    assert_eq!(site.count(&wan1(), IncidentChange::Unwatched), 1);
    let released: Vec<_> = (0..4).map(scope_of).collect();
    assert_eq!(site.released(), released);
    site.reload(site.plan.clone());
    site.run(300);
    assert_eq!(site.released(), released);
    assert_eq!(site.open_of(&wan1()).len(), 0, "what it explains has been paged");
    site.heal();
    site.run(900);
    site.check_over();
}

#[test]
fn a_connection_that_is_added_behind_a_cut_uplink_joins_it() {
    let mut site = Site::healthy(two_uplinks());
    let three: Vec<_> = site.plan.vpns.iter().filter(|vpn| vpn.id != vpn_of(3)).cloned().collect();
    let mut fewer = Plan { vpns: three, ..site.plan.clone() };
    for parent in &mut fewer.parents {
        Arc::make_mut(parent).vpns.remove(&vpn_of(3));
    }
    site.reload(fewer);
    site.cut("wan1");
    site.run(200);
    assert_eq!(site.the_open(&wan1(), Kind::Outage).children.len(), 3);
    site.reload(site.plan.clone());
    site.run(300);
    assert_eq!(site.paged(), [(wan1(), Kind::Outage)]);
    assert_eq!(site.the_open(&wan1(), Kind::Outage).children.len(), 4);
    assert_eq!(site.withheld(&scope_of(3), Kind::Outage), by_wan1());
    site.heal();
    site.run(900);
    site.check_over();
}

#[test]
fn a_connection_that_is_removed_behind_a_cut_uplink_leaves_it() {
    let mut site = Site::healthy(two_uplinks());
    site.cut("wan1");
    site.run(200);
    let rest: Vec<_> = site.plan.vpns.iter().filter(|vpn| vpn.id != vpn_of(0)).cloned().collect();
    let mut fewer = Plan { vpns: rest, ..site.plan.clone() };
    for parent in &mut fewer.parents {
        Arc::make_mut(parent).vpns.remove(&vpn_of(0));
    }
    site.reload(fewer);
    site.run(60);
    assert_eq!(site.the_open(&wan1(), Kind::Outage).children.len(), 3);
    assert_eq!(site.count(&scope_of(0), IncidentChange::Unwatched), 1);
    site.heal();
    site.run(900);
    assert_eq!(site.released(), []);
    site.check_over();
}

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 100));

#[test]
fn a_twin_that_takes_over_adopts_the_parents_record_and_pages_nothing_anew() {
    let plan = Plan { votes_if_address: Some(ADDRESS), ..two_uplinks() };
    let held = |held| Event::AddressHeld { address: ADDRESS, held };
    let mut first = Site::healthy(plan.clone());
    first.world.feed(held(true));
    first.run(200);
    first.cut("wan1");
    first.run(200);
    assert_eq!(first.paged(), [(wan1(), Kind::Outage)]);
    first.world.feed(held(false));
    first.run(100);
    assert_eq!(first.count(&wan1(), IncidentChange::HandedOver), 1);
    assert_eq!(first.open(), []);
    // The twin has watched AWS all the time, and finds the record.
    let mut second = Site::healthy(plan);
    second.world.feed(held(true));
    second.run(200);
    second.world.feed(held(false));
    second.cut("wan1");
    second.run(300);
    let created = second.world.now.wall - secs(250);
    second.world.feed(held(true));
    second.run(5);
    second.world.feed(Event::RecordFound { sink: sink(), scope: wan1(), kind: Kind::Outage, created });
    second.run(400);
    assert_eq!(second.paged(), [(wan1(), Kind::Outage)], "the adopted one");
    assert_eq!(second.the_open(&wan1(), Kind::Outage).adopted_from(), Some(&sink()));
    assert_eq!(second.withheld(&scope_of(0), Kind::Outage), by_wan1());
    second.heal();
    second.run(900);
    assert_eq!((second.paged().len(), second.released()), (1, vec![]));
    second.check_over();
}

#[test]
fn a_record_of_a_child_that_is_found_is_adopted_and_closed() {
    let mut site = Site::healthy(two_uplinks());
    site.cut("wan1");
    site.run(20);
    let created = site.world.now.wall - secs(5);
    site.world.feed(Event::RecordFound { sink: sink(), scope: scope_of(0), kind: Kind::Outage, created });
    site.run(300);
    let child = site.the_open(&scope_of(0), Kind::Outage);
    assert_eq!((child.id.opened, child.withheld.clone()), (created, None), "it has a record");
    site.heal();
    site.run(900);
    assert_eq!(site.count(&scope_of(0), IncidentChange::Resolved), 1);
    site.check_over();
}

#[test]
fn a_found_record_of_a_parent_that_works_is_closed() {
    let mut site = Site::healthy(two_uplinks());
    let created = site.world.now.wall - secs(500);
    for (scope, kind) in [(site_scope(), Kind::Outage), (wan1(), Kind::RedundancyLost)] {
        site.world.feed(Event::RecordFound { sink: sink(), scope, kind, created });
    }
    site.run(900);
    assert_eq!(site.open(), [], "an uplink whose tunnels are up, and a site that works");
    let resolved = site.changes().filter(|(_, _, change)| *change == IncidentChange::Resolved).count();
    assert_eq!(resolved, 2);
    site.check_over();
}

#[test]
fn nothing_is_decided_of_a_parent_where_another_host_votes() {
    let plan = Plan { votes_if_address: Some(ADDRESS), ..two_uplinks() };
    let mut site = Site::healthy(plan);
    site.world.feed(Event::AddressHeld { address: ADDRESS, held: false });
    site.cut("wan1");
    site.run(600);
    let created = site.world.now.wall;
    site.world.feed(Event::RecordFound { sink: sink(), scope: wan1(), kind: Kind::Outage, created });
    site.run(600);
    assert!(!site.world.facts.iter().any(|(_, fact)| matches!(fact, Fact::IncidentChanged { .. })));
}
