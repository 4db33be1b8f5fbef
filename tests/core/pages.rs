//! Random scripts of what breaks and is mended: pages are causes, exactly, and nothing else depends on what withholds them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::board::{Incident, TimelineChange, TimelineEntry, Withheld};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::Kind;
use bothends::domain::plan::Plan;
use bothends::domain::scope::Scope;
use bothends::domain::silence::SilenceScope;
use bothends::domain::status::Phase;
use bothends::domain::time::Moment;
use proptest::prelude::*;

use crate::site::*;
use crate::world::*;

/// What holds whatever withholds a record: an incident without its being withheld.
fn bare(incident: &Incident) -> Incident {
    let is_bare = |entry: &&TimelineEntry| {
        !matches!(entry.what, TimelineChange::Withheld { .. } | TimelineChange::Released)
    };
    let timeline = incident.timeline.iter().filter(is_bare).cloned();
    let timeline = (0..).zip(timeline).map(|(seq, entry)| TimelineEntry { seq, ..entry }).collect();
    Incident { timeline, withheld: None, revision: 0, ..incident.clone() }
}

/// The facts of the connections, with the time of each.
fn facts(site: &Site) -> Vec<(Moment, String)> {
    let mut last: BTreeMap<Scope, BTreeMap<Kind, Incident>> = BTreeMap::new();
    let mut said = Vec::new();
    for (at, fact) in &site.world.facts {
        let of_connection = |scope: &Scope| scope.vpn().is_some();
        let text = match fact {
            Fact::IncidentChanged { incident, change, .. } if of_connection(&incident.id.scope) => {
                let bare = bare(incident);
                let of_scope = last.entry(incident.id.scope.clone()).or_default();
                let same =
                    of_scope.insert(incident.id.kind, bare.clone()).is_some_and(|before| before == bare);
                // What withholds it has changed, and nothing else.
                let hidden = same && matches!(change, IncidentChange::Updated | IncidentChange::Released);
                (!hidden).then(|| format!("{change:?} {bare:?}"))
            }
            Fact::IncidentSettled { incident, .. } if of_connection(&incident.id.scope) => {
                Some(format!("settled {:?}", incident.id))
            }
            Fact::IncidentPending { scope, .. } | Fact::IncidentAverted { scope, .. }
                if !of_connection(scope) =>
            {
                None
            }
            // Of the silences themselves.
            Fact::SilencedChanged { .. } => None,
            Fact::IncidentChanged { .. } | Fact::IncidentSettled { .. } | Fact::ParentChanged { .. } => None,
            other => Some(format!("{other:?}")),
        };
        said.extend(text.map(|text| (*at, text)));
    }
    // Those of one moment have no order of their own.
    said.sort();
    said
}

fn resolutions(site: &Site) -> BTreeSet<(Moment, Scope, Kind)> {
    let resolved = site.changes().filter(|(_, _, change)| *change == IncidentChange::Resolved);
    let of =
        |(at, incident, _): (Moment, &Arc<Incident>, _)| (at, incident.id.scope.clone(), incident.id.kind);
    resolved.map(of).filter(|(_, scope, _)| scope.vpn().is_some()).collect()
}

//--- any script

#[derive(Debug, Clone)]
enum Turn {
    Uplink(bool, bool),
    Gateway(bool),
    Connection(usize, bool),
    Tunnel(usize, u8),
    Bgp(usize),
    Disputed(usize, bool),
    Silence(u8, u64),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => (any::<bool>(), any::<bool>()).prop_map(|(which, cut)| Turn::Uplink(which, cut)),
        2 => any::<bool>().prop_map(Turn::Gateway),
        3 => (0_usize..6, any::<bool>()).prop_map(|(n, down)| Turn::Connection(n, down)),
        2 => (0_usize..6, 1_u8..3).prop_map(|(n, which)| Turn::Tunnel(n, which)),
        1 => (0_usize..6).prop_map(Turn::Bgp),
        1 => (0_usize..6, any::<bool>()).prop_map(|(n, disputed)| Turn::Disputed(n, disputed)),
        2 => (0_u8..6, 30_u64..900).prop_map(|(of, lasts)| Turn::Silence(of, lasts)),
    ]
}

fn any_plan() -> Plan {
    site_plan(&[WAN1, WAN1, WAN2, WAN2, BOTH, BOTH], &[("paris", &[0, 2])])
}

fn happen(site: &mut Site, turn: &Turn, with_silences: bool) {
    match *turn {
        Turn::Uplink(which, cut) => {
            let name = if which { "wan1" } else { "wan2" };
            if cut { site.cut(name) } else { site.splice(name) }
        }
        Turn::Gateway(dead) => site.set_dead(dead),
        Turn::Connection(n, true) => site.fail(n),
        Turn::Connection(n, false) => site.mend(n),
        Turn::Tunnel(n, which) => site.fail_tunnel(n, which),
        Turn::Bgp(n) => {
            site.bgp_down.insert(tunnel_of(n, 1));
            site.happens();
        }
        Turn::Disputed(n, disputed) => {
            for which in [1, 2] {
                if disputed {
                    site.up_by_aws.insert(tunnel_of(n, which))
                } else {
                    site.up_by_aws.remove(&tunnel_of(n, which))
                };
            }
            site.happens();
        }
        Turn::Silence(of, lasts) if with_silences => {
            let of = match of {
                0 => SilenceScope::Site,
                1 => SilenceScope::Parent(group("paris")),
                2 => SilenceScope::Parent(uplink("wan1")),
                3 => SilenceScope::Connection(vpn_of(3)),
                4 => SilenceScope::Tunnel(tunnel_of(4, 1)),
                _ => SilenceScope::Connection(vpn_of(0)),
            };
            let silence = site.silence(1, of, 0, lasts);
            site.silences(&[silence]);
        }
        // An event all the same.
        Turn::Silence(_, _) => site.silences(&[]),
    }
}

/// What is withheld although it is down by both ends has a parent that is down or has an open incident, or is silenced.
fn nothing_is_withheld_for_nothing(site: &Site) {
    let status = site.world.monitor.status(site.world.now);
    for incident in site.open() {
        let Some(Withheld::Explained(parent)) = &incident.withheld else { continue };
        let vpn = status.vpns.iter().find(|vpn| Some(&vpn.id) == incident.id.scope.vpn()).unwrap();
        let is_open = vpn.phases.contains(&(incident.id.kind, Phase::Open));
        let by_parent = site.open_of(&Scope::Parent(parent.clone()));
        assert!(
            !is_open || !by_parent.is_empty() || incident.id.kind != Kind::Outage,
            "{:?} by {parent}",
            incident.id
        );
    }
}

fn play(plan: Plan, turns: &[(Turn, u64)], with_silences: bool) -> Site {
    let mut site = Site::healthy(plan);
    for (turn, lasts) in turns {
        happen(&mut site, turn, with_silences);
        site.run(*lasts);
        if with_silences {
            site.run(10);
            nothing_is_withheld_for_nothing(&site);
        } else {
            site.run(10);
        }
    }
    site.up_by_aws.clear();
    site.heal();
    // An hour of health is health, and it may have come back once in the middle of one.
    site.run(8000);
    site
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn watching_recording_and_resolving_are_never_withheld(turns in prop::collection::vec((turn(), 1_u64..400), 1..9)) {
        let mut with = play(any_plan(), &turns, true);
        let without = play(without_parents(any_plan()), &turns, false);
        prop_assert_eq!(resolutions(&with), resolutions(&without));
        let (a, b) = (facts(&with), facts(&without));
        if let Some((a, b)) = a.iter().zip(&b).find(|(a, b)| a != b) {
            prop_assert!(false, "with {a:?}\nwithout {b:?}");
        }
        prop_assert_eq!(a.len(), b.len());
        with.check_over();
    }
}

//--- a known tree of causes

/// How many connections: 60 in the measured run, fewer in a debug build.
fn connections() -> usize {
    if std::env::var_os("BOTHENDS_SCRIPTS").is_some() { 60 } else { 12 }
}

/// A third of the connections over each uplink, and a third over both.
fn large() -> Plan {
    let each = |home: [&'static str; 2]| std::iter::repeat_n(home, connections() / 3);
    let homes: Vec<[&str; 2]> = [WAN1, WAN2, BOTH].into_iter().flat_map(each).collect();
    seldom_probed(site_plan(&homes, &[]))
}

/// What breaks, and what its page must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Gateway,
    Uplink(&'static str),
    Connection(usize),
    /// The first tunnel of a connection with one uplink.
    Tunnel(usize),
}

impl Fault {
    fn page(self) -> (Scope, Kind) {
        match self {
            Self::Gateway => (Scope::Parent(the_site()), Kind::Outage),
            Self::Uplink(name) => (Scope::Parent(uplink(name)), Kind::Outage),
            Self::Connection(n) => (scope_of(n), Kind::Outage),
            Self::Tunnel(n) => (scope_of(n), Kind::RedundancyLost),
        }
    }

    fn set(self, site: &mut Site, broken: bool) {
        match (self, broken) {
            (Self::Gateway, _) => site.set_dead(broken),
            (Self::Uplink(name), true) => site.cut(name),
            (Self::Uplink(name), false) => site.splice(name),
            (Self::Connection(n), true) => site.fail(n),
            (Self::Tunnel(n), true) => site.fail_tunnel(n, 1),
            (Self::Connection(n) | Self::Tunnel(n), false) => site.mend(n),
        }
    }

    /// Whether what else is broken hides it: all that it breaks does not work anyway.
    fn is_hidden(self, broken: &BTreeSet<Fault>) -> bool {
        let uplinks_of = |n: usize| match n / (connections() / 3) {
            0 => WAN1,
            1 => WAN2,
            _ => BOTH,
        };
        match self {
            Self::Gateway | Self::Uplink(_) => false,
            Self::Connection(n) | Self::Tunnel(n) => {
                let cut = |name: &&'static str| broken.iter().any(|fault| *fault == Self::Uplink(name));
                broken.contains(&Self::Gateway) || uplinks_of(n).iter().all(cut)
            }
        }
    }
}

/// Small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // The finaliser of splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn below(&mut self, sides: usize) -> usize {
        usize::try_from(self.roll(sides as u64)).unwrap()
    }
}

/// Breaks and mends, each with the seconds until the next; nothing breaks twice, and one uplink at a time is cut.
fn script(seed: u64) -> Vec<(Fault, bool, u64)> {
    let mut dice = Dice(seed);
    let (mut used, mut broken) = (BTreeSet::new(), BTreeSet::new());
    let mut steps = Vec::new();
    for _ in 0..3 + dice.below(5) {
        let mends = !broken.is_empty() && dice.roll(5) < 2;
        let lasts = 450 + dice.roll(400);
        if mends {
            let fault = *broken.iter().nth(dice.below(broken.len())).unwrap();
            broken.remove(&fault);
            steps.push((fault, false, lasts));
            continue;
        }
        let n = dice.below(connections());
        let fault = match dice.roll(10) {
            0 | 1 => Fault::Gateway,
            2..=4 => Fault::Uplink(if dice.roll(2) == 0 { "wan1" } else { "wan2" }),
            5..=7 => Fault::Connection(n),
            _ => Fault::Tunnel(n % (connections() * 2 / 3)),
        };
        let a_second_uplink =
            matches!(fault, Fault::Uplink(_)) && broken.iter().any(|other| matches!(other, Fault::Uplink(_)));
        let same_connection = |other: &Fault| matches!((*other, fault), (Fault::Connection(a) | Fault::Tunnel(a), Fault::Connection(b) | Fault::Tunnel(b)) if a == b);
        if a_second_uplink || used.iter().any(|other| *other == fault || same_connection(other)) {
            continue;
        }
        used.insert(fault);
        broken.insert(fault);
        steps.push((fault, true, lasts));
    }
    // What is hidden shows when what hides it is mended first.
    for fault in broken {
        steps.push((fault, false, 450 + dice.roll(400)));
    }
    steps
}

/// The pages that a script must give: each fault's, as soon as nothing hides it.
fn causes(script: &[(Fault, bool, u64)]) -> (Vec<(Scope, Kind)>, usize) {
    let (mut broken, mut waiting) = (BTreeSet::new(), BTreeSet::new());
    let (mut pages, mut hidden) = (Vec::new(), 0);
    for (fault, breaks, _) in script {
        if *breaks {
            broken.insert(*fault);
            waiting.insert(*fault);
        } else {
            broken.remove(fault);
            waiting.remove(fault);
        }
        let shown: Vec<Fault> = waiting.iter().filter(|fault| !fault.is_hidden(&broken)).copied().collect();
        for fault in shown {
            waiting.remove(&fault);
            pages.push(fault.page());
        }
        hidden += usize::from(*breaks && fault.is_hidden(&broken));
    }
    pages.sort();
    (pages, hidden)
}

#[derive(Debug, Default)]
struct Sum {
    scripts: usize,
    faults: usize,
    pages: usize,
    hidden: usize,
    released: usize,
    /// Child incidents that were opened and withheld.
    withheld: usize,
    /// How long after its parent's end a hidden fault was paged, at most.
    latest: Duration,
    /// Incidents of a connection that were resolved at another time than without parents.
    held: usize,
    failures: Vec<String>,
}

/// How late a released incident was paged: after the end of the parent that withheld it, or where it came back only later, after it
/// had lasted for as long as it takes to open one.
fn lateness(site: &Site) -> Vec<Duration> {
    let rules = site.plan.vpns[0].incident;
    let (mut by, mut again) = (BTreeMap::new(), BTreeMap::new());
    let mut late = Vec::new();
    for (at, incident, change) in site.changes() {
        if let Some(Withheld::Explained(parent)) = &incident.withheld {
            by.insert(incident.id.clone(), Scope::Parent(parent.clone()));
        }
        if change == IncidentChange::Reopened {
            // Our end is down again; AWS agrees by its next answer.
            let agreed = at + site.plan.vpns[0].aws.suspect_poll_interval;
            again.insert(incident.id.clone(), agreed + rules.open_after(incident.id.kind).unwrap());
        }
        if change == IncidentChange::Released {
            let ended = site.changes().filter(|(ended, it, change)| {
                it.id.scope == by[&incident.id] && *ended <= at && *change == IncidentChange::Resolved
            });
            let ended = ended.map(|(ended, _, _)| ended).last();
            late.extend(ended.max(again.get(&incident.id).copied()).map(|due| at.since(due)));
        }
    }
    late
}

fn play_script(seed: u64, sum: &mut Sum) {
    let script = script(seed);
    let play = |plan: Plan| {
        let mut site = Site::healthy(plan);
        for (fault, breaks, lasts) in &script {
            fault.set(&mut site, *breaks);
            site.run(*lasts);
        }
        site.run(4000);
        site
    };
    let (site, without) = (play(large()), play(without_parents(large())));
    let (expected, hidden) = causes(&script);
    let mut paged = site.paged();
    paged.sort();
    if paged != expected {
        sum.failures
            .push(format!("seed {seed}: {script:?}\n  expected {expected:?}\n  paged    {:?}", site.pages()));
    }
    if !site.open().is_empty() {
        sum.failures.push(format!("seed {seed}: still open {:?}", site.open()));
    }
    site.check();
    sum.scripts += 1;
    sum.faults += script.iter().filter(|(_, breaks, _)| *breaks).count();
    sum.pages += paged.len();
    sum.hidden += hidden;
    sum.released += site.released().len();
    let opened_withheld = |(_, incident, change): &(Moment, &Arc<Incident>, IncidentChange)| {
        *change == IncidentChange::Opened && incident.withheld.is_some()
    };
    sum.withheld += site.changes().filter(opened_withheld).count();
    sum.latest = lateness(&site).into_iter().fold(sum.latest, Duration::max);
    sum.held += resolutions(&site).symmetric_difference(&resolutions(&without)).count();
}

/// `BOTHENDS_SCRIPTS`: so many over 60 connections, from seed `BOTHENDS_SEED` on (`make soak`).
#[test]
fn pages_are_causes_exactly() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("BOTHENDS_SEED").unwrap_or(0);
    let count = number("BOTHENDS_SCRIPTS").unwrap_or(12);
    let mut sum = Sum::default();
    for seed in first..first + count {
        play_script(seed, &mut sum);
    }
    println!("{sum:#?}");
    assert!(
        sum.failures.is_empty(),
        "{} of {}:\n{}",
        sum.failures.len(),
        sum.scripts,
        sum.failures.join("\n")
    );
    assert_eq!(sum.held, 0, "resolutions were held");
    assert!(sum.latest <= secs(10), "{:?}", sum.latest);
    assert!(count < 12 || (sum.hidden >= 3 && sum.released > 0), "too few to show anything");
}
