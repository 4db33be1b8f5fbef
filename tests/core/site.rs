//! A site of several connections with two tunnels each, what they share, and what can break: a connection, an uplink, the gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::board::{Incident, TimelineChange, Withheld};
use bothends::domain::event::{Event, Remembered, SeenUp};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::{Kind, Role, TunnelId, VpnId};
use bothends::domain::plan::{ParentPlan, Plan, ProbeRules, Route, SensorRules, TunnelPlan, VpnPlan};
use bothends::domain::scope::{ParentId, ParentKind, ParentState, Scope};
use bothends::domain::sensor::{Finding, Path, Reach, SensorKind};
use bothends::domain::silence::{FromNow, Silence, SilenceId, SilenceScope};
use bothends::domain::time::{Moment, Stamp};
use bothends::domain::verdict::{Verdict, Why};

use crate::world::*;

const ANSWERS: Reach = Reach::Answers { rtt: Duration::from_millis(5) };

pub const WAN1: [&str; 2] = ["wan1", "wan1"];
pub const WAN2: [&str; 2] = ["wan2", "wan2"];
pub const BOTH: [&str; 2] = ["wan1", "wan2"];

pub fn vpn_of(n: usize) -> VpnId {
    VpnId::new(format!("vpn-{n:017x}"))
}

pub fn scope_of(n: usize) -> Scope {
    vpn_of(n).into()
}

/// Of connection `n` (from 0), tunnel 1 or 2.
pub fn tunnel_of(n: usize, which: u8) -> TunnelId {
    TunnelId { vpn: vpn_of(n), outside_ip: [203, 0, u8::try_from(n).unwrap(), which].into() }
}

pub fn parent(kind: ParentKind, name: &str) -> ParentId {
    ParentId { kind, site: "milan-1".into(), name: name.into() }
}

pub fn uplink(name: &str) -> ParentId {
    parent(ParentKind::Uplink, name)
}

pub fn the_site() -> ParentId {
    parent(ParentKind::Site, "milan-1")
}

pub fn group(name: &str) -> ParentId {
    parent(ParentKind::Group, name)
}

/// Connections whose two active tunnels go over these uplinks, and groups of them; a few seconds make a verdict.
pub fn site_plan(homes: &[[&str; 2]], groups: &[(&str, &[usize])]) -> Plan {
    let mut plan = two_active();
    let model = Arc::clone(&plan.vpns[0]);
    let sensors = SensorRules {
        kinds: BTreeSet::from([SensorKind::Path]),
        bgp_required: false,
        mtu_interval: secs(3600),
    };
    let tunnels = |n: usize, homes: &[&str; 2]| {
        let tunnel = |(which, uplink): (u8, &&str)| {
            let net = u8::try_from(n).unwrap();
            Arc::new(TunnelPlan {
                id: tunnel_of(n, which),
                name: format!("tunnel {which}").into(),
                role: Role::Active,
                route: Arc::new(Route {
                    inside_ip: [169, 254, net, 4 * which + 1].into(),
                    source_ip: [169, 254, net, 4 * which + 2].into(),
                    interface: None,
                    fwmark: None,
                }),
                through: Default::default(),
                uplink: Some((*uplink).into()),
                sensors: sensors.clone(),
            })
        };
        (1..).zip(homes).map(tunnel).collect()
    };
    let probe = ProbeRules {
        interval: secs(5),
        suspect_interval: secs(1),
        timeout: secs(1),
        down_after: NonZeroU32::new(3).unwrap(),
        up_after: NonZeroU32::new(2).unwrap(),
    };
    let vpn = |(n, homes): (usize, &[&str; 2])| {
        Arc::new(VpnPlan {
            probe,
            id: vpn_of(n),
            name: format!("C{n}").into(),
            tunnels: tunnels(n, homes),
            ..VpnPlan::clone(&model)
        })
    };
    plan.vpns = homes.iter().enumerate().map(vpn).collect();
    let all = || 0..homes.len();
    let mut parents = vec![(the_site(), all().collect::<Vec<_>>())];
    for name in ["wan1", "wan2"] {
        parents.push((uplink(name), all().filter(|n| homes[*n].contains(&name)).collect()));
    }
    parents.extend(groups.iter().map(|(name, of)| (group(name), of.to_vec())));
    plan.parents = parents
        .into_iter()
        .filter(|(_, of)| of.len() > 1)
        .map(|(id, of)| {
            let vpns = of.into_iter().map(vpn_of).collect();
            Arc::new(ParentPlan { id, vpns, incident: model.incident })
        })
        .collect();
    plan
}

/// The same plan with few probes, for scripts of hours.
pub fn seldom_probed(mut plan: Plan) -> Plan {
    for vpn in &mut plan.vpns {
        let probe = ProbeRules { interval: secs(20), suspect_interval: secs(2), ..vpn.probe };
        *vpn = Arc::new(VpnPlan { probe, ..VpnPlan::clone(vpn) });
    }
    plan
}

/// Of the same connections, without anything that they share.
pub fn without_parents(plan: Plan) -> Plan {
    Plan { parents: Vec::new(), ..plan }
}

/// A world of such a plan, and what is broken in it.
pub struct Site {
    pub world: World,
    pub plan: Plan,
    /// Uplinks that are cut: nothing beyond them answers.
    pub cut: BTreeSet<&'static str>,
    /// The gateway's IPsec is dead, and its uplinks work.
    pub dead: bool,
    /// Tunnels with a fault of their own.
    pub broken: BTreeSet<TunnelId>,
    /// Tunnels whose BGP session is down by a fault of their own.
    pub bgp_down: BTreeSet<TunnelId>,
    /// Tunnels that AWS calls up whatever happens.
    pub up_by_aws: BTreeSet<TunnelId>,
    /// Uplinks whose references never answer.
    pub mute: BTreeSet<&'static str>,
}

/// A page: an incident that is open and not withheld for the first time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Page {
    pub at: Moment,
    pub scope: Scope,
    pub kind: Kind,
}

impl Site {
    /// Everything is up, and has been seen up.
    pub fn healthy(plan: Plan) -> Self {
        Self::with_mute_references(plan, &[])
    }

    pub fn with_mute_references(plan: Plan, mute: &[&'static str]) -> Self {
        let mut site = Self::new(plan, mute);
        site.happens();
        // AWS is not about to be asked then.
        site.run(190);
        site
    }

    /// Everything is up, but for what is set here before the start and lasts until something else happens.
    pub fn with_lines(plan: Plan, set: impl FnOnce(&mut Self)) -> Self {
        let mut site = Self::new(plan, &[]);
        site.happens();
        set(&mut site);
        site.run(190);
        site
    }

    fn new(plan: Plan, mute: &[&'static str]) -> Self {
        Self {
            world: World::new(plan.clone(), Remembered::default()),
            plan,
            cut: BTreeSet::new(),
            dead: false,
            broken: BTreeSet::new(),
            bgp_down: BTreeSet::new(),
            up_by_aws: BTreeSet::new(),
            mute: mute.iter().copied().collect(),
        }
    }

    /// Lets lines, AWS and sensors show what is broken.
    pub fn happens(&mut self) {
        for tunnel in self.plan.vpns.iter().flat_map(|vpn| &vpn.tunnels) {
            let uplink = tunnel.uplink.as_deref().unwrap();
            let is_cut = self.cut.contains(uplink);
            let is_down = is_cut || self.dead || self.broken.contains(&tunnel.id);
            let id = &tunnel.id;
            self.world.lines.insert(id.clone(), if is_down { Line::Swallows } else { FAST });
            let by_aws = if self.up_by_aws.contains(id) {
                Aws::Up
            } else if is_down {
                Aws::Down
            } else if self.bgp_down.contains(id) {
                Aws::BgpDown
            } else {
                Aws::Up
            };
            self.world.aws.insert(id.clone(), by_aws);
            let reach = |is_there: bool| if is_there { ANSWERS } else { Reach::Silent };
            let reference: IpAddr = if uplink == "wan1" { [192, 0, 2, 1] } else { [192, 0, 2, 2] }.into();
            let answers = !is_cut && !self.mute.contains(uplink);
            let path = Path {
                outside: reach(!is_cut),
                references: vec![(reference, reach(answers))],
                interface: None,
            };
            self.world.senses.insert((id.clone(), SensorKind::Path), Finding::Path(Ok(path)));
        }
    }

    pub fn run(&mut self, seconds: u64) {
        self.world.run(secs(seconds));
    }

    pub fn cut(&mut self, uplink: &'static str) {
        self.cut.insert(uplink);
        self.happens();
    }

    pub fn splice(&mut self, uplink: &'static str) {
        self.cut.remove(uplink);
        self.happens();
    }

    pub fn set_dead(&mut self, dead: bool) {
        self.dead = dead;
        self.happens();
    }

    /// A connection breaks by a fault of its own.
    pub fn fail(&mut self, n: usize) {
        self.broken.extend([1, 2].map(|which| tunnel_of(n, which)));
        self.happens();
    }

    pub fn fail_tunnel(&mut self, n: usize, which: u8) {
        self.broken.insert(tunnel_of(n, which));
        self.happens();
    }

    pub fn mend(&mut self, n: usize) {
        self.broken.retain(|tunnel| tunnel.vpn != vpn_of(n));
        self.bgp_down.retain(|tunnel| tunnel.vpn != vpn_of(n));
        self.happens();
    }

    pub fn heal(&mut self) {
        self.cut.clear();
        self.dead = false;
        self.broken.clear();
        self.bgp_down.clear();
        self.happens();
    }

    //--- silences

    /// From now on, after `from` seconds until `until` seconds from now.
    pub fn silence(&self, id: u32, of: SilenceScope, from: u64, until: u64) -> Silence {
        let now = self.world.now.wall;
        Silence {
            id: SilenceId(id),
            of,
            from: now + secs(from),
            until: now + secs(until),
            weekly: None,
            reason: "a planned change".into(),
            by: 1000,
            added: now,
            from_now: FromNow::default(),
        }
    }

    pub fn silences(&mut self, silences: &[Silence]) {
        self.world.feed(Event::Silences(silences.to_vec().into()));
    }

    //--- restarts

    /// What the store has kept by now.
    pub fn remembered(&self, silences: &[Silence]) -> Remembered {
        let world = &self.world;
        let facts = || world.facts.iter().map(|(_, fact)| fact);
        let seen_up: BTreeSet<SeenUp> = facts()
            .filter_map(|fact| match fact {
                Fact::SeenUp(seen) => Some(seen.clone()),
                _ => None,
            })
            .collect();
        let openings = facts().filter_map(|fact| match fact {
            Fact::IncidentChanged { incident, change: IncidentChange::Opened, .. } => {
                Some((incident.id.scope.clone(), incident.id.kind, incident.id.opened))
            }
            _ => None,
        });
        let status = world.monitor.status(world.now);
        let tunnels = || status.vpns.iter().flat_map(|vpn| &vpn.tunnels);
        let down = tunnels().filter(|tunnel| tunnel.local.verdict == Verdict::Down);
        let stopped = down.filter_map(|tunnel| Some((tunnel.id.clone(), tunnel.not_passing_since()?.wall)));
        let down_since = tunnels().filter(|tunnel| tunnel.local.verdict == Verdict::Down);
        let unknown = Verdict::Unknown(Why::Starting);
        let said = down_since
            .map(|tunnel| (tunnel.id.clone(), tunnel.local.since.wall, Verdict::Down))
            .chain(tunnels().map(|tunnel| (tunnel.id.clone(), world.now.wall, unknown)));
        Remembered {
            seen_up: seen_up.into_iter().collect(),
            silences: silences.to_vec().into(),
            incidents: world.incidents(),
            openings: openings.collect(),
            stopped: stopped.collect(),
            said: said.collect(),
            unheard: Vec::new(),
            down: status
                .parents
                .iter()
                .filter(|parent| parent.state == ParentState::Down)
                .map(|parent| parent.id.clone())
                .collect(),
        }
    }

    pub fn restart(&mut self, silences: &[Silence]) {
        let remembered = self.remembered(silences);
        self.world.restart(self.plan.clone(), remembered);
    }

    pub fn reload(&mut self, plan: Plan) {
        self.world.reconfigure(plan);
    }

    //--- what came of it

    /// Every change of an incident, in order.
    pub fn changes(&self) -> impl Iterator<Item = (Moment, &Arc<Incident>, IncidentChange)> {
        self.world.facts.iter().filter_map(|(at, fact)| match fact {
            Fact::IncidentChanged { incident, change, .. } => Some((*at, incident, *change)),
            _ => None,
        })
    }

    pub fn count(&self, of: &Scope, change: IncidentChange) -> usize {
        self.changes().filter(|(_, incident, what)| incident.id.scope == *of && *what == change).count()
    }

    pub fn released(&self) -> Vec<Scope> {
        let released = self.changes().filter(|(_, _, change)| *change == IncidentChange::Released);
        released.map(|(_, incident, _)| incident.id.scope.clone()).collect()
    }

    /// When an incident of this scope and kind was last resolved.
    pub fn resolved_at(&self, of: &Scope, kind: Kind) -> Option<Moment> {
        let resolved = self.changes().filter(|(_, incident, change)| {
            incident.id.scope == *of && incident.id.kind == kind && *change == IncidentChange::Resolved
        });
        resolved.map(|(at, _, _)| at).last()
    }

    pub fn pages(&self) -> Vec<Page> {
        let mut paged = BTreeSet::new();
        let page = |(at, incident, _): (Moment, &Arc<Incident>, IncidentChange)| {
            let first =
                incident.is_open() && incident.withheld.is_none() && paged.insert(incident.id.clone());
            first.then(|| Page { at, scope: incident.id.scope.clone(), kind: incident.id.kind })
        };
        self.changes().filter_map(page).collect()
    }

    /// The pages without their times.
    pub fn paged(&self) -> Vec<(Scope, Kind)> {
        self.pages().into_iter().map(|page| (page.scope, page.kind)).collect()
    }

    pub fn open(&self) -> Vec<Arc<Incident>> {
        self.world.incidents().into_iter().filter(|incident| incident.is_open()).collect()
    }

    pub fn open_of(&self, of: &Scope) -> Vec<Arc<Incident>> {
        self.open().into_iter().filter(|incident| incident.id.scope == *of).collect()
    }

    pub fn the_open(&self, of: &Scope, kind: Kind) -> Arc<Incident> {
        let open = self.open_of(of);
        open.iter()
            .find(|incident| incident.id.kind == kind)
            .unwrap_or_else(|| panic!("no open {kind:?} of {of}: {open:?}"))
            .clone()
    }

    pub fn withheld(&self, of: &Scope, kind: Kind) -> Option<Withheld> {
        self.the_open(of, kind).withheld.clone()
    }

    pub fn state(&self, of: &ParentId) -> ParentState {
        let status = self.world.monitor.status(self.world.now);
        status.parents.iter().find(|parent| parent.id == *of).unwrap().state
    }

    /// Whatever happens: at most one open incident of a scope and kind, timelines in order and bounded, a parent has no parent, and
    /// every open incident that is withheld says so as its last word on that.
    pub fn check(&self) {
        let mut open: BTreeMap<(Scope, Kind), Stamp> = BTreeMap::new();
        for (at, incident, change) in self.changes() {
            let key = (incident.id.scope.clone(), incident.id.kind);
            assert!(incident.timeline.len() <= 200 && incident.timeline.is_sorted_by_key(|entry| entry.seq));
            match change {
                IncidentChange::Opened | IncidentChange::Adopted => {
                    let other = open.insert(key.clone(), incident.id.opened);
                    assert_eq!(other, None, "two of {key:?} at {at}");
                }
                IncidentChange::Resolved | IncidentChange::Unwatched | IncidentChange::HandedOver => {
                    assert_eq!(open.remove(&key), Some(incident.id.opened), "{key:?} at {at}");
                }
                IncidentChange::Confirmed
                | IncidentChange::Updated
                | IncidentChange::Worsened
                | IncidentChange::Released
                | IncidentChange::Clearing
                | IncidentChange::Reopened => {
                    assert_eq!(open.get(&key), Some(&incident.id.opened), "{key:?} at {at}");
                }
            }
            let said = incident.timeline.iter().rev().find_map(|entry| match &entry.what {
                TimelineChange::Withheld { by } => Some(Some(by.clone())),
                TimelineChange::Released => Some(None),
                _ => None,
            });
            assert_eq!(said.flatten(), incident.withheld, "{key:?} at {at}");
            if incident.id.scope.parent().is_some() {
                assert_eq!(incident.withheld, None);
                assert!(incident.children.len() >= 2 && incident.tunnels.is_empty());
            }
        }
        let now: Vec<_> = self.open().iter().map(|it| (it.id.scope.clone(), it.id.kind)).collect();
        assert_eq!(now, open.into_keys().collect::<Vec<_>>());
    }

    /// Nothing is broken any more, and everything is over and settled.
    pub fn check_over(&mut self) {
        self.check();
        self.world.settle();
        assert_eq!(self.world.incidents(), []);
    }
}
