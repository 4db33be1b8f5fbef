//! What really happened, and what must follow from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::board::{Incident, IncidentId};
use bothends::domain::fact::IncidentChange;
use bothends::domain::names::Kind;
use bothends::domain::scope::{ParentKind, Scope};
use bothends::domain::time::Moment;

use super::super::calls::Faults;
use super::super::gateway::Gateway;
use super::super::manager::{Closer, Manager, StoredRecord};
use super::super::schedule::{Calls, Switches};
use super::super::truth::{can_report, seconds};
use super::super::views::Views;
use super::script::Script;
use super::site::connection_of;

/// Back-off from earlier failures: a rejection delays a call for five minutes.
const BACKOFF: Duration = Duration::from_secs(330);
/// TunnelState has whole minutes, the minute of the change is a fraction, and AWS notices a change within a minute.
const EVIDENCE: Duration = Duration::from_secs(60 + 60 + 60);
/// A look-up, a call, another look at the list.
const DELIVERY: Duration = Duration::from_secs(150);
/// After a person closed a record of the same outage, nothing is sent unless it worsens.
const PERSON: Duration = Duration::from_secs(4 * 3600);

/// The current state of the site.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub gateways: &'a [Gateway],
    pub uplink: bool,
    pub works: &'a [bool],
    pub views: &'a Views,
    pub faults: &'a Faults,
    pub manager: &'a Manager,
}

/// From, and until if it is over.
type Period = (Moment, Option<Moment>);

/// A record, when it was created, and for which incident.
#[derive(Debug)]
struct Created {
    at: Moment,
    scope: Scope,
    kind: Kind,
}

#[derive(Debug)]
pub struct Books {
    switches: Switches,
    connections: usize,
    cuts: Vec<Period>,
    /// Of each connection, the faults of its own.
    faults: Vec<Vec<Period>>,
    created: Vec<Created>,
    closes: Vec<Moment>,
    /// Per gateway, when it started, died, reloaded, or its disk changed.
    disturbed: Vec<Vec<Moment>>,
    /// Per gateway, when an incident of a parent opened or was adopted there.
    parents: Vec<Vec<Moment>>,
    /// Per gateway, when each incident opened.
    opened: Vec<BTreeMap<IncidentId, Moment>>,
    /// Per gateway and connection, since when it has been expected that people are paged, by whatever record; and by one that
    /// is not about the uplink.
    expected: BTreeMap<(usize, usize, Expected), Moment>,
    checked: BTreeSet<(usize, usize, Expected)>,
    /// When the next page is overdue if nothing changes.
    due: Option<Moment>,
    /// Since when each connection has been down.
    down: Vec<Option<Moment>>,
    pub news: bool,
    pub broken: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Expected {
    /// A record of the connection, or of a parent.
    Any,
    /// The uplink works: it explains nothing.
    Own,
}

impl Books {
    pub fn new(script: &Script, gateways: usize) -> Self {
        Self {
            switches: script.switches,
            connections: script.connections,
            cuts: Vec::new(),
            faults: vec![Vec::new(); script.connections],
            created: Vec::new(),
            closes: Vec::new(),
            disturbed: vec![Vec::new(); gateways],
            parents: vec![Vec::new(); gateways],
            opened: vec![BTreeMap::new(); gateways],
            expected: BTreeMap::new(),
            checked: BTreeSet::new(),
            due: None,
            down: vec![None; script.connections],
            news: true,
            broken: Vec::new(),
        }
    }

    fn breaks(&mut self, at: Moment, promise: &str, how: &str) {
        self.broken.push(format!("{:>8.1} s  {promise}: {how}", seconds(at)));
    }

    pub fn uplink(&mut self, up: bool, at: Moment) {
        change(&mut self.cuts, !up, at);
    }

    pub fn connection(&mut self, connection: usize, works: bool, at: Moment) {
        change(&mut self.faults[connection], !works, at);
    }

    pub fn person_closes(&mut self, at: Moment) {
        self.closes.push(at);
    }

    pub fn started(&mut self, gateway: usize, at: Moment) {
        self.disturbed(gateway, at);
    }

    /// What a gateway knew of the uplink may be lost, or it counts anew.
    pub fn disturbed(&mut self, gateway: usize, at: Moment) {
        self.news = true;
        self.disturbed[gateway].push(at);
        self.expected.retain(|(of, _, _), _| *of != gateway);
        self.checked.retain(|(of, _, _)| *of != gateway);
    }

    /// An incident changed at a gateway.
    pub fn changed(&mut self, gateway: usize, incident: &Arc<Incident>, change: IncidentChange, at: Moment) {
        match change {
            IncidentChange::Opened | IncidentChange::Adopted => {
                self.opened[gateway].entry(incident.id.clone()).or_insert(at);
                if incident.id.scope.parent().is_some() {
                    self.parents[gateway].push(at);
                }
            }
            IncidentChange::Confirmed
            | IncidentChange::Updated
            | IncidentChange::Worsened
            | IncidentChange::Released
            | IncidentChange::Clearing
            | IncidentChange::Reopened
            | IncidentChange::Resolved
            | IncidentChange::Unwatched
            | IncidentChange::HandedOver => {}
        }
    }

    //--- one cause, one page

    /// A gateway has created a record.
    pub fn created(&mut self, gateway: usize, story: Option<IncidentId>, stored: &StoredRecord, at: Moment) {
        let (scope, kind) = (stored.scope.of.clone(), stored.scope.kind);
        let same = |it: &&Created| it.scope == scope && it.kind == kind;
        if let Some(before) = self.created.iter().rev().find(same).map(|it| it.at)
            && let Some(cut) = self.cuts.iter().rev().find(|(from, _)| *from <= at)
            && before >= cut.0
            && cut.1.is_none()
            && !self.closes.iter().any(|close| *close >= before && *close <= at)
            && self.has_no_fault(at)
        {
            let how = format!("gateway {gateway}: {} of {scope}", kind.as_str());
            self.breaks(at, "one cause has one record", &how);
        }
        if let Some(connection) = connection_of(&scope, self.connections)
            && let Some(why) = self.needless(gateway, connection, story.as_ref(), at)
        {
            let how = format!(
                "gateway {gateway} pages {} of connection {connection} ({story:?}): {why}",
                kind.as_str()
            );
            self.breaks(at, "what the uplink explains has no record", &how);
        }
        self.created.push(Created { at, scope, kind });
    }

    /// Why a record of a connection is one too many: only the uplink was down, and the gateway could know it.
    fn needless(
        &self,
        gateway: usize,
        connection: usize,
        story: Option<&IncidentId>,
        at: Moment,
    ) -> Option<String> {
        let slack = self.needed() + self.switches.resolve_after;
        let own = |(from, until): &Period| *from <= at && until.is_none_or(|until| until + slack >= at);
        if self.faults[connection].iter().any(own) {
            return None;
        }
        let cut = self.cuts.iter().rev().find(|(from, _)| *from <= at)?;
        // AWS may say Down for longer after the cut than its explanation lasts; then one end alone does.
        if story?.kind == Kind::OneSided
            && cut.1.is_some_and(|healed| at > healed + self.switches.resolve_after)
        {
            return None;
        }
        // A parent that may be down withholds nothing: what opens before it is known to be is sent.
        let opened = self.opened[gateway].get(story?)?;
        let known = cut.0 + self.detection();
        if (*opened >= cut.0 && *opened <= known) || at <= known {
            return None;
        }
        // A daemon that starts under a cut has never seen a reference answer, unless the parent's incident is on its disk.
        let known = self.parents[gateway].iter().find(|opened| **opened >= cut.0);
        let until = known.map_or(at, |opened| *opened + Duration::from_secs(120));
        let from = cut.0 - Duration::from_secs(180);
        let disturbed = self.disturbed[gateway].iter().any(|it| *it >= from && *it <= until);
        (!disturbed).then(|| format!("cut since {:.1} s", seconds(cut.0)))
    }

    fn has_no_fault(&self, at: Moment) -> bool {
        let slack = self.needed();
        let none = |(from, until): &Period| *from > at || until.is_some_and(|until| until + slack < at);
        self.faults.iter().flatten().all(none)
    }

    //--- resolved when it is over

    /// A gateway closes a record.
    pub fn closes(&mut self, gateway: usize, stored: &StoredRecord, at: Moment) {
        let lasts = |periods: &[Period]| {
            periods.last().is_some_and(|(from, until)| until.is_none() && *from + self.detection() < at)
        };
        let cut = lasts(&self.cuts);
        let wrong = match &stored.scope.of {
            Scope::Connection(_) => connection_of(&stored.scope.of, self.connections)
                .is_some_and(|connection| cut || lasts(&self.faults[connection])),
            Scope::Parent(parent) => match parent.kind {
                ParentKind::Uplink => cut,
                ParentKind::Site | ParentKind::Group => cut || self.faults.iter().all(|faults| lasts(faults)),
            },
        };
        // What one end alone says is over when the other agrees, and then an outage.
        let wrong = wrong && stored.scope.kind != Kind::OneSided;
        // Two of one incident are merged.
        if wrong && stored.is_open() {
            let how = format!("gateway {gateway} closes {} of {}", stored.id, stored.scope.of);
            self.breaks(at, "a record is closed when its incident is over", &how);
        }
    }

    //--- nothing is lost

    pub fn look(&mut self, at: Moment, scene: &Scene<'_>) {
        if !std::mem::take(&mut self.news) && self.due.is_none_or(|due| due > at) {
            return;
        }
        self.due = None;
        let calm = scene.faults.is_calm(Calls::Ask) && scene.faults.is_calm(Calls::Incidents);
        for connection in 0..self.connections {
            let fails = !scene.uplink || !scene.works[connection];
            let seen = [0, 1].iter().all(|tunnel| !scene.views.sees_up(2 * connection + tunnel, at));
            if !fails {
                self.down[connection] = None;
            } else if self.down[connection].is_none() {
                self.down[connection] = Some(at);
            }
            for (index, gateway) in scene.gateways.iter().enumerate() {
                let holds = fails && seen && calm && can_report(gateway);
                for (what, holds) in [(Expected::Any, holds), (Expected::Own, holds && scene.uplink)] {
                    self.expect((index, connection, what), holds, at, scene);
                }
            }
        }
    }

    fn expect(&mut self, key: (usize, usize, Expected), holds: bool, at: Moment, scene: &Scene<'_>) {
        if !holds {
            self.expected.remove(&key);
            self.checked.remove(&key);
            return;
        }
        let (gateway, connection, what) = key;
        let since = *self.expected.entry(key).or_insert(at);
        let due = since
            + self.needed()
            + match what {
                Expected::Any => Duration::ZERO,
                // The uplink explains for so long what broke under it.
                Expected::Own => self.switches.resolve_after,
            };
        if due > at {
            self.due = Some(self.due.map_or(due, |earliest| earliest.min(due)));
            return;
        }
        if !self.checked.insert(key) {
            return;
        }
        let began = self.down[connection].unwrap_or(since);
        let counts = |scope: &Scope| match scope {
            Scope::Connection(_) => connection_of(scope, self.connections) == Some(connection),
            Scope::Parent(parent) => match (parent.kind, what) {
                (ParentKind::Uplink, Expected::Own) => false,
                // Where every connection is down, that is the site's.
                (ParentKind::Site, Expected::Own) => !scene.works.contains(&true),
                (ParentKind::Uplink | ParentKind::Site, Expected::Any) | (ParentKind::Group, _) => true,
            },
        };
        let lasts = |stored: &StoredRecord| match stored.closed {
            None => true,
            Some((closed, Closer::Person)) => closed + PERSON >= began,
            Some((closed, Closer::Gateway(_))) => closed >= began,
        };
        let paged = scene.manager.records.iter().any(|stored| counts(&stored.scope.of) && lasts(stored));
        if !paged {
            let how = format!("connection {connection} at gateway {gateway}, by {what:?}");
            self.breaks(at, "what is down has a record", &how);
        }
    }

    /// A dead path is Down at the latest after this time.
    fn detection(&self) -> Duration {
        let probe = &self.switches.probe;
        probe.interval * 2
            + probe.suspect_interval * (2 * probe.down_after.get() + 4)
            + probe.timeout * 3
            + Duration::from_secs(5)
    }

    fn needed(&self) -> Duration {
        let switches = &self.switches;
        let open_after = switches.open_after_outage.max(switches.open_after_redundancy_lost);
        let lag = switches.cloudwatch_lag.max(switches.ec2_lag.unwrap_or_default());
        let words = lag + EVIDENCE + switches.poll_interval * 2;
        self.detection() * 2
            + words
            + open_after
            + switches.start_grace
            + switches.list_lag
            + BACKOFF
            + DELIVERY
    }
}

fn change(periods: &mut Vec<Period>, begins: bool, at: Moment) {
    match (periods.last_mut(), begins) {
        (Some((_, None)), true) | (None, false) | (Some((_, Some(_))), false) => {}
        (None, true) | (Some((_, Some(_))), true) => periods.push((at, None)),
        (Some((_, until @ None)), false) => *until = Some(at),
    }
}
