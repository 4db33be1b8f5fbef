//! The report: an account of every connection and tunnel.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::buckets::Buckets;
use super::cells::{Cell, Column, of_connection, of_tunnel};
use super::outages::{Means, Outage, outages};
use super::paging::{Paged, Paging};
use crate::domain::board::{IncidentId, Withheld};
use crate::domain::names::{Kind, Role, TunnelId, VpnId};
use crate::domain::scope::Scope;
use crate::domain::time::Stamp;
use crate::history::{Entry, Period, Present, Recalled, Spans};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The whole period.
    pub period: Period,
    /// Its parts, each with its name, where it is accounted for part by part: calendar months.
    pub parts: Vec<(String, Period)>,
    /// The connection, by its id or name; every one if `None`.
    pub vpn: Option<String>,
}

/// What happened in a period.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The site's name; empty where the history does not say it.
    pub site: Arc<str>,
    /// When it was made.
    pub at: Stamp,
    /// The period.
    pub period: Period,
    /// Connections, each followed by its tunnels.
    pub accounts: Vec<Account>,
    /// The incidents that were open at any time of the period, the oldest first.
    pub incidents: Vec<Arc<Recalled>>,
    /// Who was paged when.
    pub paging: Paging,
}

/// An account of one connection or tunnel.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Of what.
    pub subject: Subject,
    /// Over the whole period.
    pub whole: Columns,
    /// Over each part.
    pub parts: Vec<Part>,
    /// Its outages as both ends agree, oldest first.
    pub outages: Vec<Happening>,
    /// How often, how long, how far apart.
    pub means: Means,
    /// What all this was counted from.
    pub cells: Vec<Cell>,
}

/// What an account is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A connection, by its used tunnels.
    Connection {
        /// Its id.
        id: VpnId,
        /// Its name; its id where the history does not say it.
        name: Arc<str>,
    },
    /// A tunnel.
    Tunnel {
        /// Its id.
        id: TunnelId,
        /// Its name; its outside address where the history does not say it.
        name: Arc<str>,
        /// The name of its connection.
        vpn_name: Arc<str>,
        /// Its role now; `None` where that is not known.
        role: Option<Role>,
    },
}

/// A part of the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name, such as `2026-11`.
    pub name: String,
    /// When.
    pub period: Period,
    /// What counts.
    pub columns: Columns,
}

/// The buckets by each column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// As both ends agree.
    pub both: Buckets,
    /// Our end alone.
    pub local: Buckets,
    /// AWS alone.
    pub aws: Buckets,
}

/// An outage with what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// The outage.
    pub outage: Outage,
    /// Since when packets had not passed, by the incident; never later than the outage.
    pub stopped: Option<Stamp>,
    /// The incident about it: the first that opened in it, or else the gravest that was open.
    pub incident: Option<IncidentId>,
    /// Why that one has no record, if so.
    pub withheld: Option<Withheld>,
    /// The first page since it began, by an incident of the connection or of what explains it.
    pub page: Option<Paged>,
    /// When the first incident about it was over that was not over before it.
    pub resolved: Option<Stamp>,
}

impl Happening {
    /// From when its delays are counted: when packets stopped, or where that is not known, when both ends agreed.
    pub fn base(&self) -> Stamp {
        self.stopped.unwrap_or(self.outage.from)
    }
}

impl Subject {
    /// The connection's id.
    pub const fn vpn(&self) -> &VpnId {
        match self {
            Self::Connection { id, .. } => id,
            Self::Tunnel { id, .. } => &id.vpn,
        }
    }

    /// Its own name.
    pub const fn name(&self) -> &Arc<str> {
        match self {
            Self::Connection { name, .. } | Self::Tunnel { name, .. } => name,
        }
    }
}

impl Columns {
    fn of(cells: &[Cell], period: Period) -> Self {
        let [both, local, aws] = Column::ALL.map(|column| Buckets::of(cells, column, period));
        Self { both, local, aws }
    }

    /// The buckets of one column.
    pub const fn column(&self, column: Column) -> &Buckets {
        match column {
            Column::Both => &self.both,
            Column::Local => &self.local,
            Column::Aws => &self.aws,
        }
    }
}

/// A connection with its tunnels, as they are named now.
struct Connection {
    id: VpnId,
    name: Arc<str>,
    tunnels: Vec<(TunnelId, Arc<str>, Option<Role>)>,
}

impl Report {
    /// Accounts for what was asked. `None` if no connection has the id or name that was asked for.
    pub fn of(entries: &[Entry], present: &Present, asked: &Asked) -> Option<Self> {
        let Asked { period, parts, vpn } = asked;
        let spans = Spans::of(entries, present, *period);
        let mut connections = connections(&spans, present);
        if let Some(wanted) = vpn {
            connections.retain(|it| it.id.as_str() == wanted || *it.name == **wanted);
            if connections.is_empty() {
                return None;
            }
        }
        let is_wanted = |vpn: &VpnId| connections.iter().any(|it| it.id == *vpn);
        let incidents = incidents(entries, *period, |incident| {
            vpn.is_none() || incident.id.scope.vpn().is_none_or(is_wanted)
        });
        let paging = Paging::of(entries);
        let index = Index::of(entries, &paging, present.at);
        let mut accounts = Vec::new();
        let mut account = |subject: Subject, cells: Vec<Cell>| {
            accounts.push(Account::of(subject, cells, *period, parts, present.at, &index));
        };
        for Connection { id, name: vpn_name, tunnels } in connections {
            let cells: Vec<_> = tunnels.iter().map(|(id, ..)| of_tunnel(spans.tunnel(id))).collect();
            let used = tunnels.iter().zip(&cells).filter(|((.., role), _)| *role != Some(Role::Unused));
            let used: Vec<Vec<Cell>> = used.map(|(_, cells)| cells.clone()).collect();
            account(Subject::Connection { id, name: Arc::clone(&vpn_name) }, of_connection(&used));
            for ((id, name, role), cells) in tunnels.into_iter().zip(cells) {
                // Nobody looks at it: it has neither been up nor down.
                if role != Some(Role::Unused) {
                    account(Subject::Tunnel { id, name, vpn_name: Arc::clone(&vpn_name), role }, cells);
                }
            }
        }
        Some(Self {
            site: Arc::clone(&present.site),
            at: present.at,
            period: *period,
            accounts,
            incidents,
            paging,
        })
    }

    /// The accounts of connections.
    pub fn connections(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().filter(|account| matches!(account.subject, Subject::Connection { .. }))
    }
}

/// Those of the configuration in its order, then those of the history alone.
fn connections(spans: &Spans, present: &Present) -> Vec<Connection> {
    let mut found: Vec<Connection> = Vec::new();
    let now = present.tunnels.iter().map(|tunnel| {
        (tunnel.id.clone(), Arc::clone(&tunnel.vpn_name), Arc::clone(&tunnel.name), Some(tunnel.role))
    });
    let known: BTreeMap<&TunnelId, ()> = present.tunnels.iter().map(|tunnel| (&tunnel.id, ())).collect();
    let then = spans
        .tunnels()
        .filter(|(id, _)| !known.contains_key(id))
        .map(|(id, _)| (id.clone(), Arc::from(id.vpn.as_str()), Arc::from(id.outside_ip.to_string()), None));
    let mut places: BTreeMap<VpnId, usize> = BTreeMap::new();
    for (id, vpn_name, name, role) in now.chain(then) {
        let place = *places.entry(id.vpn.clone()).or_insert_with(|| {
            found.push(Connection { id: id.vpn.clone(), name: vpn_name, tunnels: Vec::new() });
            found.len() - 1
        });
        if let Some(connection) = found.get_mut(place) {
            connection.tunnels.push((id, name, role));
        }
    }
    found
}

fn incidents(entries: &[Entry], period: Period, is_wanted: impl Fn(&Recalled) -> bool) -> Vec<Arc<Recalled>> {
    let mut found: BTreeMap<(Stamp, IncidentId), Arc<Recalled>> = BTreeMap::new();
    for entry in entries {
        let Entry::Incident(incident) = entry else { continue };
        let ended = incident.ended().is_none_or(|ended| ended >= period.from);
        if ended && incident.began < period.until && is_wanted(incident) {
            found.insert((incident.id.opened, incident.id.clone()), Arc::clone(incident));
        }
    }
    found.into_values().collect()
}

impl Account {
    fn of(
        subject: Subject,
        cells: Vec<Cell>,
        period: Period,
        parts: &[(String, Period)],
        now: Stamp,
        index: &Index<'_>,
    ) -> Self {
        let mut whole = Columns::of(&cells, period);
        if cells.is_empty() {
            // Nothing of it is used: nothing was observed.
            let nothing = Buckets { unobserved: period.length(), ..Buckets::default() };
            whole = Columns { both: nothing, local: nothing, aws: nothing };
        }
        let part = |(name, period): &(String, Period)| Part {
            name: name.clone(),
            period: *period,
            columns: Columns::of(&cells, *period),
        };
        let found = outages(&cells, now);
        let means = Means::of(&found, whole.both.up);
        let outages = found.into_iter().map(|outage| index.happening(&subject, outage)).collect();
        Self { parts: parts.iter().map(part).collect(), subject, whole, outages, means, cells }
    }
}

/// Finds the incident about an outage.
struct Index<'a> {
    /// Of each scope, by kind, in the order of their ends; of one kind one is open at a time.
    by_kind: BTreeMap<(&'a Scope, Kind), Vec<&'a Arc<Recalled>>>,
    paging: &'a Paging,
    now: Stamp,
}

impl<'a> Index<'a> {
    fn of(entries: &'a [Entry], paging: &'a Paging, now: Stamp) -> Self {
        let mut by_kind: BTreeMap<_, Vec<&Arc<Recalled>>> = BTreeMap::new();
        for entry in entries {
            if let Entry::Incident(incident) = entry {
                by_kind.entry((&incident.id.scope, incident.id.kind)).or_default().push(incident);
            }
        }
        for incidents in by_kind.values_mut() {
            incidents.sort_by_key(|incident| (incident.ended().unwrap_or(now), incident.began));
        }
        Self { by_kind, paging, now }
    }

    fn happening(&self, subject: &Subject, outage: Outage) -> Happening {
        let kinds: &[Kind] = match subject {
            Subject::Connection { .. } => &[Kind::Outage],
            Subject::Tunnel { .. } => &[Kind::Outage, Kind::RedundancyLost, Kind::OneSided],
        };
        let scope = Scope::Connection(subject.vpn().clone());
        let about: Vec<_> = kinds.iter().flat_map(|kind| self.during(&scope, *kind, &outage)).collect();
        // Packets stopped while both ends still said Up, and not in an earlier outage. An incident that was open before began with
        // another tunnel.
        let noticed = [Some(outage.from), outage.local, outage.aws].into_iter().flatten().min();
        let opened_in = about.iter().filter(|incident| outage.from <= incident.id.opened);
        let stopped = opened_in.map(|incident| incident.began).filter(|began| {
            noticed.is_some_and(|noticed| *began <= noticed)
                && outage.up_since.is_some_and(|up_since| up_since <= *began)
        });
        let stopped: Option<Stamp> = stopped.max();
        let base = stopped.unwrap_or(outage.from);
        // One that was open before is about another outage: of the other tunnel, or an earlier one.
        let opened_since = |at: Stamp| {
            let opened = about.iter().filter(move |incident| at <= incident.id.opened);
            opened.min_by_key(|incident| incident.id.opened).copied()
        };
        let its_own = opened_since(outage.from).or_else(|| opened_since(base));
        let its_own = its_own.or_else(|| about.first().copied());
        let pages = about.iter().filter_map(|incident| self.page(incident, &outage, base));
        // The other tunnel's may be over while this outage goes on, or go on after it.
        let ends =
            about.iter().filter_map(|incident| incident.ended()).filter(|ended| outage.until <= *ended);
        Happening {
            stopped,
            incident: its_own.map(|incident| incident.id.clone()),
            withheld: its_own.and_then(|incident| incident.withheld.clone()),
            page: pages.min(),
            resolved: ends.min(),
            outage,
        }
    }

    /// The first page of an incident, or of what explains it, since `base`. One before that was about something else.
    fn page(&self, incident: &Recalled, outage: &Outage, base: Stamp) -> Option<Paged> {
        let first = |id: &IncidentId| self.paging.first(id);
        let by_parent = || {
            let Some(Withheld::Explained(parent)) = &incident.withheld else { return None };
            let scope = Scope::Parent(parent.clone());
            let parents = Kind::ALL.into_iter().flat_map(|kind| self.during(&scope, kind, outage));
            parents.filter_map(|parent| first(&parent.id)).filter(|page| base <= page.at).min()
        };
        first(&incident.id).map_or_else(by_parent, |page| Some(page).filter(|page| base <= page.at))
    }

    /// The incidents of this kind that were open in the outage, oldest first.
    fn during(
        &self,
        scope: &Scope,
        kind: Kind,
        outage: &Outage,
    ) -> impl Iterator<Item = &'a Arc<Recalled>> + use<'a> {
        let incidents = self.by_kind.get(&(scope, kind)).map_or(&[][..], Vec::as_slice);
        let ended = |incident: &Recalled| incident.ended().unwrap_or(self.now);
        let first = incidents.partition_point(|incident| ended(incident) <= outage.from);
        let until = outage.until;
        let open: Vec<_> = incidents.iter().skip(first).take_while(|it| it.began < until).copied().collect();
        open.into_iter()
    }
}
