//! Planned times: what opens meanwhile is recorded, and sent afterwards if it is still down.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bothends::domain::board::Withheld;
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::Kind;
use bothends::domain::plan::Plan;
use bothends::domain::scope::{ParentKind, Scope};
use bothends::domain::silence::{FromNow, Silence, SilenceId, SilenceScope};
use bothends::domain::time::Moment;

use crate::site::*;
use crate::world::*;

fn plan() -> Plan {
    site_plan(&[WAN1, WAN1, WAN1, WAN2, WAN2], &[("paris", &[0, 1])])
}

fn silenced(id: u32) -> Option<Withheld> {
    Some(Withheld::Silenced(SilenceId(id)))
}

/// Every scope that silences an outage of connection 0.
fn scopes() -> Vec<SilenceScope> {
    vec![
        SilenceScope::Site,
        SilenceScope::Parent(the_site()),
        SilenceScope::Parent(group("paris")),
        SilenceScope::Parent(uplink("wan1")),
        SilenceScope::Connection(vpn_of(0)),
    ]
}

fn began_within(site: &Site, kind: Kind, ago: u64) -> bool {
    let incident = site.the_open(&scope_of(0), kind);
    let passed = site.world.now.wall.since(incident.began);
    passed + secs(6) >= secs(ago) && passed <= secs(ago + 6)
}

#[test]
fn what_opens_in_a_silence_is_sent_at_its_end_if_it_is_still_down_with_its_true_start() {
    for of in scopes() {
        let mut site = Site::healthy(plan());
        let silence = site.silence(7, of.clone(), 0, 600);
        let until = site.world.now.mono + secs(600);
        site.silences(&[silence]);
        site.fail(0);
        site.run(595);
        assert_eq!(site.withheld(&scope_of(0), Kind::Outage), silenced(7), "{of}");
        assert_eq!(site.paged(), [], "{of}");
        site.run(15);
        let pages = site.pages();
        assert!(
            matches!(&pages[..], [page] if page.at.since(until) <= secs(10) && page.at >= until),
            "{of}: {pages:?}"
        );
        match site.withheld(&scope_of(0), Kind::Outage) {
            // The group has its own page.
            Some(Withheld::Explained(parent)) => assert_eq!(
                (parent.kind, &pages[0].scope),
                (ParentKind::Group, &Scope::Parent(group("paris")))
            ),
            other => panic!("{of}: {other:?}"),
        }
        assert!(began_within(&site, Kind::Outage, 610), "{of}");
        site.heal();
        site.run(900);
        assert_eq!(site.pages().len(), 1);
        site.check_over();
    }
}

#[test]
fn a_connection_outside_a_group_is_released_at_the_end_itself() {
    let mut site = Site::healthy(plan());
    let silence = site.silence(7, SilenceScope::Connection(vpn_of(2)), 0, 600);
    site.silences(&[silence]);
    site.fail(2);
    site.run(610);
    assert_eq!((site.released(), site.paged()), (vec![scope_of(2)], vec![(scope_of(2), Kind::Outage)]));
    site.heal();
    site.run(900);
    site.check_over();
}

#[test]
fn what_ends_in_a_silence_is_resolved_in_it_and_never_paged() {
    for of in scopes() {
        let mut site = Site::healthy(plan());
        let silence = site.silence(7, of.clone(), 0, 3600);
        site.silences(&[silence]);
        site.fail(0);
        site.run(200);
        site.heal();
        site.run(600);
        assert_eq!(site.count(&scope_of(0), IncidentChange::Resolved), 1, "{of}");
        site.run(3600);
        assert_eq!((site.paged(), site.released()), (vec![], vec![]), "{of}");
        site.check_over();
    }
}

/// The condition is interrupted again and again: the other tunnel drops for a moment, so that it is an outage for that long.
#[test]
fn what_holds_for_most_of_the_time_in_a_silence_is_sent_at_its_end() {
    let mut site = Site::healthy(plan());
    let silence = site.silence(7, SilenceScope::Site, 0, 905);
    site.silences(&[silence]);
    site.fail_tunnel(2, 1);
    site.run(180);
    for _ in 0..8 {
        site.fail_tunnel(2, 2);
        site.run(22);
        site.broken.remove(&tunnel_of(2, 2));
        site.happens();
        site.run(68);
    }
    assert_eq!(site.paged(), []);
    site.run(15);
    assert_eq!(site.paged(), [(scope_of(2), Kind::RedundancyLost)]);
}

/// Our end never sees the second tunnel up; AWS has called it up, and calls it down.
#[test]
fn a_silence_of_one_tunnel_withholds_no_outage_of_another_that_only_aws_saw_up() {
    let mut site = Site::with_lines(plan(), |site| {
        site.world.lines.insert(tunnel_of(2, 2), Line::Swallows);
    });
    let silence = site.silence(7, SilenceScope::Tunnel(tunnel_of(2, 1)), 0, 3600);
    site.silences(&[silence]);
    site.fail(2);
    site.run(200);
    assert_eq!(site.paged(), [(scope_of(2), Kind::Outage)]);
}

#[test]
fn an_uplink_that_is_cut_in_a_silence_is_one_page_at_its_end_over_a_restart() {
    for restart_at in [60, 200, 590] {
        let mut site = Site::healthy(plan());
        let silences = vec![site.silence(7, SilenceScope::Site, 0, 600)];
        site.silences(&silences);
        site.cut("wan2");
        site.run(restart_at);
        site.restart(&silences);
        site.run(600 - restart_at + 120);
        assert_eq!(site.paged(), [(Scope::Parent(uplink("wan2")), Kind::Outage)], "{restart_at}");
        site.heal();
        site.run(900);
        site.check_over();
    }
}

#[test]
fn a_group_that_is_down_when_its_silence_ends_in_a_restart_is_one_page() {
    let mut site = Site::healthy(plan());
    let silences = vec![site.silence(7, SilenceScope::Parent(group("paris")), 0, 600)];
    site.silences(&silences);
    site.fail(0);
    site.fail(1);
    site.run(400);
    site.restart(&[]);
    site.run(300);
    assert_eq!(site.paged(), [(Scope::Parent(group("paris")), Kind::Outage)]);
    site.heal();
    site.run(900);
    site.check_over();
}

#[test]
fn what_is_clearing_at_the_end_of_a_silence_is_not_paged() {
    let mut site = Site::healthy(plan());
    let silence = site.silence(7, SilenceScope::Site, 0, 600);
    site.silences(&[silence]);
    site.fail(2);
    site.run(500);
    site.heal();
    site.run(600);
    assert_eq!((site.paged(), site.released()), (vec![], vec![]));
    site.check_over();
}

/// The silence begins while the outage is pending, open, or clearing.
#[test]
fn an_incident_that_was_open_before_keeps_its_record_and_one_that_opens_later_has_none() {
    for (begins, paged) in [(15, 0), (100, 1), (260, 1)] {
        let mut site = Site::healthy(plan());
        let silence = site.silence(7, SilenceScope::Connection(vpn_of(2)), begins, 3000);
        site.silences(&[silence]);
        site.fail(2);
        site.run(200);
        assert_eq!(site.pages().len(), paged, "{begins}");
        assert_eq!(site.withheld(&scope_of(2), Kind::Outage).is_some(), paged == 0, "{begins}");
        site.heal();
        site.run(900);
        assert_eq!((site.pages().len(), site.released()), (paged, vec![]), "{begins}");
        site.check_over();
    }
}

#[test]
fn a_silence_survives_restarts_in_every_phase_and_its_end_may_fall_into_one() {
    for restart_at in [10, 20, 100, 500, 590, 640] {
        let mut site = Site::healthy(plan());
        let silences: Vec<Silence> = vec![site.silence(7, SilenceScope::Connection(vpn_of(2)), 0, 600)];
        site.silences(&silences);
        site.fail(2);
        site.run(restart_at);
        site.restart(&silences);
        site.run(900 - restart_at);
        assert_eq!(site.paged(), [(scope_of(2), Kind::Outage)], "{restart_at}");
        let at = site.pages()[0].at;
        let end = 190 + 600;
        let late = i128::from(at.as_nanos()) / 1_000_000_000 - end;
        // A restart in its last seconds has to see the outage again first.
        assert!((0..=60).contains(&late), "{restart_at}: {late} s after its end");
        site.heal();
        site.run(900);
        assert_eq!(site.pages().len(), 1, "{restart_at}");
        site.check_over();
    }
}

#[test]
fn a_silence_that_ends_while_the_process_is_not_there_has_ended() {
    let mut site = Site::healthy(plan());
    let silences = vec![site.silence(7, SilenceScope::Site, 0, 600)];
    site.silences(&silences);
    site.fail(2);
    site.run(300);
    let remembered = site.remembered(&silences);
    site.world.sleep(secs(900));
    let plan = site.plan.clone();
    site.world.restart(plan, remembered);
    site.run(120);
    assert_eq!(site.paged(), [(scope_of(2), Kind::Outage)]);
    site.heal();
    site.run(900);
    site.check_over();
}

#[test]
fn a_tunnel_that_is_silenced_does_not_silence_the_other() {
    let mut site = Site::healthy(plan());
    let silence = site.silence(7, SilenceScope::Tunnel(tunnel_of(2, 1)), 0, 3600);
    site.silences(std::slice::from_ref(&silence));
    site.fail_tunnel(2, 1);
    site.run(300);
    assert_eq!((site.withheld(&scope_of(2), Kind::RedundancyLost), site.paged()), (silenced(7), vec![]));
    // Nobody has planned that the other one goes, too.
    site.fail_tunnel(2, 2);
    site.run(60);
    assert_eq!(site.paged(), [(scope_of(2), Kind::Outage)]);
    // And with both of them silenced.
    let mut site = Site::healthy(plan());
    let both = [1, 2]
        .map(|which| site.silence(u32::from(which), SilenceScope::Tunnel(tunnel_of(2, which)), 0, 3600));
    site.silences(&both);
    site.fail(2);
    site.run(300);
    assert_eq!((site.withheld(&scope_of(2), Kind::Outage), site.paged()), (silenced(1), vec![]));
    // The silence of one is taken back.
    site.silences(&both[..1]);
    site.run(5);
    assert_eq!(site.released(), [scope_of(2)]);
    site.check();
}

#[test]
fn an_uplink_that_is_silenced_is_cut_without_a_page_and_other_faults_are_paged() {
    let mut site = Site::healthy(plan());
    let silence = site.silence(7, SilenceScope::Parent(uplink("wan1")), 0, 1200);
    site.silences(&[silence]);
    site.cut("wan1");
    site.run(300);
    for n in 0..3 {
        assert_eq!(site.withheld(&scope_of(n), Kind::Outage), silenced(7));
    }
    assert_eq!(site.paged(), []);
    site.fail(4);
    site.run(60);
    assert_eq!(site.paged(), [(scope_of(4), Kind::Outage)]);
    // The work takes longer than planned: one page, of the uplink.
    site.run(1200 - 360 + 10);
    assert_eq!(site.paged()[1..], [(Scope::Parent(uplink("wan1")), Kind::Outage)]);
    for n in 0..3 {
        assert_eq!(site.withheld(&scope_of(n), Kind::Outage), Some(Withheld::Explained(uplink("wan1"))));
    }
    site.heal();
    site.run(900);
    assert_eq!(site.released(), []);
    site.check_over();
}

#[test]
fn of_overlapping_silences_the_last_counts() {
    let mut site = Site::healthy(plan());
    let first = site.silence(1, SilenceScope::Connection(vpn_of(2)), 0, 300);
    let second = site.silence(2, SilenceScope::Site, 200, 600);
    site.silences(&[first, second]);
    site.fail(2);
    site.run(250);
    assert_eq!(site.withheld(&scope_of(2), Kind::Outage), silenced(1));
    site.run(100);
    assert_eq!((site.withheld(&scope_of(2), Kind::Outage), site.paged()), (silenced(2), vec![]));
    site.run(260);
    assert_eq!(site.released(), [scope_of(2)]);
    site.heal();
    site.run(900);
    site.check_over();
}

#[test]
fn a_silenced_connection_behind_a_cut_uplink_is_silenced_and_then_the_uplinks() {
    let mut site = Site::healthy(plan());
    let silence = site.silence(7, SilenceScope::Connection(vpn_of(2)), 0, 300);
    site.silences(&[silence]);
    site.cut("wan1");
    site.run(200);
    assert_eq!(site.paged(), [(Scope::Parent(uplink("wan1")), Kind::Outage)]);
    assert_eq!(site.withheld(&scope_of(2), Kind::Outage), silenced(7));
    site.run(110);
    assert_eq!(site.withheld(&scope_of(2), Kind::Outage), Some(Withheld::Explained(uplink("wan1"))));
    site.heal();
    site.run(900);
    assert_eq!((site.paged().len(), site.released()), (1, vec![]));
    site.check_over();
}

#[test]
fn a_clock_that_jumps_over_the_end_ends_the_silence_and_a_wrong_one_does_not() {
    // As far as a clock may be off.
    let mut site = Site::healthy(plan());
    let silence = site.silence(7, SilenceScope::Site, 0, 345);
    site.silences(&[silence]);
    site.fail(2);
    site.run(300);
    site.world.wrong_by = 50;
    site.run(61);
    assert_eq!(site.released(), [scope_of(2)]);
    site.check();
    // By hours: AWS's date counts.
    let mut site = Site::healthy(plan());
    let silence = site.silence(7, SilenceScope::Site, 0, 1200);
    site.silences(&[silence]);
    site.fail(2);
    site.run(100);
    site.world.wrong_by = 86_400;
    site.run(300);
    assert_eq!(site.released(), []);
    site.world.wrong_by = 0;
    site.run(830);
    assert_eq!(site.released(), [scope_of(2)]);
    site.check();
}

/// Which silence covers each tunnel of a connection, change by change, in seconds since `from`.
fn covered(site: &Site, vpn: usize, from: Moment) -> Vec<(u64, u8, Option<u32>, Option<u32>)> {
    let change = |(at, fact): &(Moment, Fact)| match fact {
        Fact::SilencedChanged { tunnel, from: before, to, at: _ } if tunnel.vpn == vpn_of(vpn) => {
            let IpAddr::V4(address) = tunnel.outside_ip else { return None };
            let [.., last] = address.octets();
            Some((at.since(from).as_secs(), last, before.map(|id| id.0), to.map(|id| id.0)))
        }
        _ => None,
    };
    site.world.facts.iter().filter_map(change).collect()
}

#[test]
fn which_silence_covers_a_tunnel_is_a_fact_when_that_changes() {
    for of in scopes() {
        let mut site = Site::healthy(plan());
        let begun = site.world.now.mono;
        let silences = [site.silence(7, of.clone(), 60, 600), site.silence(9, of.clone(), 300, 1200)];
        site.silences(&silences);
        site.run(1300);
        let status = site.world.monitor.status(site.world.now);
        assert!(status.vpns[0].tunnels.iter().all(|tunnel| tunnel.silenced.is_none()));
        let changes = covered(&site, 0, begun);
        let tunnels: BTreeSet<u8> = changes.iter().map(|(_, tunnel, ..)| *tunnel).collect();
        for tunnel in tunnels {
            let of_it: Vec<_> = changes.iter().filter(|(_, it, ..)| *it == tunnel).collect();
            let kinds: Vec<_> = of_it.iter().map(|(at, _, from, to)| (*at, *from, *to)).collect();
            let expected = [(60, None, Some(7)), (600, Some(7), Some(9)), (1200, Some(9), None)];
            assert_eq!(kinds, expected, "{of}");
        }
        assert!(!changes.is_empty(), "{of}");
    }
}

#[test]
fn a_silence_of_another_connection_is_no_fact_and_one_that_is_ended_is_over_at_once() {
    let mut site = Site::healthy(plan());
    let begun = site.world.now.mono;
    let silence = site.silence(7, SilenceScope::Connection(vpn_of(2)), 0, 600);
    site.silences(&[silence]);
    site.run(100);
    assert_eq!(covered(&site, 0, begun), []);
    site.silences(&[]);
    site.run(10);
    let ends: Vec<_> = covered(&site, 2, begun).into_iter().filter(|(.., to)| to.is_none()).collect();
    assert!(!ends.is_empty() && ends.iter().all(|(at, ..)| *at == 100), "{ends:?}");
}

/// The host's clock is set while AWS's is not known, or AWS's becomes known.
#[test]
fn a_silence_for_a_duration_from_now_on_lasts_that_long_whatever_becomes_of_the_date() {
    for (ahead, behind) in [(3600, 0), (0, 3600), (0, 280)] {
        let mut site = Site::healthy(plan());
        let from_now = FromNow { from: true, until: true };
        let silence = Silence { from_now, ..site.silence(7, SilenceScope::Site, 0, 600) };
        site.silences(&[silence]);
        site.run(60);
        site.world.now.wall = site.world.now.wall + secs(ahead) - secs(behind);
        site.run(60);
        site.fail(2);
        site.run(470);
        assert_eq!(site.withheld(&scope_of(2), Kind::Outage), silenced(7), "{ahead} {behind}");
        assert_eq!(site.paged(), [], "{ahead} {behind}");
        site.run(20);
        assert_eq!(site.paged(), [(scope_of(2), Kind::Outage)], "{ahead} {behind}");
    }
}
